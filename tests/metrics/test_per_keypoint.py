"""Accuracy keypoint by keypoint: worked out by hand, against OKS, and its properties."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.metrics.evaluation import evaluate, pose_areas
from crowdbench.metrics.per_keypoint import keypoint_accuracy
from crowdbench.metrics.slices import Slice, match_slices
from crowdbench.structures import GroundTruth, Poses
from tests.metrics.problems import SETS, load_set

SIGMAS = np.array([0.05, 0.1])

# Three evaluated persons and one that is ignored; the box's longer side is 40.
TRUTH = GroundTruth(
    image_ids=np.array([1, 2]),
    image_index=np.array([0, 0, 1, 1]),
    keypoints=np.array(
        [
            [[0, 0, 2], [10, 10, 1]],
            [[200, 0, 2], [0, 0, 0]],
            [[0, 0, 1], [10, 10, 2]],
            [[300, 0, 2], [310, 10, 2]],
        ],
        float,
    ),
    boxes=np.array([[0, 0, 20, 40], [200, 0, 40, 20], [0, 0, 20, 40], [300, 0, 20, 40]], float),
    areas=np.array([1000.0, 2000.0, 1000.0, 1000.0]),
    is_crowd=np.zeros(4, bool),
    is_ignored=np.array([False, False, False, True]),
    person_ids=np.array([1, 2, 3, 4]),
)


def poses_of(points: list[list[list[float]]], image_index: list[int]) -> Poses:
    n = len(points)
    return Poses(
        image_index=np.array(image_index),
        keypoints=np.array(points, float),
        keypoint_scores=np.ones((n, 2)),
        scores=np.linspace(1, 0.5, n),
        box_index=np.full(n, -1),
        instance=np.zeros(n, np.int64),
    )


# Person 0: joint 0 is 3 off, joint 1 is 4.1 off and so beyond 4, a tenth of the side. Person 1:
# joint 0 is off by 4, which is still close; its joint 1 has no label. Person 2 is missed.
POSES = poses_of(
    [[[3, 0], [10, 14.1]], [[200, 4], [900, 900]], [[500, 500], [500, 500]], [[300, 0], [310, 10]]],
    [0, 0, 1, 1],
)
SIMILARITY = [
    math.exp(-9 / 0.01 / 1000 / 2) + math.exp(-16 / 0.01 / 2000 / 2),
    math.exp(-4.1 * 4.1 / 0.04 / 1000 / 2),
]


def test_counts_and_similarities_of_each_keypoint_worked_out_by_hand() -> None:
    found = keypoint_accuracy(POSES.keypoints, np.array([0, 1]), np.array([0, 1]), TRUTH, SIGMAS)
    assert found.n_labelled.tolist() == [3, 2]
    assert found.n_matched.tolist() == [2, 1]
    assert found.n_close.tolist() == [2, 0]
    np.testing.assert_allclose(found.similarity, SIMILARITY, rtol=1e-12)


def test_pck_counts_missed_persons_as_wrong_and_leaves_ignored_ones_out() -> None:
    result = evaluate(TRUTH, POSES, SIGMAS)
    pck, matched = result.values["PCK"], result.values["OKS_matched"]
    assert (pck.value, pck.n) == (2 / 5, 5)
    assert matched.value == pytest.approx(sum(SIMILARITY) / 3, rel=1e-12)
    assert matched.n == 3
    assert result.counts["true_positives_at_50"] == 2
    assert result.counts["false_positives_at_50"] == 1
    assert result.counts["missed_at_50"] == 1


def test_without_a_matched_person_there_is_a_pck_of_zero_and_no_similarity() -> None:
    far = poses_of([[[900, 900], [900, 900]]], [0])
    values = evaluate(TRUTH, far, SIGMAS).values
    assert values["PCK"].value == 0
    assert values["OKS_matched"].value is None
    assert values["OKS_matched"].reason == "no person was matched at OKS 0.50"


def test_without_an_evaluated_person_there_is_neither_and_the_reason_is_said() -> None:
    nobody = TRUTH.take_images(0)
    nobody = GroundTruth(**{**vars(nobody), "image_ids": TRUTH.image_ids})
    values = evaluate(nobody, POSES, SIGMAS).values
    assert values["PCK"].value is None
    assert values["PCK"].reason == "no evaluated person"
    assert values["OKS_matched"].value is None


@pytest.mark.parametrize("name", SETS)
def test_similarities_of_a_matched_person_average_to_the_reference_s_oks(
    shared: Path, name: str
) -> None:
    problem = load_set(shared, name)
    truth, sigmas = problem.truth, problem.split.skeleton.sigma_array
    result, poses = problem.evaluate(), problem.poses
    found = match_slices(truth, poses, pose_areas(poses), sigmas, [Slice()])
    at_50 = found.matches.columns[0, 0, 0] & ~truth.is_ignored[found.matches.person]
    pairs = dict(
        zip(
            zip(found.pairs.pose.tolist(), found.pairs.person.tolist(), strict=True),
            found.pairs.oks.tolist(),
            strict=True,
        )
    )
    points = problem.poses.keypoints[result.rows]
    matched = list(zip(found.matches.pose[at_50], found.matches.person[at_50], strict=True))
    assert matched
    total = np.zeros(len(sigmas))
    for pose, person in matched:
        one = keypoint_accuracy(points, np.array([pose]), np.array([person]), truth, sigmas)
        oks = one.similarity.sum() / one.n_matched.sum()
        assert oks == pytest.approx(pairs[int(pose), int(person)], rel=1e-12)
        total += one.similarity
    np.testing.assert_allclose(result.keypoints.similarity, total, rtol=1e-9)
    labelled = truth.keypoints[~truth.is_ignored, :, 2] > 0
    assert result.keypoints.n_labelled.tolist() == labelled.sum(0).tolist()


@given(st.integers(0, 10_000))
def test_close_keypoints_are_among_the_matched_and_those_among_the_labelled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 8))
    points = TRUTH.keypoints[rng.integers(0, 4, n), :, :2] + rng.normal(0, 3, (n, 2, 2))
    poses = poses_of(points.tolist() if n else np.zeros((0, 2, 2)), np.sort(rng.integers(0, 2, n)))
    result = evaluate(TRUTH, poses, SIGMAS)
    sums = result.keypoints
    assert (sums.n_close <= sums.n_matched).all()
    assert (sums.n_matched <= sums.n_labelled).all()
    assert ((sums.similarity >= 0) & (sums.similarity <= sums.n_matched)).all()
    matched = result.values["OKS_matched"].value
    assert matched is None or 0.5 <= matched <= 1
