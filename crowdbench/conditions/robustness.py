"""Figures that sum up how the numbers of a condition fall from its easiest row to its hardest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import UNSET

from crowdbench.conditions.condition import Condition, Row
from crowdbench.results import ConditionRow, Metric
from crowdbench.structures import Array

# What a row stands for: a threshold, the low and high end of a bin, or nothing (levels).
Place = float | tuple[float | None, float | None] | None


def robustness(
    condition: Condition,
    rows: Sequence[Row],
    values: Sequence[float | None],
    n: Sequence[int],
    metric: str = "AP",
) -> dict[str, Metric]:
    """Return the figures of one condition, from the AP, or another metric, of its rows.

    Args:
        condition: what the rows are of.
        rows: in the order of their values.
        values: the AP of each row; None where no person is evaluated.
        n: evaluated persons of each row.
        metric: what the values are: the name of a metric that is better the higher it is.

    Returns:
        By name, each with the number of rows it rests on. With another metric its name stands for
        ``AP``.
        ``AP_drop``: AP of the easiest row less AP of the hardest, of those that have one.
        ``AP_relative_drop``: the same as a share of the easiest row's AP.
        ``AP_area`` (thresholds): area under AP over the thresholds by the trapezoid rule, divided
        by their range, so the mean AP over the range.
        ``AP_slope`` (bins): by how much AP changes per unit of the axis towards the hard end, so
        below 0 where it falls: slope of the straight line through AP over the bins' middles, fitted
        by least squares with the numbers of persons as weights; bins without an upper end are left
        out.

    Source: MIPNet's Figure 5 reads the drop from the loosest to the strictest detector; the other
    figures are ours.
    """
    places: list[Place] = [row.bounds if row.threshold is None else row.threshold for row in rows]
    known = [value is not None for value in values]
    column = np.array([[np.nan if value is None else value] for value in values]).reshape(-1, 1)
    figures = {}
    for name, found in figure_values(
        condition.kind, condition.harder, places, n, column, metric
    ).items():
        value, used = float(found[0]), known
        suffix = name.removeprefix(metric)
        reason = f"fewer than two rows have a value of {metric}"
        if suffix == "_slope":
            used = [a and b for a, b in zip(known, _have_ends(places), strict=True)]
            reason = f"fewer than two bins with an upper end have a value of {metric}"
        elif suffix == "_relative_drop" and sum(known) >= 2:
            reason = f"the {metric} of the easiest row is 0"
        missing = bool(np.isnan(value))
        figures[name] = Metric(
            None if missing else value,
            sum(used),
            suffix in ("_area", "_slope"),
            reason if missing else None,
        )
    return figures


def recorded_places(rows: Sequence[ConditionRow]) -> list[Place]:
    """Return what the rows of a record stand for."""
    places: list[Place] = []
    for row in rows:
        if row.threshold is not UNSET:
            places.append(row.threshold)
        elif row.low is not UNSET and row.high is not UNSET:
            places.append((row.low, row.high))
        else:
            places.append(None)
    return places


def figure_values(
    kind: str,
    harder: str,
    places: Sequence[Place],
    n_persons: Sequence[int],
    values: Array,
    metric: str = "AP",
) -> dict[str, Array]:
    """Return the figures of `robustness` for many versions of the rows' values at once.

    Args:
        kind: of the condition: ``threshold``, ``bins`` or ``levels``.
        harder: ``up`` or ``down``: whether rows get harder as their values rise or fall.
        places: what each of the R rows stands for.
        n_persons: evaluated persons of each.
        values: (R, B) float64, e.g. on resampled images; NaN where a row has no value.
        metric: what the values are.

    Returns:
        By name (B,) float64; NaN where a version has no such figure. What falls from the easiest to
        the hardest row that any version has, and the area, are NaN where a version lacks one of the
        rows they need; a slope is of the rows that it has.

    >>> figure_values("threshold", "up", [0.0, 0.5], [9, 9], np.array([[0.8], [0.6]]))["AP_area"]
    array([0.7])
    """
    there = ~np.isnan(values)
    rows = np.flatnonzero(there.any(1)).tolist()
    suffixes = ["_drop", "_relative_drop"]
    suffixes += {"threshold": ["_area"], "bins": ["_slope"]}.get(kind, [])
    figures = dict.fromkeys(suffixes, np.full(values.shape[1], np.nan))
    if len(rows) >= 2:
        ends = (rows[0], rows[-1]) if harder == "up" else (rows[-1], rows[0])
        easy, hard = values[list(ends)]
        figures["_drop"] = easy - hard
        with np.errstate(over="ignore"):
            share = (easy - hard) / np.where(easy == 0, np.nan, easy)
        figures["_relative_drop"] = share
    if kind == "threshold" and len(rows) >= 2:
        x = np.array([places[row] for row in rows], float)
        figures["_area"] = np.trapezoid(values[rows], x, axis=0) / (x[-1] - x[0])
    if kind == "bins":
        figures["_slope"] = _slope(harder, places, n_persons, values)
    return {f"{metric}{suffix}": found for suffix, found in figures.items()}


def _slope(harder: str, places: Sequence[Place], n_persons: Sequence[int], values: Array) -> Array:
    """Return the slope of each version over the rows that it has."""
    rows = np.flatnonzero(_have_ends(places)).tolist()
    if not rows:
        return np.full(values.shape[1], np.nan)
    x = np.array([places[row] for row in rows], float).mean(1)[:, None]
    there = ~np.isnan(values[rows])
    y = np.where(there, values[rows], 0.0)
    weights = there * np.array(n_persons, float)[rows][:, None]
    # Sums and not matrix products: BLAS would add up in an order that differs between machines.
    with np.errstate(invalid="ignore"):
        away = x - (weights * x).sum(0) / weights.sum(0)
        slope = (weights * away * y).sum(0) / (weights * away * away).sum(0)
    slope[there.sum(0) < 2] = np.nan
    return np.asarray(slope if harder == "up" else -slope)


def _have_ends(places: Sequence[Place]) -> list[bool]:
    """Return which of the rows are bins with both ends."""
    return [isinstance(place, tuple) and None not in place for place in places]
