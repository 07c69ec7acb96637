"""The plots that only 3D runs have: 3DPCK over its threshold, and metrics joint by joint."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator
from msgspec import UNSET

from crowdbench.results import Metric, Metrics
from crowdbench.terminal import UNIT_SIGNS, number
from reports.figure import (
    INK,
    MUTED,
    PAPER,
    SMALL,
    STYLES,
    WIDTH,
    Style,
    label_ends,
    new_figure,
    plain_text,
    style,
    text_width,
)
from reports.plot import Plot

_NAN = float("nan")
# Name, title and caption of plots of 3DPCK over its threshold.
PCK_CURVE = (
    "pck-curve",
    "3DPCK over the threshold",
    (
        "Share of the scored joints that are less than the threshold off, from the root or (_abs) "
        "in the axes of the camera. AUC is the mean over the thresholds; as no joint is less than "
        "0 mm off, it is 30/31, or 96.8 %, at most."
    ),
)
# The metrics drawn joint by joint, a panel each, and how.
_PANELS = (("3DPCK_all", STYLES[0]), ("MPJPE_mm", STYLES[1]))
_ROW, _GAP = 0.2, 0.5  # inches; rows


@style()
def pck_curve_plot(metrics: Metrics) -> Plot | None:
    """Return 3DPCK over its threshold, of every kind; None where there is nothing to average."""
    curves = () if metrics.pose3d is None else metrics.pose3d.curves
    if not any(curve.values for curve in curves):
        return None
    labels = [_curve_label(curve.metric, metrics) for curve in curves]
    right = 0.25 + max(text_width(label) for label in labels)
    figure, (axes,) = new_figure((2.7,), left=0.68, right=right, width=3.9 + right)
    ends, names, colours = [], [], []
    for i, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        if not curve.values:
            continue
        drawn = STYLES[i % len(STYLES)]
        values = [100 * value for value in curve.values]
        axes.plot(
            curve.thresholds_mm,
            values,
            color=drawn.colour,
            linestyle=drawn.dash,
            marker=drawn.marker,
            markevery=(i, 6),
            clip_on=False,
        )
        ends.append((curve.thresholds_mm[-1], values[-1]))
        names.append(label)
        colours.append(drawn.colour)
    draw_pck_axes(axes, curves[0].thresholds_mm)
    label_ends(axes, ends, names, colours)
    n = metrics.metrics.get("3DPCK_all")
    matched = metrics.metrics.get("3DPCK_matched")
    counts = [
        f"{metric.n:,} {words}"
        for metric, words in ((n, "evaluated persons"), (matched, "matched ones"))
        if metric is not None
    ]
    name, title, caption = PCK_CURVE
    return Plot(name, title, f"{caption} n = {', '.join(counts)}." if counts else caption, figure)


def draw_pck_axes(axes: Axes, thresholds_mm: Sequence[float]) -> None:
    """Set limits, labels and grid of a panel of 3DPCK over its threshold."""
    axes.set(xlim=(thresholds_mm[0], thresholds_mm[-1]), ylim=(0, 100))
    axes.set(xlabel="threshold, mm", ylabel="3DPCK, %")
    axes.xaxis.set_major_locator(MultipleLocator(25))
    axes.yaxis.set_major_locator(MultipleLocator(20))
    axes.grid(True, axis="both")


def _curve_label(name: str, metrics: Metrics) -> str:
    """Return the name of a curve with its AUC, e.g. ``3DPCK_all (AUC 35.06)``."""
    auc = metrics.metrics.get(name.replace("3DPCK", "AUC"))
    return plain_text(name) if auc is None else f"{plain_text(name)} (AUC {_shown(auc)})"


def _shown(metric: Metric) -> str:
    return number(metric.value, metric.unit)


@style()
def joints_plot(metrics: Metrics) -> Plot | None:
    """Return 3DPCK_all and MPJPE of every group of joints and every joint; None without them."""
    panels = [
        (name, metrics.metrics[name], drawn)
        for name, drawn in _PANELS
        if name in metrics.metrics and metrics.metrics[name].by_joint is not UNSET
    ]
    groups = list(dict.fromkeys(name for _, m, _ in panels for name in m.by_group or ()))
    joints = list(dict.fromkeys(name for _, m, _ in panels for name in m.by_joint or ()))
    if not joints:
        return None
    places = [float(i) for i in range(len(groups))]
    places += [len(groups) + (_GAP if groups else 0) + i for i in range(len(joints))]
    labels = [plain_text(name.replace("_", " "), 28) for name in (*groups, *joints)]
    left = max(text_width(label, SMALL) for label in labels) + 0.2
    height = _ROW * (places[-1] + 1)
    width = (WIDTH - left - 0.25 * len(panels)) / len(panels)
    figure, (first,) = new_figure(
        (height,), left=left, right=WIDTH - left - width, top=0.3, bottom=0.45
    )
    place = first.get_position()
    step = (width + 0.25) / WIDTH
    all_axes = [first] + [
        figure.add_axes((place.x0 + i * step, place.y0, place.width, place.height), sharey=first)
        for i in range(1, len(panels))
    ]
    for axes, (name, metric, drawn) in zip(all_axes, panels, strict=True):
        values = [*_values(metric, metric.by_group, groups)]
        values += _values(metric, metric.by_joint, joints)
        _draw_bars(axes, places, values, drawn)
        scored = metric.by_joint if isinstance(metric.by_joint, dict) else {}
        for y, value, row in zip(places, values, (*groups, *joints), strict=True):
            if value != value:
                words = "no value" if row in scored or row in groups else "not scored"
                axes.annotate(
                    words,
                    (0, y),
                    (3, 0),
                    textcoords="offset points",
                    va="center",
                    color=MUTED,
                    fontsize=SMALL,
                )
        axes.set_title(plain_text(name), loc="left", fontsize=SMALL, color=INK, pad=4)
        axes.set_xlabel(UNIT_SIGNS[metric.unit])
        if metric.unit == "fraction":
            axes.set_xlim(0, 100)
            axes.xaxis.set_major_locator(MultipleLocator(20))
        else:
            known = [value for value in values if value == value]
            axes.set_xlim(0, 1.18 * max(known, default=1.0) or 1)
            axes.xaxis.set_major_locator(MaxNLocator(5))
    first.set_yticks(places, labels, fontsize=SMALL)
    first.set_ylim(places[-1] + 0.6, -0.6)
    for axes in all_axes[1:]:
        axes.tick_params(labelleft=False)
    counts = ", ".join(f"{metric.n:,} persons for {name}" for name, metric, _ in panels)
    return Plot(
        "joints",
        "Joints",
        "Above by group of joints, below joint by joint; 3DPCK_all is better the higher it is, "
        f"MPJPE_mm the lower. n = {counts}.",
        figure,
    )


def _values(metric: Metric, found: object, names: Sequence[str]) -> list[float]:
    """Return the numbers of a breakdown in percent or mm, NaN for none."""
    by_name = found if isinstance(found, dict) else {}
    scale = 100 if metric.unit == "fraction" else 1
    return [_NAN if (value := by_name.get(name)) is None else scale * value for name in names]


def _draw_bars(axes: Axes, places: Sequence[float], values: Sequence[float], drawn: Style) -> None:
    axes.barh(
        places,
        values,
        0.66,
        facecolor=PAPER if drawn.hatch else drawn.colour,
        edgecolor=drawn.colour,
        hatch=drawn.hatch,
        linewidth=0.6,
    )
    for y, value in zip(places, values, strict=True):
        if value == value:
            axes.annotate(
                f"{value:,.1f}",
                (value, y),
                (2, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5,
            )
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
