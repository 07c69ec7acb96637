"""MIPNet: HRNet or SimpleBaseline that a selector tells which person of the box to return.

Khirodkar et al., Multi-Instance Pose Networks, ICCV 2021. Parameter names, shapes and order are
those of the official program (rawalkhirodkar/MIPNet), so its checkpoints load as they are. Inputs
are those of the backbone: RGB for HRNet, BGR for the ResNets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import nn

from crowdbench.errors import UsageError
from predictors.networks.hrnet import HRNetConfig, PoseHRNet
from predictors.networks.pose_resnet import CONFIGS, STEM_CHANNELS, PoseResNet, ResNetConfig

Segment = Callable[[list[torch.Tensor]], list[torch.Tensor]]
N_POSITIONS = 4
_REDUCTION = 4
# The general code of the official program: the bits of the instance, lowest first.
_TWO_BITS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))


def selectors(n_instances: int) -> torch.Tensor:
    """Return the selector row of every instance that a network was trained to tell apart.

    Args:
        n_instances: N, 2 to 4.

    Returns:
        (N, 2) float32; row i selects instance i in the paper's numbering: 0 is the owner of the
        box, the others follow by the distance of their box centres.

    Raises:
        UsageError: if N is not 2, 3 or 4.

    Source: the official program. The paper conditions on lambda = i, the program does not:

    * For N = 2 its row is [lambda, 1 - lambda] with lambda = 1 for the owner, the other way round.
    * For N = 3 and 4 its row is the number of the instance in two bits, the owner being [0, 0].

    The codings are not interchangeable: a checkpoint for N = 2 never saw [0, 0], and [1, 0] is the
    owner there but the nearest other person for N = 3 and 4.

    >>> selectors(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if n_instances not in (2, 3, 4):
        raise UsageError(f"MIPNet tells 2, 3 or 4 instances apart, not {n_instances}")
    if n_instances == 2:
        return torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    return torch.tensor(_TWO_BITS[:n_instances])


class RowLinear(nn.Linear):
    """A linear layer whose result for a row does not depend on how many rows there are.

    torch's own multiplies all rows as one matrix, for which CPU libraries choose other orders of
    summation as it grows; this multiplies row by row.
    """

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return (N, out_features) of (N, in_features)."""
        weight = self.weight.t().expand(len(rows), -1, -1)
        found = torch.bmm(rows[:, None], weight)[:, 0]
        return found if self.bias is None else found + self.bias


class MIMB(nn.Module):
    """The multi-instance modulation block: scales every channel by what selector and image say.

    Maps features (N, C, H, W) and selectors (N, 2) to features (N, C, H, W).

    Source: section 3.2 of the paper. Deviation, which changes rounding alone: the two factors of a
    channel are multiplied with each other before they meet the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = channels // _REDUCTION
        self.fc = nn.Sequential(
            RowLinear(channels, reduced, bias=False),
            nn.ReLU(inplace=True),
            RowLinear(reduced, channels, bias=False),
            nn.Sigmoid(),
        )
        self.fc_lambda = nn.Sequential(
            RowLinear(2, reduced),
            nn.BatchNorm1d(reduced),
            nn.ReLU(inplace=True),
            RowLinear(reduced, channels),
            nn.Sigmoid(),
        )

    def forward(self, features: torch.Tensor, selector: torch.Tensor) -> torch.Tensor:
        """Return the scaled features; the input is left as it is."""
        scale = self.fc(features.mean((2, 3))) * self.fc_lambda(selector)
        return cast("torch.Tensor", features * scale[:, :, None, None])


class Modulation(nn.Module):
    """The blocks of one position, one for each branch."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.se_layers = nn.ModuleList(MIMB(c) for c in channels)

    def forward(self, branches: list[torch.Tensor], selector: torch.Tensor) -> list[torch.Tensor]:
        """Return the scaled branches."""
        return [
            block(branch, selector) for block, branch in zip(self.se_layers, branches, strict=True)
        ]


class MultiInstance(nn.Module):
    """What both MIPNets share: a backbone in five segments with a position between each two.

    Modulation blocks may sit at each of the four positions. What comes before the first of them is
    the same for all instances.
    """

    # Names of the modulations before segments 0 to 4, None where there is none.
    _modulations: tuple[str | None, ...]

    def segments(self) -> tuple[Segment, ...]:
        """Return five functions which, one after the other, turn [image] into [heatmaps]."""
        raise NotImplementedError

    def forward(self, image: torch.Tensor, selector: torch.Tensor) -> torch.Tensor:
        """Return the heatmaps of the selected instance of every crop.

        Args:
            image: (N, 3, H, W) normalised crops.
            selector: (N, 2), a row of `selectors` for each crop, of the image's type and device.

        Returns:
            (N, num_joints, H/4, W/4).
        """
        return self._selected(self._shared(image), selector)

    def forward_instances(self, image: torch.Tensor, selectors: torch.Tensor) -> torch.Tensor:
        """Return the heatmaps of several instances of every crop.

        Args:
            image: (N, 3, H, W) normalised crops.
            selectors: (I, 2) rows, such as `selectors(2)`; of any type, on any device.

        Returns:
            (I, N, num_joints, H/4, W/4), exactly what `forward` gives for each row; the part before
            the first modulation is computed once.
        """
        shared = self._shared(image)
        rows = selectors.to(image).unsqueeze(1).expand(-1, len(image), -1)
        return torch.stack([self._selected(shared, selector) for selector in rows])

    def forward_mixed(self, image: torch.Tensor, selectors: torch.Tensor) -> torch.Tensor:
        """Return the heatmaps of several instances of every crop, all of them in one batch.

        This is for training, where batch-norm looks at the whole batch: it must see all instances
        at once, above all in the selector's embedding, which of one selector alone makes zeros.

        Args:
            image: (N, 3, H, W) normalised crops.
            selectors: (I, 2) rows, such as `selectors(2)`; of any type, on any device.

        Returns:
            (I, N, num_joints, H/4, W/4): what `forward` gives for the batch repeated I times, with
            a selector for each repetition. The part before the first modulation is computed once,
            as a repetition does not change its batch statistics (but for the running variance,
            which counts fewer values: n / (n - 1) instead of I n / (I n - 1)).
        """
        n_instances, n_images = len(selectors), len(image)
        features = [part.repeat(n_instances, 1, 1, 1) for part in self._shared(image)]
        rows = selectors.to(image).repeat_interleave(n_images, dim=0)
        heatmaps = self._selected(features, rows)
        return heatmaps.reshape(n_instances, n_images, *heatmaps.shape[1:])

    def _insert(self, name: str, channels: Sequence[Sequence[int]], mimb: Sequence[bool]) -> None:
        """Add the modulations that are switched on; after all else, as the official order has it.

        Args:
            name: how the positions are called, before their number.
            channels: for each position, the channels of its branches.
            mimb: the switches.
        """
        if len(mimb) != N_POSITIONS:
            raise UsageError(f"mimb has {len(mimb)} switches, expected {N_POSITIONS}")
        names: list[str | None] = [None]
        for number, (switch, widths) in enumerate(zip(mimb, channels, strict=True), start=1):
            names.append(f"{name}{number}_se" if switch else None)
            if switch:
                self.add_module(f"{name}{number}_se", Modulation(widths))
        self._modulations = tuple(names)

    @property
    def _n_shared(self) -> int:
        """Number of segments before the first modulation; all five if there is none."""
        names = self._modulations
        return next((i for i, name in enumerate(names) if name is not None), len(names))

    def _shared(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the features before the first modulation."""
        features = [image]
        for segment in self.segments()[: self._n_shared]:
            features = segment(features)
        return features

    def _selected(self, features: list[torch.Tensor], selector: torch.Tensor) -> torch.Tensor:
        """Return the heatmaps from the shared features, which are left as they are."""
        start = self._n_shared
        rest = zip(self._modulations[start:], self.segments()[start:], strict=True)
        for name, segment in rest:
            if name is not None:
                features = self.get_submodule(name)(features, selector)
            features = segment(features)
        return features[0]


# The backbones' forward takes no selector; nobody takes a MIPNet for one of them.
class MIPNetResNet(MultiInstance, PoseResNet):  # type: ignore[misc]
    """SimpleBaseline with modulation blocks before each of layers 1 to 4, where switched on.

    Source: the official program. The paper has the blocks at the end of stages 3 and 4, that is,
    after the layers.
    """

    def __init__(self, config: ResNetConfig, num_joints: int, mimb: Sequence[bool]) -> None:
        super().__init__(config, num_joints)
        self._insert("layer", [(c,) for c in (STEM_CHANNELS, *config.channels[:-1])], mimb)

    def segments(self) -> tuple[Segment, ...]:
        """Return the stem, layers 1 to 3, and layer 4 with the head."""
        return (
            lambda x: [self.stem(x[0])],
            lambda x: [self.layer1(x[0])],
            lambda x: [self.layer2(x[0])],
            lambda x: [self.layer3(x[0])],
            lambda x: [self.head(self.layer4(x[0]))],
        )


class MIPNetHRNet(MultiInstance, PoseHRNet):  # type: ignore[misc]
    """HRNet with modulation blocks on the inputs of stages 2 to 4 and of the head, if switched on.

    Source: the official program; the inputs of a stage are those after the transition to it.
    """

    def __init__(self, config: HRNetConfig, num_joints: int, mimb: Sequence[bool]) -> None:
        super().__init__(config, num_joints)
        self._insert("stage", [config.channels(n) for n in (2, 3, 4, 1)], mimb)

    def segments(self) -> tuple[Segment, ...]:
        """Return the stem, stages 2 and 3, each up to the inputs of the next; stage 4; the head."""
        return (
            lambda x: self.transition(1, [self.stem(x[0])]),
            lambda x: self.transition(2, self.stage(2, x)),
            lambda x: self.transition(3, self.stage(3, x)),
            lambda x: self.stage(4, x),
            lambda x: [self.head(x)],
        )


def build_resnet(depth: int, num_joints: int, mimb: Sequence[bool]) -> MIPNetResNet:
    """Return MIPNet on a ResNet of 50, 101 or 152 layers."""
    return MIPNetResNet(CONFIGS[depth], num_joints, mimb)


def build_hrnet(num_joints: int, mimb: Sequence[bool], **config: Any) -> MIPNetHRNet:
    """Return MIPNet on HRNet, of the `HRNetConfig` with these values."""
    return MIPNetHRNet(HRNetConfig(**config), num_joints, mimb)
