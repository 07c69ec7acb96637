"""A sweep predicts again only the images that lost a box, and gives what predicting all gives."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from crowdbench.candidates import join_poses
from crowdbench.card import Card
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.predictor import Batch, Predictor, Request, Settings, poses_of
from crowdbench.record import Environment, RunFolder
from crowdbench.running.steps import Job, predict_job, run_job
from crowdbench.running.sweeping import cost_words, plan_passes
from crowdbench.structures import Array, Boxes, Poses
from tests.command import contents
from tests.running.small import K, Whole, write_images

N_IMAGES = 9
NO_CONDITIONS = ConditionSettings(names=())
THRESHOLDS = (0.0, 0.2, 0.5, 0.55, 0.7, 0.95)
# Scores of the boxes of each image: one without boxes, one that stays whole to the end, one whose
# boxes all fall away at once, and two in one shard that change at different thresholds.
SCORES: tuple[tuple[float, ...], ...] = (
    (), (0.96, 0.99), (0.6, 0.6, 0.6), (0.3, 0.8), (0.9, 0.1, 0.52), (0.5,), (0.65, 0.3, 0.97, 0.3),
    (0.9,), (0.4, 0.8, 0.75),
)  # fmt: skip


class Crowd(Predictor):
    """Poses that depend on the image, on the box, and on all boxes of the image."""

    card: ClassVar[Card] = Card("crowd", "", images_per_shard=2)
    is_independent: ClassVar[bool] = False
    # What was predicted: images, and how many boxes each of them had.
    seen: ClassVar[list[tuple[int, int]]] = []
    # How many batches may be predicted before it is interrupted.
    left: ClassVar[int] = 10**9

    def __init__(self, request: Request) -> None:
        assert request.boxes is not None
        self.settings = Settings("x", "box", boxes_independent=self.is_independent)

    def load(self, device: str, weights: Path | None) -> None:
        print("loads")

    def prepare(self, image: Array, boxes: Boxes | None) -> float:
        return float(image.mean())

    def predict(self, batch: Batch) -> Poses:
        boxes = batch.boxes
        assert boxes is not None
        if not self.left:
            raise KeyboardInterrupt
        type(self).left -= 1
        n = np.bincount(boxes.image_index)
        self.seen.extend((row, int(n[row])) for row in batch.images.tolist())
        of_image = np.searchsorted(batch.images, boxes.image_index)
        # All boxes of an image, in order.
        sums = np.zeros(len(batch.images))
        np.add.at(sums, of_image, boxes.scores * boxes.boxes[:, 0])
        moved = boxes.boxes[:, 0] + np.array(batch.inputs)[of_image] + sums[of_image]
        points = np.repeat(moved[:, None, None], K, 1) + np.zeros((1, K, 2))
        parts = [
            poses_of(boxes, points + i, np.ones(points.shape[:2]), boxes.scores, instance=i)
            for i in (0, 1)
        ]
        return join_poses(parts)


class Alone(Crowd):
    """One that says that its poses depend on their own box alone."""

    is_independent: ClassVar[bool] = True


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of `Crowd` on small images with boxes of all kinds of scores, to be swept."""
    found = {"crowd": Crowd, "alone": Alone, "whole": Whole}
    monkeypatch.setattr("crowdbench.refiner.load_predictor", found.__getitem__)
    monkeypatch.setattr(Crowd, "seen", [])
    monkeypatch.setattr(Crowd, "left", 10**9)
    path = write_images(tmp_path / "images", N_IMAGES)
    return Job(
        "crowd", annotations=path, skeleton="coco-17", images=path.parent,
        boxes=write_boxes(tmp_path / "boxes.json"), output=tmp_path / "r", resamples=0,
        conditions=ConditionSettings(values={"detector-confidence": THRESHOLDS}),
    )  # fmt: skip


def write_boxes(path: Path, least: float = 0.0) -> str:
    boxes = [
        {"image_id": 100 + i, "category_id": 1, "bbox": [3 * j, j, 20, 30], "score": score}
        for i, scores in enumerate(SCORES)
        for j, score in enumerate(scores)
        if score >= least
    ]
    path.write_text(json.dumps(boxes))
    return str(path)


def changed(job: Job, **values: Any) -> Job:
    return msgspec.structs.replace(job, **values)


def shards(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(folder).items() if "/" not in name}


def check_against_full_predictions(job: Job, tmp_path: Path) -> None:
    """Hold the shards of each threshold against those of a run from its boxes alone."""
    whole = shards(tmp_path / "r/candidates")
    for t in THRESHOLDS:
        boxes = write_boxes(tmp_path / f"boxes-{t}.json", t)
        full = changed(job, boxes=boxes, output=tmp_path / f"full-{t}", conditions=NO_CONDITIONS)
        predict_job(full)
        swept = RunFolder(tmp_path / "r").candidates_from(t)
        expected = shards(tmp_path / f"full-{t}/candidates")
        assert len(expected) == 5
        assert (shards(swept) if swept.is_dir() else whole) == expected, t


@pytest.mark.parametrize("size", ["1", "3", "auto"])
def test_the_shards_are_those_of_a_full_prediction_at_every_threshold(
    job: Job, tmp_path: Path, size: str
) -> None:
    _, candidates = predict_job(changed(job, batch_size=size))
    check_against_full_predictions(job, tmp_path)
    assert [len(candidates.sweep[t]) for t in THRESHOLDS] == [
        2 * sum(score >= t for scores in SCORES for score in scores) for t in THRESHOLDS
    ]


