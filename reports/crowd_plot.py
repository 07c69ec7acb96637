"""Predicted poses over the pixels of crowded images: a strip that shows what a method does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from crowdbench.drawn_2d import CrowdImages, DrawnImage, DrawnPerson
from crowdbench.skeletons import Skeleton
from reports.figure import DPI, FONT_SIZE, MUTED, SMALL, style
from reports.photo_panel import (
    OUTLINE,
    RIM,
    WHITE,
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

NAME, TITLE = "crowd", "Poses in crowds"
# Bright, and unlike skin, grass and asphalt. None is a colour that the page replaces by one of its
# own.
_COLOURS = (
    *("#ffb000", "#27c4ff", "#ff5fa2", "#74e36b", "#b79bff"),
    *("#ff7038", "#fff04d", "#2fe0c8", "#e08bff", "#9fd3ff"),
)
# Inches.
_WIDTH, _ROW, _TALLEST, _GAP, _LABEL, _KEY = 7.2, 2.1, 3.2, 0.07, 0.21, 0.27
_KEY_WIDTH = 3.4
# How thick annotated limbs are beside predicted ones.
_THIN = 0.5

Place = tuple[int, int, int, int]


class _Shown(NamedTuple):
    """An image and what is shown of it."""

    image: DrawnImage
    cut: Cut


def crowd_caption(crowd: CrowdImages) -> str:
    """Return which images are shown, how they were chosen, and what is drawn on them."""
    images = crowd.images
    if crowd.n_overlapping == 1:
        chosen = "The image is the only one in which evaluated persons overlap. It"
    else:
        some = "" if len(images) == crowd.n_crowded else f"{len(images)} at equal steps among "
        chosen = (
            f"The images are {some}the {crowd.n_crowded:,} most crowded of "
            f"{crowd.n_overlapping:,} images in which evaluated persons overlap, the most crowded "
            "first; annotations alone decide which, so all methods are shown on the same. Crowded: "
            "by the mean, over the persons, of the highest IoU with the box of another (here at "
            f"least {crowd.least_overlap:.2f}). Each"
        )
    which = ", ".join(
        f"{letter}: image {image.image_id}"
        for letter, image in zip(ascii_lowercase, images, strict=False)
    )
    return (
        f"{chosen} is cut to its evaluated persons; with N of them, the N poses with the highest "
        "scores are drawn. OKS: mean over the persons of the best that any pose reaches with each; "
        f"over all {crowd.n_crowded:,} images its mean is {crowd.mean_oks:.2f}. {which}."
    )


@style()
def crowd_plot(crowd: CrowdImages, skeleton: Skeleton, folder: Path | None) -> Plot:
    """Return the strip.

    Args:
        crowd: one or more images.
        skeleton: says which joints a line connects.
        folder: of the image files; None if it is not known.
    """
    shown = [_shown(image, folder) for image in crowd.images]
    places, (width, height) = _layout([cut.box[2] / cut.box[3] for _, cut in shown])
    figure = Figure(figsize=(width / DPI, height / DPI))
    for letter, one, (left, top, w, h) in zip(ascii_lowercase, shown, places, strict=False):
        axes = figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))
        _draw(axes, one, skeleton, (w, h))
        below = 1 - (top + h + 0.13 * DPI) / height
        figure.text(left / width, below, letter, fontsize=FONT_SIZE, weight="bold", va="center")
        words = f"OKS {one.image.mean_oks:.2f}"
        at = (left + 0.13 * DPI) / width
        figure.text(at, below, words, fontsize=SMALL, va="center")
    _draw_key(figure, width / DPI, height / DPI)
    return Plot(NAME, TITLE, crowd_caption(crowd), figure)


def _shown(image: DrawnImage, folder: Path | None) -> _Shown:
    """Return the image with the evaluated persons and some room."""
    points: list[tuple[float, float]] = []
    for person in _evaluated(image):
        x, y, width, height = person.box
        points += [(x, y), (x + width, y + height)]
        points += [(x, y) for x, y, visible in person.keypoints if visible]
    return _Shown(image, cut_around(np.array(points), read_picture(image, folder), image.size))


def _evaluated(image: DrawnImage) -> list[DrawnPerson]:
    return [person for person in image.persons if person.is_evaluated]


def _layout(aspects: Sequence[float]) -> tuple[list[Place], tuple[int, int]]:
    """Return the places of panels in rows of equal width, and the size of the figure, in pixels.

    Args:
        aspects: width over height of each panel, in their order.
    """
    n = len(aspects)
    gap, label, full = (round(DPI * length) for length in (_GAP, _LABEL, _WIDTH))

    def heights(rows: Sequence[Sequence[float]]) -> list[float]:
        return [(full - gap * (len(row) - 1)) / sum(row) for row in rows]

    def spread(rows: Sequence[Sequence[float]]) -> float:
        found = heights(rows)
        return max(found) / min(found)

    n_rows = min(max(round(sum(aspects) * _ROW / _WIDTH), 1), n)
    ways = (
        [aspects[a:b] for a, b in itertools.pairwise((0, *breaks, n))]
        for breaks in itertools.combinations(range(1, n), n_rows - 1)
    )
    rows = min(ways, key=spread)
    places: list[Place] = []
    top = widest = 0
    for row, filling in zip(rows, heights(rows), strict=True):
        height = min(filling, DPI * _TALLEST)
        edges = [round(height * sum(row[:i])) + gap * i for i in range(len(row) + 1)]
        places += [
            (left, top, right - gap - left, round(height))
            for left, right in itertools.pairwise(edges)
        ]
        widest = max(widest, edges[-1] - gap)
        top += round(height) + label
    return places, (max(widest, round(DPI * _KEY_WIDTH)), top + round(DPI * _KEY))


def _draw(axes: Axes, shown: _Shown, skeleton: Skeleton, size: tuple[int, int]) -> None:
    """Draw an image and what is on it into a panel of a size in pixels."""
    image, (box, pixels) = shown
    show_pixels(axes, box, None if pixels is None else resized(pixels, size))
    persons = _evaluated(image)
    # Lines are as thick as the persons are large.
    areas = [max(w, 0) * max(h, 0) for _, _, w, h in (person.box for person in persons)]
    inches = float(np.sqrt(np.median(areas))) * size[0] / box[2] / DPI
    thickness = float(np.clip(1.4 * inches, 0.8, 1.8))
    for person in persons:
        points = [(x, y) if visible else None for x, y, visible in person.keypoints]
        draw_limbs(axes, limbs(points, skeleton, box), WHITE, _THIN * thickness)
    poses = image.poses[: len(persons)]
    # The best is drawn last.
    for i in reversed(range(len(poses))):
        colour = _COLOURS[i % len(_COLOURS)]
        joints = poses[i].keypoints
        draw_limbs(axes, limbs(joints, skeleton, box), colour, thickness)
        draw_joints(axes, brought_near(joints, box), colour, thickness)


def _draw_key(figure: Figure, width: float, height: float) -> None:
    """Say below the panels which lines are predicted and which annotated; lengths in inches."""
    y, length = 0.1 / height, 0.26
    for left, words, colours, thickness in (
        (0.04, "predicted, each pose in a colour", _COLOURS[:3], 1.6),
        (2.2, "annotated", (WHITE,), 1.6 * _THIN),
    ):
        edges = np.linspace(left, left + length, len(colours) + 1) / width
        line = Line2D((edges[0], edges[-1]), (y, y), color=OUTLINE, linewidth=thickness + RIM)
        figure.add_artist(line)
        for colour, ends in zip(colours, itertools.pairwise(edges), strict=True):
            line = Line2D(ends, (y, y), color=colour, linewidth=thickness, solid_capstyle="butt")
            figure.add_artist(line)
        place = (left + length + 0.08) / width
        figure.text(place, y, words, fontsize=SMALL, color=MUTED, va="center")
