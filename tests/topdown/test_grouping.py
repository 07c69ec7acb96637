"""Groups of persons: by hand, and what holds for every rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.errors import UsageError
from predictors.topdown.grouping import GROUPING, Grouping, groups_of, parse_grouping

# Two images: four persons from left to right with gaps of 10, 1 and 20 pixels, and one alone.
IMAGES = np.array([3, 3, 3, 3, 7])
BOXES = np.array([[0.0, 0, 5, 5], [10, 0, 5, 5], [11, 0, 90, 90], [31, 0, 5, 5], [0, 0, 5, 5]])


def found(rule: str) -> list[tuple[list[int], list[int]]]:
    groups = groups_of(IMAGES, BOXES, parse_grouping(rule))
    return [(group.members.tolist(), group.kept.tolist()) for group in groups]


def test_all_persons_of_an_image_are_one_group() -> None:
    assert found("all") == [([0, 1, 2, 3], [0, 1, 2, 3]), ([4], [0])]


def test_windows_are_consecutive_and_end_with_the_image() -> None:
    assert found("window:3") == [([0, 1, 2], [0, 1, 2]), ([3], [0]), ([4], [0])]
    assert found("window:9") == found("all")


def test_single_persons_are_alone() -> None:
    assert found("single") == [([i], [0]) for i in range(5)]
    assert found("window:1") == found("nearest:1") == found("single")


def test_the_nearest_are_those_whose_corners_are() -> None:
    # By corners, not by centres: the third box is large, and its centre far from the second's.
    assert found("nearest:2") == [
        ([0, 1], [0]), ([1, 2], [0]), ([1, 2], [1]), ([2, 3], [1]), ([4], [0]),
    ]  # fmt: skip
    # With everyone in every group, each is asked for once.
    assert found("nearest:4") == [([0, 1, 2, 3], [i]) for i in range(4)] + [([4], [0])]


def test_persons_in_the_very_same_place_are_told_apart() -> None:
    groups = list(groups_of(np.zeros(3, int), np.zeros((3, 4)), Grouping("nearest", 2)))
    assert [group.members[group.kept].tolist() for group in groups] == [[0], [1], [2]]
    assert [group.members.tolist() for group in groups] == [[0, 1], [0, 1], [0, 2]]


@given(
    counts=st.lists(st.integers(1, 9), max_size=5),
    rule=st.sampled_from(["all", "single", "window:2", "window:5", "nearest:2", "nearest:5"]),
    seed=st.integers(0, 99),
)
def test_every_person_is_kept_once_and_groups_stay_in_their_image(
    counts: list[int], rule: str, seed: int
) -> None:
    images = np.repeat(np.arange(len(counts)) * 2, counts)
    boxes = np.random.default_rng(seed).integers(0, 4, (len(images), 4)).astype(float)
    grouping = parse_grouping(rule)
    groups = list(groups_of(images, boxes, grouping))
    kept = [row for group in groups for row in group.members[group.kept].tolist()]
    assert sorted(kept) == list(range(len(images)))
    for group in groups:
        assert len(set(images[group.members].tolist())) == 1
        assert (np.diff(group.members) > 0).all()
        assert len(group.members) <= (grouping.size or 9)


@pytest.mark.parametrize("text", ["all", "single", "window:4", "nearest:12"])
def test_rules_are_printed_as_they_are_written(text: str) -> None:
    assert str(parse_grouping(text)) == text


@pytest.mark.parametrize("text", ["", "window", "window:0", "window:-1", "single:2", "nearest:x"])
def test_other_words_are_no_rule(text: str) -> None:
    with pytest.raises(UsageError, match="expected all, window:N, nearest:N or single"):
        parse_grouping(text)


def test_the_ablation_is_made_of_rules() -> None:
    assert [str(parse_grouping(text)) for text in GROUPING.study] == list(GROUPING.study)
