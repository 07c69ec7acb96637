"""What the training of networks that refine poses makes small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from predictors.networks.pose_interacting import PoseInteractingNet, normalised
from predictors.training.losses import Outcome
from predictors.training.pose_scenes import SceneSamples

# A joint is right within this distance, mm.
_CLOSE = 100.0

Statistics = Literal["input", "truth"]


@dataclass(frozen=True)
class PoseRefinement:
    """The mean absolute error of all poses of every pass, in normalised units: PI-Net.

    Source: section 3.1 of the paper, by which all poses of a pass count and not its target's alone.
    The mean is the official program's, but for its padding: every coordinate weighs the same.

    Attributes:
        statistics: whose mean and deviation the true poses are normalised by. ``input``: those of
            the poses that go in, by which results become millimetres in tests; so the network
            learns to set right a scene in the wrong place. ``truth``: their own, as in the official
            program, so that it learns the scene's shape alone.
        root: the joint from which accuracy and errors are seen.
    """

    statistics: Statistics
    root: int

    def __call__(
        self, network: nn.Module, inputs: Sequence[Tensor], samples: SceneSamples
    ) -> Outcome:
        """Return the mean loss, and which joints of the targets are right.

        Args:
            network: a `PoseInteractingNet`.
            inputs: of each number of persons, (P, N, K, 3) mm.
            samples: with the true poses for them.

        Returns:
            A joint is found if it is within 100 mm of the true place, both seen from the root; the
            root itself does not count. Figures are mean distances in mm of each target, seen from
            the root: ``MPJPE_mm`` refined and ``before_mm``.
        """
        assert isinstance(network, PoseInteractingNet)
        losses, after, before = [], [], []
        for base, together in zip(inputs, samples.passes, strict=True):
            units = normalised(base)
            answers = network.interact(units.x).float()
            true = together.true_mm
            if self.statistics == "truth":
                wanted = normalised(true).x
            else:
                wanted = ((true - units.mean) / units.deviation).flatten(2)
            losses.append((answers - wanted).abs().flatten())
            refined = units.restored(answers[:, :1].detach())
            after.append(self._distances(refined[:, 0], true[:, 0]))
            before.append(self._distances(base[:, 0], true[:, 0]))
        errors, earlier = torch.cat(after), torch.cat(before)
        is_root = torch.arange(errors.shape[1], device=errors.device) == self.root
        return Outcome(
            torch.cat(losses).mean(),
            (errors[:, ~is_root] < _CLOSE).flatten(),
            {"MPJPE_mm": errors.mean(1), "before_mm": earlier.mean(1)},
        )

    def _distances(self, poses: Tensor, true: Tensor) -> Tensor:
        """Return (P, K) mm between joints, both seen from the root."""
        ours, theirs = (part - part[:, self.root, None] for part in (poses, true))
        distances: Tensor = torch.linalg.vector_norm(ours - theirs, dim=-1)
        return distances
