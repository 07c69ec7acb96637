"""Each condition by hand: what takes part in which row, what is said, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crowdbench.conditions import CONDITIONS
from crowdbench.conditions.box_iou import highest_iou, image_means
from crowdbench.conditions.choice import cut_split, describe, resolve, rule_words
from crowdbench.conditions.condition import Cut, UnavailableError, bin_label, bins_of, bounds_of
from crowdbench.conditions.crowd_index import crowd_index
from crowdbench.conditions.settings import ConditionSettings, parse_settings
from crowdbench.errors import UnknownNameError, UsageError
from crowdbench.skeletons import COCO_17, CROWDPOSE_14
from tests.conditions.arrays import poses_of, subject_of, truth_of

SQUARE = [0.0, 0.0, 10.0, 10.0]


def cut_of(name: str, subject: object, values: tuple[float | None, ...] | None = None) -> Cut:
    condition = CONDITIONS[name]
    return condition.cut(subject, values or condition.usual(COCO_17))  # type: ignore[arg-type]


# --- Bins -----------------------------------------------------------------------------------------


def test_a_bin_holds_its_lower_edge_and_the_last_one_both() -> None:
    values = np.array([0.0, 0.1, 0.3, 0.31, 1.0, 1.01, -0.1, np.nan])
    inside = bins_of(values, (0.0, 0.1, 0.3, 1.0))
    assert [np.flatnonzero(b).tolist() for b in inside] == [[0], [1], [2, 3, 4]]
    assert np.flatnonzero(bins_of(values, (0.3, None))[0]).tolist() == [2, 3, 4, 5]


@given(
    hnp.arrays(float, st.integers(0, 30), elements=st.floats(0, 1)),
    st.lists(st.floats(0.01, 0.99), max_size=6, unique=True),
)
def test_bins_that_cover_all_hold_every_value_once(values: np.ndarray, cuts: list[float]) -> None:
    for last in (1.0, None):
        inside = bins_of(values, (0.0, *sorted(cuts), last))
        assert (np.sum(inside, axis=0) == 1).all()


def test_labels_and_bounds_say_what_is_in_a_bin() -> None:
    assert bounds_of((0.0, 0.5, None)) == [(0.0, 0.5), (0.5, None)]
    assert bin_label(0.5, 1.0) == "0.5 - 1"
    assert bin_label(96.0, None) == "96 and more"


# --- Detector confidence --------------------------------------------------------------------------


def test_detector_confidence_keeps_candidates_by_their_box_s_score() -> None:
    poses = poses_of(
        np.zeros((4, 17, 2)), [9, 8, 7, 6], box_scores=[0.2, 0.5, 0.5, 0.9], box_index=[0, 1, 1, 2]
    )
    cut = cut_of("detector-confidence", subject_of(truth_of([SQUARE]), poses), (0.0, 0.5, 0.9))
    kept = [np.flatnonzero(row.poses).tolist() for row in cut.rows if row.poses is not None]
    assert kept == [[0, 1, 2, 3], [1, 2, 3], [3]]
    assert [row.n_boxes for row in cut.rows] == [3, 2, 1]
    assert [row.label for row in cut.rows] == [">= 0", ">= 0.5", ">= 0.9"]
    assert "box score" in cut.rule
    assert cut.notes == ()


def test_boxes_of_a_results_file_are_told_apart_by_place_and_score() -> None:
    other = [0.0, 0.0, 10.0, 11.0]
    poses = poses_of(
        np.zeros((6, 17, 2)),
        [1] * 6,
        images=[0, 0, 0, 0, 1, 1],
        boxes=[SQUARE, SQUARE, SQUARE, other, SQUARE, SQUARE],
        box_scores=[0.5, 0.5, 0.6, 0.5, 0.5, 0.5],
    )
    cut = cut_of("detector-confidence", subject_of(truth_of([SQUARE]), poses), (0.0, 0.55))
    assert [row.n_boxes for row in cut.rows] == [4, 1]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)), max_size=40))
def test_the_number_of_boxes_is_that_of_different_ones(entries: list[tuple[int, ...]]) -> None:
    entries.sort()
    poses = poses_of(
        np.zeros((len(entries), 17, 2)),
        [1] * len(entries),
        images=[i for i, _, _ in entries],
        boxes=[[b, -b, 5, 5] for _, b, _ in entries],
        box_scores=[s / 2 for _, _, s in entries],
    )
    rows = cut_of("detector-confidence", subject_of(truth_of([SQUARE]), poses)).rows
    assert rows[0].n_boxes == len(set(entries))


def test_without_box_scores_the_pose_s_own_score_decides_and_that_is_said() -> None:
    poses = poses_of(np.zeros((3, 17, 2)), [-0.5, 0.5, 1.5])
    cut = cut_of("detector-confidence", subject_of(truth_of([SQUARE]), poses), (0.0, 0.9))
    kept = [np.flatnonzero(row.poses).tolist() for row in cut.rows if row.poses is not None]
    assert kept == [[1, 2], [2]]
    assert [row.n_boxes for row in cut.rows] == [None, None]
    assert cut.rule == "final poses whose own score is at least t take part"
    assert cut.axis == "least score of a pose"
    assert "without box scores" in cut.notes[0]
    assert "2 pose scores are outside 0 to 1" in cut.notes[1]


def test_no_poses_from_boxes_are_no_poses_without_boxes() -> None:
    nothing = poses_of(np.zeros((0, 17, 2)), [])
    subject = subject_of(truth_of([SQUARE]), nothing, has_boxes=True)
    cut = cut_of("detector-confidence", subject, (0.0, 0.9))
    assert (cut.axis, cut.notes) == (None, ())
    assert cut.rule.startswith("candidates whose box score")
    assert [row.n_boxes for row in cut.rows] == [0, 0]


def test_boxes_that_all_have_one_score_are_noted() -> None:
    poses = poses_of(np.zeros((2, 17, 2)), [1, 2], box_scores=[1, 1])
    cut = cut_of("detector-confidence", subject_of(truth_of([SQUARE]), poses))
    assert cut.notes == ("all boxes have the score 1, so detector-confidence says nothing",)


def test_a_predictor_whose_poses_depend_on_all_boxes_brings_poses_for_every_threshold() -> None:
    few, many = (
        poses_of(np.zeros((n, 17, 2)), [1] * n, box_scores=[0.7] * n, box_index=list(range(n)))
        for n in (1, 3)
    )
    subject = subject_of(truth_of([SQUARE]), many, sweep={0.0: many, 0.5: few})
    cut = cut_of("detector-confidence", subject, (0.0, 0.5))
    rows = cut.rows
    assert [row.candidates for row in rows] == [many, few]
    assert [row.n_boxes for row in rows] == [3, 1]
    assert all(row.poses is None for row in rows)
    # By the same rule as other predictors, so that it is compared with them.
    alone = cut_of("detector-confidence", subject_of(truth_of([SQUARE]), many), (0.0, 0.5))
    assert (cut.rule, cut.notes) == (alone.rule, alone.notes)
    assert cut.notes == ("all boxes have the score 0.7, so detector-confidence says nothing",)
    with pytest.raises(UnavailableError, match=r"at least 0\.3, 0\.9 alone: run it again with"):
        cut_of("detector-confidence", subject, (0.0, 0.3, 0.9))


def test_an_index_below_zero_is_easy_as_in_the_official_tool() -> None:
    truth = replace(truth_of([SQUARE]), crowd_index=np.array([-0.5]))
    rows = cut_of("crowd-level", subject_of(truth)).rows
    assert [row.images.tolist() for row in rows if row.images is not None] == [
        [True], [False], [False],
    ]  # fmt: skip


def test_numbers_near_the_limits_of_float64_are_in_no_bin_and_warn_nobody() -> None:
    huge = 1e200
    boxes = np.array([[0, 0, huge, huge], [0, 0, huge, huge], [-huge, 0, 1e308, 1]])
    truth = replace(truth_of([SQUARE] * 3), boxes=boxes)
    settings = resolve(ConditionSettings(), COCO_17)
    for _, _, cut in cut_split(settings, subject_of(truth)):
        assert isinstance(cut, (Cut, str))


# --- Crowding -------------------------------------------------------------------------------------


def test_the_highest_iou_is_with_the_nearest_box_of_the_same_image() -> None:
    boxes = np.array([SQUARE, [5, 0, 10, 10], [8, 0, 10, 10], SQUARE, [0, 0, 0, 0]], float)
    found = highest_iou(boxes, np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found, [1 / 3, 7 / 13, 7 / 13, 0, 0])
    means = image_means(found, np.array([0, 0, 0, 1, 1]), 3)
    np.testing.assert_allclose(means, [(1 / 3 + 14 / 13) / 3, 0, np.nan])


@given(
    hnp.arrays(float, st.tuples(st.integers(0, 12), st.just(4)), elements=st.integers(0, 6)),
    st.integers(0, 1000),
)
def test_the_highest_iou_lies_in_zero_to_one_and_goes_with_its_box(
    boxes: np.ndarray, seed: int
) -> None:
    image = np.sort(np.random.default_rng(seed).integers(0, 3, len(boxes)))
    found = highest_iou(boxes, image)
    assert ((found >= 0) & (found <= 1)).all()
    # A person who moves within the list of its image keeps its value; scale changes nothing.
    order = np.lexsort((-np.arange(len(boxes)), image))
    np.testing.assert_array_equal(highest_iou(boxes[order], image), found[order])
    np.testing.assert_allclose(highest_iou(boxes * 3, image), found)


def test_persons_that_are_not_evaluated_count_in_the_iou_only_when_asked() -> None:
    truth = truth_of([SQUARE, SQUARE, [20, 0, 5, 5]], ignored=[False, True, False])
    assert subject_of(truth).person_iou.tolist() == [1, 1, 0]
    found = subject_of(truth, iou_among="evaluated").person_iou
    np.testing.assert_array_equal(found, [0, np.nan, 0])
    rows = cut_of("person-iou", subject_of(truth, iou_among="evaluated")).rows
    assert rows[0].persons is not None
    assert rows[0].persons.tolist() == [True, False, True]
    assert not any(row.persons[1] for row in rows if row.persons is not None)


def test_images_without_persons_are_in_no_bin_of_image_iou() -> None:
    truth = truth_of([SQUARE], [1], n_images=2)
    rows = cut_of("image-iou", subject_of(truth)).rows
    taking_part = [row.images.tolist() for row in rows if row.images is not None]
    assert taking_part[0] == [False, True]
    assert not np.any(taking_part[1:])


def crowd_of_two() -> np.ndarray:
    """Return two persons of 17 keypoints: of the second, six lie in the first one's box."""
    keypoints = np.zeros((2, 17, 3))
    keypoints[0, :, :2], keypoints[0, :, 2] = 5, 1
    keypoints[1, :6, :2], keypoints[1, 6:, :2] = (10, 0), (50, 50)
    keypoints[1, :, 2] = 2
    return keypoints


