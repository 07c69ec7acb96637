"""Keypoints, the poses before and after persons were related, and what the keypoints attended to.

As Figure 5 of the paper of I2R-Net: the place that is corrected in a red box, arrows to what it
attended to.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from reports.attention_shown import MOST_TARGETS, TARGET_FACTOR, Query, ShownAttention
from reports.figure import DPI, FONT_SIZE, MUTED, SMALL, plain_text, style, text_width
from reports.photo_panel import (
    OUTLINE,
    RIM,
    WHITE,
    Box,
    Cut,
    brought_near,
    cut_around,
    draw_joints,
    draw_limbs,
    limbs,
    resized,
    show_pixels,
)
from reports.picture import read_picture
from reports.plot import Plot

TITLE = "Attention between persons"
# None is a colour that the page replaces by one of its own.
_POSE, _QUERY, _ARROW = "#27c4ff", "#ff3b30", "#ff9f0a"
_HEAT = "inferno"
# Inches: panels, gaps, the line above a row and the one below.
_PANEL, _GAP, _HEADING, _LABEL = 2.35, 0.075, 0.22, 0.24
_TALLEST = 3.2
# Of the picture under the heat as much brightness is left, and of the heat so much opacity.
_DIMMED, _OPAQUE = 0.7, 0.75
# The red box around a keypoint, in parts of the square root of the area of the person's box, and of
# the width of the panel at least.
_BOX, _LEAST_BOX = 0.22, 0.07
# Characters of a name of a keypoint.
_LONGEST = 20


def attention_caption(shown: ShownAttention, skeleton: Skeleton) -> str:
    """Return what is shown of an image, how it was chosen and how much others mean."""
    n_layers, letters = len(shown.layers), iter(ascii_lowercase)
    per_row = 2 if shown.before is None else 3
    rows = []
    for query in shown.queries:
        first, *_, last = (next(letters) for _ in range(per_row))
        rows.append(f"{first} to {last}: {_query_words(query, shown, skeleton)}.")
    panels = (
        "the pose and what the keypoint attends to. Chosen are the keypoints of at most two "
        "persons that attend most to others"
        if shown.before is None
        else "the pose before the persons were related, after it, and what the keypoint attends "
        "to. Chosen are the keypoints of at most two persons that moved most; a box side is the "
        "square root of the area of the person's box"
    )
    return (
        f"Image {shown.image_id} ({plain_text(shown.file_name, 60)}), persons with a pose: "
        f"{len(shown.boxes)}. {' '.join(rows)} Each row: {panels}. Heat: weight of each cell in "
        f"layer {n_layers} of {n_layers}, by its square root, the larger where crops overlap. "
        f"Orange: to the highest cell of at most {MOST_TARGETS} other persons, where it has "
        f"{TARGET_FACTOR} times an even weight or more. In boxes: the persons' shares. A crop "
        "shows all that is in it, so cells of others may show the first person, too. Each row is "
        "cut to the persons it is about."
    )


def _query_words(query: Query, shown: ShownAttention, skeleton: Skeleton) -> str:
    """Return which keypoint it is, how far it moved and how much it attends to others."""
    n = int(shown.n_others[query.person])
    words = plain_text(skeleton.keypoints[query.keypoint], _LONGEST)
    if query.moved is not None:
        words += f", moved by {query.moved:.2f} box sides"
    if not n:
        return f"{words}; no other person in its group"
    group = f"the other {n} persons" if n > 1 else "the other person"
    return (
        f"{words}; {_percent(query.others)} of its attention on {group} "
        f"({_percent(query.even)} if even)"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


@style()
def attention_plot(shown: ShownAttention, skeleton: Skeleton, folder: Path | None) -> Plot:
    """Return the figure of an image.

    Args:
        shown: the image.
        skeleton: says which joints a line connects.
        folder: of the image files; None if it is not known.
    """
    picture = read_picture(shown, folder)
    cuts = [cut_around(_seen(query, shown), picture, shown.size) for query in shown.queries]
    poses = [points for points in (shown.before, shown.keypoints) if points is not None]
    width, gap, heading, label = (round(DPI * x) for x in (_PANEL, _GAP, _HEADING, _LABEL))
    sizes = [_panel_size(cut, width) for cut in cuts]
    whole = (
        (len(poses) + 1) * (width + gap) - gap,
        sum(height + heading + label for _, height in sizes),
    )
    figure = Figure(figsize=(whole[0] / DPI, whole[1] / DPI))
    letters, top = iter(ascii_lowercase), 0
    for query, cut, size in zip(shown.queries, cuts, sizes, strict=True):
        words = _query_words(query, shown, skeleton)
        figure.text(0, 1 - (top + 0.5 * heading) / whole[1], words, fontsize=SMALL, va="center")
        top += heading
        titles = ["pose"] if len(poses) == 1 else ["before", "after"]
        for i, title in enumerate((*titles, "attention")):
            left = i * (width + gap) + (width - size[0]) // 2
            place = (left, whole[1] - top - size[1], *size)
            axes = figure.add_axes(tuple(np.divide(place, (*whole, *whole))))
            if i < len(poses):
                _draw_poses(axes, cut, poses[i], poses[0], query, shown, skeleton, size)
            else:
                _draw_attention(axes, cut, query, shown, size)
            below = 1 - (top + size[1] + 0.55 * label) / whole[1]
            at = left / whole[0]
            figure.text(at, below, next(letters), fontsize=FONT_SIZE, weight="bold", va="center")
            at += 0.13 * DPI / whole[0]
            figure.text(at, below, title, fontsize=SMALL, va="center")
            if i == len(poses):
                _draw_scale(figure, float(query.heat.max()), left + size[0], below, whole)
        top += size[1] + label
    caption = attention_caption(shown, skeleton)
    return Plot(f"attention-{shown.image_id}", TITLE, caption, figure)


def _seen(query: Query, shown: ShownAttention) -> Array:
    """Return points (N, 2) that a row of panels has to show."""
    persons = [query.person, *(target.person for target in query.targets)]
    corners = shown.boxes[persons]
    points = [corners[:, :2], corners[:, :2] + np.maximum(corners[:, 2:], 0)]
    points += [target.place[None] for target in query.targets]
    for poses in (shown.before, shown.keypoints):
        if poses is not None:
            points.append(poses[query.person, query.keypoint][None])
    return np.concatenate(points)


def _panel_size(cut: Cut, width: int) -> tuple[int, int]:
    """Return width and height of a row's panels in pixels."""
    ratio = cut.box[3] / cut.box[2]
    height = min(width * ratio, DPI * _TALLEST)
    return round(height / ratio), round(height)


