"""Conditions on real annotations: every expected number, through the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.conditions.box_iou import highest_iou
from crowdbench.conditions.crowd_index import crowd_index
from tests.command import Crowdbench
from tests.metrics.problems import SETS, load_set, load_split

BINNED = ("crowdpose_val_A", "coco_val2017_subset_A")
NAMES = {"APM": "AP_M", "APL": "AP_L", "ARM": "AR_M", "ARL": "AR_L"}
LEVELS = ("AP_easy", "AP_medium", "AP_hard")


@pytest.fixture(scope="module", params=BINNED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def conditions(crowdbench: Crowdbench, shared: Path, name: str) -> Any:
    """Return what a run of a set records, by whose boxes count in the IoU."""

    def run(among: str) -> dict[str, list[dict[str, Any]]]:
        annotations, predictions, skeleton = SETS[name]
        data = shared / "data"
        done = crowdbench(
            "run", "--predictor", "replay", "--predictions", data / predictions,
            "--annotations", data / annotations, "--skeleton", skeleton.name, "--json",
            "--iou-among", among, "--no-report", "--output", among,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)["conditions"]
        return found

    return run


def _check(row: dict[str, Any], results: dict[str, dict[str, float]]) -> int:
    """Compare a row with what every tool gave; return how many numbers were compared."""
    n = 0
    for tool, expected in results.items():
        for given, value in expected.items():
            metric = NAMES.get(given, given)
            if metric not in row["metrics"]:
                assert metric == "(unused)", metric
                continue
            ours = row["metrics"][metric]["value"]
            # The tools round the levels to four decimals.
            tolerance = 1e-9 + (0.5e-4 if metric in LEVELS else 0)
            if value == -1:
                assert ours is None, (tool, metric)
            else:
                assert ours == pytest.approx(value, rel=0, abs=tolerance), (tool, metric)
            n += 1
    return n


def test_every_expected_number_of_thresholds_and_bins(
    conditions: Any, shared: Path, name: str
) -> None:
    reference = json.loads((shared / "reference" / "oks" / f"{name}_bins.json").read_text())
    annotated, evaluated = conditions("annotated"), conditions("evaluated")
    rows = annotated["detector-confidence"]
    expected = reference["by_detector_confidence"]["rows"]
    assert len(rows) == len(expected) == 10
    n = 0
    for row, wanted in zip(rows, expected, strict=True):
        assert row["threshold"] == wanted["threshold"]
        assert row["n_poses"] == wanted["predictions_kept"]
        n += _check(row, wanted["results"])
    assert evaluated["detector-confidence"] == rows

    for found, words in ((annotated, "all_boxes"), (evaluated, "evaluated_boxes")):
        for key, title in (("person-iou", "person_max_iou"), ("image-iou", "image_mean_iou")):
            bins = {(row["low"], row["high"]): row for row in found[key]}
            assert len(bins) == 7
            for wanted in reference[f"by_{title}__{words}"]["rows"]:
                row = bins[tuple(wanted["bin"])]
                assert row["n_persons"] == wanted["persons"]
                if key == "image-iou":
                    assert row["n_images"] == wanted["images"]
                    assert row["n_poses"] == wanted["predictions"]
                if "results" in wanted:
                    n += _check(row, wanted["results"])
                else:
                    assert row["n_images"] == 0
    assert n > 600


def test_the_crowd_index_of_every_image_is_the_stored_one(shared: Path) -> None:
    for name in ("crowdpose_val_A", "crowdpose_tiny_A", "crowdpose_4img"):
        truth = load_set(shared, name).truth
        assert truth.crowd_index is not None
        assert crowd_index(truth, 12).tolist() == truth.crowd_index.tolist()
    stored = np.load(shared / "reference" / "oks" / "crowdpose_val_crowd_index.npz")
    truth = load_set(shared, "crowdpose_val_A").truth
    order = np.argsort(stored["image_id"])
    assert truth.image_ids.tolist() == stored["image_id"][order].tolist()
    assert crowd_index(truth, 12).tolist() == stored["stored"][order].tolist()


@pytest.mark.parametrize("annotations", ["crowdpose_val", "coco_val2017_subset"])
def test_the_highest_iou_of_every_box_is_the_reference_s(shared: Path, annotations: str) -> None:
    name = next(name for name, files in SETS.items() if annotations in files[0])
    path, _, skeleton = SETS[name]
    truth = load_split(shared / "data" / path, skeleton).truth
    assert truth is not None
    reference = np.load(shared / "reference" / "oks" / f"{annotations}_box_iou.npz")
    order, theirs = np.argsort(truth.person_ids), np.argsort(reference["annotation_id"])
    assert truth.person_ids[order].tolist() == reference["annotation_id"][theirs].tolist()
    ours = highest_iou(truth.boxes, truth.image_index)
    np.testing.assert_allclose(
        ours[order], reference["max_iou_all_boxes"][theirs], rtol=0, atol=1e-12
    )
    rows = np.flatnonzero(~truth.is_ignored)
    ours = np.full(len(order), np.nan)
    ours[rows] = highest_iou(truth.boxes[rows], truth.image_index[rows])
    expected = reference["max_iou_evaluated_boxes"][theirs]
    here = ~truth.is_ignored[order]
    np.testing.assert_allclose(ours[order][here], expected[here], rtol=0, atol=1e-12)
