"""Which images stand for the crowds of a split: annotations alone decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crowdbench.datasets.split import Split
from crowdbench.drawn_2d import CrowdImages
from crowdbench.files import FileDigest
from crowdbench.metrics.evaluation import evaluate
from crowdbench.running.crowd_images import crowd_images
from crowdbench.skeletons import COCO_17
from crowdbench.structures import GroundTruth, Images, Poses
from tests.conditions.arrays import poses_of, truth_of

APART = 200.0


def truth_with(shifts: list[float], ignored: list[bool] | None = None) -> GroundTruth:
    """Return an image for each shift, of two boxes of 100 by 100 that are so many pixels apart."""
    boxes = [[x, 0.0, 100.0, 100.0] for shift in shifts for x in (0.0, shift)]
    images = [i for i in range(len(shifts)) for _ in range(2)]
    return truth_of(boxes, images, len(shifts), ignored=ignored)


def chosen(truth: GroundTruth, poses: Poses | None = None) -> CrowdImages | None:
    n = len(truth.image_ids)
    images = Images(truth.image_ids, [f"{i}.jpg" for i in range(n)], np.full((n, 2), 500))
    digest = FileDigest("a.json", "0" * 64, 1)
    split = Split("own", COCO_17, "annotation", images, truth, 1, digest, Path(), truth.image_ids)
    if poses is None:
        poses = poses_of(np.zeros((0, 17, 2)), [])
    return crowd_images(split, poses, evaluate(truth, poses, COCO_17.sigma_array))


def rows(found: CrowdImages | None) -> list[int]:
    assert found is not None
    return [image.image_id - 100 for image in found.images]


def test_six_images_at_equal_steps_through_the_most_crowded_tenth_are_chosen() -> None:
    order = np.random.default_rng(3).permutation(125)
    # Image order[k] has the k-th largest overlap; in the last five there is none.
    shifts = np.empty(125)
    shifts[order] = [10.0 + k / 2 if k < 120 else APART for k in range(125)]
    found = chosen(truth_with(shifts.tolist()))
    assert rows(found) == order[[1, 3, 5, 7, 9, 11]].tolist()
    assert found is not None
    assert (found.n_overlapping, found.n_crowded) == (120, 12)
    # Boxes of 100 that are 15.5 apart.
    assert found.least_overlap == pytest.approx(84.5 / 115.5)


def test_a_tenth_is_rounded_up() -> None:
    found = chosen(truth_with([10.0 + k for k in range(71)]))
    assert found is not None
    assert found.n_crowded == 8
    assert rows(found) == [0, 2, 3, 4, 6, 7]


def test_of_few_images_all_in_which_persons_overlap_are_shown() -> None:
    found = chosen(truth_with([50.0, APART, 20.0, 50.0, 90.0]))
    assert rows(found) == [2, 0, 3, 4]  # of equal ones the lower id first
    assert found is not None
    assert (found.n_overlapping, found.n_crowded) == (4, 4)


def test_only_evaluated_persons_crowd_an_image() -> None:
    found = chosen(truth_with([10.0, 60.0], ignored=[False, True, False, False]))
    assert rows(found) == [1]


def test_where_no_persons_overlap_there_are_none() -> None:
    assert chosen(truth_with([APART, 100.0])) is None
    assert chosen(truth_of([])) is None


def test_the_poses_change_how_good_the_images_are_but_not_which_they_are() -> None:
    truth = truth_with([10.0 + k for k in range(80)])
    # Perfect poses for the persons of every other image.
    persons = np.flatnonzero(truth.image_index % 2 == 0)
    poses = poses_of(
        truth.keypoints[persons][:, :, :2],
        [0.5] * len(persons),
        truth.image_index[persons].tolist(),
    )
    without, with_poses = chosen(truth), chosen(truth, poses)
    assert rows(without) == rows(with_poses)
    assert without is not None
    assert with_poses is not None
    assert without.mean_oks == 0
    # 8 images are crowded; 4 of them have poses. Images without poses have mean OKS 0.
    assert with_poses.mean_oks == pytest.approx(0.5)
    for image in with_poses.images:
        assert image.mean_oks == pytest.approx(1.0 if image.image_id % 2 == 0 else 0.0)
        assert len(image.poses) == (2 if image.image_id % 2 == 0 else 0)


def test_boxes_beyond_all_limits_crowd_nothing() -> None:
    huge = [[0.0, 0.0, 1e200, 1e200]] * 2
    with np.errstate(over="ignore"):  # the test's own areas
        truth = truth_of([*huge, [0, 0, 100, 100], [50, 0, 100, 100]], [0, 0, 1, 1], 2)
    assert rows(chosen(truth)) == [1]
