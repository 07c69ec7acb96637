"""The plots of a run: what its tables say, drawn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator
from msgspec import UNSET

from crowdbench.metrics.catalogue import METRICS
from crowdbench.results import Bootstrap, ConditionFacts, ConditionRow, KeypointMetrics, Metrics
from reports.condition_tables import row_count, telling_count
from reports.figure import (
    FONT_SIZE,
    GRID,
    INK,
    MUTED,
    PAPER,
    SMALL,
    STYLES,
    WIDTH,
    category_layout,
    label_categories,
    label_ends,
    new_figure,
    percent_limits,
    plain_text,
    style,
    text_width,
)
from reports.intervals import level_text
from reports.naming import file_name
from reports.plot import (
    PRECISION_RECALL,
    Plot,
    condition_label,
    draw_intervals,
    label_counts,
    mark_gap,
    percent_ends,
    precision_points,
)

_NAN = float("nan")
# The metrics drawn over a condition, by what it chooses, where they are there. In every bin of
# persons all false positives of the split count, so AP falls with their number and AR does not.
_LINES = {
    "poses": ("AP", "AP50", "AP75"),
    "images": ("AP", "AP50", "AP75"),
    "persons": ("AP", "AP50", "AR"),
}
_LINES_3D = ("3DPCK_all", "3DPCK_matched", "AUC_all")
_LEFT, _RIGHT = 0.68, 0.72  # inches; more to the right for long names of metrics
# Points that rest on fewer persons are hollow.
_FEW = 30
# With more bars than this, their numbers would not fit above them.
_MOST_NUMBERS = 14


def condition_plots(metrics: Metrics) -> dict[str, Plot]:
    """Return by condition the metrics over its rows; conditions without rows have no plot."""
    return {
        name: _condition(name, metrics.condition_facts[name], rows, metrics.bootstrap)
        for name, rows in metrics.conditions.items()
        if rows and name in metrics.condition_facts
    }


@style()
def _condition(
    name: str, facts: ConditionFacts, rows: Sequence[ConditionRow], sampled: Bootstrap | None
) -> Plot:
    """Return the metrics over the rows of a condition, and below them what takes part in each."""
    thresholds = [float(row.threshold) for row in rows if row.threshold is not UNSET]
    is_scale = len(thresholds) == len(rows) and _is_scale(thresholds)
    labels = [f"{t:,g}" for t in thresholds]
    if len(thresholds) < len(rows):
        labels = [plain_text(row.label, 24) for row in rows]
    # By metric; NaN where there is none.
    lines = {metric: [_percent(row, metric) for row in rows] for metric in _drawn(facts, rows)}
    right = max(_RIGHT, 0.2 + max((text_width(plain_text(name)) for name in lines), default=0.0))
    room = WIDTH - _LEFT - right
    angle, bottom = (0, 0.5) if is_scale else category_layout(labels, room)
    figure, (upper, lower) = new_figure((2.2, 0.75), left=_LEFT, right=right, bottom=bottom)
    x = thresholds if is_scale else [float(i) for i in range(len(rows))]
    if is_scale:
        _label_scale(lower, thresholds, labels, room)
    else:
        label_categories(lower, labels, angle)
    ends_of_first = [percent_ends(row, metric) for metric in [*lines][:1] for row in rows]
    drawn_values = itertools.chain(*lines.values(), *ends_of_first)
    upper.set_ylim(*percent_limits(v for v in drawn_values if v == v))
    draw_intervals(upper, x, ends_of_first, STYLES[0].colour, is_curve=bool(thresholds))
    _mark_gaps(upper, rows, x, next(iter(lines.values()), []))
    ends, names, colours = [], [], []
    for i, (metric, values) in enumerate(lines.items()):
        drawn = STYLES[i]
        upper.plot(
            x,
            values,
            color=drawn.colour,
            linestyle=drawn.dash,
            marker=drawn.marker,
            linewidth=1.8 if i == 0 else 1.1,
            clip_on=False,
            zorder=3 - 0.1 * i,
        )
        few = [k for k, row in enumerate(rows) if row.n_persons < _FEW and values[k] == values[k]]
        if few:
            upper.plot(
                [x[k] for k in few],
                [values[k] for k in few],
                color=drawn.colour,
                linestyle="none",
                marker=drawn.marker,
                markerfacecolor=PAPER,
                clip_on=False,
                zorder=3.05 - 0.1 * i,
            )
        if points := [(a, b) for a, b in zip(x, values, strict=True) if b == b]:
            ends.append(points[-1])
            names.append(metric)
            colours.append(drawn.colour)
    what = telling_count(facts, rows)
    counts = [row_count(row, what) or 0 for row in rows]
    _draw_counts(lower, x, counts, is_curve=bool(thresholds))
    label_ends(upper, ends, names, colours)
    upper.set_ylabel(
        "average precision, %" if all(m.startswith("AP") for m in lines) else "metric, %"
    )
    lower.set_ylabel(what)
    for axes in (upper, lower):
        axes.yaxis.set_label_coords(-0.5 / room, 0.5)
    lower.set_xlabel(condition_label(facts.axis, facts.harder))
    intervals = ""
    if sampled is not None and any(low == low for low, _ in ends_of_first):
        drawn_as = "Band" if thresholds else "Bars"
        intervals = f" {drawn_as}: the {level_text(sampled)} intervals of {next(iter(lines))}."
    caption = _condition_caption(facts, rows, what, intervals)
    return Plot(f"condition-{file_name(name)}", facts.title, caption, figure)


def _drawn(facts: ConditionFacts, rows: Sequence[ConditionRow]) -> list[str]:
    """Return the names of the metrics to draw, the main one first."""
    known = {name: metric.unit for row in rows for name, metric in row.metrics.items()}
    usual = [name for name in (*_LINES.get(facts.selects, ()), *_LINES_3D) if name in known]
    return usual or [name for name, unit in known.items() if unit == "fraction"][:3]


def _percent(row: ConditionRow, metric: str) -> float:
    found = row.metrics.get(metric)
    return _NAN if found is None or found.value is None else 100 * found.value


def _mark_gaps(
    axes: Axes, rows: Sequence[ConditionRow], x: Sequence[float], values: Sequence[float]
) -> None:
    """Say at every row without a value that there is none."""
    for row, place, value in zip(rows, x, values, strict=False):
        if value != value:
            box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5}
            mark_gap(axes, place, has_persons=bool(row.n_persons), bbox=box)


def _draw_counts(axes: Axes, x: Sequence[float], counts: Sequence[int], *, is_curve: bool) -> None:
    axes.set_ylim(0, 1.12 * max(*counts, 1))
    if is_curve:
        axes.fill_between(x, counts, color=GRID, linewidth=0)
        axes.plot(x, counts, color=MUTED, linewidth=1, marker="o", markersize=2.5, clip_on=False)
    else:
        axes.bar(x, counts, 0.62, facecolor=GRID, edgecolor=MUTED, linewidth=0.6)
        if len(x) <= _MOST_NUMBERS:
            for place, count in zip(x, counts, strict=True):
                axes.annotate(
                    f"{count:,}",
                    (place, count),
                    (0, 1.5),
                    textcoords="offset points",
                    ha="center",
                    color=INK,
                    fontsize=SMALL if len(x) <= 10 else 6,
                )
    label_counts(axes)


def _is_scale(thresholds: Sequence[float]) -> bool:
    """Return whether thresholds can stand where they belong, as points that do not merge."""
    gaps = [b - a for a, b in itertools.pairwise(thresholds)]
    return all(gap > 0.02 * (thresholds[-1] - thresholds[0]) for gap in gaps)


def _label_scale(
    axes: Axes, thresholds: Sequence[float], labels: Sequence[str], room: float
) -> None:
    """Set the limits for thresholds, and label each of them if the labels do not touch."""
    pad = 0.04 * (thresholds[-1] - thresholds[0]) or 0.5
    axes.set_xlim(thresholds[0] - pad, thresholds[-1] + pad)
    scale = room / (thresholds[-1] - thresholds[0] + 2 * pad)
    widths = [text_width(label, SMALL) + 0.06 for label in labels]
    gaps = [(b - a) * scale for a, b in itertools.pairwise(thresholds)]
    if all(
        gap >= sum(pair) / 2 for gap, pair in zip(gaps, itertools.pairwise(widths), strict=True)
    ):
        axes.set_xticks(thresholds, labels)
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _condition_caption(
    facts: ConditionFacts, rows: Sequence[ConditionRow], what: str, intervals: str
) -> str:
    persons = [row.n_persons for row in rows]
    low, high = min(persons), max(persons)
    n = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    each = {"threshold": "at each threshold", "bins": "in each bin", "levels": "in each level"}
    hollow = f" Hollow points rest on fewer than {_FEW} persons." if _has_few(rows) else ""
    return (
        f"Above, the metrics; below, the {what} that take part. n = {n} evaluated persons "
        f"{each[facts.kind]}.{hollow}{intervals} Rule: {facts.rule}."
    )


def _has_few(rows: Sequence[ConditionRow]) -> bool:
    return any(
        row.n_persons < _FEW and any(m.value is not None for m in row.metrics.values())
        for row in rows
    )


@style()
def precision_recall_plot(metrics: Metrics) -> Plot | None:
    """Return the precision over the recall; None without curves."""
    curves = [curve for curve in metrics.curves if curve.precision]
    if not curves:
        return None
    figure, (axes,) = new_figure((2.9,), left=_LEFT, right=1.15, width=4.6)
    ends, names, colours = [], [], []
    for i, curve in enumerate(curves):
        drawn = STYLES[i % len(STYLES)]
        recall, precision = precision_points(curve.precision)
        axes.plot(recall, precision, color=drawn.colour, linestyle=drawn.dash, clip_on=False)
        axes.plot(recall[-1:], precision[-1:], color=drawn.colour, marker=drawn.marker, zorder=4)
        ends.append((recall[-1], precision[-1]))
        names.append(f"OKS {curve.oks:.2f}")
        colours.append(drawn.colour)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(20))
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="recall, %", ylabel="precision, %")
    axes.grid(True, axis="both")
    label_ends(axes, ends, names, colours)
    n = metrics.counts.get("persons_evaluated")
    name, title, caption = PRECISION_RECALL
    persons = f"n = {n:,} evaluated persons." if n is not None else ""
    return Plot(name, title, f"{caption} {persons}", figure)


@style()
def oks_plot(metrics: Metrics) -> Plot | None:
    """Return how well the persons are found; None without public ground truth or persons."""
    histogram = metrics.oks_histogram
    if histogram is None or not sum(histogram.counts):
        return None
    figure, (axes,) = new_figure((2.0,), left=_LEFT, right=0.2)
    edges, counts, n = histogram.edges, histogram.counts, sum(histogram.counts)
    widths = [b - a for a, b in itertools.pairwise(edges)]
    axes.bar(
        edges[:-1],
        counts,
        widths,
        align="edge",
        facecolor=STYLES[0].colour,
        edgecolor=PAPER,
        linewidth=0.8,
    )
    axes.set_ylim(0, 1.22 * max(counts))
    for limit in (0.5, 0.75):
        # The share is known only where a bin begins.
        start = next((i for i, edge in enumerate(edges) if abs(edge - limit) < 1e-9), None)
        if start is None:
            continue
        share = 100 * sum(counts[start:]) / n
        axes.axvline(limit, 0, 0.97, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.annotate(
            f"{share:.1f} % \u2265 {limit:.2f}",
            (limit, 1),
            (-3, -3),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=SMALL,
        )
    label_counts(axes, 5)
    axes.set(xlim=(edges[0], edges[-1]), xlabel="best OKS of any pose", ylabel="persons")
    return Plot(
        "oks-histogram",
        "How well persons are found",
        "The best OKS that any counted pose reaches with a person, whether matched with it or not. "
        f"n = {n:,} evaluated persons.",
        figure,
    )


@style()
def keypoints_plot(metrics: Metrics) -> Plot | None:
    """Return the accuracy of every keypoint; None without public ground truth."""
    keypoints = metrics.keypoints
    if not keypoints:
        return None
    row, size = _row_height(len(keypoints))
    labels = [f"{plain_text(k.name.replace('_', ' '), 28)} ({k.n_labelled:,})" for k in keypoints]
    left = max(text_width(label, size) for label in labels) + 0.2
    figure, (axes,) = new_figure(
        (row * len(keypoints),), left=left, right=0.25, top=0.4, bottom=0.45
    )
    for offset, drawn, values in (
        (-0.2, STYLES[0], [k.pck for k in keypoints]),
        (0.2, STYLES[1], [k.oks for k in keypoints]),
    ):
        axes.barh(
            [i + offset for i in range(len(keypoints))],
            [_NAN if value is None else 100 * value for value in values],
            0.36,
            facecolor=PAPER if drawn.hatch else drawn.colour,
            edgecolor=drawn.colour,
            hatch=drawn.hatch,
            linewidth=0.6,
        )
    for i, keypoint in enumerate(keypoints):
        if words := _absent_words(keypoint):
            axes.text(1, i, words, va="center", color=MUTED, fontsize=size)
    axes.set_yticks(range(len(keypoints)), labels, fontsize=size)
    axes.set_ylim(len(keypoints) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    axes.xaxis.set_major_locator(MultipleLocator(20))
    axes.set(xlim=(0, 100), xlabel="%")
    _key(figure, axes, left)
    n = metrics.counts.get("persons_evaluated")
    return Plot(
        "keypoints",
        "Keypoints",
        METRICS["PCK"].description[:1].upper()
        + f"{METRICS['PCK'].description[1:]} (PCK); {METRICS['OKS_matched'].description} (OKS). In "
        "brackets: labelled keypoints of evaluated persons"
        + (f"; n = {n:,} evaluated persons." if n is not None else "."),
        figure,
    )


def _row_height(n: int) -> tuple[float, float]:
    """Return the height of a keypoint's row in inches and the size of its name in points."""
    if n <= 20:
        return 0.235, SMALL
    return (0.19, 7.0) if n <= 45 else (0.13, 5.5)


def _absent_words(keypoint: KeypointMetrics) -> str:
    if keypoint.pck is None and keypoint.oks is None:
        return "none labelled" if not keypoint.n_labelled else "no value"
    return ""


def _key(figure: Figure, axes: Axes, left: float) -> None:
    """Name the two kinds of bars above the panel."""
    for i, (drawn, words) in enumerate(((STYLES[0], "PCK"), (STYLES[1], "OKS of matched persons"))):
        x = left + 0.8 * i
        width, height = figure.get_size_inches()
        swatch = figure.add_axes((x / width, 1 - 0.25 / height, 0.2 / width, 0.11 / height))
        swatch.set(xticks=[], yticks=[], facecolor=PAPER if drawn.hatch else drawn.colour)
        swatch.grid(False)
        for spine in swatch.spines.values():
            spine.set_visible(False)
        swatch.bar(
            [0.5],
            [1],
            1,
            facecolor=PAPER if drawn.hatch else drawn.colour,
            edgecolor=drawn.colour,
            hatch=drawn.hatch,
            linewidth=0.6,
        )
        swatch.set(xlim=(0, 1), ylim=(0, 1))
        figure.text((x + 0.27) / width, 1 - 0.2 / height, words, va="center", fontsize=FONT_SIZE)
