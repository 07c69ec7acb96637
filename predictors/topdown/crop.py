"""Person crops: from boxes to frames, from frames to pixels, and back to the image.

Only numpy and OpenCV, as this runs in worker processes. Two conventions are in use. ``classical``
(SimpleBaseline, HRNet, MIPNet) treats coordinates as sizes; ``size-minus-one`` (I2R-Net, like UDP)
takes them as distances between pixel centres. Sizes of crops and heatmaps are (height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from crowdbench.errors import InputError
from crowdbench.structures import Array

Convention = Literal["classical", "size-minus-one"]

# Scales are counted in units of this many pixels, and hold the box with a margin around it.
UNIT = 200
_MARGIN = 1.25


@dataclass(frozen=True)
class Frames:
    """What of the image each crop shows, in the numbers of the official code.

    Attributes:
        centres: (B, 2) float32 x and y of the middle, pixels of the image.
        scales: (B, 2) float32 padded width and height, in units of 200 pixels.
    """

    centres: Array
    scales: Array

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def areas(self) -> Array:
        """(B,) float64 px² of the padded boxes, which stand for the persons' sizes in OKS-NMS."""
        areas: Array = (self.scales.astype(np.float64) * UNIT).prod(axis=1)
        return areas


def clip_annotated(
    boxes: Array, width: int | Array, height: int | Array, convention: Convention
) -> tuple[Array, Array]:
    """Return annotated boxes clipped to their images, and which of them are left.

    Detected boxes are not clipped. Nor does this leave out what each protocol leaves out by other
    fields of the annotation (crowds, persons without keypoints or without area).

    Args:
        boxes: (B, 4) float64 xywh, pixels.
        width: of the image, or (B,) of each box's image, pixels.
        height: likewise.
        convention: ``classical`` takes one pixel off width and height even inside the image;
            ``size-minus-one`` does not.

    Returns:
        (B, 4) float64 xywh and (B,) bool; a box that does not reach into its image is False, and
        its numbers mean nothing.

    Source: HRNet and I2R-Net, the loading of COCO annotations.

    >>> boxes = np.array([[10.0, 20, 30, 40], [90, 20, 30, 40], [120, 20, 30, 40]])
    >>> clip_annotated(boxes, 100, 100, "classical")
    (array([[ 10.,  20.,  29.,  39.],
            [ 90.,  20.,   9.,  39.],
            [120.,  20., -21.,  39.]]), array([ True,  True, False]))
    """
    x, y, w, h = boxes.T
    left, top = np.maximum(x, 0), np.maximum(y, 0)
    right = np.minimum(width - 1, left + np.maximum(w - 1, 0))
    bottom = np.minimum(height - 1, top + np.maximum(h - 1, 0))
    # The corners are pixels: with size minus one, both ends count.
    sizes = np.stack([right - left, bottom - top], axis=1) + _less(convention)
    clipped = np.concatenate([np.stack([left, top], axis=1), sizes], axis=1)
    return clipped, (right >= left) & (bottom >= top)


def frames_of(boxes: Array, input_size: tuple[int, int], convention: Convention) -> Frames:
    """Return the frames of boxes: the shorter side enlarged to the crop's shape, plus a margin.

    Args:
        boxes: (B, 4) float64 xywh, pixels.
        input_size: height and width of the crops.
        convention: ``size-minus-one`` puts the centre half a pixel further left and up.

    Source: HRNet and I2R-Net, ``_xywh2cs``; float32 where they are. Deviation: there a box whose
    centre is at x = -1 exactly gets no margin.

    >>> frames_of(np.array([[10.0, 20, 30, 80]]), (256, 192), "classical")
    Frames(centres=array([[25., 60.]], dtype=float32), scales=array([[0.375, 0.5  ]],
    dtype=float32))
    """
    sizes = boxes[:, 2:]
    aspect = input_size[1] / input_size[0]
    widths, heights = sizes.T
    padded = np.where(
        (widths > aspect * heights)[:, None],
        np.stack([widths, widths / aspect], axis=1),
        np.stack([heights * aspect, heights], axis=1),
    )
    return Frames(
        (boxes[:, :2] + (sizes - _less(convention)) * 0.5).astype(np.float32),
        (padded / UNIT).astype(np.float32) * np.float32(_MARGIN),
    )


def has_map(frames: Frames, convention: Convention) -> Array:
    """Return (B,) bool: which frames can be cropped.

    False where a box has no extent: no width and no height, or, for ``size-minus-one``, a padded
    width of at most one pixel (the map would be singular or a mirror image). Drop those first.
    """
    found: Array = _arms(frames, convention).min(axis=1) > 0
    return found


