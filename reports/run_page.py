"""The report of a run as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crowdbench.metrics.catalogue import METRICS
from crowdbench.results import Bootstrap, ConditionFacts, Metric, Metrics
from crowdbench.terminal import UNIT_SIGNS, number
from reports import keypoint_errors, refinement_table, wording
from reports.attention_table import LEGEND as ATTENTION_LEGEND
from reports.comparison import differences
from reports.content import Content
from reports.intervals import interval_of, interval_text, level_text
from reports.naming import file_name
from reports.page import render_page
from reports.plot import Plot
from reports.tables import Table
from reports.worst_images import drawings

# The figures at the head of the page: the first so many that are there.
_HEADLINES = ("AP", "AP50", "AP75", "AR", "AP_hard", "PCK")
_MOST_HEADLINES = 5
_HEADLINES_3D = (
    *("3DPCK_all", "3DPCK_matched", "AUC_all", "3DPCK_all_abs", "MPJPE_mm", "PA_MPJPE_rigid_mm"),
)


@dataclass(frozen=True)
class Headline:
    """A figure at the head of the page: its name, value and unit, and what else to know.

    The interval is empty where there is none.
    """

    name: str
    value: str
    unit: str
    description: str
    remark: str
    interval: str


@dataclass(frozen=True)
class ConditionSection:
    """A condition on the page.

    Attributes:
        place: its id in the page.
        facts: what it is.
        sentences: what the caption of its plot does not say.
        plot: None if it has no rows.
        table: None if it has no rows.
    """

    place: str
    facts: ConditionFacts
    sentences: Sequence[str]
    plot: Plot | None
    table: Table | None


def html_page(content: Content) -> str:
    """Return the report as a page that is one file."""
    run, metrics = content.run, content.metrics
    return render_page(
        "run.html.j2",
        content=content,
        run=run,
        metrics=metrics,
        title=f"{run.predictor.name} on {run.split.name}",
        headlines=_headlines(metrics),
        counts=wording.counts_words(metrics.counts),
        conditions=_conditions(content),
        wording=wording,
        errors=keypoint_errors,
        refinement=refinement_table,
        differences=differences(run, metrics, content.entries),
        without_published=wording.without_published(content),
        papers=wording.papers_words(content),
        worst=None
        if content.worst is None
        else drawings(content.worst, run.split.skeleton, content.images),
        attention_legend=ATTENTION_LEGEND,
        files={"annotations": run.split.annotations} | run.predictor.inputs,
    )


def _headlines(metrics: Metrics) -> list[Headline]:
    names, most = _HEADLINES, _MOST_HEADLINES
    if metrics.pose3d is not None:
        names, most = _HEADLINES_3D, len(_HEADLINES_3D)
    found = [name for name in names if name in metrics.metrics] or list(metrics.metrics)
    if metrics.pose3d is not None:
        # Poses without a place in the image have nothing but an MPJPE.
        found = [name for name in found if metrics.metrics[name].value is not None] or found
    headlines = []
    for name in found[:most]:
        metric = metrics.metrics[name]
        known = METRICS.get(name)
        headlines.append(
            Headline(
                name,
                number(metric.value, metric.unit, 1),
                UNIT_SIGNS[metric.unit],
                "" if known is None else known.description,
                f"n = {metric.n:,}" if metric.value is not None else metric.reason or "no value",
                _interval_words(metric, metrics.bootstrap),
            )
        )
    return headlines


def _interval_words(metric: Metric, sampled: Bootstrap | None) -> str:
    interval = interval_of(metric)
    if sampled is None or interval is None:
        return ""
    return f"{level_text(sampled)}: {interval_text(interval, metric.unit, 1)}"


def _conditions(content: Content) -> list[ConditionSection]:
    return [
        ConditionSection(
            f"condition-{file_name(name)}",
            facts,
            facts.notes if name in content.condition_plots else wording.condition_words(facts),
            content.condition_plots.get(name),
            content.condition_tables.get(name),
        )
        for name, facts in content.metrics.condition_facts.items()
    ]
