"""Robustness figures: by hand, their properties, and where there is none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.conditions import CONDITIONS
from crowdbench.conditions.condition import Row
from crowdbench.conditions.robustness import figure_values, robustness
from crowdbench.results import Metric

SWEEP, OVERLAP, SIZE = (CONDITIONS[n] for n in ("detector-confidence", "person-iou", "size"))


def sweep(values: list[float | None], thresholds: list[float] | None = None) -> dict[str, Metric]:
    at = thresholds or [k / 10 for k in range(len(values))]
    rows = [Row(f">= {t:g}", threshold=t) for t in at]
    return robustness(SWEEP, rows, values, [5] * len(values))


def bins(
    values: list[float | None], n: list[int], edges: tuple[float | None, ...]
) -> dict[str, Metric]:
    rows = [
        Row("", bounds=(low, high)) for low, high in itertools.pairwise(edges) if low is not None
    ]
    return robustness(OVERLAP, rows, values, n)


def test_the_figures_of_a_sweep_worked_out_by_hand() -> None:
    found = sweep([0.5, 0.4, 0.2], [0.0, 0.5, 0.9])
    assert found["AP_drop"].value == pytest.approx(0.3)
    assert found["AP_relative_drop"].value == pytest.approx(0.6)
    # (0.45 * 0.5 + 0.3 * 0.4) / 0.9
    assert found["AP_area"].value == pytest.approx(0.345 / 0.9)
    assert {key: figure.higher_is_better for key, figure in found.items()} == {
        "AP_drop": False,
        "AP_relative_drop": False,
        "AP_area": True,
    }
    assert all(figure.n == 3 for figure in found.values())


def test_the_slope_over_bins_weighs_them_by_their_persons() -> None:
    # Middles 0.25 and 0.75: the slope of a line through two points.
    found = bins([0.6, 0.4], [10, 1], (0.0, 0.5, 1.0))
    assert found["AP_slope"].value == pytest.approx(-0.4)
    assert found["AP_drop"].value == pytest.approx(0.2)
    # A third bin without weight changes nothing; one without an upper end is left out.
    assert bins([0.6, 0.4, 0.9], [10, 1, 0], (0.0, 0.5, 1.0, 1.5))["AP_slope"].value == (
        pytest.approx(-0.4)
    )
    open_end = bins([0.6, 0.4, 0.9], [10, 1, 50], (0.0, 0.5, 1.0, None))
    assert open_end["AP_slope"] == Metric(found["AP_slope"].value, 2, True, None)


def test_weights_equal_repeated_points() -> None:
    x, y, n = np.array([0.1, 0.3, 0.8]), np.array([0.9, 0.5, 0.6]), [3, 1, 2]
    edges = (0.0, 0.2, 0.4, 1.2)
    expected = np.polyfit(np.repeat(x, n), np.repeat(y, n), 1)[0]
    assert bins(y.tolist(), n, edges)["AP_slope"].value == pytest.approx(expected)


def test_where_rows_get_harder_downwards_the_drop_goes_that_way() -> None:
    rows = [Row("", bounds=(0, 32)), Row("", bounds=(32, 96)), Row("", bounds=(96, None))]
    found = robustness(SIZE, rows, [0.1, 0.5, 0.7], [1, 1, 1])
    assert found["AP_drop"].value == pytest.approx(0.6)
    # From (16, 0.1) to (64, 0.5), seen towards the small persons.
    assert found["AP_slope"].value == pytest.approx(-0.4 / 48)
    assert found["AP_slope"].higher_is_better


def test_rows_without_an_ap_are_left_out() -> None:
    found = sweep([None, 0.5, None, 0.4, None])
    assert found["AP_drop"].value == pytest.approx(0.1)
    assert found["AP_drop"].n == 2


def test_where_a_figure_makes_no_sense_there_is_a_reason() -> None:
    for values in ([], [0.5], [None, 0.5]):
        for figure in sweep(list(values)).values():
            assert figure.value is None
            assert figure.reason == "fewer than two rows have a value of AP"
    assert sweep([0.0, 0.0])["AP_relative_drop"].reason == "the AP of the easiest row is 0"
    assert sweep([0.0, 0.0])["AP_drop"].value == 0
    few = bins([0.5, 0.4], [1, 1], (0.0, 0.5, None))
    assert few["AP_slope"].reason == "fewer than two bins with an upper end have a value of AP"


@given(st.lists(st.floats(0, 1), min_size=2, max_size=10))
def test_the_area_is_a_mean_and_a_constant_has_no_drop(values: list[float]) -> None:
    area = sweep(list(values))["AP_area"].value
    assert area is not None
    assert min(values) - 1e-12 <= area <= max(values) + 1e-12
    flat = sweep([values[0]] * len(values))
    assert flat["AP_drop"].value == 0
    assert flat["AP_area"].value == pytest.approx(values[0])


def test_many_versions_at_once_are_each_the_figures_of_that_version() -> None:
    rng = np.random.default_rng(3)
    values = rng.random((4, 30))
    values[rng.random((4, 30)) < 0.3] = np.nan
    thresholds, edges = [0.0, 0.2, 0.5, 0.9], (0.0, 0.1, 0.3, 0.5, None)
    bounds = [(low, high) for low, high in itertools.pairwise(edges) if low is not None]
    n = [7, 1, 30, 2]
    swept = figure_values("threshold", "up", thresholds, n, values)
    binned = figure_values("bins", "up", bounds, n, values, "3DPCK_all")
    lacking, complete = 0, 0
    for i, column in enumerate(values.T):
        one = [None if np.isnan(value) else float(value) for value in column]
        # What falls from end to end is nothing without an end, and an area needs every row.
        if one[0] is None or one[-1] is None:
            assert np.isnan([swept["AP_drop"][i], swept["AP_relative_drop"][i]]).all()
            lacking += 1
        assert np.isnan(swept["AP_area"][i]) == (None in one)
        if None not in one:
            complete += 1
            for name, figure in sweep(one, thresholds).items():
                assert swept[name][i] == pytest.approx(figure.value, abs=1e-15)
        slope = bins(one, n, edges)["AP_slope"].value
        assert (slope is None) == np.isnan(binned["3DPCK_all_slope"][i])
        assert slope is None or binned["3DPCK_all_slope"][i] == pytest.approx(slope, abs=1e-14)
    assert lacking > 3
    assert complete > 3
