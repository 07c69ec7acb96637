"""Crops that differ each time: turned, scaled, mirrored, or of half the body.

The random numbers come from a generator that the caller seeds for each image, so that a crop does
not depend on who makes it or in which order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from predictors.topdown.crop import (
    UNIT,
    Convention,
    Frames,
    frames_of,
    has_map,
    output_points,
    to_output,
)

# How much larger than the joints of half a body its frame is.
_HALF_BODY_MARGIN = 1.5
_LOWER_BODY = ("hip", "knee", "ankle")


@dataclass(frozen=True)
class Augmentation:
    """How far crops may differ from what the box says.

    Attributes:
        rotation: standard deviation of the angle in degrees; cut at twice as much.
        rotation_probability: of a crop to be turned at all.
        scale: standard deviation of the factor, around 1; cut at as much.
        flip_probability: of a crop to be mirrored.
        half_body_probability: of a crop to show the upper or the lower body alone.
        half_body_above: only persons with more labelled joints than this are cut in half.
    """

    rotation: float
    rotation_probability: float
    scale: float
    flip_probability: float
    half_body_probability: float
    half_body_above: int = 8


HRNET = Augmentation(45, 0.6, 0.35, 0.5, 0.3)
SIMPLEBASELINE = replace(HRNET, rotation=40, scale=0.3, half_body_probability=0)
# For trainings of a hundredth of the papers' length: crops closer to those of a test.
MILD = Augmentation(15, 0.6, 0.15, 0.5, 0.1)
NONE = Augmentation(0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Views:
    """What each crop of an image shows.

    Attributes:
        maps: (P, 2, 3) float64 affine maps from the image to the crop.
        mirrored: (P,) bool whether the crop shows a mirror image.
        angles: (P,) float64 degrees by which the frame is turned.
    """

    maps: Array
    mirrored: Array
    angles: Array


def draw_views(
    boxes: Array,
    keypoints: Array,
    image_width: int,
    skeleton: Skeleton,
    input_size: tuple[int, int],
    augmentation: Augmentation,
    rng: np.random.Generator,
    convention: Convention = "classical",
    *,
    shared: bool = False,
) -> Views:
    """Return a random view of each person.

    Args:
        boxes: (P, 4) float64 xywh, pixels.
        keypoints: (P, K, 3) float64 x, y in pixels of the image, and whether labelled (> 0).
        image_width: pixels.
        skeleton: the keypoint layout.
        input_size: height and width of the crops.
        augmentation: how far they may differ.
        rng: where the random numbers come from.
        convention: of crops.
        shared: whether mirror, rotation, scale and whether bodies are cut in half are drawn once
            for all persons of the image. Which half it is, is each person's own.

    Source: HRNet, ``JointsDataset``: first half of the body, then scale, rotation, mirror; I2R-Net
    for what is shared. Deviations: the image is not mirrored before it is turned; the maps say both
    at once. A frame that the factor would leave without extent keeps its size.
    """
    n_persons = len(boxes)
    n = 1 if shared else n_persons
    frames = frames_of(boxes, input_size, convention)
    labelled = keypoints[:, :, 2] > 0
    halved = rng.random(n) < augmentation.half_body_probability
    many = labelled.sum(axis=1) > augmentation.half_body_above
    for row in np.flatnonzero(halved & many):
        half = half_body(keypoints[row], skeleton, input_size, rng)
        if half is not None and has_map(Frames(*(part[None] for part in half)), convention)[0]:
            frames.centres[row], frames.scales[row] = half
    spread = augmentation.scale
    factors = np.clip(1 + rng.standard_normal(n) * spread, 1 - spread, 1 + spread)
    std = augmentation.rotation
    angles = np.clip(rng.standard_normal(n) * std, -2 * std, 2 * std)
    angles = np.where(rng.random(n) < augmentation.rotation_probability, angles, 0)
    mirrored = rng.random(n) < augmentation.flip_probability
    angles = np.broadcast_to(angles, n_persons)
    mirrored = np.broadcast_to(mirrored, n_persons)
    scaled = Frames(frames.centres, frames.scales * factors[:, None].astype(np.float32))
    fits = has_map(scaled, convention)[:, None]
    scaled = Frames(frames.centres, np.where(fits, scaled.scales, frames.scales))
    maps = view_maps(scaled, angles, mirrored, image_width, input_size, convention)
    return Views(maps, mirrored, angles)


def half_body(
    keypoints: Array, skeleton: Skeleton, input_size: tuple[int, int], rng: np.random.Generator
) -> tuple[Array, Array] | None:
    """Return centre and scale of a frame around the upper or the lower body, or None.

    Args:
        keypoints: (K, 3) x, y in pixels, and whether labelled (> 0).
        skeleton: the keypoint layout; hips, knees and ankles are the lower body.
        input_size: height and width of the crop.
        rng: which half, where both have more than two joints.

    Returns:
        (2,) float32 each, as in `predictors.topdown.crop.Frames`. None if there are fewer than two
        joints.

    Source: HRNet, ``half_body_transform``. It asks a normal number to be below 0.5, which favours
    the upper body with 69 %.
    """
    labelled = keypoints[:, 2] > 0
    is_lower = np.array([name.endswith(_LOWER_BODY) for name in skeleton.keypoints])
    upper, lower = (keypoints[labelled & part, :2] for part in (~is_lower, is_lower))
    wants_upper = rng.standard_normal() < 0.5
    prefers_upper = (wants_upper and len(upper) > 2) or len(lower) <= 2
    points = upper if prefers_upper else lower
    if len(points) < 2:
        return None
    width, height = np.ptp(points, axis=0)
    aspect = input_size[1] / input_size[0]
    padded = np.array([max(width, height * aspect), max(height, width / aspect)])
    if not padded.all():
        return None
    scale = (padded / UNIT * _HALF_BODY_MARGIN).astype(np.float32)
    return points.mean(axis=0).astype(np.float32), scale


def view_maps(
    frames: Frames,
    angles: Array,
    mirrored: Array,
    image_width: int,
    input_size: tuple[int, int],
    convention: Convention = "classical",
) -> Array:
    """Return (P, 2, 3) float64: the affine maps of turned and mirrored frames.

    Args:
        frames: P frames of the image as it is.
        angles: (P,) degrees by which the frame is turned; the person turns the other way.
        mirrored: (P,) bool whether the image is mirrored first, and the frame with it.
        image_width: pixels.
        input_size: height and width of the crops.
        convention: of crops.

    Source: HRNet and I2R-Net, ``get_affine_transform``. Without an angle and not mirrored, exactly
    `predictors.topdown.crop.to_output`.
    """
    centres = frames.centres.astype(np.float64)
    centres[:, 0] = np.where(mirrored, image_width - 1 - centres[:, 0], centres[:, 0])
    straight = to_output(frames, input_size, convention)
    # The factors of both axes differ in the last bits.
    linear = turns_by(angles) * straight[:, [0, 1], [0, 1]][:, None]
    middle, _ = output_points(input_size, convention)
    offsets = middle - (linear * centres[:, None]).sum(axis=2)
    # Of the mirror x -> width - 1 - x, which comes first.
    offsets += np.where(mirrored[:, None], linear[:, :, 0] * (image_width - 1), 0)
    linear[:, :, 0] *= np.where(mirrored, -1, 1)[:, None]
    return np.concatenate([linear, offsets[:, :, None]], axis=2)


def turns_by(angles: Array) -> Array:
    """Return (P, 2, 2) float64: how frames turned by (P,) degrees turn what they show."""
    radians = np.deg2rad(angles)
    sines, cosines = np.sin(radians), np.cos(radians)
    return np.stack([np.stack([cosines, sines], 1), np.stack([-sines, cosines], 1)], 1)


def move_joints(keypoints: Array, views: Views, mirror: list[int]) -> Array:
    """Return (P, ..., K, 3): joints in the pixels of crops.

    Args:
        keypoints: (P, ..., K, 3) x, y in pixels of the image; the third number is kept.
        views: of the P crops.
        mirror: for each keypoint the one that takes its place in a mirror image.
    """
    between = (1,) * (keypoints.ndim - 2)
    linear = views.maps[:, :, :2].reshape(-1, *between, 2, 2)
    offsets = views.maps[:, :, 2].reshape(-1, *between, 2)
    moved = keypoints.copy()
    moved[..., :2] = (linear @ keypoints[..., :2, None])[..., 0] + offsets
    moved[views.mirrored] = moved[views.mirrored][..., mirror, :]
    return moved