def test_the_crowd_index_counts_the_others_keypoints_in_a_person_s_box() -> None:
    truth = truth_of([SQUARE, [40, 40, 20, 20]], keypoints=crowd_of_two())
    # First 6 / 17, the border belonging to the box; second 0 / 17.
    assert crowd_index(truth, 17).tolist() == [round(6 / 17 / 2, 2)]


def test_persons_with_three_keypoints_do_not_average_but_their_keypoints_count() -> None:
    keypoints = crowd_of_two()
    keypoints[1, 3:, 2] = 0
    truth = truth_of([SQUARE, [40, 40, 20, 20]], keypoints=keypoints)
    assert crowd_index(truth, 17).tolist() == [round(3 / 17, 2)]
    keypoints[0, 3:, 2] = 0
    assert crowd_index(replace(truth, keypoints=keypoints), 17).tolist() == [0]


def test_the_file_s_crowd_index_is_used_and_a_difference_is_reported() -> None:
    truth = truth_of([SQUARE, [40, 40, 20, 20]], keypoints=crowd_of_two())
    computed = cut_of("crowd-level", subject_of(truth))
    assert "computed" in computed.rule
    assert [row.label for row in computed.rows] == ["easy", "medium", "hard"]
    assert [row.images.tolist() for row in computed.rows if row.images is not None] == [
        [True], [False], [False],
    ]  # fmt: skip
    stored = cut_of("crowd-level", subject_of(replace(truth, crowd_index=np.array([0.8]))))
    assert [row.images.tolist() for row in stored.rows if row.images is not None] == [
        [False], [False], [True],
    ]  # fmt: skip
    assert "image 100, 0.8 in the file, 0.18 computed" in stored.notes[0]
    same = cut_of("crowd-level", subject_of(replace(truth, crowd_index=np.array([0.18]))))
    assert same.notes == ()


