"""The tables of a comparison, in files and on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from msgspec import UNSET, UnsetType

from crowdbench.markup import one_line
from crowdbench.results import ConditionRow, Metric, Paired
from crowdbench.terminal import number, print_table
from reports.condition_tables import row_count, telling_count
from reports.footnotes import Footnotes
from reports.intervals import (
    INTERVAL_COLUMNS,
    PAIRED_COLUMNS,
    cells_of_test,
    difference_text,
    header_of_tests,
    interval_data,
    interval_of,
    paired_data,
)
from reports.keypoint_errors import TITLE as ERRORS_TITLE
from reports.keypoint_errors import compared_errors_table
from reports.naming import file_name
from reports.side_by_side_findings import main_findings, row_findings
from reports.side_by_side_record import ComparedCondition, ComparedMetric, ComparedRow, Comparison
from reports.side_by_side_wording import headings_of, left_out_lines, legend, tests_have_columns
from reports.tables import NONE, Table

_FIGURE_COLUMNS = ("value", "difference", "unit", "n", "higher_is_better", "reason")
_PLACES = ("threshold", "low", "high")
_SIZES = ("n_images", "n_persons", "n_boxes", "n_poses")
# With more runs a count of each would make the table too wide to read.
_MOST_COUNTED = 4
DIFFERENCES_TITLE = "Is the difference real?"
_ABSENT = "not among the numbers of this run"


class ComparisonTables(NamedTuple):
    """The tables of a comparison.

    Attributes:
        metrics: the numbers on the whole split.
        differences: the tests of their differences, where they are not columns of `metrics`;
            else None.
        conditions: by condition, its rows.
        robustness: the figures that sum up the conditions; without rows if there are none.
        errors: what is wrong with keypoints; without rows if no run has any labelled.
    """

    metrics: Table
    differences: Table | None
    conditions: dict[str, Table]
    robustness: Table
    errors: Table

    def save(self, folder: Path) -> None:
        """Write all tables that have rows into a folder."""
        for table in (self.metrics, *self.conditions.values()):
            table.save(folder)
        if self.differences is not None:
            self.differences.save(folder)
        for table in (self.robustness, self.errors):
            if table.cells:
                table.save(folder)


def comparison_tables(comparison: Comparison) -> ComparisonTables:
    """Return the tables of a comparison."""
    return ComparisonTables(
        metrics_table(comparison),
        differences_table(comparison),
        condition_tables(comparison),
        robustness_table(comparison),
        compared_errors_table(comparison),
    )


def print_comparison(comparison: Comparison, path: Path) -> None:
    """Print the tables, what must be known of them, and where the comparison is."""
    tables = comparison_tables(comparison)
    _print_table("Whole split", tables.metrics)
    if tables.differences is not None:
        _print_table(DIFFERENCES_TITLE, tables.differences)
    _print_lines(main_findings(comparison))
    for name, table in tables.conditions.items():
        condition = comparison.conditions[name]
        _print_table(f"{condition.title}: {comparison.main_metric}", table)
        _print_lines(row_findings(comparison, condition))
    if tables.robustness.cells:
        _print_table("Robustness", tables.robustness)
    if tables.errors.cells:
        _print_table(f"{ERRORS_TITLE}: keypoints of the persons that were found", tables.errors)
    print(legend(comparison))
    for line in left_out_lines(comparison):
        print(f"left out: {line}")
    print(f"comparison: {path}")


def _print_table(heading: str, table: Table) -> None:
    print(one_line(heading))
    numbers = [i for i, name in enumerate(table.header) if name in table.numbers]
    print_table(table.header, table.cells, numbers)
    for mark, footnote in table.marked_footnotes():
        print(mark, footnote)
    print()


def _print_lines(lines: Sequence[str]) -> None:
    if lines:
        print(*lines, "", sep="\n")


def metrics_table(comparison: Comparison) -> Table:
    """Return the numbers on the whole split, a column per run; of two runs also the tests."""
    footnotes = Footnotes()
    sampled, with_tests = comparison.bootstrap, tests_have_columns(comparison)
    tests = () if sampled is None or not with_tests else header_of_tests(sampled)
    columns = _figure_columns(comparison)
    headings = headings_of(comparison.runs, footnotes)
    cells = []
    for name, figures in comparison.metrics.items():
        found = {
            run.name: figure.n
            for run, figure in zip(comparison.runs, figures, strict=True)
            if figure is not None
        }
        n = f"{next(iter(found.values())):,}"
        if len(set(found.values())) > 1:
            n = NONE + footnotes.mark(
                "n: " + ", ".join(f"{n:,} in {run}" for run, n in found.items())
            )
        shown = _figure_cells(figures, footnotes, with_tests)
        cells.append(
            (_metric_name(name, figures), *shown, *_cells_of_test(figures[-1])[: len(tests)], n)
        )
    return Table(
        name="metrics",
        data=_data(
            ("metric", "run", *columns),
            [
                (name, run.name, *_figure_data(figure, columns))
                for name, figures in comparison.metrics.items()
                for run, figure in zip(comparison.runs, figures, strict=True)
            ],
        ),
        header=("metric", *headings, *tests, "n"),
        cells=tuple(cells),
        numbers=frozenset((*headings, *tests, "n")),
        footnotes=footnotes.texts,
    )


def differences_table(comparison: Comparison) -> Table | None:
    """Return the tests of the differences on the whole split, a row per metric and later run.

    None where there are no tests, or where they are in the table of metrics.
    """
    if comparison.bootstrap is None or tests_have_columns(comparison):
        return None
    footnotes = Footnotes()
    headings = headings_of(comparison.runs, footnotes)[1:]
    header = header_of_tests(comparison.bootstrap)
    rows = [
        (name, run, heading, figures, figure)
        for name, figures in comparison.metrics.items()
        for run, heading, figure in zip(comparison.runs[1:], headings, figures[1:], strict=True)
        if figure is not None and figure.paired is not None
    ]
    columns = ("difference", "unit", *PAIRED_COLUMNS)
    return Table(
        name="differences",
        data=_data(
            ("metric", "run", *columns),
            [(name, run.name, *_figure_data(figure, columns)) for name, run, _, _, figure in rows],
        ),
        header=("metric", "run", *header),
        cells=tuple(
            (_metric_name(name, figures), heading, *_cells_of_test(figure))
            for name, _, heading, figures, figure in rows
        ),
        numbers=frozenset(header),
        footnotes=footnotes.texts,
    )


def condition_tables(comparison: Comparison) -> dict[str, Table]:
    """Return by condition its rows, with the main metric of every run; the CSV has every metric."""
    return {
        name: _condition_table(comparison, name, condition)
        for name, condition in comparison.conditions.items()
    }


def _condition_table(comparison: Comparison, name: str, condition: ComparedCondition) -> Table:
    runs, main = comparison.runs, comparison.main_metric
    has_tests = comparison.bootstrap is not None
    footnotes = Footnotes()
    headings = headings_of(runs, footnotes)
    what, counts = row_counts(condition)
    common = common_counts(counts)
    axis, counts_header = one_line(condition.axis), [what]
    if common is not None:
        counts = [[n] for n in common]
    elif len(runs) <= _MOST_COUNTED:
        counts_header = [f"{what}: {heading}" for heading in headings]
    else:
        counts, counts_header = [[] for _ in counts], []
        axis += footnotes.mark(f"The {what} of each run are in the plot and the CSV file.")
    metrics = dict.fromkeys(
        metric
        for compared in condition.rows
        for row in compared.runs
        if row is not None
        for metric in row.metrics
    )
    return Table(
        name=f"condition-{file_name(name)}",
        data=_data(
            (
                *("label", *_PLACES, "run", *_SIZES, *metrics, f"{main}_difference"),
                *((f"{main}_low", f"{main}_high", *PAIRED_COLUMNS) if has_tests else ()),
            ),
            [
                (
                    *(compared.label, *_row_data(row, run.name, list(metrics)), difference),
                    *((*_ends(row, main), *paired_data(paired)) if has_tests else ()),
                )
                for compared in condition.rows
                for run, row, difference, paired in zip(
                    runs, compared.runs, compared.differences, compared.paired, strict=True
                )
            ],
        ),
        header=(axis, *headings, *counts_header),
        cells=tuple(
            (
                one_line(compared.label),
                *_row_cells(compared, main, footnotes),
                *(NONE if n is None else f"{n:,}" for n in ns),
            )
            for compared, ns in zip(condition.rows, counts, strict=True)
        ),
        numbers=frozenset((*headings, *counts_header)),
        footnotes=footnotes.texts,
    )


def robustness_table(comparison: Comparison) -> Table:
    """Return the figures that sum up the conditions, a column per run."""
    footnotes = Footnotes()
    headings = headings_of(comparison.runs, footnotes)
    columns = _figure_columns(comparison)
    rows = [
        (condition, name, figures)
        for condition, by_name in comparison.robustness.items()
        for name, figures in by_name.items()
    ]
    return Table(
        name="robustness",
        data=_data(
            ("condition", "figure", "run", *columns),
            [
                (condition, name, run.name, *_figure_data(figure, columns))
                for condition, name, figures in rows
                for run, figure in zip(comparison.runs, figures, strict=True)
            ],
        ),
        header=("condition", "figure", *headings),
        cells=tuple(
            (
                one_line(comparison.conditions[condition].title),
                _metric_name(name, figures),
                *_figure_cells(figures, footnotes),
            )
            for condition, name, figures in rows
        ),
        numbers=frozenset(headings),
        footnotes=footnotes.texts,
    )


def row_counts(condition: ComparedCondition) -> tuple[str, list[list[int | None]]]:
    """Return what tells best how much a row holds, and how much of it, by row and run."""
    rows = [row for compared in condition.rows for row in compared.runs if row is not None]
    what = telling_count(condition, rows)
    return what, [
        [None if row is None else row_count(row, what) for row in compared.runs]
        for compared in condition.rows
    ]


def common_counts(rows: Sequence[Sequence[int | None]]) -> list[int | None] | None:
    """Return the count that all runs have, by row; None if runs differ.

    A run that has no such row has no count, which is no other one.

    >>> common_counts([[5, 5], [None, 3]]), common_counts([[5, 4]])
    ([5, 3], None)
    """
    found = [list({n for n in row if n is not None}) for row in rows]
    if any(len(ns) > 1 for ns in found):
        return None
    return [ns[0] if ns else None for ns in found]


def _data(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    # As objects: whole numbers stay whole where a row has none.
    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def _figure_columns(comparison: Comparison) -> tuple[str, ...]:
    """Return what CSV files have of a figure."""
    if comparison.bootstrap is None:
        return _FIGURE_COLUMNS
    return (*_FIGURE_COLUMNS, *INTERVAL_COLUMNS, *PAIRED_COLUMNS)


def _figure_data(figure: ComparedMetric | None, columns: Sequence[str]) -> tuple[object, ...]:
    if figure is None:
        return (None,) * len(columns)
    known = {name: getattr(figure, name) for name in _FIGURE_COLUMNS}
    known |= zip(INTERVAL_COLUMNS, interval_data(figure), strict=True)
    known |= zip(PAIRED_COLUMNS, paired_data(figure.paired), strict=True)
    return tuple(known[name] for name in columns)


def _ends(row: ConditionRow | None, metric: str) -> tuple[float | None, float | None]:
    interval = interval_of(None if row is None else row.metrics.get(metric))
    return (None, None) if interval is None else interval.percentile


def _row_data(row: ConditionRow | None, run: str, metrics: Sequence[str]) -> tuple[object, ...]:
    if row is None:
        nothing = (None,)
        return (*nothing * len(_PLACES), run, *nothing * (len(_SIZES) + len(metrics)))
    values = (row.metrics.get(name) for name in metrics)
    return (
        *(_given(getattr(row, name)) for name in _PLACES),
        run,
        *(_given(getattr(row, name)) for name in _SIZES),
        *(None if value is None else value.value for value in values),
    )


def _given(value: float | UnsetType | None) -> float | None:
    return None if value is UNSET else value


def _metric_name(name: str, figures: Sequence[ComparedMetric | None]) -> str:
    is_lower = any(figure is not None and not figure.higher_is_better for figure in figures)
    return one_line(name) + (" (lower is better)" if is_lower else "")


def _cells_of_test(figure: ComparedMetric | None) -> tuple[str, ...]:
    if figure is None:
        return cells_of_test(None, "fraction", None)
    return cells_of_test(figure.difference, figure.unit, figure.paired)


def _figure_cells(
    figures: Sequence[ComparedMetric | None], footnotes: Footnotes, without_difference: bool = False
) -> list[str]:
    cells = []
    for i, figure in enumerate(figures):
        if figure is None:
            cells.append(NONE + footnotes.mark(_ABSENT))
            continue
        change = figure.difference if i and not without_difference else None
        cells.append(_cell(figure, change, figure.paired, footnotes))
    return cells


def _row_cells(compared: ComparedRow, main: str, footnotes: Footnotes) -> list[str]:
    cells = []
    for i, row in enumerate(compared.runs):
        found = None if row is None else row.metrics.get(main)
        if found is None:
            cells.append(NONE + footnotes.mark(_ABSENT))
        else:
            change = compared.differences[i] if i else None
            cells.append(_cell(found, change, compared.paired[i], footnotes))
    return cells


def _cell(metric: Metric, change: float | None, paired: Paired | None, footnotes: Footnotes) -> str:
    """Return e.g. ``50.83 (+1.25*)``, with the mark of the reason."""
    brackets = "" if change is None else f" ({difference_text(change, metric.unit, paired)})"
    return number(metric.value, metric.unit) + brackets + footnotes.mark(metric.reason)
