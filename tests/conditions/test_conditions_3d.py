"""The conditions of splits of poses in space, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crowdbench.conditions import CONDITIONS
from crowdbench.conditions.choice import describe, resolve, rule_words
from crowdbench.conditions.condition import Cut, Subject
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.errors import UsageError
from crowdbench.skeletons import COCO_17, MUPOTS_17
from crowdbench.structures import GroundTruth, Truth3D
from tests.conditions.arrays import poses_of, truth_of

SQUARE = [0.0, 0.0, 10.0, 10.0]
IN_2D = ["detector-confidence", "person-iou", "image-iou", "crowd-level", "crowd-index", "max-iou"]
IN_3D = ["detector-confidence", "person-iou", "image-iou", "people", "joint-visibility", "size"]


def truth_3d(roots: list[list[float]], images: list[int], ignored: list[bool]) -> GroundTruth:
    """Return persons with all joints at their root, in two sequences of two images."""
    joints = np.repeat(np.array(roots, float)[:, None], 17, 1)
    space = Truth3D(joints, joints, ("TS1", "TS2"), np.array([0, 0, 1, 1]))
    truth = truth_of([SQUARE] * len(roots), images, 4, ignored=ignored)
    return replace(truth, pose3d=space)


def cut_of(name: str, truth: GroundTruth) -> tuple[Cut, tuple[float | None, ...]]:
    condition = CONDITIONS[name]
    subject = Subject(truth, MUPOTS_17, poses_of(np.zeros((0, 17, 2)), []))
    values = condition.usual(MUPOTS_17)
    return condition.cut(subject, values), values


def test_each_kind_of_split_has_its_own_conditions() -> None:
    names_2d = resolve(ConditionSettings(), COCO_17).names
    names_3d = resolve(ConditionSettings(), MUPOTS_17).names
    assert names_2d == (*IN_2D, "visibility", "size")
    assert names_3d == (*IN_3D, "distance")
    assert "people(1,2,3,4,6,11,inf)" in describe(resolve(ConditionSettings(), MUPOTS_17))


@pytest.mark.parametrize(
    ("name", "skeleton", "space"),
    [("distance", COCO_17, "2D"), ("visibility", MUPOTS_17, "3D")],
)
def test_a_condition_of_the_other_kind_is_refused(name: str, skeleton: object, space: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is not one of {space} poses; choose from detec"):
        resolve(ConditionSettings((name,)), skeleton)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"{name} is not one of {space} poses"):
        resolve(ConditionSettings(None, {name: (0.0, 1.0)}), skeleton)  # type: ignore[arg-type]


def test_people_counts_evaluated_persons_of_an_image() -> None:
    images, ignored = [0, 1, 1, 1, 3, 3], [False, False, False, True, False, False]
    cut, values = cut_of("people", truth_3d([[0, 0, 1]] * 6, images, ignored))
    assert [row.label for row in cut.rows] == ["1", "2", "3", "4 - 5", "6 - 10", "11 and more"]
    chosen = [np.flatnonzero(row.images).tolist() for row in cut.rows if row.images is not None]
    # Image 2 has nobody and is in no bin.
    assert chosen == [[0], [1, 3], [], [], [], []]
    assert rule_words(cut, values).endswith("persons of the image: 1, 2, 3, 4, 6, 11, inf")


def test_distance_is_that_of_the_root_in_metres() -> None:
    roots = [[0.0, 0.0, 2999.0], [0.0, 0.0, 3000.0], [3000.0, 0.0, 4000.0], [0.0, 6000.0, 8000.0]]
    cut, _ = cut_of("distance", truth_3d(roots, [0, 0, 1, 2], [False] * 4))
    chosen = [np.flatnonzero(row.persons).tolist() for row in cut.rows if row.persons is not None]
    assert chosen == [[0], [1], [], [2], [], [3]]
    assert [row.label for row in cut.rows][-1] == "8 and more"


def test_joints_are_visible_or_occluded() -> None:
    truth = truth_3d([[0, 0, 1], [0, 0, 1]], [0, 1], [False, False])
    truth.keypoints[1, 4:6, 2] = 1
    cut, _ = cut_of("joint-visibility", truth)
    visible, occluded = cut.rows
    assert (visible.label, occluded.label) == ("visible", "occluded")
    assert visible.joints is not None
    assert occluded.joints is not None
    assert (visible.joints ^ occluded.joints).all()
    assert np.argwhere(occluded.joints).tolist() == [[1, 4], [1, 5]]
