"""The recipes of networks that find the joints of a person in space: 3DMPPE's PoseNet and RootNet.

The official ones are not among them, as the images that they learn from can't be loaded here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from predictors.networks import VARIANTS
from predictors.topdown.crop import Convention
from predictors.training.augmentation import MILD, Augmentation
from predictors.training.losses import Objective
from predictors.training.recipe import Recipe
from predictors.training.space_losses import JointsInVolume, RootInCrop
from predictors.training.space_samples import JointSampling, RootSampling


@dataclass(frozen=True, kw_only=True)
class SpaceRecipe(Recipe):
    """A training on crops of persons whose joints in space are known.

    Attributes:
        batch_size: crops of a step.
        augmentation: how far crops may differ from their boxes.
        root_alone: whether the root is found, and how far away it is, not joints around it.
    """

    augmentation: Augmentation
    root_alone: bool = False

    @property
    def sampling(self) -> JointSampling | RootSampling:
        """How samples are made of images."""
        variant = VARIANTS[self.network]
        if self.root_alone:
            return RootSampling(variant.input_size, self.augmentation, self.seed)
        n_bins: int = variant.config["n_bins"]
        return JointSampling(variant.input_size, n_bins, self.augmentation, self.seed)

    @property
    def objective(self) -> Objective:
        """What is made small."""
        return RootInCrop() if self.root_alone else JointsInVolume()

    @property
    def boxes(self) -> Convention:
        """The convention of crops, by which boxes are clipped."""
        return "classical"

    @property
    def batch_words(self) -> str:
        """A batch's size, as users are told it."""
        return f"{self.batch_size} crops"


# The official program also covers parts of the crops by rectangles; here, persons cover each other.
_POSENET_TINY = SpaceRecipe(
    name="3dmppe-tiny",
    network="3dmppe-posenet-tiny",
    data="synthcrowd-3d-train",
    held_out="synthcrowd-3d-val",
    epochs=1.5,
    falls=(),
    batch_size=32,
    end_rate=2e-5,
    warm_up=100,
    start_from="hrnet-tiny",
    augmentation=replace(MILD, half_body_probability=0),
)
_ROOTNET_TINY = replace(
    _POSENET_TINY,
    name="3dmppe-rootnet-tiny",
    network="3dmppe-rootnet-tiny",
    augmentation=replace(MILD, half_body_probability=0, scale=0),
    root_alone=True,
)

IN_SPACE = (_POSENET_TINY, _ROOTNET_TINY)
