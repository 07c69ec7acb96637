"""What a report says and shows of the published rows beside a network's run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from msgspec.structs import replace

from crowdbench.record import Run
from crowdbench.results import Metric
from predictors import pose_interacting, three_dmppe
from reports.comparison import differences
from reports.published import Entry, load_published
from reports.published_table import published_table
from reports.tables import Table
from reports.wording import method_facts
from tests.reports.records import (
    MIPNET,
    make_metrics,
    make_network_run,
    make_run,
    make_skipped,
)

COLUMN = "AP difference"
RANDOM = "The weights of this run are random: none of its figures is comparable."


def entries_of(run: Run) -> tuple[Entry, ...]:
    return load_published(run.split.name).main_entries


def sentences(run: Run, **changes: Any) -> list[str]:
    return differences(run, replace(make_metrics(run), **changes), entries_of(run))


def table_of(run: Run, ap: float | None = 0.7406, **changes: Any) -> Table:
    metrics = replace(make_metrics(run), metrics={"AP": Metric(ap, 5, True, None)}, **changes)
    return published_table(run, metrics, entries_of(run))


def column(table: Table, name: str) -> list[str]:
    return [row[table.header.index(name)] for row in table.cells]


def marked(table: Table) -> list[int]:
    return [i for i, name in enumerate(column(table, "method")) if "(same setting)" in name]


def test_backbone_and_input_size_are_said_with_the_rows_of_the_same() -> None:
    words = (
        "Backbone of this run: HRNet-W48; input size: 384x288. Published rows of the same method, "
        "backbone, input size, test scales and options: MIPNet (mipnet, Table 4; boxes gt), MIPNet "
        "(mipnet, Table 5; boxes faster-rcnn)."
    )
    assert words in sentences(make_network_run())
    other = replace(MIPNET, backbone="ResNet-18")
    (found,) = (s for s in sentences(make_network_run(other)) if s.startswith("Backbone"))
    assert found.endswith("test scales and options: none.")


def test_rows_whose_paper_leaves_it_open_may_be_of_the_same() -> None:
    run = make_network_run(split="crowdpose-val", skeleton="crowdpose-14", images=2000)
    (found,) = (sentence for sentence in sentences(run) if sentence.startswith("Backbone"))
    assert "and options: MIPNet (mipnet, Table 5; boxes faster-rcnn). Rows that may be" in found
    assert found.endswith("training data are others: MIPNet (mipnet, Table 3; boxes gt).")
    open_card = replace(MIPNET, input_size="")
    (found,) = (s for s in sentences(make_network_run(open_card)) if s.startswith("Backbone"))
    assert "input size: not recorded. " in found
    assert "MIPNet (mipnet, Table 4; boxes gt; 2 rows)" in found.split("Rows that may be")[1]


def test_poses_from_a_file_leave_everything_but_the_boxes_unknown() -> None:
    *_, last = sentences(make_run("ochuman-val", images=2500))
    assert last == (
        "Input size, backbone, training data and test scales of this run are not recorded, so "
        "whether they equal a row's is unknown."
    )
    assert column(table_of(make_run("ochuman-val", images=2500)), "settings")[0] == "not recorded"


@pytest.mark.parametrize(
    ("weights", "skeleton", "trained_on"),
    [
        ("mine.pth", "coco-17", None),
        ("official.pth", "coco-17", "coco-train"),
        ("official-14.pth", "crowdpose-14", "crowdpose-train"),
        # The official file of the other layout.
        ("official-14.pth", "coco-17", None),
    ],
)
def test_the_weights_are_named_with_what_is_known_of_their_training(
    weights: str, skeleton: str, trained_on: str | None
) -> None:
    known = (
        "what they were trained on is not recorded"
        if trained_on is None
        else f"the official file of that name is trained on {trained_on}; its content was not "
        "checked"
    )
    found = sentences(make_network_run(weights=weights, skeleton=skeleton))
    assert found[-1] == f"Weights of this run: {weights}; {known}."


def test_an_official_file_whose_training_is_unknown_is_a_file_like_others() -> None:
    official = tuple(replace(file, trained_on=None) for file in MIPNET.weights)
    run = make_network_run(replace(MIPNET, weights=official), weights="official.pth")
    assert sentences(run)[-1].endswith("; what they were trained on is not recorded.")


def test_a_network_that_brings_its_own_weights_says_nothing_of_files() -> None:
    run = make_network_run(replace(MIPNET, needs_weights=False), weights=None)
    assert sentences(run)[-1] == "What the network of this run was trained on is not recorded."
    assert marked(table_of(run)) == [1]


def test_random_weights_are_comparable_with_nothing() -> None:
    run = make_network_run(weights=None)
    found = sentences(run)
    assert found[0] == RANDOM
    assert not [s for s in found if "same setting" in s or s.startswith("Weights of")]
    table = table_of(run)
    assert marked(table) == []
    assert COLUMN not in table.header
    assert column(table, "settings")[0] == "384x288, HRNet-W48, random weights"
    # Also where the card says nothing else of the network.
    bare = replace(MIPNET, backbone="", input_size="", published=())
    assert sentences(make_network_run(bare, weights=None))[0] == RANDOM


def test_a_row_of_the_same_setting_is_marked_and_has_a_difference_in_points() -> None:
    run = make_network_run()
    table = table_of(run)
    assert marked(table) == [1]
    assert table.cells[0][:4] == ("mipnet-hrnet-w48-384x288 (this run)", "gt", "74.1", "-")
    assert column(table, "settings")[0] == "384x288, HRNet-W48"
    assert table.cells[1][:4] == ("MIPNet (same setting)", "gt", "74.1", "0.0")
    assert table.header[2:4] == ("AP", COLUMN)
    assert set(column(table, COLUMN)[2:]) == {"-"}
    assert COLUMN in table.numbers
    assert column(table_of(run, 0.7534), COLUMN)[1] == "+1.2"
    assert column(table_of(run, 0.5), COLUMN)[1] == "-24.1"
    words = (
        "AP difference, where both have an AP: this run's minus the row's, in percentage points."
    )
    assert f'Rows marked "same setting" have the same boxes, too. {words}' in sentences(run)


def test_the_csv_has_the_mark_and_the_difference_in_full(tmp_path: Path) -> None:
    table = table_of(make_network_run(), 0.7534)
    table.save(tmp_path)
    read = pd.read_csv(tmp_path / "published.csv", dtype=str)
    assert list(read.same_setting[:3].fillna("")) == ["", "True", "False"]
    assert float(read.AP_difference_points[1]) == pytest.approx(1.24, abs=1e-12)
    assert read.AP_difference_points.notna().sum() == 1
    assert list(read.loc[0, ["input_size", "backbone"]]) == ["384x288", "HRNet-W48"]
    latex = (tmp_path / "published.tex").read_text()
    assert "MIPNet (same setting)" in latex
    # The difference is what the column sorts by.
    keys = [row[table.header.index(COLUMN)] for row in table.sort_keys()]
    assert keys[:3] == [None, pytest.approx(1.24), None]


def test_boxes_of_a_detector_are_never_marked_as_the_papers() -> None:
    table = table_of(make_network_run(boxes="file:det.json#0123456789ab"))
    assert marked(table) == []
    assert COLUMN not in table.header


@pytest.mark.parametrize(
    ("run", "changes", "words"),
    [
        (make_network_run(images=5, limit=5), {}, "only the first 5 images (--limit)"),
        (make_network_run(images=2499), {}, "2,499 images instead of 2,500"),
        (
            make_network_run(),
            {"skipped_images": make_skipped(3)},
            "3 of 2,500 images could not be used and have no poses, so the figures are not",
        ),
    ],
)
def test_figures_of_other_images_have_no_difference_and_the_reason_is_said(
    run: Run, changes: Any, words: str
) -> None:
    table = table_of(run, **changes)
    assert marked(table) == [1]
    assert COLUMN not in table.header
    assert table.data.AP_difference_points.isna().all()
    found = sentences(run, **changes)
    assert words in found[0]
    assert (
        'Rows marked "same setting" have the same boxes, too. No difference is shown, as the '
        "figures are not comparable." in found
    )


def test_an_ap_that_is_not_there_has_no_difference() -> None:
    assert COLUMN not in table_of(make_network_run(), None).header


def test_a_figure_in_doubt_has_no_difference() -> None:
    run = make_network_run()
    metrics = replace(make_metrics(run), metrics={"AP": Metric(0.7, 5, True, None)})
    doubted = [
        replace(entry, doubtful=("AP",), notes=("why",)) if i == 0 else entry
        for i, entry in enumerate(entries_of(run))
    ]
    table = published_table(run, metrics, doubted)
    assert table.cells[1][:3] == ("MIPNet (same setting)", "gt", "74.1¹")
    assert COLUMN not in table.header


def test_backbone_and_input_size_of_refined_poses_are_those_of_the_network_that_made_them() -> None:
    options = {"order": "near-to-far", "distance": "boxes", "base.roots": "gt"}
    run = make_network_run(pose_interacting.PINet.card, split="mupots", skeleton="mupots-17",
                           images=8320, **options)  # fmt: skip
    run = replace(run, predictor=replace(run.predictor, base=three_dmppe.ThreeDMPPE.card))
    (found,) = (s for s in sentences(run) if s.startswith("Backbone"))
    assert found.startswith("Backbone of this run: ResNet-50; input size: 256x256. ")
    assert "Rows that may be, as not all is stated or their training data are others: PI-Net" in (
        found
    )
    table = table_of(run)
    assert column(table, "settings")[0].startswith("256x256, ResNet-50")
    assert (table.data.backbone[0], table.data.input_size[0]) == ("ResNet-50", "256x256")
    assert table.data.method[0] == "pi-net"
    facts = method_facts(run)
    assert (facts["backbone"], facts["input size"]) == ("ResNet-50", "256x256")
    assert facts["method"] == "PI-Net"
