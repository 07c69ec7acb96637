"""Whole images to learn from: cuts of them, and what a bottom-up network should answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch

from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from predictors.bottomup.partitions import find_partition
from predictors.topdown.crop import warp_crops
from predictors.training.augmentation import move_joints
from predictors.training.examples import Example
from predictors.training.image_augmentation import MIDDLE, ImageAugmentation, draw_cut
from predictors.training.image_targets import point_maps, pose_places, strongest
from predictors.training.targets import STRIDE

AreaRule = Literal["box", "origin"]
# Area of persons whose box has none, px².
_LEAST = 1.0


class ImageSamples(NamedTuple):
    """N cuts of images and what the network should answer; M places at which poses are learned.

    Attributes:
        crops: (N, h, w, 3) uint8 RGB.
        maps: (N, J + S, h/4, w/4) float32 Gaussians: of the J joints, then of the centres of the S
            parts.
        places: (M, 4) int64 image, part, row, column.
        offsets: (M, J, 2) float32 x and y of the place less those of each joint, pixels of maps.
        weights: (M, J) float32; 0 of joints that don't count.
        sizes: (M, J) float32 size of the person whose joint it is, pixels of the crop.
        chosen: (N, C) int64 rows of the places where a pose is refined and accuracy measured; -1
            where there are fewer.
    """

    crops: torch.Tensor
    maps: torch.Tensor
    places: torch.Tensor
    offsets: torch.Tensor
    weights: torch.Tensor
    sizes: torch.Tensor
    chosen: torch.Tensor

    @property
    def n(self) -> int:
        """N."""
        return len(self.crops)

    def on(self, device: str) -> ImageSamples:
        """Return the same on a device."""
        return ImageSamples(*(part.to(device, non_blocking=True) for part in self))


@dataclass(frozen=True)
class ImageSampling:
    """How a sample is made of an image; an image without persons gives none.

    Attributes:
        input_size: height and width of the cuts, which are equal.
        augmentation: how far cuts may differ from the middle of the image.
        partition: of the body, by name; each part's centre is the mean of its labelled joints.
        sigma: of the joints' Gaussians, in pixels of the maps.
        centre_sigma: of the centres'.
        block: first and last pixel along both axes, from a centre, where poses are learned.
        area: what tells a person's size: ``box``, width times height of the annotated box;
            ``origin``, squared distance of the furthest joints from the image's top-left corner
            (DEKR).
        least_box: persons whose box has a smaller area in the cut, in px², have no centre.
        least_area: persons whose annotated area is smaller, in px² of the image, have no centre.
        n_chosen: how many places of each part are refined, at most.
        seed: of the order of images and of all that is drawn for them.
    """

    input_size: tuple[int, int]
    augmentation: ImageAugmentation
    partition: str
    sigma: float
    centre_sigma: float
    block: tuple[int, int]
    area: AreaRule = "box"
    least_box: float = 0
    least_area: float = 0
    n_chosen: int = 40
    seed: int = 0

    @property
    def whole(self) -> bool:
        """Batches are whole images."""
        return True

    @property
    def plain(self) -> ImageSampling:
        """The middle of the image, whose short side is the cut's."""
        return replace(self, augmentation=MIDDLE)

    def make(self, example: Example, skeleton: Skeleton, rng: np.random.Generator) -> ImageSamples:
        """Return the sample of an image.

        Args:
            example: the image with its persons.
            skeleton: the keypoint layout.
            rng: where the random numbers come from.
        """
        image, size = example.image, self.input_size
        views, factor = draw_cut((image.shape[0], image.shape[1]), size, self.augmentation, rng)
        joints = move_joints(example.keypoints[None], views, skeleton.partners)[0]
        joints[..., :2] /= STRIDE
        partition = find_partition(self.partition)
        centres = partition.centres(joints, skeleton)
        boxes = np.maximum(example.boxes[:, 2:].prod(axis=1), _LEAST) * factor**2
        centres[(boxes < self.least_box) | (example.areas < self.least_area), :, 2] = 0
        map_size = size[0] // STRIDE, size[1] // STRIDE
        sigmas = np.repeat([self.sigma, self.centre_sigma], [len(skeleton), len(partition)])
        maps = point_maps(np.concatenate([joints, centres], axis=1), map_size, sigmas)
        areas = boxes if self.area == "box" else _from_origin(example.keypoints) * factor**2
        found = pose_places(joints, centres, areas, np.sqrt(boxes), map_size, self.block)
        chosen = strongest(found, maps[len(skeleton) :], len(partition), self.n_chosen)
        n = min(len(joints), 1)
        places = np.concatenate([np.zeros((len(found.places), 1), np.int64), found.places], axis=1)
        arrays: tuple[Array, ...] = (
            warp_crops(image, views.maps, size)[:n], maps[None][:n], places, *found[1:],
            chosen[None][:n],
        )  # fmt: skip
        return ImageSamples(*map(torch.from_numpy, arrays))

    def join(self, parts: list[ImageSamples]) -> ImageSamples:
        """Return the samples of several images as one."""
        joined = ImageSamples(*map(torch.cat, zip(*parts, strict=True)))
        image = firsts = 0
        for part, chosen in zip(parts, joined.chosen, strict=True):
            n = len(part.places)
            joined.places[firsts : firsts + n, 0] = image
            chosen[chosen >= 0] += firsts
            image, firsts = image + 1, firsts + n
        return joined


def _from_origin(keypoints: Array) -> Array:
    """Return (P,) float64 px²: squares of the greatest x and y of the labelled joints, summed.

    Source: DEKR's program: it takes the extent of all joints, of which those not labelled are at
    (0, 0), and so is one more that is not filled in yet.
    """
    points = np.where(keypoints[..., 2:] > 0, keypoints[..., :2], 0)
    found: Array = np.maximum(np.square(points.max(axis=1)).sum(axis=1), _LEAST)
    return found
