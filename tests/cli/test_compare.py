"""The command ``compare`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import EXAMPLE, Crowdbench, contents, replay

ANNOTATIONS, PREDICTIONS = EXAMPLE / "annotations.json", EXAMPLE / "predictions.json"


@pytest.fixture
def runs(crowdbench: Crowdbench, example: Any, tmp_path: Path) -> list[str]:
    """Score the example's poses and, as another method, the same ones moved by some pixels."""
    poses = example[1]
    for entry in poses:
        entry["keypoints"][::3] = [x + 3 for x in entry["keypoints"][::3]]
    (tmp_path / "moved.json").write_text(json.dumps(poses[:-4]))
    make(crowdbench, PREDICTIONS, "good")
    make(crowdbench, tmp_path / "moved.json", "moved")
    return ["good", "moved"]


def make(crowdbench: Crowdbench, predictions: Path, output: str, *more: str) -> None:
    done = crowdbench(
        *replay(ANNOTATIONS, predictions, "--output", output, "--no-report", "-q", *more)
    )
    assert done.returncode == 0, done.stderr


def test_two_runs_are_printed_side_by_side_and_written(
    crowdbench: Crowdbench, runs: list[str], tmp_path: Path
) -> None:
    done = crowdbench("compare", *runs)
    assert done.returncode == 0, done.stderr
    records = [json.loads((tmp_path / run / "metrics.json").read_text()) for run in runs]
    first, second = (100 * record["metrics"]["AP"]["value"] for record in records)
    lines = [line.split() for line in done.stdout.splitlines()]
    header = "metric good moved difference 95 % interval p (Holm) P(worse) detectable n"
    assert header.split() in lines
    [ap] = [line for line in lines if line[:3] == ["AP", f"{first:.2f}", f"{second:.2f}"]]
    assert ap[3].rstrip("*") == f"{second - first:+.2f}"
    assert (ap[5], ap[-1]) == ("to", "41")
    for name in records[0]["conditions"]:
        assert f"{records[0]['condition_facts'][name]['title']}: AP" in done.stdout
    assert "would be found 8 times of 10." in done.stdout
    assert "The runs were evaluated on the same 1,000 resamples of the 8 images" in done.stdout
    compared = json.loads((tmp_path / "runs/comparison/comparison.json").read_text())
    assert compared["metrics"]["AP"][1]["paired"]["p_adjusted"] <= 1
    assert compared["conditions"]["person-iou"]["rows"][0]["paired"][1] is not None
    assert compared["robustness"]["detector-confidence"]["AP_area"][1]["paired"] is not None
    assert "comparison: runs/comparison/index.html" in done.stdout
    files = contents(tmp_path / "runs/comparison")
    assert {"comparison.json", "comparison.md", "index.html"} <= files.keys()
    for name in records[0]["conditions"]:
        assert f"tables/condition-{name}.csv" in files
        assert f"plots/condition-{name}.svg" in files
    assert crowdbench("ls", "runs").stdout.strip() == "run  predictor  split  metric  %"


def test_the_same_command_gives_the_same_bytes(
    crowdbench: Crowdbench, runs: list[str], tmp_path: Path
) -> None:
    for output in ("one", "two", "two"):
        assert crowdbench("compare", *runs, "--output", output).returncode == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_json_is_the_file_and_quiet_prints_nothing(
    crowdbench: Crowdbench, runs: list[str], tmp_path: Path
) -> None:
    done = crowdbench("compare", *runs, "--json", "--output", "out")
    assert done.stdout == (tmp_path / "out/comparison.json").read_text(encoding="utf-8")
    assert [run["name"] for run in json.loads(done.stdout)["runs"]] == runs
    done = crowdbench("compare", *runs, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_another_protocol_is_refused_in_words_unless_mixing_is_allowed(
    crowdbench: Crowdbench, runs: list[str], example: Any, tmp_path: Path
) -> None:
    poses = [{k: v for k, v in entry.items() if "bbox" not in k} for entry in example[1]]
    (tmp_path / "boxless.json").write_text(json.dumps(poses))
    make(crowdbench, tmp_path / "boxless.json", "boxless")
    refused = crowdbench("compare", *runs, "boxless")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert "boxless has other boxes (none instead of predictions), another rule" in refused.stderr
    assert "--allow-mixed" in refused.stderr
    assert not (tmp_path / "runs").exists()
    done = crowdbench("compare", *runs, "boxless", "--allow-mixed")
    assert done.returncode == 0
    assert "boxless¹" in done.stdout
    assert "¹ Not the protocol of the first run: other boxes" in done.stdout
    assert "note: Not the protocol of good: boxless has other boxes" in done.stderr


def test_other_annotations_are_never_compared(
    crowdbench: Crowdbench, runs: list[str], example: Any, tmp_path: Path
) -> None:
    annotations = example[0]
    annotations["annotations"].pop()
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(annotations))
    done = crowdbench(*replay(path, PREDICTIONS, "--output", "other", "--no-report"))
    assert done.returncode == 0, done.stderr
    refused = crowdbench("compare", runs[0], "other", "--allow-mixed")
    assert refused.returncode == 2
    assert "not comparable with good: other has other annotations (" in refused.stderr


def test_runs_that_were_asked_for_other_conditions_are_compared_in_what_both_have(
    crowdbench: Crowdbench, runs: list[str], tmp_path: Path
) -> None:
    conditions = ("--conditions", "size,person-iou", "--bins", "size=0,64")
    make(crowdbench, PREDICTIONS, "cut", *conditions, "--bootstrap", "off")
    done = crowdbench("compare", runs[0], "cut")
    assert done.returncode == 0, done.stderr
    compared = json.loads((tmp_path / "runs/comparison/comparison.json").read_text())
    assert list(compared["conditions"]) == ["person-iou"]
    assert "left out: size in cut: another rule: " in done.stdout
    assert "left out: detector-confidence in cut: not evaluated" in done.stdout
    assert (
        "note: Whether the differences of cut to good are more than chance is not tested: cut was "
        "scored without resampling; `crowdbench score` does it."
    ) in done.stderr
    assert compared["bootstrap"] is None


def test_what_cannot_be_compared_ends_in_one_message(
    crowdbench: Crowdbench, runs: list[str], tmp_path: Path
) -> None:
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "predicted", command="predict"))
    assert done.returncode == 0, done.stderr
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    for arguments, code, message in (
        ((runs[0],), 2, "compare takes two or more run folders, only good is given"),
        ((runs[0], f"./{runs[0]}"), 2, "good is given twice"),
        ((runs[0], "nowhere"), 3, "nowhere: no such run folder"),
        ((runs[0], "folder"), 3, "folder has no run.json: is it a run folder?"),
        ((runs[0], "predicted"), 3, "predicted has no metrics.json: run `crowdbench score` first"),
        ((*runs, "--output", "folder"), 2, "folder holds something that is no comparison"),
        ((*runs, "--output", runs[0]), 2, "good holds something that is no comparison"),
    ):
        done = crowdbench("compare", *arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(contents(tmp_path / "folder")) == ["mine.txt"]
    assert not (tmp_path / "runs").exists()