def _draw_poses(
    axes: Axes,
    cut: Cut,
    poses: Array,
    before: Array,
    query: Query,
    shown: ShownAttention,
    skeleton: Skeleton,
    size: tuple[int, int],
) -> None:
    """Draw all poses, that of the query's person on top, and the red box where the query was."""
    show_pixels(axes, cut.box, None if cut.pixels is None else resized(cut.pixels, size))
    order = [i for i in range(len(poses)) if i != query.person]
    for i in (*order, query.person):
        is_first = i == query.person
        colour, thickness = (_POSE, 1.5) if is_first else (WHITE, 0.7)
        points = [(x, y) for x, y in poses[i].tolist()]
        draw_limbs(axes, limbs(points, skeleton, cut.box), colour, thickness)
        if is_first:
            draw_joints(axes, brought_near(poses[i], cut.box), colour, thickness)
    _mark_query(axes, poses[query.person, query.keypoint], cut.box)
    area = float(np.prod(np.maximum(shown.boxes[query.person, 2:], 0)))
    side = max(_BOX * np.sqrt(area), _LEAST_BOX * cut.box[2])
    place = brought_near(before[query.person, query.keypoint], cut.box)[0] - side / 2
    for colour, thickness in ((OUTLINE, 1.5 + RIM), (_QUERY, 1.5)):
        look: dict[str, Any] = {"fill": False, "edgecolor": colour, "linewidth": thickness}
        axes.add_patch(Rectangle((place[0], place[1]), side, side, zorder=4, **look))


def _mark_query(axes: Axes, point: Array, box: Box) -> None:
    x, y = brought_near(point, box)[0].tolist()
    look: dict[str, Any] = {"markeredgecolor": OUTLINE, "markeredgewidth": 0.6, "markersize": 4.2}
    axes.plot([x], [y], marker="o", markerfacecolor=_QUERY, zorder=5, **look)


