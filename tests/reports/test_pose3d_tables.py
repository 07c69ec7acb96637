"""The tables of 3D runs: by sequence, by joint, by way to average, beside published rows."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from crowdbench.metrics.catalogue import METRICS
from reports.pose3d_tables import (
    averages_table,
    joint_groups_table,
    joints_table,
    sequences_table,
)
from reports.published import Entry, Published, load_published
from reports.published_3d import rows_of_methods
from reports.published_table import published_table
from reports.tables import Table, metrics_table
from tests.reports.records_3d import NAMES, make_metric, make_metrics_3d, make_run_3d

MUPOTS = load_published("mupots")


def rows_of(table: Table, metric: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of a metric by method, without the marks of footnotes."""
    return {
        row[0].rstrip("⁰¹²³⁴⁵⁶⁷⁸⁹"): row
        for row in table.cells
        if row[table.header.index("metric")] == metric
    }


def cell(table: Table, row: tuple[str, ...], column: str) -> str:
    return row[table.header.index(column)]


def sequences(published: Published = MUPOTS) -> Table:
    run = make_run_3d()
    return sequences_table(run, make_metrics_3d(run), published)


def test_published_metrics_have_our_names() -> None:
    names = {name for entry in MUPOTS.entries for name in entry.metrics}
    assert names - {"per_sequence", "per_joint"} == {
        *("3DPCK_all", "3DPCK_matched", "MPJPE_mm", "PA_MPJPE_rigid_mm"),
    }
    assert names - {"per_sequence", "per_joint"} <= set(METRICS)


def test_sequences_stand_beside_every_published_row_as_the_paper_prints_them() -> None:
    table = sequences()
    assert table.header[2:23] == (*(f"TS{i}" for i in range(1, 21)), "average")
    found = rows_of(table, "3DPCK_all")
    methods = ["replay (this run)", "LCR", "Singleshot", "Xnect", "LCR++", "PandaNet", "3DMPPE"]
    assert list(found) == [*methods, "PI-Net"]
    pi_net = found["PI-Net"]
    assert [cell(table, pi_net, name) for name in ("TS1", "TS20", "average")] == [
        *("93.5", "71.1", "82.5"),
    ]
    assert cell(table, pi_net, "source") == "pi-net-3d, Table 1"
    assert cell(table, pi_net, "boxes") == "gt"
    assert "gt roots" in cell(table, pi_net, "settings")
    # PandaNet's sequences are not printed.
    assert {cell(table, found["PandaNet"], f"TS{i}") for i in range(1, 21)} == {"-"}
    assert cell(table, found["PandaNet"], "average") == "72.0"
    # The averages as printed, also where they have more digits.
    rigid = rows_of(table, "PA_MPJPE_rigid_mm")
    assert list(rigid) == ["replay (this run)", "3DMPPE", "PI-Net"]
    assert cell(table, rigid["PI-Net"], "average") == "85.79"
    assert cell(table, rigid["3DMPPE"], "TS8") == "110.1"


def test_the_runs_own_rows_come_first_for_each_metric_and_stand_out() -> None:
    table = sequences()
    ours = [i for i, row in enumerate(table.cells) if row[0].startswith("replay (this run)")]
    assert table.bold == frozenset(ours)
    metrics = [table.cells[i][1] for i in ours]
    assert metrics[:4] == ["3DPCK_all", "3DPCK_matched", "MPJPE_mm", "PA_MPJPE_rigid_mm"]
    assert sorted(metrics) == sorted(NAMES)
    row = rows_of(table, "3DPCK_all")["replay (this run)"]
    shown = [cell(table, row, name) for name in ("TS1", "TS2", "TS3", "TS4", "average")]
    assert shown == ["55.0", "45.0", "-", "-", "50.0"]
    in_mm = rows_of(table, "MPJPE_mm")["replay (this run)"]
    assert cell(table, in_mm, "average") == f"{100 * (1 + NAMES.index('MPJPE_mm') / 100):.1f}"


