"""Intervals: by hand, beside scipy's, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crowdbench.metrics.bootstrap import Replicates, bootstrap, bootstrap_facts, intervals
from crowdbench.metrics.sample import Key, Units, draw, leave_out
from crowdbench.results import Bootstrap
from crowdbench.structures import Array


class Mean:
    """A sample whose number is the mean of one value for each unit."""

    def __init__(self, values: Array) -> None:
        self.values = values
        self.units = Units("image", np.arange(len(values)), len(values))
        self.keys = (Key("mean"),)

    def replicate(self, weights: Array, keys: list[Key]) -> Array:
        with np.errstate(invalid="ignore"):
            means = self.values @ weights / weights.sum(0)
        return np.stack([means for _ in keys])

    def arrays(self) -> dict[str, Array]:
        return {}

    def facts(self) -> dict[str, object]:
        return {}


def test_a_percentile_interval_by_hand() -> None:
    drawn = np.arange(101.0)[None]
    (interval,) = intervals(Replicates(np.array([50.0]), drawn, np.zeros((1, 5))))
    assert interval is not None
    assert interval.percentile == pytest.approx((2.5, 97.5))
    assert interval.standard_error == pytest.approx(np.arange(101.0).std(ddof=1))
    # No skewness and no bias, as half of the ties count as below: BCa is the same.
    assert interval.bca == pytest.approx((2.5, 97.5))


@pytest.mark.parametrize("seed", range(5))
def test_intervals_are_those_of_scipy(seed: int) -> None:
    values = np.random.default_rng(seed).exponential(size=40)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=999, method="BCa", rng=np.random.default_rng(seed)
    )
    drawn = theirs.bootstrap_distribution
    without = (values.sum() - values) / (len(values) - 1)
    (ours,) = intervals(Replicates(np.array([values.mean()]), drawn[None], without[None]))
    assert ours is not None
    assert ours.bca == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-12)
    percentile = stats.bootstrap(
        (values,), np.mean, n_resamples=0, method="percentile", bootstrap_result=theirs
    )
    assert ours.percentile == pytest.approx(tuple(percentile.confidence_interval), abs=1e-12)


def test_bca_has_the_skewness_of_the_units() -> None:
    values = np.r_[np.zeros(30), 1, 2, 30]
    replicates = bootstrap(Mean(values), [Key("mean")], 4_000)
    (interval,) = intervals(replicates)
    assert interval is not None
    assert interval.bca is not None
    # Of a mean with a long tail to the right: further to the right at both ends.
    assert interval.bca[0] > interval.percentile[0]
    assert interval.bca[1] > interval.percentile[1]


def test_there_is_no_interval_of_nothing() -> None:
    nan = np.nan
    drawn = np.array([0.1, 0.2, 0.3] * 40)
    without = np.array([0.1, 0.2, 0.3])
    missing = drawn.copy()
    missing[:7] = nan  # more than 5 %
    few_missing = drawn.copy()
    few_missing[:6] = nan
    found = intervals(
        Replicates(
            np.array([nan, 0.2, 0.2, 0.2]),
            np.stack([drawn, missing, few_missing, drawn]),
            np.stack([without] * 4),
        )
    )
    assert [interval is None for interval in found] == [True, True, False, False]
    # One unit is always drawn.
    assert intervals(bootstrap(Mean(np.array([0.3])), [Key("mean")], 100)) == [None]


def test_a_number_outside_all_resamples_has_no_bca() -> None:
    drawn = np.linspace(0.5, 0.6, 100)[None]
    (interval,) = intervals(Replicates(np.array([0.4]), drawn, np.array([[0.4, 0.41]])))
    assert interval is not None
    assert interval.bca is None


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30),
    st.floats(-100, 100),
    st.floats(0.1, 10),
)
def test_intervals_move_with_the_values(values: list[float], shift: float, scale: float) -> None:
    sample, moved = Mean(np.array(values)), Mean(np.array(values) * scale + shift)
    (here,), (there,) = (intervals(bootstrap(s, [Key("mean")], 100)) for s in (sample, moved))
    assert here is not None
    assert there is not None
    low, high = here.percentile
    assert low <= high
    assert there.percentile == pytest.approx((low * scale + shift, high * scale + shift), abs=1e-6)
    assert there.standard_error == pytest.approx(here.standard_error * scale, abs=1e-6)


def test_constant_values_have_an_interval_of_width_0() -> None:
    (interval,) = intervals(bootstrap(Mean(np.full(20, 0.25)), [Key("mean")], 200))
    assert interval is not None
    assert interval.percentile == interval.bca == (0.25, 0.25)
    assert interval.standard_error == 0


def test_numbers_that_hardly_change_have_an_interval() -> None:
    # The cube of their spread is less than any number above 0.
    tiny = 1e-120
    drawn, without = np.array([[-tiny, tiny] * 50]), np.array([[tiny, -tiny]])
    (interval,) = intervals(Replicates(np.zeros(1), drawn, without))
    assert interval is not None
    assert interval.percentile == interval.bca == (-tiny, tiny)


def test_draws_are_the_same_for_ever() -> None:
    # They rest on raw bits, which numpy promises not to change: with others, intervals of old
    # records would not come out again.
    drawn = draw(5, 4, seed=0)
    assert drawn.tolist() == [[2, 0, 2, 1], [1, 0, 0, 1], [0, 1, 0, 2], [1, 2, 1, 0], [1, 2, 2, 1]]
    raw = np.random.PCG64(0).random_raw(20).tolist()
    by_hand = [[number * 5 >> 64 for number in raw[i : i + 5]].count(0) for i in (0, 5, 10, 15)]
    assert drawn[0].tolist() == by_hand
    assert not np.array_equal(draw(50, 4, seed=0), draw(50, 4, seed=1))


def test_every_unit_is_drawn_about_equally_often() -> None:
    counts = draw(7, 3_000, seed=3)
    assert (counts.sum(0) == 7).all()
    totals = counts.sum(1)
    assert stats.chisquare(totals).pvalue > 0.001
    assert counts.std(1) == pytest.approx(np.sqrt(6 / 7), abs=0.03)


def test_groups_that_are_left_out_are_all_units_once() -> None:
    weights = leave_out(450, 200)
    assert weights.shape == (450, 200)
    assert (weights.sum(1) == 199).all()
    assert set((450 - weights.sum(0)).tolist()) == {2, 3}
    assert leave_out(1, 200).tolist() == [[0]]


def test_the_facts_say_what_was_drawn() -> None:
    sample = Mean(np.zeros(10))
    sample.units = Units("block", np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3]), 4)
    assert bootstrap_facts(sample, 500) == Bootstrap(500, 0, 0.95, "block", 4, 3)
