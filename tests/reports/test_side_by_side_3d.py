"""3D runs side by side: units, the main metric, and curves of 3DPCK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from matplotlib.text import Text
from msgspec.structs import replace

from crowdbench.errors import UsageError
from crowdbench.results import Metric
from reports.side_by_side import compare_runs
from reports.side_by_side_plots import comparison_plots
from reports.side_by_side_record import Comparison
from reports.side_by_side_tables import comparison_tables
from reports.side_by_side_wording import legend
from reports.side_by_side_writing import write_comparison
from tests.command import contents
from tests.reports.hostile import EVIL, Elements, with_hostile_texts
from tests.reports.records import make_run, write_run
from tests.reports.records_3d import make_metrics_3d, make_run_3d, write_run_3d


def _moved(metrics: dict[str, Metric], shift: float) -> dict[str, Metric]:
    def value(metric: Metric) -> float | None:
        scale = 100 if metric.unit == "mm" else 1
        return None if metric.value is None else metric.value + scale * shift

    return {name: replace(metric, value=value(metric)) for name, metric in metrics.items()}


def write(path: Path, shift: float = 0.0, **changes: Any) -> Path:
    """Write a scored run; `shift` is added to fractions, a hundred times as many mm to errors."""
    metrics = make_metrics_3d(make_run_3d())
    moved = {
        "metrics": _moved(metrics.metrics, shift),
        "conditions": {
            name: tuple(replace(row, metrics=_moved(row.metrics, shift)) for row in rows)
            for name, rows in metrics.conditions.items()
        },
    }
    return write_run_3d(path, **(moved | changes)).path


def compared(folder: Path, shift: float = -0.05) -> Comparison:
    return compare_runs([write(folder / "a"), write(folder / "b", shift)])


def test_differences_are_in_points_or_mm(tmp_path: Path) -> None:
    comparison = compared(tmp_path)
    table = comparison_tables(comparison).metrics
    rows = {row[0]: row[1:] for row in table.cells}
    assert rows["3DPCK_all"] == ("50.00", "45.00 (-5.00)", "226")
    value = comparison.metrics["MPJPE_mm"][0]
    assert value is not None
    assert value.value is not None
    assert value.unit == "mm"
    assert rows["MPJPE_mm (lower is better)"] == (
        f"{value.value:.1f}",
        f"{value.value - 5:.1f} (-5.0)",
        "226",
    )
    assert legend(comparison).startswith("In percent, metrics named _mm in millimetres; in")
    data = table.data.set_index(["metric", "run"])
    assert data.unit["MPJPE_mm", "b"] == "mm"
    assert data.difference["MPJPE_mm", "b"] == pytest.approx(-5)


def test_rows_of_conditions_are_compared_by_the_main_metric(tmp_path: Path) -> None:
    comparison = compared(tmp_path)
    assert comparison.main_metric == "3DPCK_all"
    (row, _) = comparison.conditions["joint-visibility"].rows
    assert row.differences == pytest.approx((0.0, -0.05))
    table = comparison_tables(comparison).conditions["joint-visibility"]
    assert table.cells[0] == ("visible", "60.00", "55.00 (-5.00)", "100")
    assert "3DPCK_all_difference" in table.data.columns


def test_curves_of_all_runs_are_drawn_a_panel_for_each_kind(tmp_path: Path) -> None:
    plots = comparison_plots(compared(tmp_path))
    plot = plots[""]
    assert plot.name == "pck-curve"
    assert len(plot.figure.axes) == 4
    for axes in plot.figure.axes:
        assert len(axes.lines) == 2
        assert axes.get_xlim() == (0, 150)
    shown = [text.get_text() for text in plot.figure.findobj(Text)]
    assert {"a", "b", "3DPCK_all", "3DPCK_matched_abs", "threshold, mm"} <= set(shown)
    upper = plots["distance"].figure.axes[0]
    assert upper.get_ylabel() == "3DPCK_all, %"


def test_the_files_name_the_main_metric_and_have_the_curves(tmp_path: Path) -> None:
    comparison = compared(tmp_path)
    write_comparison(comparison, tmp_path / "out")
    files = contents(tmp_path / "out")
    record = json.loads(files["comparison.json"])
    assert record["main_metric"] == "3DPCK_all"
    assert record["runs"][0]["pck_curves"][0]["metric"] == "3DPCK_all"
    assert msgspec.json.decode(files["comparison.json"], type=Comparison) == comparison
    assert "plots/pck-curve.svg" in files
    page, markdown = files["index.html"].decode(), files["comparison.md"].decode()
    for text in (page, markdown):
        assert "Distance: 3DPCK_all" in text
        assert "Distance: AP" not in text
    assert "-5.00 points" in page
    assert "3DPCK_all on the whole split" in page
    # The plot goes when the runs have no curves any more.
    runs = [write_run(tmp_path / name, make_run()).path for name in ("c", "d")]
    write_comparison(compare_runs(runs), tmp_path / "out")
    assert "plots/pck-curve.svg" not in contents(tmp_path / "out")


def test_a_run_without_the_main_metric_has_no_difference(tmp_path: Path) -> None:
    absent = {"3DPCK_all": Metric(None, 0, True, "no keypoints")}
    runs = [write(tmp_path / "a"), write(tmp_path / "b", metrics=absent, conditions={})]
    for order in (runs, runs[::-1]):
        write_comparison(compare_runs(order), tmp_path / "out")
        page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        assert "no keypoints" in page
    assert "no difference: the first run has no 3DPCK_all" in page


def test_2d_and_3d_runs_are_never_compared(tmp_path: Path) -> None:
    runs = [write(tmp_path / "a"), write_run(tmp_path / "b", make_run()).path]
    with pytest.raises(UsageError, match="other rules for 3D poses"):
        compare_runs(runs, allow_mixed=True)


def test_hostile_texts_bring_no_element_into_the_page(tmp_path: Path) -> None:
    comparison = compared(tmp_path)
    write_comparison(comparison, tmp_path / "benign")
    write_comparison(with_hostile_texts(comparison), tmp_path / "evil")
    pages = [
        Elements((tmp_path / name / "index.html").read_text(encoding="utf-8")).kinds
        for name in ("benign", "evil")
    ]
    footnotes = {("ul", ""), ("ul", "class"), ("li", ""), ("section", "id"), ("br", "")}
    assert pages[1] <= pages[0] | footnotes
    for path in (tmp_path / "evil").rglob("*.svg"):
        assert EVIL not in path.read_text(encoding="utf-8")
