"""Scenes before and after refinement: all persons of an image together in space, with errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MultipleLocator

from crowdbench.drawn_3d import DrawnScene3D
from crowdbench.results import Metrics
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from crowdbench.terminal import number
from reports.figure import DPI, MUTED, SMALL, STYLES, WIDTH, new_figure, plain_text, style
from reports.photo_panel import OUTLINE, WHITE, resized, show_pixels
from reports.picture import read_picture
from reports.plot import Plot
from reports.refinement_table import errors_cells, rank_words

NAME, TITLE = "refinement-scenes", "Scenes before and after refinement"
# Inches: margins, width of a view, between the views, between other parts, the key, the heading of
# a scene, the words below a view, a line of the table.
_EDGE, _VIEW, _BETWEEN, _GAP = 0.1, 1.66, 0.3, 0.12
_KEY, _HEADING, _BELOW, _LINE = 0.34, 0.18, 0.16, 0.145
_LOWEST, _HIGHEST = 1.2, 2.2  # of a view, inches
# Columns of the table, and where they end, inches from its left.
_COLUMNS = {"no.": 0.3, "before": 0.77, "after": 1.2, "change": 1.7}
_LABEL_PX = np.array((20.0, 22.0))  # room of a number on a picture
_TABLE, _TALLEST = 1.7, 1.2  # width of the table, most height of a picture below it
# A view shows every annotated pose with some room around; of other poses, in parts of the extent
# of the annotated ones, what is so much further, and nothing that is so many views away.
_ROOM, _REACH, _FARTHEST = 0.06, 0.25, 3.0
_LEAST_MM = 1000.0  # that a view shows
_GRIDS_MM = (250, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
_MOST_LINES = 6
_BEFORE, _AFTER = STYLES[1], STYLES[2]._replace(dash="-")
# Annotated poses are a broad band, on which the others are seen.
_BAND: dict[str, Any] = {"color": MUTED, "alpha": 0.4, "linewidth": 2.8}


class _View(NamedTuple):
    """From where a scene is seen.

    Attributes:
        words: the name of the view.
        axes: which of x, y and z is to the right, and which upwards.
        sign: -1 where the latter grows downwards.
    """

    words: str
    axes: tuple[int, int]
    sign: int

    def of(self, joints: Sequence[tuple[float, float, float]]) -> Array:
        """Return (K, 2) mm, to the right and upwards."""
        points = np.reshape(np.array(joints, float), (-1, 3))
        return points[:, self.axes] * (1, self.sign)


_VIEWS = (_View("from the camera", (0, 1), -1), _View("from above", (0, 2), 1))


class _Shown(NamedTuple):
    """What a view of a scene shows; all in mm, (2,) to the right and upwards.

    Attributes:
        low: lower left corner.
        high: upper right corner.
        numbers: for each person the place of its number.
    """

    low: Array
    high: Array
    numbers: list[Array]


@style()
def scene_plot(
    scenes: Sequence[DrawnScene3D], metrics: Metrics, skeleton: Skeleton, folder: Path | None
) -> Plot | None:
    """Return the scenes with each person's error before and after; None without scenes.

    Args:
        scenes: the best first.
        metrics: of the whole split, with what refinement changed.
        skeleton: says which joints a line connects.
        folder: of the image files; None if it is not known.
    """
    if not scenes:
        return None
    photos = [_photo(scene, folder) for scene in scenes]
    heights = [_height(scene) for scene in scenes]
    columns = [
        _LINE * (len(scene.persons) + 2.4) + (0 if photo is None else photo.shape[0] / DPI + _GAP)
        for scene, photo in zip(scenes, photos, strict=True)
    ]
    # Views take the room that a long table or a picture leaves beside it.
    heights = [min(max(h, c - _BELOW), _HIGHEST) for h, c in zip(heights, columns, strict=True)]
    rows = [max(h + _BELOW, c) for h, c in zip(heights, columns, strict=True)]
    total = _KEY + sum(rows) + len(scenes) * (_HEADING + _GAP)
    figure, (whole,) = new_figure((total,), left=0, right=0, top=0, bottom=0)
    whole.remove()
    _key(figure, total)
    top = total - _KEY
    for scene, photo, height, row in zip(scenes, photos, heights, rows, strict=True):
        words = f"{rank_words(scene)}: {plain_text(scene.file_name, 50)} (id {scene.image_id})"
        figure.text(_EDGE / WIDTH, top / total, words, va="top", fontsize=SMALL)
        top -= _HEADING
        for i, view in enumerate(_VIEWS):
            left = _EDGE + i * (_VIEW + _BETWEEN)
            place = (left / WIDTH, (top - height) / total, _VIEW / WIDTH, height / total)
            _draw_view(figure.add_axes(place), scene, view, skeleton, height)
        below = _table(figure, scene, top, total)
        if photo is not None:
            h, w = (pixels / DPI for pixels in photo.shape[:2])
            place = (_table_left() / WIDTH, (below - _GAP - h) / total, w / WIDTH, h / total)
            _draw_photo(figure.add_axes(place), scene, photo)
        top -= row + _GAP
    return Plot(NAME, TITLE, _caption(scenes, metrics), figure)


def _caption(scenes: Sequence[DrawnScene3D], metrics: Metrics) -> str:
    assert metrics.pose3d is not None
    refinement = metrics.pose3d.refinement
    assert refinement is not None
    persons = "with two or more evaluated persons who have a pose before and after"
    if (n := refinement.n_scenes) == 1:
        which = f"The only image {persons}"
    else:
        chosen = (
            "first the one whose mean error fell more or rose less"
            if n == 2
            else "the one whose mean error fell most, the median one, and the one whose mean error "
            "rose most or fell least"
        )
        which = f"Of the {n:,} images {persons}, {chosen} (of equal changes the lower id first)"
    before, after = refinement.metrics["MPJPE_mm"], metrics.metrics["MPJPE_mm"]
    all_persons = (
        f"all {after.n:,} persons with a pose"
        if before.n == after.n
        else f"all persons with a pose ({before.n:,} before, {after.n:,} after)"
    )
    return (
        f"{which}. These persons are shown together in the axes of the camera, without "
        "perspective: from the camera (x to the right, y down) and from above (x to the right, z, "
        "away from the camera, upwards); lines of the grid are as far apart as each view says; "
        "what is predicted far outside is cut off. Numbers go from left to right. Errors: mean "
        "distance of all joints in mm, roots together (MPJPE); the last row is the mean of these "
        f"persons. Over {all_persons} the mean is {number(before.before, 'mm')} mm before and "
        f"{number(after.value, 'mm')} mm after."
    )


def _height(scene: DrawnScene3D) -> float:
    """Return the height of a scene's views, inches, which fits the view from the camera."""
    low, high = _extent(scene, _VIEWS[0])
    width, height = high - low
    return float(np.clip(_VIEW * height / width, _LOWEST, _HIGHEST))


