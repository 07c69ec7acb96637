"""Crops of persons to learn from, with their joints in a volume, or with their roots.

Crops are 3DMPPE's: the annotated box clipped to the image, its shorter side enlarged to a square,
both sides times 1.25. The numbers are those of the convention ``classical``, whose frames are the
same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from predictors.space.crop import enlarged
from predictors.space.decoding import bins_of, k_of
from predictors.topdown.crop import warp_crops
from predictors.training.augmentation import NONE, Augmentation, Views, draw_views, move_joints
from predictors.training.examples import Example
from predictors.training.targets import STRIDE


class JointSamples(NamedTuple):
    """P crops and where in their volumes the joints are, as arrays or as tensors.

    Attributes:
        crops: (P, h, w, 3) uint8 RGB.
        joints: (P, K, 3) float32 x and y in pixels of the maps, and the bin of depth, from 0.
        weights: (P, K) float32: 1 for joints that count, else 0.
    """

    crops: torch.Tensor
    joints: torch.Tensor
    weights: torch.Tensor

    @property
    def n(self) -> int:
        """How many crops there are."""
        return len(self.crops)

    def rows(self, start: int, stop: int | None) -> JointSamples:
        """Return some of the crops."""
        return JointSamples(*(part[start:stop] for part in self))

    def on(self, device: str) -> JointSamples:
        """Return the same on a device."""
        return JointSamples(*(part.to(device, non_blocking=True) for part in self))


class RootSamples(NamedTuple):
    """P crops and where the persons' roots are, as arrays or as tensors.

    Attributes:
        crops: (P, h, w, 3) uint8 RGB.
        roots: (P, 3) float32 x and y in pixels of the map, and gamma: the depth divided by k.
        weights: (P, 2) float32: 1 if the place counts, and if the depth counts, else 0.
        k_mm: (P,) float32 mm, the depth at which the box would be two metres wide; 0 where the
            camera is not known.
    """

    crops: torch.Tensor
    roots: torch.Tensor
    weights: torch.Tensor
    k_mm: torch.Tensor

    @property
    def n(self) -> int:
        """How many crops there are."""
        return len(self.crops)

    def rows(self, start: int, stop: int | None) -> RootSamples:
        """Return some of the crops."""
        return RootSamples(*(part[start:stop] for part in self))

    def on(self, device: str) -> RootSamples:
        """Return the same on a device."""
        return RootSamples(*(part.to(device, non_blocking=True) for part in self))


@dataclass(frozen=True)
class JointSampling:
    """How PoseNet's samples are made of the persons of an image, one for each.

    Attributes:
        input_size: height and width of the crops, which are equal.
        n_bins: of the volume's depth.
        augmentation: how far crops may differ from their boxes.
        seed: of the order of images and of all that is drawn for them.
    """

    input_size: tuple[int, int]
    n_bins: int
    augmentation: Augmentation
    seed: int = 0

    @property
    def whole(self) -> bool:
        """Batches are so many crops."""
        return False

    @property
    def plain(self) -> JointSampling:
        """Persons cropped as their boxes say."""
        return replace(self, augmentation=NONE)

    def make(self, example: Example, skeleton: Skeleton, rng: np.random.Generator) -> JointSamples:
        """Return the samples of an image, one for each person.

        Args:
            example: the image with its persons, who have joints in space.
            skeleton: the keypoint layout.
            rng: where the random numbers come from.

        Source: the official training. A joint outside of the crop or of the volume does not count.
        What turns or mirrors the crop leaves the depth as it is.
        """
        assert example.joints_mm is not None
        views = _draw(example, skeleton, self.input_size, self.augmentation, rng)
        labelled = example.keypoints[..., 2] > 0
        depths = example.joints_mm[..., 2]
        bins = bins_of(depths - depths[:, [skeleton.root]], self.n_bins)
        points = np.concatenate(
            [example.keypoints[..., :2], bins[..., None], labelled[..., None]], axis=-1
        )
        moved = move_joints(points, views, skeleton.partners)
        moved[..., :2] /= STRIDE
        height, width = (side // STRIDE for side in self.input_size)
        joints = moved[..., :3]
        inside = ((joints >= 0) & (joints < (width, height, self.n_bins))).all(axis=-1)
        arrays: tuple[Array, ...] = (
            warp_crops(example.image, views.maps, self.input_size),
            joints.astype(np.float32),
            (inside & (moved[..., 3] > 0)).astype(np.float32),
        )
        return JointSamples(*map(torch.from_numpy, arrays))

    def join(self, parts: list[JointSamples]) -> JointSamples:
        """Return several as one."""
        return JointSamples(*map(torch.cat, zip(*parts, strict=True)))


@dataclass(frozen=True)
class RootSampling:
    """How RootNet's samples are made of the persons of an image, one for each.

    Attributes:
        input_size: height and width of the crops, which are equal.
        augmentation: how far crops may differ from their boxes; their scale may not, as the size of
            the box is what tells the distance.
        seed: of the order of images and of all that is drawn for them.
    """

    input_size: tuple[int, int]
    augmentation: Augmentation
    seed: int = 0

    def __post_init__(self) -> None:
        assert self.augmentation.scale == self.augmentation.half_body_probability == 0

    @property
    def whole(self) -> bool:
        """Batches are so many crops."""
        return False

    @property
    def plain(self) -> RootSampling:
        """Persons cropped as their boxes say."""
        return replace(self, augmentation=NONE)

    def make(self, example: Example, skeleton: Skeleton, rng: np.random.Generator) -> RootSamples:
        """Return the samples of an image, one for each person.

        Args:
            example: the image with its persons, who have joints in space.
            skeleton: the keypoint layout.
            rng: where the random numbers come from.

        Source: the official training. A root outside of the crop does not count; its depth does not
        either, nor that of a person whose camera is not known.
        """
        assert example.joints_mm is not None
        assert example.camera is not None
        views = _draw(example, skeleton, self.input_size, self.augmentation, rng)
        # The root is on no side of the body, so that it stays what it is in a mirror image.
        roots = move_joints(example.keypoints, views, skeleton.partners)[:, skeleton.root]
        places = roots[:, :2] / STRIDE
        height, width = (side // STRIDE for side in self.input_size)
        inside = ((places >= 0) & (places < (width, height))).all(axis=1) & (roots[:, 2] > 0)
        cameras = np.broadcast_to(example.camera, (len(example.boxes), 4))
        k_mm = k_of(enlarged(example.boxes, self.input_size), cameras)
        is_known = np.isfinite(k_mm)
        k_mm = np.where(is_known, k_mm, 0)
        gammas = example.joints_mm[:, skeleton.root, 2] / np.where(is_known, k_mm, np.inf)
        arrays: tuple[Array, ...] = (
            warp_crops(example.image, views.maps, self.input_size),
            np.concatenate([places, gammas[:, None]], axis=1).astype(np.float32),
            np.stack([inside, inside & is_known], axis=1).astype(np.float32),
            k_mm.astype(np.float32),
        )
        return RootSamples(*map(torch.from_numpy, arrays))

    def join(self, parts: list[RootSamples]) -> RootSamples:
        """Return several as one."""
        return RootSamples(*map(torch.cat, zip(*parts, strict=True)))


def _draw(
    example: Example,
    skeleton: Skeleton,
    size: tuple[int, int],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Views:
    """Return a random view of each person."""
    width = example.image.shape[1]
    return draw_views(
        example.boxes, example.keypoints, width, skeleton, size, augmentation, rng, "classical"
    )