def to_output(frames: Frames, output_size: tuple[int, int], convention: Convention) -> Array:
    """Return (B, 2, 3) float64: the affine map of each frame from the image to the crop.

    Args:
        frames: B frames.
        output_size: height and width of the crop, or of the heatmap.
        convention: see the module.

    Raises:
        InputError: if a frame has no map (see `has_map`).

    Source: HRNet, ``get_affine_transform`` without rotation, I2R-Net likewise. Solved in closed
    form instead of by elimination; equal to 1e-9 px, the float32 rounding of the points included.

    >>> frames = frames_of(np.array([[10.0, 20, 30, 80]]), (256, 192), "classical")
    >>> to_output(frames, (256, 192), "classical")
    array([[[ 2.56,  0.  , 32.  ],
            [ 0.  ,  2.56, -25.6 ]]])
    """
    mapped = has_map(frames, convention)
    if not mapped.all():
        row = int(mapped.argmin())
        raise InputError(f"frame {row} has no extent and cannot be cropped; has_map finds these")
    middle, arm = output_points(output_size, convention)
    factors = arm / _arms(frames, convention)
    return _affine(factors, middle - factors * frames.centres)


def to_image(frames: Frames, output_size: tuple[int, int], convention: Convention) -> Array:
    """Return (B, 2, 3) float64: the affine map of each frame from the crop to the image.

    Args:
        frames: B frames.
        output_size: height and width of the crop, or of the heatmap.
        convention: see the module.

    Source: as `to_output`, with ``inv=1``.
    """
    return _affine(*_image_map(frames, output_size, convention))


def to_image_points(
    points: Array, frames: Frames, output_size: tuple[int, int], convention: Convention
) -> Array:
    """Return (B, K, 2) float64: points of crops or heatmaps, in pixels of the image.

    Args:
        points: (B, K, 2) x and y in pixels of the crop or heatmap, the same row as its frame.
        frames: B frames.
        output_size: height and width of the crop, or of the heatmap.
        convention: see the module.

    >>> frames = frames_of(np.array([[10.0, 20, 30, 80]]), (256, 192), "classical")
    >>> to_image_points(np.array([[[24, 32], [0, 0]]]), frames, (64, 48), "classical").tolist()
    [[[25.0, 60.0], [-12.5, 10.0]]]
    """
    factors, offsets = _image_map(frames, output_size, convention)
    return points * factors[:, None] + offsets[:, None]


def crop_persons(
    image: Array, frames: Frames, input_size: tuple[int, int], convention: Convention
) -> Array:
    """Return (B, h, w, 3) uint8: each person's crop, bilinear, black beyond the image.

    Args:
        image: (H, W, 3) uint8; the crops keep its channel order.
        frames: B frames.
        input_size: height and width of the crops.
        convention: see the module.

    Raises:
        InputError: if a frame has no map (see `has_map`).

    Source: HRNet and I2R-Net, ``cv2.warpAffine`` on the 8-bit image. OpenCV 5 interpolates at the
    exact place, earlier ones at the nearest 1/32 px: the grey levels of smooth images differ by at
    most 1, those of white noise by up to 6.
    """
    return warp_crops(image, to_output(frames, input_size, convention), input_size)


def warp_crops(image: Array, maps: Array, input_size: tuple[int, int]) -> Array:
    """Return (B, h, w, 3) uint8: crops by their maps, bilinear, black beyond the image.

    Args:
        image: (H, W, 3) uint8; the crops keep its channel order.
        maps: (B, 2, 3) affine maps from the image to each crop.
        input_size: height and width of the crops.
    """
    height, width = input_size
    crops = np.empty((len(maps), height, width, 3), np.uint8)
    for crop, affine in zip(crops, maps, strict=True):
        cv2.warpAffine(image, affine, (width, height), dst=crop, flags=cv2.INTER_LINEAR)
    return crops


def _less(convention: Convention) -> int:
    """Return what the convention takes off every size."""
    return 1 if convention == "size-minus-one" else 0


def _arms(frames: Frames, convention: Convention) -> Array:
    """Return (B, 2) float64: how far left and up of the centre the reference points lie.

    They lie half a width away in both directions, as the height never enters. Rounded to float32
    step by step as the official points are, which makes the two differ a little.
    """
    x, y = frames.centres.T
    half = (frames.scales[:, 0] * np.float32(UNIT) - np.float32(_less(convention))) / np.float32(2)
    top = y - half
    left = x - (y - top)
    arms: Array = frames.centres.astype(np.float64) - np.stack([left, top], axis=1)
    return arms


def output_points(size: tuple[int, int], convention: Convention) -> tuple[Array, float]:
    """Return the middle of the crop (x, y) and how far the reference points lie from it."""
    height, width = size
    middle = (np.array([width, height]) - _less(convention)) / 2
    return middle, float(middle[0])


def _image_map(
    frames: Frames, size: tuple[int, int], convention: Convention
) -> tuple[Array, Array]:
    """Return the factors and offsets, (B, 2) float64 each, that lead from the crop to the image."""
    middle, arm = output_points(size, convention)
    factors = _arms(frames, convention) / arm
    return factors, frames.centres - factors * middle


def _affine(factors: Array, offsets: Array) -> Array:
    """Return (B, 2, 3): the axis-aligned maps with these factors and offsets, (B, 2) each."""
    return np.concatenate([factors[:, :, None] * np.eye(2), offsets[:, :, None]], axis=2)
