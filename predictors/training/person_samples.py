"""Crops of persons to learn from, with target heatmaps and their weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from predictors.topdown.crop import Convention, warp_crops
from predictors.topdown.position import position_masks
from predictors.training.augmentation import NONE, Augmentation, draw_views, move_joints
from predictors.training.examples import Example
from predictors.training.grouping import chosen_persons, moved_masks
from predictors.training.pairing import instances_of, settle_instances
from predictors.training.targets import make_targets


class PersonSamples(NamedTuple):
    """P crops and what the network should answer, as arrays or as tensors.

    Attributes:
        crops: (P, h, w, 3) uint8 RGB.
        targets: (P, N, K, h/4, w/4) float32 heatmaps of N instances.
        weights: (P, N, K) float32: 1 for joints that count, else 0.
        masks: (P, h, w) uint8 position masks; (P, 0, 0) of networks that take none.
        begins: (P,) bool: whether the crop is the first one of its image.
    """

    crops: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    masks: torch.Tensor
    begins: torch.Tensor

    @property
    def n(self) -> int:
        """P."""
        return len(self.crops)

    @property
    def lengths(self) -> list[int]:
        """How many crops each image has, of samples that are whole images."""
        starts = [*self.begins.nonzero().flatten().tolist(), len(self.begins)]
        return [stop - start for start, stop in pairwise(starts)]

    def rows(self, start: int, stop: int | None) -> PersonSamples:
        """Return some of the crops."""
        return PersonSamples(*(part[start:stop] for part in self))

    def on(self, device: str) -> PersonSamples:
        """Return the same on a device."""
        return PersonSamples(*(part.to(device, non_blocking=True) for part in self))


@dataclass(frozen=True)
class PersonSampling:
    """How samples are made of the persons of an image, one for each that is learned from.

    Attributes:
        input_size: height and width of the crops.
        sigma: of the target Gaussians, in pixels of the heatmap.
        augmentation: how far crops may differ from their boxes.
        n_instances: how many persons the network should find in each crop; of one, joints outside
            of the crop are left to the targets, as HRNet does it.
        seed: of the order of images and of all that is drawn for them.
        convention: of crops and targets.
        grouped: whether the persons of an image go through the network together. Batches are then
            whole images, and what is drawn is drawn once for all persons of the image.
        max_persons: of an image with more than these, some who stand together; None: all.
        masks: whether samples have position masks.
    """

    input_size: tuple[int, int]
    sigma: float
    augmentation: Augmentation
    n_instances: int = 1
    seed: int = 0
    convention: Convention = "classical"
    grouped: bool = False
    max_persons: int | None = None
    masks: bool = False

    @property
    def whole(self) -> bool:
        """Whether batches are whole images."""
        return self.grouped

    @property
    def plain(self) -> PersonSampling:
        """All persons, cropped as their boxes say."""
        return replace(self, augmentation=NONE, max_persons=None)

    def make(self, example: Example, skeleton: Skeleton, rng: np.random.Generator) -> PersonSamples:
        """Return the samples of an image, one for each person that is learned from.

        Args:
            example: the image with its persons.
            skeleton: the keypoint layout.
            rng: where the random numbers come from.
        """
        if self.max_persons is not None:
            rows = chosen_persons(example.boxes, self.max_persons, rng)
            example = example.persons(rows)
        image, keypoints, boxes = example.image, example.keypoints, example.boxes
        size, convention = self.input_size, self.convention
        views = draw_views(
            boxes, keypoints, image.shape[1], skeleton, size, self.augmentation, rng, convention,
            shared=self.grouped,
        )  # fmt: skip
        shown = keypoints[instances_of(boxes, self.n_instances)]
        joints = move_joints(shown, views, skeleton.partners)
        if self.n_instances > 1:
            joints = settle_instances(joints, size)
        masks = np.empty((len(boxes), 0, 0), np.uint8)
        if self.masks:
            image_size = image.shape[0], image.shape[1]
            masks = moved_masks(position_masks(boxes, image_size, size), views, image_size)
        arrays: tuple[Array, ...] = (
            warp_crops(image, views.maps, size),
            *make_targets(joints, size, self.sigma, convention),
            masks,
            np.arange(len(boxes)) == 0,
        )
        return PersonSamples(*map(torch.from_numpy, arrays))

    def join(self, parts: list[PersonSamples]) -> PersonSamples:
        """Return several as one."""
        return PersonSamples(*map(torch.cat, zip(*parts, strict=True)))
