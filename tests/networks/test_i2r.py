"""I2R-Net and TransPose: equal to the official networks; a group is related, nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from predictors.networks import VARIANTS, create
from predictors.networks.cost import n_parameters
from predictors.networks.i2r import MaskConvolutions, MaskResNet, SharedDoublings
from predictors.networks.transformer import sine_positions
from tests.networks.filled import (
    entries_of,
    error,
    filled,
    filler,
    lively,
    on_meta,
    reference,
)

# Trainable parameters of the official networks.
PARAMETERS = {
    "transpose-h-a4-256x192": 17_341_937,
    "transpose-h-a6-256x192": 17_491_505,
    "i2r-net-vanilla-coco-256x192": 17_709_169,
    "i2r-net-vanilla-crowdpose-256x192": 17_708_878,
    "i2r-net-vanilla-ochuman-256x192": 17_709_169,
    "i2r-net-transpose-h-coco-256x192": 17_996_130,
    "i2r-net-transpose-h-crowdpose-256x192": 17_844_060,
    "i2r-net-transpose-h-ochuman-256x192": 18_001_277,
    "i2r-net-hrformer-b-coco-256x192": 43_720_943,
    "i2r-net-hrformer-b-coco-384x288": 43_720_943,
    "i2r-net-hrformer-b-crowdpose-256x192": 43_720_469,
    "i2r-net-hrformer-b-ochuman-256x192": 43_720_943,
}
OFFICIAL = [name for name in PARAMETERS if name.startswith("i2r")]
# The positions of persons enter these alone.
WITH_MASKS = {
    "i2r-net-vanilla-coco-256x192",
    "i2r-net-vanilla-crowdpose-256x192",
    "i2r-net-transpose-h-coco-256x192",
    "i2r-net-transpose-h-ochuman-256x192",
    "i2r-net-tiny",
}
# Where the names of a variant are listed.
LISTED = {
    "transpose-h-a4-256x192": "transpose-h-a4-256x192/state_dict",
    "transpose-h-a6-256x192": "transpose-h-256x192/state_dict",
    "i2r-net-vanilla-crowdpose-256x192": "i2r-vanilla-w48s-256x192/state_dict",
    "i2r-net-transpose-h-crowdpose-256x192": "i2r-transpose-h-256x192/state_dict",
    "i2r-net-transpose-h-ochuman-256x192": "state_dicts/i2r-transpose-h-256x192-ochuman",
    "i2r-net-hrformer-b-coco-256x192": "state_dicts/i2r-hrformer-b-256x192",
    "i2r-net-hrformer-b-coco-384x288": "state_dicts/i2r-hrformer-b-384x288",
}
LENGTHS = [3, 1, 2, 1, 3]


def crops_and_masks(n: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Return n crops of the tiny network's size and boxes as masks."""
    generator = torch.Generator().manual_seed(0)
    crops = torch.randn(n, 3, 128, 96, generator=generator, dtype=dtype)
    masks = torch.zeros(n, 1, 128, 96, dtype=dtype)
    for i, mask in enumerate(masks):
        mask[:, 2 * i : 3 * i + 20, 2 * i : 2 * i + 30] = 1
    return crops, masks


def tiny() -> Any:
    """Return the tiny network in float64, whose persons have much to do with each other."""
    torch.manual_seed(0)
    network: Any = create("i2r-net-tiny").double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.inference_mode():
        network(*crops_and_masks(4), [4])
    for layer in network.eval().multi_global_encoder.layers:
        # As it begins, attention hardly prefers one token to another.
        layer.self_attn.in_proj_weight.data *= 2
        nn.init.normal_(layer.self_attn.in_proj_bias, 0, 0.3)
    return network


@pytest.fixture(scope="module")
def network() -> Any:
    return tiny()


def difference(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max())


# --- names and sizes ------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", LISTED)
def test_names_shapes_and_types_equal_the_official_ones(shared: Path, variant: str) -> None:
    wanted = reference(shared, LISTED[variant])
    found = on_meta(variant)
    assert sorted(entries_of(found)) == sorted(wanted["state_dict"])
    assert n_parameters(found) == wanted["total_trainable_params"]


@pytest.mark.parametrize("variant", PARAMETERS)
def test_the_number_of_trainable_parameters_is_the_official_one(variant: str) -> None:
    assert n_parameters(on_meta(variant)) == PARAMETERS[variant]


