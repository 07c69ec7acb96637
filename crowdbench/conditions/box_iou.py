"""How much the boxes of the persons of an image overlap."""

from __future__ import annotations

import numpy as np

from crowdbench.metrics.oks import pairs_within
from crowdbench.structures import Array


def highest_iou(boxes: Array, image_index: Array) -> Array:
    """Return each box's highest IoU with another box of its image.

    Args:
        boxes: (P, 4) xywh.
        image_index: (P,) ascending.

    Returns:
        (P,) float64 in [0, 1]; 0 for a box that is alone.

    Source: the continuous IoU of COCO's boxes (no +1); two empty boxes have IoU 0.
    """
    highest = np.zeros(len(boxes))
    first, second = pairs_within(image_index)
    x, y, w, h = (np.ascontiguousarray(column) for column in boxes.T)
    right, bottom, areas = x + w, y + h, w * h
    width = np.minimum(right[first], right[second])
    width -= np.maximum(x[first], x[second])
    height = np.minimum(bottom[first], bottom[second])
    height -= np.maximum(y[first], y[second])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    rows = np.flatnonzero(common > 0)
    first, second, common = first[rows], second[rows], common[rows]
    iou = common / (areas[first] + areas[second] - common)
    np.maximum.at(highest, first, iou)
    np.maximum.at(highest, second, iou)
    return highest


def image_means(values: Array, image_index: Array, n_images: int) -> Array:
    """Return the mean of the persons' values in each image, NaN for an image without persons."""
    counts = np.bincount(image_index, minlength=n_images)
    sums = np.bincount(image_index, weights=values, minlength=n_images)
    with np.errstate(invalid="ignore"):
        means: Array = sums / counts
    return means
