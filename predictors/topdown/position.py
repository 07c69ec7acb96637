"""Where in its image each person stands: the position masks of I2R-Net.

Only numpy and OpenCV, as this runs in worker processes. Sizes are (height, width).
"""

from __future__ import annotations

import cv2
import numpy as np

from crowdbench.structures import Array

_FILLED = 255


def position_masks(boxes: Array, image_size: tuple[int, int], input_size: tuple[int, int]) -> Array:
    """Return (P, h, w) uint8: each box as a filled rectangle in its whole image, made small.

    Args:
        boxes: (P, 4) float64 xywh, pixels of the image.
        image_size: height and width of the image.
        input_size: height and width of the masks, those of the crops. The image is stretched to it,
            whatever its shape.

    Returns:
        255 inside, 0 outside, and what bilinear interpolation makes of the border. A box beside
        the image, or too thin for the smaller mask, leaves none.

    Source: the official program of I2R-Net, which draws filled rectangles. Assumed: that they are
    drawn as OpenCV does it from corners cut down to whole pixels, which both belong to the
    rectangle, and that annotated boxes have been clipped.

    >>> position_masks(np.array([[2.0, 0, 1, 1]]), (4, 4), (2, 2)).tolist()
    [[[0, 255], [0, 0]]]
    """
    height, width = input_size
    masks = np.empty((len(boxes), height, width), np.uint8)
    canvas = np.zeros(image_size, np.uint8)
    # One pixel beside the image is as far as a corner needs to lie, and OpenCV takes 32-bit ones.
    limits = np.array([image_size[1], image_size[0]])
    first = np.clip(np.trunc(boxes[:, :2]), -1, limits).astype(int)
    last = np.clip(np.trunc(boxes[:, :2] + boxes[:, 2:]), -1, limits).astype(int)
    for mask, start, stop in zip(masks, first.tolist(), last.tolist(), strict=True):
        cv2.rectangle(canvas, start, stop, _FILLED, cv2.FILLED)
        cv2.resize(canvas, (width, height), dst=mask, interpolation=cv2.INTER_LINEAR)
        cv2.rectangle(canvas, start, stop, 0, cv2.FILLED)
    return masks
