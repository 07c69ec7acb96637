"""Paired tests: by hand, beside references, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crowdbench.errors import UsageError
from crowdbench.metrics.bootstrap import Replicates, bootstrap
from crowdbench.metrics.paired import check_same_units, detectable, holm, paired, share_worse
from crowdbench.metrics.sample import Key, Units
from crowdbench.results import Paired
from crowdbench.structures import Array
from tests.metrics.test_bootstrap import Mean

KEYS = [Key("mean")]


def compare(first: Array, second: Array, higher_is_better: bool = True) -> Paired:
    pair = (bootstrap(Mean(values), KEYS, 2_000) for values in (first, second))
    (found,) = paired(*pair, [higher_is_better])
    assert found is not None
    return found


def test_a_paired_test_by_hand() -> None:
    # 100 images, the second run 0.02 better in each but for a noise of known size.
    rng = np.random.default_rng(0)
    first, noise = rng.random(100), rng.normal(0, 0.05, 100)
    found = compare(first, first + 0.02 + noise)
    error = np.std(noise, ddof=1) / 10
    assert found.interval.standard_error == pytest.approx(error, rel=0.06)
    z = (0.02 + noise.mean()) / found.interval.standard_error
    assert found.p_value == pytest.approx(2 * stats.t.sf(z, 99), rel=1e-9)
    # 1.9842 + 0.8453, quantiles of t with 99 degrees of freedom.
    assert found.detectable == pytest.approx(2.8295 * found.interval.standard_error, rel=1e-4)
    # As a t test on the pairs says.
    theirs = stats.ttest_rel(first, first + 0.02 + noise).pvalue
    assert found.p_value == pytest.approx(theirs, abs=0.001)
    assert found.p_worse < 0.01
    assert found.p_adjusted == found.p_value  # alone in its family


def test_pairing_sees_what_two_intervals_do_not() -> None:
    first = np.random.default_rng(1).random(200)
    found = compare(first, first + 0.001)
    assert found.interval.percentile == pytest.approx((0.001, 0.001))
    assert found.p_value == 0.0


def test_equal_runs_do_not_differ() -> None:
    values = np.random.default_rng(2).random(30)
    found = compare(values, values)
    assert (found.p_value, found.p_worse, found.detectable) == (1.0, 0.5, 0.0)
    assert found.interval.percentile == (0.0, 0.0)


@given(st.integers(0, 10_000), st.booleans())
def test_exchanging_the_runs_turns_everything_round(seed: int, higher_is_better: bool) -> None:
    first, second = np.random.default_rng(seed).random((2, 20))
    here = compare(first, second, higher_is_better)
    back = compare(second, first, higher_is_better)
    low, high = here.interval.percentile
    assert back.interval.percentile == pytest.approx((-high, -low), abs=1e-12)
    assert back.p_value == pytest.approx(here.p_value)
    assert back.p_worse == pytest.approx(1 - here.p_worse)
    assert compare(first, second, not higher_is_better).p_worse == pytest.approx(1 - here.p_worse)


def test_a_number_without_an_interval_is_in_no_family() -> None:
    rng = np.random.default_rng(3)
    drawn, without = rng.normal(0, 1, (3, 500)), rng.normal(0, 1, (3, 20))
    drawn[1, ::2] = np.nan
    first = Replicates(np.zeros(3), np.zeros((3, 500)), np.zeros((3, 20)))
    found = paired(first, Replicates(np.array([2.0, 2.0, 2.5]), drawn, without), [True] * 3)
    assert found[1] is None
    p = [pair.p_value for pair in found if pair is not None]
    assert [pair.p_adjusted for pair in found if pair is not None] == holm(p)


def test_numbers_that_are_one_count_once() -> None:
    # Three rows with the same poses and persons, and another one.
    rng = np.random.default_rng(6)
    drawn, without = rng.normal(1, 0.5, (2, 500)), rng.normal(1, 0.5, (2, 50))
    rows = [0, 0, 1, 0]
    nothing = Replicates(np.zeros(4), np.zeros((4, 500)), np.zeros((4, 50)))
    second = Replicates(np.array([1.0, 1.2]), drawn, without).take(rows)
    found = [pair for pair in paired(nothing, second, [True] * 4) if pair is not None]
    p = [pair.p_value for pair in found]
    assert [pair.p_adjusted for pair in found] == [holm([p[0], p[2]])[row] for row in rows]


def test_holm_by_hand_and_its_properties() -> None:
    assert holm([]) == []
    assert holm([0.5]) == [0.5]
    # 0.01 * 4; 0.02 * 3; 0.03 * 2 would be the same; 0.9.
    assert holm([0.9, 0.01, 0.03, 0.02]) == pytest.approx([0.9, 0.04, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_corrects_upwards_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert min(adjusted) == pytest.approx(min(1, min(p_values) * len(p_values)))


def test_holm_keeps_false_findings_rare() -> None:
    # Of 10 true null hypotheses at once, 5 % of the families may have a finding.
    p_values = np.random.default_rng(4).random((4_000, 10))
    found = np.mean([min(holm(row.tolist())) <= 0.05 for row in p_values])
    assert found == pytest.approx(0.05, abs=0.012)


def test_shares_leave_out_what_is_missing() -> None:
    drawn = np.array([np.nan, -1.0, 0.0, 1.0])
    assert share_worse(drawn, higher_is_better=True) == 0.5
    assert share_worse(np.array([1.0, np.nan]), higher_is_better=False) == 1.0


def test_a_detectable_difference_is_found_8_times_of_10() -> None:
    error = 0.01
    rng = np.random.default_rng(5)
    found = rng.normal(detectable(error, freedom=199), error, 20_000)
    assert np.mean(np.abs(found) > 1.972 * error) == pytest.approx(0.8, abs=0.01)


def test_few_units_need_larger_differences() -> None:
    assert detectable(0.01, freedom=3) > 1.4 * detectable(0.01, freedom=199)
    assert detectable(0.01, freedom=199, level=0.99) > 1.2 * detectable(0.01, freedom=199)


def test_runs_of_other_images_are_not_paired() -> None:
    first, second = Mean(np.zeros(10)), Mean(np.zeros(9))
    check_same_units(first, first, ("a", "b"))
    with pytest.raises(UsageError, match=r"b has 9 images in 9 units \(image\), a 10 in 10"):
        check_same_units(first, second, ("a", "b"))
    second.units = Units("block", np.arange(10) // 2, 5)
    with pytest.raises(UsageError, match=r"b has 10 images in 5 units \(block\)"):
        check_same_units(first, second, ("a", "b"))
