"""Runs side by side: what is compared, what is refused, and what the files say of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pandas as pd
import pytest
from markdown_it import MarkdownIt  # rich depends on it
from msgspec.structs import replace

from crowdbench.card import Card
from crowdbench.errors import InputError, MissingError, UsageError, WriteError
from crowdbench.protocol import Protocol
from crowdbench.record import Run, RunFolder
from crowdbench.results import ConditionRow, Metric, Metrics
from crowdbench.running.keypoint_errors import uncounted_errors
from reports.naming import run_names
from reports.side_by_side import compare_runs
from reports.side_by_side_plots import comparison_plots, run_style
from reports.side_by_side_record import Comparison
from reports.side_by_side_tables import condition_tables, metrics_table
from reports.side_by_side_wording import left_out_lines
from reports.side_by_side_writing import write_comparison
from tests.command import contents
from tests.reports.records import (
    MIPNET,
    make_metrics,
    make_network_run,
    make_run,
    make_skipped,
    write_run,
)

NEVER = (
    "split", "annotations", "skeleton", "sigmas", "area", "oks", "max_poses", "version", "pose3d",
)  # fmt: skip
IF_ASKED = (
    "boxes", "scores", "merging", "crops", "flip_test", "decoding", "precision", "options",
    "skipped", "images", "pose_area", "levels",
)  # fmt: skip
# What names the method, and conditions.
ALWAYS = ("base", "conditions")
# Of fields that count only where both predictors have them.
OF_BOTH = {"precision": ("fp32", "bf16"), "options": ("depth=2", "depth=4")}


def write(path: Path, *, shift: float = 0.0, protocol: Any = None, **changes: Any) -> Path:
    """Write a scored run and return its folder.

    Args:
        path: the folder.
        shift: added to every value.
        protocol: fields of the protocol to change.
        changes: fields of the metrics to replace.
    """
    run = make_run()
    if protocol:
        changed = replace(run.protocol, **protocol)
        run = replace(run, protocol=changed, signature=changed.signature)
    metrics = make_metrics(run)
    moved = {
        "metrics": _moved(metrics.metrics, shift),
        "conditions": {
            name: tuple(replace(row, metrics=_moved(row.metrics, shift)) for row in rows)
            for name, rows in metrics.conditions.items()
        },
    }
    return write_run(path, run, **(moved | changes)).path


def _moved(metrics: dict[str, Metric], shift: float) -> dict[str, Metric]:
    return {
        name: metric if metric.value is None else replace(metric, value=metric.value + shift)
        for name, metric in metrics.items()
    }


def two_runs(folder: Path, **changes: Any) -> list[Path]:
    return [write(folder / "a"), write(folder / "b", **changes)]


def rows_of(markdown: str) -> dict[str, list[str]]:
    """Return the cells of every table row by the first cell, without padding."""
    lines = (line for line in markdown.splitlines() if line.startswith("|"))
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: row[1:] for row in cells}


def written(comparison: Comparison, folder: Path) -> dict[str, bytes]:
    write_comparison(comparison, folder)
    return contents(folder)


def text_of(files: dict[str, bytes], name: str) -> str:
    return files[name].decode()


def another(value: str | int) -> str | int:
    return value + 1 if isinstance(value, int) else f"{value}, or another"


# Which runs may be compared.


def test_every_field_of_the_protocol_is_known_to_the_comparison() -> None:
    assert {*NEVER, *IF_ASKED, *ALWAYS} == set(Protocol.__struct_fields__)


@pytest.mark.parametrize("field", NEVER)
def test_runs_of_another_measurement_are_refused_even_when_asked_for(
    field: str, tmp_path: Path
) -> None:
    value = another(getattr(make_run().protocol, field))
    runs = two_runs(tmp_path, protocol={field: value})
    for allow_mixed in (False, True):
        with pytest.raises(UsageError, match="which no option compares") as refused:
            compare_runs(runs, allow_mixed)
        shown = f"{value:,}" if isinstance(value, int) else value
        assert f"({shown} instead of" in str(refused.value)
        assert "not comparable with a: b has " in str(refused.value)


@pytest.mark.parametrize("field", IF_ASKED)
def test_runs_of_other_poses_are_refused_unless_asked_for(field: str, tmp_path: Path) -> None:
    usual = getattr(make_run().protocol, field)
    values = OF_BOTH.get(field, (usual, another(usual)))
    runs = [
        write(tmp_path / name, protocol={field: value})
        for name, value in zip("ab", values, strict=True)
    ]
    with pytest.raises(UsageError, match="--allow-mixed compares them") as refused:
        compare_runs(runs)
    comparison = compare_runs(runs, allow_mixed=True)
    [words] = comparison.runs[1].differences
    assert words in str(refused.value)
    assert comparison.runs[0].differences == ()
    assert f"Not the protocol of a: b has {words}." in comparison.notes[0]


@pytest.mark.parametrize("field", ["base", "options", "precision"])
def test_another_method_needs_no_option(field: str, tmp_path: Path) -> None:
    value = {"base": "3dmppe", "options": "depth=2", "precision": "fp32"}[field]
    comparison = compare_runs(two_runs(tmp_path, protocol={field: value}))
    assert comparison.runs[1].differences == ()
    assert not any("Not the protocol" in note for note in comparison.notes)


def test_a_run_of_another_protocol_is_marked_in_every_table_and_plot(tmp_path: Path) -> None:
    runs = two_runs(tmp_path, protocol={"boxes": "gt"})
    comparison = compare_runs(runs, allow_mixed=True)
    sentence = "¹ Not the protocol of the first run: other boxes (gt instead of none)."
    files = written(comparison, tmp_path / "out")
    tables = [name for name in files if name.startswith("tables/")]
    for name in (name for name in tables if name.endswith(".md")):
        assert re.search(r"b¹ +\|", text_of(files, name)), name
        assert sentence in text_of(files, name), name
    for name in (name for name in tables if name.endswith(".tex")):
        assert r"b\textsuperscript{1}" in text_of(files, name), name
    for plot in comparison_plots(comparison).values():
        assert sentence in [text.get_text() for text in plot.figure.texts]
        [legend] = plot.figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["a", "b¹"]
    assert text_of(files, "index.html").count(f"<li>{sentence}</li>") == len(tables) // 3


def test_differences_are_said_in_words_once_for_runs_that_have_the_same(tmp_path: Path) -> None:
    other = {"boxes": "file:det.json#0123456789ab", "merging": "oks-nms(0.9)"}
    runs = [*two_runs(tmp_path, protocol=other), write(tmp_path / "c", protocol=other)]
    runs.append(write(tmp_path / "d", protocol={"images": 100}))
    with pytest.raises(UsageError) as refused:
        compare_runs(runs)
    assert str(refused.value) == (
        "not the protocol of a: b and c have other boxes (file:det.json#0123456789ab instead of "
        "none), other merging (oks-nms(0.9) instead of none); d has another number of images (100 "
        "instead of 2,000). --allow-mixed compares them all the same and marks what differs"
    )


def test_a_file_of_ones_own_with_the_bytes_of_a_known_split_is_the_same_data(
    tmp_path: Path,
) -> None:
    runs = two_runs(tmp_path, protocol={"split": "own"})
    with pytest.raises(UsageError, match=r"another split \(own instead of crowdpose-val.*--allow"):
        compare_runs(runs)
    assert compare_runs(runs, allow_mixed=True).runs[1].differences
    elsewhere = write(tmp_path / "c", protocol={"split": "own", "annotations": "1" * 12})
    with pytest.raises(UsageError, match="no option compares"):
        compare_runs([runs[0], elsewhere], allow_mixed=True)


def test_runs_that_differ_in_conditions_only_are_compared(tmp_path: Path) -> None:
    runs = two_runs(tmp_path, protocol={"conditions": "size(0,32)"})
    comparison = compare_runs(runs)
    assert comparison.runs[1].differences == ()
    assert comparison.runs[0].signature != comparison.runs[1].signature


def test_a_folder_that_cannot_be_compared_says_why(tmp_path: Path) -> None:
    scored = write(tmp_path / "a")
    unscored = RunFolder(tmp_path / "unscored")
    unscored.write(make_run())
    (tmp_path / "empty").mkdir()
    for path, words in (
        (unscored.path, "run `crowdbench score` first"),
        (tmp_path / "empty", "is it a run folder"),
        (tmp_path / "nowhere", "no such run folder"),
    ):
        with pytest.raises(MissingError, match=words):
            compare_runs([scored, path])


def test_one_run_and_a_run_given_twice_are_refused(tmp_path: Path) -> None:
    run = write(tmp_path / "a")
    with pytest.raises(UsageError, match=r"two or more run folders, only .*/a is given"):
        compare_runs([run])
    with pytest.raises(UsageError, match="two or more run folders, none is given"):
        compare_runs([])
    (tmp_path / "link").symlink_to(run)
    for same in (run, run / ".." / "a", tmp_path / "link"):
        with pytest.raises(UsageError, match="is given twice"):
            compare_runs([run, same])


def test_numbers_of_another_run_are_refused(tmp_path: Path) -> None:
    stranger = replace(make_run().protocol, boxes="gt")
    runs = two_runs(tmp_path)
    folder = RunFolder(runs[1])
    folder.write(replace(folder.read(Metrics), protocol=stranger))
    with pytest.raises(InputError, match=r"another protocol than run\.json.*crowdbench score"):
        compare_runs(runs)


def test_runs_that_skipped_images_are_compared_if_asked_for(tmp_path: Path) -> None:
    whole = write(tmp_path / "a")
    part = write_run(tmp_path / "b", make_run(), skipped_images=make_skipped(2)).path
    with pytest.raises(UsageError, match=r"could not be used \(2#89abcdef instead of none\)"):
        compare_runs([whole, part])
    assert compare_runs([whole, part], allow_mixed=True).runs[1].protocol.skipped == "2#89abcdef"
    again = write_run(tmp_path / "c", make_run(), skipped_images=make_skipped(2)).path
    assert not any(run.differences for run in compare_runs([part, again]).runs)


# Names.


def test_runs_of_one_name_are_told_apart_by_the_shortest_path(tmp_path: Path) -> None:
    (tmp_path / "best").symlink_to(tmp_path)
    assert run_names([tmp_path / "best", Path("/x/a")]) == ["best", "a"]
    paths = [Path("/x/old/r@s"), Path("/x/new/r@s"), Path("/y/new/r@s"), Path("/y/q@s")]
    assert run_names(paths) == ["old/r@s", "x/new/r@s", "y/new/r@s", "q@s"]
    runs = [write(tmp_path / "old" / "r@s"), write(tmp_path / "new" / "r@s")]
    assert [run.name for run in compare_runs(runs).runs] == ["old/r@s", "new/r@s"]


def test_names_that_differ_in_what_cannot_be_shown_are_told_apart() -> None:
    assert run_names([Path("/x/a b"), Path("/x/a\nb")]) == ["a b (run 1)", "a b (run 2)"]


# The numbers.


def test_differences_are_to_the_first_run_in_points(tmp_path: Path) -> None:
    runs = [*two_runs(tmp_path, shift=0.0125), write(tmp_path / "c", shift=-0.2)]
    comparison = compare_runs(runs)
    values = [figure.value for figure in comparison.metrics["AP"] if figure and figure.value]
    assert values == pytest.approx([0.4957725838, 0.5082725838, 0.2957725838])
    differences = [figure.difference for figure in comparison.metrics["AP"] if figure]
    assert differences == [0.0, values[1] - values[0], values[2] - values[0]]
    rows = rows_of(metrics_table(comparison).markdown())
    assert rows["AP"] == ["49.58", "50.83 (+1.25)", "29.58 (-20.00)", "7,074"]
    rows = rows_of(condition_tables(comparison)["crowd-level"].markdown())
    assert rows["hard"] == ["21.00", "22.25 (+1.25)", "1.00 (-20.00)", "1,074"]


def test_a_number_that_is_not_there_is_a_dash_without_difference(tmp_path: Path) -> None:
    absent = {"AP": Metric(None, 0, True, "no pose"), "late": Metric(0.5, 3, False, None)}
    runs = two_runs(tmp_path, metrics=absent)
    for order in (runs, runs[::-1]):
        comparison = compare_runs(order)
        differences = [figure and figure.difference for figure in comparison.metrics["AP"]]
        assert differences == ([0.0, None] if order == runs else [None, None])
        table = metrics_table(comparison)
        shown = table.cells[0][1:3]
        assert shown[order.index(runs[0])] == "49.58"
        assert re.fullmatch("-[¹²]", shown[order.index(runs[1])])
        assert "no pose" in table.footnotes


def test_runs_with_other_metrics_have_all_of_them_in_the_usual_order(tmp_path: Path) -> None:
    other = {
        "mine": Metric(0.5, 3, False, None),
        "AR": Metric(0.6, 7, True, None),
        "AP": Metric(0.5, 7074, True, None),
    }
    comparison = compare_runs(two_runs(tmp_path, metrics=other))
    assert list(comparison.metrics) == ["AP", "AP50", "AP75", "AR", "AP_easy", "AP_hard", "mine"]
    assert comparison.metrics["AR"][0] is None
    table = metrics_table(comparison)
    cells = {row[0]: row[1:] for row in table.cells}
    assert cells["AR"] == ("-¹", "60.00", "7")
    assert cells["AP75"][1] == "-¹"
    assert cells["mine (lower is better)"] == ("-¹", "50.00", "3")
    assert table.footnotes[0] == "not among the numbers of this run"


def test_an_n_that_differs_between_runs_is_said(tmp_path: Path) -> None:
    runs = two_runs(tmp_path, metrics={"AP": Metric(0.5, 7000, True, None)})
    table = metrics_table(compare_runs(runs))
    assert table.cells[0] == ("AP", "49.58", "50.00 (+0.42)", "-¹")
    assert table.footnotes[0] == "n: 7,074 in a, 7,000 in b"


def test_a_split_without_public_ground_truth_gives_dashes_and_no_plots(tmp_path: Path) -> None:
    nothing = {
        "metrics": {"AP": Metric(None, 0, True, "the ground truth is not public")},
        "conditions": {},
        "condition_facts": {},
        "robustness": {},
        "curves": (),
        "oks_histogram": None,
        "keypoints": (),
        "keypoint_errors": uncounted_errors("the ground truth is not public"),
        "counts": {"images": 20288, "poses": 5},
    }
    runs = [write(tmp_path / name, **nothing) for name in "ab"]
    files = written(compare_runs(runs), tmp_path / "out")
    assert rows_of(text_of(files, "comparison.md"))["AP"] == ["-¹", "-¹", "0"]
    assert "the ground truth is not public" in text_of(files, "index.html")
    assert not [name for name in files if name.startswith("plots/")]
    assert {name for name in files if name.startswith("tables/")} == {
        f"tables/metrics.{suffix}" for suffix in ("csv", "md", "tex")
    }


# Conditions.


def without(runs: Sequence[Path], *conditions: str) -> None:
    """Take conditions out of the runs' metrics."""
    for path in runs:
        folder = RunFolder(path)
        metrics = folder.read(Metrics)
        fields = {
            field: {k: v for k, v in getattr(metrics, field).items() if k not in conditions}
            for field in ("conditions", "condition_facts", "robustness")
        }
        folder.write(replace(metrics, **fields))


