"""The plots of a comparison: a line, or a bar in each group, for every run."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, MultipleLocator
from msgspec import UNSET

from crowdbench.markup import one_line
from reports.figure import (
    GRID,
    INK,
    MUTED,
    PAPER,
    SMALL,
    STYLES,
    WIDTH,
    Style,
    category_layout,
    label_categories,
    new_figure,
    percent_limits,
    plain_text,
    style,
    text_width,
)
from reports.footnotes import Footnotes
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
from reports.pose3d_plots import PCK_CURVE, draw_pck_axes
from reports.side_by_side_record import ComparedCondition, ComparedRun, Comparison
from reports.side_by_side_tables import common_counts, row_counts
from reports.side_by_side_wording import headings_of

# All lengths are inches.
_LEFT, _RIGHT, _BOTTOM = 0.68, 0.2, 0.5
_LEGEND_LEFT, _LEGEND_LINE, _LEGEND_SAMPLE = 0.1, 0.157, 0.65
_FOOTNOTE_LINE, _FOOTNOTE_LETTERS = 0.15, 86
# Share of a group's place that its bars fill.
_FILLED = 0.84
# Bars narrower than this have no room for their numbers above them.
_LEAST_WIDTH = 0.26

# Of more runs, the intervals of the first alone are drawn: more of them hide each other.
_MOST_INTERVALS = 4
# Between the points of two runs at the same place, as a share of the place.
_DODGE = 0.14
_NAN = float("nan")

_Values = list[float | None]


def comparison_plots(comparison: Comparison) -> dict[str, Plot]:
    """Return the plots by the condition they show, without those that would be empty.

    Precision over recall, or in 3D 3DPCK over its threshold, which is of no condition, stands under
    the name ``""``.
    """
    main = comparison.main_metric
    plots = {
        name: _condition_plot(comparison.runs, name, condition, main)
        for name, condition in comparison.conditions.items()
        if any(value is not None for run in _percent(condition, main) for value in run)
    }
    if any(curve.precision for run in comparison.runs for curve in run.curves):
        plots[""] = _curves_plot(comparison.runs)
    if any(curve.values for run in comparison.runs for curve in run.pck_curves):
        plots[""] = _pck_plot(comparison.runs)
    return plots


def run_style(index: int) -> Style:
    """Return how the run of that index is drawn.

    Where the colours begin again, they come with another dash, marker and hatch.

    >>> run_style(0) == run_style(7), run_style(0).colour == run_style(7).colour
    (False, True)
    """
    turn, place = divmod(index, len(STYLES))
    return STYLES[(place + turn) % len(STYLES)]._replace(colour=STYLES[place].colour)


@style()
def _condition_plot(
    runs: Sequence[ComparedRun], name: str, condition: ComparedCondition, main: str
) -> Plot:
    """Draw the main metric over the rows, and below it what takes part in each."""
    labels = [plain_text(row.label, 24) for row in condition.rows]
    thresholds = _thresholds(condition)
    places = thresholds or [float(i) for i in range(len(labels))]
    angle, bottom = (0, _BOTTOM) if thresholds else category_layout(labels, WIDTH - _LEFT - _RIGHT)
    bars = condition.kind == "levels"
    figure, (upper, lower) = _framed(runs, (2.2, 0.75), bars, bottom)
    values = _percent(condition, main)
    intervals = _intervals(condition, main)
    ends = [end for run in intervals for pair in run for end in pair if end == end]
    shown = [*(v for run in values for v in run if v is not None), *ends]
    if bars:
        _draw_bars(upper, values, numbers="{:.1f}", intervals=intervals)
        upper.set_ylim(0, 1.12 * max(1.0, *shown))
        upper.yaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))
    else:
        # Bars of intervals would cover each other.
        step = 0 if thresholds or not ends else min(_DODGE, _FILLED / len(runs))
        for i, run in enumerate(values):
            xs = [x + (i - (len(runs) - 1) / 2) * step for x in places]
            _line(upper, xs, run, i)
            colour = run_style(i).colour
            draw_intervals(upper, xs, intervals[i], colour, is_curve=bool(thresholds))
        upper.set_ylim(*percent_limits(shown))
    _mark_gaps(upper, places, condition, values)
    what, counts = row_counts(condition)
    _draw_counts(lower, places, counts, is_curve=condition.kind == "threshold", bars=bars)
    if thresholds:
        pad = 0.04 * (places[-1] - places[0]) or 0.5
        lower.set_xlim(places[0] - pad, places[-1] + pad)
    else:
        label_categories(lower, labels, angle)
    upper.set_ylabel(f"{main}, %")
    lower.set_ylabel(what)
    figure.align_ylabels()
    lower.set_xlabel(condition_label(condition.axis, condition.harder))
    caption = f"Above, {main}; below, the {what} that take part."
    if ends:
        of_whom = "each run" if len(runs) <= _MOST_INTERVALS else "the first run"
        caption += (
            f" {'Bands' if thresholds else 'Bars' if not bars else 'Dark lines'}: intervals of "
            f"{of_whom} by itself. Where they overlap, runs can differ all the same: the table has "
            "the tests of the differences."
        )
    caption += f" Rule: {condition.rule}."
    return Plot(
        f"condition-{file_name(name)}", one_line(condition.title), one_line(caption), figure
    )


@style()
def _curves_plot(runs: Sequence[ComparedRun]) -> Plot:
    """Draw precision over recall, a panel for each OKS."""
    levels = sorted({curve.oks for run in runs for curve in run.curves if curve.precision})
    figure, panels = _framed(runs, (1.75,) * len(levels), False, _BOTTOM)
    for panel, oks in zip(panels, levels, strict=True):
        for i, run in enumerate(runs):
            for curve in (c for c in run.curves if c.oks == oks and c.precision):
                # Few markers, and those of each run at other places.
                _line(panel, *precision_points(curve.precision), i, (3 * i % 24, 24))
        panel.set(xlim=(0, 100), ylim=(0, 100), ylabel="precision, %")
        panel.text(1.5, 4, f"OKS {oks:.2f}", color=INK)
        panel.grid(True, axis="both")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MultipleLocator(20))
    panels[-1].set_xlabel("recall, %")
    return Plot(*PRECISION_RECALL, figure)


@style()
def _pck_plot(runs: Sequence[ComparedRun]) -> Plot:
    """Draw 3DPCK over its threshold, a panel for each kind."""
    curves = [(i, curve) for i, run in enumerate(runs) for curve in run.pck_curves if curve.values]
    kinds = list(dict.fromkeys(curve.metric for _, curve in curves))
    figure, panels = _framed(runs, (1.35,) * len(kinds), False, _BOTTOM)
    for panel, kind in zip(panels, kinds, strict=True):
        of_kind = [(i, curve) for i, curve in curves if curve.metric == kind]
        for i, curve in of_kind:
            values = [100 * value for value in curve.values]
            _line(panel, curve.thresholds_mm, values, i, (2 * i % 6, 6))
        draw_pck_axes(panel, of_kind[0][1].thresholds_mm)
        panel.text(2, 88, plain_text(kind), color=INK)
        panel.set(xlabel="", ylabel="%")
    panels[-1].set_xlabel("threshold, mm")
    return Plot(*PCK_CURVE, figure)


def _framed(
    runs: Sequence[ComparedRun], heights: Sequence[float], bars: bool, bottom: float
) -> tuple[Figure, list[Axes]]:
    """Return a figure with the names of the runs above its panels and the footnotes below."""
    footnotes = Footnotes()
    names = [plain_text(name) for name in headings_of(runs, footnotes)]
    widest = max(text_width(name) for name in names) + _LEGEND_SAMPLE
    columns = min(len(runs), max(1, int((WIDTH - 2 * _LEGEND_LEFT) / widest)))
    lines = [
        line
        for note in footnotes.lines
        for line in textwrap.wrap(plain_text(note, 2000), _FOOTNOTE_LETTERS)
    ]
    figure, panels = new_figure(
        heights,
        left=_LEFT,
        right=_RIGHT,
        top=0.2 + _LEGEND_LINE * -(-len(runs) // columns),
        bottom=bottom + _FOOTNOTE_LINE * len(lines),
    )
    height = figure.get_size_inches()[1]
    legend = figure.legend(
        [_sample(i, bars) for i in range(len(runs))],
        [str(i) for i in range(len(runs))],
        loc="upper left",
        bbox_to_anchor=(_LEGEND_LEFT / WIDTH, 1 - 0.06 / height),
        ncols=columns,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=3.2,
        columnspacing=1.2,
        labelspacing=0.3,
    )
    # Not as labels: matplotlib leaves those out that begin with "_".
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
    for i, line in enumerate(reversed(lines)):
        place = (_LEGEND_LEFT / WIDTH, (0.06 + _FOOTNOTE_LINE * i) / height)
        figure.text(*place, line, color=MUTED, fontsize=SMALL)
    return figure, panels


def _draw_lines(axes: Axes, places: Sequence[float], runs: Sequence[_Values]) -> None:
    for i, values in enumerate(runs):
        _line(axes, places, values, i)


def _line(
    axes: Axes,
    xs: Sequence[float],
    ys: Sequence[float | None],
    index: int,
    markevery: tuple[int, int] | None = None,
) -> None:
    """Draw the line of a run; where it has no value there is a gap."""
    axes.plot(
        xs,
        [float("nan") if y is None else y for y in ys],
        **_line_look(index),
        markevery=markevery,
        clip_on=False,
    )


def _draw_bars(
    axes: Axes,
    runs: Sequence[_Values],
    numbers: str,
    intervals: Sequence[Sequence[tuple[float, float]]] = (),
) -> None:
    """Draw a bar for every run in each group, with its number above it where there is room."""
    width = _FILLED / len(runs)
    n_groups = len(runs[0])
    room = width * (WIDTH - _LEFT - _RIGHT) / (n_groups + 0.2) >= _LEAST_WIDTH
    for i, values in enumerate(runs):
        shift = (i - (len(runs) - 1) / 2) * width
        there = [(x + shift, v) for x, v in enumerate(values) if v is not None]
        axes.bar([x for x, _ in there], [v for _, v in there], 0.9 * width, **_bar_look(i))
        ends = intervals[i] if intervals else [(_NAN, _NAN)] * n_groups
        for group, (low, high) in enumerate(ends):
            if low == low:
                axes.vlines(group + shift, low, high, color=INK, linewidth=1)
        tops = [high for (_, high), v in zip(ends, values, strict=True) if v is not None]
        for (x, v), top in zip(there, tops, strict=True) if room else ():
            axes.annotate(
                numbers.format(v),
                (x, v if top != top else max(v, top)),
                (0, 1.5),
                textcoords="offset points",
                ha="center",
                fontsize=SMALL,
            )


def _mark_gaps(
    axes: Axes, places: Sequence[float], condition: ComparedCondition, runs: Sequence[_Values]
) -> None:
    """Say at every row in which no run has a value that there is none."""
    for place, compared, values in zip(
        places, condition.rows, zip(*runs, strict=True), strict=True
    ):
        if all(value is None for value in values):
            persons = any(row is not None and row.n_persons for row in compared.runs)
            mark_gap(axes, place, has_persons=persons)


def _draw_counts(
    axes: Axes,
    places: Sequence[float],
    counts: Sequence[Sequence[int | None]],
    *,
    is_curve: bool,
    bars: bool,
) -> None:
    """Draw what takes part in each row: once where it is the same in all runs."""
    common = common_counts(counts)
    if common is None:
        by_run: list[_Values] = [list(run) for run in zip(*counts, strict=True)]
        if bars:
            _draw_bars(axes, by_run, numbers="{:,}")
        else:
            _draw_lines(axes, places, by_run)
    else:
        shown = [n or 0 for n in common]
        if is_curve:
            axes.fill_between(places, shown, color=GRID, linewidth=0)
            axes.plot(places, shown, color=MUTED, linewidth=1, marker="o", markersize=2.5)
        else:
            axes.bar(places, shown, 0.62, facecolor=GRID, edgecolor=MUTED, linewidth=0.6)
    axes.set_ylim(0, 1.15 * max(1, *(n or 0 for row in counts for n in row)))
    label_counts(axes)


def _line_look(index: int) -> dict[str, Any]:
    look = run_style(index)
    return {"color": look.colour, "linestyle": look.dash, "marker": look.marker}


def _bar_look(index: int) -> dict[str, Any]:
    look = run_style(index)
    face = PAPER if look.hatch else look.colour
    return {"facecolor": face, "edgecolor": look.colour, "hatch": look.hatch, "linewidth": 0.6}


def _sample(index: int, bars: bool) -> Line2D | Patch:
    """Return what stands for a run in the legend."""
    return Patch(**_bar_look(index)) if bars else Line2D([], [], **_line_look(index))


def _intervals(condition: ComparedCondition, main: str) -> list[list[tuple[float, float]]]:
    """Return the intervals of the main metric to draw of every run by row, NaN for none."""
    n_runs = len(condition.rows[0].runs)
    return [
        [
            percent_ends(compared.runs[i], main)
            if n_runs <= _MOST_INTERVALS or not i
            else (_NAN, _NAN)
            for compared in condition.rows
        ]
        for i in range(n_runs)
    ]


def _percent(condition: ComparedCondition, main: str) -> list[_Values]:
    """Return the main metric of every run by row, in percent."""
    by_row = [
        [None if row is None else row.metrics.get(main) for row in compared.runs]
        for compared in condition.rows
    ]
    return [
        [None if m is None or m.value is None else 100 * m.value for m in run]
        for run in zip(*by_row, strict=True)
    ]


def _thresholds(condition: ComparedCondition) -> list[float]:
    """Return the thresholds of the rows; nothing for bins."""
    rows = (next(row for row in compared.runs if row is not None) for compared in condition.rows)
    return [row.threshold for row in rows if row.threshold is not UNSET]
