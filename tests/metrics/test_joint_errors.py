"""The errors of joints: by hand, against the official code's and PI-Net's, and their properties."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from crowdbench.metrics.joint_errors import Errors, joint_errors
from crowdbench.metrics.pose3d import distances
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array, GroundTruth, Poses, Truth3D
from tests.benchmarks.pose3d import STANDING, make_problem, match_frame, measure_all
from tests.metrics.mupots_reference import SOURCES, load_paired, load_reference, poses_in_space

ROOT = np.array([100.0, 200.0, 4000.0])
PLACE = STANDING + ROOT
NOWHERE = 100_000 * np.sqrt(3)


def truth_of(
    universal: list[Array], camera: list[Array] | None = None, images: list[int] | None = None
) -> GroundTruth:
    """Return persons, 500 px beside each other; without `camera` they have one kind of joints."""
    n = len(universal)
    points = np.full((n, 17, 2), 500.0) + 500 * np.arange(n)[:, None, None]
    index = np.zeros(n, int) if images is None else np.array(images)
    joints = np.array(universal, float)
    return GroundTruth(
        image_ids=np.arange(index.max(initial=0) + 1),
        image_index=index,
        keypoints=np.concatenate([points, np.full((n, 17, 1), 2.0)], 2),
        boxes=np.zeros((n, 4)),
        areas=np.zeros(n),
        is_crowd=np.zeros(n, bool),
        is_ignored=np.zeros(n, bool),
        person_ids=np.arange(n) + 10,
        pose3d=Truth3D(
            joints if camera is None else np.array(camera, float),
            joints,
            ("TS1",),
            np.zeros(index.max(initial=0) + 1, int),
        ),
    )


def poses_of(truth: GroundTruth, persons: list[int], joints: list[Array], **more: Array) -> Poses:
    """Return poses on the keypoints of these persons."""
    return poses_in_space(
        truth.keypoints[persons, :, :2], np.array(joints, float), truth.image_index[persons], **more
    )


def of_one(pose: Array, universal: Array = PLACE, camera: Array | None = None) -> Errors:
    """Return the errors of one person with one pose."""
    truth = truth_of([universal], None if camera is None else [camera])
    return joint_errors(truth, poses_of(truth, [0], [pose]), MUPOTS_17)


def test_a_pose_equal_to_the_truth_has_no_errors() -> None:
    errors = of_one(PLACE)
    for found in (errors.relative, errors.absolute, errors.aligned_at_root):
        assert (found == 0).all()
    assert errors.aligned_rigidly.max() < 1e-9
    assert errors.aligned_with_scale.max() < 1e-9


def test_only_absolute_errors_see_where_a_person_is() -> None:
    errors = of_one(PLACE + np.array([150, 0, 0]))
    assert (errors.absolute == 150).all()
    assert (errors.relative == 0).all()
    assert (errors.aligned_at_root == 0).all()


def test_a_pose_of_half_the_size_is_repaired_by_the_mapping_and_by_the_scale_alone() -> None:
    errors = of_one(STANDING / 2 + ROOT)
    assert errors.relative.max() < 1e-9
    assert errors.absolute.max() < 1e-9
    from_root = np.linalg.norm(STANDING, axis=1)
    np.testing.assert_allclose(errors.aligned_at_root[0], from_root / 2, atol=1e-9)
    from_middle = np.linalg.norm(STANDING - STANDING.mean(0), axis=1)
    np.testing.assert_allclose(errors.aligned_rigidly[0], from_middle / 2, atol=1e-9)
    assert errors.aligned_with_scale.max() < 1e-9


def test_mapped_errors_are_to_the_common_body_size_and_the_others_to_the_camera_s_poses() -> None:
    camera = STANDING * 1.25 + ROOT
    errors = of_one(PLACE, camera=camera)
    assert (errors.relative == 0).all()
    from_root = np.linalg.norm(STANDING, axis=1)
    np.testing.assert_allclose(errors.aligned_at_root[0], 0.25 * from_root, atol=1e-9)
    errors = of_one(camera, camera=camera)
    assert (errors.aligned_at_root == 0).all()


def test_a_bone_of_length_zero_leaves_mapped_errors_undefined_and_the_others_as_they_are() -> None:
    pose = PLACE.copy()
    pose[3] = pose[2]
    errors = of_one(pose)
    assert np.flatnonzero(np.isnan(errors.relative[0])).tolist() == [3, 4]
    assert np.flatnonzero(np.isnan(errors.absolute[0])).tolist() == [3, 4]
    off = np.linalg.norm(STANDING[3] - STANDING[2])
    np.testing.assert_allclose(errors.aligned_at_root[0], off * (np.arange(17) == 3), atol=1e-9)
    assert np.isfinite(errors.aligned_rigidly).all()


def test_a_person_without_a_pose_is_infinitely_far_off_and_has_no_pair() -> None:
    truth = truth_of([PLACE, PLACE])
    errors = joint_errors(truth, poses_of(truth, [1], [PLACE]), MUPOTS_17)
    assert errors.pose.tolist() == errors.pair.tolist() == [-1, 0]
    assert errors.is_matched.tolist() == [False, True]
    assert errors.relative[0, 14] == pytest.approx(NOWHERE, rel=1e-12)
    expected = np.linalg.norm(STANDING - 100_000, axis=1)
    np.testing.assert_allclose(errors.relative[0], expected, rtol=1e-12)
    np.testing.assert_allclose(
        errors.absolute[0], np.linalg.norm(PLACE - 100_000, axis=1), rtol=1e-12
    )
    for found in (errors.aligned_at_root, errors.aligned_rigidly, errors.aligned_with_scale):
        assert np.isnan(found[0]).all()
        assert found[1].max() < 1e-9


def test_without_any_pose_nobody_is_matched_though_there_are_no_joints_in_space() -> None:
    truth = truth_of([PLACE, PLACE])
    nothing = dataclasses.replace(poses_of(truth, [], np.zeros((0, 17, 3))), joints_mm=None)
    errors = joint_errors(truth, nothing, MUPOTS_17)
    assert errors.pose.tolist() == [-1, -1]
    assert errors.relative.min() > 170_000
    assert np.isnan(errors.aligned_rigidly).all()


def test_ignored_persons_have_no_errors_and_take_no_pose() -> None:
    truth = truth_of([PLACE] * 3, images=[0, 1, 1])
    truth.keypoints[:, :, :2] = 500
    truth = dataclasses.replace(truth, is_ignored=np.array([True, True, False]))
    errors = joint_errors(truth, poses_of(truth, [2], [PLACE]), MUPOTS_17)
    assert (errors.persons.tolist(), errors.image.tolist()) == ([2], [1])
    assert errors.pose.tolist() == [0]
    everybody = dataclasses.replace(truth, is_ignored=np.ones(3, bool))
    assert joint_errors(everybody, poses_of(truth, [2], [PLACE]), MUPOTS_17).relative.shape == (
        0,
        17,
    )


def test_poses_made_for_persons_are_compared_with_them_wherever_their_keypoints_are() -> None:
    truth = truth_of([PLACE, PLACE + 500, PLACE])
    # The keypoints are the first person's and nobody's; the poses are made for ids 11, 10 and 99.
    poses = poses_of(
        truth,
        [0, 0, 0],
        [STANDING, 2 * STANDING, 3 * STANDING],
        person_ids=np.array([11, 10, 99]),
    )
    errors = joint_errors(truth, poses, MUPOTS_17)
    assert errors.pose.tolist() == [0, -1, -1]
    assert errors.pair.tolist() == [1, 0, -1]
    assert (errors.relative[0] < 1e-9).all()
    from_root = np.linalg.norm(STANDING, axis=1)
    np.testing.assert_allclose(errors.aligned_at_root[0], from_root, atol=1e-9)
    np.testing.assert_allclose(errors.aligned_at_root[1], 0, atol=1e-9)
    assert np.isnan(errors.aligned_at_root[2]).all()


def test_of_two_poses_made_for_a_person_the_first_counts_and_one_for_nobody_never() -> None:
    truth = truth_of([PLACE])
    poses = poses_of(
        truth, [0, 0, 0], [STANDING, STANDING, 2 * STANDING], person_ids=np.array([-1, 10, 10])
    )
    assert joint_errors(truth, poses, MUPOTS_17).pair.tolist() == [1]
    nobody = poses_of(truth, [0], [STANDING], person_ids=np.array([-1]))
    assert joint_errors(truth, nobody, MUPOTS_17).pair.tolist() == [-1]
    none = poses_of(truth, [], np.zeros((0, 17, 3)), person_ids=np.zeros(0, np.int64))
    assert joint_errors(truth, none, MUPOTS_17).pair.tolist() == [-1]


# --- The reference --------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("field", ["relative", "absolute"])
def test_mapped_errors_are_the_official_code_s(shared: Path, field: str, source: str) -> None:
    reference = load_reference(shared, "main", source)
    truth = reference.truth
    assert truth.pose3d is not None
    errors = joint_errors(truth, reference.poses, MUPOTS_17)
    with np.load(reference.folder / "per_joint_error.npz") as data:
        expected = np.concatenate([data[f"{field}_{name}"] for name in reference.sequences])
    ours = getattr(errors, field)
    # They are stored as float32; their means are checked to 1e-6 mm with the tables.
    assert expected.dtype == np.float32
    np.testing.assert_array_max_ulp(ours.astype(np.float32), expected, 1)


@pytest.mark.parametrize("source", SOURCES)
def test_aligned_errors_are_pi_net_s(shared: Path, source: str) -> None:
    reference = load_reference(shared, "main", source)
    poses = load_paired(reference)
    errors = joint_errors(reference.truth, poses, MUPOTS_17)
    with np.load(reference.folder / "paired_expected.npz") as expected:
        assert poses.person_ids is not None
        assert reference.truth.person_ids[errors.persons].tolist() == (
            expected["annotation_id"].tolist()
        )
        for field, key in (
            ("aligned_at_root", "mpjpe"),
            ("aligned_rigidly", "pa_rigid"),
            ("aligned_with_scale", "pa_similarity"),
        ):
            ours = getattr(errors, field)
            np.testing.assert_allclose(ours, expected[key], rtol=1e-6, atol=1e-6, err_msg=field)


# --- Properties -----------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_errors_of_crowds_are_those_of_a_plain_implementation(seed: int) -> None:
    truth, poses = make_problem(seed, n_sequences=2, n_frames=4, persons=(0, 6))
    errors = joint_errors(truth, poses, MUPOTS_17)
    plain = measure_all(truth, poses)
    assert errors.pose.tolist() == [person.pose for person in plain]
    assert errors.image.tolist() == [person.frame for person in plain]
    for ours, field in (
        (errors.relative, "relative"),
        (errors.absolute, "absolute"),
        (errors.aligned_at_root, "at_root"),
        (errors.aligned_rigidly, "rigid"),
        (errors.aligned_with_scale, "similar"),
    ):
        for person, distance in zip(plain, ours, strict=True):
            np.testing.assert_allclose(distance, getattr(person, field), rtol=1e-9, atol=1e-8)


@given(st.integers(0, 2**32 - 1))
def test_moving_poses_changes_no_aligned_error_and_resizing_none_with_scale(seed: int) -> None:
    truth, poses = make_problem(seed, n_sequences=1, n_frames=3, persons=(1, 4))
    assert poses.joints_mm is not None
    rng = np.random.default_rng(seed)
    n = len(poses)
    assume(n > 0)
    turned = poses.joints_mm @ Rotation.random(n, rng).as_matrix() + rng.normal(0, 999, (n, 1, 3))
    resized = turned * rng.uniform(0.1, 10, (n, 1, 1))
    before, after, last = (
        joint_errors(truth, dataclasses.replace(poses, joints_mm=joints), MUPOTS_17)
        for joints in (poses.joints_mm, turned, resized)
    )
    np.testing.assert_allclose(after.aligned_rigidly, before.aligned_rigidly, atol=1e-6)
    for moved in (after, last):
        np.testing.assert_allclose(moved.aligned_with_scale, before.aligned_with_scale, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_a_frame_s_poses_changes_no_error_without_ties(seed: int) -> None:
    truth, poses = make_problem(seed, n_sequences=2, n_frames=4, persons=(1, 6))
    ties = [
        match_frame(
            truth.keypoints[(truth.image_index == image) & ~truth.is_ignored, :, :2],
            poses.keypoints[poses.image_index == image],
        )[1]
        for image in range(4)
    ]
    assume(not any(ties))
    order = np.lexsort((np.random.default_rng(seed).random(len(poses)), poses.image_index))
    before, after = (joint_errors(truth, p, MUPOTS_17) for p in (poses, poses.take(order)))
    assert np.where(after.pose < 0, -1, order[after.pose]).tolist() == before.pose.tolist()
    for field in ("relative", "absolute", "aligned_at_root", "aligned_rigidly"):
        np.testing.assert_array_equal(getattr(before, field), getattr(after, field))


def test_the_errors_of_a_person_do_not_depend_on_how_many_others_there_are() -> None:
    # More persons than are measured at a time.
    truth, poses = make_problem(1, n_sequences=1, n_frames=700)
    assert len(truth.person_ids) > 1500
    errors = joint_errors(truth, poses, MUPOTS_17)
    assert truth.pose3d is not None
    assert poses.joints_mm is not None
    matched = errors.is_matched
    there = poses.joints_mm[errors.pose[matched]]
    camera = truth.pose3d.joints_mm[errors.persons[matched]]
    expected = distances(there - there[:, 14:15], camera - camera[:, 14:15])
    np.testing.assert_array_equal(errors.aligned_at_root[matched], expected)
    assert matched.sum() > 1100


def test_the_layout_in_memory_changes_no_digit() -> None:
    truth, poses = make_problem(3, n_sequences=2, n_frames=20)
    expected = joint_errors(truth, poses, MUPOTS_17)
    space = truth.pose3d
    assert space is not None
    assert poses.joints_mm is not None
    turned = dataclasses.replace(
        space,
        joints_mm=np.asfortranarray(space.joints_mm),
        universal_mm=np.asfortranarray(space.universal_mm),
    )
    found = joint_errors(
        dataclasses.replace(truth, pose3d=turned),
        dataclasses.replace(poses, joints_mm=np.asfortranarray(poses.joints_mm)),
        MUPOTS_17,
    )
    for name, here, there in zip(Errors._fields, found, expected, strict=True):
        np.testing.assert_array_equal(here, there, err_msg=name)
