"""Training learns, goes on to the same bits where it stopped, and tells what it does."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import safetensors
import torch
import yaml
from torch import nn

from crowdbench.errors import CrowdbenchError, InputError, UsageError
from predictors.networks import VARIANTS
from predictors.networks.checkpoints import load_checkpoint
from predictors.training.augmentation import NONE
from predictors.training.examples import Example
from predictors.training.image_augmentation import MIDDLE
from predictors.training.loop import CHECKPOINT, TrainingInterruptedError, train
from predictors.training.pose_scenes import Scene
from predictors.training.recipe import Recipe
from predictors.training.start import begin_network
from tests.training.problems import (
    Scenes,
    Squares,
    pace,
    small_dekr,
    small_interacting,
    small_network,
    small_pinet,
    small_recipe,
    small_relation,
)

RECIPE = small_recipe()


def run(
    folder: Path,
    recipe: Recipe = RECIPE,
    source: Any = None,
    network: nn.Module | None = None,
    resume: bool = False,
    held_out: Any = None,
    **other: Any,
) -> list[str]:
    """Train a small network; return what was said."""
    said: list[str] = []
    train(
        recipe, network or small_network(recipe.seed), source or Squares(), held_out or Squares(4),
        folder, pace(**other), said.append, resume=resume,
    )  # fmt: skip
    return said


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_loss_of_held_out_images_falls(tmp_path: Path) -> None:
    recipe = small_recipe(
        epochs=30, falls=(24,), batch_size=10, augmentation=NONE, learning_rate=4e-3
    )
    run(tmp_path, recipe, save_every=20, log_every=20)
    losses = [float(row["held_out_loss"]) for row in rows(tmp_path)]
    assert len(losses) == 5
    assert losses[-1] < 0.75 * losses[0]


def test_what_is_left_says_how_it_was_made(tmp_path: Path) -> None:
    run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        CHECKPOINT, "log.csv", "curve.png", "weights.safetensors", "recipe.yaml",
    }  # fmt: skip
    # 30 persons in 12 images, and those of 6 more; in batches of 4.
    n_steps = len(rows(tmp_path))
    assert 8 <= n_steps <= 13
    assert [row["step"] for row in rows(tmp_path)] == [str(n + 1) for n in range(n_steps)]
    rates = [float(row["learning_rate"]) for row in rows(tmp_path)]
    assert rates[:3] == [0.0005, 0.001, 0.001]
    assert rates[-1] == 0.0001
    assert [n for n, row in enumerate(rows(tmp_path), 1) if row["held_out_loss"]] == ([6, n_steps])
    said = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    content = (tmp_path / "weights.safetensors").read_bytes()
    assert said["weights"] == {
        "file": "weights.safetensors",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    assert said["steps"] == n_steps
    assert said["recipe"]["data"] == "synthcrowd-train"
    assert said["recipe"]["augmentation"]["rotation"] == RECIPE.augmentation.rotation
    assert said["held_out_loss"] == pytest.approx(float(rows(tmp_path)[-1]["held_out_loss"]), 1e-4)
    with safetensors.safe_open(tmp_path / "weights.safetensors", "pt") as file:
        inside = json.loads(file.metadata()["training"])
        assert file.get_tensor("final_layer.weight").dtype == torch.float32
    assert inside["recipe"]["seed"] == 0
    assert inside["steps"] == n_steps
    assert inside["learned_from"] == said["learned_from"] == "toy, version 1"
    image = cv2.imread(str(tmp_path / "curve.png"))
    assert image is not None
    assert image.std() > 1


class Stopping(Squares):
    """Squares of which one sends Ctrl-C once."""

    stops = True

    def __getitem__(self, index: int) -> Example:
        if index == 5 and Stopping.stops:
            Stopping.stops = False
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(index)


def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    run(tmp_path / "whole", save_every=5)
    Stopping.stops = True
    with pytest.raises(TrainingInterruptedError, match="same command with --resume goes on") as e:
        run(tmp_path / "parts", source=Stopping(), save_every=5)
    assert e.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert not (tmp_path / "parts/weights.safetensors").exists()
    said = run(tmp_path / "parts", network=small_network(9), resume=True, save_every=5)
    assert "goes on after step" in said[0]
    one, other = (tmp_path / name / "weights.safetensors" for name in ("whole", "parts"))
    assert one.read_bytes() == other.read_bytes()
    logs = [
        [
            {k: v for k, v in row.items() if k != "samples_per_second"}
            for row in rows(tmp_path / name)
        ]
        for name in ("whole", "parts")
    ]
    assert logs[0] == logs[1]


def test_what_the_network_draws_depends_on_the_step_alone(tmp_path: Path) -> None:
    """I2R-Net has dropout, and its batches are images."""
    recipe = small_recipe("i2r-net-tiny", batch_size=3, falls=())
    said = run(tmp_path / "whole", recipe, network=small_relation(), save_every=2)
    assert "12 images x 1.5 epochs in batches of 3 images with up to 6 persons each" in said[0]
    Stopping.stops = True
    with pytest.raises(TrainingInterruptedError):
        run(tmp_path / "parts", recipe, network=small_relation(), source=Stopping(), save_every=2)
    torch.manual_seed(1234)
    before = torch.random.get_rng_state()
    other = small_relation(9)
    torch.random.set_rng_state(before)
    run(tmp_path / "parts", recipe, network=other, resume=True, save_every=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    one, two = (tmp_path / name / "weights.safetensors" for name in ("whole", "parts"))
    assert one.read_bytes() == two.read_bytes()
    rates = [float(row["learning_rate"]) for row in rows(tmp_path / "whole")]
    wanted = [
        min(1, (n + 1) / 2) * (2e-5 + 4.8e-4 * (1 + math.cos(math.pi * n / 6)) / 2)
        for n in range(6)
    ]
    assert rates == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "network"), [("pinet-tiny", small_pinet), ("dekr-tiny", small_dekr)]
)
def test_bottom_up_trainings_go_on_to_the_same_bits(
    name: str, network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe(name, batch_size=3, falls=())
    variant = replace(VARIANTS[name], input_size=(64, 64))
    monkeypatch.setattr("predictors.training.bottomup_recipes.VARIANTS", {name: variant})
    said = run(tmp_path / "whole", recipe, network=network(), save_every=2)
    assert "12 images x 1.5 epochs in batches of 3 images, on cpu" in said[0]
    assert [row["images"] for row in rows(tmp_path / "whole")] == ["3", "6", "9", "12", "15", "18"]
    Stopping.stops = True
    with pytest.raises(TrainingInterruptedError):
        run(tmp_path / "parts", recipe, network=network(), source=Stopping(), save_every=2)
    run(tmp_path / "parts", recipe, network=network(9), resume=True, save_every=2, n_workers=1)
    one, two = (tmp_path / name / "weights.safetensors" for name in ("whole", "parts"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("name", "network"), [("pinet-tiny", small_pinet), ("dekr-tiny", small_dekr)]
)
def test_bottom_up_networks_learn_where_joints_are(
    name: str, network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same four images again and again."""
    recipe = small_recipe(
        name, epochs=60, falls=(), batch_size=4, augmentation=MIDDLE, learning_rate=1e-2
    )
    variant = replace(VARIANTS[name], input_size=(64, 64))
    monkeypatch.setattr("predictors.training.bottomup_recipes.VARIANTS", {name: variant})
    run(tmp_path, recipe, source=Squares(4), network=network(), save_every=20, log_every=20)
    found = [(float(row["loss"]), float(row["accuracy"])) for row in rows(tmp_path)]
    assert found[-1][0] < 0.5 * found[0][0]
    assert found[-1][1] > max(0.4, found[0][1] + 0.2)


