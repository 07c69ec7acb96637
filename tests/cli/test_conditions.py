"""Conditions through the command: what is recorded, how they are chosen, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import EXAMPLE, Crowdbench, replay

ANNOTATIONS, PREDICTIONS = EXAMPLE / "annotations.json", EXAMPLE / "predictions.json"
ALWAYS = {
    "detector-confidence", "person-iou", "image-iou", "crowd-level", "crowd-index", "visibility",
    "size",
}  # fmt: skip


def record(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "metrics.json").read_text()))


def test_a_run_evaluates_every_condition_and_says_why_one_is_missing(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r"))
    assert done.returncode == 0, done.stderr
    metrics = record(tmp_path / "r")
    assert set(metrics["conditions"]) == ALWAYS
    assert set(metrics["condition_facts"]) == ALWAYS | {"max-iou"}
    assert metrics["condition_facts"]["max-iou"]["reason"] == "the annotations have no max_iou"
    sweep = metrics["conditions"]["detector-confidence"]
    assert [row["threshold"] for row in sweep] == [k / 10 for k in range(10)]
    # The loosest threshold is the whole split.
    assert sweep[0]["metrics"] == {name: metrics["metrics"][name] for name in sweep[0]["metrics"]}
    assert sweep[0]["n_poses"] == metrics["counts"]["poses"]
    assert [row["n_boxes"] for row in sweep] == sorted((r["n_boxes"] for r in sweep), reverse=True)
    persons = sum(row["n_persons"] for row in metrics["conditions"]["person-iou"])
    assert persons == metrics["counts"]["persons_evaluated"]
    assert [row["label"] for row in metrics["conditions"]["crowd-level"]] == [
        "easy", "medium", "hard",
    ]  # fmt: skip
    assert metrics["conditions"]["size"][-1]["high"] is None
    drop = metrics["robustness"]["detector-confidence"]["AP_drop"]
    assert drop["value"] == sweep[0]["metrics"]["AP"]["value"] - sweep[-1]["metrics"]["AP"]["value"]
    # The terminal shows the ends of each condition.
    line = next(x for x in done.stdout.splitlines() if x.startswith("detector-confidence"))
    assert f"{100 * drop['value']:.2f}" in line
    assert "conditions=detector-confidence(0,0.1," in metrics["signature"]


def test_conditions_thresholds_and_bins_can_be_chosen(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    done = crowdbench(
        *replay(
            ANNOTATIONS, PREDICTIONS, "--output", "r", "--conditions", "size,detector-confidence",
            "--thresholds", "0,0.75", "--bins", "size=0,100,inf",
        )
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = record(tmp_path / "r")
    assert list(metrics["conditions"]) == ["detector-confidence", "size"]
    assert [r["threshold"] for r in metrics["conditions"]["detector-confidence"]] == [0, 0.75]
    assert [(r["low"], r["high"]) for r in metrics["conditions"]["size"]] == [(0, 100), (100, None)]
    assert metrics["condition_facts"]["size"]["rule"].endswith(": 0, 100, inf")
    run = json.loads((tmp_path / "r/run.json").read_text())
    assert run["signature"] == metrics["signature"]
    assert "conditions=detector-confidence(0,0.75);size(0,100,inf)" in run["signature"]


def test_scoring_again_may_choose_other_conditions_and_changes_nothing_else(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    assert crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r")).returncode == 0
    before = record(tmp_path / "r")
    run = (tmp_path / "r/run.json").read_bytes()
    done = crowdbench("score", "r", "--conditions", "none", "--quiet")
    assert done.returncode == 0, done.stderr
    after = record(tmp_path / "r")
    assert after["conditions"] == after["condition_facts"] == after["robustness"] == {}
    assert after["metrics"] == before["metrics"]
    assert "conditions=none" in after["signature"]
    assert (tmp_path / "r/run.json").read_bytes() == run
    # Its report can still be made, and without options scoring does what the run was asked for.
    assert crowdbench("report", "r").returncode == 0
    assert crowdbench("score", "r", "--quiet").returncode == 0
    assert record(tmp_path / "r") == before


def test_whose_boxes_count_in_the_iou_can_be_chosen(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    annotations, _ = example
    # An unlabelled person exactly on another one.
    first = next(a for a in annotations["annotations"] if a["num_keypoints"])
    nobody = {**first, "id": 9999, "num_keypoints": 0, "keypoints": [0] * 51}
    annotations["annotations"].append(nobody)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(annotations))
    counts = {}
    for among in ("annotated", "evaluated"):
        done = crowdbench(
            *replay(path, PREDICTIONS, "--output", among, "--iou-among", among, "--json")
        )
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)["conditions"]["person-iou"]
        counts[among] = rows[-1]["n_persons"]
        assert f"person-iou({among}:0," in json.loads(done.stdout)["signature"]
    assert counts["annotated"] == counts["evaluated"] + 1


def test_predictions_without_box_scores_are_swept_by_their_own_score_and_a_note_says_so(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    _, predictions = example
    for pose in predictions:
        del pose["bbox_score"]
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(predictions))
    done = crowdbench(*replay(ANNOTATIONS, path, "--output", "r"))
    assert done.returncode == 0
    assert "note: the poses come without box scores" in done.stderr
    metrics = record(tmp_path / "r")
    sweep = metrics["conditions"]["detector-confidence"]
    assert all("n_boxes" not in row for row in sweep)
    for row in sweep:
        assert row["n_poses"] == sum(p["score"] >= row["threshold"] for p in predictions)
    assert "own score" in metrics["condition_facts"]["detector-confidence"]["rule"]


def test_empty_bins_and_thresholds_that_leave_nothing_are_null_or_zero_with_a_reason(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    done = crowdbench(
        *replay(
            ANNOTATIONS, PREDICTIONS, "--output", "r", "--thresholds", "0,2",
            "--bins", "size=0,1,2,inf", "--bins", "image-iou=0,0.999,1",
        )
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = record(tmp_path / "r")
    nothing = metrics["conditions"]["detector-confidence"][1]
    assert nothing["n_poses"] == nothing["n_boxes"] == 0
    assert nothing["metrics"]["AP"]["value"] == 0
    assert nothing["metrics"]["AP"]["reason"] == "no predictions"
    for row in (metrics["conditions"]["size"][0], metrics["conditions"]["image-iou"][1]):
        assert row["n_persons"] == 0
        assert row["metrics"]["AP"]["value"] is None
        assert row["metrics"]["AP"]["reason"] == "no evaluated person"
    assert metrics["robustness"]["image-iou"]["AP_drop"]["value"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--conditions", "person-ou"), "unknown condition 'person-ou'; did you mean person-iou"),
        (("--thresholds", "0.5,0.1"), "--thresholds: '0.5,0.1' must rise"),
        (("--thresholds", "a"), "--thresholds: 'a' is not numbers"),
        (("--bins", "size"), "--bins is 'size', expected CONDITION=EDGE,EDGE"),
        (("--iou-among", "some"), "--iou-among is 'some', expected annotated or evaluated"),
        (("--images", "nowhere"), "--images: nowhere is no folder"),
    ],
)
def test_options_that_make_no_sense_end_in_one_line_and_leave_nothing(
    options: tuple[str, ...], message: str, crowdbench: Crowdbench, tmp_path: Path
) -> None:
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r", *options))
    assert done.returncode == (3 if "--images" in options else 2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_the_conditions_are_listed(crowdbench: Crowdbench) -> None:
    done = crowdbench("ls", "conditions")
    assert done.returncode == 0
    for name in (*ALWAYS, "max-iou"):
        assert name in done.stdout


def test_the_images_that_go_worst_are_recorded_worst_first(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    assert crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r")).returncode == 0
    images = json.loads((tmp_path / "r/worst_images.json").read_text())["images"]
    means = [image["mean_oks"] for image in images if image["poses"]]
    assert means == sorted(means)
    assert all(image["poses"] for image in images[: len(means)])
    for image in images:
        evaluated = [p["oks"] for p in image["persons"] if p["is_evaluated"]]
        assert image["mean_oks"] == pytest.approx(sum(evaluated) / len(evaluated))
        scores = [pose["score"] for pose in image["poses"]]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) <= 20
