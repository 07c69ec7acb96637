"""Every wrong input ends in one clear message and its exit code, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import EXAMPLE, Crowdbench, replay

Entries = list[dict[str, Any]]


def _set(index: int, **values: Any) -> Callable[[Entries], None]:
    return lambda entries: entries[index].update(values)


def _drop(index: int, field: str) -> Callable[[Entries], None]:
    return lambda entries: entries[index].pop(field)


def _first_keypoint(value: Any) -> Callable[[Entries], None]:
    def change(entries: Entries) -> None:
        entries[2]["keypoints"][0] = value

    return change


BAD_PREDICTIONS = {
    "missing image_id": (_drop(3, "image_id"), "predictions[3].image_id is missing"),
    "missing category_id": (_drop(3, "category_id"), "predictions[3].category_id is missing"),
    "missing keypoints": (_drop(0, "keypoints"), "predictions[0].keypoints is missing"),
    "missing score": (_drop(7, "score"), "predictions[7].score is missing"),
    "score is text": (_set(1, score="high"), "predictions[1].score: expected float, got str"),
    "score is null": (_set(1, score=None), "predictions[1].score: expected float, got null"),
    "image_id is text": (_set(4, image_id="4"), "predictions[4].image_id: expected int, got str"),
    "keypoint is text": (_first_keypoint("x"), "predictions[2].keypoints[0]: expected float"),
    "14 keypoints": (
        _set(5, keypoints=[0.0] * 42),
        "predictions[5].keypoints has 42 numbers, expected 51 (17 keypoints of coco-17",
    ),
    "box of three": (_set(6, bbox=[1, 2, 3]), "predictions[6].bbox has 3 numbers, expected 4"),
    "box missing in one": (_drop(6, "bbox"), "predictions[6].bbox has 0 numbers, expected 4"),
    "box score missing in one": (_drop(6, "bbox_score"), "predictions[6].bbox_score has 0"),
    "NaN": (_first_keypoint(float("nan")), "predictions[2].keypoints[0] is not a finite number"),
    "infinity": (_set(2, score=float("inf")), "predictions[2].score is not a finite number"),
    "id beyond 64 bits": (_set(0, image_id=2**70), "predictions[0].image_id: expected int <="),
    "unknown image": (
        _set(0, image_id=999),
        "1 poses are of 1 images that annotations does not have, the first are 999",
    ),
}


@pytest.mark.parametrize("name", BAD_PREDICTIONS)
def test_a_wrong_field_is_named_with_its_path(
    name: str, crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    change, message = BAD_PREDICTIONS[name]
    entries = example[1]
    change(entries)
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(entries))
    done = crowdbench(*replay(EXAMPLE / "annotations.json", path))
    _is_one_message(done, 2, message)
    assert not (tmp_path / "runs").exists()


BAD_TEXTS = {
    "empty file": ("", "the file is empty, expected JSON"),
    "truncated": ('[{"image_id": 1, "keypoints": [1.0, 2', "the JSON ends too early"),
    "cut in the middle of nothing": ("[", "the JSON ends too early"),
    "no JSON": ("hello", "not valid JSON"),
    "binary": ("\x00\x01\x02", "not valid JSON"),
    "nested": ("[" * 100_000, "predictions[0]: expected object, got array"),
    "byte-order mark": ("\ufeff[]", "starts with a byte-order mark: save it as plain UTF-8"),
    "not a list": ('{"annotations": []}', "predictions: expected array, got object"),
    "a list of numbers": ("[1, 2]", "predictions[0]: expected object, got int"),
    "huge number": (
        '[{"image_id": 1, "category_id": 1, "score": 1e999, "keypoints": [' + "0," * 50 + "0]}]",
        "predictions[0].score",
    ),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_file_that_is_no_results_file_is_recognised(
    name: str, crowdbench: Crowdbench, tmp_path: Path
) -> None:
    text, message = BAD_TEXTS[name]
    path = tmp_path / "poses.json"
    path.write_text(text)
    _is_one_message(crowdbench(*replay(EXAMPLE / "annotations.json", path)), 2, message)


def test_a_missing_predictions_file_is_exit_code_3(crowdbench: Crowdbench, tmp_path: Path) -> None:
    done = crowdbench(*replay(EXAMPLE / "annotations.json", tmp_path / "none.json"))
    _is_one_message(done, 3, "predictions not found at")


def test_a_folder_given_as_predictions_is_said(crowdbench: Crowdbench, tmp_path: Path) -> None:
    done = crowdbench(*replay(EXAMPLE / "annotations.json", tmp_path))
    _is_one_message(done, 2, "is a folder, expected a file")


def test_unknown_images_can_be_ignored_and_are_counted(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    entries = example[1]
    for i, image_id in ((0, 901), (1, 902), (2, 902), (3, 905), (4, 907)):
        entries[i]["image_id"] = image_id
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(entries))
    words = "5 poses are of 4 images that annotations does not have, the first are 901, 902, 905"
    refused = crowdbench(*replay(EXAMPLE / "annotations.json", path))
    _is_one_message(refused, 2, words)
    done = crowdbench(
        *replay(EXAMPLE / "annotations.json", path, "--unknown-images", "ignore", "--output", "run")
    )
    assert done.returncode == 0
    assert words in done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["counts"]["poses"] == len(entries) - 5
    assert words in metrics["notes"][0]


def test_negative_scores_are_noted_and_only_rank(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    entries = example[1]
    path, shifted = tmp_path / "poses.json", tmp_path / "shifted.json"
    path.write_text(json.dumps(entries))
    for entry in entries:
        entry["score"] -= 5
    shifted.write_text(json.dumps(entries))
    values = []
    for file in (path, shifted):
        done = crowdbench(*replay(EXAMPLE / "annotations.json", file, "--json", "--no-report",
                                  "--overwrite"))  # fmt: skip
        assert done.returncode == 0, done.stderr
        values.append(json.loads(done.stdout))
    assert values[0]["metrics"] == values[1]["metrics"]
    assert f"{len(entries)} poses have a negative score" in values[1]["notes"][0]


def test_coordinates_at_the_limits_of_float64_are_scored_in_silence(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    entries = example[1]
    for entry in entries:
        del entry["bbox"]
    entries[0]["keypoints"][0] = 1e200
    entries[1]["keypoints"][:6] = [-1e308, 0, 1, 1e308, 0, 1]
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(entries))
    done = crowdbench(*replay(EXAMPLE / "annotations.json", path, "--output", "r"))
    coarse = "note: intervals rest on 8 images and are coarse\n"
    assert (done.returncode, done.stderr) == (0, coarse)
    assert crowdbench("score", "r", "--check", "pycocotools").returncode == 0


def test_empty_predictions_give_zero_with_a_reason(crowdbench: Crowdbench, tmp_path: Path) -> None:
    path = tmp_path / "poses.json"
    path.write_text("[]")
    done = crowdbench(*replay(EXAMPLE / "annotations.json", path, "--json"))
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["AP"]["value"] == 0
    assert metrics["AP"]["reason"] == "no predictions"
    assert metrics["OKS_matched"]["value"] is None
    assert metrics["OKS_matched"]["reason"]


def _annotation(index: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["annotations"][index].update(values)


def _without(index: int, field: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["annotations"][index].pop(field)


BAD_ANNOTATIONS = {
    "no images": (lambda c: c.pop("images"), "images is missing"),
    "empty images": (lambda c: c.update(images=[]), "images is empty"),
    "missing bbox": (_without(1, "bbox"), "annotations[1].bbox is missing"),
    "missing keypoints": (_without(1, "keypoints"), "annotations[1].keypoints is missing"),
    "missing area": (_without(1, "area"), "annotation 2 (image 1): area"),
    "short keypoints": (
        _annotation(2, keypoints=[1, 2, 2] * 14),
        "keypoints must be 51 numbers (17 keypoints of coco-17), found 42",
    ),
    "box of five": (_annotation(2, bbox=[1, 2, 3, 4, 5]), "annotation 3 (image 1): bbox must be"),
    "id beyond 64 bits": (_annotation(0, id=2**65), "annotations[0].id: expected int <="),
    "ids twice": (
        _annotation(2, id=1),
        "1 annotation ids occur more than once, the first is 1",
    ),
    "NaN in a box": (_annotation(2, bbox=[1, 2, float("nan"), 4]), "bbox[2] is not a finite"),
    "another category's keypoints": (
        lambda c: c["categories"][0].update(keypoints=["a"] * 14),
        "category 'person' has 14 keypoints, coco-17 has 17: an annotation file of another data",
    ),
}


@pytest.mark.parametrize("name", BAD_ANNOTATIONS)
def test_wrong_annotations_are_named_with_their_place(
    name: str, crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    change, message = BAD_ANNOTATIONS[name]
    content = example[0]
    change(content)
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    done = crowdbench(*replay(path, EXAMPLE / "predictions.json"))
    _is_one_message(done, 2, message)
    assert not (tmp_path / "runs").exists()


def test_annotations_nested_too_deeply_are_refused(crowdbench: Crowdbench, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('{"info": ' + "[" * 100_000)
    done = crowdbench(*replay(path, EXAMPLE / "predictions.json"))
    _is_one_message(done, 2, "not valid JSON: nested too deeply")


def test_annotation_id_zero_is_scored_like_any_other(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    content = example[0]
    for annotation in content["annotations"]:
        annotation["id"] -= 1
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    values = []
    for truth in (EXAMPLE / "annotations.json", path):
        done = crowdbench(*replay(truth, EXAMPLE / "predictions.json", "--json", "--overwrite"))
        values.append(json.loads(done.stdout)["metrics"])
    assert values[0] == values[1]


def test_a_skeleton_of_another_data_set_is_refused(crowdbench: Crowdbench) -> None:
    done = crowdbench(
        "run", "--predictor", "replay", "--predictions", EXAMPLE / "predictions.json",
        "--annotations", EXAMPLE / "annotations.json", "--skeleton", "crowdpose-14",
    )  # fmt: skip
    _is_one_message(done, 2, "42 numbers (14 keypoints of crowdpose-14), found 51")


BAD_USE = {
    "unknown predictor": (
        ["--predictor", "replai", "--split", "coco-val2017"],
        2,
        "unknown predictor 'replai'; did you mean replay",
    ),
    "unknown split": (
        ["--predictor", "replay", "--split", "crowdpose-vla"],
        2,
        "unknown split 'crowdpose-vla'; did you mean crowdpose-val",
    ),
    "no predictions": (
        ["--predictor", "replay", "--annotations", EXAMPLE / "annotations.json", "--skeleton",
         "coco-17"],
        2,
        "replay needs the poses: --predictions FILE",
    ),
    "neither split nor annotations": (
        ["--predictor", "replay"],
        2,
        "give either --split NAME or --annotations FILE",
    ),
    "both split and annotations": (
        ["--predictor", "replay", "--split", "coco-val2017", "--annotations", "x.json"],
        2,
        "give either --split NAME or --annotations FILE",
    ),
    "annotations without skeleton": (
        ["--predictor", "replay", "--annotations", "x.json"],
        2,
        "--annotations needs --skeleton",
    ),
    "unknown skeleton": (
        ["--predictor", "replay", "--annotations", "x.json", "--skeleton", "coco17"],
        2,
        "unknown skeleton 'coco17'; did you mean coco-17?",
    ),
    "limit of nothing": (
        ["--predictor", "replay", "--split", "coco-val2017", "--limit", "0"],
        2,
        "limit is 0, expected 1 or more images",
    ),
    "boxes for replay": (
        ["--predictor", "replay", "--annotations", EXAMPLE / "annotations.json", "--skeleton",
         "coco-17", "--boxes", "gt"],
        2,
        "replay takes no boxes",
    ),
    "unknown policy": (
        ["--predictor", "replay", "--split", "coco-val2017", "--unknown-images", "maybe"],
        2,
        "--unknown-images is 'maybe', expected error or ignore",
    ),
    "no data": (
        ["--predictor", "replay", "--split", "coco-val2017"],
        3,
        "annotations not found: the data root",
    ),
    "no data root": (
        ["--predictor", "replay", "--split", "coco-val2017", "--data-root", "nowhere"],
        3,
        "nowhere",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_USE)
def test_wrong_use_is_one_message(name: str, crowdbench: Crowdbench, tmp_path: Path) -> None:
    arguments, code, message = BAD_USE[name]
    _is_one_message(crowdbench("run", *arguments), code, message)
    assert not (tmp_path / "runs").exists()


def test_a_misspelt_option_is_exit_code_2_without_traceback(crowdbench: Crowdbench) -> None:
    done = crowdbench("run", "--predictr", "replay")
    assert done.returncode == 2
    assert "--predictr" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["score", "report"])
def test_a_folder_that_is_no_run_is_said(
    command: str, crowdbench: Crowdbench, tmp_path: Path
) -> None:
    _is_one_message(crowdbench(command, "nothing"), 3, "nothing: no such run folder")
    (tmp_path / "empty").mkdir()
    _is_one_message(crowdbench(command, "empty"), 3, "empty has no run.json")


def test_a_missing_evaluator_ends_in_the_command_that_installs_it(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    crowdbench(*replay(EXAMPLE / "annotations.json", EXAMPLE / "predictions.json", "--output", "r"))
    broken = tmp_path / "broken" / "xtcocotools"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    (broken / "mask.py").write_text("raise ValueError('numpy.dtype size changed')")
    done = crowdbench(
        "score", "r", "--check", "xtcocotools", "--quiet", env=_first_on_path(broken.parent)
    )
    assert done.returncode == 3
    assert "xtcocotools is broken (numpy.dtype size changed)" in done.stderr
    assert "pip install --no-build-isolation --no-binary xtcocotools xtcocotools" in done.stderr
    done = crowdbench("score", "r", "--check", "pycoco")
    assert done.returncode == 2
    assert "unknown evaluator 'pycoco'; did you mean pycocotools" in done.stderr


def _first_on_path(folder: Path) -> dict[str, str]:
    import os

    known = [str(folder), str(EXAMPLE.parents[1]), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(entry for entry in known if entry)}


def _is_one_message(done: Any, code: int, message: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("crowdbench: ")
    assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
