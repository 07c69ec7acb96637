"""Predictors are found by entry point, and any of them can be run."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from crowdbench import registry
from crowdbench.card import Card, Option
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.errors import MissingError, UnknownNameError, UsageError
from crowdbench.merging import Merging
from crowdbench.predictor import Batch, Predictor, Request, Settings, poses_of
from crowdbench.record import Run, RunFolder
from crowdbench.registry import load_predictor
from crowdbench.running.steps import Job, run_job, score_run
from crowdbench.structures import Poses
from predictors.replay import Replay
from tests.command import EXAMPLE


class Centre(Predictor):
    """Puts all keypoints into the middle of each box: the simplest predictor with boxes."""

    card: ClassVar[Card] = Card(
        "centre", "all keypoints in the middle of the box", needs_images=False
    )

    def __init__(self, request: Request) -> None:
        assert request.boxes is not None
        self.k = len(request.split.skeleton)
        self.settings = Settings(request.boxes.source, "box", Merging(), "box")

    def predict(self, batch: Batch) -> Poses:
        boxes = batch.boxes
        assert boxes is not None
        assert np.array_equal(np.unique(boxes.image_index), batch.images)
        middle = boxes.boxes[:, :2] + boxes.boxes[:, 2:] / 2
        points = np.repeat(middle[:, None], self.k, 1)
        return poses_of(boxes, points, np.ones(points.shape[:2]), boxes.scores)


def _register(monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, str]) -> None:
    found = [EntryPoint(name, value, registry.ENTRY_POINTS) for name, value in entries]
    monkeypatch.setattr(registry, "entry_points", lambda group: found)


def test_replay_is_registered_like_any_other() -> None:
    assert load_predictor("replay") is Replay
    assert "replay" in registry.predictor_names()


def test_a_name_claimed_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, ("replay", "predictors.replay:Replay"), ("replay", "other:Replay"))
    with pytest.raises(UsageError, match=r"other:Replay and predictors\.replay:Replay"):
        load_predictor("replay")


def test_an_unknown_or_broken_predictor_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, ("mipnet", "no_such_module:MIPNet"))
    with pytest.raises(UnknownNameError, match="did you mean mipnet"):
        load_predictor("mipnt")
    with pytest.raises(MissingError, match="can't be loaded from no_such_module:MIPNet"):
        load_predictor("mipnet")


def test_a_third_partys_predictor_runs_on_each_box_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _register(monkeypatch, ("centre", f"{__name__}:Centre"))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    boxes = [
        {"image_id": p["image_id"], "category_id": 1, "bbox": p["bbox"], "score": p["bbox_score"]}
        for p in json.loads((EXAMPLE / "predictions.json").read_text())
    ]
    detector = tmp_path / "boxes.json"
    detector.write_text(json.dumps(boxes))
    signatures = set()
    for source, n in ((None, 36), ("gt", 36), (str(detector), len(boxes))):
        job = _job("centre", tmp_path / "r", boxes=source, overwrite=True)
        folder, metrics = run_job(job)
        n_persons = metrics.counts["persons_evaluated"]
        assert metrics.counts["poses"] == (n_persons if source != str(detector) else n)
        assert metrics.metrics["AP"].value is not None
        signatures.add(folder.read(Run).signature)
    # No source is ground truth by default; the detector file's digest makes another protocol.
    assert len(signatures) == 2
    assert any("boxes=file:boxes.json#" in signature for signature in signatures)


def test_predictions_are_for_replay_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _register(monkeypatch, ("centre", f"{__name__}:Centre"))
    with pytest.raises(UsageError, match="--predictions goes with --predictor replay"):
        run_job(_job("centre", tmp_path / "r", predictions=EXAMPLE / "predictions.json"))


def test_a_predictor_of_other_keypoints_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _register(monkeypatch, ("centre", f"{__name__}:Centre"))
    monkeypatch.setattr(
        Centre, "card", Card("centre", "", skeletons=("crowdpose-14",), needs_images=False)
    )
    with pytest.raises(UsageError, match="centre gives crowdpose-14, annotations has coco-17"):
        run_job(_job("centre", tmp_path / "r"))
    assert not (tmp_path / "r").exists()


def test_an_interrupted_prediction_goes_on_with_the_missing_shards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Replay, "card", msgspec.structs.replace(Replay.card, images_per_shard=3))
    whole = run_job(_job("replay", tmp_path / "whole"))[0]
    job = _job("replay", tmp_path / "r")
    calls: list[int] = []
    real = Replay.predict

    def predict(self: Replay, batch: Batch) -> Poses:
        calls.append(int(batch.images[0]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(Replay, "predict", predict)
    with pytest.raises(KeyboardInterrupt):
        run_job(job)
    assert sorted(p.name for p in (tmp_path / "r/candidates").iterdir()) == [
        "00000.npz",
        "00001.npz",
    ]
    folder, metrics = run_job(job)
    assert calls == [0, 3, 6, 6]
    for name in ("run.json", "metrics.json", "predictions.json"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes()
    again = score_run(folder.path)[1]
    assert again == metrics


def test_another_job_does_not_continue_an_unfinished_run(tmp_path: Path) -> None:
    folder = run_job(_job("replay", tmp_path / "r"))[0]
    (folder.path / "metrics.json").unlink()
    with pytest.raises(UsageError, match="already holds a run"):
        run_job(_job("replay", tmp_path / "r", limit=2))
    assert run_job(_job("replay", tmp_path / "r"))[0].path == RunFolder(tmp_path / "r").path


def _job(name: str, output: Path, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "annotations": EXAMPLE / "annotations.json",
        "skeleton": "coco-17",
        "output": output,
    }
    if name == "replay":
        values["predictions"] = EXAMPLE / "predictions.json"
    return Job(predictor=name, **(values | changes))


class Twice(Predictor):
    """Two nearly equal candidates for every box: the better one comes from the worse box."""

    card: ClassVar[Card] = Card(
        "twice", "", skeletons=("coco-17",), needs_images=False, needs_boxes=False
    )

    def __init__(self, request: Request) -> None:
        self.settings = Settings("gt", "made up", Merging("oks-nms", 0.9), "box")

    def predict(self, batch: Batch) -> Poses:
        truth = batch.split.truth
        assert truth is not None
        rows = np.flatnonzero(
            ~truth.is_crowd
            & (truth.keypoints[..., 2] > 0).any(1)
            & np.isin(truth.image_index, batch.images)
        )
        rows = np.repeat(rows, 2)
        second = np.arange(len(rows)) % 2 == 1
        points = truth.keypoints[rows, :, :2] + np.where(second, 0.0, 0.5)[:, None, None]
        return Poses(
            image_index=truth.image_index[rows],
            keypoints=points,
            keypoint_scores=np.ones(points.shape[:2]),
            scores=np.where(second, 0.4, 0.9),
            box_index=np.arange(len(rows)),
            instance=np.zeros(len(rows), np.int64),
            boxes=truth.boxes[rows],
            box_scores=np.where(second, 0.95, 0.5),
            areas=truth.areas[rows],
        )


def test_candidates_are_merged_anew_at_every_threshold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _register(monkeypatch, ("twice", f"{__name__}:Twice"))
    folder, metrics = run_job(_job("twice", tmp_path / "r"))
    n = metrics.counts["poses"]
    rows = metrics.conditions["detector-confidence"]
    # The worse candidate of each pair is dropped, until its better twin's box is filtered out:
    # merged once and then filtered, nothing would be left from 0.6 on.
    assert [row.n_poses for row in rows] == [n] * 10
    assert [row.n_boxes for row in rows] == [2 * n] * 6 + [n] * 4
    drop = metrics.robustness["detector-confidence"]["AP_drop"].value
    assert drop is not None
    assert abs(drop) < 0.05
    # The record holds the candidates, the results file the poses that are left.
    assert len(json.loads(folder.predictions.read_text())) == n
    assert score_run(folder.path)[1] == metrics
    assert "merging=oks-nms(0.9)" in metrics.signature


class Neighbours(Predictor):
    """Hits a person only if no other box of the image is there: it depends on all boxes."""

    card: ClassVar[Card] = Card(
        "neighbours", "", skeletons=("coco-17",), needs_images=False, images_per_shard=3,
    )  # fmt: skip
    calls: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, request: Request) -> None:
        assert request.boxes is not None
        self.settings = Settings(
            request.boxes.source, "box", Merging(), "box", boxes_independent=False
        )

    def predict(self, batch: Batch) -> Poses:
        boxes, truth = batch.boxes, batch.split.truth
        assert boxes is not None
        assert truth is not None
        self.calls.append((int(batch.images[0]), len(boxes.scores)))
        image = boxes.image_index
        is_alone = np.bincount(image)[image] == 1
        first = np.searchsorted(truth.image_index, image)
        points = truth.keypoints[first, :, :2] + np.where(is_alone, 0, 1e4)[:, None, None]
        return poses_of(boxes, points, np.ones(points.shape[:2]), boxes.scores)


def test_a_predictor_whose_poses_depend_on_all_boxes_predicts_anew_for_every_threshold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _register(monkeypatch, ("neighbours", f"{__name__}:Neighbours"))
    truth = json.loads((EXAMPLE / "annotations.json").read_text())
    # Two boxes in every image, of which one falls away at 0.5.
    boxes = [
        {"image_id": image["id"], "category_id": 1, "bbox": [0, 0, 9, 9], "score": score}
        for image in truth["images"]
        for score in (0.4, 0.8)
    ]
    detector = tmp_path / "boxes.json"
    detector.write_text(json.dumps(boxes))
    job = _job(
        "neighbours", tmp_path / "r", boxes=str(detector),
        conditions=ConditionSettings(values={"detector-confidence": (0.0, 0.5, 0.9)}),
    )  # fmt: skip
    Neighbours.calls.clear()
    folder, metrics = run_job(job)
    rows = metrics.conditions["detector-confidence"]
    assert [(row.n_boxes, row.n_poses) for row in rows] == [(16, 16), (8, 8), (0, 0)]
    ap = [row.metrics["AP"].value for row in rows]
    assert ap[0] == ap[2] == 0
    assert ap[1] is not None
    assert ap[1] > 0  # filtered from the first prediction it would be 0, too
    assert metrics.metrics["AP"].value == 0
    # Three shards each, and no call where there are no boxes.
    assert [n for _, n in Neighbours.calls] == [6, 6, 4, 3, 3, 2]
    assert score_run(folder.path)[1] == metrics
    # An interrupted sweep goes on.
    (folder.candidates_from(0.5) / "00001.npz").unlink()
    (folder.path / "metrics.json").unlink()
    Neighbours.calls.clear()
    assert run_job(job)[1] == metrics
    assert Neighbours.calls == [(3, 3)]
    # A threshold that was not predicted can't be made up.
    asked = ConditionSettings(values={"detector-confidence": (0.0, 0.7)})
    again = score_run(folder.path, conditions=asked)[1]
    assert "detector-confidence" not in again.conditions
    reason = again.condition_facts["detector-confidence"].reason
    assert reason is not None
    assert "at least 0.7 alone: run it again with --thresholds" in reason
    assert "person-iou" in again.conditions


class Forgetful(Centre):
    """Takes an option and does not tell it."""

    card: ClassVar[Card] = Card(
        "forgetful", "", needs_images=False, options=(Option("size", ("N",), ""),)
    )
    told: ClassVar[dict[str, str]] = {}

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.settings = replace(self.settings, options=self.told)


@pytest.mark.parametrize(
    ("told", "said"), [({}, "has none,"), ({"size": "1", "sise": "1"}, "has sise, size,")]
)
def test_settings_must_tell_every_option_of_the_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: dict[str, str], said: str
) -> None:
    _register(monkeypatch, ("forgetful", f"{__name__}:Forgetful"))
    monkeypatch.setattr(Forgetful, "told", told)
    with pytest.raises(UsageError, match=f"settings.options {said} expected every option of its"):
        run_job(_job("forgetful", tmp_path / "r", option=("size=1",)))
    assert not (tmp_path / "r").exists()
