from __future__ import annotations

import pytest

from crowdbench.datasets.manifest import split_names
from crowdbench.metrics.catalogue import METRICS
from reports.published import PAPERS, load_published, published_names

STUDIES = {"efficiency", "robustness"}
# The file of the split mupots.
FILES_3D = {"mupots-3d"}


@pytest.mark.parametrize("name", published_names())
def test_every_published_entry_has_a_method_a_source_and_figures(name: str) -> None:
    published = load_published(name)
    assert published.entries
    for entry in published.entries:
        assert entry.method
        assert entry.name
        assert entry.source.paper in PAPERS
        assert entry.source.table
        assert entry.source.row
        assert entry.metrics


@pytest.mark.parametrize("name", published_names())
def test_every_doubtful_field_is_there_and_its_reason_is_given(name: str) -> None:
    for entry in load_published(name).entries:
        for field in entry.doubtful:
            setting = field.removeprefix("settings.")
            assert field in entry.metrics or setting in {*entry.settings, "split"}
            assert entry.remarks


def test_every_file_is_of_a_known_split_or_study() -> None:
    assert set(published_names()) - STUDIES - FILES_3D <= set(split_names())


@pytest.mark.parametrize("name", sorted({*published_names()} - STUDIES - FILES_3D))
def test_figures_of_2d_splits_are_percentages_of_known_metrics(name: str) -> None:
    for entry in load_published(name).entries:
        assert set(entry.metrics) <= set(METRICS)
        assert all(isinstance(v, float) and 0 <= v <= 100 for v in entry.metrics.values())


@pytest.mark.parametrize("name", ["crowdpose-train", "no-such-split", "../published/coco-val2017"])
def test_a_split_without_a_file_has_no_published_entries(name: str) -> None:
    assert load_published(name).entries == ()


def test_ablations_are_left_out_where_there_is_something_else() -> None:
    published = load_published("crowdpose-test")
    assert any(entry.ablation for entry in published.entries)
    assert not any(entry.ablation for entry in published.main_entries)


def test_rows_are_grouped_by_boxes_and_the_best_comes_first() -> None:
    entries = load_published("ochuman-val").main_entries
    assert list(dict.fromkeys(e.boxes for e in entries)) == ["gt", "faster-rcnn", "yolov3", "none"]
    figures = [float(str(e.metrics["AP"])) for e in entries if e.boxes == "gt"]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] == 74.1


def test_rows_without_ap_are_the_last_of_their_group() -> None:
    entries = [e for e in load_published("crowdpose-test").main_entries if e.boxes == "none"]
    has_ap = ["AP" in e.metrics for e in entries]
    assert not all(has_ap)
    assert has_ap == sorted(has_ap, reverse=True)
