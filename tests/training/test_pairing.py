"""Who is looked for as the second person of a box."""

from __future__ import annotations

import numpy as np

from predictors.training.pairing import instances_of, settle_instances

SIZE = (128, 96)


def boxes_at(*centres: tuple[float, float]) -> np.ndarray:
    return np.array([[x - 5, y - 10, 10, 20] for x, y in centres], float)


def test_the_nearest_centre_counts_though_no_box_overlaps() -> None:
    boxes = boxes_at((0, 0), (300, 0), (500, 0))
    assert instances_of(boxes, 2).tolist() == [[0, 1], [1, 2], [2, 1]]


def test_the_centre_counts_and_not_the_corner() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 100, 100], [20, 0, 10, 10]])
    assert instances_of(boxes, 2)[0].tolist() == [0, 2]


def test_who_is_alone_is_the_second_person_too() -> None:
    assert instances_of(boxes_at((5, 5)), 2).tolist() == [[0, 0]]
    assert instances_of(boxes_at((5, 5)), 1).tolist() == [[0]]
    assert instances_of(np.empty((0, 4)), 2).shape == (0, 2)


def test_at_the_same_place_each_comes_first_itself() -> None:
    assert instances_of(boxes_at((5, 5), (5, 5)), 2).tolist() == [[0, 1], [1, 0]]


def test_more_instances_come_by_distance() -> None:
    boxes = boxes_at((0, 0), (90, 0), (10, 0))
    assert instances_of(boxes, 3).tolist() == [[0, 2, 1], [1, 2, 0], [2, 0, 1]]
    assert instances_of(boxes, 4)[0].tolist() == [0, 2, 1, 0]


def joints_of(n_inside: int) -> np.ndarray:
    """Return an owner with all joints at 10 and another with some at 20, the rest beyond."""
    joints = np.full((1, 2, 17, 3), 2.0)
    joints[0, 0, :, :2] = 10
    joints[0, 1, :, :2] = 20
    joints[0, 1, n_inside:, 0] = 96
    return joints


def test_with_four_joints_in_the_crop_the_other_person_stays() -> None:
    joints = joints_of(4)
    settled = settle_instances(joints, SIZE)
    assert settled[0, 1, :, 2].tolist() == [2] * 4 + [0] * 13
    assert np.array_equal(settled[..., :2], joints[..., :2])
    assert np.array_equal(settled[0, 0], joints[0, 0])


def test_with_three_joints_in_the_crop_the_owner_takes_the_place() -> None:
    joints = joints_of(3)
    settled = settle_instances(joints, SIZE)
    assert np.array_equal(settled[0, 1], joints[0, 0])


def test_the_owner_loses_joints_outside_too_and_the_last_pixel_is_inside() -> None:
    joints = np.full((1, 2, 17, 3), 2.0)
    joints[0, 0, :5, :2] = [[-0.1, 5], [0, -0.1], [96, 0], [0, 128], [95.9, 127.9]]
    before = joints.copy()
    settled = settle_instances(joints, SIZE)
    assert settled[0, 0, :6, 2].tolist() == [0, 0, 0, 0, 2, 2]
    assert np.array_equal(joints, before)