def test_ochuman_s_max_iou_is_taken_from_the_file_or_there_is_none() -> None:
    truth = truth_of([SQUARE, SQUARE])
    with pytest.raises(UnavailableError, match="no max_iou"):
        cut_of("max-iou", subject_of(truth))
    rows = cut_of("max-iou", subject_of(replace(truth, max_iou=np.array([0.5, 1.0])))).rows
    assert [row.persons.tolist() for row in rows if row.persons is not None] == [
        [False, False], [True, False], [False, True],
    ]  # fmt: skip


# --- Visibility and size --------------------------------------------------------------------------


def test_visibility_counts_all_labelled_keypoints() -> None:
    keypoints = np.zeros((3, 17, 3))
    for person, n in enumerate((5, 6, 17)):
        keypoints[person, :n, 2] = 1
    rows = cut_of("visibility", subject_of(truth_of([SQUARE] * 3, keypoints=keypoints))).rows
    assert [row.label for row in rows] == ["1 - 5", "6 - 10", "11 - 15", "16 and more"]
    assert [np.flatnonzero(row.persons).tolist() for row in rows] == [[0], [1], [], [2]]
    assert CONDITIONS["visibility"].usual(CROWDPOSE_14) == (1, 6, 11, None)


def test_size_is_the_square_root_of_the_area() -> None:
    truth = replace(truth_of([SQUARE] * 3), areas=np.array([1023.9, 1024.0, 9216.0]))
    rows = cut_of("size", subject_of(truth)).rows
    assert [np.flatnonzero(row.persons).tolist() for row in rows] == [[0], [1], [2], []]


