"""Splits whose images are really there as often as they were drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from crowdbench.structures import Array, GroundTruth, Poses


class Copied(NamedTuple):
    """A split with copied images.

    Attributes:
        truth: its persons.
        poses: its poses.
        images, persons, rows: which image, person and pose of the original each one is.
    """

    truth: GroundTruth
    poses: Poses
    images: Array
    persons: Array
    rows: Array


def copy_images(truth: GroundTruth, poses: Poses, weights: Array) -> Copied:
    """Return a split with every image as often as its weight says, the copies side by side."""
    images = np.repeat(np.arange(len(weights)), weights)
    persons, person_image = _of_images(truth.image_index, images, len(weights))
    rows, pose_image = _of_images(poses.image_index, images, len(weights))
    columns = ("keypoints", "boxes", "areas", "is_crowd", "is_ignored", "person_ids")
    copied = replace(
        truth,
        image_ids=np.arange(len(images)),
        image_index=person_image,
        crowd_index=None if truth.crowd_index is None else truth.crowd_index[images],
        max_iou=None,
        **{name: getattr(truth, name)[persons] for name in columns},
    )
    taken = replace(poses.take(rows), image_index=pose_image)
    return Copied(copied, taken, images, persons, rows)


def _of_images(image_index: Array, images: Array, n_images: int) -> tuple[Array, Array]:
    """Return the rows of some images, one after the other, and which of these each belongs to."""
    first = np.searchsorted(image_index, np.arange(n_images + 1))
    sizes = np.diff(first)[images]
    image = np.repeat(np.arange(len(images)), sizes)
    start = np.cumsum(sizes) - sizes
    return first[images][image] + np.arange(len(image)) - start[image], image
