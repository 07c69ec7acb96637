"""The command: what it says when something is wrong, and a whole training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from predictors.training import __main__ as command
from predictors.training import examples
from tests.training.problems import Squares


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> object:
    """Return a function that runs the command and returns its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    for name in ("CROWDBENCH_DATA", "CROWDBENCH_WEIGHTS", "CROWDBENCH_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["training", *arguments])
        with pytest.raises(SystemExit) as ended:
            command.main()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return code or 0, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["mipnet-tyni"], 2, "unknown recipe 'mipnet-tyni'; did you mean mipnet-tiny"),
        (["hrnet-tiny", "--epochs", "0"], 2, "--epochs is 0, expected a positive number"),
        (["hrnet-tiny", "--device", "tpu"], 2, "--device is 'tpu', expected auto, cpu or cuda"),
        (["hrnet-tiny", "--precision", "fp16"], 2, "--precision is 'fp16', expected fp32 or bf16"),
        (["hrnet-w32-256x192"], 3, "coco-train2017: annotations not found"),
        (["pinet-w32-coco-512"], 3, "coco-train2017: annotations not found"),
        (["dekr-tiny", "--start-from", "no.pth"], 3, "no.pth is not there"),
        (["hrnet-tiny", "--start-from", "no.pth"], 3, "weights not found at no.pth"),
        (["pi-net-gcn"], 2, "pi-net-gcn refines poses: give --poses FILE"),
        (
            ["pi-net-gcn", "--poses", "a"],
            2,
            "give --held-out-poses FILE, e.g. the predictions.json",
        ),
        (["hrnet-tiny", "--poses", "a"], 2, "--poses is a, but hrnet-tiny learns from images"),
        (
            ["pi-net-gcn", "--poses", "a", "--held-out-poses", "b"],
            3,
            "synthcrowd-3d-train: annotations not found",
        ),
    ],
)
def test_errors_are_told_in_two_lines_at_most(
    run: object, arguments: list[str], code: int, words: str, tmp_path: Path
) -> None:
    assert callable(run)
    found, out, err = run(*arguments)
    assert found == code
    assert err.startswith("training: ")
    assert words in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 2
    assert not out
    assert not list(tmp_path.iterdir())


def test_a_training_from_the_command_line_gives_weights_of_the_predictor(
    run: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from predictors.networks import create
    from predictors.networks.checkpoints import load_checkpoint

    assert callable(run)
    monkeypatch.setattr(examples, "find_source", lambda *_, **__: Squares(40))
    code, out, err = run("hrnet-tiny", "--epochs", "0.8", "--workers", "0", "--output", "out")
    assert (code, err) == (0, "")
    first, *_, last = out.splitlines()
    assert first.startswith("hrnet-tiny begins: 640,337 parameters, 40 images x 0.8 epochs")
    assert last.startswith("weights: out/weights.safetensors (2,")
    load_checkpoint(create("hrnet-tiny"), tmp_path / "out/weights.safetensors", "hrnet-tiny")
    code, _, err = run("hrnet-tiny", "--epochs", "0.8", "--output", "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "--resume goes on with it" in err
