"""The tables of the conditions: what is shown, and that the CSV has all of it."""

from __future__ import annotations

import io

import msgspec
import pandas as pd
import pytest

from crowdbench.results import ConditionRow, Metric
from reports.condition_tables import condition_tables, robustness_table
from reports.tables import Table
from tests.reports.records import THIRD, make_facts, make_metrics, make_row, make_run


def table_of(rows: tuple[ConditionRow, ...], condition: str = "person-iou") -> Table:
    metrics = msgspec.structs.replace(
        make_metrics(make_run()),
        conditions={"x": rows},
        condition_facts={"x": make_facts()[condition]},
    )
    return condition_tables(metrics)["x"]


def read_csv(table: Table) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(table.csv()), dtype=str, keep_default_na=False)


def test_the_csv_has_every_number_at_full_precision() -> None:
    metrics = make_metrics(make_run())
    for name, table in condition_tables(metrics).items():
        for row, read in zip(
            metrics.conditions[name], read_csv(table).to_dict("records"), strict=True
        ):
            assert read["label"] == row.label
            for field in (
                "threshold",
                "low",
                "high",
                "n_images",
                "n_persons",
                "n_boxes",
                "n_poses",
            ):
                value = getattr(row, field)
                if value is msgspec.UNSET:
                    assert field not in read
                else:
                    assert read[field] == ("" if value is None else repr(value))
            for metric, found in row.metrics.items():
                assert read[metric] == ("" if found.value is None else repr(found.value))
                assert read[f"{metric}_n"] == str(found.n)


def test_counts_are_shown_where_they_apply() -> None:
    tables = condition_tables(make_metrics(make_run()))
    axis = "least score of a box"
    assert tables["detector-confidence"].header[:4] == (axis, "persons", "boxes", "poses")
    assert tables["person-iou"].header[1:3] == ("persons", "AP")
    assert tables["crowd-level"].header[1:4] == ("images", "persons", "AP")


def test_metrics_are_in_the_usual_order_and_those_without_any_value_are_left_out() -> None:
    names = ("odd", "AP_hard", "AR", "AP_easy", "AP", "AP_M")
    metrics = {name: Metric(None if name == "AP_M" else THIRD, 1, True, None) for name in names}
    row = msgspec.structs.replace(make_row("a", 0.5), metrics=metrics)
    table = table_of((row, make_row("b", 0.5)))
    assert table.header[2:] == ("AP", "AP50", "AP75", "AR", "AP_easy", "AP_hard")
    assert table.cells[0][2:] == ("33.33", "-", "-", "33.33", "33.33", "33.33")
    assert {"odd", "AP_M"} <= set(read_csv(table).columns)


def test_equal_reasons_are_one_footnote() -> None:
    table = table_of((make_row("a", None, 0), make_row("b", 0.5), make_row("c", None, 0)))
    assert [row[2] for row in table.cells] == ["-¹", "50.00", "-¹"]
    assert table.footnotes == ("no person is evaluated",)


def test_rows_are_sorted_by_their_place_and_numbers_by_their_value() -> None:
    table = table_of((make_row(">= 9", THIRD, 5), make_row(">= 10", None, 0)))
    assert [row[:3] for row in table.sort_keys()] == [[1.0, 5.0, THIRD], [2.0, 0.0, None]]


def test_a_condition_of_unknown_metrics_shows_the_first_ones() -> None:
    metrics = {f"m{i}": Metric(0.5, 1, True, None) for i in range(9)}
    table = table_of((msgspec.structs.replace(make_row("a", 0.5), metrics=metrics),))
    assert table.header[2:] == tuple(f"m{i}" for i in range(6))
    assert {f"m{i}" for i in range(9)} <= set(read_csv(table).columns)


def test_robustness_has_a_row_per_condition_and_a_column_per_figure() -> None:
    table = robustness_table(make_metrics(make_run()))
    assert table.header == (
        "condition",
        "AP_drop (lower is better)",
        "AP_mean (higher is better)",
        "AP_slope (higher is better)",
    )
    assert table.cells == (
        ("Detector confidence", "4.99", "45.00", "-"),
        ("Overlap of persons", "-¹", "-", "-21.00"),
    )
    assert table.footnotes == ("no persons in the hardest bin",)
    read = read_csv(table).to_dict("records")
    assert float(read[0]["AP_drop"]) == 0.0498765432101
    assert read[1]["remarks"] == "AP_drop: no persons in the hardest bin"


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
def test_tables_without_rows_can_be_written(form: str) -> None:
    metrics = msgspec.structs.replace(make_metrics(make_run()), conditions={}, robustness={})
    assert condition_tables(metrics) == {}
    assert getattr(robustness_table(metrics), form)()
