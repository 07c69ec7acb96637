"""Panels of a figure that show a part of an image, with poses drawn on its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from reports.figure import SMALL
from reports.picture import Picture

# Around what is drawn there is a dark rim, so that it is seen on any ground. None is a colour that
# the page replaces by one of its own.
OUTLINE, WHITE, _BLANK = "#10141a", "#fdfdfd", "#6b7078"
# Points by which an outline is thicker than its line.
RIM = 0.9
# Around the points that have to be seen, in parts of their extent.
_MARGIN = 0.1
# Least and most width over height of what is cut out of an image where the image has room, and the
# most, either way, where it has not.
_ASPECTS, _SLIMMEST = (0.72, 1.5), 4.0
# Points are drawn at most so many panels away: what is further is not seen anyway.
_FARTHEST = 3.0

Box = tuple[int, int, int, int]


class Cut(NamedTuple):
    """What is shown of an image.

    Attributes:
        box: left, top, width and height in pixels of the image, all integers.
        pixels: (H, W, 3) uint8 BGR of it; None if there are none.
    """

    box: Box
    pixels: Array | None


def cut_around(points: Array, picture: Picture, annotated: tuple[int, int]) -> Cut:
    """Return the part of an image that shows all of some points with some room around.

    Args:
        points: (N, 2) pixels, at least one.
        picture: of the image.
        annotated: width and height as the annotations have them; 0 where they do not.
    """
    # A picture of another size is not what was annotated.
    pixels = None if picture.remark else picture.pixels
    box = _box_around(points, picture.size if pixels is not None else annotated)
    if pixels is not None:
        left, top, width, height = box
        pixels = pixels[top : top + height, left : left + width]
    return Cut(box, pixels)


def _box_around(points: Array, size: tuple[int, int]) -> Box:
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


def resized(pixels: Array, size: tuple[int, int]) -> Array:
    """Return the pixels in another width and height."""
    import cv2

    how = cv2.INTER_AREA if size[0] < pixels.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(pixels, size, interpolation=how)


def show_pixels(axes: Axes, box: Box, pixels: Array | None) -> None:
    """Fill a panel with a part of an image, or with a blank field; its axes are image pixels.

    Args:
        axes: the panel.
        box: the part.
        pixels: (h, w, 3) uint8 BGR, as many as the panel has; None if there are none.
    """
    left, top, width, height = box
    # The centre of the first pixel is (0, 0).
    edges = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if pixels is not None:
        axes.imshow(pixels[..., ::-1], extent=edges, aspect="auto", interpolation="nearest")
    else:
        # Not as the background of the panel, which figures lose on the page.
        field = Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor=_BLANK, linewidth=0)
        axes.add_patch(field)
        look: dict[str, Any] = {"color": WHITE, "fontsize": SMALL, "va": "top"}
        axes.annotate("no picture", (0, 1), (4, -4), "axes fraction", "offset points", **look)
    axes.set(xlim=edges[:2], ylim=edges[2:])


def limbs(
    points: Sequence[tuple[float, float] | None], skeleton: Skeleton, box: Box
) -> tuple[Array, Array]:
    """Return x and y of the limbs between points that are there, with NaN after each limb."""
    pairs = [(points[a], points[b]) for a, b in skeleton.limbs if max(a, b) < len(points)]
    ends = [point for a, b in pairs if a is not None and b is not None for point in (a, b)]
    lines = np.full((len(ends) // 2, 3, 2), np.nan)
    lines[:, :2] = brought_near(ends, box).reshape(-1, 2, 2)
    x, y = lines.reshape(-1, 2).T
    return x, y


def brought_near(points: Sequence[tuple[float, float]] | Array, box: Box) -> Array:
    """Return the points (N, 2), brought near if they are far outside of what is shown."""
    start, extent = np.array(box[:2], float), np.array(box[2:], float)
    found = np.reshape(np.array(points, float), (-1, 2))
    clipped: Array = np.clip(found, start - _FARTHEST * extent, start + (1 + _FARTHEST) * extent)
    return clipped


def draw_limbs(axes: Axes, lines: tuple[Array, Array], colour: str, thickness: float) -> None:
    """Draw what `limbs` returned, with a rim."""
    for line_colour, width in ((OUTLINE, thickness + RIM), (colour, thickness)):
        axes.plot(*lines, color=line_colour, linewidth=width, solid_capstyle="round")


def draw_joints(axes: Axes, points: Array, colour: str, thickness: float) -> None:
    """Draw a dot at each of (K, 2) points, to go with limbs of that thickness."""
    axes.plot(
        *points.T,
        linestyle="none",
        marker="o",
        markersize=1 + 1.2 * thickness,
        markerfacecolor=colour,
        markeredgecolor=OUTLINE,
        markeredgewidth=0.45,
    )
