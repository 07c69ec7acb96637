"""``--save-attention``: which images, what is kept, and what it leaves as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from crowdbench.attention import Attention, read_attention
from crowdbench.card import Card
from crowdbench.errors import UsageError, WriteError
from crowdbench.predictor import Batch, Predictor, Request, Settings, poses_of
from crowdbench.record import RunFolder
from crowdbench.running.attention import chosen_ids
from crowdbench.running.steps import Job, predict_job, run_job
from crowdbench.structures import Poses
from tests.cli.in_process import run_in
from tests.command import EXAMPLE, contents
from tests.running.small import Grey, K, write_images


class Related(Predictor):
    """Puts every keypoint into the middle of all boxes of the image, and attends to the first."""

    card: ClassVar[Card] = Card("related", "", images_per_shard=2, shows_attention=True)
    loads: ClassVar[list[str]] = []
    asked: ClassVar[list[tuple[list[int], int]]] = []

    def __init__(self, request: Request) -> None:
        assert request.boxes is not None
        self.settings = Settings(request.boxes.source, "1", boxes_independent=False)

    def load(self, device: str, weights: Path | None) -> None:
        self.loads.append(device)

    def predict(self, batch: Batch) -> Poses:
        assert batch.boxes is not None
        points = np.repeat(batch.boxes.boxes[:, None, :2], K, 1)
        return poses_of(batch.boxes, points, np.ones(points.shape[:2]), np.ones(len(points)))

    def attention(self, batch: Batch) -> Attention | None:
        assert self.loads, "asked before load"
        assert batch.boxes is not None
        boxes, n = batch.boxes.boxes, len(batch.boxes.boxes)
        assert len(batch.inputs) == 1
        assert batch.inputs[0].shape[1] == 50
        self.asked.append((batch.images.tolist(), n))
        weights = np.zeros((1, n, K, n, 2, 2), np.float32)
        weights[..., 0, :, :] = 0.25
        points = np.repeat(boxes[:, None, :2], K, 1)
        return Attention(boxes, boxes, points, None, weights)


class Broken(Related):
    """Has forgotten that persons attend to persons."""

    card: ClassVar[Card] = msgspec.structs.replace(Related.card, name="broken")

    def attention(self, batch: Batch) -> Any:
        found = super().attention(batch)
        assert found is not None
        return found.weights[:, 0]


class Poseless(Related):
    """Says that there is no pose."""

    card: ClassVar[Card] = msgspec.structs.replace(Related.card, name="poseless")

    def attention(self, batch: Batch) -> Attention | None:
        return None


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of the predictor `Related` on images 100 to 105, which have 0 to 3 persons."""
    found = {"related": Related, "grey": Grey, "broken": Broken, "poseless": Poseless}
    monkeypatch.setattr("crowdbench.refiner.load_predictor", found.__getitem__)
    monkeypatch.setattr(Related, "loads", [])
    monkeypatch.setattr(Related, "asked", [])
    path = write_images(tmp_path / "images")
    return Job(
        "related",
        annotations=path,
        skeleton="coco-17",
        images=path.parent,
        output=tmp_path / "run",
        resamples=0,
    )


def with_ids(job: Job, text: str | None, **values: Any) -> Job:
    return msgspec.structs.replace(job, save_attention=text, **values)


def names(job: Job) -> list[str]:
    assert job.output is not None
    return sorted(path.name for path in (job.output / "attention").glob("*"))


def test_it_is_asked_image_by_image_with_all_boxes_and_kept(job: Job) -> None:
    predict_job(with_ids(job, "103, 102,103", batch_size="1"))
    assert Related.asked == [([2], 2), ([3], 3)]
    assert names(job) == ["102.npz", "103.npz"]
    assert job.output is not None
    found = read_attention(job.output / "attention/103.npz", K)
    assert (found.image_id, found.file_name, found.size) == (103, "3.png", (50, 43))
    assert found.attention.boxes.tolist() == [[5 * j, 4, 20, 30] for j in range(3)]
    assert found.attention.weights[0, 2, 0].sum((1, 2)).tolist() == [1, 0, 0]


def test_it_changes_nothing_else_in_the_run_folder(job: Job, tmp_path: Path) -> None:
    run_job(with_ids(job, None))
    run_job(with_ids(job, "103", output=tmp_path / "other"))
    plain, other = contents(tmp_path / "run"), contents(tmp_path / "other")
    assert sorted(set(other) - set(plain)) == ["attention/103.npz"]
    assert all(other[name] == plain[name] for name in set(plain) - {"environment.json"})