class StoppingScenes(Scenes):
    """Scenes of which one sends Ctrl-C once."""

    stops = True

    def __getitem__(self, index: int) -> Scene:
        if index == 5 and StoppingScenes.stops:
            StoppingScenes.stops = False
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(index)


def refine(folder: Path, recipe: Recipe, source: Any = None, seed: int = 0, **other: Any) -> list[
    str
]:  # fmt: skip
    """Train a small network to refine poses; return what was said."""
    source = source or Scenes()
    return run(folder, recipe, source, small_interacting(seed), held_out=Scenes(8), **other)


def test_refining_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    recipe = small_recipe("pi-net-synthcrowd", batch_size=3, falls=())
    said = refine(tmp_path / "whole", recipe, save_every=2)
    assert "12 images x 1.5 epochs in batches of 3 images, on cpu" in said[0]
    assert " persons/s  " in said[1]
    with pytest.raises(TrainingInterruptedError):
        refine(tmp_path / "parts", recipe, StoppingScenes(), save_every=2)
    refine(tmp_path / "parts", recipe, seed=9, resume=True, save_every=2, n_workers=1)
    one, two = (tmp_path / name / "weights.safetensors" for name in ("whole", "parts"))
    assert one.read_bytes() == two.read_bytes()
    rates = [float(row["learning_rate"]) for row in rows(tmp_path / "whole")]
    first, last = recipe.learning_rate, recipe.end_rate
    assert last is not None
    wanted = [min(1, (n + 1) / 2) * (last + (first - last) * (1 - n / 6) ** 0.9) for n in range(6)]
    assert rates == pytest.approx(wanted, rel=1e-5)


