"""Object keypoint similarity (OKS) of many pose-person pairs at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.structures import Array, GroundTruth

# Rows per block: 1,024 pairs of 17 joints keep every temporary array in the processor's cache.
_BLOCK = 1024
_EPS = np.spacing(1.0)


class Pairs(NamedTuple):
    """Every (pose, person) pair that shares an image, ordered by pose and then by person.

    Attributes:
        pose: (N,) int64 row of the pose in the arrays the pairs were made from.
        person: (N,) int64 row of the person.
        oks: (N,) float64 in [0, 1].
    """

    pose: Array
    person: Array
    oks: Array


def pair_rows(pose_image: Array, person_image: Array, n_images: int) -> tuple[Array, Array]:
    """Return the rows of poses and of persons of all pairs within an image.

    Args:
        pose_image: (D,) image index of each pose, any order.
        person_image: (P,) image index of each person, ascending.
        n_images: how many images there are.

    Returns:
        Two (N,) int64 arrays, ordered by pose row and then by person row.
    """
    first = np.searchsorted(person_image, np.arange(n_images + 1))
    per_pose = (first[1:] - first[:-1])[pose_image]
    pose = np.repeat(np.arange(len(pose_image)), per_pose)
    start = np.cumsum(per_pose) - per_pose
    person = np.arange(len(pose)) + np.repeat(first[pose_image] - start, per_pose)
    return pose, person


def pairs_within(image_index: Array) -> tuple[Array, Array]:
    """Return the rows of all pairs of things in an image, each pair once, the earlier row first.

    Args:
        image_index: (N,) ascending.

    Returns:
        Two (M,) int64 arrays, ordered by the first row and then by the second.

    >>> pairs_within(np.array([0, 0, 0, 2]))
    (array([0, 0, 1]), array([1, 2, 2]))
    """
    rows = np.arange(len(image_index))
    n_later = np.searchsorted(image_index, image_index, side="right") - rows - 1
    first = np.repeat(rows, n_later)
    start = np.cumsum(n_later) - n_later
    return first, first + 1 + np.arange(len(first)) - np.repeat(start, n_later)


def oks_pairs(
    pose_points: Array, pose_image: Array, truth: GroundTruth, areas: Array, sigmas: Array
) -> Pairs:
    """Return the OKS of every pose with every person of its image.

    OKS is the mean over the person's labelled joints (visibility 1 or 2) of
    ``exp(-d² / (2 (2 sigma)² area))``; the pose's own confidences play no part. For people without
    a labelled joint it is the mean over all joints, d being the distance to their box widened by
    its own width and height on every side (0 inside).

    Args:
        pose_points: (D, K, 2) float64 pixels.
        pose_image: (D,) image index of each pose.
        truth: the persons.
        areas: (P,) px² that stand for the persons' sizes; 0 lets only an exact hit score.
        sigmas: (K,) per-joint constants.

    Returns:
        All pairs; empty arrays when there are none.

    Source: ``COCOeval.computeOks`` of pycocotools, in the same order of operations and the same
    order of summation, so that the values are equal to the last bit (ties decide matches).
    """
    pose, person = pair_rows(pose_image, truth.image_index, len(truth.image_ids))
    n_joints = len(sigmas)
    labelled = truth.keypoints[..., 2] > 0
    # Labelled joints first, in order: a sum over a prefix then adds in the reference's order.
    joints = np.argsort(~labelled, axis=1, kind="stable")
    x, y = (np.take_along_axis(truth.keypoints[..., i], joints, axis=1) for i in (0, 1))
    variances = (sigmas * 2) ** 2
    spread = areas + _EPS

    # Pairs are worked off by the person's number of labelled joints, which alone are looked at.
    group = labelled.sum(1).astype(np.int16)[person]
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(n_joints + 2))
    coordinates = pose_points.reshape(-1)
    oks = np.empty(len(pose))
    for n in range(n_joints + 1):
        for start in range(bounds[n], bounds[n + 1], _BLOCK):
            rows = order[start : min(start + _BLOCK, bounds[n + 1])]
            d, g = pose[rows], person[rows]
            if n:
                used = joints[g, :n]
                place = (d[:, None] * n_joints + used) * 2
                dx, dy = coordinates[place] - x[g, :n], coordinates[place + 1] - y[g, :n]
                squared = _squares(dx, dy) / variances[used]
            else:
                points, boxes = pose_points[d], truth.boxes[g, None]
                dx, dy = (
                    _outside(points[..., i], boxes[..., i], boxes[..., i + 2]) for i in (0, 1)
                )
                squared = _squares(dx, dy) / variances
            squared /= spread[g, None]
            squared /= -2.0
            oks[rows] = np.exp(squared, out=squared).sum(1) / squared.shape[1]
    return Pairs(pose, person, oks)


def _squares(dx: Array, dy: Array) -> Array:
    """Return dx² + dy²; overwrites both."""
    dx *= dx
    dy *= dy
    dx += dy
    return dx


def _outside(values: Array, start: Array, size: Array) -> Array:
    """Return how far values lie outside an interval widened by its size on both sides."""
    beyond: Array = np.maximum(0, start - size - values)
    beyond += np.maximum(0, values - (start + size * 2))
    return beyond
