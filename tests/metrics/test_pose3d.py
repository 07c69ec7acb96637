"""Distances in space, bone-length mapping and thresholds, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.metrics.pose3d import (
    NOWHERE_MM,
    THRESHOLDS_MM,
    WITHIN_MM,
    distances,
    from_root,
    map_bone_lengths,
    thresholds_below,
)
from crowdbench.skeletons import MUPOTS_17, Skeleton
from crowdbench.structures import Array
from tests.benchmarks.pose3d import STANDING

# A hand hangs on an elbow, that on a hip, the root, which is the last but one; so does a foot.
CHAIN = Skeleton(
    name="chain",
    keypoints=("hand", "elbow", "hip", "foot"),
    sigmas=(),
    parents=(1, 2, 2, 2),
    groups=(("arm", (0, 1)), ("leg", (3,))),
)
HAND, ELBOW, HIP, FOOT = range(4)
# Bones of length 50, 30 and 100.
TARGET = np.array([[30, 40, 30], [0, 0, 30], [0, 0, 0], [0, 100, 0]], float)


def mapped(pose: Array, target: Array = TARGET) -> Array:
    return map_bone_lengths(pose[None], target[None], CHAIN)[0]


def test_joints_are_taken_from_the_root_of_their_own_pose() -> None:
    poses = np.stack([TARGET + np.array([5, 6, 7]), 2 * TARGET - 1000])
    np.testing.assert_array_equal(from_root(poses, CHAIN), np.stack([TARGET, 2 * TARGET]))


def test_a_pose_with_the_target_s_bones_stays_as_it_is() -> None:
    np.testing.assert_array_equal(mapped(TARGET), TARGET)


@pytest.mark.parametrize("size", [0.5, 2.0, 1e-3, 1e3])
def test_the_size_of_a_pose_plays_no_part(size: float) -> None:
    np.testing.assert_allclose(mapped(size * TARGET), TARGET, atol=1e-12)


def test_directions_are_the_pose_s_and_lengths_the_target_s() -> None:
    pose = np.array([[0, 0, -7], [3, 4, 0], [0, 0, 0], [0, 0, 2]], float)
    # Elbow: 30 along (3, 4, 0) / 5. Hand: from there 50 along (-3, -4, -7) / sqrt(74).
    elbow = np.array([18, 24, 0], float)
    hand = elbow + 50 * np.array([-3, -4, -7]) / math.sqrt(74)
    np.testing.assert_allclose(mapped(pose), [hand, elbow, [0, 0, 0], [0, 0, 100]], atol=1e-12)


def test_a_bone_of_length_zero_leaves_its_joint_and_what_hangs_on_it_undefined() -> None:
    pose = TARGET.copy()
    pose[ELBOW] = pose[HIP]
    result = mapped(pose)
    assert np.isnan(result[[HAND, ELBOW]]).all()
    np.testing.assert_array_equal(result[[HIP, FOOT]], TARGET[[HIP, FOOT]])
    pose = TARGET.copy()
    pose[HAND] = pose[ELBOW]
    result = mapped(pose)
    assert np.isnan(result[HAND]).all()
    np.testing.assert_array_equal(result[1:], TARGET[1:])


def test_a_target_s_bone_of_length_zero_puts_the_joint_on_its_parent() -> None:
    target = TARGET.copy()
    target[ELBOW] = target[HIP]
    result = mapped(TARGET, target)
    np.testing.assert_array_equal(result[ELBOW], [0, 0, 0])
    # The target's hand is 50.990... from its elbow, which is at the hip now.
    length = math.sqrt(30**2 + 40**2 + 30**2)
    np.testing.assert_allclose(result[HAND], np.array([30, 40, 0]) / 50 * length, atol=1e-12)


def test_a_wrong_spine_moves_all_that_hangs_on_it_and_a_wrong_head_nothing_else() -> None:
    pose = STANDING.copy()
    pose[15] = (200, 0, 0)
    moved = np.abs(map_bone_lengths(pose[None], STANDING[None], MUPOTS_17)[0] - STANDING).max(1) > 1
    assert np.flatnonzero(moved).tolist() == [*range(8), 15, 16]
    pose = STANDING.copy()
    pose[16] = (200, 0, 0)
    moved = np.abs(map_bone_lengths(pose[None], STANDING[None], MUPOTS_17)[0] - STANDING).max(1) > 1
    assert np.flatnonzero(moved).tolist() == [16]


def test_no_pose_at_all_is_mapped_to_none() -> None:
    nothing = np.zeros((0, 4, 3))
    assert map_bone_lengths(nothing, nothing, CHAIN).shape == (0, 4, 3)


@given(st.integers(0, 2**32 - 1))
def test_mapped_bones_have_the_target_s_lengths_and_the_pose_s_directions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    poses, targets = rng.normal(0, 300, (2, 5, 17, 3))
    poses, targets = from_root(poses, MUPOTS_17), from_root(targets, MUPOTS_17)
    result = map_bone_lengths(poses, targets, MUPOTS_17)
    for joint, parent in enumerate(MUPOTS_17.parents):
        if joint == parent:
            assert (result[:, joint] == 0).all()
            continue
        bones, directions, wanted = (p[:, joint] - p[:, parent] for p in (result, poses, targets))
        length = np.linalg.norm(bones, axis=1)
        np.testing.assert_allclose(length, np.linalg.norm(wanted, axis=1), rtol=1e-9)
        cosine = (bones * directions).sum(1) / length / np.linalg.norm(directions, axis=1)
        np.testing.assert_allclose(cosine, 1, rtol=1e-9)


def test_distances_are_euclidean_joint_by_joint() -> None:
    a = np.array([[[3, 4, 0], [1, 2, 2]], [[0, 0, 0], [np.nan, 0, 0]]], float)
    np.testing.assert_array_equal(distances(a, np.zeros_like(a)), [[5, 3], [0, np.nan]])
    np.testing.assert_array_equal(distances(a[:1], a[:1, ::-1]), [[math.sqrt(12)] * 2])
    far = distances(np.zeros((1, 1, 3)), NOWHERE_MM)
    np.testing.assert_allclose(far, 173_205.0807568877, rtol=1e-12)


def test_there_are_31_thresholds_from_0_to_150_mm() -> None:
    assert THRESHOLDS_MM.tolist() == [5.0 * i for i in range(31)]
    assert THRESHOLDS_MM[-1] == WITHIN_MM == 150


def test_a_joint_is_right_only_at_thresholds_above_its_error() -> None:
    # With an error of 0 it is wrong at 0; of 150, and without a number, at every threshold.
    errors = {0: 1, 4.999: 1, 5: 2, 5.001: 2, 149.999: 30, 150: 31, 151: 31, 1e6: 31, math.nan: 31}
    found = thresholds_below(np.array([list(errors)]))
    assert found.tolist() == [list(errors.values())]


@given(st.integers(0, 40), st.integers(-2, 2))
def test_thresholds_are_exact_to_the_last_bit(place: int, steps: int) -> None:
    error = np.float64(5 * place)
    for _ in range(abs(steps)):
        error = np.nextafter(error, np.inf if steps > 0 else -np.inf)
    error = max(error, np.float64(0))
    assert thresholds_below(np.array([error]))[0] == sum(t <= error for t in range(0, 151, 5))
