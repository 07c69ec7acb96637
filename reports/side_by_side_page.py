"""A comparison as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from crowdbench.terminal import percent
from reports import side_by_side_wording as wording
from reports.page import render_page
from reports.plot import Plot
from reports.side_by_side import Comparison
from reports.side_by_side_tables import ComparisonTables
from reports.tables import points


class Headline(NamedTuple):
    """A figure at the head of the page: a run, its AP in percent, and what else to know."""

    name: str
    value: str
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
    )


def _headlines(comparison: Comparison) -> list[Headline]:
    """Return AP of every run."""
    headlines = []
    found = comparison.metrics.get("AP", (None,) * len(comparison.runs))
    for i, (run, ap) in enumerate(zip(comparison.runs, found, strict=True)):
        value = None if ap is None else ap.value
        if ap is None or value is None:
            remark = "no value" if ap is None else ap.reason or "no value"
        elif not i:
            remark = "the first run"
        elif ap.difference is None:
            remark = "no difference: the first run has no AP"
        else:
            remark = f"{points(ap.difference)} points"
        if run.differences:
            remark += "; another protocol"
        headlines.append(Headline(run.name, percent(value), remark))
    return headlines
