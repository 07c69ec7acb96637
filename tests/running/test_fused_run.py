"""Runs of a method without boxes, whose candidates are fused or suppressed by crowdbench."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from crowdbench.candidates import Shard, read_shard, write_shard
from crowdbench.card import Card
from crowdbench.errors import UsageError
from crowdbench.merging import Merging
from crowdbench.predictor import Batch, Predictor, Request, Settings
from crowdbench.record import RunFolder
from crowdbench.results import Metrics
from crowdbench.running.steps import Job, run_job, score_run
from crowdbench.structures import Poses
from tests.cli.in_process import run_in
from tests.command import contents
from tests.running.small import K, write_images

FUSION = Merging("oks-fusion", 0.7)


class Views(Predictor):
    """Finds each person three times; one half of the joints is best in the second candidate."""

    card: ClassVar[Card] = Card("views", "three candidates", needs_boxes=False, images_per_shard=2)
    merging: ClassVar[Merging] = FUSION
    missing: ClassVar[tuple[str, ...]] = ("ranks",)

    def __init__(self, request: Request) -> None:
        self.settings = Settings("none", "mean(keypoints)", self.merging)

    def predict(self, batch: Batch) -> Poses:
        truth = batch.split.truth
        assert truth is not None
        assert len(batch.inputs) == len(batch.images)
        rows = np.repeat(np.flatnonzero(np.isin(truth.image_index, batch.images)), 3)
        view = np.arange(len(rows)) % 3
        points = truth.keypoints[rows, :, :2] + view[:, None, None] * [[[0.25, 0]]]
        sure = np.where((np.arange(K) < K // 2)[None], 0.8 - view[:, None] / 10, 0.2)
        sure[:, K // 2 :] += (view == 1)[:, None] * 0.3
        sure -= (rows % 4)[:, None] / 30
        poses = Poses(
            image_index=truth.image_index[rows],
            keypoints=points,
            keypoint_scores=sure,
            scores=sure.mean(1) - (view == 1) * 0.2,
            box_index=np.full(len(rows), -1),
            instance=np.zeros(len(rows), np.int64),
            areas=np.ptp(points, axis=1).prod(1) * 20,
            ranks=view / 2,
        )
        return replace(poses, **dict.fromkeys(self.missing))


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of the predictor `Views` on the small set of images."""
    monkeypatch.setattr("crowdbench.refiner.load_predictor", {"views": Views}.__getitem__)
    path = write_images(tmp_path / "images")
    content = json.loads(path.read_text())
    for person in content["annotations"]:
        # So far from each other that they are not taken for one.
        person["keypoints"][::3] = [x + 100 * person["id"] for x in person["keypoints"][::3]]
    path.write_text(json.dumps(content))
    return Job("views", annotations=path, skeleton="coco-17", images=path.parent)


def changed(job: Job, output: Path, **values: Any) -> Job:
    return msgspec.structs.replace(job, output=output, **values)


def persons(job: Job) -> list[list[float]]:
    assert job.annotations is not None
    return [a["keypoints"] for a in json.loads(job.annotations.read_text())["annotations"]]


