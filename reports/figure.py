"""Figures as papers print them: one style, the same bytes on every machine, for paper and screen.

Drawing happens inside `style`, which sets every parameter of matplotlib, so that neither a user's
matplotlibrc nor the locale plays a part; nothing here touches pyplot or chooses a backend.
"""

from __future__ import annotations

import base64
import functools
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import TextPath

from crowdbench.files import write_atomically
from crowdbench.markup import one_line
from reports.picture import jpeg

# Text and axes, secondary text, grid and paper; the page replaces them, and those of `STYLES`, by
# its own, which differ in light and dark.
INK, MUTED, GRID, PAPER = "#1d232b", "#5c6670", "#dde1e6", "#ffffff"
FONT_SIZE = 8.5  # points
SMALL = 7.5  # points
WIDTH = 5.6  # inches
DPI = 200  # of PNG files, and of pictures in SVG files
# Least and most pixels per inch of a figure on the page: its text stays readable, and is at most
# about as big as that of the page.
_SCREEN_PX = (80, 118)


class Style(NamedTuple):
    """How one of several runs or metrics is drawn: told apart by colour, and without it.

    Attributes:
        colour: hex, of the palette by Okabe and Ito, which colour-blind readers can tell apart.
        dash: of lines, as matplotlib's `linestyle`.
        marker: of points.
        hatch: of bars.
    """

    colour: str
    dash: str | tuple[float, tuple[float, ...]]
    marker: str
    hatch: str


# More runs than styles begin again with the first.
STYLES = (
    Style("#0072b2", "-", "o", ""),
    Style("#d55e00", (0, (5, 2)), "s", "///"),
    Style("#009e73", (0, (1.5, 1.5)), "^", ".."),
    Style("#cc79a7", (0, (6, 2, 1.5, 2)), "D", "\\\\\\"),
    Style("#e69f00", (0, (9, 2)), "v", "xx"),
    Style("#56b4e9", (0, (3, 1, 1, 1, 1, 1)), "P", "--"),
    Style("#3b3f8f", (0, (3, 3)), "X", "++"),
)

# What each colour is on the page.
_ON_PAGE = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--page)",
} | {style.colour: f"var(--series-{i})" for i, style in enumerate(STYLES, 1)}

_PARAMETERS = {
    name: value
    for name, value in mpl.rcParamsDefault.items()
    # What shows figures on a screen is for others to choose; we show none.
    if not name.startswith("backend")
} | {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.formatter.use_locale": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.labelsize": FONT_SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.dpi": DPI,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": FONT_SIZE,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "path.simplify": False,
    "svg.id": None,
    "text.color": INK,
    "text.parse_math": False,  # names from files may hold dollars
    "text.usetex": False,
    "xtick.color": INK,
    "xtick.labelsize": SMALL,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.color": INK,
    "ytick.labelsize": SMALL,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}


@contextmanager
def style() -> Iterator[None]:
    """Set our style, whatever is set elsewhere, for a ``with`` block or as a decorator."""
    with mpl.rc_context(_PARAMETERS):
        yield


