"""Procrustes alignment: by hand, against scipy, and what holds of it for any poses."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from crowdbench.metrics.pose3d import distances, from_root
from crowdbench.metrics.procrustes import align_rigidly, fit_scale
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array
from tests.benchmarks.pose3d import STANDING

# Not in a plane, and no mirror image of itself.
TARGET = np.array([[0, 0, 0], [100, 0, 0], [0, 200, 0], [0, 0, 400], [30, 30, 30]], float)
# A quarter turn about z: x to y.
QUARTER = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], float)
MIRROR = np.diag([-1.0, 1.0, 1.0])


def rigid(pose: Array, target: Array = TARGET) -> Array:
    return align_rigidly(pose[None], target[None])[0]


def similar(pose: Array, target: Array = TARGET) -> Array:
    return fit_scale(align_rigidly(pose[None], target[None]), target[None])[0]


def squares(a: Array, b: Array) -> float:
    return float(((a - b) ** 2).sum())


def test_a_turned_and_shifted_pose_comes_back() -> None:
    moved = TARGET @ QUARTER + (1000, -2000, 3000)
    np.testing.assert_allclose(rigid(moved), TARGET, atol=1e-9)
    np.testing.assert_allclose(similar(moved), TARGET, atol=1e-9)


def test_only_a_similarity_undoes_scaling_and_rigidly_the_middle_stays_the_centre() -> None:
    half = TARGET @ QUARTER / 2
    middle = TARGET.mean(0)
    np.testing.assert_allclose(rigid(half), (TARGET - middle) / 2 + middle, atol=1e-9)
    np.testing.assert_allclose(similar(half), TARGET, atol=1e-9)


def test_the_best_scale_is_the_overlap_by_the_size() -> None:
    # About the middle the target is at ±2 and ±1, the pose at ±3 and ±1: 2(6 + 1) / 2(9 + 1).
    target = np.array([[2, 0, 0], [-2, 0, 0], [0, 1, 0], [0, -1, 0]], float)
    pose = np.array([[3, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]], float)
    np.testing.assert_allclose(similar(pose, target), 0.7 * pose, atol=1e-12)


def test_a_mirror_image_is_turned_but_never_mirrored_back() -> None:
    mirrored = TARGET @ MIRROR
    aligned = rigid(mirrored)
    assert squares(aligned, TARGET) > 1000
    # What the pose went through is a rotation, with determinant 1.
    turn, *_ = np.linalg.lstsq(mirrored - mirrored.mean(0), aligned - aligned.mean(0), rcond=None)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    # A flat pose can be turned onto its mirror image.
    flat = TARGET * (1, 1, 0)
    np.testing.assert_allclose(rigid(flat @ MIRROR, flat), flat, atol=1e-9)


def test_joints_on_a_line_are_laid_along_it() -> None:
    line = np.array([[0, 0, 0], [100, 0, 0], [300, 0, 0]], float)
    turned = line @ Rotation.from_euler("xyz", (20, 50, 70), degrees=True).as_matrix() + 5
    np.testing.assert_allclose(rigid(turned, line), line, atol=1e-9)
    np.testing.assert_allclose(similar(turned / 3, line), line, atol=1e-9)


def test_a_pose_in_one_place_ends_in_the_middle_of_its_target() -> None:
    point = np.zeros_like(TARGET)
    middle = np.broadcast_to(TARGET.mean(0), TARGET.shape)
    np.testing.assert_allclose(rigid(point), middle, atol=1e-12)
    np.testing.assert_allclose(similar(point), middle, atol=1e-12)
    # And a pose onto a target in one place: nothing is closer than being as small.
    np.testing.assert_allclose(similar(TARGET, point), point, atol=1e-12)


def test_no_pose_at_all_is_aligned_to_none() -> None:
    nothing = np.zeros((0, 17, 3))
    assert align_rigidly(nothing, nothing).shape == (0, 17, 3)
    assert fit_scale(nothing, nothing).shape == (0, 17, 3)


# --- Any poses ------------------------------------------------------------------------------------


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array, np.random.Generator]:
    """Draw poses and targets, (5, K, 3) each: unlike each other, alike, or mirror images."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_joints = draw(st.sampled_from((4, 17)))
    targets = rng.normal(0, 300, (5, n_joints, 3))
    noise = rng.normal(0, 300, (5, n_joints, 3))
    kind = draw(st.sampled_from(("unlike", "alike", "mirrored")))
    if kind == "unlike":
        return noise, targets, rng
    return (targets @ MIRROR if kind == "mirrored" else targets) + noise / 10, targets, rng