def _extent(scene: DrawnScene3D, view: _View) -> tuple[Array, Array]:
    """Return the lower left and the upper right corner of what a view has to show, mm."""
    truth = np.concatenate([view.of(person.truth) for person in scene.persons])
    others = np.concatenate([view.of(p) for q in scene.persons for p in (q.before, q.after)])
    low, high = truth.min(0), truth.max(0)
    reach = _REACH * max(float((high - low).max()), _LEAST_MM)
    low = np.maximum(np.minimum(low, others.min(0)), low - reach)
    high = np.minimum(np.maximum(high, others.max(0)), high + reach)
    missing = np.maximum(_LEAST_MM - (high - low), 0) / 2
    room = _ROOM * max(float((high - low).max()), _LEAST_MM) + missing
    return low - room, high + room


def _shown(scene: DrawnScene3D, view: _View, height: float) -> _Shown:
    """Return what a view shows, in one scale to the right and upwards."""
    low, high = _extent(scene, view)
    numbers: list[Array] = []
    # Numbers need room, and room changes the scale.
    for _ in range(3):
        scale = float(max((high[0] - low[0]) / _VIEW, (high[1] - low[1]) / height))  # mm per inch
        numbers = _numbers(scene, view, (low, high), scale)
        high = np.array((high[0], max(high[1], *(y + 0.15 * scale for _, y in numbers))))
    half = scale * np.array((_VIEW, height)) / 2
    return _Shown((low + high) / 2 - half, (low + high) / 2 + half, numbers)


