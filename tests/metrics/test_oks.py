"""OKS: by hand, against the reference's pairs, and its properties."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.metrics.matching import first_in_image, rank_poses
from crowdbench.metrics.oks import Pairs, oks_pairs
from crowdbench.skeletons import COCO_17
from crowdbench.structures import GroundTruth
from tests.metrics.problems import SETS, load_set

SIGMAS = np.array([0.05, 0.1])


def truth_of(
    keypoints: Any,
    boxes: Any = None,
    image_index: Any = None,
    n_images: int = 1,
) -> GroundTruth:
    """Return persons with the given (P, K, 3) joints; their areas are given to OKS apart."""
    keypoints = np.array(keypoints, float)
    n = len(keypoints)
    return GroundTruth(
        image_ids=np.arange(n_images),
        image_index=np.zeros(n, np.int64) if image_index is None else np.array(image_index),
        keypoints=keypoints,
        boxes=np.zeros((n, 4)) if boxes is None else np.array(boxes, float),
        areas=np.full(n, np.nan),
        is_crowd=np.zeros(n, bool),
        is_ignored=np.zeros(n, bool),
        person_ids=np.arange(1, n + 1),
    )


def one_oks(points: Any, keypoints: Any, area: float, box: Any = (0, 0, 0, 0)) -> float:
    """Return the OKS of one pose with one person, with two joints of the constants above."""
    pairs = oks_pairs(
        np.array([points], float),
        np.array([0]),
        truth_of([keypoints], [box]),
        np.array([area], float),
        SIGMAS,
    )
    assert pairs.pose.tolist() == pairs.person.tolist() == [0]
    return float(pairs.oks[0])


def test_oks_is_the_mean_of_the_joint_similarities() -> None:
    # Joint 0: d² = 25, (2 sigma)² = 0.01; joint 1: d² = 4, (2 sigma)² = 0.04; area 1000.
    expected = (math.exp(-25 / 0.01 / 1000 / 2) + math.exp(-4 / 0.04 / 1000 / 2)) / 2
    found = one_oks([[3, 4], [12, 10]], [[0, 0, 2], [10, 10, 1]], 1000)
    assert found == pytest.approx(expected, rel=1e-14)
    assert found == pytest.approx((math.exp(-1.25) + math.exp(-0.05)) / 2, rel=1e-12)


def test_oks_leaves_unlabelled_joints_out_of_the_mean() -> None:
    found = one_oks([[3, 4], [500, 500]], [[0, 0, 1], [0, 0, 0]], 1000)
    assert found == pytest.approx(math.exp(-1.25), rel=1e-12)


def test_oks_with_an_unlabelled_person_is_one_inside_the_box_widened_by_its_own_size() -> None:
    # The box spans 10..14 by 20..26; widened it spans 6..18 by 14..32.
    unlabelled, box = [[0, 0, 0], [0, 0, 0]], (10, 20, 4, 6)
    assert one_oks([[6, 14], [18, 32]], unlabelled, 1000, box) == 1.0


def test_oks_with_an_unlabelled_person_falls_with_the_distance_from_the_widened_box() -> None:
    unlabelled, box = [[0, 0, 0], [0, 0, 0]], (10, 20, 4, 6)
    # Joint 0 lies 3 left of and 4 above the corner (6, 14); joint 1 lies 2 right of x = 18.
    found = one_oks([[3, 10], [20, 20]], unlabelled, 1000, box)
    assert found == pytest.approx((math.exp(-1.25) + math.exp(-0.05)) / 2, rel=1e-12)


def test_with_area_zero_only_an_exact_hit_scores() -> None:
    person = [[5, 5, 2], [9, 9, 2]]
    assert one_oks([[5, 5], [9, 9]], person, 0) == 1.0
    assert one_oks([[5, 5], [9, 9.01]], person, 0) == 0.5
    assert one_oks([[5.01, 5], [9, 9.01]], person, 0) == 0.0


def test_pairs_stay_within_images_and_are_ordered_by_pose_then_person() -> None:
    truth = truth_of(np.ones((4, 2, 3)), image_index=[0, 0, 2, 2], n_images=4)
    pairs = oks_pairs(np.ones((4, 2, 2)), np.array([2, 0, 1, 3]), truth, np.ones(4), SIGMAS)
    assert pairs.pose.tolist() == [0, 0, 1, 1]
    assert pairs.person.tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize(("n_poses", "n_persons"), [(0, 3), (3, 0), (0, 0)])
def test_without_poses_or_persons_there_are_no_pairs(n_poses: int, n_persons: int) -> None:
    pairs = oks_pairs(
        np.zeros((n_poses, 2, 2)),
        np.zeros(n_poses, np.int64),
        truth_of(np.ones((n_persons, 2, 3))),
        np.ones(n_persons),
        SIGMAS,
    )
    assert [len(column) for column in pairs] == [0, 0, 0]


# The reference has no pairs of the one-image set.
@pytest.mark.parametrize("name", [name for name in SETS if name != "coco_1img"])
def test_oks_equals_the_reference_to_the_last_bit(shared: Path, name: str) -> None:
    path = shared / "reference" / "oks" / f"{name}_oks.npz"
    problem = load_set(shared, name)
    truth, poses = problem.truth, problem.poses
    rows = rank_poses(poses.scores, poses.image_index)
    rows = rows[first_in_image(np.ones(len(rows), bool), poses.image_index[rows])]
    pairs = oks_pairs(
        poses.keypoints[rows],
        poses.image_index[rows],
        truth,
        truth.areas,
        problem.split.skeleton.sigma_array,
    )
    file_index = problem.file_index[rows[pairs.pose]].tolist()
    ours = dict(
        zip(
            zip(file_index, truth.person_ids[pairs.person].tolist(), strict=True),
            pairs.oks.tolist(),
            strict=True,
        )
    )
    assert len(ours) == len(pairs.oks)
    reference = np.load(path)
    keys = zip(
        reference["prediction_index"].tolist(), reference["annotation_id"].tolist(), strict=True
    )
    theirs = dict(zip(keys, reference["oks"].tolist(), strict=True))
    if name == "crowdpose_val_A":  # only pairs from 0.3 were kept
        ours = {key: oks for key, oks in ours.items() if oks >= 0.3}
    assert len(theirs) == len(reference["oks"]) > 0
    # Not compared as a whole: the difference of two long dicts takes minutes to print.
    assert not ours.keys() ^ theirs.keys()
    assert not [key for key, value in ours.items() if value != theirs[key]]


coordinates = st.integers(-200, 200).map(lambda n: n / 4)


@st.composite
def oks_problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, GroundTruth, np.ndarray]:
    """Draw poses, their images, persons and areas, of 17 joints in three images."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_poses, n_persons = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    visibility = rng.choice(3, (n_persons, 17, 1)) * draw(st.sampled_from((1, 0)))
    joints = np.concatenate([rng.integers(-80, 80, (n_persons, 17, 2)) / 4, visibility], 2)
    boxes = np.concatenate(
        [rng.integers(-80, 80, (n_persons, 2)), rng.integers(0, 40, (n_persons, 2))], 1
    )
    truth = truth_of(joints, boxes, np.sort(rng.integers(0, 3, n_persons)), 3)
    points = rng.integers(-80, 80, (n_poses, 17, 2)) / 4
    if n_persons and n_poses:
        points[0] = joints[rng.integers(n_persons), :, :2]
    areas = rng.choice([0.0, 1.0, 500.0, 20_000.0], n_persons)
    return points, rng.integers(0, 3, n_poses), truth, areas


