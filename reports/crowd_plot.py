"""Predicted poses over the pixels of crowded images: a strip that shows what a method does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from crowdbench.results import CrowdImages, DrawnImage, DrawnPerson
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from reports.figure import DPI, FONT_SIZE, MUTED, SMALL, style
from reports.picture import read_picture
from reports.plot import Plot

NAME, TITLE = "crowd", "Poses in crowds"
# Bright, and unlike skin, grass and asphalt; each line has a dark outline, so that it is seen on
# any ground. None is a colour that the page replaces by one of its own.
_COLOURS = (
    *("#ffb000", "#27c4ff", "#ff5fa2", "#74e36b", "#b79bff"),
    *("#ff7038", "#fff04d", "#2fe0c8", "#e08bff", "#9fd3ff"),
)
_TRUTH, _OUTLINE, _BLANK = "#fdfdfd", "#10141a", "#6b7078"
# Inches.
_WIDTH, _ROW, _TALLEST, _GAP, _LABEL, _KEY = 7.2, 2.1, 3.2, 0.07, 0.21, 0.27
_KEY_WIDTH = 3.4
# Around the persons, in parts of their extent.
_MARGIN = 0.1
# Least and most width over height of what is cut out of an image where the image has room, and the
# most, either way, where it has not.
_ASPECTS, _SLIMMEST = (0.72, 1.5), 4.0
# Points are drawn at most so many panels away: what is further is not seen anyway.
_FARTHEST = 3.0
# Points by which an outline is thicker than its line, and how thick annotated limbs are beside
# predicted ones.
_RIM, _THIN = 0.9, 0.5

Box = tuple[int, int, int, int]


class _Cut(NamedTuple):
    """What is shown of an image.

    Attributes:
        image: the record it is made from.
        box: left, top, width and height in pixels of the image, all integers.
        pixels: (H, W, 3) uint8 BGR of it; None if there are none.
    """

    image: DrawnImage
    box: Box
    pixels: Array | None


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
    cuts = [_cut(image, folder) for image in crowd.images]
    places, (width, height) = _layout([cut.box[2] / cut.box[3] for cut in cuts])
    figure = Figure(figsize=(width / DPI, height / DPI))
    for letter, cut, (left, top, w, h) in zip(ascii_lowercase, cuts, places, strict=False):
        axes = figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))
        _draw(axes, cut, skeleton, (w, h))
        below = 1 - (top + h + 0.13 * DPI) / height
        figure.text(left / width, below, letter, fontsize=FONT_SIZE, weight="bold", va="center")
        words = f"OKS {cut.image.mean_oks:.2f}"
        at = (left + 0.13 * DPI) / width
        figure.text(at, below, words, fontsize=SMALL, va="center")
    _draw_key(figure, width / DPI, height / DPI)
    return Plot(NAME, TITLE, crowd_caption(crowd), figure)


def _cut(image: DrawnImage, folder: Path | None) -> _Cut:
    picture = read_picture(image, folder)
    # A picture of another size is not what was annotated.
    pixels = None if picture.remark else picture.pixels
    size = picture.size if pixels is not None else image.size
    box = _box(image, size)
    if pixels is not None:
        left, top, width, height = box
        pixels = pixels[top : top + height, left : left + width]
    return _Cut(image, box, pixels)


def _evaluated(image: DrawnImage) -> list[DrawnPerson]:
    return [person for person in image.persons if person.is_evaluated]


def _box(image: DrawnImage, size: tuple[int, int]) -> Box:
    """Return what to show of an image of a size: the evaluated persons with some room."""
    points = []
    for person in _evaluated(image):
        x, y, width, height = person.box
        points += [(x, y), (x + width, y + height)]
        points += [(x, y) for x, y, visible in person.keypoints if visible]
    known = 0 not in size
    limits = np.array(size, float) if known else np.full(2, 1e6)
    low, high = np.clip((np.min(points, 0), np.max(points, 0)), 0 if known else -limits, limits)
    extent = np.maximum(high - low, 8)
    extent += 2 * _MARGIN * extent.max()
    least, most = _ASPECTS
    extent = np.maximum(extent, (least * extent[1], extent[0] / most))
    if known:
        extent = np.minimum(extent, limits)
        extent = np.minimum(extent, _SLIMMEST * extent[::-1])
    start = (low + high - extent) / 2
    if known:
        start = np.clip(start, 0, limits - extent)
    left, top = np.floor(start).astype(int).tolist()
    right, bottom = np.ceil(start + extent).astype(int).tolist()
    return left, top, right - left, bottom - top


def _layout(aspects: Sequence[float]) -> tuple[list[Box], tuple[int, int]]:
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
    places: list[Box] = []
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


def _draw(axes: Axes, cut: _Cut, skeleton: Skeleton, size: tuple[int, int]) -> None:
    """Draw an image and what is on it into a panel of a size in pixels."""
    import cv2

    left, top, width, height = cut.box
    # The centre of the first pixel is (0, 0).
    edges = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if cut.pixels is not None:
        shrinks = size[0] < width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        pixels = cv2.cvtColor(cv2.resize(cut.pixels, size, interpolation=how), cv2.COLOR_BGR2RGB)
        # It has the panel's pixels already.
        axes.imshow(pixels, extent=edges, aspect="auto", interpolation="nearest")
    else:
        # Not as the background of the panel, which figures lose on the page.
        field = Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor=_BLANK, linewidth=0)
        axes.add_patch(field)
        look: dict[str, Any] = {"color": _TRUTH, "fontsize": SMALL, "va": "top"}
        axes.annotate("no picture", (0, 1), (4, -4), "axes fraction", "offset points", **look)
    axes.set(xlim=edges[:2], ylim=edges[2:])
    persons = _evaluated(cut.image)
    # Lines are as thick as the persons are large.
    areas = [max(w, 0) * max(h, 0) for _, _, w, h in (person.box for person in persons)]
    inches = float(np.sqrt(np.median(areas))) * size[0] / width / DPI
    thickness = float(np.clip(1.4 * inches, 0.8, 1.8))
    for person in persons:
        points = [(x, y) if visible else None for x, y, visible in person.keypoints]
        _draw_lines(axes, _lines(points, skeleton, cut.box), _TRUTH, _THIN * thickness)
    poses = cut.image.poses[: len(persons)]
    # The best is drawn last.
    for i in reversed(range(len(poses))):
        colour = _COLOURS[i % len(_COLOURS)]
        joints = poses[i].keypoints
        _draw_lines(axes, _lines(joints, skeleton, cut.box), colour, thickness)
        axes.plot(
            *_inside(joints, cut.box).T,
            linestyle="none",
            marker="o",
            markersize=1 + 1.2 * thickness,
            markerfacecolor=colour,
            markeredgecolor=_OUTLINE,
            markeredgewidth=0.45,
        )


def _lines(
    points: Sequence[tuple[float, float] | None], skeleton: Skeleton, box: Box
) -> tuple[Array, Array]:
    """Return x and y of the limbs between points that are there, with NaN after each limb."""
    pairs = [(points[a], points[b]) for a, b in skeleton.limbs if max(a, b) < len(points)]
    ends = [point for a, b in pairs if a is not None and b is not None for point in (a, b)]
    lines = np.full((len(ends) // 2, 3, 2), np.nan)
    lines[:, :2] = _inside(ends, box).reshape(-1, 2, 2)
    x, y = lines.reshape(-1, 2).T
    return x, y


def _inside(points: Sequence[tuple[float, float]], box: Box) -> Array:
    """Return the points (N, 2), brought near if they are far outside of what is shown."""
    start, extent = np.array(box[:2], float), np.array(box[2:], float)
    found = np.reshape(np.array(points, float), (-1, 2))
    clipped: Array = np.clip(found, start - _FARTHEST * extent, start + (1 + _FARTHEST) * extent)
    return clipped


def _draw_lines(axes: Axes, lines: tuple[Array, Array], colour: str, thickness: float) -> None:
    for line_colour, width in ((_OUTLINE, thickness + _RIM), (colour, thickness)):
        axes.plot(*lines, color=line_colour, linewidth=width, solid_capstyle="round")


def _draw_key(figure: Figure, width: float, height: float) -> None:
    """Say below the panels which lines are predicted and which annotated; lengths in inches."""
    y, length = 0.1 / height, 0.26
    for left, words, colours, thickness in (
        (0.04, "predicted, each pose in a colour", _COLOURS[:3], 1.6),
        (2.2, "annotated", (_TRUTH,), 1.6 * _THIN),
    ):
        edges = np.linspace(left, left + length, len(colours) + 1) / width
        line = Line2D((edges[0], edges[-1]), (y, y), color=_OUTLINE, linewidth=thickness + _RIM)
        figure.add_artist(line)
        for colour, ends in zip(colours, itertools.pairwise(edges), strict=True):
            line = Line2D(ends, (y, y), color=colour, linewidth=thickness, solid_capstyle="butt")
            figure.add_artist(line)
        place = (left + length + 0.08) / width
        figure.text(place, y, words, fontsize=SMALL, color=MUTED, va="center")