def _numbers(
    scene: DrawnScene3D, view: _View, limits: tuple[Array, Array], scale: float
) -> list[Array]:
    """Return where the numbers of persons stand: above all their poses, and none over another."""
    room = np.array((0.13, 0.12)) * scale
    places: list[Array] = []
    for person in scene.persons:
        poses = np.concatenate([view.of(p) for p in (person.truth, person.before, person.after)])
        poses = np.clip(poses, *limits)
        place = np.array((view.of(person.truth)[:, 0].mean(), poses[:, 1].max() + 0.02 * scale))
        places.append(_apart(place, places, room))
    return places


def _apart(place: Array, others: Sequence[Array], room: Array) -> Array:
    """Return the place, moved to larger y as far as it needs to leave the others their room."""
    moved = place
    while near := [o for o in others if (np.abs(moved - o) < 0.999 * room).all()]:
        moved = np.array((place[0], max(y for _, y in near) + room[1]))
    return moved


def _draw_view(
    axes: Axes, scene: DrawnScene3D, view: _View, skeleton: Skeleton, height: float
) -> None:
    shown = _shown(scene, view, height)
    for person in scene.persons:
        _draw_limbs(axes, view.of(person.truth), skeleton, shown, _BAND)
    for drawn, name in ((_BEFORE, "before"), (_AFTER, "after")):
        look = {"color": drawn.colour, "linestyle": drawn.dash, "linewidth": 0.9}
        look |= {"marker": drawn.marker, "markersize": 1.5, "markeredgewidth": 0}
        for person in scene.persons:
            _draw_limbs(axes, view.of(getattr(person, name)), skeleton, shown, look)
    axes.set(xlim=(shown.low[0], shown.high[0]), ylim=(shown.low[1], shown.high[1]))
    for i, place in enumerate(shown.numbers, 1):
        axes.text(
            float(place[0]),
            float(place[1]),
            str(i),
            ha="center",
            va="bottom",
            fontsize=SMALL,
            weight="bold",
        )
    _frame(axes, view, shown)


def _draw_limbs(
    axes: Axes, points: Array, skeleton: Skeleton, shown: _Shown, look: dict[str, Any]
) -> None:
    """Draw the limbs between points, brought near if they are far outside of what is shown."""
    pairs = [limb for limb in skeleton.limbs if max(limb) < len(points)]
    away = _FARTHEST * (shown.high - shown.low)
    lines = np.full((len(pairs), 3, 2), np.nan)
    if pairs:
        lines[:, :2] = np.clip(points, shown.low - away, shown.high + away)[np.array(pairs)]
    axes.plot(*lines.reshape(-1, 2).T, **look)


def _frame(axes: Axes, view: _View, shown: _Shown) -> None:
    """Leave a grid, whose step stands below the panel, a frame, and from above the distances."""
    extent = float((shown.high - shown.low).max())
    step = next((g for g in _GRIDS_MM if extent / g <= _MOST_LINES), extent / _MOST_LINES)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(step))
    is_depth = view.axes[1] == 2
    axes.yaxis.set_major_formatter(FuncFormatter(lambda mm, _: f"{mm / 1000:g}"))
    axes.tick_params(length=0, pad=2, labelbottom=False, labelleft=is_depth, labelcolor=MUTED)
    axes.grid(True, axis="both")
    for spine in axes.spines.values():
        spine.set(visible=True, color=MUTED, linewidth=0.4)
    words = f"{view.words}, grid {step / 1000:g} m{', z in m' if is_depth else ''}"
    look: dict[str, Any] = {"color": MUTED, "fontsize": SMALL, "va": "top"}
    axes.annotate(words, (0, 0), (0, -2.5), "axes fraction", "offset points", **look)