def test_first_stages_alone_have_the_joints_of_crowdpose_on_demand() -> None:
    assert n_parameters(on_meta("transpose-h-a4-256x192", num_joints=14)) == 17_341_646
    assert n_parameters(on_meta("hrformer-b-256x192", num_joints=14)) == 43_211_540


def test_a_block_for_all_doublings_has_the_name_of_the_older_class() -> None:
    names = {name.split(".")[0] for name in on_meta(OFFICIAL[3]).state_dict()}
    assert {"multi_global_encoder", "deconv_layers", "final_layer"} < names
    assert "upsample_layer" not in names


@pytest.mark.parametrize("variant", [*OFFICIAL, "i2r-net-tiny"])
def test_some_networks_need_masks(variant: str) -> None:
    made: Any = on_meta(variant)
    assert made.needs_masks == (variant in WITH_MASKS)


# The networks on HRFormer-B are the same but for their joints.
@pytest.mark.parametrize("variant", [*OFFICIAL[:6], OFFICIAL[8], "i2r-net-tiny"])
def test_heatmaps_have_a_quarter_of_the_size_of_the_crop(variant: str) -> None:
    made: Any = on_meta(variant)
    height, width = VARIANTS[variant].input_size
    joints = 14 if "crowdpose" in variant else 17
    shape = (3, joints, height // 4, width // 4)
    with torch.device("meta"):
        masks = torch.zeros(3, 1, height, width) if made.needs_masks else None
        single, multi = made(torch.zeros(3, 3, height, width), masks, [1, 2])
    assert multi.shape == shape
    if "vanilla" in variant:
        assert single is None
    else:
        assert single.shape == shape


@pytest.mark.parametrize(
    ("variant", "features", "tokens"),
    [
        ("i2r-net-vanilla-coco-256x192", (16, 12), (16, 12)),
        ("i2r-net-transpose-h-coco-256x192", (64, 48), (16, 12)),
        ("i2r-net-hrformer-b-coco-384x288", (96, 72), (24, 18)),
        ("i2r-net-tiny", (32, 24), (16, 12)),
    ],
)
def test_tokens_are_a_sixteenth_of_the_crop_in_official_networks(
    variant: str, features: tuple[int, int], tokens: tuple[int, int]
) -> None:
    made: Any = on_meta(variant)
    height, width = VARIANTS[variant].input_size
    with torch.device("meta"):
        found = made.intra(torch.zeros(2, 3, height, width)).features
        masks = torch.zeros(2, 1, height, width)
        weights = made.attention(found, masks, torch.zeros(5, dtype=torch.int64))
    assert found.shape[2:] == features
    assert made.token_size(found) == tokens
    assert weights.shape[1:] == (5, 2, *tokens)


def test_the_tiny_network_is_hrnet_tiny_and_a_relation_small_enough_to_ship() -> None:
    made = on_meta("i2r-net-tiny")
    assert n_parameters(made) == 674_346
    assert sum(t.numel() * t.element_size() for t in made.state_dict().values()) < 2_900_000
    first = made.get_submodule("singleformer")
    assert entries_of(first) == entries_of(on_meta("hrnet-tiny"))


# --- equal to the official outputs ----------------------------------------------------------------


def remember_the_trunk(network: Any) -> None:
    """Run the trunk once, for the one batch that the network will be given."""
    features, found = network.features, []

    def once(images: Tensor) -> list[Tensor]:
        if not found:
            found.extend(features(images))
        return found

    network.features = once


def restore_sines(network: Any) -> None:
    network.pos_embedding.copy_(sine_positions(64, 48, 96))


@torch.inference_mode()
def test_transpose_equals_the_official_one(shared: Path) -> None:
    images = filler(shared).image_batch(7, (2, 3, 256, 192))
    branches: list[Tensor] = []
    for variant, name in (
        ("transpose-h-a6-256x192", "transpose-h-256x192"),
        ("transpose-h-a4-256x192", "transpose-h-a4-256x192"),
    ):
        made: Any = filled(shared, variant)
        # The trunks of both are the same, and so are their weights.
        branches = branches or made.features(images)
        made.features = lambda _, branches=branches: branches
        golden = reference(shared, f"{name}/golden")["outputs"]
        for suffix in ("", "_with_sine_position"):
            features, heatmaps = made.features_and_heatmaps(images)
            assert error(features, golden[f"features{suffix}"]) < 1e-9
            assert error(heatmaps, golden[f"heatmaps{suffix}"]) < 1e-9
            restore_sines(made)


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        ("i2r-net-vanilla-crowdpose-256x192", "i2r-vanilla-w48s-256x192"),
        ("i2r-net-transpose-h-crowdpose-256x192", "i2r-transpose-h-256x192"),
    ],
)
@torch.inference_mode()
def test_i2r_net_equals_the_official_one(shared: Path, variant: str, name: str) -> None:
    crops = filler(shared).image_batch(7, (5, 3, 256, 192))
    masks = (filler(shared).image_batch(8, (5, 1, 256, 192)) > 0).double()
    golden = reference(shared, f"{name}/golden")["outputs"]
    made: Any = filled(shared, variant)
    remember_the_trunk(getattr(made, "singleformer", made))
    features, single = made.intra(crops)
    multi = made.inter(features, masks, [3, 2])
    assert error(multi, golden["heatmaps_multi"]) < 1e-9
    alone = made.inter(features, masks, [1] * 5)
    assert error(alone, golden["heatmaps_multi_groups_of_one"]) < 1e-9
    # A wrong grouping would be seen.
    assert error(alone, golden["heatmaps_multi"]) > 1e-5
    if single is not None:
        assert error(single, golden["heatmaps_single"]) < 1e-9
        restore_sines(made.singleformer)
        single, multi = made(crops, masks, [3, 2])
        assert error(single, golden["heatmaps_single_with_sine_position"]) < 1e-9
        assert error(multi, golden["heatmaps_multi_with_sine_position"]) < 1e-9