def new_figure(
    heights: Sequence[float] = (2.4,),
    *,
    left: float = 0.62,
    right: float = 0.85,
    top: float = 0.15,
    bottom: float = 0.5,
    gap: float = 0.18,
    width: float = WIDTH,
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels from top to bottom, which share their x axis.

    All lengths are inches; margins are fixed, so that panels of several figures line up.

    Args:
        heights: of each panel.
        left: margin for the labels of the y axis.
        right: margin for `label_ends`.
        top: margin.
        bottom: margin for the labels of the x axis.
        gap: between two panels.
        width: of the figure.
    """
    with style():
        height = top + sum(heights) + gap * (len(heights) - 1) + bottom
        figure = Figure(figsize=(width, height))
        panels: list[Axes] = []
        y = height - top
        for panel_height in heights:
            y -= panel_height
            place = (left / width, y / height, (width - left - right) / width)
            panels.append(
                figure.add_axes(
                    (*place, panel_height / height), sharex=panels[0] if panels else None
                )
            )
            y -= gap
        for panel in panels[:-1]:
            panel.tick_params(labelbottom=False)
    return figure, panels


def save_figure(figure: Figure, base: Path, caption: str = "") -> None:
    """Write the figure as ``base.svg`` and ``base.png``, each whole or not at all.

    The same figure gives the same bytes. Letters of the SVG are outlines, so it needs no font.

    Args:
        figure: made by `new_figure`.
        base: path without an ending; dots in its name stay.
        caption: put into both files as their title.

    Raises:
        WriteError: if a file can't be written.
    """
    caption = one_line(caption)
    svg = _svg(figure, base.name, caption, letters="path")
    with style():
        png = io.BytesIO()
        FigureCanvasAgg(figure).print_png(  # type: ignore[no-untyped-call]
            png, metadata={"Title": caption, "Software": None}
        )
    write_atomically(base.with_name(f"{base.name}.svg"), lambda file: file.write(svg))
    write_atomically(base.with_name(f"{base.name}.png"), lambda file: file.write(png.getvalue()))


def svg_of(figure: Figure, name: str, label: str = "") -> str:
    """Return the figure as an ``<svg>`` element to stand in an HTML page.

    Text is text, in the font of the page; the background is transparent; colours are the page's
    ``currentColor``, ``--muted``, ``--grid``, ``--page`` and ``--series-1`` and so on.

    Args:
        figure: made by `new_figure`.
        name: makes the ids of the element's parts differ from those of other figures of the page;
            letters, digits, ``-``.
        label: what the figure shows, for those who can't see it.
    """
    root = ET.fromstring(_svg(figure, name, "", letters="none"))
    parents = {child: parent for parent in root.iter() for child in parent}
    for element in list(root.iter()):
        tag = element.tag.rpartition("}")[2]
        # matplotlib's own stylesheet would hold for the whole page.
        if tag in ("metadata", "style", "title") and element in parents:
            parents[element].remove(element)
            continue
        element.tag = tag
        element.attrib = {
            key.rpartition("}")[2]: _attribute_on_page(key.rpartition("}")[2], value, name)
            for key, value in element.attrib.items()
            # Equal pictures have equal ids, which nothing refers to.
            if (tag, key) != ("image", "id")
        }
    _drop_background(root)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    narrowest, widest = (px * figure.get_size_inches()[0] for px in _SCREEN_PX)
    root.attrib |= {
        "class": "figure",
        "role": "img",
        "aria-label": one_line(label),
        "style": f"min-width: {narrowest:.0f}px; max-width: {widest:.0f}px",
    }
    return ET.tostring(root, encoding="unicode")


def percent_limits(values: Iterable[float]) -> tuple[float, float]:
    """Return limits of an axis of percentages: tens around all values, 20 or more apart.

    >>> percent_limits([62.1, 66.0]), percent_limits([12.0, 99.0]), percent_limits([])
    ((50.0, 70.0), (0.0, 100.0), (0.0, 100.0))
    """
    shown = list(values)
    if not shown:
        return 0.0, 100.0
    low, high = 10 * math.floor(min(shown) / 10), 10 * math.ceil(max(shown) / 10)
    # A line that ends in the frame of the panel is hard to see.
    low, high = low - 10 * (min(shown) - low < 1), high + 10 * (high - max(shown) < 1)
    low -= 10 * (high - low < 20)
    if min(shown) >= 0 and low <= 20:  # so near that the whole is worth its place
        low = 0
    return float(low), float(min(high, max(100, *shown)))


def category_layout(labels: Sequence[str], width: float) -> tuple[int, float]:
    """Return the angle that labels below a panel need, and the margin below it in inches.

    Args:
        labels: of equally wide columns.
        width: of the panel in inches.
    """
    widest = max((text_width(label, SMALL) for label in labels), default=0.0)
    if widest + 0.08 <= width / max(len(labels), 1):
        return 0, 0.5
    angle = 40 if 0.25 * len(labels) <= width else 90
    return angle, 0.5 + math.sin(math.radians(angle)) * widest


def label_categories(axes: Axes, labels: Sequence[str], angle: int) -> None:
    """Label the columns 0, 1 ... of the lowest panel at an angle from `category_layout`."""
    axes.set_xticks(range(len(labels)), labels)
    if angle:
        for label in axes.get_xticklabels():
            label.set(
                rotation=angle,
                ha="right",
                va="center" if angle == 90 else "top",
                rotation_mode="anchor",
            )
    missing = max(3 - len(labels), 0) / 2  # fewer than three columns stand in the middle
    axes.set_xlim(-0.6 - missing, len(labels) - 0.4 + missing)


def label_ends(
    axes: Axes, ends: Sequence[tuple[float, float]], texts: Sequence[str], colours: Sequence[str]
) -> None:
    """Name lines in the margin to the right of the panel, each at the height of its end.

    Labels that would cover each other move apart. Call it when the limits of the axes are final.

    Args:
        axes: a panel of `new_figure`.
        ends: the last point of each line, in data coordinates.
        texts: the names.
        colours: of the names.
    """
    with style():
        height = axes.get_window_extent().height / axes.figure.dpi
        low, high = axes.get_ylim()
        wanted = [(y - low) / (high - low) for _, y in ends]
        for i, y in zip(
            range(len(ends)), _spread(wanted, 1.35 * FONT_SIZE / 72 / height), strict=True
        ):
            moved = abs(y - wanted[i]) > 0.02 or ends[i][0] < axes.get_xlim()[1]
            axes.annotate(
                plain_text(texts[i]),
                ends[i],
                (1.025, y),
                textcoords="axes fraction",
                va="center",
                color=colours[i],
                annotation_clip=False,
                arrowprops={
                    "arrowstyle": "-",
                    "color": MUTED,  # and dotted, so that nobody takes it for data
                    "linestyle": (0, (1, 2)),
                    "linewidth": 0.6,
                    "relpos": (0, 0.5),
                    "shrinkA": 1,
                    "shrinkB": 4,
                }
                if moved
                else None,
            )


def plain_text(text: str, most: int = 60) -> str:
    """Return text from a file as a figure can show it: one line, no missing letters, not too long.

    >>> plain_text("left\\neye"), plain_text("\\u4eba"), plain_text("abcdef", 4)
    ('left eye', '\\u25a1', 'ab\\u2026f')
    """
    shown = "".join(c if _font().get_char_index(ord(c)) else "\u25a1" for c in one_line(text))
    if len(shown) <= most:
        return shown
    # Long names of a kind often differ in their ends.
    tail = (most - 1) // 3
    return f"{shown[: most - 1 - tail]}\u2026{shown[len(shown) - tail :]}"


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """Return the width of a line of text in inches."""
    with style():
        box = TextPath((0, 0), text, size=size).get_extents()
    return float(max(box.x1, 0) / 72) if text.strip() else 0.0


def _spread(wanted: Sequence[float], distance: float) -> list[float]:
    """Return the values moved as little as needed to be `distance` apart and within 0 to 1.

    Of equal ones the first comes out highest.
    """

    def centre_of(members: Sequence[int]) -> float:
        centre, half = sum(wanted[m] for m in members) / len(members), (len(members) - 1) / 2
        return max(min(centre, 1 - half * distance), half * distance)

    groups: list[list[int]] = []  # ascending
    for i in sorted(range(len(wanted)), key=lambda i: (wanted[i], -i)):
        groups.append([i])
        while len(groups) > 1:
            lower, upper = groups[-2:]
            room = distance * (len(lower) + len(upper)) / 2
            if centre_of(upper) - centre_of(lower) >= room:
                break
            groups[-2:] = [lower + upper]
    places = [0.0] * len(wanted)
    for members in groups:
        for rank, i in enumerate(members):
            places[i] = centre_of(members) + (rank - (len(members) - 1) / 2) * distance
    return places


def _svg(figure: Figure, name: str, title: str, letters: str) -> bytes:
    metadata = {"Date": None, "Creator": None} | ({"Title": title} if title else {})
    svg = io.BytesIO()
    with style(), mpl.rc_context({"svg.fonttype": letters, "svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(svg, metadata=metadata)  # type: ignore[no-untyped-call]
    figure.dpi = DPI  # print_svg leaves 72 behind
    return _PNG.sub(_as_jpeg, svg.getvalue())


def _as_jpeg(png: re.Match[bytes]) -> bytes:
    """Return a picture's place in an SVG with a JPEG in it, which is much smaller."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(png[2]), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None  # matplotlib has just written it
    return png[1] + b"data:image/jpeg;base64," + base64.b64encode(jpeg(pixels, _QUALITY))


# What matplotlib writes a picture as; text can't look like it, as it has no "<".
_PNG = re.compile(rb"(<image [^<>]*)data:image/png;base64,\s*([A-Za-z0-9+/=]+)")
_QUALITY = 88  # of JPEG
_ID_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_FONT_FAMILY = re.compile(r"'DejaVu Sans'")


def _attribute_on_page(key: str, value: str, name: str) -> str:
    """Return the value of an SVG attribute with the page's colours and font, and unique ids."""
    if key == "id":
        return f"{name}-{value}"
    if key == "href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    value = _ID_REFERENCE.sub(rf"url(#{name}-\1)", value)
    if key in ("style", "fill", "stroke"):
        value = _COLOUR.sub(lambda match: _ON_PAGE.get(match[0], match[0]), value)
        value = _FONT_FAMILY.sub("var(--font)", value)
    return value


def _drop_background(root: ET.Element) -> None:
    """Remove the rectangles behind the figure and behind each panel."""
    for group in root.iter("g"):
        is_whole = group.get("id", "").rpartition("-")[2].startswith(("figure_", "axes_"))
        first = next(iter(group), None)
        if is_whole and first is not None and "patch_" in first.get("id", ""):
            group.remove(first)


@functools.cache
def _font() -> FT2Font:
    with style():
        return font_manager.get_font(font_manager.findfont("DejaVu Sans"))
