"""The recipes of 3DMPPE: what they learn from, how, and what they begin with."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest
import safetensors.torch
import torch

from crowdbench.errors import MissingError
from predictors.networks import VARIANTS
from predictors.training.recipes import RECIPES, find_recipe
from predictors.training.space_losses import JointsInVolume, RootInCrop
from predictors.training.space_recipes import IN_SPACE, SpaceRecipe
from predictors.training.space_samples import JointSampling, RootSampling
from predictors.training.start import begin_network, first_weights

POSENET, ROOTNET = IN_SPACE


def test_there_is_one_for_each_tiny_network() -> None:
    assert [(recipe.name, recipe.network) for recipe in IN_SPACE] == [
        ("3dmppe-tiny", "3dmppe-posenet-tiny"),
        ("3dmppe-rootnet-tiny", "3dmppe-rootnet-tiny"),
    ]
    for recipe in IN_SPACE:
        assert RECIPES[recipe.name] is find_recipe(recipe.name) is recipe
        assert recipe.network in VARIANTS
        assert (recipe.data, recipe.held_out) == ("synthcrowd-3d-train", "synthcrowd-3d-val")
        assert (recipe.boxes, recipe.channels) == ("classical", "RGB")
        assert recipe.batch_words == "32 crops"


def test_posenet_learns_joints_and_rootnet_roots_whose_scale_is_not_drawn() -> None:
    assert isinstance(POSENET.objective, JointsInVolume)
    assert isinstance(ROOTNET.objective, RootInCrop)
    joints, roots = POSENET.sampling, ROOTNET.sampling
    assert isinstance(joints, JointSampling)
    assert isinstance(roots, RootSampling)
    assert joints.input_size == roots.input_size == (128, 128)
    assert joints.n_bins == 32
    assert (joints.augmentation.scale, roots.augmentation.scale) == (0.15, 0)
    assert (
        joints.augmentation.half_body_probability == roots.augmentation.half_body_probability == 0
    )


def test_the_rate_falls_along_half_a_cosine() -> None:
    steps = ((0.0, 0), (POSENET.epochs / 2, 1000), (POSENET.epochs, 2000))
    rates = [POSENET.rate(epoch, step) for epoch, step in steps]
    assert rates == pytest.approx([1e-5, (1e-3 + 2e-5) / 2, 2e-5])


@pytest.mark.parametrize("recipe", IN_SPACE)
def test_both_begin_with_the_trunk_of_hrnet_tiny(
    recipe: SpaceRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CROWDBENCH_WEIGHTS", raising=False)
    # Its weights are for another layout.
    path = first_weights(recipe, "mupots-17", None)
    assert path is not None
    assert path == Path(str(importlib.resources.files("predictors"))) / "weights" / path.name
    said: list[str] = []
    state = begin_network(recipe, 17, path, said.append).state_dict()
    tensors = safetensors.torch.load_file(path)
    trunk = {f"backbone.{name}": value for name, value in tensors.items() if "final" not in name}
    assert all(
        torch.equal(state[name], value.to(state[name].dtype))
        for name, value in trunk.items()
        if not name.endswith("num_batches_tracked")
    )
    assert len(said) == 1
    assert said[0].startswith(f"{path}: 290 of the network's ")


def test_other_first_weights_must_be_there() -> None:
    with pytest.raises(MissingError, match=r"none\.pth is not there"):
        first_weights(POSENET, "mupots-17", Path("none.pth"))