def test_refined_poses_become_better_than_those_they_were_made_of(tmp_path: Path) -> None:
    recipe = small_recipe(
        "pi-net-synthcrowd", epochs=40, falls=(), batch_size=4, mirrors=False, learning_rate=2e-3
    )
    said = refine(tmp_path, recipe, save_every=60, log_every=30)
    looks = [
        re.fullmatch(r"held out: loss \S+  accuracy \S+  MPJPE_mm (\S+)  before_mm (\S+)", line)
        for line in said
    ]
    figures = [[float(value) for value in look.groups()] for look in looks if look]
    assert len(figures) == 2
    after, before = figures[-1]
    assert before == figures[0][1]
    # A normal error of 50 mm for each coordinate of joint and root.
    assert 80 < before < 120
    assert after < 0.7 * before


def test_weights_are_written_in_the_type_that_the_recipe_says(tmp_path: Path) -> None:
    recipe = small_recipe("pi-net-synthcrowd", batch_size=3, falls=())
    assert recipe.stored == "float16"
    refine(tmp_path / "half", recipe)
    refine(tmp_path / "whole", replace(recipe, stored="float32"))
    half, whole = small_interacting(1), small_interacting(2)
    for name, network in (("half", half), ("whole", whole)):
        load_checkpoint(network, tmp_path / name / "weights.safetensors", "pi-net")
    with safetensors.safe_open(tmp_path / "half/weights.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    trained = whole.state_dict()
    for name, value in half.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, trained[name].half().float())
    assert (tmp_path / "half/weights.safetensors").stat().st_size < 0.55 * (
        tmp_path / "whole/weights.safetensors"
    ).stat().st_size


# Recorded before batches could be whole images: the streams of these methods stay as they were.
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("hrnet-tiny", [0.00462295, 0.00450573, 0.00437973]),
        ("mipnet-tiny", [0.00355562, 0.00339858, 0.00377418]),
    ],
)
def test_earlier_recipes_begin_as_they_did(name: str, wanted: list[float], tmp_path: Path) -> None:
    recipe = small_recipe(name, epochs=0.5)
    run(tmp_path, recipe, network=begin_network(recipe, 17, None))
    losses = [float(row["loss"]) for row in rows(tmp_path)[:3]]
    assert losses == pytest.approx(wanted, rel=5e-3)


def test_a_finished_training_can_be_resumed_without_a_change(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "weights.safetensors").read_bytes()
    run(tmp_path, resume=True)
    assert (tmp_path / "weights.safetensors").read_bytes() == before


def test_workers_and_pace_change_nothing(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "other", n_workers=2, log_every=3, save_every=100)
    one, other = (tmp_path / name / "weights.safetensors" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_bf16_is_for_layers_alone_and_ends_near_fp32(tmp_path: Path) -> None:
    for name in ("fp32", "bf16"):
        run(tmp_path / name, precision=name)
    losses = [[float(row["loss"]) for row in rows(tmp_path / n)] for n in ("fp32", "bf16")]
    assert losses[0] != losses[1]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=0.02)
    assert losses[0][-1] == pytest.approx(losses[1][-1], rel=0.1)
    with safetensors.safe_open(tmp_path / "bf16/weights.safetensors", "pt") as file:
        assert file.get_tensor("final_layer.weight").dtype == torch.float32


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    network = small_network()
    run(tmp_path / "one")
    run(tmp_path / "other", replace(RECIPE, seed=1), network=network)
    one, other = (tmp_path / name / "weights.safetensors" for name in ("one", "other"))
    assert one.read_bytes() != other.read_bytes()


def test_a_folder_in_use_is_not_overwritten(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UsageError, match="holds a training already: --resume goes on"):
        run(tmp_path)
    with pytest.raises(UsageError, match="is of another training"):
        run(tmp_path, replace(RECIPE, seed=1), resume=True)
    with pytest.raises(UsageError, match="is of a training on toy, version 1; now there would be"):
        run(tmp_path, source=Scenes(), resume=True)
    (tmp_path / CHECKPOINT).write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match=r"checkpoint\.pt is no checkpoint or damaged"):
        run(tmp_path, resume=True)


class Failing(nn.Module):
    """A network whose heatmaps are not numbers from the third batch on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 17, 1)
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += self.training
        heatmaps: torch.Tensor = self.layer(images[:, :, ::4, ::4])
        return heatmaps * (float("nan") if self.calls == 3 else 1)


def test_a_loss_that_is_no_number_stops_the_training_before_it_does_harm(tmp_path: Path) -> None:
    recipe = small_recipe("hrnet-tiny")
    with pytest.raises(CrowdbenchError, match="the loss is nan at step 3"):
        run(tmp_path, recipe, network=Failing(), save_every=2)
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert content["step"] == 2
    assert all(value.isfinite().all() for value in content["network"].values())


def test_too_few_persons_for_a_batch_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="synthcrowd-train: 18 images don't fill a batch of 1000 crops"
    ):
        run(tmp_path, replace(RECIPE, batch_size=1000))
