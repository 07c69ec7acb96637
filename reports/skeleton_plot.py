"""Poses in space beside the annotated ones, each seen from the camera and from the side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from crowdbench.drawn_3d import DrawnPerson3D
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from reports.figure import MUTED, PAPER, SMALL, STYLES, WIDTH, Style, new_figure, plain_text, style
from reports.plot import Plot

NAME, TITLE = "worst-persons", "Worst persons"
_TRUTH, _PREDICTED = STYLES[0], STYLES[1]
# Inches: margins, between the two views of a person, and between persons.
_EDGE, _TOP, _BETWEEN, _APART, _HEADING = 0.1, 0.55, 0.05, 0.15, 0.32
_PERSONS_IN_ROW = 3
_GRID_MM = 500
# The panels hold every annotated pose, and predicted joints up to so many times as far away.
_REACH, _MARGIN = 1.6, 1.08
# Axes of each view: what is to the right and what is downwards, of x, y and z.
_VIEWS = {"from the camera (left)": (0, 1), "from the side (right)": (2, 1)}


@style()
def worst_persons_plot(persons: Sequence[DrawnPerson3D], skeleton: Skeleton) -> Plot | None:
    """Return the poses of persons over the annotated ones, in two views; None without persons.

    Args:
        persons: the worst first.
        skeleton: says which joints a line connects.
    """
    if not persons:
        return None
    poses = [
        (np.array(p.truth, float).reshape(-1, 3), np.array(p.predicted, float).reshape(-1, 3))
        for p in persons
    ]
    half, top, bottom = _limits(poses)
    width = ((WIDTH - 2 * _EDGE + _APART) / _PERSONS_IN_ROW - _APART - _BETWEEN) / 2
    height = width * (bottom - top) / (2 * half)
    n_rows = -(-len(persons) // _PERSONS_IN_ROW)
    total = _TOP + n_rows * (_HEADING + height) + (n_rows - 1) * _EDGE + 2 * _EDGE
    figure, (whole,) = new_figure((total,), left=0, right=0, top=0, bottom=0)
    whole.remove()
    _key(figure, total)
    for i, (person, (truth, predicted)) in enumerate(zip(persons, poses, strict=True)):
        row, column = divmod(i, _PERSONS_IN_ROW)
        left = _EDGE + column * (2 * width + _BETWEEN + _APART)
        upper = total - _TOP - row * (_HEADING + height + _EDGE)
        _heading(figure, i + 1, person, left / WIDTH, upper / total, total)
        for j, axes_of_view in enumerate(_VIEWS.values()):
            place = (
                (left + j * (width + _BETWEEN)) / WIDTH,
                (upper - _HEADING - height) / total,
                width / WIDTH,
                height / total,
            )
            axes = figure.add_axes(place)
            occluded = np.array(person.is_occluded, bool)
            _draw(axes, truth[:, axes_of_view], occluded, skeleton, _TRUTH)
            nothing = np.zeros(len(predicted), bool)
            _draw(axes, predicted[:, axes_of_view], nothing, skeleton, _PREDICTED)
            axes.set(xlim=(-half, half), ylim=(bottom, top))
            _frame(axes)
    return Plot(
        NAME,
        TITLE,
        "Of the persons with a pose, those with the largest mean distance of their joints, the "
        "worst first, annotated and predicted root laid over each other. Each is seen from the "
        "camera (x to the right, y down) and from the side (z, away from the camera, to the "
        "right). An open joint is labelled as occluded. Lines of the grid are "
        f"{_GRID_MM} mm apart in all panels; what is predicted further out is cut off. n = "
        f"{len(persons)} persons.",
        figure,
    )


def _limits(poses: Sequence[tuple[Array, Array]]) -> tuple[float, float, float]:
    """Return half the width of a panel, its top and its bottom, in mm from the root."""
    truth, predicted = (np.concatenate([pose[i] for pose in poses]) for i in (0, 1))
    sides, heights = _reach(truth[:, (0, 2)]), truth[:, 1]
    low, high = min(heights.min(initial=0), -1.0), max(heights.max(initial=0), 1.0)
    near = np.abs(predicted[np.isfinite(predicted).all(1)])
    half = max(sides, min(_reach(near[:, (0, 2)]), _REACH * sides))
    seen = predicted[np.isfinite(predicted).all(1), 1]
    low = min(low, max(seen.min(initial=0), _REACH * low))
    high = max(high, min(seen.max(initial=0), _REACH * high))
    return _MARGIN * half, _MARGIN * low, _MARGIN * high


def _reach(points: Array) -> float:
    return float(max(np.abs(points).max(initial=0), 1.0))


def _draw(axes: Axes, points: Array, is_open: Array, skeleton: Skeleton, drawn: Style) -> None:
    """Draw limbs and joints."""
    pairs = [limb for limb in skeleton.limbs if max(limb) < len(points)]
    gap = np.full((1, 2), np.nan)
    lines = [np.concatenate((points[list(pair)], gap)) for pair in pairs]
    if lines:
        joined = np.concatenate(lines)
        axes.plot(
            joined[:, 0],
            joined[:, 1],
            color=drawn.colour,
            linestyle=drawn.dash,
            linewidth=1.1,
            zorder=3,
        )
    look: dict[str, Any] = {
        "linestyle": "none",
        "marker": drawn.marker,
        "markersize": 2.4,
        "zorder": 4,
    }
    for chosen, face in ((~is_open, drawn.colour), (is_open, PAPER)):
        if chosen.any():
            axes.plot(
                points[chosen, 0],
                points[chosen, 1],
                color=drawn.colour,
                markerfacecolor=face,
                markeredgewidth=0.6,
                **look,
            )


def _frame(axes: Axes) -> None:
    """Leave only the grid and a frame."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(_GRID_MM))
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    axes.grid(True, axis="both")
    for spine in axes.spines.values():
        spine.set(visible=True, color=MUTED, linewidth=0.4)


def _heading(
    figure: Figure, rank: int, person: DrawnPerson3D, x: float, y: float, height: float
) -> None:
    """Name the person above its two views."""
    figure.text(x, y, f"{rank}. {plain_text(person.file_name, 26)}", va="top", fontsize=SMALL)
    words = f"person {person.person_id}, {person.error_mm:,.1f} mm"
    figure.text(x, y - 0.145 / height, words, va="top", color=MUTED, fontsize=SMALL)


def _key(figure: Figure, height: float) -> None:
    """Name the two kinds of poses above all."""
    looks: list[dict[str, Any]] = [
        {"color": drawn.colour, "linestyle": drawn.dash, "marker": drawn.marker}
        for drawn in (_TRUTH, _PREDICTED)
    ]
    looks.append(looks[0] | {"linestyle": "none", "markerfacecolor": PAPER})
    figure.legend(
        [Line2D([], [], markersize=3, **look) for look in looks],
        ["annotated", "predicted", "annotated, occluded"],
        loc="upper left",
        bbox_to_anchor=(_EDGE / WIDTH, 1 - 0.06 / height),
        ncols=3,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=3.2,
        columnspacing=1.4,
    )
    words = f"Each person {' and '.join(_VIEWS)}."
    figure.text(_EDGE / WIDTH, 1 - 0.27 / height, words, va="top", color=MUTED, fontsize=SMALL)
