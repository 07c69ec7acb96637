"""What a run's report shows of the intervals of its numbers."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from msgspec.structs import replace

from crowdbench.record import RunFolder
from crowdbench.results import Interval, Metric, Metrics
from reports.condition_tables import condition_tables, robustness_table
from reports.content import read_content
from reports.intervals import intervals_legend
from reports.markdown import markdown_page
from reports.plots import condition_plots
from reports.run_page import html_page
from reports.tables import Table, metrics_table
from tests.reports.records import make_metrics, make_run
from tests.reports.samples import RESAMPLES, write_sampled

LEGEND = "95 % intervals (percentile) are from 200 resamples of the 400 images (seed 0)"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(write_sampled(tmp_path / "run"))


@pytest.fixture
def metrics(folder: RunFolder) -> Metrics:
    return folder.read(Metrics)


def read_csv(table: Table) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(table.csv()))


def interval_of(metric: Metric) -> Interval:
    assert isinstance(metric.interval, Interval)
    return metric.interval


def test_the_table_of_metrics_has_the_interval_of_every_number(metrics: Metrics) -> None:
    table = metrics_table(metrics)
    assert table.header == ("metric", "%", "95 % interval", "n", "remark")
    low, high = interval_of(metrics.metrics["AP"]).percentile
    assert table.cells[0][2] == f"{100 * low:.2f} - {100 * high:.2f}"
    assert table.cells[-1][:3] == ("AP_hard", "-", "-")
    assert "95 % interval" in table.markdown()
    assert r"95 \% interval" in table.latex()


def test_the_csv_has_both_kinds_of_interval_in_full(metrics: Metrics) -> None:
    read = read_csv(metrics_table(metrics)).set_index("metric")
    interval = interval_of(metrics.metrics["AP"])
    assert interval.bca is not None
    row = read.loc["AP"]
    assert (row.low, row.high) == interval.percentile
    assert (row.bca_low, row.bca_high) == interval.bca
    assert row.standard_error == interval.standard_error
    assert read.loc["AP_hard", ["low", "standard_error"]].isna().all()


def test_an_interval_without_bca_has_the_percentile_one(metrics: Metrics) -> None:
    percentile = Interval((0.25, 0.75), None, 0.1)
    changed = replace(metrics, metrics={"AP": Metric(0.5, 9, True, None, interval=percentile)})
    table = metrics_table(changed)
    assert table.cells[0][2] == "25.00 - 75.00"
    row = read_csv(table).iloc[0]
    assert (row.low, row.high) == (0.25, 0.75)
    assert pd.isna(row.bca_low)


def test_rows_of_conditions_have_the_interval_of_the_main_metric_and_all_in_the_csv(
    metrics: Metrics,
) -> None:
    rows = metrics.conditions["person-iou"]
    table = condition_tables(metrics)["person-iou"]
    assert table.header[2:5] == ("AP", "AP, 95 %", "AP50")
    low, high = interval_of(rows[0].metrics["AP"]).percentile
    assert table.cells[0][3] == f"{100 * low:.1f} - {100 * high:.1f}"
    assert table.cells[4][2:4] == ("-¹", "-")  # no person is in this bin
    read = read_csv(table)
    for name in ("AP", "AP50", "AR"):
        assert (read[f"{name}_low"][0], read[f"{name}_high"][0]) == interval_of(
            rows[0].metrics[name]
        ).percentile
    keys = [row[3] for row in table.sort_keys()]
    assert keys[0] == low
    assert keys[4] is None


def test_figures_that_sum_up_a_condition_have_theirs_in_brackets(metrics: Metrics) -> None:
    drop = Metric(0.05, 7, False, None, interval=Interval((0.04, 0.07), (0.041, 0.068), 0.01))
    slope = Metric(-0.21, 7, True, None, interval=Interval((-0.3, -0.1), None, 0.05))
    figures = {"AP_drop": drop, "AP_slope": slope, "AP_area": Metric(0.4, 7, True, None)}
    table = robustness_table(replace(metrics, robustness={"person-iou": figures}))
    assert table.cells[0][1:] == ("5.00 (4.00 - 7.00)", "-21.00 (-30.00 to -10.00)", "40.00")
    row = read_csv(table).iloc[0]
    assert (row.AP_drop_low, row.AP_drop_high) == (0.04, 0.07)
    assert pd.isna(row.AP_area_low)


def test_the_pages_say_how_the_intervals_were_made(folder: RunFolder) -> None:
    content = read_content(folder)
    assert LEGEND in markdown_page(content)
    page = html_page(content)
    assert LEGEND in page
    ap = content.metrics.metrics["AP"]
    low, high = interval_of(ap).percentile
    assert f'<dd class="remark">95 %: {100 * low:.1f} - {100 * high:.1f}</dd>' in page
    assert f'data-key="{low}">{100 * low:.2f} - {100 * high:.2f}</td>' in page


def test_few_units_are_warned_of(metrics: Metrics) -> None:
    assert metrics.bootstrap is not None
    assert metrics.bootstrap.resamples == RESAMPLES
    assert "coarse" not in intervals_legend(metrics.bootstrap)
    few = replace(metrics.bootstrap, unit="sequence", units=20, images_per_unit=800)
    words = intervals_legend(few)
    assert "200 resamples of the 20 sequences" in words
    assert "With no more than 20 sequences to draw from, intervals are coarse" in words
    blocks = replace(few, unit="block", units=40, images_per_unit=50)
    assert "the 40 blocks of up to 50 consecutive images" in intervals_legend(blocks)


def test_plots_show_the_intervals_of_the_main_metric(metrics: Metrics) -> None:
    plots = condition_plots(metrics)
    for name, drawn_as in (("detector-confidence", "Band"), ("person-iou", "Bars")):
        axes = plots[name].figure.axes[0]
        [drawn] = axes.collections
        rows = [r for r in metrics.conditions[name] if r.metrics["AP"].value is not None]
        ends = [100 * end for row in rows for end in interval_of(row.metrics["AP"]).percentile]
        heights = [y for path in drawn.get_paths() for _, y in path.vertices if y == y]
        assert {round(end, 9) for end in ends} == {round(float(y), 9) for y in heights}
        low, high = axes.get_ylim()
        assert low <= min(ends)
        assert max(ends) <= high
        assert f" {drawn_as}: the 95 % intervals of AP. Rule:" in plots[name].caption


def test_without_intervals_nothing_speaks_of_them() -> None:
    metrics = make_metrics(make_run())
    tables = [metrics_table(metrics), *condition_tables(metrics).values()]
    for table in (*tables, robustness_table(metrics)):
        assert not [name for name in (*table.header, *table.data.columns) if "95" in name]
        assert not [name for name in table.data.columns if name.endswith("_low")]
    for plot in condition_plots(metrics).values():
        assert "interval" not in plot.caption
        assert not [c for c in plot.figure.axes[0].collections if c.get_paths()]
