"""Simulated splits and results of two models on them, whose true AP can be computed.

Images differ in difficulty, so persons of one image are alike; two models share most of what makes
a person hard and differ in the rest, as two trainings of one network do. Poses are put at exactly
the OKS that was drawn for them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, GroundTruth, Poses

# Persons of an image, and background poses, stand too far apart to be taken for each other.
_STEP, _BACKGROUND = 3_000.0, 1e6


class Simulated(NamedTuple):
    """A split, and what two models make of it.

    Attributes:
        truth: the persons.
        first, second: the poses of the models, ranked by their scores.
    """

    truth: GroundTruth
    first: Poses
    second: Poses


def simulate(n_images: int, seed: int, shift: float = 0.0) -> Simulated:
    """Return a simulated split.

    Args:
        n_images: how many.
        seed: of the draws.
        shift: by how much the second model is worse: off the logit of every OKS. 0 makes the two
            models equally good; 0.1 is about 2 points of AP.
    """
    rng = np.random.default_rng(seed)
    hard = 0.7 * rng.normal(size=n_images)
    image = np.repeat(np.arange(n_images), 1 + rng.poisson(1.5, n_images))
    n = len(image)
    areas = np.exp(rng.normal(9.0, 0.8, n)).clip(33.0**2, 400.0**2)
    first_of_image = np.searchsorted(image, np.arange(n_images))
    place = (np.arange(n) - first_of_image[image]) * _STEP
    points = rng.random((n, 17, 2)) * np.sqrt(areas)[:, None, None]
    points[..., 0] += place[:, None]
    sides = np.sqrt(areas)
    truth = GroundTruth(
        image_ids=np.arange(n_images) + 1,
        image_index=image,
        keypoints=np.concatenate([points, np.full((n, 17, 1), 2.0)], 2),
        boxes=np.stack([place, np.zeros(n), sides, sides], 1),
        areas=areas,
        is_crowd=np.zeros(n, bool),
        is_ignored=np.zeros(n, bool),
        person_ids=np.arange(n) + 1,
    )
    quality = 1.9 - 0.9 * hard[image] + rng.normal(size=n)
    chance = rng.random(n)
    models = [_results(rng, truth, hard, quality - worse, chance) for worse in (0.0, shift)]
    return Simulated(truth, *models)


def _results(
    rng: np.random.Generator, truth: GroundTruth, hard: Array, quality: Array, chance: Array
) -> Poses:
    """Return what a model makes of the persons."""
    n = len(quality)
    logit = quality + 0.6 * rng.normal(size=n)
    # Half of the persons are missed or found by both models alike.
    luck = np.where(rng.random(n) < 0.5, chance, rng.random(n))
    found = np.flatnonzero(luck > 1 / (1 + np.exp(2.5 - hard[truth.image_index])))
    oks = 1 / (1 + np.exp(-logit[found]))
    spread = 2 * COCO_17.sigma_array * np.sqrt(truth.areas[found, None])
    distance = np.sqrt(-2 * np.log(oks))[:, None] * spread
    angle = rng.random((len(found), 17)) * 2 * np.pi
    moved = distance[..., None] * np.stack([np.cos(angle), np.sin(angle)], 2)
    background = np.repeat(np.arange(len(hard)), rng.poisson(0.8 * np.exp(0.3 * hard)))
    elsewhere = _BACKGROUND + 60 * rng.random((len(background), 17, 2))
    image = np.concatenate([truth.image_index[found], background])
    keypoints = np.concatenate([truth.keypoints[found, :, :2] + moved, elsewhere])
    confidence = np.concatenate(
        [0.8 * logit[found] + 0.8 * rng.normal(size=len(found)), rng.normal(-1, 1, len(background))]
    )
    order = np.argsort(image, kind="stable")
    nothing = np.full(len(image), -1)
    return Poses(
        image_index=image[order],
        keypoints=keypoints[order],
        keypoint_scores=np.ones((len(image), 17)),
        scores=1 / (1 + np.exp(-confidence[order])),
        box_index=nothing,
        instance=np.zeros(len(image), np.int64),
    )
