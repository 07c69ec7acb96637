"""The command on real annotations gives the official tools' numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import Crowdbench
from tests.metrics.problems import reference_tool

# Set, arguments that name its ground truth, reference row, official names of its numbers.
SETS = {
    "crowdpose_val_A": ("--split", "crowdpose-val"),
    "crowdpose_tiny_A": ("crowdpose_tiny/test_crowdpose.json", "crowdpose-14"),
    "coco_val2017_subset_A": ("coco/coco_val2017_subset.json", "coco-17"),
    "coco_mini_A": ("coco/coco_mini.json", "coco-17"),
    "coco_tiny_A": ("coco_tiny/test_coco.json", "coco-17"),
    "ochuman_tiny_A": ("ochuman/test_ochuman.json", "coco-17"),
}
NAMES = {"APM": "AP_M", "APL": "AP_L", "ARM": "AR_M", "ARL": "AR_L"}


def _numbers(reference: dict[str, Any], row: str) -> dict[str, float | None]:
    found = reference["results"]["as_is"][row]
    return {
        NAMES.get(name, name): None if value == -1 else value
        for name, value in zip(found["stat_names"], found["stats"], strict=True)
    }


@pytest.mark.parametrize("name", SETS)
def test_a_run_gives_the_official_numbers(name: str, crowdbench: Crowdbench, shared: Path) -> None:
    data = shared / "data"
    source, value = SETS[name]
    truth = (
        (source, value, "--data-root", data)
        if source == "--split"
        else ("--annotations", data / source, "--skeleton", value)
    )
    done = crowdbench(
        "run", "--predictor", "replay", "--predictions", data / "predictions" / f"{name}.json",
        *truth, "--json", "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours = {k: m["value"] for k, m in json.loads(done.stdout)["metrics"].items()}
    reference = json.loads((shared / "reference" / "oks" / f"{name}.json").read_text())
    if "crowdpose" in name:
        expected = _numbers(
            reference, "pycocotools: keypoints (area = 0.53*w*h injected, CrowdPose sigmas)"
        )
        official = reference["results"]["as_is"]["crowdposetools: keypoints"]
        levels = official["easy_medium_hard_unrounded"]
        for level, number in zip(("AP_easy", "AP_medium", "AP_hard"), levels, strict=True):
            expected[level] = None if number == -1 else number
        for metric, number in _numbers(reference, "crowdposetools: keypoints").items():
            if metric in ("AP", "AP50", "AP75", "AR", "AR50", "AR75"):
                assert ours[metric] == pytest.approx(number, abs=1e-9), metric
    else:
        expected = _numbers(reference, "pycocotools: keypoints")
    for metric, number in expected.items():
        if number is None:
            assert ours[metric] is None, metric
        else:
            assert ours[metric] == pytest.approx(number, abs=1e-9), metric


@pytest.mark.parametrize(
    ("tool", "equal"), [("pycocotools", 10), ("xtcocotools", 9), ("faster-coco-eval", 9)]
)
def test_the_check_agrees_on_crowdpose(
    tool: str, equal: int, crowdbench: Crowdbench, shared: Path
) -> None:
    reference_tool(tool.replace("-", "_"))
    data = shared / "data"
    done = crowdbench(
        "run", "--predictor", "replay", "--split", "crowdpose-val", "--data-root", data,
        "--predictions", data / "predictions" / "crowdpose_val_A.json", "--output", "r",
        "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = crowdbench("score", "r", "--check", tool)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" equal") == equal


def test_the_native_ochuman_file_is_scored_and_checked(
    crowdbench: Crowdbench, shared: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data" / "ochuman"
    root.mkdir(parents=True)
    native = shared / "data" / "ochuman" / "ochuman_native_60.json"
    (root / "ochuman.json").write_bytes(native.read_bytes())
    converted = json.loads(
        (shared / "reference" / "oks" / "ochuman_native_60_coco.json").read_text()
    )
    whole = converted["conversions"]["val_0.00_1.00"]
    poses = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 0.5}
        for a in whole["annotations"]
    ]
    (tmp_path / "poses.json").write_text(json.dumps(poses))
    done = crowdbench(
        "run", "--predictor", "replay", "--split", "ochuman-val", "--predictions", "poses.json",
        "--output", "r", "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "r/metrics.json").read_text())
    assert metrics["metrics"]["AP"]["value"] == pytest.approx(1)
    assert metrics["counts"]["persons"] == len(poses)
    assert crowdbench("score", "r", "--check", "pycocotools").returncode == 0
