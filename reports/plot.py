"""A plot with what a reader must know about it, and the parts that plots of several kinds share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from crowdbench.results import ConditionRow
from reports.figure import MUTED, SMALL, plain_text, save_figure, svg_of
from reports.intervals import interval_of


@dataclass(frozen=True)
class Plot:
    """A plot.

    Attributes:
        name: of its files, and of its place in the page.
        title: what is drawn.
        caption: what its n is and by which rule it was made, in plain sentences.
        figure: the drawing.
    """

    name: str
    title: str
    caption: str
    figure: Figure

    def save(self, folder: Path, whose: str) -> None:
        """Write the plot into a folder as SVG and PNG, with title, owner and caption in both.

        Raises:
            WriteError: if a file can't be written.
        """
        save_figure(self.figure, folder / self.name, f"{self.title}, {whose}. {self.caption}")

    def inline(self) -> Markup:
        """Return the plot as an ``<svg>`` element of a page."""
        return Markup(svg_of(self.figure, self.name, f"{self.title}. {self.caption}"))


# Name, title and caption of plots of precision over recall.
PRECISION_RECALL = (
    "precision-recall",
    "Precision and recall",
    (
        "Interpolated precision at 101 levels of recall, for matches of at least the OKS named. A "
        "curve ends where no pose reaches more recall; there AP counts 0."
    ),
)


def precision_points(precision: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return recall and precision in percent, up to the last level of recall that is reached.

    Args:
        precision: at equally spaced levels of recall, 0 to 1.

    >>> precision_points([1.0, 0.5, 0.0])
    ([0.0, 50.0], [100.0, 50.0])
    """
    last = max((k for k, p in enumerate(precision) if p > 0), default=0)
    steps = max(len(precision) - 1, 1)
    return [100 * k / steps for k in range(last + 1)], [100 * p for p in precision[: last + 1]]


def condition_label(axis: str, harder: str) -> str:
    """Return the label of a condition's axis, which says where its rows get harder."""
    towards = "harder \u2192" if harder == "up" else "\u2190 harder"
    return f"{plain_text(axis, 70)}   ({towards})"


def mark_gap(axes: Axes, place: float, *, has_persons: bool, **look: Any) -> None:
    """Say at a row without a value that there is none; `look` goes to matplotlib's text."""
    axes.text(
        place,
        0.04,
        "no value" if has_persons else "no persons",
        transform=axes.get_xaxis_transform(),
        rotation=90,
        ha="center",
        va="bottom",
        color=MUTED,
        fontsize=SMALL,
        **look,
    )


def percent_ends(row: ConditionRow | None, metric: str) -> tuple[float, float]:
    """Return the ends of the interval of a row's metric in percent, NaN where there is none."""
    interval = interval_of(None if row is None else row.metrics.get(metric))
    low, high = (math.nan, math.nan) if interval is None else interval.percentile
    return 100 * low, 100 * high


def draw_intervals(
    axes: Axes,
    x: Sequence[float],
    ends: Sequence[tuple[float, float]],
    colour: str,
    *,
    is_curve: bool,
) -> None:
    """Draw intervals behind what they are of: a band along a curve, else a bar at each place.

    Args:
        axes: the panel.
        x: the places.
        ends: low and high at each; NaN where there is none.
        colour: of the curve or the points.
        is_curve: whether the places are points of a scale, so that what lies between has a meaning.
    """
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    if all(math.isnan(low) for low in lows):
        return
    if is_curve:
        axes.fill_between(x, lows, highs, color=colour, alpha=0.18, linewidth=0, zorder=1.5)
    else:
        axes.vlines(x, lows, highs, color=colour, alpha=0.3, linewidth=6.5, zorder=1.5)


def label_counts(axes: Axes, most: int = 2) -> None:
    """Label the y axis with whole numbers, about `most` of them."""
    axes.yaxis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