def test_an_image_without_a_box_or_a_pose_has_a_note_and_no_file(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    predict_job(with_ids(job, "100,101", quiet=False))
    assert names(job) == ["101.npz"]
    assert "note: no attention on image 100: it has no box\n" in capsys.readouterr().err
    predict_job(with_ids(job, "100,101", predictor="poseless", overwrite=True, quiet=False))
    assert names(job) == []
    assert "note: no attention on image 101: it has no pose\n" in capsys.readouterr().err


def test_an_image_that_is_skipped_has_a_note(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images/3.png").unlink()
    predict_job(with_ids(job, "102,103", skip_bad_images=True, quiet=False))
    assert names(job) == ["102.npz"]
    assert "note: no attention on image 103: 3.png: no such file\n" in capsys.readouterr().err


def test_a_run_that_goes_on_holds_what_was_asked_last(job: Job, tmp_path: Path) -> None:
    predict_job(with_ids(job, "102,103"))
    mine = tmp_path / "run/attention/mine.txt"
    mine.write_text("mine")
    Related.loads.clear()
    predict_job(with_ids(job, "103,105"))
    # All is predicted, but attention needs the network.
    assert len(Related.loads) == 1
    assert names(job) == ["103.npz", "105.npz", "mine.txt"]
    Related.loads.clear()
    # Not asked for again, it stays.
    predict_job(with_ids(job, None))
    assert Related.loads == []
    assert names(job) == ["103.npz", "105.npz", "mine.txt"]
    predict_job(with_ids(job, "101", overwrite=True))
    assert names(job) == ["101.npz"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "has 'x', expected ids of images with commas between"),
        ("102,", "has '', expected ids"),
        ("1.5", "has '1.5', expected ids"),
        ("9" * 30, "expected ids"),
        (
            "99",
            "image 99, which is not in annotations: its 6 images have ids from 100 to 105, near",
        ),
        ("102,200", "image 200, which is not in annotations: .* nearest 105$"),
    ],
)
def test_wrong_ids_are_told_before_anything_is_predicted(job: Job, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        predict_job(with_ids(job, text))
    assert job.output is not None
    assert not job.output.exists()
    assert Related.loads == []


def test_an_image_beyond_the_limit_is_none_of_the_run(job: Job) -> None:
    with pytest.raises(UsageError, match=r"image 105, .* with --limit 3: its 3 images"):
        predict_job(with_ids(job, "105", limit=3))


def test_a_predictor_without_attention_is_told_which_have_it(job: Job) -> None:
    with pytest.raises(UsageError) as refused:
        predict_job(with_ids(job, "102", predictor="grey"))
    assert "grey shows no attention between keypoints" in str(refused.value)
    assert "i2r-net-tiny" in str(refused.value)
    assert "hrnet" not in str(refused.value)


def test_without_the_option_any_predictor_will_do() -> None:
    assert chosen_ids(None, Grey.card) == []


def test_a_predictor_that_returns_something_else_is_named(job: Job) -> None:
    with pytest.raises(UsageError, match="predictor broken: attention returned ndarray"):
        predict_job(with_ids(job, "102", predictor="broken"))


def test_weights_that_are_no_shares_are_named(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Related.attention

    def doubled(self: Related, batch: Batch) -> Attention:
        found = right(self, batch)
        assert found is not None
        found.weights[...] *= 2
        return found

    monkeypatch.setattr(Related, "attention", doubled)
    with pytest.raises(UsageError, match="predictor related: attention returned weights that are"):
        predict_job(with_ids(job, "102"))
    assert names(job) == []


def test_a_disk_that_is_full_leaves_nothing_half_written(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    predict_job(job)
    monkeypatch.setattr("crowdbench.attention.np.savez", full)
    with pytest.raises(WriteError, match="No space left"):
        predict_job(with_ids(job, "102"))
    assert job.output is not None
    assert RunFolder(job.output).attention.is_dir()
    assert names(job) == []


def test_the_command_hands_the_option_over(tmp_path: Path) -> None:
    asked = ("--predictor", "replay", "--predictions", EXAMPLE / "predictions.json",
             "--annotations", EXAMPLE / "annotations.json", "--skeleton", "crowdpose-14",
             "--save-attention", "1")  # fmt: skip
    for command in ("run", "predict"):
        done = run_in(tmp_path)(command, *asked)
        assert done.returncode == 2
        assert done.stderr.startswith("crowdbench: --save-attention: replay shows no attention")
    assert list(tmp_path.iterdir()) == []