def test_only_images_that_lost_a_box_are_predicted_again(job: Job, tmp_path: Path) -> None:
    folder, _ = run_job(job)
    expected = Counter((i, len(scores)) for i, scores in enumerate(SCORES) if scores)
    before = {i: len(scores) for i, scores in enumerate(SCORES)}
    for t in THRESHOLDS:
        for i, scores in enumerate(SCORES):
            n = sum(score >= t for score in scores)
            if 0 < n < before[i]:
                expected[i, n] += 1
            before[i] = n
    assert Counter(Crowd.seen) == expected
    # What is counted is what was predicted; an image without boxes is one of the whole split.
    speed = folder.read(Environment).speed
    assert speed.persons == sum(n for _, n in Crowd.seen)
    assert speed.images == len(Crowd.seen) + 1


def test_whenever_it_is_interrupted_it_goes_on_to_the_same_bytes(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one = changed(job, batch_size="1")
    predict_job(changed(one_by_one, output=tmp_path / "whole"))
    n = len(Crowd.seen)
    for allowed in range(n):
        r = changed(one_by_one, output=tmp_path / f"r{allowed}")
        monkeypatch.setattr(Crowd, "left", allowed)
        with pytest.raises(KeyboardInterrupt):
            predict_job(r)
        monkeypatch.setattr(Crowd, "left", 10**9)
        Crowd.seen.clear()
        predict_job(r)
        # A shard is lost at most.
        assert n - allowed <= len(Crowd.seen) <= n - allowed + 1
        found, whole = contents(tmp_path / f"r{allowed}"), contents(tmp_path / "whole")
        assert found.keys() == whole.keys()
        assert [k for k in whole if found[k] != whole[k]] == ["environment.json"]


def test_images_that_cannot_be_read_are_skipped_in_every_pass(job: Job, tmp_path: Path) -> None:
    for i in (1, 4, 8):
        (tmp_path / f"images/{i}.png").write_bytes(b"")
    _, metrics = run_job(changed(job, skip_bad_images=True))
    assert [image.image_id for image in metrics.skipped_images] == [101, 104, 108]
    assert not {1, 4, 8} & {row for row, _ in Crowd.seen}
    check_against_full_predictions(changed(job, skip_bad_images=True), tmp_path)


def test_an_image_of_which_a_later_pass_alone_needs_the_file_is_missed_before_it_begins(
    job: Job, tmp_path: Path
) -> None:
    predict_job(job)
    (tmp_path / "r/candidates/box-score-0.5/00001.npz").unlink()
    (tmp_path / "r/environment.json").unlink()
    (tmp_path / "images/3.png").unlink()
    (tmp_path / "images/7.png").unlink()
    with pytest.raises(Exception, match=r"1 of 1 images are missing in .*: 3\.png"):
        predict_job(job)


def test_the_cost_is_said_before_anything_is_loaded(
    job: Job, capfd: pytest.CaptureFixture[str]
) -> None:
    predict_job(changed(job, quiet=False))
    said = capfd.readouterr()
    assert said.out == "loads\n"
    boxes, images = sum(n for _, n in Crowd.seen), len(Crowd.seen)
    assert said.err.splitlines()[0] == (
        "note: crowd's poses depend on the other boxes of the image, so detector-confidence "
        f"predicts again at 4 of 6 thresholds: {boxes - 19} boxes in {images - 8} images besides "
        f"the 19 boxes in 8 images of the whole split (+{100 * (boxes - 19) / 19:.0f} %); all "
        "other poses are reused (--conditions none: no sweep)"
    )


def test_no_cost_is_said_where_there_is_none(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    loud = changed(job, quiet=False)
    for silent in (
        job,
        changed(loud, predictor="alone"),
        changed(loud, predictor="whole", boxes=None),
        changed(loud, boxes="gt"),
        changed(loud, conditions=NO_CONDITIONS),
    ):
        predict_job(changed(silent, overwrite=True))
        assert "note" not in capfd.readouterr().err
    predict_job(changed(loud, overwrite=True))
    assert "note: crowd's poses" in capfd.readouterr().err
    predict_job(loud)  # everything is there
    assert capfd.readouterr() == ("", "")


def test_a_predictor_whose_poses_depend_on_their_own_boxes_predicts_once(
    job: Job, tmp_path: Path
) -> None:
    predict_job(changed(job, predictor="alone"))
    assert sorted(Crowd.seen) == [(i, len(scores)) for i, scores in enumerate(SCORES) if scores]
    assert len(contents(tmp_path / "r/candidates")) == 5


def test_passes_of_nothing(tmp_path: Path) -> None:
    none = np.zeros(0, np.int64)
    boxes = Boxes(none, np.zeros((0, 4)), np.zeros(0), "x")
    for of in (boxes, None):
        plan = plan_passes(RunFolder(tmp_path), 4, of, () if of is None else (0.0, 0.5))
        assert [one.images.tolist() for one in plan.passes] == [[0, 1, 2, 3]]
        assert set(plan.sweep.values()) <= {tmp_path / "candidates"}
        assert cost_words(plan, "x") is None
