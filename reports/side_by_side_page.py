"""A comparison as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from crowdbench.terminal import DIFFERENCE_UNITS, UNIT_SIGNS, number
from reports import keypoint_errors
from reports import side_by_side_findings as findings
from reports import side_by_side_wording as wording
from reports.intervals import difference_text
from reports.page import render_page
from reports.plot import Plot
from reports.side_by_side_record import Comparison
from reports.side_by_side_tables import DIFFERENCES_TITLE, ComparisonTables


class Headline(NamedTuple):
    """A figure at the head of the page: a run, its main metric, and what else to know."""

    name: str
    value: str
    unit: str
    remark: str


def comparison_page(
    comparison: Comparison, tables: ComparisonTables, plots: Mapping[str, Plot]
) -> str:
    """Return the comparison as a page that is one file.

    Args:
        comparison: what it shows.
        tables: of it.
        plots: of `reports.side_by_side_plots.comparison_plots`.
    """
    return render_page(
        "comparison.html.j2",
        title=wording.title(comparison),
        comparison=comparison,
        headlines=_headlines(comparison),
        tables=tables,
        plots=plots,
        left_out=wording.left_out_lines(comparison),
        noticed=wording.noticed_lines(comparison.runs),
        signatures=wording.signature_lines(comparison.runs),
        wording=wording,
        findings=findings,
        errors=keypoint_errors,
        differences_title=DIFFERENCES_TITLE,
    )


def _headlines(comparison: Comparison) -> list[Headline]:
    """Return the main metric of every run."""
    headlines = []
    main = comparison.main_metric
    found = comparison.metrics.get(main, (None,) * len(comparison.runs))
    for i, (run, metric) in enumerate(zip(comparison.runs, found, strict=True)):
        value = None if metric is None else metric.value
        unit = "fraction" if metric is None else metric.unit
        if metric is None or value is None:
            remark = "no value" if metric is None else metric.reason or "no value"
        elif not i:
            remark = "the first run"
        elif metric.difference is None:
            remark = f"no difference: the first run has no {main}"
        else:
            change = difference_text(metric.difference, unit, metric.paired)
            remark = f"{change} {DIFFERENCE_UNITS[unit]}"
        if run.differences:
            remark += "; another protocol"
        headlines.append(Headline(run.name, number(value, unit), UNIT_SIGNS[unit], remark))
    return headlines
