"""First weights: seeded, or those of a backbone, of which nothing may be missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from crowdbench.datasets.manifest import find_split
from crowdbench.errors import InputError, MissingError, UnknownNameError
from crowdbench.registry import load_predictor, predictor_names
from predictors.bottomup.partitions import find_partition
from predictors.networks import VARIANTS, create
from predictors.networks.dekr import AdaptiveBlock
from predictors.networks.i2r import TwoStageI2RNet
from predictors.networks.mipnet import MIMB
from predictors.networks.pinet import PINet
from predictors.training.bottomup_recipes import BOTTOM_UP
from predictors.training.pose_recipes import POSES
from predictors.training.recipes import RECIPES, find_recipe
from predictors.training.space_recipes import IN_SPACE
from predictors.training.start import begin_network, first_weights
from predictors.training.topdown_recipes import TOP_DOWN

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
    assert (len(TOP_DOWN), len(BOTTOM_UP), len(IN_SPACE)) == (17, 20, 2)
    # No two have the same name.
    assert len(RECIPES) == len(TOP_DOWN) + len(BOTTOM_UP) + len(IN_SPACE) + len(POSES)
    for name, recipe in RECIPES.items():
        # RootNet is a part of 3DMPPE's predictors.
        assert name in predictor_names() or name == "3dmppe-rootnet-tiny"
        assert recipe.network in VARIANTS
        assert recipe.start_from is None or recipe.start_from in predictor_names()
        for split in (recipe.data, recipe.held_out):
            assert find_split(split)[1].name == split
    with pytest.raises(UnknownNameError, match="did you mean hrnet-tiny"):
        find_recipe("hrnet-tyni")


def test_i2r_net_begins_with_its_first_stages_answer(tmp_path: Path) -> None:
    recipe, stage = find_recipe("i2r-net-tiny"), create("hrnet-tiny").eval()
    path = saved(tmp_path / "w.pth", stage.state_dict())
    network = begin_network(recipe, 17, path)
    assert isinstance(network, TwoStageI2RNet)
    assert same(network.singleformer.state_dict(), stage.state_dict())
    assert same(network.final_layer.state_dict(), stage.final_layer.state_dict())
    images, masks = torch.randn(3, 3, 128, 96), torch.ones(3, 1, 128, 96)
    with torch.no_grad():
        wanted = stage(images)
        single, multi = network.eval()(images, masks, [2, 1])
    assert single is not None
    assert torch.allclose(single, wanted, atol=1e-6)
    # Not the same, so that the relation has a gradient.
    assert 0 < (multi - wanted).std() < 0.2 * wanted.std()
    with pytest.raises(InputError, match="is no checkpoint of hrnet-tiny: "):
        begin_network(recipe, 17, saved(tmp_path / "i.pth", network.state_dict()))


@pytest.mark.parametrize("name", ["transpose-h-ochuman-256x192", "hrformer-b-crowdpose-256x192"])
def test_full_size_i2r_nets_begin_with_the_last_layer_of_their_first_stage(name: str) -> None:
    network = begin_network(find_recipe(f"i2r-net-{name}"), 14, None)
    assert isinstance(network, TwoStageI2RNet)
    stage = network.singleformer.state_dict()
    last = "keypoint_head.final_layer" if "hrformer" in name else "final_layer"
    for part in ("weight", "bias"):
        assert torch.equal(network.final_layer.state_dict()[part], stage[f"{last}.{part}"])
    scales = {
        key: value for key, value in network.state_dict().items()
        if key.startswith("upsample_layer") and value.ndim == 1 and key.endswith("weight")
    }  # fmt: skip
    assert [sorted(set(value.tolist())) for value in scales.values()] == [
        [1],
        [pytest.approx(0.1)],
    ]


def test_without_a_first_stage_the_last_layer_begins_near_zero(tmp_path: Path) -> None:
    recipe = find_recipe("i2r-net-vanilla-crowdpose-256x192")
    network = begin_network(recipe, 14, None)
    layer = network.get_submodule("final_layer")
    assert isinstance(layer, torch.nn.Conv2d)
    assert layer.weight.std().item() == pytest.approx(0.001, rel=0.1)
    # A file of the whole network replaces it.
    state = network.state_dict() | {"final_layer.weight": torch.ones_like(layer.weight)}
    found = begin_network(recipe, 14, saved(tmp_path / "w.pth", state))
    assert same(found.state_dict(), state)


def test_recipes_of_i2r_net_are_the_official_configurations() -> None:
    found = {
        recipe.name.removeprefix("i2r-net-"): (
            recipe.batch_size, recipe.max_persons, recipe.learning_rate, recipe.end_rate,
            recipe.augmentation.half_body_above, recipe.sampling.masks, recipe.start_from,
        )
        for recipe in TOP_DOWN
        if recipe.name.startswith("i2r-net-") and recipe is not find_recipe("i2r-net-tiny")
    }  # fmt: skip
    tph4, tph6 = "transpose-h-a4-256x192", "transpose-h-a6-256x192"
    hrt, large = "hrformer-b-256x192", "hrformer-b-384x288"
    assert found == {
        "vanilla-coco-256x192": (64, 7, 5e-4, 5e-5, 8, True, None),
        "transpose-h-coco-256x192": (32, 4, 1e-4, 1e-5, 8, True, tph6),
        "hrformer-b-coco-256x192": (96, 2, 1e-4, 1e-5, 8, False, hrt),
        "hrformer-b-coco-384x288": (32, 2, 1e-4, 1e-5, 8, False, large),
        "vanilla-crowdpose-256x192": (256, 5, 1e-4, 1e-5, 8, True, None),
        "transpose-h-crowdpose-256x192": (32, 6, 1e-4, 1e-5, 6, False, tph4),
        "hrformer-b-crowdpose-256x192": (32, 4, 5e-4, 5e-6, 6, False, hrt),
        "vanilla-ochuman-256x192": (256, 3, 1e-4, 1e-5, 8, False, None),
        "transpose-h-ochuman-256x192": (64, 3, 1e-4, 1e-5, 8, True, tph4),
        "hrformer-b-ochuman-256x192": (64, 3, 1e-4, 1e-5, 8, False, hrt),
    }
    recipe = find_recipe("i2r-net-hrformer-b-coco-384x288")
    assert (recipe.epochs, recipe.sigma, recipe.convention) == (240, 2, "size-minus-one")
    rates = [recipe.rate(epoch, 0) for epoch in (0, 120, 240)]
    assert rates == pytest.approx([1e-4, 5.5e-5, 1e-5])
    assert recipe.sampling.grouped
    assert not find_recipe("mipnet-tiny").sampling.grouped


def test_recipes_crop_as_their_predictors_do() -> None:
    for recipe in TOP_DOWN:
        method = load_predictor(recipe.name).method
        assert (recipe.network, recipe.convention, recipe.sampling.input_size, recipe.channels) == (
            method.network, method.convention, method.input_size, method.channels,
        )  # fmt: skip


def test_bottom_up_recipes_see_images_as_their_predictors_do() -> None:
    for recipe in BOTTOM_UP:
        predictor = load_predictor(recipe.name)
        side = predictor.method.short_side
        assert (recipe.network, recipe.sampling.input_size) == (
            predictor.method.network,
            (side, side),
        )
        by_parts = getattr(predictor, "partition", None)
        assert recipe.by_parts == (by_parts is not None)
        assert recipe.partition == (by_parts or "center")


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


@pytest.mark.parametrize(
    ("name", "prefix", "share"),
    [("pinet-tiny", "backbone.", 0.6), ("dekr-tiny", "", 0.4), ("grm-tiny", "", 0.2)],
)
def test_bottom_up_networks_take_what_fits(
    name: str, prefix: str, share: float, tmp_path: Path
) -> None:
    recipe, trunk = find_recipe(name), create("hrnet-tiny").state_dict()
    path, said = saved(tmp_path / "w.pth", trunk), []
    found = begin_network(recipe, 17, path, said.append).state_dict()
    fresh = begin_network(recipe, 17, None).state_dict()
    fits = {
        key for key, value in trunk.items()
        if prefix + key in found and found[prefix + key].shape == value.shape
        and not key.endswith("num_batches_tracked")
    }  # fmt: skip
    assert {"conv1.weight", "stage4.0.branches.3.0.conv2.weight", "layer1.0.bn1.running_var"} - (
        fits
    ) == ({"stage4.0.branches.3.0.conv2.weight"} if name == "grm-tiny" else set())
    assert same({key: found[prefix + key] for key in fits}, {key: trunk[key] for key in fits})
    taken = {prefix + key for key in fits}
    assert same(*({k: v for k, v in s.items() if k not in taken} for s in (found, fresh)))
    wanted = sum(not key.endswith("num_batches_tracked") for key in found)
    assert said == [f"{path}: {len(fits)} of the network's {wanted} tensors begin with its values"]
    assert share < len(fits) / wanted < share + 0.2
    # Its own names fit as well.
    begin_network(recipe, 17, saved(tmp_path / "own.pth", fresh), said.append)
    assert f": {wanted} of the network's {wanted} tensors" in said[1]
    fresh["conv1.weight"] = torch.full((16, 3, 3, 3), torch.nan)
    with pytest.raises(InputError, match=r"conv1\.weight.*finite"):
        begin_network(recipe, 17, saved(tmp_path / "nan.pth", fresh))
    with pytest.raises(InputError, match="none of its tensors fits the network"):
        begin_network(recipe, 17, saved(tmp_path / "x.pth", {"x": torch.zeros(1)}))


def test_bottom_up_networks_begin_with_answers_near_zero() -> None:
    images = torch.randn(1, 3, 64, 64)
    pinet = begin_network(find_recipe("pinet-tiny"), 17, None)
    dekr = begin_network(find_recipe("dekr-tiny"), 17, None)
    assert isinstance(pinet, PINet)
    with torch.no_grad():
        features = pinet.features(images)
        for maps in (*pinet.maps(features), *dekr(images)):
            assert 0 < maps.abs().max() < 0.3
        poses, centres = torch.rand(1, 3, 17, 2) * 16, torch.ones(1, 3, 2, dtype=torch.int64)
        assert 0 < pinet.refine_offsets(features, poses, centres).abs().max() < 0.3
    blocks = [module for module in dekr.modules() if isinstance(module, AdaptiveBlock)]
    assert len(blocks) == 17
    for block in blocks:
        assert block.transform_matrix_conv.bias.tolist() == [1, 0, 0, 1]
        assert not block.transform_matrix_conv.weight.any()
        assert (block.bn.weight == 8).all()


def test_published_bottom_up_recipes_are_those_of_the_papers() -> None:
    found = {
        recipe.name: (
            recipe.data, recipe.epochs, recipe.falls, recipe.batch_size, recipe.partition,
            recipe.sampling.block, recipe.area, recipe.least_box, recipe.least_area,
            recipe.centre_sigma,
        )
        for recipe in BOTTOM_UP
        if recipe.data != "synthcrowd-train"
    }  # fmt: skip
    short, long, kib = (140, (90, 120)), (300, (200, 260)), 1024
    pinet = ((-2, 1), "box")
    dekr = ("coco-train2017", *short)
    heads = ("center", (-4, 3), "origin", 0, kib, 4)
    assert found == {
        "pinet-w32-coco-512": ("coco-train2017", *short, 40, "part-large", *pinet, kib, 0, 2),
        "pinet-w32-crowdpose-512": (
            "crowdpose-trainval", *long, 40, "part-large", *pinet, 0, 0, 2,
        ),
        "pinet-w32-ochuman-512": ("ochuman-val", *short, 20, "part-large", *pinet, kib, 0, 2),
        "spm-w32-512": ("ochuman-val", *short, 20, "center", *pinet, kib, 0, 2),
        "dekr-w32-512": (*dekr, 40, *heads),
        "dekr-w48-640": (*dekr, 20, *heads),
        "global-relation-w32-512": (*dekr, 40, *heads),
        "global-relation-w48-640": (*dekr, 20, *heads),
    }  # fmt: skip
    for recipe in BOTTOM_UP:
        parts = VARIANTS[recipe.network].config.get("n_parts", 1)
        assert len(find_partition(recipe.partition)) == parts
        assert recipe.by_parts is ("n_parts" in VARIANTS[recipe.network].config)
        assert recipe.sigma == 2
        assert recipe.start_from == ("hrnet-tiny" if "tiny" in recipe.name else None)
    assert find_recipe("dekr-w48-640").sampling.input_size == (640, 640)
    assert [find_recipe(name).n_chosen for name in ("pinet-w32-coco-512", "pinet-tiny")] == [40, 16]
