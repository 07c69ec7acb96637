"""Predictions: the same bytes in any batches, with any workers, after any interruption."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from crowdbench import registry
from crowdbench.errors import InputError, MissingError, UsageError
from crowdbench.predictor import Batch
from crowdbench.record import Environment, Run, RunFolder
from crowdbench.results import Metrics
from crowdbench.running.steps import Job, predict_job, run_job, score_run
from crowdbench.structures import Poses
from tests.command import contents
from tests.networks.filled import write_checkpoint
from tests.running.small import Grey, Whole, write_images


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of the predictor `Grey` on the small set of images."""
    found = {"grey": Grey, "whole": Whole}
    monkeypatch.setattr("crowdbench.refiner.load_predictor", found.__getitem__)
    path = write_images(tmp_path / "images")
    return Job("grey", annotations=path, skeleton="coco-17", images=path.parent)


def changed(job: Job, output: Path, **values: Any) -> Job:
    return msgspec.structs.replace(job, output=output, **values)


def same_bytes(a: Path, b: Path) -> bool:
    one, other = contents(a), contents(b)
    one.pop("environment.json")
    other.pop("environment.json")
    return one == other


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("size", ["1", "2", "7"])
def test_the_same_bytes_with_any_batches_and_workers(
    job: Job, tmp_path: Path, size: str, workers: str
) -> None:
    run_job(changed(job, tmp_path / "a"))
    run_job(changed(job, tmp_path / "b", batch_size=size, workers=workers))
    assert same_bytes(tmp_path / "a", tmp_path / "b")


def test_candidates_stand_by_image_then_second_persons_first_then_by_box(
    job: Job, tmp_path: Path
) -> None:
    poses = predict_job(changed(job, tmp_path / "a", batch_size="2"))[1].poses
    assert poses.image_index.tolist() == [1] * 2 + [2] * 4 + [3] * 6 + [5] * 2
    assert poses.instance.tolist() == [1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0]
    assert poses.box_index.tolist() == [0, 0, 1, 2, 1, 2, 3, 4, 5, 3, 4, 5, 6, 6]
    assert poses.keypoints[:4, 0, 0].tolist() == [0 + 10 + 1, 0 + 10, 0 + 20 + 1, 5 + 20 + 1]


def test_a_predictor_without_boxes_gets_every_image(job: Job, tmp_path: Path) -> None:
    folder, metrics = run_job(changed(job, tmp_path / "a", predictor="whole", batch_size="4"))
    assert metrics.counts["poses"] == 6
    speed = folder.read(Environment).speed
    assert (speed.images, speed.persons, speed.batch_size) == (6, 6, 4)
    assert speed.images_per_second is not None


def test_missing_images_are_counted_before_anything_is_done(job: Job, tmp_path: Path) -> None:
    for name in ("1.png", "3.png", "5.png", "0.png"):
        (tmp_path / "images" / name).unlink()
    # Image 0 has no person, so nobody needs its file.
    with pytest.raises(MissingError) as missing:
        run_job(changed(job, tmp_path / "a"))
    assert "3 of 4 images are missing in" in str(missing.value)
    assert "1.png, 3.png, 5.png" in str(missing.value)
    assert not (tmp_path / "a").exists()


def test_a_split_of_which_no_image_can_be_used_is_refused(job: Job, tmp_path: Path) -> None:
    for path in (tmp_path / "images").glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 4 images in .* can be used"):
        run_job(changed(job, tmp_path / "a", skip_bad_images=True))
    assert not (tmp_path / "a/metrics.json").exists()


