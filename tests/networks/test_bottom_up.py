"""HigherHRNet, DEKR, PINet: names, sizes and outputs equal the official programs'; rescoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crowdbench.errors import InputError, UsageError
from predictors.bottomup.partitions import find_partition
from predictors.networks import VARIANTS, create, dekr
from predictors.networks.checkpoints import load_checkpoint
from predictors.networks.cost import n_parameters
from predictors.networks.deformable import regular_taps, sampled_convolution
from predictors.networks.dekr import AdaptiveBlock, adaptive_blocks
from predictors.networks.hrnet import joined
from predictors.networks.pinet import Refinement, skeleton_graph
from predictors.networks.rescoring import RescoringNet
from tests.networks.filled import (
    entries_of,
    error,
    filled,
    filler,
    lively,
    on_meta,
    reference,
    restore_taps,
)

# Where the names of a variant are listed, and for how many joints.
LISTED = {
    "higherhrnet-w32-coco/state_dict": ("higherhrnet-w32-512", 17),
    "state_dicts/higherhrnet-w48-crowdpose": ("higherhrnet-w48-640", 14),
    "dekr-w32-crowdpose/state_dict": ("dekr-w32-512", 14),
    "state_dicts/dekr-w48-coco": ("dekr-w48-640", 17),
    "pinet-w32-crowdpose/state_dict": ("pinet-w32-crowdpose-512", 14),
    "state_dicts/pinet-w32-coco": ("pinet-w32-coco-512", 17),
}
PARAMETERS = {
    "higherhrnet-w32-512": 28_645_331,
    "higherhrnet-w32-640": 28_645_331,
    "dekr-w32-512": 29_561_182,
    "dekr-w48-640": 65_684_590,
    "spm-w32-512": 29_330_548,
    "pinet-w32-coco-512": 31_232_701,
    "pinet-w32-crowdpose-512": 31_683_301,
    "pinet-w32-ochuman-512": 31_696_381,
}
FAMILIES = ("higherhrnet", "dekr", "pinet", "global_relation")
VARIANTS_HERE = [n for n, row in VARIANTS.items() if row.builder.split(":")[0] in FAMILIES]
TINY = [name for name in VARIANTS_HERE if "tiny" in name]


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


# --- names and sizes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTED)
def test_names_shapes_types_and_order_equal_the_official_ones(shared: Path, name: str) -> None:
    variant, joints = LISTED[name]
    wanted = reference(shared, name)
    network = on_meta(variant, num_joints=joints)
    assert entries_of(network) == wanted["tensors"]
    assert n_parameters(network) == wanted["total_trainable_parameters"]


@pytest.mark.parametrize("variant", PARAMETERS)
def test_the_number_of_trainable_parameters_is_known(variant: str) -> None:
    assert n_parameters(on_meta(variant)) == PARAMETERS[variant]


@pytest.mark.parametrize("variant", [n for n in VARIANTS_HERE if n != "higherhrnet-w32-640"])
def test_maps_have_a_quarter_of_the_size_of_the_image(variant: str) -> None:
    network = on_meta(variant, num_joints=14)
    with torch.device("meta"):
        shapes = [tuple(maps.shape) for maps in network(torch.zeros(2, 3, 64, 128))]
    if variant.startswith("higherhrnet"):
        assert shapes == [(2, 28, 16, 32), (2, 14, 32, 64)]
    elif variant.startswith(("pinet", "spm")):
        n = VARIANTS[variant].config["n_parts"]
        assert shapes == [(2, 14, 16, 32), (2, n, 16, 32), (2, n * 28, 16, 32)]
    else:
        assert shapes == [(2, 15, 16, 32), (2, 28, 16, 32)]


@pytest.mark.parametrize(
    ("variant", "partition"),
    [
        ("spm-w32-512", "center"),
        ("spm-tiny", "center"),
        ("pinet-w32-coco-512", "part-large"),
        ("pinet-tiny", "part-large"),
        ("pinet-tiny-head", "head"),
        ("pinet-tiny-part-small", "part-small"),
        ("pinet-tiny-keypoint", "keypoint"),
    ],
)
def test_there_is_a_map_for_each_part(variant: str, partition: str) -> None:
    assert VARIANTS[variant].config["n_parts"] == len(find_partition(partition))
    network: Any = on_meta(variant)
    refined = partition == "part-large"
    assert network.refines == refined
    assert any(name.startswith("pr.") for name in network.state_dict()) == refined


@pytest.mark.parametrize("variant", TINY)
def test_tiny_networks_are_small_enough_to_ship(variant: str) -> None:
    state = on_meta(variant).state_dict()
    assert sum(t.numel() * t.element_size() for t in state.values()) < 4_500_000


# --- equal to the official outputs ----------------------------------------------------------------


def images_of(shared: Path) -> Tensor:
    images: Tensor = filler(shared).image_batch(7, (1, 3, 256, 256))
    return images


@torch.inference_mode()
def test_higherhrnet_equals_the_official_one(shared: Path) -> None:
    golden = reference(shared, "higherhrnet-w32-coco/golden")["outputs"]
    coarse, fine = filled(shared, "higherhrnet-w32-512")(images_of(shared))
    assert error(coarse, golden["output_0"]) < 1e-9
    assert error(fine, golden["output_1"]) < 1e-9


@torch.inference_mode()
def test_dekr_equals_the_official_one(shared: Path) -> None:
    golden = reference(shared, "dekr-w32-crowdpose/golden")["outputs"]
    network: Any = filled(shared, "dekr-w32-512", num_joints=14)
    features = joined(network.features(images_of(shared)))
    heatmaps, offsets = network.heads(features)
    assert error(heatmaps, golden["heatmap"]) < 1e-9
    assert error(offsets, golden["offset"]) < 1e-9
    restore_taps(network)
    heatmaps, offsets = network.heads(features)
    assert error(heatmaps, golden["heatmap"]) < 1e-9
    assert error(offsets, golden["offset_with_true_regular_matrix"]) < 1e-9


@torch.inference_mode()
def test_pinet_equals_the_official_one(shared: Path) -> None:
    content = reference(shared, "pinet-w32-crowdpose/golden")
    golden, given = content["outputs"], content["refinement_input"]
    network: Any = filled(shared, "pinet-w32-crowdpose-512")
    features = network.features(images_of(shared))
    assert error(features, golden["backbone_features"]) < 1e-9
    maps = network.maps(features)
    assert error(maps.heatmaps, golden["heatmap"]) < 1e-9
    assert error(maps.points, golden["detkptmap"]) < 1e-9
    assert error(maps.offsets, golden["offset"]) < 1e-9
    poses = torch.tensor(given["poses_xy"], dtype=torch.float64)
    centres = torch.tensor(given["centers_row_col"])
    offsets = network.refine_offsets(features, poses[None], centres[None])
    assert error(offsets, golden["refine_offset"]) < 1e-9


# --- DEKR's blocks --------------------------------------------------------------------------------


def moved_blocks(n: int, channels: int) -> list[AdaptiveBlock]:
    """Return blocks whose kernels are not regular."""
    torch.manual_seed(0)
    blocks = [AdaptiveBlock(channels).double() for _ in range(n)]
    for block in blocks:
        lively(block)
        for layer in (block.transform_matrix_conv, block.translation_conv):
            nn.init.normal_(layer.weight, 0, 0.2)
    return blocks


def one_block(maps: Tensor, block: AdaptiveBlock) -> Tensor:
    """Return the maps after one block, as the official program computes it."""
    n, _, height, width = maps.shape
    matrix = block.transform_matrix_conv(maps).permute(0, 2, 3, 1).reshape(-1, 2, 2)
    regular = block.regular_matrix
    offsets = (matrix @ regular - regular).transpose(1, 2).reshape(n, height, width, 18)
    offsets = offsets.permute(0, 3, 1, 2) + block.translation_conv(maps).repeat(1, 9, 1, 1)
    out = block.bn(sampled_convolution(maps, offsets, block.adapt_conv.weight))
    return (out + maps).relu()


@pytest.mark.parametrize("training", [False, True])
def test_blocks_side_by_side_equal_one_after_the_other(training: bool) -> None:
    together, alone = (moved_blocks(3, 4) for _ in range(2))
    for block in [*together, *alone]:
        block.train(training)
    maps = randn(2, 12, 6, 5)
    found = adaptive_blocks(maps, together)
    parts = zip(maps.split(4, 1), alone, strict=True)
    wanted = torch.cat([one_block(part, block) for part, block in parts], 1)
    assert torch.allclose(found, wanted, atol=1e-12)
    found.square().sum().backward()
    wanted.square().sum().backward()
    for ours, theirs in zip(together, alone, strict=True):
        assert int(ours.bn.num_batches_tracked) == int(training)
        for (name, value), other in zip(
            ours.state_dict().items(), theirs.state_dict().values(), strict=True
        ):
            assert torch.allclose(value, other, atol=1e-12), name
        for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert mine.grad is not None
            assert other.grad is not None
            assert mine.grad.abs().max() > 1e-3, name
            assert torch.allclose(mine.grad, other.grad, atol=1e-9), name


@torch.inference_mode()
def test_keypoints_in_turns_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network: Any = lively(create("dekr-tiny").double())
    for name, parameter in network.named_parameters():
        if "transform_matrix" in name or "translation" in name:
            nn.init.normal_(parameter, 0, 0.2)
    features = randn(1, 168, 8, 6)
    monkeypatch.setattr(dekr, "_CPU_VALUES", 1 << 30)
    wanted = network.heads(features)
    calls: list[int] = []

    def counted(maps: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
        calls.append(len(weight) // 4)
        return sampled_convolution(maps, offsets, weight)

    monkeypatch.setattr(dekr, "deformable_convolution", counted)
    for n, turns in ((3, [3] * 5 + [2]), (0, [1] * 17)):
        monkeypatch.setattr(dekr, "_CPU_VALUES", n * 4 * 9 * 48)
        calls.clear()
        found = network.heads(features)
        assert calls == turns
        assert torch.allclose(found.offsets, wanted.offsets, atol=1e-12)


def test_new_blocks_are_regular_convolutions() -> None:
    torch.manual_seed(0)
    block = AdaptiveBlock(4).double().eval()
    maps = randn(1, 4, 6, 5)
    with torch.inference_mode():
        wanted = (block.bn(block.adapt_conv(maps)) + maps).relu()
        assert torch.allclose(adaptive_blocks(maps, [block]), wanted, atol=1e-12)
    assert torch.equal(block.regular_matrix, regular_taps().double())


# --- PINet's refinement ---------------------------------------------------------------------------


@pytest.mark.parametrize("joints", [17, 14])
def test_the_graph_begins_as_the_normalised_skeleton(joints: int) -> None:
    graph = skeleton_graph(joints)
    assert torch.equal(graph, graph.T)
    connected = (graph > 0).float()
    assert torch.allclose(graph, connected / (connected.sum(0) * connected.sum(1)[:, None]).sqrt())
    # Self-loops, and each edge twice.
    assert int(connected.sum()) == joints + 2 * {17: 17, 14: 15}[joints]
    reached = torch.linalg.matrix_power(connected, joints)[0] > 0
    # With 17 joints nothing joins the face to the body.
    assert reached.tolist() == [joint < 5 or joints == 14 for joint in range(joints)]
    pr: Any = create("pinet-tiny", num_joints=joints).get_submodule("pr")
    assert torch.equal(pr.adj, graph)


def test_other_numbers_of_joints_have_no_graph() -> None:
    with pytest.raises(UsageError, match="a graph for 17 and 14 joints, not for 5"):
        on_meta("pinet-tiny", num_joints=5)
    assert on_meta("spm-tiny", num_joints=5)


def refined_by_hand(pr: Any, features: Tensor, pose: Tensor, centre: Tensor) -> Tensor:
    """Return what the refinement gives for one pose of one image, joint by joint."""
    channels, height, width = features.shape
    size = torch.tensor([width, height])
    joints = []
    for place in pose:
        # Positions are stretched about the middle of the map.
        x, y = (place * size / (size - 1) - 0.5).tolist()
        total = torch.zeros(channels, dtype=torch.float64)
        for row in range(height):
            for column in range(width):
                share = max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
                total += share * features[:, row, column]
        joints.append(total)
    found = torch.stack(joints)

    def layer(joints: Tensor, module: Any) -> Tensor:
        mixed = pr.adj @ joints @ module.conv.weight + module.conv.bias
        scale = module.bn.weight / (module.bn.running_var + module.bn.eps).sqrt()
        return ((mixed - module.bn.running_mean) * scale + module.bn.bias).relu()

    if pr.graph != "none":
        found = layer(found, pr.gconv_head)
        for block in pr.gconv_layers:
            found = found + layer(layer(found, block.gconv1), block.gconv2)
    pooled = torch.cat([found.mean(0), found.max(0).values, features[:, centre[0], centre[1]]])
    first, norm, _, last = pr.gconv_pred
    hidden = first.weight[:, :, 0] @ pooled + first.bias
    hidden = (hidden - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    hidden = (hidden * norm.weight + norm.bias).relu()
    return last.weight[:, :, 0] @ hidden + last.bias


@pytest.mark.parametrize("graph", ["dynamic", "static", "none"])
@torch.inference_mode()
def test_refinement_reads_joints_and_mixes_them_by_the_graph(graph: Any) -> None:
    torch.manual_seed(0)
    pr = lively(Refinement(6, 17, graph, 2).double())
    if graph != "none":
        pr.adj += 0.1 * torch.rand(17, 17)
    features = randn(2, 6, 8, 7)
    # Some joints lie outside.
    poses = randn(2, 3, 17, 2, seed=1) * 3 + 3
    centres = torch.tensor([[[0, 6], [7, 0], [3, 4]], [[5, 5], [1, 2], [7, 6]]])
    found = pr(features, poses, centres)
    assert found.shape == (2, 3, 34)
    for image in range(2):
        for i in range(3):
            case = features[image], poses[image, i], centres[image, i]
            assert torch.allclose(found[image, i], refined_by_hand(pr, *case), atol=1e-11)


def test_the_graph_is_learned_or_not_or_absent() -> None:
    torch.manual_seed(0)
    for graph, trained, kept in (
        ("dynamic", True, True),
        ("static", False, True),
        ("none", False, False),
    ):
        pr = Refinement(6, 17, graph, 2)
        assert ("adj" in dict(pr.named_parameters())) == trained
        assert ("adj" in pr.state_dict()) == kept
        assert any(name.startswith("gconv_head") for name in pr.state_dict()) == kept


def test_training_normalises_over_all_joints_of_all_poses() -> None:
    torch.manual_seed(0)
    pr = Refinement(6, 17, "dynamic", 2).double()
    seen: list[Tensor] = []
    pr.gconv_head.bn.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    features = randn(2, 6, 8, 7).requires_grad_()
    poses = randn(2, 3, 17, 2, seed=1) * 3 + 3
    pr(features, poses, torch.ones(2, 3, 2, dtype=torch.int64)).square().sum().backward()
    assert seen[0].shape == (2 * 3 * 17, 6)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in pr.parameters())
    assert pr.adj.grad is not None
    assert pr.adj.grad.abs().min() > 0
    assert features.grad is not None


# --- training and loading -------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["dekr-tiny", "pinet-tiny", "grm-tiny"])
def test_all_parameters_take_part_in_training(variant: str) -> None:
    torch.manual_seed(0)
    network: Any = create(variant)
    images = torch.randn(2, 3, 64, 64)
    if variant == "pinet-tiny":
        features = network.features(images)
        poses, centres = torch.rand(2, 4, 17, 2) * 16, torch.randint(16, (2, 4, 2))
        outputs = [*network.maps(features), network.refine_offsets(features, poses, centres)]
    else:
        outputs = list(network(images))
    sum(output.square().mean() for output in outputs).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []
    counters = [t for n, t in network.named_buffers() if n.endswith("batches_tracked")]
    assert {int(counter) for counter in counters} == {1}


def test_files_tell_which_network_they_are_of(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(create("grm-tiny-mfa").state_dict(), path)
    with pytest.raises(InputError, match=r"it fits grm-tiny-mfa \(17 joints\)$"):
        load_checkpoint(on_meta("grm-tiny-grm"), path, "grm-tiny-grm")
    torch.save(create("spm-tiny", num_joints=14).state_dict(), path)
    with pytest.raises(InputError, match=r"it fits spm-tiny or pinet-tiny-head \(14 joints\)$"):
        load_checkpoint(on_meta("dekr-tiny"), path, "dekr-tiny")
    # DEKR's names depend on the joints.
    torch.save(create("dekr-tiny", num_joints=14).state_dict(), path)
    with pytest.raises(InputError, match=r"it has 14 joints, expected 17$"):
        load_checkpoint(on_meta("dekr-tiny"), path, "dekr-tiny")


def test_names_of_training_in_half_precision_load(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    network, other = (create("spm-tiny") for _ in range(2))
    torch.save({f"1.{name}": tensor for name, tensor in network.state_dict().items()}, path)
    load_checkpoint(other, path, "spm-tiny")
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


# --- rescoring ------------------------------------------------------------------------------------


def test_rescoring_is_three_linear_layers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = RescoringNet(59).double()
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == {
        "l1.weight": (256, 59),
        "l1.bias": (256,),
        "l2.weight": (256, 256),
        "l2.bias": (256,),
        "l3.weight": (1, 256),
        "l3.bias": (1,),
    }
    loaded = RescoringNet(59).double()
    load_checkpoint(loaded, path, "the rescoring network")
    poses = randn(5, 59)
    hidden = (poses @ network.l1.weight.T + network.l1.bias).relu()
    hidden = (hidden @ network.l2.weight.T + network.l2.bias).relu()
    wanted = hidden @ network.l3.weight[0] + network.l3.bias
    assert torch.allclose(loaded(poses), wanted, atol=1e-12)
    assert loaded(poses[:0]).shape == (0,)
    with pytest.raises(
        InputError, match=r"is no checkpoint of the rescoring network: .*'l1.weight'"
    ):
        load_checkpoint(RescoringNet(74), path, "the rescoring network")