def with_rule(run: Path, condition: str, rule: str) -> None:
    folder = RunFolder(run)
    metrics = folder.read(Metrics)
    facts = replace(metrics.condition_facts[condition], rule=rule)
    folder.write(replace(metrics, condition_facts=metrics.condition_facts | {condition: facts}))


def test_conditions_of_one_rule_are_compared_row_by_row(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path, shift=0.01))
    metrics = RunFolder(tmp_path / "a").read(Metrics)
    assert set(comparison.conditions) == set(metrics.conditions)
    for name, rows in metrics.conditions.items():
        compared = comparison.conditions[name]
        assert compared.rule == metrics.condition_facts[name].rule
        assert tuple(row.runs[0] for row in compared.rows) == rows
    assert comparison.robustness.keys() == metrics.robustness.keys()


def test_a_condition_that_a_run_lacks_is_left_out_with_the_reason(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    without(runs[1:], "person-iou")
    comparison = compare_runs(runs)
    assert "person-iou" not in comparison.conditions
    assert "person-iou" not in comparison.robustness
    assert "person-iou in b: not evaluated" in left_out_lines(comparison)
    files = written(comparison, tmp_path / "out")
    assert "- person-iou in b: not evaluated" in text_of(files, "comparison.md")
    assert "<li>person-iou in b: not evaluated</li>" in text_of(files, "index.html")


def test_conditions_of_other_rules_are_left_out_with_both_rules(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    with_rule(runs[1], "person-iou", "another")
    here = RunFolder(runs[0]).read(Metrics).condition_facts["person-iou"].rule
    comparison = compare_runs(runs)
    assert "person-iou" not in comparison.conditions
    assert f"person-iou in b: another rule: another instead of {here}" in left_out_lines(comparison)


def test_the_rule_that_most_runs_have_is_compared_by(tmp_path: Path) -> None:
    runs = [*two_runs(tmp_path, shift=0.1), write(tmp_path / "c", shift=0.2)]
    with_rule(runs[0], "detector-confidence", "another")
    comparison = compare_runs(runs)
    here = RunFolder(runs[1]).read(Metrics).condition_facts["detector-confidence"].rule
    assert comparison.conditions["detector-confidence"].rule == here
    assert f"detector-confidence in a: another rule: another instead of {here}" in left_out_lines(
        comparison
    )


def test_two_of_three_runs_are_compared_where_the_third_has_no_such_rows(tmp_path: Path) -> None:
    runs = [*two_runs(tmp_path, shift=0.1), write(tmp_path / "c", shift=0.2)]
    without(runs[1:2], "crowd-level")
    comparison = compare_runs(runs)
    rows = rows_of(condition_tables(comparison)["crowd-level"].markdown())
    assert rows["hard"] == ["21.00", "-¹", "41.00 (+20.00)", "1,074"]
    assert "crowd-level in b: not evaluated" in left_out_lines(comparison)
    # Without the first run there is nothing to take a difference to.
    comparison = compare_runs([runs[1], runs[0], runs[2]])
    rows = rows_of(condition_tables(comparison)["crowd-level"].markdown())
    assert rows["hard"] == ["-¹", "21.00", "41.00", "1,074"]


def test_a_row_that_only_another_run_has_stands_in_its_place(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    folder = RunFolder(runs[0])
    metrics = folder.read(Metrics)
    rows = metrics.conditions["detector-confidence"]
    cut: dict[str, tuple[ConditionRow, ...]] = {"detector-confidence": (rows[0], *rows[2:])}
    folder.write(replace(metrics, conditions=metrics.conditions | cut))
    compared = compare_runs(runs).conditions["detector-confidence"].rows
    assert [row.label for row in compared] == [row.label for row in rows]
    assert (compared[1].runs[0], compared[1].differences) == (None, (None, None))
    assert compared[1].paired == (None, None)


def test_boxes_stand_in_one_column_where_all_runs_have_the_same(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    table = condition_tables(compare_runs(runs))["detector-confidence"]
    assert table.header[1:] == ("a", "b", "boxes")
    folder = RunFolder(runs[1])
    metrics = folder.read(Metrics)
    fewer = tuple(replace(r, n_boxes=17) for r in metrics.conditions["detector-confidence"])
    folder.write(replace(metrics, conditions=metrics.conditions | {"detector-confidence": fewer}))
    table = condition_tables(compare_runs(runs))["detector-confidence"]
    assert table.header[1:] == ("a", "b", "boxes: a", "boxes: b")
    assert table.cells[0][3:] == ("30,637", "17")
    runs += [write(tmp_path / name) for name in "cde"]
    table = condition_tables(compare_runs(runs))["detector-confidence"]
    assert table.header == ("least score of a box¹", "a", "b", "c", "d", "e")
    assert table.footnotes == ("The boxes of each run are in the plot and the CSV file.",)


# The files.


def test_the_comparison_is_a_record_two_pages_tables_and_plots(tmp_path: Path) -> None:
    files = written(compare_runs(two_runs(tmp_path)), tmp_path / "out")
    conditions = ("detector-confidence", "person-iou", "crowd-level")
    tables = (
        "metrics",
        "robustness",
        "keypoint-errors",
        *(f"condition-{name}" for name in conditions),
    )
    plots = ("precision-recall", *(f"condition-{name}" for name in conditions))
    assert set(files) == {
        *("comparison.json", "comparison.md", "index.html"),
        *(f"tables/{name}.{suffix}" for name in tables for suffix in ("csv", "md", "tex")),
        *(f"plots/{name}.{suffix}" for name in plots for suffix in ("png", "svg")),
    }


def test_the_record_holds_the_comparison_and_is_strict(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path, shift=1 / 3))
    content = written(comparison, tmp_path / "out")["comparison.json"]
    assert msgspec.json.decode(content, type=Comparison) == comparison
    assert msgspec.json.decode(content)["schema_version"] == 5
    odd = content.replace(b'"schema_version"', b'"surprise": 1, "schema_version"', 1)
    with pytest.raises(msgspec.ValidationError, match="surprise"):
        msgspec.json.decode(odd, type=Comparison)


def test_the_csv_tables_hold_the_numbers_in_full(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path, shift=1 / 3))
    write_comparison(comparison, tmp_path / "out")
    read: Any = pd.read_csv(tmp_path / "out/tables/metrics.csv", dtype=str)
    found = {(row.metric, row.run): row for row in read.itertuples()}
    for name, figures in comparison.metrics.items():
        for run, figure in zip("ab", figures, strict=True):
            assert figure is not None
            row = found[name, run]
            for column in ("value", "difference"):
                cell, value = getattr(row, column), getattr(figure, column)
                assert (None if pd.isna(cell) else float(cell)) == value
            assert int(row.n) == figure.n
    read = pd.read_csv(tmp_path / "out/tables/condition-detector-confidence.csv", dtype=str)
    assert list(read.run) == ["a", "b"] * 7
    assert list(read.n_boxes[:2]) == ["30637", "30637"]


def test_equal_records_give_equal_bytes_wherever_they_lie(tmp_path: Path) -> None:
    first = written(compare_runs(two_runs(tmp_path / "x", shift=0.01)), tmp_path / "one")
    second = written(compare_runs(two_runs(tmp_path / "y", shift=0.01)), tmp_path / "two")
    assert (
        first
        == second
        == written(compare_runs([tmp_path / "x/a", tmp_path / "x/b"]), tmp_path / "one")
    )


def test_an_older_comparison_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    out, runs = tmp_path / "out", two_runs(tmp_path)
    write_comparison(compare_runs(runs), out)
    (out / "mine.txt").write_text("mine")
    (out / "tables" / "mine.csv").write_text("mine")
    (out / ".index.html.x.unfinished").write_text("killed")
    without(runs, "person-iou")
    files = written(compare_runs(runs), out)
    assert not [name for name in files if "person-iou" in name or "unfinished" in name]
    assert files["mine.txt"] == files["tables/mine.csv"] == b"mine"


def test_a_comparison_that_is_interrupted_can_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    comparison = compare_runs(two_runs(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr("reports.side_by_side_writing.comparison_tables", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_comparison(comparison, tmp_path / "out")
    assert "index.html" in written(comparison, tmp_path / "out")


def test_what_is_no_comparison_is_never_touched(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path))
    before = contents(tmp_path / "a")
    with pytest.raises(UsageError, match=r"no comparison \(metrics\.json\)"):
        write_comparison(comparison, tmp_path / "a")
    assert contents(tmp_path / "a") == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file: choose a folder with --output"):
        write_comparison(comparison, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert written(comparison, tmp_path / "empty")
    with pytest.raises(WriteError, match="can't be written"):
        write_comparison(comparison, tmp_path / "file" / "below")


def test_the_page_is_one_file_that_needs_no_network(tmp_path: Path) -> None:
    files = written(compare_runs(two_runs(tmp_path)), tmp_path / "out")
    page = text_of(files, "index.html")
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//|[^"'#d])""", page)
    assert not re.search(r"@import|url\((?!#)", page)
    assert page.count("<script>") == 1
    assert page.count('class="figure"') == 4


def test_backbone_and_input_size_are_shown_where_a_run_has_them(tmp_path: Path) -> None:
    small = replace(MIPNET, name="other", backbone="", input_size="256x192")
    runs = [
        write_run(tmp_path / name, make_network_run(card)).path
        for name, card in (("a", MIPNET), ("b", small))
    ]
    # Of refined poses those of the network that made them.
    refined = make_network_run(Card("refines", "", refines=True))
    refined = replace(refined, predictor=replace(refined.predictor, base=MIPNET))
    runs.append(write_run(tmp_path / "c", refined).path)
    comparison = compare_runs(runs)
    assert [(r.backbone, r.input_size) for r in comparison.runs] == [
        ("HRNet-W48", "384x288"),
        ("", "256x192"),
        ("HRNet-W48", "384x288"),
    ]
    files = written(comparison, tmp_path / "out")
    facts = (
        ("mipnet-hrnet-w48-384x288", "backbone HRNet-W48, input size 384x288"),
        ("other", "backbone not recorded, input size 256x192"),
    )
    for name, (predictor, words) in zip("ab", facts, strict=True):
        assert f"- {name}: {predictor} on ochuman-val; {words}\n" in text_of(files, "comparison.md")
        assert f"<dd>{predictor} on ochuman-val\n<br>{words}\n" in text_of(files, "index.html")


def test_runs_of_files_of_poses_have_no_backbone_to_show(tmp_path: Path) -> None:
    files = written(compare_runs(two_runs(tmp_path)), tmp_path / "out")
    assert "\n- b: replay on crowdpose-val\n" in text_of(files, "comparison.md")
    for name in ("comparison.md", "index.html"):
        assert "backbone" not in text_of(files, name)


def test_without_resampling_no_difference_is_called_more_than_chance(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path, shift=0.2))
    assert comparison.bootstrap is None
    note = (
        "No difference is tested for being more than chance: a was scored without resampling; "
        "`crowdbench score` does it."
    )
    assert note in comparison.notes
    files = written(comparison, tmp_path / "out")
    for name, content in files.items():
        assert b"*: more than chance" not in content, name
    for name in ("comparison.md", "index.html"):
        text = text_of(files, name).replace("\\", "")
        assert "Whether a difference is more than chance is not tested here." in text
        assert "more than chance: a was scored without resampling" in text


def test_hostile_names_change_neither_the_pages_nor_the_tables_nor_the_plots(
    tmp_path: Path,
) -> None:
    evil = "<script>x</script>|`*\\{}%$_^~\n# x\x1b[31m"
    folder = "<script>x<|script>`*\\{}%$_^~\n# x\x1b[31m@人"
    hostile = write(
        tmp_path / folder,
        protocol={"boxes": evil},
        predictor=evil,
        metrics={evil: Metric(None, 0, True, evil)},
        notes=(evil,),
    )
    folder_of = RunFolder(hostile)
    run = folder_of.read(Run)
    card = replace(run.predictor.card, backbone=evil, input_size=evil)
    folder_of.write(replace(run, predictor=replace(run.predictor, card=card)))
    runs = [*two_runs(tmp_path), hostile]
    with_rule(runs[2], "person-iou", evil)
    files = written(compare_runs(runs, allow_mixed=True), tmp_path / "out")
    html = MarkdownIt("commonmark").enable("table").render(text_of(files, "comparison.md"))
    assert "<script" not in html
    assert html.count("<h1>") == 1
    page = text_of(files, "index.html")
    assert page.count("<script") == 1
    assert page.count("<h1") == 1
    for name, content in files.items():
        assert b"\x1b" not in content or not name.endswith((".md", ".svg", ".tex")), name
        if name.endswith(".svg"):
            ET.fromstring(content)
    latex = text_of(files, "tables/metrics.tex")
    assert r"\ensuremath{<}script\ensuremath{>}x" in latex
    for line in text_of(files, "tables/metrics.md").splitlines():
        assert not line.startswith("|") or len(re.findall(r"\|", line)) == 6


def test_eight_runs_are_told_apart_in_every_plot(tmp_path: Path) -> None:
    names = ["_old@crowdpose-val", *(f"method-{i}@crowdpose-val" for i in range(7))]
    runs = [write(tmp_path / name, shift=0.01 * i) for i, name in enumerate(names)]
    comparison = compare_runs(runs)
    assert len({run_style(i) for i in range(49)}) == 49
    for plot in comparison_plots(comparison).values():
        [legend] = plot.figure.legends
        assert [text.get_text() for text in legend.get_texts()] == names
        top = max(axes.get_position().y1 for axes in plot.figure.axes)
        plot.figure.draw_without_rendering()
        box = legend.get_window_extent().transformed(plot.figure.transFigure.inverted())
        assert top < box.y0
        assert box.x1 < 1
    assert written(comparison, tmp_path / "out")