def test_unreadable_images_are_told_at_the_end_and_the_rest_is_kept(
    job: Job, tmp_path: Path
) -> None:
    bad = tmp_path / "images/3.png"
    content = bad.read_bytes()
    bad.write_bytes(content[: len(content) // 2][:20])
    (tmp_path / "images/2.png").write_bytes(b"")
    with pytest.raises(InputError) as refused:
        run_job(changed(job, tmp_path / "a"))
    assert "2 of 6 images in" in str(refused.value)
    assert "2.png: the file is empty, 3.png: no image that OpenCV can decode" in str(refused.value)
    # The shard of these two images is missing, the others are there.
    assert sorted(p.name for p in (tmp_path / "a/candidates").iterdir()) == [
        "00000.npz", "00002.npz",
    ]  # fmt: skip
    assert not (tmp_path / "a/metrics.json").exists()

    folder, metrics = run_job(changed(job, tmp_path / "a", skip_bad_images=True))
    assert [image.image_id for image in metrics.skipped_images] == [102, 103]
    assert re.fullmatch(r"2#[0-9a-f]{8}", metrics.protocol.skipped)
    assert " skipped=2#" in metrics.signature
    assert any("2 of 6 images could not be used" in note for note in metrics.notes)
    assert folder.read(Environment).speed.images == 2
    assert score_run(folder.path)[1] == metrics
    # Skipped anew, it is the same run to the byte; a missing file is skipped as well.
    run_job(changed(job, tmp_path / "b", skip_bad_images=True, workers="2"))
    assert same_bytes(tmp_path / "a", tmp_path / "b")

    # Put right, the same command without the option makes the shard again.
    bad.write_bytes(content)
    (folder.path / "metrics.json").unlink()
    with pytest.raises(InputError, match="1 of 6 images"):
        run_job(changed(job, tmp_path / "a"))


def test_skipped_images_count_as_missed(job: Job, tmp_path: Path) -> None:
    whole = run_job(changed(job, tmp_path / "a"))[1]
    (tmp_path / "images/3.png").unlink()
    part = run_job(changed(job, tmp_path / "b", skip_bad_images=True))[1]
    assert part.counts["persons_evaluated"] == whole.counts["persons_evaluated"]
    assert part.counts["poses"] == whole.counts["poses"] - 6
    assert part.skipped_images[0].reason == "3.png: no such file"


def test_without_resume_an_unfinished_run_begins_anew(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[int]] = []
    real = Grey.predict

    def predict(self: Grey, batch: Batch) -> Poses:
        calls.append(batch.images.tolist())
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(Grey, "predict", predict)
    with pytest.raises(KeyboardInterrupt):
        predict_job(changed(job, tmp_path / "a"))
    predict_job(changed(job, tmp_path / "a"))
    assert calls == [[1], [2, 3], [5], [5]]
    (tmp_path / "a/environment.json").unlink()
    calls.clear()
    predict_job(changed(job, tmp_path / "a"))
    assert calls == []
    calls.extend([[], [], []])
    predict_job(changed(job, tmp_path / "a", resume=False))
    assert calls[3:] == [[1], [2, 3], [5]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"keypoints": np.zeros((1, 3, 2))}, "predict returned keypoints of shape"),
        ({"scores": np.array([np.nan])}, "not finite"),
        ({"image_index": np.array([0])}, "poses of images that were not asked for"),
        ({"box_index": np.array([7])}, "box_index without a box"),
    ],
)
def test_wrong_poses_are_refused(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], said: str
) -> None:
    real = Grey.predict

    def predict(self: Grey, batch: Batch) -> Poses:
        poses = real(self, batch).take(slice(0, 1))
        for name, value in values.items():
            object.__setattr__(poses, name, value)
        return poses

    monkeypatch.setattr(Grey, "predict", predict)
    with pytest.raises(UsageError) as refused:
        predict_job(changed(job, tmp_path / "a", limit=2))
    assert said in str(refused.value)
    assert "predictor grey" in str(refused.value)


def test_out_of_memory_is_one_message(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(self: Grey, batch: Batch) -> Poses:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Grey, "predict", predict)
    with pytest.raises(MissingError, match=r"batches of 9: .* a smaller --batch-size"):
        predict_job(changed(job, tmp_path / "a", batch_size="9"))


def test_precision_is_for_predictors_that_have_one(job: Job, tmp_path: Path) -> None:
    folder = run_job(changed(job, tmp_path / "a", precision="bf16"))[0]
    assert folder.read(Run).protocol.precision == "bf16"
    with pytest.raises(UsageError, match="whole computes in one precision only"):
        run_job(changed(job, tmp_path / "b", predictor="whole", precision="bf16"))
    with pytest.raises(UsageError, match="--precision is 'fp8', expected fp32 or bf16 or fp16"):
        run_job(changed(job, tmp_path / "b", precision="fp8"))


_SLOW = """
import time
from tests.running import small

class Slow(small.Grey):
    def predict(self, batch):
        time.sleep(0.02)
        return super().predict(batch)
"""
# Shards of one image, so that even three images can be interrupted.
_REAL = """
import msgspec
from predictors.simplebaseline import R50_256x192

class Real(R50_256x192):
    card = msgspec.structs.replace(R50_256x192.card, images_per_shard=1)
"""