def _draw_attention(
    axes: Axes, cut: Cut, query: Query, shown: ShownAttention, size: tuple[int, int]
) -> None:
    """Draw the heat over the picture, boxes and shares of persons, and the arrows."""
    show_pixels(axes, cut.box, _heated(cut, query, shown, size))
    named = (query.person, *(target.person for target in query.targets))
    for i in np.flatnonzero(query.shares > 0).tolist():
        colour = _POSE if i == query.person else WHITE
        x, y, width, height = shown.boxes[i].tolist()
        (x, y), far = brought_near([(x, y), (x + width, y + height)], cut.box).tolist()
        look: dict[str, Any] = {"fill": False, "edgecolor": colour, "linewidth": 0.7}
        axes.add_patch(Rectangle((x, y), far[0] - x, far[1] - y, **look))
        if i in named:
            axes.annotate(
                _percent(query.shares[i]),
                (max(x, cut.box[0]), max(y, cut.box[1])),
                (1.5, -1.5),
                textcoords="offset points",
                fontsize=SMALL - 1,
                color=colour,
                va="top",
                zorder=5,
                bbox={"facecolor": OUTLINE, "alpha": 0.6, "linewidth": 0, "pad": 0.8},
            )
    start = shown.keypoints[query.person, query.keypoint]
    ends = brought_near(np.array([start, *(target.place for target in query.targets)]), cut.box)
    for end in ends[1:]:
        for colour, thickness in ((OUTLINE, 1.6 + RIM), (_ARROW, 1.6)):
            axes.add_patch(
                FancyArrowPatch(
                    tuple(ends[0]),
                    tuple(end),
                    arrowstyle="->",
                    mutation_scale=9,
                    shrinkA=3,
                    shrinkB=0,
                    color=colour,
                    linewidth=thickness,
                    zorder=4,
                )
            )
    _mark_query(axes, start, cut.box)


def _heated(cut: Cut, query: Query, shown: ShownAttention, size: tuple[int, int]) -> Array:
    """Return the picture, or a blank field, in grey and darker with the heat on it, BGR."""
    heat = np.sqrt(_heat_map(cut.box, query.heat, shown.crops, size) / query.heat.max())
    ground = np.full((size[1], size[0]), 0.4)
    if cut.pixels is not None:
        ground = resized(cut.pixels, size).mean(-1) / 255
    colours = mpl.colormaps[_HEAT](heat)[..., 2::-1]
    opacity = np.minimum(1.5 * heat, 1)[..., None] * _OPAQUE
    mixed = opacity * colours + (1 - opacity) * _DIMMED * ground[..., None]
    return np.asarray(np.round(255 * mixed), np.uint8)


def _heat_map(box: Box, heat: Array, crops: Array, size: tuple[int, int]) -> Array:
    """Return (height, width) weights at the pixels of a panel, linear between centres of cells.

    Args:
        box: what the panel shows.
        heat: (P, h, w) weights.
        crops: (P, 4) what the cells of each person cover evenly.
        size: width and height of the panel.
    """
    found = np.zeros(size[::-1])
    for weights, (x, y, width, height) in zip(heat, crops.tolist(), strict=True):
        down = _shares(box[1], box[3], size[1], y, height, weights.shape[0])
        across = _shares(box[0], box[2], size[0], x, width, weights.shape[1])
        np.maximum(found, down @ weights @ across.T, out=found)
    return found


def _shares(start: int, extent: int, n: int, first: float, length: float, cells: int) -> Array:
    """Return (n, cells) how much of each cell goes into each pixel of a panel; outside nothing.

    Args:
        start: first pixel of the image that the panel shows.
        extent: how many it shows.
        n: pixels of the panel.
        first: where the cells begin in the image.
        length: that they cover.
        cells: how many there are.
    """
    # The centre of the first pixel is 0.
    places = start - 0.5 + (np.arange(n) + 0.5) * extent / n
    at = (places - first) / length * cells
    within = (at >= 0) & (at <= cells)
    distance = np.abs(np.clip(at - 0.5, 0, cells - 1)[:, None] - np.arange(cells))
    return np.asarray(np.maximum(1 - distance, 0) * within[:, None])


def _draw_scale(figure: Figure, most: float, right: int, y: float, whole: Sequence[int]) -> None:
    """Draw the colours of the heat beside the name of a panel that ends at a pixel."""
    words = f"{100 * most:.2g} % a cell"
    figure.text(right / whole[0], y, words, fontsize=SMALL, color=MUTED, va="center", ha="right")
    length, height = 0.42 * DPI, 0.09 * DPI
    left = right - (text_width(words, SMALL) + 0.06) * DPI - length
    place = (left / whole[0], y - height / 2 / whole[1], length / whole[0], height / whole[1])
    axes = figure.add_axes(place)
    axes.set_axis_off()
    strip = np.linspace(0, 1, round(length))[None]
    pixels = np.round(255 * mpl.colormaps[_HEAT](strip)[..., :3]).astype(np.uint8)
    axes.imshow(pixels, aspect="auto", interpolation="nearest")
    at = (left - 0.04 * DPI) / whole[0]
    figure.text(at, y, "0", fontsize=SMALL, color=MUTED, va="center", ha="right")
