"""Persons of an image that are learned from together: which of them, and where they stand."""

from __future__ import annotations

import cv2
import numpy as np

from crowdbench.structures import Array
from predictors.topdown.nearest import nearest
from predictors.training.augmentation import Views, turns_by


def chosen_persons(boxes: Array, limit: int, rng: np.random.Generator) -> Array:
    """Return (min(P, limit),) int64: ascending rows of the persons that are learned from.

    Args:
        boxes: (P, 4) float64 xywh of all persons of an image, pixels.
        limit: how many there may be, at least 1.
        rng: which person the others are near to; not asked where all are taken.

    Source: I2R-Net's program: one person is drawn, and those are taken whose boxes' top-left
    corners are nearest to its own. Here the person itself is among them also where others have the
    same corner; of two at the same distance the first is taken, and they keep their order.
    """
    n_persons = len(boxes)
    if n_persons <= limit:
        return np.arange(n_persons)
    drawn = int(rng.integers(n_persons))
    found: Array = np.sort(nearest(boxes[:, :2], limit)[drawn])
    return found


def moved_masks(masks: Array, views: Views, image_size: tuple[int, int]) -> Array:
    """Return (P, h, w) uint8: position masks of the image as the views turn and mirror it.

    Args:
        masks: (P, h, w) uint8 of `predictors.topdown.position.position_masks`.
        views: of the P crops.
        image_size: height and width of the image, which tells how far masks are stretched.

    The image turns around its middle, by the angle and in the direction in which the crops turn, so
    that persons stand to each other as the crops show them; what leaves the image is cut off. How
    much of the image a crop shows (scale, half a body) leaves the mask as it is: that is no change
    of where persons stand. The official code mirrors and turns masks, too; about which
    point is not known.
    """
    height, width = masks.shape[1:]
    stretch = np.array([width / image_size[1], height / image_size[0]])
    linear = stretch[:, None] * turns_by(views.angles) / stretch
    linear[:, :, 0] *= np.where(views.mirrored, -1, 1)[:, None]
    middle = (np.array([width, height]) - 1) / 2
    maps = np.concatenate([linear, (middle - linear @ middle)[:, :, None]], axis=2)
    moved = np.empty_like(masks)
    for given, affine, wanted in zip(masks, maps, moved, strict=True):
        cv2.warpAffine(given, affine, (width, height), dst=wanted, flags=cv2.INTER_LINEAR)
    return moved