# --- groups ---------------------------------------------------------------------------------------


def padded_inter(network: Any, features: Tensor, masks: Tensor, lengths: list[int]) -> Tensor:
    """Return what `inter` does, with groups padded to the longest and the padding masked out."""
    pool = nn.MaxPool2d(3, 2, 1)
    maps, positions = pool(features), pool(network.multi_position_embedding(masks))
    longest, area = max(lengths), maps[0, 0].numel()
    tokens, places = (
        torch.stack(
            [
                torch.cat([part, part.new_zeros(longest - len(part), *part.shape[1:])])
                for part in whole.split(lengths)
            ]
        )
        .permute(0, 1, 3, 4, 2)
        .flatten(1, 3)
        for whole in (maps, positions)
    )
    is_padding = torch.arange(longest * area) >= torch.tensor(lengths)[:, None] * area
    mask = is_padding if is_padding.any() else None
    for layer in network.multi_global_encoder.layers:
        placed = tokens + places
        attended, _ = layer.self_attn(
            placed, placed, tokens, key_padding_mask=mask, need_weights=False
        )
        tokens = layer.norm1(tokens + attended)
        tokens = layer.norm2(tokens + layer.linear2(layer.linear1(tokens).relu()))
    grid = tokens.unflatten(1, (longest, *maps.shape[2:])).permute(0, 1, 4, 2, 3)
    related = torch.cat([part[:n] for part, n in zip(grid, lengths, strict=True)])
    return network.final_layer(network.upsample_layer.deconv_layers[0](related) + features)


@torch.inference_mode()
def test_groups_equal_the_padded_and_masked_computation(network: Any) -> None:
    crops, masks = crops_and_masks(sum(LENGTHS))
    features, _ = network.intra(crops)
    found = network(crops, masks, LENGTHS).multi
    assert difference(found, padded_inter(network, features, masks, LENGTHS)) < 1e-12


@torch.inference_mode()
def test_a_group_does_not_depend_on_the_others(network: Any) -> None:
    crops, masks = crops_and_masks(sum(LENGTHS))
    together = network(crops, masks, LENGTHS)
    one_by_one = [
        network(part, mask, [len(part)])
        for part, mask in zip(crops.split(LENGTHS), masks.split(LENGTHS), strict=True)
    ]
    for found, parts in zip(together, zip(*one_by_one, strict=True), strict=True):
        assert difference(found, torch.cat(parts)) < 1e-12


@torch.inference_mode()
def test_nor_does_it_in_single_precision() -> None:
    network = tiny().float()
    crops, masks = crops_and_masks(sum(LENGTHS), torch.float32)
    together = network(crops, masks, LENGTHS).multi
    last = network(crops[-3:], masks[-3:], [3]).multi
    assert difference(together[-3:], last) < 1e-6 * float(last.abs().max())


@torch.inference_mode()
def test_persons_of_a_group_come_in_any_order(network: Any) -> None:
    crops, masks = crops_and_masks(4)
    order = torch.tensor([2, 0, 3, 1])
    found = network(crops[order], masks[order], [4])
    wanted = network(crops, masks, [4])
    assert difference(found.multi, wanted.multi[order]) < 1e-12
    assert difference(found.single, wanted.single[order]) < 1e-12


