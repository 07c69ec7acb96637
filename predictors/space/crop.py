"""Crops of 3DMPPE: boxes made sane and enlarged, and what of the image each shows.

Only numpy and OpenCV, as this runs in worker processes. Boxes are xywh in pixels of the image;
a crop shows its box, left edge on column 0 and right edge on column `width`. Sizes of crops and
maps are (height, width).
"""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array
from predictors.topdown.crop import clip_annotated, warp_crops

MARGIN = 1.25


def sanitised(boxes: Array, width: int, height: int) -> tuple[Array, Array]:
    """Return boxes clipped to their image, and which of them are left.

    Args:
        boxes: (B, 4) float64 xywh, annotated or detected.
        width: of the image, pixels.
        height: likewise.

    Returns:
        (B, 4) float64 xywh, of which width and height are one pixel less even inside the image; and
        (B,) bool, False where there is nothing to crop.

    Source: the official ``process_bbox``, its first part. Deviation: a box that comes out without
    width and height, such as one of one pixel, is left out, too; there its crop has no map.

    >>> boxes = np.array([[10.0, 20, 30, 40], [-5, 90, 30, 40], [9, 9, 1, 1], [120, 20, 30, 40]])
    >>> sanitised(boxes, 100, 100)
    (array([[ 10.,  20.,  29.,  39.],
           [  0.,  90.,  29.,   9.],
           [  9.,   9.,   0.,   0.],
           [120.,  20., -21.,  39.]]), array([ True,  True, False, False]))
    """
    sane, is_left = clip_annotated(boxes, width, height, "classical")
    has_map = sane[:, 2:].max(axis=1) > 0
    return sane, is_left & has_map & (boxes[:, 2:].prod(axis=1) > 0)


def enlarged(boxes: Array, input_size: tuple[int, int]) -> Array:
    """Return (B, 4) float64 xywh: the shorter side enlarged to the crop's shape, then both.

    The centre stays; boxes may leave the image.

    Args:
        boxes: (B, 4) float64 xywh, sanitised.
        input_size: height and width of the crops.

    Source: the official ``process_bbox``, its second part.

    >>> enlarged(np.array([[10.0, 20, 30, 80]]), (256, 256))
    array([[-25.,  10., 100., 100.]])
    """
    sizes = boxes[:, 2:]
    aspect = input_size[1] / input_size[0]
    widths, heights = sizes.T
    full = MARGIN * np.stack(
        [np.maximum(widths, heights * aspect), np.maximum(heights, widths / aspect)], axis=1
    )
    return np.concatenate([boxes[:, :2] + (sizes - full) / 2, full], axis=1)


def crop_boxes(image: Array, boxes: Array, input_size: tuple[int, int]) -> Array:
    """Return (B, h, w, 3) uint8: what is in each box, bilinear, black beyond the image.

    Args:
        image: (H, W, 3) uint8; the crops keep its channel order.
        boxes: (B, 4) float64 xywh of some width and height, enlarged.
        input_size: height and width of the crops.

    Source: the official ``generate_patch_image``. Deviation: its points are rounded to float32.
    """
    return warp_crops(image, to_crop(boxes, input_size), input_size)


def to_crop(boxes: Array, input_size: tuple[int, int]) -> Array:
    """Return (B, 2, 3) float64: the map from the image to the crop of each box.

    >>> to_crop(np.array([[-25.0, 10, 100, 100]]), (256, 256))
    array([[[ 2.56,  0.  , 64.  ],
            [ 0.  ,  2.56, -25.6 ]]])
    """
    factors = np.array(input_size[::-1]) / boxes[:, 2:]
    offsets = -boxes[:, :2] * factors
    return np.concatenate([factors[:, :, None] * np.eye(2), offsets[:, :, None]], axis=2)
