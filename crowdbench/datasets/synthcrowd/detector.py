"""A simulated person detector: boxes as a real one gives them, with its typical errors.

It looks at the truth, never at the pixels, and errs as detectors of the Faster R-CNN kind do:

- who is mostly covered or small is scored lower and may be missed;
- boxes are off by a few percent of their size, now and then by much more, and a covered person's
  box shrinks towards what can be seen;
- parts of a person, two persons at once, and empty background get boxes, too, most with low scores;
- of boxes that overlap by more than `NMS_IOU` only the best is kept, which swallows people who
  stand in front of each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.datasets.synthcrowd.draws import Draws
from crowdbench.structures import Array

NMS_IOU = 0.6
# Boxes with lower scores are not kept, as in detectors' result files.
MIN_SCORE = 0.01
# First word of every image's seed; another value is another detector.
_SEED = 20_240_229
_MIN_SIDE = 4.0
# Bad crops tried per person; unlikely ones get no box.
_N_PARTS = 4
_N_BACKGROUND = 24


class Targets(NamedTuple):
    """What the detector needs to know of the P persons of an image.

    Attributes:
        boxes: (P, 4) xywh around the whole silhouettes, pixels.
        visible_boxes: (P, 4) xywh around what can be seen of them; no matter for whom nothing can.
        visible_fractions: (P,) what can be seen of the silhouette.
    """

    boxes: Array
    visible_boxes: Array
    visible_fractions: Array


class Detections(NamedTuple):
    """What the detector found.

    Attributes:
        boxes: (B, 4) float64 xywh inside the image, two decimals, the best first.
        scores: (B,) float64 in [0.01, 1], four decimals.
    """

    boxes: Array
    scores: Array


def detect(people: Targets, size: tuple[int, int], seed: tuple[int, ...]) -> Detections:
    """Return the boxes that the simulated detector gives for an image.

    Args:
        people: the truth.
        size: width and height of the image, pixels.
        seed: non-negative numbers that name the image; the same ones give the same boxes.
    """
    draws, visible = Draws(_SEED, *seed), people.visible_fractions

    def uniform(*shape: int) -> Array:
        return draws.uniform(0, 1, *shape)

    height = people.boxes[:, 3] / size[1]
    # How well a person can be recognised, the same for all boxes around it.
    luck = _normal(uniform(len(visible)))
    ease = _ease(visible, height) + luck

    found = [
        _whole(people, ease, uniform(len(visible), 7)),
        *(_part(people, ease, uniform(len(visible), 9)) for _ in range(_N_PARTS)),
        _two_at_once(people, ease, uniform(len(visible), 7)),
        _background(size, uniform(_N_BACKGROUND, 5)),
    ]
    corners = np.concatenate([corners for corners, _ in found])
    scores = np.concatenate([scores for _, scores in found])
    limit = np.array([*size, *size], float)
    corners = np.round(np.clip(corners, 0, limit), 2)
    scores = np.round(scores, 4)
    sides = corners[:, 2:] - corners[:, :2]
    usable = np.flatnonzero((scores >= MIN_SCORE) & (sides >= _MIN_SIDE).all(1))
    usable = usable[np.argsort(-scores[usable], kind="stable")]
    kept = usable[_suppress(corners[usable])]
    boxes = np.concatenate((corners[kept, :2], np.round(sides[kept], 2)), 1)
    return Detections(boxes, scores[kept])


def _ease(visible: Array, height: Array) -> Array:
    """Return how easy persons are to find: logits that fall with occlusion and small size."""
    return 5.2 - 9.8 * (1 - visible) ** 1.1 + 0.7 * np.log(np.maximum(height, 0.02) / 0.5)


def _whole(people: Targets, ease: Array, draws: Array) -> tuple[Array, Array]:
    """Return the one good box of each person; below `MIN_SCORE` where the person is missed."""
    visible = people.visible_fractions
    full, seen = _corners(people.boxes), _corners(people.visible_boxes)
    seen = np.where(visible[:, None] > 0, seen, full)
    # How far the box guesses what is covered: any share, but mostly much of it.
    share = np.sqrt(draws[:, 0])[:, None]
    corners = seen + share * (full - seen)
    spread = 0.044 + 0.05 * (1 - visible)
    corners = _jitter(corners, spread, draws[:, 1:5])
    logit = 1.15 * ease - 0.7 + 1.2 * _normal(draws[:, 5])
    is_found = draws[:, 6] < _sigmoid(1.3 * ease + 1.9)
    return corners, np.where(is_found, _sigmoid(logit), 0)


def _part(people: Targets, ease: Array, draws: Array) -> tuple[Array, Array]:
    """Return bad crops: boxes of parts of a person, or much too large ones."""
    x, y, w, h = people.visible_boxes.T
    # Some are cut off below or above (head and shoulders, legs), some at the side.
    from_top = draws[:, 0] < 0.65
    length = h * (0.2 + 0.45 * draws[:, 1])
    top = np.where(from_top, y, y + h - length)
    width = w * (0.4 + 0.6 * draws[:, 2])
    left = x + (w - width) * draws[:, 3]
    corners = np.stack((left, top, left + width, top + length), 1)
    corners = _jitter(corners, np.full(len(x), 0.05), draws[:, 4:8])
    # Detectors know most of them for bad: the rest are duplicates that stay beside the good box.
    score = 0.55 * _sigmoid(ease) * draws[:, 8] ** 6
    return corners, score


def _two_at_once(people: Targets, ease: Array, draws: Array) -> tuple[Array, Array]:
    """Return a box over each person and a neighbour; scored only where the two are close."""
    n = len(ease)
    if n < 2:
        return np.zeros((0, 4)), np.zeros(0)
    full = _corners(people.boxes)
    neighbour = (np.arange(n) + 1 + (draws[:, 0] * (n - 1)).astype(int)) % n
    other = full[neighbour]
    both = np.concatenate(
        (np.minimum(full[:, :2], other[:, :2]), np.maximum(full[:, 2:], other[:, 2:])), 1
    )
    closeness = (_areas(full) + _areas(other)) / np.maximum(_areas(both), 1)
    both = _jitter(both, np.full(n, 0.04), draws[:, 1:5])
    score = 0.6 * _sigmoid(ease) * draws[:, 5] ** 3
    return both, np.where((closeness > 0.9) & (draws[:, 6] < 0.3), score, 0)


def _background(size: tuple[int, int], draws: Array) -> tuple[Array, Array]:
    """Return boxes on anything: upright ones of any size, hardly ever with a high score."""
    height = size[1] * 0.08 * (0.9 / 0.08) ** draws[:, 0]
    width = height * (0.25 + 0.5 * draws[:, 1])
    left, top = (size[0] - width) * draws[:, 2], (size[1] - height) * draws[:, 3]
    corners = np.stack((left, top, left + width, top + height), 1)
    return corners, 0.9 * draws[:, 4] ** 24


def _suppress(corners: Array) -> Array:
    """Return the rows that non-maximum suppression keeps; the best box comes first."""
    n = len(corners)
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    common = np.maximum(high - low, 0).prod(2)
    areas = _areas(corners)
    # A product, for no box is empty; IoU > limit.
    overlaps = common > NMS_IOU * (areas[:, None] + areas[None, :] - common)
    keep = np.ones(n, bool)
    for row in range(n):
        if keep[row]:
            keep[row + 1 :] &= ~overlaps[row, row + 1 :]
    return np.flatnonzero(keep)


def _jitter(corners: Array, spread: Array, draws: Array) -> Array:
    """Return the boxes with each side moved: Laplace-distributed, so mostly little, rarely much.

    Args:
        corners: (N, 4) left, top, right, bottom.
        spread: (N,) mean distance in units of the box's width and height.
        draws: (N, 4) uniform.
    """
    sides = corners[:, 2:] - corners[:, :2]
    centred = draws - 0.5
    laplace = -np.sign(centred) * np.log(np.maximum(1 - 2 * np.abs(centred), 1e-6))
    moved: Array = corners + laplace * spread[:, None] * np.tile(sides, 2)
    return moved


def _normal(draws: Array) -> Array:
    """Return roughly normal values of deviation 1 from uniform ones (a logistic distribution)."""
    draws = np.clip(draws, 1e-6, 1 - 1e-6)
    values: Array = np.log(draws / (1 - draws)) * (np.sqrt(3) / np.pi)
    return values


def _sigmoid(values: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-values))
    return result


def _corners(boxes: Array) -> Array:
    return np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1)


def _areas(corners: Array) -> Array:
    areas: Array = (corners[:, 2:] - corners[:, :2]).prod(1)
    return areas
