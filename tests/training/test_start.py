"""First weights: seeded, or those of a backbone, of which nothing may be missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from crowdbench.errors import InputError, MissingError, UnknownNameError
from crowdbench.registry import predictor_names
from predictors.networks import VARIANTS, create
from predictors.networks.mipnet import MIMB
from predictors.training.recipe import RECIPES, find_recipe
from predictors.training.start import begin_network, first_weights

TINY, MULTI = find_recipe("hrnet-tiny"), find_recipe("mipnet-tiny")
State = dict[str, torch.Tensor]


def saved(path: Path, state: State) -> Path:
    torch.save(state, path)
    return path


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_first_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one = begin_network(MULTI, 17, None).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert same(one, begin_network(MULTI, 17, None).state_dict())


def test_all_layers_begin_close_to_zero() -> None:
    network = begin_network(MULTI, 17, None)
    blocks = [module for module in network.modules() if isinstance(module, MIMB)]
    assert len(blocks) == 5
    for name in ("final_layer", "stage4.0.branches.0.0.conv1"):
        assert network.get_submodule(name).weight.std().item() == pytest.approx(0.001, rel=0.1)
    assert not network.get_submodule("final_layer").bias.any()
    weights = torch.cat([layer.weight.flatten() for b in blocks for layer in linears(b)])
    assert weights.std().item() == pytest.approx(0.001, rel=0.05)
    assert not any(
        layer.bias.any() for b in blocks for layer in linears(b) if layer.bias is not None
    )


def linears(block: MIMB) -> list[Any]:
    return [layer for layer in block.modules() if isinstance(layer, torch.nn.Linear)]


def test_mipnet_starts_from_its_backbone(tmp_path: Path) -> None:
    backbone = create("hrnet-tiny").state_dict()
    found = begin_network(MULTI, 17, saved(tmp_path / "w.pth", backbone)).state_dict()
    assert same({name: found[name] for name in backbone}, backbone)
    fresh = begin_network(MULTI, 17, None).state_dict()
    blocks = fresh.keys() - backbone.keys()
    assert blocks
    assert same({name: found[name] for name in blocks}, {name: fresh[name] for name in blocks})


@pytest.mark.parametrize("recipe", [TINY, MULTI])
def test_a_file_that_lacks_anything_else_is_refused(recipe: Any, tmp_path: Path) -> None:
    state = create("hrnet-tiny").state_dict()
    del state["final_layer.bias"]
    with pytest.raises(InputError, match=r"1 missing \(first 'final_layer.bias'\)"):
        begin_network(recipe, 17, saved(tmp_path / "w.pth", state))


def test_full_size_mipnet_starts_from_hrnets_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = find_recipe("mipnet-hrnet-w32-256x192")
    monkeypatch.setenv("CROWDBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingError, match=r"get pose_hrnet_w32_256x192\.pth from https://"):
        first_weights(recipe, "coco-17", None)
    path = tmp_path / "pose_hrnet_w32_256x192.pth"
    path.touch()
    assert first_weights(recipe, "coco-17", None) == path
    assert first_weights(TINY, "coco-17", None) is None
    assert first_weights(TINY, "coco-17", path) == path


def test_recipes_name_what_there_is() -> None:
    assert len(RECIPES) == 6
    for name, recipe in RECIPES.items():
        assert name in predictor_names()
        assert recipe.network in VARIANTS
        assert recipe.start_from is None or recipe.start_from in predictor_names()
    with pytest.raises(UnknownNameError, match="did you mean hrnet-tiny"):
        find_recipe("hrnet-tyni")


def test_the_tiny_mipnet_goes_on_from_its_twin_on_the_same_images() -> None:
    for field in ("data", "batch_size", "sigma", "augmentation", "seed"):
        assert getattr(TINY, field) == getattr(MULTI, field)
    assert (TINY.start_from, MULTI.start_from) == (None, "hrnet-tiny")


def test_full_size_recipes_are_those_of_the_papers() -> None:
    large = find_recipe("mipnet-hrnet-w48-384x288")
    assert (large.epochs, large.falls, large.batch_size, large.sigma) == (110, (70, 100), 40, 3)
    assert (large.n_instances, large.start_from) == (2, "hrnet-w48-384x288")
    small = find_recipe("hrnet-w32-256x192")
    assert (small.epochs, small.falls, small.batch_size, small.sigma) == (210, (170, 200), 128, 2)
    rates = [small.rate(epoch, 0) for epoch in (0, 169.9, 170, 200)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