def pairs_of(problem: tuple[np.ndarray, np.ndarray, GroundTruth, np.ndarray]) -> Pairs:
    return oks_pairs(*problem, COCO_17.sigma_array)


@given(oks_problems())
def test_oks_lies_between_zero_and_one(problem: Any) -> None:
    pairs = pairs_of(problem)
    assert ((pairs.oks >= 0) & (pairs.oks <= 1)).all()


@given(oks_problems())
def test_a_pose_on_the_joints_of_a_labelled_person_has_oks_one(problem: Any) -> None:
    _, _, truth, areas = problem
    pairs = pairs_of((truth.keypoints[..., :2], truth.image_index, truth, areas))
    labelled = (truth.keypoints[..., 2] > 0).any(1)
    itself = pairs.pose == pairs.person
    assert itself.sum() == len(areas)
    assert (pairs.oks[itself & labelled[pairs.person]] == 1).all()


@given(oks_problems(), coordinates, coordinates)
def test_oks_does_not_change_when_everything_moves(problem: Any, dx: float, dy: float) -> None:
    points, image, truth, areas = problem
    shift = np.array([dx, dy])
    moved = truth_of(
        truth.keypoints + np.array([dx, dy, 0]),
        truth.boxes + np.array([dx, dy, 0, 0]),
        truth.image_index,
        3,
    )
    # All coordinates are multiples of 1/4, so that moving them does not round.
    expected = pairs_of(problem).oks
    assert pairs_of((points + shift, image, moved, areas)).oks.tolist() == expected.tolist()


@given(oks_problems(), st.randoms(use_true_random=False))
def test_oks_of_a_pair_does_not_depend_on_the_order_of_poses(problem: Any, random: Any) -> None:
    points, image, truth, areas = problem
    order = list(range(len(points)))
    random.shuffle(order)
    order = np.array(order, np.int64)
    one, other = pairs_of(problem), pairs_of((points[order], image[order], truth, areas))
    expected = {(int(d), int(g)): oks for d, g, oks in zip(*one, strict=True)}
    found = {(int(order[d]), int(g)): oks for d, g, oks in zip(*other, strict=True)}
    assert found == expected


def test_oks_of_a_pair_does_not_depend_on_how_many_pairs_are_worked_off_together() -> None:
    # More pairs than fit in one block, with labelled joints from none to all 17.
    rng = np.random.default_rng(5)
    joints = rng.normal(0, 30, (60, 17, 3))
    joints[..., 2] = rng.random((60, 17)) < rng.random((60, 1))
    joints[0, :, 2], joints[1, :, 2] = 0, 1
    truth = truth_of(joints, rng.uniform(0, 30, (60, 4)))
    points, areas = rng.normal(0, 30, (200, 17, 2)), rng.uniform(100, 20_000, 60)
    together = pairs_of((points, np.zeros(200, np.int64), truth, areas)).oks
    alone = [pairs_of((p[None], np.zeros(1, np.int64), truth, areas)).oks for p in points]
    assert together.tolist() == np.concatenate(alone).tolist()