@given(pairs())
def test_alignment_equals_scipy_s(problem: tuple[Array, Array, np.random.Generator]) -> None:
    poses, targets, _ = problem
    aligned = align_rigidly(poses, targets)
    scaled = fit_scale(aligned, targets)
    for pose, target, ours, ours_scaled in zip(poses, targets, aligned, scaled, strict=True):
        centred, goal = pose - pose.mean(0), target - target.mean(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the optimum may be flat
            rotation, _ = Rotation.align_vectors(goal, centred)
        turned = rotation.apply(centred)
        np.testing.assert_allclose(squares(ours - target.mean(0), goal), squares(turned, goal))
        scale = (turned * goal).sum() / (turned**2).sum()
        np.testing.assert_allclose(
            squares(ours_scaled - target.mean(0), goal), squares(scale * turned, goal)
        )


@given(pairs())
def test_errors_do_not_change_when_poses_are_moved(
    problem: tuple[Array, Array, np.random.Generator],
) -> None:
    poses, targets, rng = problem
    aligned = align_rigidly(poses, targets)
    scaled = fit_scale(aligned, targets)
    turns = Rotation.random(len(poses), rng).as_matrix()
    moved = poses @ turns + rng.normal(0, 2000, (len(poses), 1, 3))
    again = align_rigidly(moved, targets)
    # Where a mirror image's two least singular values are close, the best rotation is ill-defined;
    # the sum of squares never is.
    before, after = (((a - targets) ** 2).sum((1, 2)) for a in (aligned, again))
    np.testing.assert_allclose(after, before, rtol=1e-9)
    sizes = rng.uniform(0.1, 10, (len(poses), 1, 1))
    resized = fit_scale(align_rigidly(moved * sizes, targets), targets)
    before, after = (((a - targets) ** 2).sum((1, 2)) for a in (scaled, resized))
    np.testing.assert_allclose(after, before, rtol=1e-9)


@given(pairs())
def test_nothing_near_is_better(problem: tuple[Array, Array, np.random.Generator]) -> None:
    poses, targets, rng = problem
    aligned = align_rigidly(poses, targets)
    scaled = fit_scale(aligned, targets)
    for angle in (1e-3, 0.1):
        middle = targets.mean(1, keepdims=True)
        turn = Rotation.from_rotvec(rng.normal(0, angle, 3)).as_matrix()
        shift, size = rng.normal(0, 1, 3), 1 + rng.normal(0, angle)
        for best, other in (
            (aligned, (aligned - middle) @ turn + middle),
            (aligned, aligned + shift),
            (scaled, (scaled - middle) @ turn + middle),
            (scaled, (scaled - middle) * size + middle),
        ):
            least, more = (((a - targets) ** 2).sum((1, 2)) for a in (best, other))
            assert (least <= more * (1 + 1e-12)).all()


@given(pairs())
def test_squared_errors_shrink_with_every_freedom(
    problem: tuple[Array, Array, np.random.Generator],
) -> None:
    poses, targets, _ = problem
    at_root = poses - poses[:, :1] + targets[:, :1]
    aligned = align_rigidly(poses, targets)
    freer = (at_root, aligned, fit_scale(aligned, targets))
    sums = [((poses - targets) ** 2).sum((1, 2)) for poses in freer]
    assert (sums[1] <= sums[0] * (1 + 1e-12)).all()
    assert (sums[2] <= sums[1] * (1 + 1e-12)).all()
    # So the mean distance is at most the root mean square with roots together.
    for poses in freer[1:]:
        mean = distances(poses, targets).mean(1)
        assert (mean <= np.sqrt(sums[0] / targets.shape[1]) * (1 + 1e-12)).all()


@given(st.integers(0, 2**32 - 1), st.floats(1, 200))
def test_mean_errors_of_noisy_poses_shrink_with_every_freedom(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    targets = from_root(STANDING + rng.normal(0, 60, (50, 17, 3)), MUPOTS_17)
    poses = from_root(targets + rng.normal(0, noise, (50, 17, 3)), MUPOTS_17)
    aligned = align_rigidly(poses, targets)
    means = [distances(p, targets).mean() for p in (poses, aligned, fit_scale(aligned, targets))]
    assert means[0] > means[1] > means[2]


def test_the_mean_error_of_one_person_need_not_shrink() -> None:
    # Least squares spreads one wrist's error over all joints, so the mean distance can grow.
    pose = STANDING.copy()
    pose[4, 0] -= 300
    aligned = align_rigidly(pose[None], STANDING[None])
    assert distances(pose[None], STANDING[None]).mean() == pytest.approx(300 / 17)
    assert distances(aligned, STANDING[None]).mean() > 1.5 * 300 / 17
    assert squares(aligned[0], STANDING) < 300**2
