"""The recipes of networks that see poses in space: PI-Net, and those of its ablation.

There is none of the paper's own training: it learns from MuCo-3DHP, which crowdbench does not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crowdbench.skeletons import MUPOTS_17
from predictors.training.losses import Objective
from predictors.training.pose_losses import PoseRefinement, Statistics
from predictors.training.pose_scenes import SceneSampling
from predictors.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class PoseRecipe(Recipe):
    """A training on the poses that an estimator gave for the persons of images.

    Attributes:
        batch_size: images of a step, of which each person is the target of one pass.
        statistics: see `PoseRefinement`.
        mirrors: see `SceneSampling`.
    """

    statistics: Statistics = "input"
    mirrors: bool = True

    @property
    def sampling(self) -> SceneSampling:
        """How samples are made of scenes."""
        return SceneSampling(self.seed, self.mirrors)

    @property
    def objective(self) -> Objective:
        """What is made small."""
        return PoseRefinement(self.statistics, MUPOTS_17.root)

    @property
    def boxes(self) -> None:
        """Boxes only tell who is near, as they are annotated."""

    @property
    def batch_words(self) -> str:
        """A batch's size, as users are told it."""
        return f"{self.batch_size} images"

    @property
    def counted(self) -> str:
        """What a sample is, in the plural, as users are told it."""
        return "persons"

    def inputs(self, samples: Any) -> Any:
        """Return what goes into the network: of each number of persons, (P, N, K, 3) mm."""
        return [together.base_mm for together in samples.passes]


def _synthcrowd(network: str, name: str = "") -> PoseRecipe:
    """Return the recipe of a network for SynthCrowd.

    The paper's learning rate, 1e-5, is for some 200,000 steps of 4; here there are some 7,500.
    """
    return PoseRecipe(
        name=name or network,
        network=network,
        data="synthcrowd-3d-train",
        held_out="synthcrowd-3d-val",
        epochs=15,
        falls=(),
        batch_size=16,
        learning_rate=1e-3,
        end_rate=1e-7,
        power=0.9,
        warm_up=100,
        stored="float16",
    )


POSES = (
    _synthcrowd("pi-net", "pi-net-synthcrowd"),
    *map(
        _synthcrowd,
        (
            "pi-net-no-attention",
            "pi-net-unidirectional",
            "pi-net-unidirectional-no-attention",
            "pi-net-gru-2",
            "pi-net-gru-4",
            "pi-net-lstm-2",
            "pi-net-lstm-3",
            "pi-net-lstm-4",
            "pi-net-gcn",
        ),
    ),
)
