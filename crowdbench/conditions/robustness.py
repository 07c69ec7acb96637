"""Figures that sum up how the numbers of a condition fall from its easiest row to its hardest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crowdbench.conditions.condition import Condition, Row
from crowdbench.results import Metric


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
    known = [i for i, value in enumerate(values) if value is not None]
    names = (f"{metric}_drop", f"{metric}_relative_drop")
    figures = dict.fromkeys(
        names, Metric(None, len(known), False, f"fewer than two rows have a value of {metric}")
    )
    if len(known) >= 2:
        ends = (known[0], known[-1]) if condition.harder == "up" else (known[-1], known[0])
        easy, hard = (float(values[i] or 0) for i in ends)
        figures[names[0]] = Metric(easy - hard, len(known), False, None)
        figures[names[1]] = (
            Metric((easy - hard) / easy, len(known), False, None)
            if easy
            else Metric(None, len(known), False, f"the {metric} of the easiest row is 0")
        )
    if condition.kind == "threshold":
        figures[f"{metric}_area"] = _area(rows, values, known, metric)
    if condition.kind == "bins":
        figures[f"{metric}_slope"] = _slope(condition, rows, values, n, metric)
    return figures


def _area(
    rows: Sequence[Row], values: Sequence[float | None], known: Sequence[int], metric: str
) -> Metric:
    if len(known) < 2:
        return Metric(None, len(known), True, f"fewer than two rows have a value of {metric}")
    x = np.array([rows[i].threshold for i in known], float)
    y = np.array([values[i] for i in known], float)
    return Metric(float(np.trapezoid(y, x) / (x[-1] - x[0])), len(known), True, None)


def _slope(
    condition: Condition,
    rows: Sequence[Row],
    values: Sequence[float | None],
    n: Sequence[int],
    metric: str,
) -> Metric:
    points = [
        ((row.bounds[0] + row.bounds[1]) / 2, value, weight)
        for row, value, weight in zip(rows, values, n, strict=True)
        if value is not None and row.bounds is not None and row.bounds[1] is not None
    ]
    if len(points) < 2:
        reason = f"fewer than two bins with an upper end have a value of {metric}"
        return Metric(None, len(points), True, reason)
    x, y, weights = np.array(points, float).T
    x -= np.average(x, weights=weights)
    slope = float((weights * x * y).sum() / (weights * x * x).sum())
    return Metric(slope if condition.harder == "up" else -slope, len(points), True, None)
