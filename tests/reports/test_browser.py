"""The page in a browser: no error, no request, sorting, dark mode, paper, narrow windows."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crowdbench.results import KeypointMetrics, Metric, SkippedImage
from reports.writing import write_report
from tests.reports.hostile import EVIL, with_hostile_texts
from tests.reports.records import (
    MIPNET,
    make_crowd,
    make_facts,
    make_metrics,
    make_network_run,
    make_row,
    make_run,
    make_worst,
    write_environment,
    write_picture,
    write_run,
)
from tests.reports.records_3d import write_run_3d

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_NAMES = ("chromium", "google-chrome")
_LONG = "a_name_that_goes_on_and_on_and_does_not_end_where_a_name_should_"


def absent(what: str) -> None:
    """Skip the test, or fail where everything has to be there."""
    if os.environ.get("CROWDBENCH_REQUIRE_REFERENCE") == "1":
        pytest.fail(f"{what} is required here and absent")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("the Python package playwright")
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        absent("Chromium (on Debian: the package chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages: a usual one, of 3D poses, of very many and very long things, of hostile texts."""
    root = tmp_path_factory.mktemp("pages")
    run = make_run("ochuman-test", images=2231, notes=("12 poses are of other categories",))
    network = make_network_run(
        msgspec.structs.replace(MIPNET, backbone=_LONG, input_size=_LONG, paper=_LONG * 3),
        weights=_LONG * 3,
    )
    write_picture(root / "images" / "val" / "a.jpg", 160, 120)
    usual = write_run(root / "usual", run, worst=make_worst(crowd=make_crowd(6)))
    write_environment(usual, root / "images")
    names = [f"{_LONG}{i}" for i in range(133)]
    wide = write_run(
        root / "wide",
        msgspec.structs.replace(network, notes=(_LONG * 9,)),
        worst=make_worst(_LONG * 4 + ".jpg"),
        keypoints=tuple(KeypointMetrics(name, 9, 9, 0.5, 0.5) for name in names),
        conditions={"x": tuple(make_row(f"{_LONG}{i}", 0.5 - i / 50) for i in range(20))},
        condition_facts={
            "x": msgspec.structs.replace(make_facts()["person-iou"], axis=_LONG * 3, rule=_LONG * 5)
        },
        robustness={"x": {name: Metric(0.5, 1, True, None) for name in names[:9]}},
        metrics={name: Metric(0.5, 1, True, _LONG * 3) for name in names[:9]},
        skipped_images=tuple(SkippedImage(i, _LONG * 3) for i in range(133)),
    )
    hostile = write_run(root / "hostile", run)
    for record in (run, make_metrics(run), make_worst(crowd=make_crowd(6))):
        hostile.write(with_hostile_texts(record))
    space = write_run_3d(root / "3d")
    return {f.path.name: write_report(f) for f in (usual, space, wide, hostile)}


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """Return the page and what went wrong with it so far and later."""
    page = browser.new_page(**options)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith("data:") or request.url.split("#")[0] == path.as_uri()
            else problems.append(f"request: {request.url}")
        ),
    )
    page.goto(path.as_uri())
    return page, problems