def test_why_a_sequence_is_missing_and_what_papers_say_are_footnotes() -> None:
    table = sequences()
    assert "mean over 2 sequences: nothing takes part of TS3" in table.footnotes
    assert any(note.startswith("Doubtful: per_sequence. S3, S6") for note in table.footnotes)
    assert any("average is image-wise" in note for note in table.footnotes)
    assert "~~" not in table.latex()


def test_without_published_rows_only_the_runs_sequences_are_columns() -> None:
    table = sequences(Published())
    assert table.header[2:6] == ("TS1", "TS2", "TS3", "average")
    assert {row[0].rstrip("¹") for row in table.cells} == {"replay (this run)"}


def test_the_csv_of_sequences_has_every_digit_with_its_unit() -> None:
    data = pd.read_csv(StringIO(sequences().csv()))
    ours = data[data.origin == "measured"].set_index("metric")
    metric = make_metric("3DPCK_matched")
    assert isinstance(metric.by_sequence, dict)
    assert ours.sequence_TS1["3DPCK_matched"] == 100 * (metric.by_sequence["TS1"] or 0)
    assert ours.unit["3DPCK_matched"] == "%"
    assert ours.average["MPJPE_mm"] == make_metric("MPJPE_mm").value
    assert ours.unit["MPJPE_mm"] == "mm"
    assert pd.isna(ours.sequence_TS3["MPJPE_mm"])


def test_numbers_of_sequences_can_be_sorted_also_where_names_are_those_of_columns() -> None:
    run = make_run_3d(own=True)
    metrics = make_metrics_3d(run)
    assert metrics.pose3d is not None
    odd = tuple(
        msgspec.structs.replace(sequence, name=name)
        for sequence, name in zip(
            metrics.pose3d.sequences, ("average", "metric", "metric"), strict=True
        )
    )
    facts = msgspec.structs.replace(metrics.pose3d, sequences=odd)
    table = sequences_table(run, msgspec.structs.replace(metrics, pose3d=facts), Published())
    assert {len(row) for row in table.cells} == {len(table.header)}
    assert [len(keys) for keys in table.sort_keys()] == [len(table.header)] * len(table.cells)


def test_groups_of_joints_stand_beside_the_published_ones() -> None:
    run = make_run_3d()
    table = joint_groups_table(run, make_metrics_3d(run), MUPOTS)
    groups = ("Hd.", "Nck.", "Sho.", "Elb.", "Wri.", "Hip", "Kn.", "Ank.")
    assert table.header[2:11] == (*groups, "average")
    found = rows_of(table, "3DPCK_all")
    assert list(found) == ["replay (this run)", "LCR", "single-shot", "3DMPPE", "PI-Net"]
    assert found["PI-Net"][2:11] == (
        *("78.3", "91.8", "87.8", "81.9", "68.5", "94.2", "85.3", "74.8", "82.5"),
    )
    assert found["replay (this run)"][2:4] == ("50.0", "51.0")


def test_joints_that_a_metric_leaves_out_have_none() -> None:
    table = joints_table(make_metrics_3d(make_run_3d()))
    rows = {row[0]: row for row in table.cells}
    assert table.header == (
        *("joint", "3DPCK_all", "3DPCK_matched", "AUC_all", "MPJPE_mm", "PA_MPJPE_rigid_mm"),
    )
    assert rows["head_top"][1] == "50.00"
    assert rows["pelvis"][1:4] == ("-", "-", "-")
    assert rows["pelvis"][4] != "-"
    assert {"3DPCK_all_abs", "AUC_matched"} <= set(table.data.columns)


def test_the_average_that_is_the_default_is_named() -> None:
    table = averages_table(make_metrics_3d(make_run_3d()))
    rows = {row[0]: row[1:] for row in table.cells}
    assert rows["3DPCK_all"] == ("%", "50.00", "40.00", "35.00", "sequence")
    assert rows["MPJPE_mm"][-1] == "person"
    assert list(rows) == list(NAMES)


def test_metrics_without_averages_are_in_no_table_of_them() -> None:
    run = make_run_3d()
    plain = msgspec.structs.replace(
        make_metric("3DPCK_all"),
        value=None, averages=msgspec.UNSET, by_sequence=msgspec.UNSET, by_group=msgspec.UNSET,
        by_joint=msgspec.UNSET,
    )  # fmt: skip
    metrics = msgspec.structs.replace(make_metrics_3d(run), metrics={"3DPCK_all": plain})
    assert averages_table(metrics).cells == ()
    assert joints_table(metrics).cells == ()
    assert sequences_table(run, metrics, Published()).cells == ()


