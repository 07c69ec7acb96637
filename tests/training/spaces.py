"""Persons in space to learn from, seen by a camera that is known."""

from __future__ import annotations

import numpy as np

from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array
from predictors.training.examples import Example

CAMERA = np.array([300.0, 330, 81, 58])


def person_in_space(rng: np.random.Generator, x: float, depth: float) -> Array:
    """Return (17, 3) mm: joints around a root at that place, less than a metre away from it."""
    root = np.array([x, 0, depth])
    joints: Array = root + rng.uniform((-300, -700, -350), (300, 700, 350), (17, 3))
    joints[MUPOTS_17.root] = (x, 20, depth)
    return joints


def project(joints: Array, camera: Array = CAMERA) -> Array:
    """Return (..., 2): where joints (..., 3) in mm are seen."""
    points: Array = joints[..., :2] / joints[..., 2:] * camera[:2] + camera[2:]
    return points


def two_persons(seed: int = 0) -> Example:
    """Return an image of noise with two persons; each box holds all joints, and more below."""
    rng = np.random.default_rng(seed)
    joints = np.stack([person_in_space(rng, -500, 4500), person_in_space(rng, 600, 6000)])
    points = project(joints)
    low, high = points.min(axis=1) - np.array([3, 4]), points.max(axis=1) + np.array([2, 11])
    keypoints = np.concatenate([points, np.full((2, 17, 1), 2.0)], axis=2)
    image = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    boxes = np.concatenate([low, high - low], axis=1)
    return Example(image, keypoints, boxes, boxes[:, 2:].prod(axis=1), joints, CAMERA)