def contrast(first: str, second: str) -> float:
    """Return the contrast of two CSS colours as WCAG 2 defines it, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["usual", "3d", "wide", "hostile"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_page_opens_without_error_or_request_and_fits_the_window(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    page, problems = opened(browser, pages[name], viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.body.scrollWidth") <= width
    assert problems == []
    page.close()


def test_hostile_texts_are_shown_and_nothing_else(browser: Any, pages: dict[str, Path]) -> None:
    page, problems = opened(browser, pages["hostile"])
    visible = " ".join("".join(c if c.isprintable() else " " for c in EVIL).split())
    assert page.locator("h1").inner_text() == f"{visible} on {visible}"
    assert page.locator("script").count() == 1
    assert page.locator("img").count() == 0
    assert page.evaluate("getComputedStyle(document.querySelector('main')).display") == "block"
    assert problems == []
    page.close()


def test_a_click_on_a_heading_sorts_and_another_one_sorts_the_other_way(
    browser: Any, pages: dict[str, Path]
) -> None:
    page, problems = opened(browser, pages["usual"])
    table = page.locator("#metrics table")
    heading = table.locator("th", has_text="%")

    def column(n: int) -> list[str]:
        return [
            row.locator("th, td").nth(n).inner_text() for row in table.locator("tbody tr").all()
        ]

    assert column(1) == ["49.58", "30.00", "0.00", "33.33", "-"]
    assert heading.get_attribute("aria-sort") == "none"
    heading.locator("button").click()
    assert column(1) == ["0.00", "30.00", "33.33", "49.58", "-"]
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    assert column(1) == ["49.58", "33.33", "30.00", "0.00", "-"]
    assert heading.get_attribute("aria-sort") == "descending"
    # By keyboard, and by text.
    button = table.locator("th", has_text="metric").locator("button")
    button.focus()
    page.keyboard.press("Enter")
    assert column(0) == ["AP", "AP_easy", "AP_hard", "AP50", "AP75"]
    assert heading.get_attribute("aria-sort") == "none"
    assert problems == []
    page.close()


def test_rows_of_a_condition_are_sorted_by_their_values_and_not_by_their_labels(
    browser: Any, pages: dict[str, Path]
) -> None:
    page, _ = opened(browser, pages["usual"])
    table = page.locator("#condition-person-iou-section table")
    button = table.locator("thead button").first
    for order in (1, -1):
        button.click()
        labels = table.locator("tbody th").all_inner_texts()
        expected = ["0 - 0.1", "0.1 - 0.3", "0.3 - 0.5", "0.5 - 0.7", "0.7 - 0.9", "0.9 and more"]
        assert labels == expected[::order]
    page.close()


@pytest.mark.parametrize("name", ["usual", "3d"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_plots_can_be_read_in_light_and_dark(
    browser: Any, pages: dict[str, Path], scheme: str, name: str
) -> None:
    page, _ = opened(browser, pages[name], color_scheme=scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (contrast(background, "rgb(255, 255, 255)") > 10) == (scheme == "dark")
    for place in ("body", ".legend", "figcaption", "nav a", "summary", "td", ".remark", "dt"):
        colour = page.locator(place).first.evaluate("e => getComputedStyle(e).color")
        assert contrast(colour, background) >= 4.5, place
    panel = page.evaluate("getComputedStyle(document.querySelector('.signature')).backgroundColor")
    ink = page.evaluate("getComputedStyle(document.querySelector('.signature')).color")
    assert contrast(ink, panel) >= 4.5
    fills = page.locator("svg.figure:not(#crowd-section *) text").evaluate_all(
        "all => all.map(e => getComputedStyle(e).fill)"
    )
    assert len(fills) > 50
    # Names of lines have the colours of the lines, which graphics may have at 3 to 1.
    assert min(contrast(fill, background) for fill in fills) >= 3
    strokes = page.locator("svg.figure:not(#crowd-section *) path").evaluate_all(
        "all => all.filter(e => e.closest('[id*=line2d]') && !e.closest('defs'))"
        ".filter(e => !e.getAttribute('style').includes('--grid'))"
        ".map(e => getComputedStyle(e).stroke)"
    )
    assert strokes
    assert min(contrast(stroke, background) for stroke in strokes) >= 3
    page.close()


def test_paper_shows_what_is_folded_and_no_navigation(browser: Any, pages: dict[str, Path]) -> None:
    page, problems = opened(browser, pages["usual"], color_scheme="dark")
    rows = page.locator("#published tbody tr")
    assert not rows.last.is_visible()
    page.emulate_media(media="print")
    assert rows.last.bounding_box()["height"] > 5
    assert not page.locator("nav").is_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF")
    assert problems == []
    page.close()


def test_annotated_and_predicted_poses_can_be_hidden(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["usual"])
    for box, layer in (("#show-truth", ".persons"), ("#show-poses", ".poses")):
        assert page.locator(f"#worst {layer}").first.is_visible()
        page.locator(box).uncheck()
        assert not page.locator(f"#worst {layer}").first.is_visible()
        page.locator(box).check()
        assert page.locator(f"#worst {layer}").first.is_visible()
    page.close()


def test_wide_tables_scroll_in_the_window_and_fold_on_paper(
    browser: Any, pages: dict[str, Path]
) -> None:
    page, _ = opened(browser, pages["3d"], viewport={"width": 700, "height": 800})
    table = page.locator("#sequences .scroll")
    assert table.evaluate("e => e.scrollWidth > e.clientWidth")
    row = page.locator("#sequences tbody tr", has_text="3DMPPE").first
    assert row.bounding_box()["height"] < 40
    page.emulate_media(media="print")
    widths = page.locator("#sequences table").evaluate(
        "e => [e.getBoundingClientRect().width, e.closest('section').clientWidth]"
    )
    assert widths[0] <= widths[1]
    page.close()