def test_values_of_two_units_have_a_column_for_the_unit() -> None:
    table = metrics_table(make_metrics_3d(make_run_3d()))
    assert table.header == ("metric", "value", "unit", "n", "remark")
    rows = {row[0]: row for row in table.cells}
    assert rows["3DPCK_all"][1:3] == ("50.00", "%")
    assert rows["MPJPE_mm"][2] == "mm"
    assert rows["MPJPE_mm"][4] == "lower is better"


# The published table.


def table_of_published(**changes: object) -> Table:
    run = make_run_3d()
    metrics = msgspec.structs.replace(make_metrics_3d(run), **changes)
    return published_table(run, metrics, rows_of_methods(MUPOTS.main_entries))


def test_a_method_has_one_row_of_all_its_tables() -> None:
    table = table_of_published()
    names = [row[0] for row in table.cells]
    best_first = ["PI-Net", "3DMPPE", "Xnect", "Singleshot", "PandaNet", "LCR++", "LCR"]
    assert names == ["replay (this run)", *best_first]
    assert table.header[2:6] == ("3DPCK_all", "3DPCK_matched", "MPJPE_mm", "PA_MPJPE_rigid_mm")
    assert table.cells[1][2:6] == ("82.5", "83.9", "121.7", "85.79")
    assert table.cells[1][-1] == "pi-net-3d, Table 1, Table 2, Table 3"
    assert table.cells[5][2:6] == ("72.0", "-", "-", "-")
    assert {"3DPCK_all_percent", "MPJPE_mm", "roots"} <= set(table.data.columns)
    remarks = table.data.remarks[1]
    assert "Table 1, Accuracy only for matched ground truths: S3, S6" in remarks


@pytest.mark.parametrize("metric", ["3DPCK_all", "MPJPE_mm"])
def test_rows_that_say_otherwise_stay_apart(metric: str) -> None:
    entry = next(e for e in MUPOTS.entries if metric in e.metrics)
    other = msgspec.structs.replace(entry, metrics={metric: 1.0})
    assert rows_of_methods([entry, other]) == (entry, other)
    setting = msgspec.structs.replace(entry, settings={"boxes": "mine"})
    assert rows_of_methods([entry, setting]) == (entry, setting)


def test_a_row_of_the_same_setting_has_a_difference_of_the_main_metric() -> None:
    run = make_run_3d()
    card = msgspec.convert(
        {"name": "x", "description": "x", "method": "m", "backbone": "b", "input_size": "i",
         "published": ["m"]},
        type(run.predictor.card),
    )  # fmt: skip
    run = msgspec.structs.replace(
        run,
        predictor=msgspec.structs.replace(run.predictor, card=card, options={"roots": "gt"}),
        protocol=msgspec.structs.replace(run.protocol, boxes="gt"),
    )
    entry = msgspec.structs.replace(
        MUPOTS.entries[0],
        method="m",
        settings={"boxes": "gt", "backbone": "b", "input_size": "i", "roots": "gt"},
        metrics={"3DPCK_all": 48.8},
    )
    metrics = msgspec.structs.replace(make_metrics_3d(run), counts={})
    table = published_table(run, metrics, [entry])
    assert table.header[2:4] == ("3DPCK_all", "3DPCK_all difference")
    assert table.cells[1][3] == "+1.2"
    assert table.data["3DPCK_all_difference_points"][1] == pytest.approx(1.2)


def test_all_published_rows_are_in_some_row(tmp_path: Path) -> None:
    def figures(entries: tuple[Entry, ...]) -> set[tuple[str, str, float]]:
        return {
            (entry.method, name, value)
            for entry in entries
            for name, value in entry.metrics.items()
            if isinstance(value, float)
        }

    assert figures(rows_of_methods(MUPOTS.main_entries)) == figures(MUPOTS.main_entries)
    sequences().save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".csv", ".md", ".tex"}
