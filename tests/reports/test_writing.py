"""The whole report: content, full precision, same bytes, odd records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from markdown_it import MarkdownIt  # rich depends on it

from crowdbench.card import Card
from crowdbench.errors import InputError, MissingError, WriteError
from crowdbench.files import FileDigest
from crowdbench.record import SCHEMA_VERSION, RunFolder
from crowdbench.results import (
    ConditionFacts,
    ErrorCounts,
    KeypointErrors,
    KeypointMetrics,
    Metric,
    Metrics,
    SkippedImage,
)
from crowdbench.running.keypoint_errors import uncounted_errors
from reports.content import read_content
from reports.markdown import markdown_page
from reports.published import load_published
from reports.writing import write_report
from tests.command import contents
from tests.reports.records import (
    make_facts,
    make_metrics,
    make_row,
    make_run,
    make_skipped,
    write_run,
)

CONDITIONS = ("detector-confidence", "person-iou", "crowd-level")
TABLES = (
    "metrics",
    "keypoints",
    "keypoint-errors",
    "keypoint-errors-by-overlap",
    "published",
    "robustness",
    *(f"condition-{c}" for c in CONDITIONS),
)
PLOTS = ("precision-recall", "oks-histogram", "keypoints", *(f"condition-{c}" for c in CONDITIONS))


def report_of(folder: RunFolder) -> str:
    """Write the report and return ``report.md``."""
    return write_report(folder).with_name("report.md").read_text(encoding="utf-8")


def text_of(folder: RunFolder) -> str:
    """Return what ``report.md`` would be, without drawing any plot."""
    return markdown_page(read_content(folder))


def rows_of(markdown: str) -> dict[str, list[str]]:
    """Return the cells of every table row by the first cell, without padding."""
    lines = (line for line in markdown.splitlines() if line.startswith("|"))
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: row[1:] for row in cells}


def read_csv(folder: RunFolder, name: str) -> pd.DataFrame:
    return pd.read_csv(folder.report / "tables" / f"{name}.csv")


def read_cells(folder: RunFolder, name: str) -> list[dict[str, Any]]:
    """Return a CSV table as text: before pandas 3, its own reading of floats is not exact."""
    table = pd.read_csv(folder.report / "tables" / f"{name}.csv", dtype=str)
    return [
        {str(key): None if pd.isna(cell) else cell for key, cell in row.items()}
        for row in table.to_dict("records")
    ]


def number(cell: str | None) -> float | None:
    return None if cell is None else float(cell)


def test_the_report_is_two_pages_tables_in_three_formats_and_plots_in_two(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    assert write_report(folder) == tmp_path / "report" / "index.html"
    tables = {f"tables/{name}.{suffix}" for name in TABLES for suffix in ("csv", "tex", "md")}
    plots = {f"plots/{name}.{suffix}" for name in PLOTS for suffix in ("svg", "png")}
    assert set(contents(folder.report)) == {"index.html", "report.md", *tables, *plots}


def test_files_of_conditions_that_are_gone_are_removed_and_no_others(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    write_report(folder)
    mine = [
        folder.report / name for name in ("plots/mine.png", "tables/mine.csv", "plots/notes.txt")
    ]
    for path in mine:
        path.write_text("mine")
    kept = make_metrics(make_run()).conditions["person-iou"]
    write_run(tmp_path, make_run(), conditions={"person-iou": kept}, oks_histogram=None, curves=())
    write_report(folder)
    names = set(contents(folder.report))
    assert {name for name in names if "condition-" in name} == {
        f"{place}/condition-person-iou.{suffix}"
        for place, suffixes in (("tables", ("csv", "tex", "md")), ("plots", ("svg", "png")))
        for suffix in suffixes
    }
    assert not {name for name in names if "oks-histogram" in name or "precision" in name}
    assert all(path.read_text() == "mine" for path in mine)


def test_the_report_says_what_was_measured(tmp_path: Path) -> None:
    run = make_run(notes=("12 poses are of other categories",))
    text = text_of(write_run(tmp_path, run))
    assert text.startswith("# replay on crowdpose-val\n")
    rows = rows_of(text)
    assert rows["AP"] == ["49.58", "7,074", ""]
    assert rows["AP50"] == ["30.00", "7,074", ""]
    assert "| left_shoulder |   81.23 |      6,000 |   33.33 |     5,000 |" in text
    assert "- 12 poses are of other categories\n" in text
    assert f"```text\n{run.signature}\n```" in text
    assert "2,000 images, 34 of them without poses; " in text
    assert "7,074 evaluated persons of 8,527 annotated (106 crowd regions); " in text
    assert "11,589 poses, of which 11,400 count; " in text
    assert "at OKS 0.50: 5,837 persons found, 1,237 missed; 3,000 wrong poses." in text
    assert f"- annotations: `crowdpose_val.json`, 1,234,567 bytes, sha256 `{'ab' * 32}`" in text
    assert f"- predictions: `poses.json`, 7,654 bytes, sha256 `{'cd' * 32}`" in text
    assert f"schema version {SCHEMA_VERSION}" in text


def test_a_number_that_is_not_there_is_a_dash_with_the_reason(tmp_path: Path) -> None:
    rows = rows_of(text_of(write_run(tmp_path, make_run(), keypoint_errors=None)))
    assert rows["AP_hard"] == ["-", "0", "no image of this level"]
    assert rows["AP_easy"] == ["33.33", "1,200", "no predictions in its images"]
    assert rows["neck"] == ["-", "0", "-", "0"]


def test_a_metric_that_should_be_low_says_so(tmp_path: Path) -> None:
    metrics = {"AP_drop": Metric(0.1, 5, False, None), "late": Metric(None, 0, False, "no pose")}
    rows = rows_of(text_of(write_run(tmp_path, make_run(), metrics=metrics)))
    assert rows["AP_drop"] == ["10.00", "5", "lower is better"]
    assert rows["late"] == ["-", "0", "lower is better; no pose"]


def test_the_csv_tables_hold_exactly_what_metrics_json_holds(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    write_report(folder)
    metrics = folder.read(Metrics)
    assert metrics.metrics == {
        row["metric"]: Metric(
            number(row["value"]), int(row["n"]), row["higher_is_better"] == "True", row["reason"]
        )
        for row in read_cells(folder, "metrics")
    }
    assert metrics.keypoints == tuple(
        KeypointMetrics(
            row["keypoint"],
            int(row["n_labelled"]),
            int(row["n_matched"]),
            number(row["pck"]),
            number(row["oks"]),
        )
        for row in read_cells(folder, "keypoints")
    )


def test_equal_records_give_equal_bytes_in_any_folder_and_any_number_of_times(
    tmp_path: Path,
) -> None:
    first = write_run(tmp_path / "a", make_run())
    write_report(first)
    once = contents(first.report)
    write_report(first)
    second = write_run(tmp_path / "b", make_run())
    (second.path / "environment.json").write_text("read by nobody here")
    write_report(second)
    assert contents(first.report) == once == contents(second.report)


def test_writing_again_replaces_what_was_there_and_leaves_other_files(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    (folder.report / "tables").mkdir(parents=True)
    (folder.report / "report.md").write_text("old")
    (folder.report / "mine.txt").write_text("mine")
    assert "old" not in report_of(folder)
    assert (folder.report / "mine.txt").read_text() == "mine"


def test_published_rows_stand_below_the_measured_one(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    text = report_of(folder)
    rows = rows_of(text)
    measured = "**replay (this run)**"
    assert rows[measured][:3] == ["**unknown**", "**49.6**", "**30.0**"]
    assert rows["HRNet-48"] == [
        *("gt", "71.3", "91.1", "77.5", "80.5", "71.4", "62.5"),
        *("256x192, HRNet-W48, on crowdpose-train", "mipnet, Table 3"),
    ]
    assert text.index(measured) < text.index("| MIPNet ")
    assert "HRNet-W48 (inferred)" in text
    assert "- mipnet: Multi-Instance Pose Networks (Khirodkar et al.). Trained on" in text
    table = read_csv(folder, "published")
    assert list(table.origin) == ["measured"] + ["published"] * 11
    assert list(table.AP_percent[:3]) == pytest.approx([49.5772583812338, 73.7, 73.0])
    assert table.row[1] == "MIPNet*"


def test_doubtful_figures_have_a_footnote(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run("crowdpose-test", images=8000))
    text = report_of(folder)
    assert "58.7²" in text
    assert "- ² Doubtful: AP_medium. AP_medium: 48.7 in pinet, Table 4. " in text
    # What is in doubt about this row is the split and the boxes, not a figure of the table.
    assert "| HRNet⁴ " in text
    assert r"58.7\textsuperscript{2}" in (folder.report / "tables/published.tex").read_text()


def test_a_doubt_about_a_figure_that_is_not_shown_has_no_footnote(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run("coco-val2017", images=5000))
    text = report_of(folder)
    assert any(e.doubtful == ("AR_M", "AR_L") for e in load_published("coco-val2017").entries)
    assert "Doubtful: AR_M" not in text
    assert "AR_M; AR_L" in set(read_csv(folder, "published").doubtful.dropna())


def test_long_tables_are_folded_and_short_ones_are_not(tmp_path: Path) -> None:
    long = text_of(write_run(tmp_path / "long", make_run("ochuman-test", images=2231)))
    assert "<details><summary>35 rows</summary>" in long
    short = write_run(tmp_path / "short", make_run(), conditions={})
    assert "<details>" not in text_of(short)


def test_every_condition_has_its_rule_its_notes_and_a_folded_table(tmp_path: Path) -> None:
    text = text_of(write_run(tmp_path, make_run()))
    assert "### Detector confidence\n\n<details><summary>7 rows</summary>" in text
    rows = rows_of(text)
    assert rows["&gt;= 0.9"] == ["7,074", "8,137", "8,137", "33.60", "53.60", "38.60", "43.60"]
    assert rows["0.7 - 0.9"] == ["0", "-¹", "-¹", "-¹", "-¹"]
    assert "- ¹ no person is evaluated\n" in text
    assert "- Rule: boxes(score&gt;=t)+oks-nms(0.9)\n- the scores are those of the file" in text
    assert rows["Detector confidence"] == ["4.99", "45.00", "-"]
    assert "### Size of persons\n\nNot evaluated: the annotation file has no areas.\n" in text


def test_without_conditions_the_report_says_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(), conditions={}, condition_facts={}, robustness={})
    assert "## Conditions\n\nNo condition was evaluated.\n" in report_of(folder)
    assert read_csv(folder, "robustness").empty


@pytest.mark.parametrize("split", ["coco-train2017", "ochuman-val-hard"])
def test_a_split_without_published_results_says_so(tmp_path: Path, split: str) -> None:
    folder = write_run(tmp_path, make_run(split))
    assert f"\nNone are on file for {split}.\n" in report_of(folder)
    assert list(read_csv(folder, "published").origin) == ["measured"]


def test_own_annotations_have_no_published_results_whatever_their_name(tmp_path: Path) -> None:
    text = text_of(write_run(tmp_path, make_run("crowdpose-val", own=True)))
    assert "None: the annotations are the user's own file" in text
    assert "MIPNet" not in text


@pytest.mark.parametrize(
    ("boxes", "scores", "words"),
    [
        ("gt", "given", "Boxes of this run: ground truth (gt)."),
        ("none", "given", "Boxes of this run: unknown, the file of poses has none."),
        ("none", "heatmap", "Boxes of this run: none, the method needs none."),
        ("predictions", "given", "what made them is not recorded."),
        ("det.json", "box*heatmap", "Boxes of this run: det.json; papers name a detector"),
    ],
)
def test_the_report_says_how_the_boxes_compare(
    tmp_path: Path, boxes: str, scores: str, words: str
) -> None:
    text = text_of(write_run(tmp_path, make_run(boxes=boxes, scores=scores)))
    assert words in text
    assert "Boxes of the published rows: gt (8), faster-rcnn (2), yolov3 (1)." in text
    assert (
        "Input size, backbone, training data and test scales of this run are not recorded" in text
    )
    assert "same setting" not in text


def test_a_limited_run_is_said_not_to_be_the_papers_split(tmp_path: Path) -> None:
    text = text_of(write_run(tmp_path / "cut", make_run(images=100, limit=100)))
    assert "This run covers only the first 100 images (--limit); the papers used the whole" in text
    for limit in (2000, 9999):
        run = make_run(images=2000, limit=limit)
        assert "--limit" not in text_of(write_run(tmp_path / str(limit), run))


def test_other_annotations_under_a_known_name_are_said_not_to_be_official(tmp_path: Path) -> None:
    run = make_run(images=1990)
    counts = make_metrics(run).counts | {"persons": 8000}
    text = text_of(write_run(tmp_path, run, counts=counts))
    words = "1,990 images instead of 2,000, 8,000 persons instead of 8,527"
    assert f"The annotation file is not the official one ({words})" in text


def test_a_split_without_public_ground_truth_has_a_report_of_dashes(tmp_path: Path) -> None:
    reason = "the ground truth of this split is not public"
    folder = write_run(
        tmp_path,
        make_run("coco-test-dev", images=20288),
        metrics={"AP": Metric(None, 0, True, reason), "AR": Metric(None, 0, True, reason)},
        keypoints=(),
        keypoint_errors=uncounted_errors(reason),
        counts={"images": 20288, "poses": 5, "odd_ones": 1},
        conditions={},
        condition_facts={
            name: msgspec.structs.replace(facts, reason=reason)
            for name, facts in make_facts().items()
        },
        robustness={},
        curves=(),
        oks_histogram=None,
    )
    text = report_of(folder)
    assert rows_of(text)["AP"] == ["-", "0", reason]
    assert "\n20,288 images; 5 poses; 1 odd ones.\n" in text
    assert "## Keypoints" not in text
    assert text.count(f"Not evaluated: {reason}.") == 4
    assert not (folder.report / "plots").exists()
    assert rows_of(text)["**replay (this run)**"][:2] == ["**unknown**", "**-**"]
    assert read_csv(folder, "keypoints").empty
    assert r"\begin{tabular}{lrrrr}" in (folder.report / "tables/keypoints.tex").read_text()


def test_hostile_names_change_neither_the_page_nor_its_tables(tmp_path: Path) -> None:
    evil = "<script>x</script>|`*\\{}%$_^~\n# x"
    run = make_run("crowdpose-val", boxes=evil, scores="heatmap", notes=(evil,))
    digest = FileDigest(evil, "ab" * 32, 1)
    run = msgspec.structs.replace(
        run,
        split=msgspec.structs.replace(run.split, annotations=digest),
        predictor=msgspec.structs.replace(
            run.predictor,
            card=Card(
                evil,
                evil,
                skeletons=(evil,),
                method=evil,
                paper=evil,
                licence=evil,
                backbone=evil,
                input_size=evil,
            ),
            inputs={evil: digest, "weights": digest},
            options={evil: evil},
        ),
    )
    folder = write_run(
        tmp_path,
        run,
        metrics={evil: Metric(None, 0, True, evil)},
        keypoints=(KeypointMetrics(evil, 1, 1, 0.5, 0.5),),
        keypoint_errors=KeypointErrors(
            "closest",
            0.1,
            1,
            (ErrorCounts(evil, 1, 1, 1, 1, 1),),
            (ErrorCounts(evil, 1, 1, 1, 1, 1),),
            evil,
        ),
        counts={evil: 1},
        skipped_images=(SkippedImage(1, evil),),
        conditions={evil: (make_row(evil, None, 0),)},
        condition_facts={
            evil: ConditionFacts(
                evil,
                evil,
                evil,
                kind="bins",
                selects="images",
                harder="up",
                notes=(evil,),
                reason=None,
            )
        },
        robustness={evil: {evil: Metric(None, 0, True, evil)}},
    )
    text = report_of(folder)
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "<script" not in html
    assert html.count("<h1>") == 1
    headings = [
        *("Noticed", "Protocol", "Conditions", "Keypoints", "Keypoint errors"),
        *("Published results", "Provenance"),
    ]
    assert [line for line in html.splitlines() if line.startswith("<h2>")] == [
        f"<h2>{heading}</h2>" for heading in headings
    ]
    shown = "&lt;script&gt;x&lt;/script&gt;|`*\\{}%$_^~ # x"
    assert f">{shown}</td>" in html
    assert f"<code>{shown}</code>" in html
    for name, width in (("metrics", 4), ("keypoints", 5), ("published", 10)):
        markdown = (folder.report / "tables" / f"{name}.md").read_text(encoding="utf-8")
        assert {line.count(" |") for line in markdown.splitlines() if line[:2] == "| "} == {width}
        latex = (folder.report / "tables" / f"{name}.tex").read_text(encoding="utf-8")
        escaped = r"x\ensuremath{<}/script\ensuremath{>}|`*\textbackslash{}\{\}\%\$\_\^{}"
        assert escaped in latex


def test_a_run_that_is_not_scored_says_what_to_do(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write(make_run())
    with pytest.raises(MissingError, match="crowdbench score"):
        write_report(folder)
    with pytest.raises(MissingError, match="no such run folder"):
        write_report(RunFolder(tmp_path / "nowhere"))


def test_numbers_of_another_run_are_refused(tmp_path: Path) -> None:
    run = make_run()
    other = msgspec.structs.replace(run.protocol, annotations="1" * 12)
    folder = write_run(tmp_path, run, protocol=other, signature=other.signature)
    with pytest.raises(InputError, match=r"another protocol than run\.json"):
        write_report(folder)
    assert not folder.report.exists()


def test_a_run_scored_again_under_other_conditions_has_the_signature_of_its_numbers(
    tmp_path: Path,
) -> None:
    run = make_run()
    again = msgspec.structs.replace(run.protocol, conditions="size[0,32,inf)")
    text = text_of(write_run(tmp_path, run, protocol=again, signature=again.signature))
    assert again.signature in text
    assert run.signature not in text


def test_images_that_were_skipped_change_the_signature_and_nothing_else_may(
    tmp_path: Path,
) -> None:
    run, skipped = make_run(), make_skipped(2)
    folder = write_run(tmp_path, run, skipped_images=skipped)
    assert read_content(folder).metrics.skipped_images == skipped
    other = msgspec.structs.replace(run.protocol, skipped="2#89abcdef", boxes="gt")
    folder.write(msgspec.structs.replace(folder.read(Metrics), protocol=other))
    with pytest.raises(InputError, match=r"another protocol than run\.json"):
        read_content(folder)


def test_a_report_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    folder.report.write_text("a file in the way")
    with pytest.raises(WriteError, match="can't be written"):
        write_report(folder)
