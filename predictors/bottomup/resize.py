"""How an image is resized for a bottom-up network, and the way back.

Source: ``get_multi_scale_size``, ``resize_align_multi_scale`` and ``get_final_preds`` of
HigherHRNet, which DEKR and PINet took over.
"""

from __future__ import annotations

import cv2
import numpy as np

from crowdbench.structures import Array

_MULTIPLE = 64


def resized_size(
    image_size: tuple[int, int], short_side: int, scale: float = 1.0, smallest: float = 1.0
) -> tuple[int, int]:
    """Return height and width of the image as the network takes it.

    At the smallest scale both sides are multiples of 64 (of a long side the official code drops
    less than one pixel before it rounds up); at another one they are as many times that.

    Args:
        image_size: height and width of the image, pixels.
        short_side: that the network was trained with, pixels.
        scale: of the test.
        smallest: of the scales of the test for HigherHRNet; 1 for all others.

    >>> resized_size((480, 640), 512), resized_size((640, 480), 512, scale=0.5)
    ((512, 704), (352, 256))
    >>> resized_size((480, 640), 640), resized_size((480, 640), 640, smallest=0.5)
    ((640, 896), (640, 896))
    >>> resized_size((480, 520), 512), resized_size((480, 520), 512, smallest=0.5)
    ((512, 576), (512, 640))
    """
    height, width = image_size
    base = int((smallest * short_side + _MULTIPLE - 1) // _MULTIPLE * _MULTIPLE)
    shorter, longer = sorted(image_size)
    # In the official order of operations: floats decide whether a multiple is reached.
    long_base = int((base / shorter * longer + _MULTIPLE - 1) // _MULTIPLE * _MULTIPLE)
    short, long = int(base * scale / smallest), int(long_base * scale / smallest)
    return (long, short) if width < height else (short, long)


def resize(image: Array, size: tuple[int, int]) -> Array:
    """Return (h, w, 3) uint8: the image in the middle of a canvas, black around it.

    The image keeps its proportions; its short side fills the canvas.

    Args:
        image: (H, W, 3) uint8.
        size: height and width of the canvas, of `resized_size`.
    """
    factor, offset = _similarity((image.shape[0], image.shape[1]), size)
    matrix = np.array([[factor, 0, offset[0]], [0, factor, offset[1]]])
    resized: Array = cv2.warpAffine(image, matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR)
    return resized


def to_image_points(points: Array, image_size: tuple[int, int], size: tuple[int, int]) -> Array:
    """Return points of the resized image as points of the image.

    Args:
        points: (..., 2) x and y, pixels.
        image_size: height and width of the image, pixels.
        size: height and width that it was resized to.

    >>> to_image_points(np.array([[160.0, 128.0], [102.625, 71.625]]), (240, 290), (256, 320))
    array([[145.       , 120.       ],
           [ 91.2109375,  67.1484375]])
    """
    factor, offset = _similarity(image_size, size)
    on_image: Array = (points - offset) / factor
    return on_image


def _similarity(image_size: tuple[int, int], size: tuple[int, int]) -> tuple[float, Array]:
    """Return factor and offset, (2,) x and y, that lead from the image to the resized one."""
    height, width = image_size
    factor = size[1] / width if width < height else size[0] / height
    centre = np.array([int(width / 2 + 0.5), int(height / 2 + 0.5)])
    return factor, np.array([size[1], size[0]]) / 2 - factor * centre
