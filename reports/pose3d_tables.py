"""The tables that only 3D runs have: metrics by sequence, by joint and by way to average."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from msgspec import UNSET

from crowdbench.metrics.catalogue import METRICS
from crowdbench.metrics.evaluation_3d import AVERAGES
from crowdbench.record import Run
from crowdbench.results import Breakdown, Metric, Metrics
from crowdbench.terminal import UNIT_SIGNS, number
from reports.footnotes import Footnotes
from reports.published import Entry, Published
from reports.published_3d import GROUPS, SEQUENCES
from reports.published_table import measured_name, measured_settings, settings_words
from reports.same_setting import measured_boxes
from reports.tables import NONE, Table

# The metrics that papers break down come first, as papers order them.
_IN_PAPERS = ("3DPCK_all", "3DPCK_matched", "MPJPE_mm", "PA_MPJPE_rigid_mm")
# By joint, the CSV has every metric; these are shown.
_BY_JOINT = ("3DPCK_all", "3DPCK_matched", "AUC_all", "MPJPE_mm", "PA_MPJPE_rigid_mm")
_AVERAGE = "average"


class _Row(NamedTuple):
    """A metric of the run, or of a published row, broken down.

    Attributes:
        metric: its name.
        unit: of the metric.
        figures: by column, and `_AVERAGE`: in the metric's unit, percent for fractions.
        texts: the same as the cells show them.
        entry: the published row; None for the run.
        remark: becomes a footnote.
    """

    metric: str
    unit: str
    figures: dict[str, float]
    texts: dict[str, str]
    entry: Entry | None
    remark: str | None


def sequences_table(run: Run, metrics: Metrics, published: Published) -> Table:
    """Return every metric by sequence, this run's above the published rows."""
    names = [] if metrics.pose3d is None else [s.name for s in metrics.pose3d.sequences]
    if any("per_sequence" in entry.metrics for entry in published.entries):
        names = [*SEQUENCES.values(), *names]
    rows = _rows(
        metrics,
        lambda metric: metric.by_sequence,
        _in_tables_with("per_sequence", published),
        ("per_sequence", SEQUENCES),
    )
    return _table("sequences", run, rows, names)


def joint_groups_table(run: Run, metrics: Metrics, published: Published) -> Table:
    """Return every metric by group of joints, this run's above the published rows."""
    groups = [group for group, _ in run.split.skeleton.groups]
    rows = _rows(
        metrics,
        lambda metric: metric.by_group,
        _in_tables_with("per_joint", published),
        ("per_joint", GROUPS),
    )
    return _table("joint-groups", run, rows, groups)


def joints_table(metrics: Metrics) -> Table:
    """Return the metrics joint by joint; those that a metric leaves out have none."""
    found = {
        name: metric.by_joint
        for name, metric in metrics.metrics.items()
        if metric.by_joint is not UNSET
    }
    joints = list(dict.fromkeys(joint for by_joint in found.values() for joint in by_joint))
    shown = [name for name in _BY_JOINT if name in found]
    return Table(
        name="joints",
        data=pd.DataFrame(
            [(joint, *(by_joint.get(joint) for by_joint in found.values())) for joint in joints],
            columns=["joint", *found],
            dtype=object,
        ),
        header=("joint", *shown),
        cells=tuple(
            (
                joint,
                *(number(found[name].get(joint), metrics.metrics[name].unit) for name in shown),
            )
            for joint in joints
        ),
        numbers=frozenset(shown),
        sorted_by={name: name for name in shown},
    )


def averages_table(metrics: Metrics) -> Table:
    """Return every metric averaged in each way, and which of them stands for it."""
    rows = [
        (name, metric, metric.averages)
        for name, metric in metrics.metrics.items()
        if metric.averages is not UNSET
    ]
    columns = {f"{way} mean": way for way in AVERAGES}
    return Table(
        name="averages",
        data=pd.DataFrame(
            [
                (name, metric.unit, *map(averages.get, AVERAGES), metric.average)
                for name, metric, averages in rows
            ],
            columns=["metric", "unit", *AVERAGES, "default"],
        ),
        header=("metric", "unit", *columns, "default"),
        cells=tuple(
            (
                name,
                UNIT_SIGNS[metric.unit],
                *(number(averages.get(way), metric.unit) for way in AVERAGES),
                NONE if metric.average is UNSET else metric.average,
            )
            for name, metric, averages in rows
        ),
        numbers=frozenset(columns),
        sorted_by=columns,
    )