def kill_and_resume(folder: Path, arguments: list[str], most: int) -> int:
    """Run a command whole, and another time killed at random moments; return how often it was.

    Args:
        folder: where to run it; the results are in its folders ``whole`` and ``r``.
        arguments: of ``crowdbench run``.
        most: shards that are made before a kill, at most.
    """

    def command(output: str, workers: int) -> list[str]:
        return [
            sys.executable, "-m", "crowdbench", "run", *arguments, "--workers", str(workers),
            "--batch-size", "3", "--device", "cpu", "--no-report", "--output", output, "-q",
        ]  # fmt: skip

    def n_shards() -> int:
        return len(list((folder / "r/candidates").glob("*.npz")))

    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command("whole", 0), cwd=folder, env=environment, check=True)
    rng, n_killed = random.Random(0), 0
    for attempt in range(100):
        process = subprocess.Popen(
            command("r", attempt % 3), cwd=folder, env=environment, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        # When it has got some shards further, or at any moment of its start.
        goal = n_shards() + rng.randint(1, most)
        deadline = time.monotonic() + (rng.uniform(0, 0.6) if attempt % 4 == 3 else 60)
        while process.poll() is None and n_shards() < goal and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            n_killed += 1
        _, said = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, said.decode()
    assert RunFolder(folder / "r").has(Metrics)
    return n_killed


def test_killed_at_random_moments_and_resumed_it_is_the_same_run(tmp_path: Path) -> None:
    path = write_images(tmp_path / "images", 18)
    (tmp_path / "slow.py").write_text(_SLOW)
    arguments = [
        "--predictor", "slow.py:Slow", "--annotations", str(path), "--skeleton", "coco-17",
        "--images", str(path.parent),
    ]  # fmt: skip
    assert kill_and_resume(tmp_path, arguments, 3) > 2
    assert same_bytes(tmp_path / "whole", tmp_path / "r")


def test_a_network_on_real_images_goes_on_after_a_kill(shared: Path, tmp_path: Path) -> None:
    data = shared / "data/ochuman"
    (tmp_path / "real.py").write_text(_REAL)
    weights = write_checkpoint(shared, tmp_path, "simplebaseline-r50-256x192")
    arguments = [
        "--predictor", "real.py:Real", "--annotations", str(data / "test_ochuman.json"),
        "--skeleton", "coco-17", "--images", str(data), "--weights", str(weights),
    ]  # fmt: skip
    assert kill_and_resume(tmp_path, arguments, 1) > 0
    assert same_bytes(tmp_path / "whole", tmp_path / "r")


def test_a_file_names_a_predictor_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(_SLOW + "\nnot_one = 3\n")
    found = registry.load_predictor(f"{tmp_path}/mine.py:Slow")
    assert issubclass(found, Grey)
    with pytest.raises(UsageError, match="is 3, expected a subclass of"):
        registry.load_predictor(f"{tmp_path}/mine.py:not_one")
    with pytest.raises(UsageError, match="did you mean Slow"):
        registry.load_predictor(f"{tmp_path}/mine.py:Slwo")
    with pytest.raises(MissingError, match="there is no file"):
        registry.load_predictor(f"{tmp_path}/other.py:Slow")
    (tmp_path / "broken.py").write_text("import no_such_module_at_all")
    with pytest.raises(InputError, match="can't be imported: ModuleNotFoundError"):
        registry.load_predictor(f"{tmp_path}/broken.py:Slow")
    (tmp_path / "half.py").write_text(
        "from crowdbench.predictor import Predictor\n"
        "class Half(Predictor):\n    def predict(self, batch): ...\n"
    )
    with pytest.raises(UsageError, match="lacks __init__, card"):
        registry.load_predictor(f"{tmp_path}/half.py:Half")


def test_a_shard_is_json_free_of_the_machine(job: Job, tmp_path: Path) -> None:
    (tmp_path / "images/3.png").unlink()
    folder = run_job(changed(job, tmp_path / "a", skip_bad_images=True))[0]
    for name, content in contents(folder.path).items():
        if name != "environment.json":
            assert str(tmp_path).encode() not in content, name
    assert json.loads((folder.path / "metrics.json").read_text())["skipped_images"]
