"""Runs on the same resampled images: what is tested, what is not, and what is said of it."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from msgspec.structs import replace

from crowdbench.errors import InputError
from crowdbench.metrics.bootstrap import SEED, bootstrap
from crowdbench.metrics.paired import holm, paired
from crowdbench.metrics.sample import Key
from crowdbench.record import Run, RunFolder
from crowdbench.results import Metrics
from reports.side_by_side import compare_runs
from reports.side_by_side_findings import main_findings, row_findings
from reports.side_by_side_plots import comparison_plots
from reports.side_by_side_record import Comparison
from reports.side_by_side_tables import comparison_tables, print_comparison
from reports.side_by_side_wording import legend
from reports.side_by_side_writing import write_comparison
from tests.command import contents
from tests.reports.records import write_run
from tests.reports.samples import RESAMPLES, mean_samples, read_mean_sample, write_sampled

__all__ = ["mean_samples"]
pytestmark = pytest.mark.usefixtures("mean_samples")

Shift = Callable[[Key], float]


def worse_in_crowds(key: Key) -> float:
    """Return a shift that is large in the crowded bins, and up on the whole split."""
    if key.condition == "person-iou":
        return -0.03 if key.row in ("0.3 - 0.5", "0.5 - 0.7", "0.9 and more") else 0.0
    return 0.0125 if key.condition is None and key.metric != "AP75" else 0.0


def write_all(folder: Path, **shifts: Shift) -> list[Path]:
    return [write_sampled(folder / name, shift) for name, shift in shifts.items()]


def nothing(_: Key) -> float:
    return 0.0


SHIFTS: dict[str, Shift] = {"a": nothing, "b": worse_in_crowds}


def two_runs(folder: Path) -> list[Path]:
    return write_all(folder, **SHIFTS)


# The numbers.


def test_both_runs_are_evaluated_on_the_same_images(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    comparison = compare_runs(runs)
    assert comparison.bootstrap is not None
    assert (comparison.bootstrap.resamples, comparison.bootstrap.units) == (RESAMPLES, 400)
    keys = [Key(name) for name in ("AP", "AP50", "AP75", "AP_easy")]
    samples = [read_mean_sample(run / "matches.npz") for run in runs]
    first, second = (bootstrap(sample, keys, RESAMPLES, SEED) for sample in samples)
    for key, expected in zip(keys, paired(first, second, [True] * 4), strict=True):
        one, other = comparison.metrics[key.metric]
        assert one is not None
        assert one.paired is None
        assert other is not None
        assert other.paired == expected
        assert expected is not None
        # What the runs share with each other does not blur their difference.
        assert other.interval is not None
        assert expected.interval.standard_error < 0.2 * other.interval.standard_error
    assert comparison.metrics["AP_hard"][1].paired is None  # type: ignore[union-attr]


def test_rows_of_all_conditions_are_one_family(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path))
    tests = [
        row.paired[1] for condition in comparison.conditions.values() for row in condition.rows
    ]
    assert all(
        row.paired[0] is None
        for condition in comparison.conditions.values()
        for row in condition.rows
    )
    found = [test for test in tests if test is not None]
    assert len(found) == len(tests) - 1  # one bin has no persons
    assert holm([test.p_value for test in found]) == [test.p_adjusted for test in found]


def test_figures_that_sum_up_conditions_are_tested(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path))
    drop, slope = (comparison.robustness["person-iou"][name][1] for name in ("AP_drop", "AP_slope"))
    for figure in (drop, slope):
        assert figure is not None
        assert figure.difference is not None
        assert figure.paired is not None
        low, high = figure.paired.interval.percentile
        assert low < figure.difference < high
        assert figure.paired.p_adjusted < 0.001
        assert figure.paired.p_worse == 1
    level = comparison.robustness["crowd-level"]["AP_drop"][1]
    assert level is not None
    assert level.paired is not None
    assert level.paired.p_adjusted > 0.05


def test_the_smaller_number_of_resamples_counts(tmp_path: Path) -> None:
    runs = [write_sampled(tmp_path / "a"), write_sampled(tmp_path / "b", resamples=150)]
    sampled = compare_runs(runs).bootstrap
    assert sampled is not None
    assert sampled.resamples == 150


def test_a_run_and_its_copy_do_not_differ(tmp_path: Path) -> None:
    runs = [write_sampled(tmp_path / "x" / "a"), write_sampled(tmp_path / "y" / "a")]
    comparison = compare_runs(runs)
    test = comparison.metrics["AP"][1].paired  # type: ignore[union-attr]
    assert test is not None
    assert (test.interval.percentile, test.p_value, test.p_worse) == ((0, 0), 1, 0.5)
    assert main_findings(comparison) == ["AP of y/a is that of x/a on every resample."]
    assert comparison_tables(comparison).metrics.cells[0][3:5] == ("0.00", "0.00 to 0.00")


# What can't be tested.


def notes_of(comparison: Comparison) -> list[str]:
    return [note for note in comparison.notes if "chance" in note]


def test_runs_without_matches_or_resampling_are_named(tmp_path: Path) -> None:
    runs = [*two_runs(tmp_path), *write_all(tmp_path, c=nothing)]
    (runs[1] / "matches.npz").unlink()
    comparison = compare_runs(runs)
    assert comparison.metrics["AP"][1].paired is None  # type: ignore[union-attr]
    assert comparison.metrics["AP"][2].paired is not None  # type: ignore[union-attr]
    [note] = notes_of(comparison)
    assert note == (
        "Whether the differences of b to a are more than chance is not tested: b has no "
        "matches.npz; `crowdbench score` writes it."
    )
    folder = RunFolder(runs[2])
    folder.write(replace(folder.read(Metrics), bootstrap=None))
    comparison = compare_runs(runs)
    assert comparison.bootstrap is None
    assert notes_of(comparison)[1] == (
        "Whether the differences of c to a are more than chance is not tested: c was scored "
        "without resampling; `crowdbench score` does it."
    )
    assert main_findings(comparison) == []


def test_runs_of_other_images_cannot_be_paired(tmp_path: Path) -> None:
    runs = [write_sampled(tmp_path / "a"), write_sampled(tmp_path / "b", n=100)]
    folder = RunFolder(runs[1])
    run, metrics = folder.read(Run), folder.read(Metrics)
    protocol = replace(run.protocol, images=100)
    folder.write(replace(run, protocol=protocol))
    folder.write(replace(metrics, protocol=protocol))
    comparison = compare_runs(runs, allow_mixed=True)
    assert comparison.bootstrap is None
    [note] = notes_of(comparison)
    assert "not tested: b has 100 images in 100 units (image), a 400 in 400" in note


def test_one_image_alone_tells_nothing_of_chance(tmp_path: Path) -> None:
    runs = [write_sampled(tmp_path / name, shift, n=1) for name, shift in SHIFTS.items()]
    comparison = compare_runs(runs)
    assert comparison.bootstrap is None
    [note] = notes_of(comparison)
    assert "a has one image only, so every resample is the same." in note


def test_matches_of_other_numbers_are_refused(tmp_path: Path) -> None:
    runs = two_runs(tmp_path)
    other = write_sampled(tmp_path / "other", lambda _: 0.001)
    (other / "matches.npz").rename(runs[1] / "matches.npz")
    with pytest.raises(InputError, match=r"not the matches of metrics\.json \(AP would be 0\.49"):
        compare_runs(runs)


def test_numbers_that_nobody_has_need_no_note(tmp_path: Path) -> None:
    none: dict[str, Any] = {"metrics": {}, "conditions": {}, "robustness": {}}
    folder = RunFolder(two_runs(tmp_path)[0])
    runs = [write_run(tmp_path / name, folder.read(Run), **none).path for name in "cd"]
    assert notes_of(compare_runs(runs)) == []


# What is said.


def test_the_table_of_two_runs_has_the_tests(tmp_path: Path) -> None:
    tables = comparison_tables(compare_runs(two_runs(tmp_path)))
    tests = ("difference", "95 % interval", "p (Holm)", "P(worse)", "detectable")
    assert tables.metrics.header == ("metric", "a", "b", *tests, "n")
    assert tables.differences is None
    shown = dict(zip(tables.metrics.header, tables.metrics.cells[0], strict=True))
    assert (shown["b"], shown["difference"]) == ("50.83", "+1.25*")
    assert (shown["p (Holm)"], shown["P(worse)"]) == ("< 0.001", "< 0.001")
    low, high = (float(end) for end in shown["95 % interval"].split(" to "))
    assert 0 < low < 1.25 < high < 2
    assert tables.metrics.cells[2][3][-1] != "*"  # AP75
    assert tables.metrics.cells[4][3:8] == ("-",) * 5  # AP_hard


def test_more_runs_have_a_table_of_their_own_for_the_tests(tmp_path: Path) -> None:
    runs = [*two_runs(tmp_path), *write_all(tmp_path, c=lambda _: -0.1)]
    tables = comparison_tables(compare_runs(runs))
    assert tables.metrics.header == ("metric", "a", "b", "c", "n")
    assert tables.metrics.cells[0][1:4] == ("49.58", "50.83 (+1.25*)", "39.58 (-10.00*)")
    assert tables.differences is not None
    assert [row[:3] for row in tables.differences.cells[:2]] == [
        ("AP", "b", "+1.25*"),
        ("AP", "c", "-10.00*"),
    ]
    assert tables.differences.cells[1][5] == "> 0.999"
    files = contents_of(compare_runs(runs), tmp_path / "out")
    assert "## Is the difference real?" in files["comparison.md"].decode()
    assert "<h3>Is the difference real?</h3>" in files["index.html"].decode()
    # A comparison of two runs in the same folder has no such table.
    assert "tables/differences.csv" in files
    assert "tables/differences.csv" not in contents_of(compare_runs(runs[:2]), tmp_path / "out")


def contents_of(comparison: Comparison, folder: Path) -> dict[str, bytes]:
    write_comparison(comparison, folder)
    return contents(folder)


def test_the_sentences_name_the_rows_that_differ(tmp_path: Path) -> None:
    mixed: Shift = lambda key: -0.02 if (key.row or "").startswith(">= 0.") else 0.02  # noqa: E731
    runs = [*two_runs(tmp_path), *write_all(tmp_path, c=mixed)]
    comparison = compare_runs(runs)
    assert row_findings(comparison, comparison.conditions["person-iou"]) == [
        'b is worse than a in the rows "0.3 - 0.5" to "0.9 and more" only.',
        "c is better than a in all rows.",
    ]
    assert row_findings(comparison, comparison.conditions["detector-confidence"]) == [
        "b: no row shows a difference to a.",
        'c is worse than a in the rows ">= 0.1" to ">= 0.9", and better than a in the row ">= 0".',
    ]
    found = main_findings(comparison)
    assert found[0].startswith("AP of b is better than that of a: +1.25 points, 95 % interval +")
    assert found[0].endswith(", p (Holm) < 0.001.")
    assert "would be found 8 times of 10." in found[-1]


def test_rows_that_are_not_tested_are_named(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path))
    compared = comparison.conditions["person-iou"]

    def said(*untested: str) -> str:
        rows = tuple(
            replace(row, paired=(None, None)) if row.label in untested else row
            for row in compared.rows
        )
        return "".join(row_findings(comparison, replace(compared, rows=rows)))

    assert said("0 - 0.1", "0.5 - 0.7") == (
        'b is worse than a in the rows "0.3 - 0.5" and "0.9 and more" only. Too few images to test '
        'the rows "0 - 0.1" and "0.5 - 0.7".'
    )
    easier, harder = ("0 - 0.1", "0.1 - 0.3"), ("0.3 - 0.5", "0.5 - 0.7", "0.9 and more")
    assert said(*harder) == (
        'b: no tested row shows a difference to a. Too few images to test the rows "0.3 - 0.5" to '
        '"0.9 and more".'
    )
    assert said(*easier) == (
        'b is worse than a in the rows "0.3 - 0.5" to "0.9 and more". Too few images to test the '
        'rows "0 - 0.1" and "0.1 - 0.3".'
    )
    assert said(*easier, *harder) == ""


def test_the_same_is_said_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = compare_runs(two_runs(tmp_path))
    files = contents_of(comparison, tmp_path / "out")
    print_comparison(comparison, tmp_path)
    sentences = [
        *main_findings(comparison),
        *row_findings(comparison, comparison.conditions["crowd-level"]),
        legend(comparison),
    ]
    texts = {
        "terminal": capsys.readouterr().out,
        "markdown": html.unescape(files["comparison.md"].decode().replace("\\", "")),
        "page": html.unescape(files["index.html"].decode()),
    }
    for form, text in texts.items():
        for sentence in sentences:
            assert sentence in text, form
        assert "p = 0.000" not in text
        assert "0.000 |" not in text
    assert "same 200 resamples of the 400 images (seed 0)" in legend(comparison)


def test_the_csv_tables_and_the_record_hold_the_tests_in_full(tmp_path: Path) -> None:
    comparison = compare_runs(two_runs(tmp_path))
    files = contents_of(comparison, tmp_path / "out")
    assert msgspec.json.decode(files["comparison.json"], type=Comparison) == comparison
    read = pd.read_csv(tmp_path / "out/tables/metrics.csv").set_index(["metric", "run"])
    figure = comparison.metrics["AP"][1]
    assert figure is not None
    assert figure.paired is not None
    row = read.loc["AP", "b"]
    assert (row.difference_low, row.difference_high) == figure.paired.interval.percentile
    assert (row.p_value, row.p_adjusted) == (figure.paired.p_value, figure.paired.p_adjusted)
    assert (row.p_worse, row.detectable) == (figure.paired.p_worse, figure.paired.detectable)
    assert pd.isna(read.loc["AP", "a"].p_value)
    read = pd.read_csv(tmp_path / "out/tables/condition-person-iou.csv")
    test = comparison.conditions["person-iou"].rows[0].paired[1]
    assert test is not None
    assert (read.p_adjusted[1], read.difference_low[1]) == (
        test.p_adjusted,
        test.interval.percentile[0],
    )
    assert read.AP_low[0] < read.AP[0] < read.AP_high[0]


def test_plots_show_the_intervals_of_up_to_four_runs(tmp_path: Path) -> None:
    runs = [*two_runs(tmp_path), *write_all(tmp_path, c=nothing, d=nothing, e=nothing)]
    for n, n_drawn, whose in ((4, 4, "each run"), (5, 1, "the first run")):
        plots = comparison_plots(compare_runs(runs[:n]))
        axes = plots["detector-confidence"].figure.axes[0]
        assert len([band for band in axes.collections if band.get_paths()]) == n_drawn
        assert f"Bands: intervals of {whose} by itself." in plots["detector-confidence"].caption
        assert "Bars: " in plots["person-iou"].caption
        assert "Dark lines: " in plots["crowd-level"].caption
    line, other = plots["person-iou"].figure.axes[0].get_lines()[:2]
    assert line.get_xdata()[0] < other.get_xdata()[0]  # else their bars would cover each other