def test_predictions_are_fused_poses(job: Job, tmp_path: Path) -> None:
    folder, metrics = run_job(changed(job, tmp_path / "r"))
    found = json.loads(folder.predictions.read_text())
    truth = persons(job)
    assert len(found) == len(truth) == metrics.counts["poses"]
    for i, (pose, person) in enumerate(zip(found, truth, strict=True)):
        points, annotated = (np.reshape(each, (K, 3)) for each in (pose["keypoints"], person))
        moved = np.repeat([0, 0.25], [K // 2, K - K // 2])
        assert np.allclose(points[:, :2] - annotated[:, :2], np.c_[moved, np.zeros(K)])
        sure = np.repeat([0.8, 0.5], [K // 2, K - K // 2]) - i % 4 / 30
        assert points[:, 2] == pytest.approx(sure)
        assert pose["score"] == pytest.approx(sure.mean())
    assert " merging=oks-fusion(0.7) " in metrics.signature
    ap = metrics.metrics["AP"].value
    assert ap is not None
    assert ap > 0.5
    # The candidates are still there, and scored again they give the same.
    n_candidates = sum(len(read_shard(path).poses) for path in folder.candidates.iterdir())
    assert n_candidates == 3 * len(found)
    assert score_run(folder.path)[1] == metrics


def test_the_sweep_is_over_the_scores_of_final_poses_and_says_so(job: Job, tmp_path: Path) -> None:
    folder, metrics = run_job(changed(job, tmp_path / "r"))
    scores = np.array([pose["score"] for pose in json.loads(folder.predictions.read_text())])
    rows = metrics.conditions["detector-confidence"]
    facts = metrics.condition_facts["detector-confidence"]
    counts = [int((scores >= row.threshold).sum()) for row in rows]
    assert [row.n_poses for row in rows] == counts
    # At 0.6 fused poses are left while no candidate reaches it.
    assert 0 < counts[6] < counts[0]
    candidates = [read_shard(path).poses.scores for path in folder.candidates.iterdir()]
    assert np.concatenate(candidates).max() < 0.6
    assert facts.axis == "least score of a pose"
    assert facts.rule.startswith("final poses whose own score is at least t take part: 0, 0.1,")
    note = (
        "without box scores, so in detector-confidence their own scores stand in for a detector's"
    )
    assert any(note in words for words in metrics.notes)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_same_bytes_with_other_batches_and_after_a_resume(
    job: Job, tmp_path: Path, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_job(changed(job, tmp_path / "a"))[0]
    run_job(changed(job, tmp_path / "b", batch_size="1", workers=workers))
    real, calls = Views.predict, []

    def predict(self: Views, batch: Batch) -> Poses:
        calls.append(batch.images.tolist())
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(Views, "predict", predict)
    with pytest.raises(KeyboardInterrupt):
        run_job(changed(job, tmp_path / "c"))
    run_job(changed(job, tmp_path / "c"))
    expected = contents(whole.path)
    del expected["environment.json"]
    for name in ("b", "c"):
        found = contents(tmp_path / name)
        del found["environment.json"]
        assert found == expected


def test_near_joints_goes_by_ranks_which_shards_keep(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Views, "merging", Merging("near-joints", share=0.1, joints=8, most=30))
    monkeypatch.setattr(Views, "missing", ("areas",))
    folder, metrics = run_job(changed(job, tmp_path / "r"))
    found = json.loads(folder.predictions.read_text())
    # The third candidate of each person has the highest rank, the first one the highest score.
    moved = [np.array(pose["keypoints"][::3]) - person[::3] for pose, person in zip(
        found, persons(job), strict=True
    )]  # fmt: skip
    assert np.allclose(moved, 0.5)
    assert " merging=near-joints(0.1,>8,30) " in metrics.signature
    assert score_run(folder.path)[1] == metrics
    poses = read_shard(next(iter(sorted(folder.candidates.iterdir())))).poses
    assert poses.ranks is not None
    assert poses.ranks.tolist() == [0, 0.5, 1]


def test_shards_without_ranks_are_read(tmp_path: Path) -> None:
    n = 2
    poses = Poses(
        np.zeros(n, np.int64), np.zeros((n, K, 2)), np.ones((n, K)), np.ones(n),
        np.full(n, -1), np.zeros(n, np.int64),
    )  # fmt: skip
    write_shard(tmp_path / "0.npz", Shard(poses))
    with np.load(tmp_path / "0.npz") as arrays:
        assert "ranks" not in arrays.files
    assert read_shard(tmp_path / "0.npz").poses.ranks is None
    write_shard(tmp_path / "0.npz", Shard(replace(poses, ranks=np.array([0.5, 0.25]))))
    again = read_shard(tmp_path / "0.npz").poses.ranks
    assert again is not None
    assert again.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"areas": None}, "returned no areas, expected areas, which merging oks-fusion(0.7) comp"),
        (
            {"box_scores": np.ones},
            "returned box_scores, expected none with merging oks-fusion(0.7)",
        ),
        ({"ranks": lambda n: np.ones(n + 1)}, "returned ranks of shape (4,), expected (3,)"),
        ({"ranks": lambda n: np.full(n, np.nan)}, "returned ranks that are not finite"),
    ],
)
def test_what_merging_cannot_take_is_refused_at_once(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], said: str
) -> None:
    real = Views.predict

    def predict(self: Views, batch: Batch) -> Poses:
        poses = real(self, batch)
        made = {k: v if v is None else v(len(poses)) for k, v in extra.items()}
        return replace(poses, **made)

    monkeypatch.setattr(Views, "predict", predict)
    with pytest.raises(UsageError) as refused:
        run_job(changed(job, tmp_path / "r", batch_size="2"))
    assert f"predictor views: predict {said}" in str(refused.value)
    assert not RunFolder(tmp_path / "r").has(Metrics)


def test_images_of_nobody_have_no_poses(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Views.predict
    monkeypatch.setattr(Views, "predict", lambda self, batch: real(self, batch).take(slice(0)))
    for rule in ("oks-nms", "oks-fusion", "near-joints"):
        monkeypatch.setattr(Views, "merging", Merging(rule))
        folder, metrics = run_job(changed(job, tmp_path / rule))
        assert json.loads(folder.predictions.read_text()) == []
        assert metrics.metrics["AP"].value == 0


def test_the_command_says_what_it_swept_by(job: Job, tmp_path: Path) -> None:
    assert job.annotations is not None
    done = run_in(tmp_path)(
        "run", "--predictor", "views", "--annotations", job.annotations, "--skeleton", "coco-17",
        "--images", job.annotations.parent, "--output", "r", "--no-report", "--bootstrap", "off",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "their own scores stand in for a detector's confidence" in done.stderr
