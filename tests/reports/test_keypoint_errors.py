"""What is wrong with keypoints, as reports and comparisons show it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from msgspec.structs import replace

from crowdbench.metrics.keypoint_errors import LABELS
from crowdbench.record import RunFolder
from crowdbench.results import ErrorCounts, KeypointErrors, Metrics
from reports.content import read_content
from reports.keypoint_errors import compared_errors_table, errors_table, headline, overlap_table
from reports.markdown import markdown_page
from reports.run_page import html_page
from reports.side_by_side import compare_runs
from reports.side_by_side_record import Comparison
from reports.side_by_side_tables import print_comparison
from reports.side_by_side_writing import write_comparison
from reports.writing import write_report
from tests.reports.records import make_errors, make_metrics, make_run, write_run

HEADLINE = "150 of 4,000 keypoints (3.8 %) were given to the wrong person."
NOBODY = "no evaluated person was matched at OKS 0.10"
NOTHING = replace(
    make_errors(),
    n_persons=0,
    keypoints=(ErrorCounts("nose", 0, 0, 0, 0, 0),),
    by_overlap=(ErrorCounts("0 - 1", 0, 0, 0, 0, 0),),
    reason=NOBODY,
)
SECRET = KeypointErrors("closest", 0.1, 0, None, (), "the ground truth is not public")

# Nothing that has plots, which take time.
PLAIN: dict[str, Any] = {
    "conditions": {},
    "condition_facts": {},
    "robustness": {},
    "curves": (),
    "oks_histogram": None,
    "keypoints": (),
}


def metrics_with(errors: KeypointErrors | None) -> Metrics:
    return replace(make_metrics(make_run()), keypoint_errors=errors)


def section(page: str) -> str:
    found = re.search(r'<section id="keypoint-errors">(.*?)</section>', page, re.DOTALL)
    assert found is not None
    return found[1]


def compared(folder: Path, *errors: KeypointErrors | None) -> Comparison:
    """Return runs a, b ... with these errors side by side."""
    names = "abcdef"[: len(errors)]
    for name, found in zip(names, errors, strict=True):
        write_run(folder / name, make_run(), keypoint_errors=found, **PLAIN)
    return compare_runs([folder / name for name in names])


def test_the_table_has_the_share_of_every_label_by_keypoint_and_of_all() -> None:
    table = errors_table(metrics_with(make_errors()))
    assert table.header == (
        *("keypoint", "good %", "jitter %", "inversion %", "swap %", "miss %", "keypoints"),
    )
    assert table.cells == (
        ("left_shoulder", "66.67", "23.33", "3.00", "3.67", "3.33", "3,000"),
        ("neck", "80.00", "10.00", "0.00", "4.00", "6.00", "1,000"),
        ("left_ankle", "-", "-", "-", "-", "-", "0"),
        (
            *("all keypoints", "70.00 (2,800)", "20.00 (800)", "2.25 (90)", "3.75 (150)"),
            *("4.00 (160)", "4,000"),
        ),
    )
    assert table.bold == {3}
    keys = table.sort_keys()
    assert keys[0] == [None, 2 / 3, 7 / 30, 0.03, 110 / 3000, 1 / 30, 3000.0]
    assert keys[2] == [None] * 6 + [0.0]


def test_the_csv_has_the_counts_and_the_shares_in_full(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(), **PLAIN)
    write_report(folder)
    for name, first, rows in (
        ("keypoint-errors", "keypoint", [*(make_errors().keypoints or ()), make_errors().total]),
        ("keypoint-errors-by-overlap", "highest_iou", make_errors().by_overlap),
    ):
        read = pd.read_csv(folder.report / f"tables/{name}.csv")
        assert list(read[first]) == [row.name for row in rows]
        for label in LABELS:
            counts = [getattr(row, label) for row in rows]
            assert list(read[label]) == counts
            shares = [None if not row.n else n / row.n for n, row in zip(counts, rows, strict=True)]
            found = [None if pd.isna(share) else share for share in read[f"{label}_share"]]
            assert found == shares
        for ending in ("md", "tex"):
            assert (folder.report / f"tables/{name}.{ending}").is_file()


def test_swaps_by_overlap_have_a_table_of_their_own() -> None:
    table = overlap_table(metrics_with(make_errors()))
    assert table.cells == (
        ("0 - 0.1", "83.33", "13.33", "1.33", "0.33", "1.67", "3,000"),
        ("0.1 - 1", "30.00", "40.00", "5.00", "14.00", "11.00", "1,000"),
    )


def test_page_and_markdown_have_the_sentence_the_tables_and_what_the_labels_are(
    tmp_path: Path,
) -> None:
    content = read_content(write_run(tmp_path, make_run()))
    shown = section(page := html_page(content))
    assert '<a href="#keypoint-errors">Keypoint errors</a>' in page
    assert f"<p>{HEADLINE}</p>" in shown
    assert shown.count("<table") == 2
    assert '<td class="number" data-key="0.0375">3.75 (150)</td>' in shown
    assert "2,500 evaluated persons that were matched at OKS 0.10" in shown
    assert "(rule closest)" in shown
    text = markdown_page(content)
    assert f"## Keypoint errors\n\n{HEADLINE}\n\n|" in text
    assert "| **all keypoints** | **70.00 (2,800)** |" in text
    assert "swap: another person's, 0.50 or more" in text
    assert "### By overlap with other persons\n\n|" in text


@pytest.mark.parametrize(
    ("errors", "reason"), [(NOTHING, NOBODY), (SECRET, "the ground truth is not public")]
)
def test_where_nothing_is_labelled_the_reason_stands_instead_of_tables(
    errors: KeypointErrors, reason: str, tmp_path: Path
) -> None:
    folder = write_run(tmp_path, make_run(), keypoint_errors=errors, **PLAIN)
    shown = section(write_report(folder).read_text())
    assert f"<p>Not counted: {reason}.</p>" in shown
    assert "<table" not in shown
    text = (folder.report / "report.md").read_text()
    assert f"## Keypoint errors\n\nNot counted: {reason}.\n\n## Published" in text
    assert not list((folder.report / "tables").glob("keypoint-errors*"))


def test_records_without_errors_have_no_section_and_old_tables_go(tmp_path: Path) -> None:
    write_report(write_run(tmp_path, make_run(), **PLAIN))
    assert len(list((tmp_path / "report/tables").glob("keypoint-errors*"))) == 6
    folder = write_run(tmp_path, make_run(), keypoint_errors=None, **PLAIN)
    page = write_report(folder).read_text()
    assert "keypoint-errors" not in page
    assert "Keypoint errors" not in (folder.report / "report.md").read_text()
    assert not list((tmp_path / "report/tables").glob("keypoint-errors*"))


def test_the_record_keeps_every_count(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    assert RunFolder(tmp_path).read(Metrics).keypoint_errors == make_errors()
    content = (folder.path / "metrics.json").read_bytes()
    assert msgspec.json.decode(content)["keypoint_errors"]["keypoints"][1] == {
        "name": "neck", "good": 800, "jitter": 100, "inversion": 0, "swap": 40, "miss": 60
    }  # fmt: skip


def test_the_sentence_of_one_keypoint_and_of_none() -> None:
    one = replace(make_errors(), keypoints=(ErrorCounts("nose", 0, 0, 0, 1, 0),))
    assert headline(one) == "1 of 1 keypoints (100.0 %) were given to the wrong person."
    assert headline(make_errors()) == HEADLINE
    assert headline(NOTHING) == f"Not counted: {NOBODY}."


# Side by side.


def test_a_comparison_has_the_shares_of_each_run(tmp_path: Path) -> None:
    few = replace(
        make_errors(), n_persons=3, keypoints=(ErrorCounts("neck", 1, 0, 0, 3, 0),), by_overlap=()
    )
    table = compared_errors_table(compared(tmp_path, make_errors(), few))
    assert table.header[0] == "run"
    assert table.cells == (
        ("a", "70.00", "20.00", "2.25", "3.75", "4.00", "4,000", "2,500"),
        ("b", "25.00", "0.00", "0.00", "75.00", "0.00", "4", "3"),
    )
    assert list(table.data["swap"]) == [150, 3]
    assert list(table.data["swap_share"]) == [0.0375, 0.75]


def test_a_run_that_found_nobody_says_so_in_a_footnote(tmp_path: Path) -> None:
    table = compared_errors_table(compared(tmp_path, make_errors(), NOTHING))
    assert table.cells[1] == ("b¹", *["-"] * 5, "0", "0")
    assert table.footnotes == (NOBODY,)


def test_a_comparison_shows_them_on_the_terminal_the_page_in_markdown_and_in_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = compared(tmp_path, make_errors(), make_errors(), NOTHING)
    page = write_comparison(comparison, tmp_path / "out").read_text()
    shown = section(page)
    assert shown.count("3.75") == 2
    assert NOBODY in shown
    assert "may have fewer errors" in shown
    assert '<a href="#keypoint-errors">Keypoint errors</a>' in page
    text = (tmp_path / "out/comparison.md").read_text()
    assert "## Keypoint errors\n\n| run" in text
    read = pd.read_csv(tmp_path / "out/tables/keypoint-errors.csv")
    assert list(read.run) == ["a", "b", "c"]
    assert list(read.miss) == [160, 160, 0]
    print_comparison(comparison, tmp_path / "out")
    assert "Keypoint errors: " in capsys.readouterr().out


def test_a_comparison_without_any_has_no_table_and_an_old_one_goes(tmp_path: Path) -> None:
    write_comparison(compared(tmp_path, make_errors(), make_errors()), tmp_path / "out")
    assert len(list((tmp_path / "out/tables").glob("keypoint-errors.*"))) == 3
    for errors in (None, NOTHING, SECRET):
        page = write_comparison(compared(tmp_path, errors, errors), tmp_path / "out").read_text()
        assert "keypoint-errors" not in page
        assert "Keypoint errors" not in (tmp_path / "out/comparison.md").read_text()
        assert not list((tmp_path / "out/tables").glob("keypoint-errors.*"))
