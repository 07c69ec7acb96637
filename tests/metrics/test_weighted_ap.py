"""Weighted average precision: by hand, and against counting every copy of every pose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.metrics.average_precision import RECALL_LEVELS
from crowdbench.metrics.weighted_ap import Curve, make_curve, weigh
from crowdbench.structures import Array


def test_a_curve_worked_out_by_hand() -> None:
    # By score: a hit in image 0, a false positive and a hit in image 1, where one person is missed.
    curve = make_curve(
        image=np.array([0, 1, 1]),
        counts=np.ones(3, bool),
        place=np.array([0, 2]),
        matched=np.array([[True, True]]),
        ignored=np.zeros(2, bool),
        n_persons=np.array([1, 2]),
    )
    weights = np.array([[1, 2, 0, 1, 0], [1, 1, 1, 0, 0]], np.int32)
    precision, recall = weigh(curve, weights)
    # Precision 1 up to the first hit's recall, then what is left at the second.
    expected = [34 + 33 * 2 / 3, 51 + 25 * 3 / 4, 51 / 2, 101]
    assert precision[0, :4] == pytest.approx(np.array(expected) / 101, abs=1e-12)
    assert recall[0, :4].tolist() == [2 / 3, 3 / 4, 1 / 2, 1]
    assert np.isnan(precision[0, 4])
    assert np.isnan(recall[0, 4])


def test_a_level_is_reached_where_the_floating_point_quotient_says_so() -> None:
    # One person found in image 0, one missed in image 1: the weights are any recall there is.
    curve = make_curve(
        np.zeros(1, np.int64),
        np.ones(1, bool),
        np.zeros(1, np.int64),
        np.ones((1, 1), bool),
        np.zeros(1, bool),
        np.array([1, 1]),
    )
    sizes = [*range(1, 121), 300, 500, 1000, 6352, 10_000]
    found = np.concatenate([np.arange(1, n + 1) for n in sizes])
    n = np.repeat(sizes, sizes)
    precision, recall = weigh(curve, np.stack([found, n - found]).astype(np.int32))
    reached = (found[:, None] / n[:, None] >= RECALL_LEVELS).sum(1)
    assert np.rint(precision[0] * len(RECALL_LEVELS)).astype(int).tolist() == reached.tolist()
    assert (recall[0] == found / n).all()


class Case:
    """Match results drawn at random, with several poses to a person, in any order."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.n_images = int(rng.integers(1, 12))
        n_poses, n_thresholds = int(rng.integers(0, 150)), int(rng.integers(1, 4))
        self.image = rng.integers(0, self.n_images, n_poses)
        self.counts = rng.random(n_poses) < rng.choice([0.3, 0.9, 1])
        has_pair = rng.random(n_poses) < rng.choice([0.2, 0.6, 1])
        self.place = np.flatnonzero(has_pair)
        self.matched = rng.random((n_thresholds, len(self.place))) < rng.choice([0.1, 0.7, 1])
        self.ignored = rng.random(len(self.place)) < rng.choice([0, 0.3, 0.9])
        found = np.bincount(self.image[self.place[~self.ignored]], minlength=self.n_images)
        self.n_persons = found + rng.integers(0, 3, self.n_images)
        self.weights = rng.integers(0, 4, (self.n_images, 9)).astype(np.int32)

    def curve(self) -> Curve:
        return make_curve(
            self.image, self.counts, self.place, self.matched, self.ignored, self.n_persons
        )

    def copied(self, t: int, b: int) -> tuple[float, float]:
        """Return precision and recall with every pose looked at as often as its image counts."""
        weights = self.weights[:, b]
        n = int(self.n_persons @ weights)
        if n == 0:
            return np.nan, np.nan
        pair_of = {int(place): i for i, place in enumerate(self.place)}
        recalls, precisions = [0.0], [0.0]
        true = false = 0
        for place, image in enumerate(self.image.tolist()):
            pair = pair_of.get(place)
            is_match = pair is not None and self.matched[t, pair]
            for _ in range(weights[image]):
                true += bool(is_match and not self.ignored[pair])
                false += bool(not is_match and self.counts[place])
                recalls.append(true / n)
                precisions.append(true / (true + false + np.spacing(1.0)))
        best = [
            max((p for p, r in zip(precisions, recalls, strict=True) if r >= level), default=0.0)
            for level in RECALL_LEVELS
        ]
        return float(np.mean(best)), recalls[-1]


@settings(max_examples=40)
@given(st.integers(0, 100_000))
def test_weights_count_as_copies_do(seed: int) -> None:
    case = Case(seed)
    precision, recall = weigh(case.curve(), case.weights)
    expected = np.array(
        [[case.copied(t, b) for b in range(9)] for t in range(len(case.matched))]
    ).transpose(2, 0, 1)
    np.testing.assert_allclose(precision, expected[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(recall, expected[1], rtol=0, atol=1e-12)


@given(st.integers(0, 100_000))
def test_what_is_beside_a_resample_does_not_touch_it(seed: int) -> None:
    case = Case(seed)
    curve = case.curve()

    def columns(chosen: list[int]) -> Array:
        return np.stack(weigh(curve, np.ascontiguousarray(case.weights[:, chosen])))

    whole = columns(list(range(9)))
    np.testing.assert_array_equal(columns([3, 4]), whole[..., [3, 4]])
    np.testing.assert_array_equal(columns([8, 1, 0, 6, 2]), whole[..., [8, 1, 0, 6, 2]])
