"""The report of a 3D run: what it has that 2D ones have not, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from msgspec import UNSET

from crowdbench.record import SCHEMA_VERSION, RunFolder
from crowdbench.results import WorstImages
from reports.content import read_content
from reports.markdown import markdown_page
from reports.run_page import html_page
from reports.writing import write_report
from tests.command import contents
from tests.reports.hostile import EVIL, Elements, with_hostile_texts
from tests.reports.records import make_run, make_worst, write_run
from tests.reports.records_3d import (
    NAMES,
    make_metric,
    make_metrics_3d,
    make_run_3d,
    make_worst_3d,
    write_run_3d,
)

_ONLY_3D = ("averages", "sequences", "joint-groups", "joints")
_ONLY_2D = ("keypoints",)


def page_of(folder: RunFolder) -> str:
    return html_page(read_content(folder))


def headlines(page: str) -> dict[str, str]:
    shown = re.findall(
        r'<dt>([^<]*)</dt>\n<dd class="value">([^<]*)(?:<span class="unit"> ([^<]*)</span>)?', page
    )
    return {name: f"{value} {unit}".strip() for name, value, unit in shown}


def test_the_page_has_the_sections_of_3d_and_none_of_2d(tmp_path: Path) -> None:
    page = page_of(write_run_3d(tmp_path))
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        *("Metrics", "Sequences", "Joints", "Conditions", "Published results"),
        *("Worst persons", "Provenance"),
    ]
    for absent in ("OKS", "recall", "keypoints-section", "Worst images", 'class="drawing'):
        assert absent not in page
    for plot in ("pck-curve", "joints", "worst-persons", "condition-distance"):
        assert f"plots/{plot}.svg" in page
    assert "226 matched" in page
    assert "share of the joints of all evaluated persons less than 150 mm off" in page


def test_headlines_have_their_units(tmp_path: Path) -> None:
    found = headlines(page_of(write_run_3d(tmp_path)))
    assert list(found) == [
        *("3DPCK_all", "3DPCK_matched", "AUC_all", "3DPCK_all_abs"),
        *("MPJPE_mm", "PA_MPJPE_rigid_mm"),
    ]
    assert found["3DPCK_all"] == "50.0 %"
    assert found["MPJPE_mm"] == f"{make_metric('MPJPE_mm').value:.1f} mm"


def test_a_run_that_has_only_an_mpjpe_is_headed_by_it(tmp_path: Path) -> None:
    metrics = {
        name: make_metric(name)
        if name == "MPJPE_mm"
        else msgspec.structs.replace(
            make_metric(name),
            value=None, averages=UNSET, by_sequence=UNSET, by_group=UNSET, by_joint=UNSET,
        )
        for name in NAMES
    }  # fmt: skip
    folder = write_run_3d(tmp_path, metrics=metrics)
    assert list(headlines(page_of(folder))) == ["MPJPE_mm"]
    assert [table.name for table in read_content(folder).tables if not table.cells] == []


def test_markdown_has_what_the_page_has(tmp_path: Path) -> None:
    content = read_content(write_run_3d(tmp_path))
    page = markdown_page(content)
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == [
        *("Protocol", "Averages", "Sequences", "Joints", "Conditions", "Published results"),
        *("Worst persons", "Provenance"),
    ]
    assert "![Worst persons](plots/worst-persons.png)" in page
    assert "In percent, those named _mm in millimetres, as printed" in page
    assert "the best 3DPCK_all first" in page
    assert "3DPCK_all_slope in points per unit" in page
    # Tables of many columns are behind a line to click on.
    (sequences,) = re.findall(r"## Sequences\n\n(.*?)\n", page)
    assert sequences.startswith("<details>")


def test_files_are_those_of_3d_and_go_when_the_run_becomes_a_2d_one(tmp_path: Path) -> None:
    folder = write_run_3d(tmp_path)
    write_report(folder)
    tables = {path.stem for path in (folder.report / "tables").iterdir()}
    assert {*_ONLY_3D, "metrics", "published", "robustness", "condition-distance"} == {
        *tables - {"condition-joint-visibility"}
    }
    plots = {path.stem for path in (folder.report / "plots").iterdir()}
    assert {"pck-curve", "joints", "worst-persons"} <= plots
    write_report(write_run(tmp_path, make_run(), worst=make_worst()))
    left = {path.stem for path in (folder.report / "tables").iterdir()}
    assert not left & set(_ONLY_3D)
    assert set(_ONLY_2D) <= left
    plots = {path.stem for path in (folder.report / "plots").iterdir()}
    assert not plots & {"pck-curve", "joints", "worst-persons"}


def test_equal_runs_have_equal_reports(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(write_run_3d(tmp_path / name))
    assert contents(tmp_path / "a" / "report") == contents(tmp_path / "b" / "report")


def test_tables_of_conditions_show_both_units(tmp_path: Path) -> None:
    content = read_content(write_run_3d(tmp_path))
    table = content.condition_tables["distance"]
    assert table.header == (
        *("distance of the root, m", "persons", "3DPCK_all", "3DPCK_matched", "MPJPE_mm"),
    )
    assert table.cells[0] == ("0 - 3", "100", "70.00", "80.00", "60.0")
    assert table.cells[1] == ("3 - 5", "0", "-¹", "-¹", "-¹")
    table.save(tmp_path)
    data = pd.read_csv(tmp_path / "condition-distance.csv")
    assert data.MPJPE_mm[0] == pytest.approx(60.0)


def test_without_matched_persons_the_section_says_so(tmp_path: Path) -> None:
    worst = WorstImages(SCHEMA_VERSION, (), None)
    page = page_of(write_run_3d(tmp_path, worst=worst))
    assert "None: no evaluated person has a pose." in page
    folder = write_run_3d(tmp_path)
    (folder.path / "worst_images.json").unlink()
    assert "Not recorded: this run folder has no" in page_of(folder)


def test_hostile_texts_bring_no_element_and_no_attribute_into_the_page(tmp_path: Path) -> None:
    run = make_run_3d("own-split", own=True)
    metrics = make_metrics_3d(run)
    benign = Elements(page_of(write_run_3d(tmp_path / "benign", run)))
    # Names of metrics as they are, so that everything about them is shown.
    kept = with_hostile_texts(metrics)
    assert kept.metrics
    named = {
        name: msgspec.structs.replace(
            metric,
            by_sequence={EVIL: 0.5},
            by_group={EVIL: 0.5},
            by_joint={EVIL: 0.5, f"{EVIL}2": None},
            reason=EVIL,
        )
        for name, metric in metrics.metrics.items()
    }
    kept = msgspec.structs.replace(kept, metrics=named)
    for i, found in enumerate((with_hostile_texts(metrics), kept)):
        folder = RunFolder(tmp_path / f"evil{i}")
        for record in (with_hostile_texts(run), found, with_hostile_texts(make_worst_3d())):
            folder.write(record)
        page = write_report(folder).read_text(encoding="utf-8")
        # There may be footnotes, which the benign page has not.
        footnotes = {("ul", ""), ("ul", "class"), ("li", "")}
        assert Elements(page).kinds <= benign.kinds | footnotes
        assert page.count("<script") == 1
        assert not set(page) & {"\x00", "\x1b", "\u202e"}
        for path in folder.report.rglob("*.svg"):
            content = path.read_text(encoding="utf-8")
            assert "<script" not in content
            assert EVIL not in content