def _table_left() -> float:
    return WIDTH - _EDGE - _TABLE


def _table(figure: Figure, scene: DrawnScene3D, top: float, total: float) -> float:
    """Write the error of every person, and their mean, to the right of the views.

    Args:
        figure: to write on.
        scene: the persons.
        top: of the table, inches from the lower edge.
        total: height of the figure, inches.

    Returns:
        Where the table ends, likewise.
    """
    rows = [
        (str(i), *errors_cells(person.before_mm, person.after_mm))
        for i, person in enumerate(scene.persons, 1)
    ]
    rows.append(("mean", *errors_cells(scene.before_mm, scene.after_mm)))
    left, y = _table_left(), top - 0.02
    _row(figure, tuple(_COLUMNS), (left, y), total, {"color": MUTED})
    for row in rows:
        y -= _LINE
        if row is rows[-1]:
            y -= 0.05
            ends = (left / WIDTH, (left + _TABLE) / WIDTH)
            line = Line2D(ends, [(y + 0.03) / total] * 2, color=MUTED, linewidth=0.6)
            figure.add_artist(line)
        _row(figure, row, (left, y), total, {})
    return y - _LINE


def _photo(scene: DrawnScene3D, folder: Path | None) -> Array | None:
    """Return the image, (H, W, 3) uint8 BGR as wide as the table; None if it is not there."""
    picture = read_picture(scene, folder)
    # A picture of another size is not what was annotated.
    if picture.pixels is None or picture.remark:
        return None
    width, height = picture.size
    wide = round(min(_TABLE, _TALLEST * width / height) * DPI)
    return resized(picture.pixels, (wide, max(round(wide * height / width), 1)))


def _draw_photo(axes: Axes, scene: DrawnScene3D, pixels: Array) -> None:
    """Show the image with the numbers of the persons at their roots."""
    height, width = pixels.shape[:2]
    show_pixels(axes, (0, 0, width, height), pixels)
    if 0 in scene.size:
        return
    box = {"boxstyle": "round,pad=0.15", "facecolor": OUTLINE, "linewidth": 0}
    look: dict[str, Any] = {"color": WHITE, "fontsize": 6, "ha": "center", "va": "center"}
    places: list[Array] = []
    for i, person in enumerate(scene.persons, 1):
        place = np.array(person.root_px) * (width, height) / np.array(scene.size)
        places.append(_apart(np.clip(place, 8, (width - 8, height - 8)), places, _LABEL_PX))
        axes.text(float(places[-1][0]), float(places[-1][1]), str(i), bbox=box, **look)


def _row(
    figure: Figure,
    cells: Sequence[str],
    place: tuple[float, float],
    total: float,
    look: dict[str, Any],
) -> None:
    left, y = place
    for cell, (name, end) in zip(cells, _COLUMNS.items(), strict=True):
        is_first = name == "no."
        x = (left if is_first else left + end) / WIDTH
        side = "left" if is_first else "right"
        figure.text(x, y / total, cell, ha=side, va="top", fontsize=SMALL, **look)


def _key(figure: Figure, total: float) -> None:
    """Name the kinds of poses above all."""
    looks = [_BAND] + [
        {"color": drawn.colour, "linestyle": drawn.dash, "marker": drawn.marker, "linewidth": 1.1}
        for drawn in (_BEFORE, _AFTER)
    ]
    figure.legend(
        [Line2D([], [], markersize=3, **look) for look in looks],
        ["annotated", "before refinement", "after refinement"],
        loc="upper left",
        bbox_to_anchor=(_EDGE / WIDTH, 1 - 0.06 / total),
        ncols=3,
        fontsize=SMALL,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=3.2,
        columnspacing=1.4,
    )
