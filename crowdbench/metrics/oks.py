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


def keypoint_distances(
    pose_points: Array, keypoints: Array, boxes: Array, labelled: Array
) -> Array:
    """Return the squared pixel distance of each pose joint from each person's joint.

    Args:
        pose_points: (N, K, 2) joints of the poses, pixels.
        keypoints: (N, K, 3) joints of the persons: x, y in pixels, visibility 0, 1, 2.
        boxes: (N, 4) xywh of the persons, pixels.
        labelled: (N,) bool, whether the person has a joint with visibility > 0.

    Returns:
        (N, K) float64 px². For a person without a labelled joint the distance is that to the box
        widened by its own width and height on every side, and 0 inside.
    """
    delta = pose_points - keypoints[..., :2]
    unlabelled = np.flatnonzero(~labelled)
    if len(unlabelled):
        corner, size = boxes[unlabelled, None, :2], boxes[unlabelled, None, 2:]
        points = pose_points[unlabelled]
        low, high = corner - size, corner + size * 2
        delta[unlabelled] = np.maximum(0, low - points) + np.maximum(0, points - high)
    delta *= delta
    squared: Array = delta[..., 0] + delta[..., 1]
    return squared


def oks_pairs(
    pose_points: Array, pose_image: Array, truth: GroundTruth, areas: Array, sigmas: Array
) -> Pairs:
    """Return the OKS of every pose with every person of its image.

    OKS is the mean over the person's labelled joints (visibility 1 or 2) of
    ``exp(-d² / (2 (2 sigma)² area))``; the pose's own confidences play no part. People without a
    labelled joint are compared over all joints with their box, widened to three times its width
    and height.

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
    visible = truth.keypoints[..., 2] > 0
    count = visible.sum(1)
    n_joints = len(sigmas)
    # The reference compares unlabelled persons over all joints.
    used = np.where(count[:, None] > 0, visible, True)
    n_used = np.where(count > 0, count, n_joints)
    # Labelled joints first, in order: summing a prefix then adds in the reference's order.
    joint_order = np.argsort(~used, axis=1, kind="stable")
    widths = truth.keypoints.dtype.type(2) * sigmas
    variances = widths**2
    spread = areas + _EPS

    # Pairs are worked off by their number of used joints: each group sums arrays of one length.
    group = n_used[person].astype(np.int16)
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(n_joints + 2))
    oks = np.empty(len(pose))
    for n in range(1, n_joints + 1):
        for start in range(bounds[n], bounds[n + 1], _BLOCK):
            rows = order[start : min(start + _BLOCK, bounds[n + 1])]
            d, g = pose[rows], person[rows]
            squared = keypoint_distances(
                pose_points[d], truth.keypoints[g], truth.boxes[g], count[g] > 0
            )
            if n < n_joints:
                squared = np.take_along_axis(squared, joint_order[g, :n], axis=1)
                squared /= variances[joint_order[g, :n]]
            else:
                squared /= variances
            squared /= spread[g, None]
            squared /= -2.0
            oks[rows] = np.exp(squared, out=squared).sum(1) / n
    return Pairs(pose, person, oks)