@torch.inference_mode()
def test_persons_change_with_those_of_their_group_alone(network: Any) -> None:
    crops, masks = crops_and_masks(4)
    features, _ = network.intra(crops)
    other = features.clone()
    other[1] *= -1
    change = network.inter(other, masks, [2, 2]) - network.inter(features, masks, [2, 2])
    changes = change.abs().amax((1, 2, 3))
    assert changes[0] > 1e-3
    assert changes[2:].max() == 0


@torch.inference_mode()
@pytest.mark.parametrize("n", [1, 40])
def test_groups_of_one_and_of_forty(network: Any, n: int) -> None:
    crops, masks = crops_and_masks(n)
    features, _ = network.intra(crops)
    found = network.inter(features, masks, [n])
    assert found.shape == (n, 17, 32, 24)
    assert difference(found, padded_inter(network, features, masks, [n])) < 1e-12


def test_groups_have_to_hold_all_crops(network: Any) -> None:
    crops, masks = crops_and_masks(3)
    with pytest.raises(ValueError, match="groups of 2 crops in all, but 3 crops"):
        network(crops, masks, [1, 1])


@torch.inference_mode()
def test_masks_tell_where_persons_stand(network: Any) -> None:
    crops, masks = crops_and_masks(3)
    features, _ = network.intra(crops)
    found = network.inter(features, masks, [3])
    assert difference(found, network.inter(features, masks.flip(-1), [3])) > 1e-3


# --- attention ------------------------------------------------------------------------------------


@torch.inference_mode()
def test_attention_is_that_of_the_tokens_asked_for(network: Any) -> None:
    crops, masks = crops_and_masks(3)
    features, _ = network.intra(crops)
    persons, rows, columns = torch.tensor([[0, 2, 1, 2], [3, 15, 0, 7], [11, 2, 0, 5]])
    queries = (persons * 16 + rows) * 12 + columns
    found = network.attention(features, masks, queries)
    assert found.shape == (2, 4, 3, 16, 12)
    assert (found.sum((2, 3, 4)) - 1).abs().max() < 1e-12
    # The first layer's by hand, from maps instead of sequences.
    pool = nn.MaxPool2d(3, 2, 1)
    maps = (pool(features) + pool(network.multi_position_embedding(masks))).movedim(1, -1)
    layer = network.multi_global_encoder.layers[0].self_attn
    weight, bias = layer.in_proj_weight, layer.in_proj_bias
    query = maps[persons, rows, columns] @ weight[:24].T + bias[:24]
    key = maps @ weight[24:48].T + bias[24:48]
    scores = torch.einsum("qd,nhwd->qnhw", query, key) / 24**0.5
    wanted = scores.flatten(1).softmax(-1).reshape(scores.shape)
    assert difference(found[0], wanted) < 1e-12
    assert found[0].max() > 2 / (3 * 16 * 12)


# --- training -------------------------------------------------------------------------------------


def test_training_sees_all_persons_of_the_batch_at_once() -> None:
    made = tiny().train()
    crops, masks = crops_and_masks(5)
    before = {n: int(t) for n, t in made.state_dict().items() if n.endswith("batches_tracked")}
    single, multi = made(crops, masks, [3, 1, 1])
    (single.square().mean() + multi.square().mean()).backward()
    after = made.state_dict()
    assert {name: int(after[name]) for name in before} == {n: c + 1 for n, c in before.items()}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())


# --- parts ----------------------------------------------------------------------------------------


def test_a_shared_block_doubles_several_times() -> None:
    torch.manual_seed(0)
    shared = SharedDoublings(4, 2).eval()
    maps = torch.randn(1, 4, 3, 2)
    block = nn.Sequential(*shared)
    with torch.inference_mode():
        assert torch.equal(shared(maps), block(block(maps)))
    assert shared(maps).shape == (1, 4, 12, 8)


@pytest.mark.parametrize("build", [MaskConvolutions, MaskResNet])
def test_masks_become_positions_of_a_quarter_of_their_size(build: Any) -> None:
    module = lively(build(6))
    _, masks = crops_and_masks(2, torch.float32)
    with torch.inference_mode():
        found = module(masks)
    assert found.shape == (2, 6, 32, 24)
    assert difference(found[0], found[1]) > 1e-3
