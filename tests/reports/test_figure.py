"""Figures: the same bytes whatever is set on the machine, and safe in a page."""

from __future__ import annotations

import locale
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from reports.figure import STYLES, label_ends, new_figure, save_figure, style, svg_of

ODD = '<b>$\\frac{1}$ & "quoted" ]]> 人 \x00'


def draw() -> Figure:
    figure, (upper, lower) = new_figure((1.0, 0.5))
    with style():
        upper.plot([0, 0.5, 1], [10, 20, 15.5], color=STYLES[0].colour, marker="o")
        lower.bar([0, 1], [1200, 3400], facecolor="white", edgecolor=STYLES[1].colour, hatch="//")
        label_ends(upper, [(1, 15.5)], [ODD], [STYLES[0].colour])
    return figure


def saved(folder: Path) -> dict[str, bytes]:
    save_figure(draw(), folder / "a.b", ODD)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_figure_has_the_same_bytes_whatever_the_users_settings_are(tmp_path: Path) -> None:
    first = saved(tmp_path / "first")
    assert set(first) == {"a.b.svg", "a.b.png"}
    page = svg_of(draw(), "x")
    settings = {
        "font.size": 30,
        "axes.grid": False,
        "savefig.bbox": "tight",
        "svg.fonttype": "none",
        "text.parse_math": True,
        "axes.formatter.use_locale": True,
        "figure.dpi": 50,
        "savefig.dpi": 50,
        "path.sketch": (1, 100, 2),
    }
    with mpl.rc_context(settings):
        assert saved(tmp_path / "second") == first
        assert svg_of(draw(), "x") == page
        assert {key: mpl.rcParams[key] for key in settings} == settings


def test_a_figure_has_the_same_bytes_in_every_locale(tmp_path: Path) -> None:
    first = saved(tmp_path / "first")
    before = locale.setlocale(locale.LC_ALL)
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", ""):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:  # not installed here
            continue
        try:
            assert saved(tmp_path / f"in {name}") == first
        finally:
            locale.setlocale(locale.LC_ALL, before)


def test_a_figure_can_be_saved_and_shown_in_any_order(tmp_path: Path) -> None:
    figure = draw()
    before = svg_of(figure, "x")
    save_figure(figure, tmp_path / "one")
    assert svg_of(figure, "x") == before
    save_figure(figure, tmp_path / "two" / "one")
    for suffix in ("svg", "png"):
        one, two = (tmp_path / place / f"one.{suffix}" for place in (".", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_files_say_nothing_of_the_time_or_the_program(tmp_path: Path) -> None:
    for content in saved(tmp_path).values():
        assert b"atplotlib v" not in content
        assert b"Date" not in content
        assert b"date" not in content


def test_texts_are_text_and_no_markup(tmp_path: Path) -> None:
    root = ET.fromstring(svg_of(draw(), "x", ODD))
    texts = [element.text for element in root.iter("text")]
    assert '<b>$\\frac{1}$ & "quoted" ]]> □' in texts
    assert root.get("aria-label") == '<b>$\\frac{1}$ & "quoted" ]]> 人'
    assert {element.tag for element in root.iter()} <= {
        *("svg", "defs", "g", "path", "use", "text", "clipPath", "rect", "pattern")
    }
    saved(tmp_path)
    ET.parse(tmp_path / "a.b.svg")


def test_two_figures_of_a_page_share_no_id_and_no_style(tmp_path: Path) -> None:
    pages = [svg_of(draw(), name) for name in ("first", "second")]
    ids = [{e.get("id") for e in ET.fromstring(page).iter()} - {None} for page in pages]
    assert not ids[0] & ids[1]
    for page, found in zip(pages, ids, strict=True):
        assert "<style" not in page
        references = {e.get("href", "#")[1:] for e in ET.fromstring(page).iter("use")}
        assert references <= found


def test_colours_of_the_page_are_the_pages_own() -> None:
    page = svg_of(draw(), "x")
    assert "currentColor" in page
    assert "var(--series-1)" in page
    assert "var(--grid)" in page
    assert "#1d232b" not in page
    assert "DejaVu" not in page


@pytest.mark.parametrize("field", ["colour", "dash", "marker", "hatch"])
def test_styles_differ_in_every_respect_so_that_grey_prints_can_be_read(field: str) -> None:
    assert len({getattr(drawn, field) for drawn in STYLES}) == len(STYLES)


def test_labels_at_the_ends_of_lines_do_not_cover_each_other() -> None:
    _, (axes,) = new_figure((2.0,))
    axes.set(xlim=(0, 1), ylim=(0, 100))
    ends = [(1.0, y) for y in (50.0, 51.0, 50.5, 90.0)]
    label_ends(axes, ends, list("abcd"), ["black"] * 4)
    heights = [text.xyann[1] for text in axes.texts]
    assert sorted(range(4), key=heights.__getitem__) == [0, 2, 1, 3]
    gaps = [b - a for a, b in zip(sorted(heights), sorted(heights)[1:], strict=False)]
    assert min(gaps) * 2.0 * 72 >= 8.5  # inches of the panel, points of the letters
    assert heights[3] == pytest.approx(0.9)


def test_labels_stay_beside_their_panel_and_of_equal_ends_the_first_is_highest() -> None:
    _, (axes,) = new_figure((2.0,))
    axes.set(xlim=(0, 1), ylim=(0, 100))
    label_ends(axes, [(1.0, 100.0)] * 3 + [(1.0, 0.0)] * 2, list("abcde"), ["black"] * 5)
    heights = [text.xyann[1] for text in axes.texts]
    assert heights == sorted(heights, reverse=True)
    assert (max(heights), min(heights)) == (1, 0)
