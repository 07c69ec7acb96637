"""The errors of the joints of every evaluated person: what all 3D metrics are averages of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from crowdbench.metrics.matching_2d import match_by_keypoints
from crowdbench.metrics.pose3d import NOWHERE_MM, distances, from_root, map_bone_lengths
from crowdbench.metrics.procrustes import align_rigidly, fit_scale
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, GroundTruth, Poses

# So many persons at a time that their joints stay in the processor's cache.
_BLOCK = 1024


class Errors(NamedTuple):
    """The errors of the evaluated persons, in the order of the annotations; all in mm.

    Attributes:
        persons: (N,) rows of the persons.
        image: (N,) rows of their images.
        pose: (N,) row of the pose that each was matched to in 2D, -1 for none.
        relative: (N, K) after bone-length mapping, from the root; without a pose about 173,205.
        absolute: (N, K) after bone-length mapping, in the axes of the camera; likewise.
        pair: (N,) row of the pose that MPJPE compares each with, -1 for none.
        aligned_at_root: (N, K) of these pairs, roots together; NaN without a pair.
        aligned_rigidly: (N, K) after rotating and shifting; NaN without a pair.
        aligned_with_scale: (N, K) after scaling, too; NaN without a pair.
    """

    persons: Array
    image: Array
    pose: Array
    relative: Array
    absolute: Array
    pair: Array
    aligned_at_root: Array
    aligned_rigidly: Array
    aligned_with_scale: Array

    @property
    def is_matched(self) -> Array:
        """(N,) bool."""
        return self.pose >= 0


def joint_errors(truth: GroundTruth, poses: Poses, skeleton: Skeleton) -> Errors:
    """Return the errors of every evaluated person.

    3DPCK and AUC follow the official script: persons are matched to poses in 2D, bones get the
    lengths of the annotated ones, and distances are taken to the poses in a common body size
    (`Truth3D.universal_mm`). MPJPE follows PI-Net and 3DMPPE: distances to the metric poses
    (`Truth3D.joints_mm`), no mapping, all joints; with the pose that was made for the person where
    the poses say so, else with the one matched in 2D.

    Args:
        truth: with 3D joints.
        poses: with 3D joints, or none at all.
        skeleton: a 3D layout.
    """
    space = truth.pose3d
    assert space is not None
    persons = np.flatnonzero(~truth.is_ignored)
    image = truth.image_index[persons]
    pose = match_by_keypoints(
        truth.keypoints[persons, :, :2], image, poses.keypoints, poses.image_index
    )
    pair = pose if poses.person_ids is None else _made_for(truth.person_ids[persons], poses)
    return Errors(
        persons,
        image,
        pose,
        *_mapped_errors(space.universal_mm, persons, poses, pose, skeleton),
        pair,
        *_paired_errors(space.joints_mm, persons, poses, pair, skeleton),
    )


def _blocks(pose: Array) -> Iterator[Array]:
    """Yield the rows of the persons with a pose, a block at a time."""
    found = np.flatnonzero(pose >= 0)
    for first in range(0, len(found), _BLOCK):
        yield found[first : first + _BLOCK]


def _taken(joints: Array, rows: Array) -> Array:
    """Return joints of some poses.

    In C's order in memory, wherever they come from: sums depend on the order in their last digit.
    """
    return np.ascontiguousarray(joints[rows])


def _mapped_errors(
    truth: Array, persons: Array, poses: Poses, pose: Array, skeleton: Skeleton
) -> tuple[Array, Array]:
    """Return relative and absolute errors after bone-length mapping, (N, K) each."""
    relative, absolute = (np.empty((len(persons), len(skeleton))) for _ in range(2))
    missed = truth[persons[pose < 0]]
    relative[pose < 0] = distances(from_root(missed, skeleton), NOWHERE_MM)
    absolute[pose < 0] = distances(missed, NOWHERE_MM)
    root = skeleton.root
    for rows in _blocks(pose):
        assert poses.joints_mm is not None
        joints, target = _taken(poses.joints_mm, pose[rows]), _taken(truth, persons[rows])
        from_own_root = from_root(target, skeleton)
        mapped = map_bone_lengths(from_root(joints, skeleton), from_own_root, skeleton)
        relative[rows] = distances(mapped, from_own_root)
        absolute[rows] = distances(mapped + joints[:, root : root + 1], target)
    return relative, absolute


def _made_for(person_ids: Array, poses: Poses) -> Array:
    """Return the first pose made for each person, -1 for none."""
    assert poses.person_ids is not None
    found = np.full(len(person_ids), -1, np.int64)
    if len(poses):
        ids, first = np.unique(poses.person_ids, return_index=True)
        place = np.minimum(np.searchsorted(ids, person_ids), len(ids) - 1)
        known = ids[place] == person_ids
        found[known] = first[place[known]]
    return found


def _paired_errors(
    truth: Array, persons: Array, poses: Poses, pair: Array, skeleton: Skeleton
) -> tuple[Array, Array, Array]:
    """Return errors with roots together, after rigid and after similarity alignment."""
    shape = len(persons), len(skeleton)
    at_root, rigidly, with_scale = (np.full(shape, np.nan) for _ in range(3))
    for rows in _blocks(pair):
        assert poses.joints_mm is not None
        joints = from_root(_taken(poses.joints_mm, pair[rows]), skeleton)
        target = from_root(_taken(truth, persons[rows]), skeleton)
        aligned = align_rigidly(joints, target)
        at_root[rows] = distances(joints, target)
        rigidly[rows] = distances(aligned, target)
        with_scale[rows] = distances(fit_scale(aligned, target), target)
    return at_root, rigidly, with_scale