# --- What a user asks for -------------------------------------------------------------------------


def test_defaults_are_written_out_with_every_number() -> None:
    found = resolve(ConditionSettings(), COCO_17)
    assert found.names == tuple(n for n, c in CONDITIONS.items() if "2d" in c.spaces)
    assert found.values["detector-confidence"] == tuple(k / 10 for k in range(10))
    words = describe(found)
    assert "detector-confidence(0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9);" in words
    assert "person-iou(annotated:0,0.1,0.3,0.5,0.6,0.7,0.8,1);" in words
    assert "size(0,32,96,192,inf)" in words
    assert describe(resolve(ConditionSettings(()), COCO_17)) == "none"
    assert resolve(found, COCO_17) == found


def test_options_become_settings() -> None:
    asked = parse_settings("size, visibility", None, ["size=0,50,inf"], "evaluated")
    found = resolve(asked, COCO_17)
    assert found.names == ("visibility", "size")
    assert found.values["size"] == (0, 50, None)
    assert found.iou_among == "evaluated"
    assert parse_settings(None, "0,0.25", [], "annotated").values == {
        "detector-confidence": (0, 0.25)
    }
    assert parse_settings("none", None, [], "annotated").names == ()
    assert parse_settings("all", None, [], "annotated").names is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("crowdlevel", None, [], "annotated"), "did you mean crowd-level"),
        ((None, None, ["sise=0,1"], "annotated"), "did you mean size"),
        ((None, None, ["size"], "annotated"), "expected CONDITION=EDGE,EDGE"),
        ((None, None, ["size=0"], "annotated"), "must be 2 or more"),
        ((None, None, ["size=0,x"], "annotated"), "not numbers with commas"),
        ((None, None, ["size=1,0"], "annotated"), "must rise"),
        ((None, None, ["size=0,0"], "annotated"), "must rise"),
        ((None, None, ["size=nan,1"], "annotated"), "must rise"),
        ((None, "0.5,0.50000001", [], "annotated"), "after the sixth digit"),
        ((None, None, ["size=-inf,1"], "annotated"), "finite"),
        ((None, None, ["size=0,1", "size=0,2"], "annotated"), "more than once"),
        ((None, None, ["crowd-level=0,1"], "annotated"), "part of its definition"),
        ((None, None, ["detector-confidence=0,inf"], "annotated"), "finite"),
        ((None, "0,inf", [], "annotated"), "finite"),
        ((None, "", [], "annotated"), "not numbers"),
        (("size", "0,0.5", [], "annotated"), "not among the conditions asked for"),
        ((None, None, [], "all"), "--iou-among is 'all'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(options: tuple, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises((UsageError, UnknownNameError), match=message):
        resolve(parse_settings(*options), COCO_17)


def test_a_rule_says_all_its_numbers_and_a_missing_condition_its_reason() -> None:
    settings = resolve(ConditionSettings(("max-iou", "size")), COCO_17)
    found = {c.name: cut for c, _, cut in cut_split(settings, subject_of(truth_of([SQUARE])))}
    assert found["max-iou"] == "the annotations have no max_iou"
    assert isinstance(found["size"], Cut)
    words = rule_words(found["size"], settings.values["size"])
    assert words == "square root of the person's area in px: 0, 32, 96, 192, inf"
