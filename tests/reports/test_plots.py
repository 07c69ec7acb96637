"""The plots of a run, read back from their drawings."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest

from crowdbench.results import ConditionFacts, ConditionRow, KeypointMetrics, Metric, OksHistogram
from reports.figure import svg_of
from reports.plot import Plot
from reports.plots import condition_plots, keypoints_plot, oks_plot, precision_recall_plot
from tests.reports.records import make_facts, make_metrics, make_row, make_run


def plot_of(rows: tuple[ConditionRow, ...], **facts: object) -> Plot:
    condition: ConditionFacts = msgspec.structs.replace(make_facts()["person-iou"], **facts)
    metrics = msgspec.structs.replace(
        make_metrics(make_run()), conditions={"x": rows}, condition_facts={"x": condition}
    )
    return condition_plots(metrics)["x"]


def texts(plot: Plot) -> list[str]:
    root = ET.fromstring(svg_of(plot.figure, plot.name))
    return [element.text or "" for element in root.iter("text")]


def ticks(plot: Plot) -> list[str]:
    return [label.get_text() for label in plot.figure.axes[1].get_xticklabels()]


def test_metrics_stand_above_what_takes_part_with_units_and_direction() -> None:
    plots = condition_plots(make_metrics(make_run()))
    shown = texts(plots["detector-confidence"])
    assert {"average precision, %", "boxes", "least score of a box   (harder →)"} <= set(shown)
    assert {"AP", "AP50", "AP75"} <= set(shown)
    assert ticks(plots["detector-confidence"]) == ["0", "0.1", "0.2", "0.3", "0.5", "0.7", "0.9"]
    shown = texts(plots["crowd-level"])
    assert {"easy", "medium", "hard", "persons", "2,000", "4,000", "1,074"} <= set(shown)


def test_captions_name_n_and_the_rule() -> None:
    plots = condition_plots(make_metrics(make_run()))
    caption = plots["detector-confidence"].caption
    assert "n = 7,074 evaluated persons at each threshold." in caption
    assert "Rule: boxes(score>=t)+oks-nms(0.9)." in caption
    assert "n = 0 to 2,100 evaluated persons in each bin." in plots["person-iou"].caption


def test_a_row_without_a_value_is_a_gap_and_no_zero() -> None:
    plot = plot_of((make_row("a", 0.5), make_row("b", None, 0), make_row("c", 0.4)))
    assert texts(plot).count("no persons") == 1
    for line in plot.figure.axes[0].get_lines():
        low, gap, high = line.get_ydata()
        assert gap != gap
        assert 0 < low <= 100
        assert 0 < high <= 100


def test_rows_without_any_value_are_all_gaps() -> None:
    plot = plot_of((make_row("a", None, 0), make_row("b", None, 3)))
    assert texts(plot).count("no persons") == texts(plot).count("no value") == 1


def test_where_persons_are_chosen_recall_is_drawn_as_well() -> None:
    rows = (make_row("a", 0.5), make_row("b", 0.4))
    for selects, drawn in (("persons", "AR"), ("images", "AP75"), ("poses", "AP75")):
        shown = set(texts(plot_of(rows, selects=selects)))
        assert {"AP", "AP50", drawn} == shown & {"AP", "AP50", "AP75", "AR"}


def test_points_on_few_persons_are_hollow_and_the_caption_says_so() -> None:
    plot = plot_of((make_row("a", 0.5), make_row("b", 0.4, 29), make_row("c", 0.3, 30)))
    assert "Hollow points rest on fewer than 30 persons." in plot.caption
    lines = plot.figure.axes[0].get_lines()
    assert [list(line.get_xdata()) for line in lines].count([1.0]) == 3
    assert "Hollow" not in plot_of((make_row("a", 0.5), make_row("b", None, 0))).caption


def test_a_condition_that_gets_harder_downwards_says_so() -> None:
    shown = texts(plot_of((make_row("0 - 32", 0.5),), axis="size, px", harder="down"))
    assert "size, px   (← harder)" in shown


def test_poses_are_counted_where_a_condition_has_no_boxes() -> None:
    rows = tuple(make_row(f">= {t}", 0.5, threshold=t, n_poses=9) for t in (0.0, 0.5))
    assert "poses" in texts(plot_of(rows, kind="threshold", selects="poses"))


def test_thresholds_too_close_to_tell_apart_stand_side_by_side() -> None:
    values = (-3.5, 0.0, 0.001, 17.0, 123456.7)
    rows = tuple(make_row(f">= {t:g}", 0.5, threshold=t, n_boxes=9) for t in values)
    plot = plot_of(rows, kind="threshold", selects="poses")
    assert ticks(plot) == ["-3.5", "0", "0.001", "17", "123,457"]
    assert list(plot.figure.axes[0].get_lines()[0].get_xdata()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("n", [1, 2, 20])
def test_any_number_of_bins_with_long_labels_fits(n: int) -> None:
    labels = [f"a label that is much too long to stand below a bar, number {i}" for i in range(n)]
    plot = plot_of(tuple(make_row(label, 0.5) for label in labels))
    figure = plot.figure
    svg_of(figure, "x")  # draws it, so that the places of texts are known
    assert len(set(ticks(plot))) == n
    for text in figure.axes[1].get_xticklabels():
        assert text.get_window_extent().y0 >= 0


def test_the_first_metrics_are_drawn_where_the_usual_ones_are_absent() -> None:
    metrics = {name: Metric(0.5, 3, True, None) for name in ("odd", "other", "third", "fourth")}
    shown = texts(plot_of((msgspec.structs.replace(make_row("a", 0.5), metrics=metrics),)))
    assert {"odd", "other", "third", "metric, %"} <= set(shown)
    assert "fourth" not in shown


def test_metrics_that_only_some_rows_have_are_gaps_in_the_others() -> None:
    metrics = {"AP": Metric(0.5, 3, True, None)}
    first = msgspec.structs.replace(make_row("a", 0.5), metrics=metrics)
    plot = plot_of((first, make_row("b", 0.5)))
    by_name = dict(zip(("AP", "AP50", "AR"), plot.figure.axes[0].get_lines(), strict=True))
    assert by_name["AP50"].get_ydata()[0] != by_name["AP50"].get_ydata()[0]
    assert by_name["AP50"].get_ydata()[1] == pytest.approx(70)


def test_a_name_with_dollars_is_no_mathematics() -> None:
    shown = texts(plot_of((make_row("$\\frac{", 0.5),), axis="$x$ _y_ 人"))
    assert "$\\frac{" in shown
    assert "$x$ _y_ □   (harder →)" in shown


def test_precision_ends_where_no_pose_reaches_more_recall() -> None:
    plot = precision_recall_plot(make_metrics(make_run()))
    assert plot is not None
    assert {"OKS 0.50", "OKS 0.75", "recall, %", "precision, %"} <= set(texts(plot))
    first = plot.figure.axes[0].get_lines()[0]
    assert first.get_xdata()[-1] == pytest.approx(81)
    assert "n = 7,074 evaluated persons" in plot.caption


def test_the_shares_of_persons_found_stand_in_the_histogram() -> None:
    histogram = OksHistogram((0.0, 0.5, 0.75, 1.0), (1, 1, 2))
    metrics = msgspec.structs.replace(make_metrics(make_run()), oks_histogram=histogram)
    plot = oks_plot(metrics)
    assert plot is not None
    assert {"75.0 % ≥ 0.50", "50.0 % ≥ 0.75"} <= set(texts(plot))
    assert "n = 4 evaluated persons" in plot.caption


def test_what_is_not_there_is_not_drawn() -> None:
    metrics = msgspec.structs.replace(
        make_metrics(make_run()), curves=(), oks_histogram=None, keypoints=(), conditions={}
    )
    assert precision_recall_plot(metrics) is None
    assert oks_plot(metrics) is None
    assert keypoints_plot(metrics) is None
    assert condition_plots(metrics) == {}
    empty = OksHistogram((0.0, 1.0), (0,))
    assert oks_plot(msgspec.structs.replace(metrics, oks_histogram=empty)) is None


def test_as_many_keypoints_as_whole_bodies_have_are_drawn() -> None:
    keypoints = tuple(KeypointMetrics(f"left_hand_{i}", 9000, 1, 0.5, 0.6) for i in range(133))
    metrics = msgspec.structs.replace(make_metrics(make_run()), keypoints=keypoints)
    plot = keypoints_plot(metrics)
    assert plot is not None
    shown = texts(plot)
    assert {"left hand 0 (9,000)", "left hand 132 (9,000)", "PCK"} <= set(shown)
