"""The tables of the conditions: the metrics row by row, and the figures that sum the rows up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from msgspec import UNSET, UnsetType

from crowdbench.metrics.catalogue import in_usual_order, main_metric
from crowdbench.results import ConditionDescription, ConditionFacts, ConditionRow, Metric, Metrics
from crowdbench.terminal import number
from reports.footnotes import Footnotes
from reports.intervals import interval_of, interval_text, level_text
from reports.naming import file_name
from reports.tables import NONE, Table

# The CSV has every metric; these are shown where they are there.
_SHOWN = (
    *("AP", "AP50", "AP75", "AR", "AP_M", "AP_L", "AP_easy", "AP_medium", "AP_hard"),
    *("3DPCK_all", "3DPCK_matched", "AUC_all", "3DPCK_all_abs", "MPJPE_mm", "PA_MPJPE_rigid_mm"),
)
# Of a condition with none of these: as many as fit.
_MOST_OTHERS = 6


def condition_tables(metrics: Metrics) -> dict[str, Table]:
    """Return by condition the metrics of its rows; conditions without rows have no table."""
    return {
        name: _condition_table(name, metrics, rows)
        for name, rows in metrics.conditions.items()
        if rows and name in metrics.condition_facts
    }


def _condition_table(name: str, metrics: Metrics, rows: Sequence[ConditionRow]) -> Table:
    facts, sampled = metrics.condition_facts[name], metrics.bootstrap
    ordered = in_usual_order(dict.fromkeys(metric for row in rows for metric in row.metrics))
    shown = _shown_metrics(rows, ordered)
    counts = _shown_counts(facts, rows)
    # The interval of the main metric stands beside it.
    main = main_metric(metrics.metrics)
    headers: dict[str, tuple[str, ...]] = {metric: (metric,) for metric in shown}
    intervals: tuple[str, ...] = ()
    if sampled is not None and main in shown:
        intervals = (f"{main}, {level_text(sampled)}",)
        headers[main] += intervals
    columns = tuple(header for of_metric in headers.values() for header in of_metric)
    footnotes = Footnotes()
    label = facts.axis
    cells = [
        (
            row.label,
            *(NONE if n is None else f"{n:,}" for n in (row_count(row, what) for what in counts)),
            *(
                cell
                for metric, of_metric in headers.items()
                for cell in _cells(row.metrics.get(metric), footnotes)[: len(of_metric)]
            ),
        )
        for row in rows
    ]
    return Table(
        name=f"condition-{file_name(name)}",
        data=_condition_data(rows, ordered, sampled is not None),
        header=(label, *counts, *columns),
        cells=tuple(cells),
        numbers=frozenset((*counts, *columns)),
        footnotes=footnotes.texts,
        sorted_by={label: "row"}
        | {what: f"n_{what}" for what in counts}
        | {m: m for m in shown}
        | dict.fromkeys(intervals, f"{main}_low"),
    )


def _shown_metrics(rows: Sequence[ConditionRow], known: Sequence[str]) -> list[str]:
    """Return the metrics to show: the usual ones that have a value in some row."""
    names = [metric for metric in _SHOWN if metric in known] or list(known)[:_MOST_OTHERS]
    having = [
        name
        for name in names
        if any(name in row.metrics and row.metrics[name].value is not None for row in rows)
    ]
    return having or names[:1]


def _shown_counts(facts: ConditionFacts, rows: Sequence[ConditionRow]) -> list[str]:
    """Return the counts to show: the persons, what the rows choose, and what differs by row."""
    return [
        what
        for what in ("images", "persons", "boxes", "poses")
        if what in ("persons", facts.selects) or len({row_count(row, what) for row in rows}) > 1
    ]


def row_count(row: ConditionRow, what: str) -> int | None:
    """Return how many ``images``, ``persons``, ``boxes`` or ``poses`` take part in a row."""
    n: int | UnsetType = getattr(row, f"n_{what}")
    return None if n is UNSET else n


def telling_count(condition: ConditionDescription, rows: Iterable[ConditionRow]) -> str:
    """Return what tells best how much a row holds: ``boxes``, ``poses`` or ``persons``."""
    if condition.selects != "poses":
        return "persons"
    return "boxes" if all(row.n_boxes is not UNSET for row in rows) else "poses"


def _condition_data(
    rows: Sequence[ConditionRow], metrics: Sequence[str], has_intervals: bool
) -> pd.DataFrame:
    """Return everything the record holds of the rows, a column per number.

    Of the intervals it has the ends that are shown.
    """
    data = []
    for i, row in enumerate(rows, 1):
        fields = {
            "row": i,
            "label": row.label,
            "threshold": row.threshold,
            "low": row.low,
            "high": row.high,
            "n_images": row.n_images,
            "n_persons": row.n_persons,
            "n_boxes": row.n_boxes,
            "n_poses": row.n_poses,
        }
        found = {key: value for key, value in fields.items() if value is not UNSET}
        data.append(found | _metric_columns(row.metrics, metrics, has_intervals))
    order = dict.fromkeys(
        ("row", "label", "threshold", "low", "high", "n_images", "n_persons", "n_boxes", "n_poses")
    )
    present = dict.fromkeys(key for found in data for key in found)
    columns = [key for key in order if key in present] + [k for k in present if k not in order]
    # Whole numbers stay whole where a row has none.
    return pd.DataFrame(
        {key: pd.Series([found.get(key) for found in data], dtype=object) for key in columns}
    )


def _metric_columns(
    found: dict[str, Metric], names: Iterable[str], has_intervals: bool
) -> dict[str, object]:
    columns: dict[str, object] = {}
    for name in names:
        metric = found.get(name)
        columns[name] = None if metric is None else metric.value
        columns[f"{name}_n"] = None if metric is None else metric.n
        if has_intervals:
            interval = interval_of(metric)
            ends = (None, None) if interval is None else interval.percentile
            columns[f"{name}_low"], columns[f"{name}_high"] = ends
    reasons = [f"{name}: {m.reason}" for name, m in found.items() if m.reason]
    columns["remarks"] = "; ".join(reasons) or None
    return columns


def robustness_table(metrics: Metrics) -> Table:
    """Return the figures that sum up each condition: a row per condition, a column per figure.

    Intervals stand in brackets.
    """
    figures = dict.fromkeys(name for found in metrics.robustness.values() for name in found)
    has_intervals = metrics.bootstrap is not None
    footnotes = Footnotes()
    headers = {name: _figure_header(name, metrics) for name in figures}
    data: list[dict[str, object]] = []
    cells = []
    for i, (condition, found) in enumerate(metrics.robustness.items(), 1):
        facts = metrics.condition_facts.get(condition)
        columns = _metric_columns(found, figures, has_intervals)
        data.append({"row": i, "condition": condition} | columns)
        cells.append(
            (
                condition if facts is None else facts.title,
                *(_cell_with_interval(found.get(name), footnotes) for name in figures),
            )
        )
    suffixes = ("", "_n", "_low", "_high")[: 4 if has_intervals else 2]
    names = ("row", "condition", *(name + suffix for name in figures for suffix in suffixes))
    return Table(
        name="robustness",
        data=pd.DataFrame(data, columns=[*names, "remarks"], dtype=object),
        header=("condition", *headers.values()),
        cells=tuple(cells),
        numbers=frozenset(headers.values()),
        footnotes=footnotes.texts,
        sorted_by={"condition": "row"} | {header: name for name, header in headers.items()},
    )


def _figure_header(name: str, metrics: Metrics) -> str:
    """Return the figure's name and whether low or high is good."""
    directions = {
        found[name].higher_is_better for found in metrics.robustness.values() if name in found
    }
    return f"{name} ({'lower' if directions == {False} else 'higher'} is better)"


def _cells(metric: Metric | None, footnotes: Footnotes) -> tuple[str, str]:
    """Return the texts of a number, with the mark of its reason, and of its interval."""
    if metric is None:
        return NONE, NONE
    interval = interval_text(interval_of(metric), metric.unit, 1)
    return number(metric.value, metric.unit) + footnotes.mark(metric.reason), interval


def _cell_with_interval(metric: Metric | None, footnotes: Footnotes) -> str:
    """Return e.g. ``4.99 (4.10 - 5.92)``, with the mark of the reason."""
    cell, interval = _cells(metric, footnotes)[0], interval_of(metric)
    if metric is None or interval is None:
        return cell
    return f"{cell} ({interval_text(interval, metric.unit)})"