def _in_tables_with(field: str, published: Published) -> list[Entry]:
    """Return the rows of the published tables that have such a breakdown, also those without it."""
    tables = {
        (entry.source.paper, entry.source.table)
        for entry in published.entries
        if field in entry.metrics
    }
    return [e for e in published.entries if (e.source.paper, e.source.table) in tables]


def _rows(
    metrics: Metrics,
    broken_down: Callable[[Metric], object],
    entries: Sequence[Entry],
    nested: tuple[str, Mapping[str, str]],
) -> list[_Row]:
    """Return the rows of the table, metric by metric.

    Args:
        metrics: of the run.
        broken_down: returns the breakdown of one of them.
        entries: the published rows that may have such a breakdown.
        nested: the field of their figures that has it, and our names of its keys.
    """
    rows = []
    for name in dict.fromkeys((*_IN_PAPERS, *metrics.metrics)):
        metric = metrics.metrics.get(name)
        if metric is not None and isinstance(found := broken_down(metric), dict):
            rows.append(_measured(name, metric, found))
        rows += [_printed(name, entry, *nested) for entry in entries if name in entry.metrics]
    return rows


def _measured(name: str, metric: Metric, found: Breakdown) -> _Row:
    values = found | {_AVERAGE: metric.value}
    return _Row(
        name,
        metric.unit,
        {
            column: 100 * value if metric.unit == "fraction" else value
            for column, value in values.items()
            if value is not None
        },
        {column: number(value, metric.unit, 1) for column, value in values.items()},
        None,
        metric.reason,
    )


def _printed(name: str, entry: Entry, field: str, names: Mapping[str, str]) -> _Row:
    nested = entry.metrics.get(field)
    found = nested.get(name, {}) if isinstance(nested, dict) else {}
    figures = {names.get(column, column): value for column, value in found.items()}
    average = entry.metrics[name]
    assert isinstance(average, float)
    figures[_AVERAGE] = average
    doubts = f"Doubtful: {', '.join(entry.doubtful)}. " if entry.doubtful else ""
    return _Row(
        name,
        METRICS[name].unit,
        figures,
        {column: str(value) for column, value in figures.items()},
        entry,
        doubts + entry.remarks,
    )


def _table(name: str, run: Run, rows: Sequence[_Row], columns: Sequence[str]) -> Table:
    footnotes = Footnotes()
    in_csv = {column: f"{name.removesuffix('s')}_{column}" for column in columns}
    in_csv[_AVERAGE] = _AVERAGE
    shown = list(in_csv)
    return Table(
        name=name,
        data=pd.DataFrame([_data(run, row, in_csv) for row in rows], columns=_names(in_csv)),
        header=("method", "metric", *shown, "boxes", "settings", "source"),
        cells=tuple(
            (
                (measured_name(run) if row.entry is None else row.entry.name)
                + footnotes.mark(row.remark),
                row.metric,
                *(row.texts.get(column, NONE) for column in shown),
                *_setting(run, row.entry),
            )
            for row in rows
        ),
        numbers=frozenset(shown),
        footnotes=footnotes.texts,
        bold=frozenset(i for i, row in enumerate(rows) if row.entry is None),
        is_wide=True,
        sorted_by=in_csv,
    )


def _setting(run: Run, entry: Entry | None) -> tuple[str, str, str]:
    """Return boxes, settings and source of a row."""
    if entry is None:
        return measured_boxes(run), measured_settings(run), "this run"
    return entry.boxes, settings_words(entry) or NONE, str(entry.source)


def _names(in_csv: Mapping[str, str]) -> list[str]:
    return [
        *("origin", "name", "metric", "unit"),
        *in_csv.values(),
        *("boxes", "settings", "source", "remarks"),
    ]


def _data(run: Run, row: _Row, in_csv: Mapping[str, str]) -> dict[str, object]:
    boxes, settings, source = _setting(run, row.entry)
    return {
        "origin": "measured" if row.entry is None else "published",
        "name": measured_name(run) if row.entry is None else row.entry.name,
        "metric": row.metric,
        "unit": UNIT_SIGNS[row.unit],
        **{in_csv[column]: row.figures.get(column) for column in in_csv},
        "boxes": boxes,
        "settings": settings,
        "source": source,
        "remarks": row.remark or None,
    }
