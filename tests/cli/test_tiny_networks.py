"""The networks that ship with crowdbench, run for real on SynthCrowd: the gate of our own CI."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from crowdbench.files import digest_of_file
from tests.command import Crowdbench
from tests.gate.planted import write_int8_weights

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "predictors/weights"
PLANTED = ROOT / "tests/gate/planted.py"
EXPECTED: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("tiny_networks.json").read_text()
)
BOXES = "SYNTHCROWD_test_detections_person.json"
TOP_DOWN = ("hrnet-tiny", "mipnet-tiny", "i2r-net-tiny")
BOTTOM_UP = ("pinet-tiny", "dekr-tiny", "grm-tiny")
IN_SPACE = ("3dmppe-tiny", "3dmppe-rootnet-tiny", "pi-net-synthcrowd")
RUNS = {
    **{f"{name} gt": ("--boxes", "gt") for name in TOP_DOWN},
    **{f"{name} detected": ("--boxes", BOXES) for name in TOP_DOWN},
    **dict.fromkeys(BOTTOM_UP, ()),
}
RUNS_IN_SPACE = {
    "3dmppe-tiny": (),
    "3dmppe-tiny detected": ("--boxes", BOXES),
    "pi-net-synthcrowd": ("--base", "3dmppe-tiny"),
}
N_IMAGES = 100
# Networks differ in their last bits between machines, and so may a keypoint now and then.
TOLERANCE, TOLERANCE_MM = 0.004, 0.5


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with SynthCrowd's test split."""
    root = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "crowdbench", "data", "make", "synthcrowd-test"]
    command += ["--data-root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


def test_the_annotations_are_the_committed_ones(data: Path, crowdbench: Crowdbench) -> None:
    done = crowdbench("data", "verify", "synthcrowd-test", "--data-root", data)
    assert done.returncode == 0
    assert "a779c5896ddcd9a87db4d42404d8e0e1db088202af89a20dfdbd1ed1eea206d6: as it" in done.stdout


@pytest.mark.parametrize("run", RUNS)
def test_a_run_gives_the_committed_numbers(run: str, data: Path, crowdbench: Crowdbench) -> None:
    done = crowdbench(
        "run", "--predictor", run.split()[0], "--split", "synthcrowd-test", *RUNS[run],
        "--limit", str(N_IMAGES), "--data-root", data, "--output", "run", "--no-report", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = EXPECTED[run]
    assert found["counts"]["persons_evaluated"] == expected["persons"]
    metrics = {name: found["metrics"][name]["value"] for name in expected["metrics"]}
    assert metrics == pytest.approx(expected["metrics"], abs=TOLERANCE)
    if not run.endswith(" gt"):
        check = crowdbench("score", "run", "--check", "pycocotools", "--data-root", data)
        assert check.returncode == 0, check.stdout


@pytest.mark.parametrize("run", RUNS_IN_SPACE)
def test_a_run_in_space_gives_the_committed_numbers(
    run: str, data: Path, crowdbench: Crowdbench
) -> None:
    done = crowdbench(
        "run", "--predictor", run.split()[0], "--split", "synthcrowd-3d-test", *RUNS_IN_SPACE[run],
        "--limit", str(N_IMAGES), "--data-root", data, "--output", "run", "--no-report", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = EXPECTED[f"{run} in space"]
    assert found["counts"]["persons_evaluated"] == expected["persons"]
    for name, value in expected["metrics"].items():
        tolerance = TOLERANCE_MM if name.endswith("_mm") else TOLERANCE
        assert found["metrics"][name]["value"] == pytest.approx(value, abs=tolerance), name


def test_the_gate_passes_a_rerun_and_catches_planted_mistakes(
    data: Path, crowdbench: Crowdbench, tmp_path: Path
) -> None:
    shipped, int8 = WEIGHTS / "mipnet-tiny.safetensors", tmp_path / "int8.safetensors"
    write_int8_weights(shipped, int8)
    runs: dict[str, tuple[str | Path, Path]] = {
        "before": ("mipnet-tiny", shipped),
        "again": ("mipnet-tiny", shipped),
        "swap": (f"{PLANTED}:LeftRightSwap", shipped),
        "half-pixel": (f"{PLANTED}:HalfPixelOff", shipped),
        "int8": ("mipnet-tiny", int8),
    }
    for name, (predictor, weights) in runs.items():
        done = crowdbench(
            "run", "--predictor", predictor, "--weights", weights, "--split", "synthcrowd-test",
            "--limit", "150", "--data-root", data, "--output", name, "--no-report", "--quiet",
            "--conditions", "none",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    saved = crowdbench("baseline", "save", "before", "baseline.json")
    assert saved.returncode == 0, saved.stderr
    rules = ["--rule", "AP: drop <= 0", "--rule", "PCK: drop <= 0", "--undecided", "fail"]
    found = {}
    for name in ("again", "swap", "half-pixel", "int8"):
        done = crowdbench("gate", name, "--baseline", "baseline.json", *rules, "--json")
        judgement = json.loads(done.stdout)
        verdicts = {finding["rule"]: finding["verdict"] for finding in judgement["findings"]}
        found[name] = (done.returncode, verdicts)
        if done.returncode:
            assert "AP: drop <= 0" in judgement["sentence"]
    fails = {"AP: drop <= 0": "fail", "PCK: drop <= 0": "fail"}
    assert found["again"] == (0, dict.fromkeys(fails, "pass"))
    assert found["swap"] == found["half-pixel"] == (1, fails)
    # 0.4 points on the whole split: as many images as these can't tell it from noise, but from a
    # rerun they can.
    assert found["int8"][0] == 1
    assert found["int8"][1]["AP: drop <= 0"] in ("fail", "undecided")


def test_the_baseline_of_our_gate_is_of_what_ships() -> None:
    baseline = json.loads((ROOT / ".ci/mipnet-tiny.json").read_text())["run"]
    card = yaml.safe_load((WEIGHTS / "mipnet-tiny.yaml").read_text())
    assert baseline["inputs"]["weights"]["sha256"] == card["weights"]["sha256"]
    assert baseline["metrics"]["AP"]["value"] == pytest.approx(card["scores"]["gt"]["AP"], abs=1e-6)


@pytest.mark.parametrize("name", IN_SPACE)
def test_the_card_of_weights_for_poses_in_space_is_true(name: str) -> None:
    card = yaml.safe_load((WEIGHTS / f"{name}.yaml").read_text())
    digest = digest_of_file(WEIGHTS / f"{name}.safetensors")
    assert card["weights"]["sha256"] == digest.sha256
    assert card["weights"]["bytes"] == digest.size <= 7_000_000
    assert card["recipe"]["name"] == name
    assert card["recipe"]["data"] == "synthcrowd-3d-train"
    for scores in card["scores"].values():
        assert 40 < scores["PA_MPJPE_mm"] < scores["PA_MPJPE_rigid_mm"] < scores["MPJPE_mm"] < 120


@pytest.mark.parametrize("predictor", TOP_DOWN + BOTTOM_UP)
def test_the_card_of_the_weights_is_true(predictor: str) -> None:
    card = yaml.safe_load((WEIGHTS / f"{predictor}.yaml").read_text())
    digest = digest_of_file(WEIGHTS / f"{predictor}.safetensors")
    assert card["weights"]["sha256"] == digest.sha256
    assert card["weights"]["bytes"] == digest.size <= 4_500_000
    assert card["parameters"] <= 1_100_000
    assert card["recipe"]["name"] == predictor
    assert card["recipe"]["data"] == "synthcrowd-train"
    scores = card["scores"]["without boxes" if predictor in BOTTOM_UP else "gt"]
    assert (0.3 if predictor in BOTTOM_UP else 0.6) < scores["AP"] < 0.9
    assert scores["AP_hard"] < scores["AP_easy"] - 0.05
