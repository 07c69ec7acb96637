"""Orders of persons: near to far, the slip of the released code, random ones, and who is where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crowdbench.card import Option
from crowdbench.structures import Array, Poses
from predictors.space.ordering import (
    BOXES,
    DISTANCE,
    FAR,
    NEAR,
    NOBODY,
    ORDER,
    RANDOM,
    ROOTS,
    as_annotated,
    points_of,
    sequences,
)
from tests.results_3d import small


def by_dictionary(points: Array, order: str) -> list[list[int]]:
    """Return the sequences as the released loader makes them: distances are keys."""
    found = []
    for target, place in enumerate(points):
        others: dict[float, int] = {}
        for other, there in enumerate(points):
            if other != target:
                others[float(np.sqrt(((there - place) ** 2).sum()))] = other
        keys = sorted(others, reverse=order == FAR)
        found.append([target, *(others[key] for key in keys)])
    return found


def without_nobody(rows: Array) -> list[list[int]]:
    """Return rows without what fills them up, which stands at their end alone."""
    lists: list[list[int]] = rows.tolist()
    lengths = [len(row) - row.count(NOBODY) for row in lists]
    assert all(NOBODY not in row[:n] for row, n in zip(lists, lengths, strict=True))
    return [row[:n] for row, n in zip(lists, lengths, strict=True)]


@pytest.mark.parametrize("order", [NEAR, FAR])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 20])
def test_the_sequences_are_those_of_the_released_loader(n: int, order: str) -> None:
    rng = np.random.default_rng(n)
    for _ in range(20):
        # Few places, so that many are equally far or the same.
        points = rng.integers(0, 4, (n, 2)).astype(float)
        found = sequences(points, order, collapses=True, seed=0)
        assert found.shape == (n, n)
        assert without_nobody(found) == by_dictionary(points, order)


@pytest.mark.parametrize("order", [NEAR, FAR])
def test_without_collapsing_everybody_is_there(order: str) -> None:
    points = np.random.default_rng(0).integers(0, 3, (9, 3)).astype(float)
    rows = sequences(points, order, collapses=False, seed=0)
    assert (np.sort(rows, axis=1) == np.arange(9)).all()
    assert (rows[:, 0] == np.arange(9)).all()
    distances = np.linalg.norm(points[rows] - points[:, None], axis=2)[:, 1:]
    steps = np.diff(distances, axis=1)
    assert ((steps >= 0) if order == NEAR else (steps <= 0)).all()
    ties = (steps == 0) & (rows[:, 1:-1] > rows[:, 2:])
    assert not ties.any()


def test_the_nearest_and_the_farthest_are_opposite_where_nobody_is_equally_far() -> None:
    points = np.random.default_rng(0).normal(size=(6, 2))
    near = sequences(points, NEAR, collapses=True, seed=0)
    far = sequences(points, FAR, collapses=True, seed=0)
    assert np.array_equal(near[:, 1:], far[:, :0:-1])


def test_somebody_in_the_same_place_comes_after_the_target() -> None:
    points = np.array([[1.0, 1], [1, 1], [9, 9]])
    for collapses in (True, False):
        assert sequences(points, NEAR, collapses=collapses, seed=0).tolist() == [
            [0, 1, 2], [1, 0, 2], [2, 0, 1] if not collapses else [2, 1, NOBODY],
        ]  # fmt: skip


def test_random_orders_depend_on_the_seed_alone() -> None:
    points = np.zeros((5, 2))
    drawn = [sequences(points, RANDOM, collapses=True, seed=seed) for seed in (3, 3, 4, -7)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    for rows in drawn:
        # Nobody is dropped, though all are in the same place.
        assert (np.sort(rows, axis=1) == np.arange(5)).all()
        assert (rows[:, 0] == np.arange(5)).all()
    # Each person has an order of its own, and all orders come up equally often.
    first = np.array([sequences(points, RANDOM, collapses=False, seed=i)[0, 1] for i in range(800)])
    counts = np.bincount(first, minlength=5)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - 200) < 60).all()


@pytest.mark.parametrize("option", [ORDER, DISTANCE])
def test_every_value_is_studied(option: Option) -> None:
    assert set(option.study) == set(option.values)


# --- persons --------------------------------------------------------------------------------------


def people(person_ids: list[int] | None, boxes: Array | None) -> Poses:
    return replace(small.poses([0, 0, 1, 1], person_ids), boxes=boxes)


def test_annotations_say_who_is_earlier() -> None:
    # In the file, persons of an image have descending ids.
    split = small.split()
    assert as_annotated(split, people([106, 107, 104, 105], None)).tolist() == [1, 0, 3, 2]
    assert as_annotated(split, people([-1, 107, 105, 104], None)).tolist() == [1, 0, 2, 3]
    assert as_annotated(split, people([-1, -1, 105, -1], None)).tolist() == [0, 1, 2, 3]
    assert as_annotated(split, people(None, None)).tolist() == [0, 1, 2, 3]
    blind = replace(split, truth=None)
    assert as_annotated(blind, people([106, 107, 104, 105], None)).tolist() == [0, 1, 2, 3]


def test_a_person_is_where_the_annotated_box_is_or_the_next_best() -> None:
    split = small.split()
    assert split.truth is not None
    annotated = np.random.default_rng(0).uniform(0, 900, (8, 4))
    split = replace(split, truth=replace(split.truth, boxes=annotated))
    own = np.random.default_rng(1).uniform(0, 900, (4, 4))
    before = own.copy()
    found = points_of(split, people([106, -1, 104, 105], own), BOXES)
    used = np.stack([annotated[1], own[1], annotated[3], annotated[2]])
    assert np.array_equal(found, used[:, :2] + used[:, 2:] / 2)
    assert np.array_equal(own, before)
    poses = people(None, None)
    middles = (poses.keypoints.min(1) + poses.keypoints.max(1)) / 2
    np.testing.assert_allclose(points_of(split, poses, BOXES), middles, rtol=0, atol=1e-9)


def test_roots_are_those_of_the_poses() -> None:
    poses = people(None, None)
    assert poses.joints_mm is not None
    assert np.array_equal(points_of(small.split(), poses, ROOTS), poses.joints_mm[:, 14])
