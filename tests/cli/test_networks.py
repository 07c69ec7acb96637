"""Predictors with networks from the command line: what is missing, wrong or malicious."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from predictors.networks import create
from tests.command import EXAMPLE, Crowdbench
from tests.running.small import write_images

NAME = "simplebaseline-r50-256x192"


@pytest.fixture
def arguments(tmp_path: Path) -> list[str | Path]:
    """Arguments of a run that lacks nothing but weights."""
    path = write_images(tmp_path / "images", 3)
    return [
        "run", "--predictor", NAME, "--annotations", path, "--skeleton", "coco-17", "--images",
        path.parent, "--output", "r", "--no-report",
    ]  # fmt: skip


def test_a_machine_without_anything_is_told_everything(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    done = crowdbench("run", "--predictor", "mipnet", "--split", "ochuman-test")
    assert done.returncode == 3
    assert "crowdbench: 3 things are missing:" in done.stderr
    for what in ("annotations not found", "images not found", "weights of mipnet-hrnet-w48"):
        assert f"{what}" in done.stderr
    assert "https://drive.google.com/file/d/1L_GZ_ppb896X01HTdjAg5FcYXAiir5QI" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


class Malicious:
    """Writes a file when it is unpickled by a reader that runs code."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_wrong_weights_are_refused_with_the_reason_and_run_no_code(
    crowdbench: Crowdbench, tmp_path: Path, arguments: list[str | Path]
) -> None:
    ran = tmp_path / "ran"
    files = {
        "text.pth": b"these are no weights",
        "evil.pth": pickle.dumps({"conv1.weight": Malicious(ran)}),
        "empty.pth": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    torch.save({"conv1.weight": Malicious(ran)}, tmp_path / "evil.pth.tar")
    torch.save(create("simplebaseline-r101-256x192").state_dict(), tmp_path / "other.pth")
    torch.save(create(NAME, num_joints=14).state_dict(), tmp_path / "joints.pth")
    for name, said in {
        "text.pth": "text.pth",
        "empty.pth": "empty.pth",
        "evil.pth": "evil.pth",
        "evil.pth.tar": "evil.pth.tar",
        "other.pth": "simplebaseline-r101-256x192",
        "joints.pth": "14",
    }.items():
        done = crowdbench(*arguments, "--weights", name)
        assert done.returncode == 2, (name, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
        assert not ran.exists()
        assert not (tmp_path / "r").exists()


def test_random_weights_give_a_run_that_says_so(
    crowdbench: Crowdbench, tmp_path: Path, arguments: list[str | Path]
) -> None:
    done = crowdbench(*arguments, "--weights", "random", "--batch-size", "2", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "weights are random" in done.stderr
    assert "latency" in done.stdout
    run = json.loads((tmp_path / "r/run.json").read_text())
    assert "weights" not in run["predictor"]["inputs"]
    assert run["predictor"]["card"]["backbone"] == "ResNet-50"
    speed = json.loads((tmp_path / "r/environment.json").read_text())["speed"]
    assert (speed["batch_size"], speed["parameters"]) == (2, 33_999_697)


def test_options_of_networks_are_checked(
    crowdbench: Crowdbench, arguments: list[str | Path]
) -> None:
    for more, code, said in (
        (("--device", "gpu"), 2, "--device is 'gpu'"),
        (("--batch-size", "0"), 2, "--batch-size is '0'"),
        (("--workers", "-1"), 2, "--workers is '-1'"),
        (("--precision", "fp8"), 2, "--precision is 'fp8'"),
        (("--weights", "nowhere.pth"), 3, "nowhere.pth is not there"),
        (("--boxes", "nowhere.json"), 3, "boxes not found at nowhere.json"),
    ):
        done = crowdbench(*arguments, "--weights", "random", *more)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
    done = crowdbench(
        "run", "--predictor", NAME, "--annotations", EXAMPLE / "annotations.json", "--skeleton",
        "coco-17", "--weights", "random",
    )  # fmt: skip
    assert done.returncode == 3
    assert "give the folder that has them with --images DIR" in done.stderr


def test_missing_images_are_counted(
    crowdbench: Crowdbench, tmp_path: Path, arguments: list[str | Path]
) -> None:
    (tmp_path / "images/1.png").unlink()
    done = crowdbench(*arguments, "--weights", "random")
    assert done.returncode == 3
    assert "1 of 2 images are missing in" in done.stderr
    assert "--skip-bad-images" in done.stderr
    assert not (tmp_path / "r").exists()


def test_listing_predictors_loads_no_network_library(crowdbench: Crowdbench) -> None:
    done = crowdbench("ls", "predictors", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert "short for mipnet-hrnet-w48-384x288" in done.stdout
    assert " torch" not in done.stderr
    assert "msgspec" in done.stderr
