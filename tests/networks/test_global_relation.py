"""The Global Relation network: sizes of the specification; modules equal their equations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from predictors.networks import VARIANTS, create
from predictors.networks.cost import n_parameters
from predictors.networks.dekr import HeadsConfig
from predictors.networks.global_relation import (
    FeatureAlign,
    GlobalRelation,
    GlobalRelationConfig,
    GlobalRelationModeling,
    Squeeze,
    build,
)
from predictors.networks.hrnet import HRNetConfig, joined
from tests.networks.filled import entries_of, lively, on_meta

W32, W48 = "global-relation-w32-512", "global-relation-w48-640"
# Trainable parameters: grm and mfa; W32 with 14 and 17 joints, W48 with 14 and 17.
PARAMETERS = {
    (True, True): (19_630_264, 19_670_815, 43_374_200, 43_426_319),
    (False, True): (19_591_319, 19_630_430, 43_291_975, 43_341_934),
    (True, False): (23_350_456, 23_391_007, 51_756_152, 51_808_271),
    (False, False): (23_311_511, 23_350_622, 51_673_927, 51_723_886),
}
SMALL = HRNetConfig(
    8, (1, 1, 1), all_outputs=True, growth=4, stem=4, bottlenecks=1, blocks=2, shrunk=True
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def small(**config: Any) -> Any:
    return GlobalRelation(
        SMALL, 5, HeadsConfig(4, 3, 1), GlobalRelationConfig(**{"grm": True, "mfa": True, **config})
    )


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("grm", "mfa"), PARAMETERS)
def test_the_number_of_parameters_is_that_of_the_specification(grm: bool, mfa: bool) -> None:
    found = tuple(
        n_parameters(on_meta(variant, num_joints=joints, grm=grm, mfa=mfa))
        for variant in (W32, W48)
        for joints in (14, 17)
    )
    assert found == PARAMETERS[grm, mfa]


@pytest.mark.parametrize(("variant", "dekr"), [(W32, "dekr-w32-512"), (W48, "dekr-w48-640")])
def test_not_shrunk_and_without_both_modules_it_is_dekr(variant: str, dekr: str) -> None:
    config = {**VARIANTS[variant].config, "shrunk": False}
    with torch.device("meta"):
        network = build(num_joints=14, grm=False, mfa=False, **config)
    assert entries_of(network) == entries_of(on_meta(dekr, num_joints=14))


def test_the_modules_alone_have_the_sizes_of_the_specification() -> None:
    with torch.device("meta"):
        assert [n_parameters(GlobalRelationModeling(c)) for c in (32, 48)] == [31_201, 69_841]
        assert [n_parameters(FeatureAlign(c)) for c in (256, 384)] == [870_656, 1_957_248]
    aligned = [m for m in on_meta(W32).modules() if isinstance(m, FeatureAlign)]
    assert len(aligned) == 12


def test_weights_of_dekr_begin_what_has_the_same_layers() -> None:
    own = {name: shape for name, shape, _ in entries_of(on_meta(W32, num_joints=14))}
    dekr = {name: shape for name, shape, _ in entries_of(on_meta("dekr-w32-512", num_joints=14))}
    other = {name for name in own if own[name] != dekr.get(name)}
    # What is new, and the first layers on the wider features.
    assert {name for name in other if not name.startswith(("grm.", "stage4."))} == {
        "transition_heatmap.0.weight",
        "transition_offset.0.weight",
    }
    assert all(".branches.3." in name for name in other if name.startswith("stage4."))


def test_the_lowest_branch_alone_keeps_blocks() -> None:
    network = on_meta(W32, mfa=False)
    for stage, n_modules in ((2, 1), (3, 4), (4, 3)):
        modules: Any = network.get_submodule(f"stage{stage}")
        assert len(modules) == n_modules
        for module in modules:
            assert [len(branch) for branch in module.branches] == [0] * (stage - 1) + [4]
            assert len(module.fuse_layers) == stage


@pytest.mark.parametrize(
    ("aligned", "kinds"), [(4, [True] * 2), (1, [False, True]), (0, [False] * 2)]
)
def test_the_last_blocks_are_the_aligned_ones(aligned: int, kinds: list[bool]) -> None:
    network = small(aligned_blocks=aligned)
    branches = network.stage4[0].branches
    assert [isinstance(block, FeatureAlign) for block in branches[3]] == kinds
    assert not any(isinstance(m, FeatureAlign) for m in network.stage3.modules())


# --- MFA ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", [True, False])
@torch.inference_mode()
def test_mfa_equals_its_equations(residual: bool) -> None:
    module = lively(FeatureAlign(8, residual).double())
    features = randn(2, 8, 5, 4)
    x = module.fuse(features)
    x0 = {b: x[:, 2 * (b - 1) : 2 * b] for b in (1, 2, 3, 4)}
    f = {(b, i): module.branches[b - 1][i - 1] for b in (1, 2, 3, 4) for i in range(1, b + 1)}
    o1 = f[1, 1](x0[1])
    a = f[2, 1](x0[2] + o1)
    o2 = f[2, 2](torch.cat([x0[2], a], 1))
    a = f[3, 1](x0[3] + o2)
    b = f[3, 2](torch.cat([x0[3], a], 1))
    o3 = f[3, 3](torch.cat([x0[3], a, b], 1))
    a = f[4, 1](x0[4] + o3)
    b = f[4, 2](torch.cat([x0[4], a], 1))
    c = f[4, 3](torch.cat([x0[4], a, b], 1))
    o4 = f[4, 4](torch.cat([x0[4], a, b, c], 1))
    y = module.join(torch.cat([o1, o2, o3, o4], 1))
    before = features.clone()
    wanted = torch.clamp(y + features if residual else y, min=0)
    assert torch.allclose(module(features), wanted, atol=1e-12)
    assert torch.equal(features, before)
    # Batch-norm and ReLU after each convolution but the last, which has no ReLU.
    kinds = [[type(layer) for layer in row] for row in (module.fuse, f[3, 2], module.join)]
    assert kinds[0] == kinds[1] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert kinds[2] == [nn.Conv2d, nn.BatchNorm2d]


# --- GRM ------------------------------------------------------------------------------------------


def squeezed_by_hand(module: Squeeze, p: Tensor) -> Tensor:
    out = torch.zeros_like(p)
    n, channels, height, width = p.shape
    for image in range(n):
        mean = p[image].reshape(channels, -1).mean(1)
        weights = torch.sigmoid(module.fc.weight @ torch.clamp(mean, min=0) + module.fc.bias)
        for row in range(height):
            for column in range(width):
                pixel = p[image, :, row, column]
                total = (pixel * weights if module.scaled else weights) + pixel
                kernel = module.conv.weight[:, :, 0, 0]
                out[image, :, row, column] = kernel @ total + module.conv.bias
    return out


@pytest.mark.parametrize("scaled", [True, False])
@torch.inference_mode()
def test_grm_equals_its_equations(scaled: bool) -> None:
    torch.manual_seed(0)
    module = lively(GlobalRelationModeling(4, scaled).double())
    stages = [randn(2, 4, 5, 3, seed=seed) for seed in range(3)]
    before = [stage.clone() for stage in stages]
    found = module(*stages)
    assert all(torch.equal(a, b) for a, b in zip(stages, before, strict=True))
    first, second = (
        module.convolve[i](squeezed_by_hand(module.squeeze[i], stages[i])) for i in (0, 1)
    )
    x = torch.cat([first + second, stages[2]], 1)
    wanted = torch.zeros_like(x)

    def conv(layer: Any, pixel: Tensor) -> Tensor:
        return layer.weight[:, :, 0, 0] @ pixel + layer.bias

    channel, spatial = module.channel_attention, module.spatial_attention
    for image in range(2):
        pixels = x[image].reshape(8, 15).T
        query = torch.stack([conv(channel.query, pixel)[0] for pixel in pixels])
        share = query.exp() / query.exp().sum()
        value = torch.stack([conv(channel.value, pixel) for pixel in pixels])
        assert value.shape == (15, 4)
        by_channel = torch.sigmoid(conv(channel.out, (value * share[:, None]).sum(0)))
        query = torch.stack([conv(spatial.query, pixel) for pixel in pixels]).mean(0)
        share = query.exp() / query.exp().sum()
        by_place = torch.stack(
            [torch.sigmoid(share @ conv(spatial.value, pixel)) for pixel in pixels]
        )
        both = pixels * by_channel + pixels * by_place[:, None]
        wanted[image] = both.T.reshape(8, 5, 3)
    assert found.shape == (2, 8, 5, 3)
    assert torch.allclose(found, wanted, atol=1e-12)
    # Neither weight is the same everywhere.
    assert module.channel_attention(x).std() > 1e-3
    assert module.spatial_attention(x).std() > 1e-3


@torch.inference_mode()
def test_the_relation_takes_the_place_of_the_highest_resolution() -> None:
    network = lively(small().double())
    given: list[tuple[Tensor, ...]] = []
    network.grm.register_forward_hook(lambda _, stages, out: given.append((*stages, out)))
    images = randn(1, 3, 64, 96)
    heatmaps, offsets = network(images)
    assert (heatmaps.shape, offsets.shape) == ((1, 6, 16, 24), (1, 10, 16, 24))
    second, third, fourth, related = given[0]
    branches = network.stage(2, network.transition(1, [network.stem(images)]))
    assert torch.equal(second, branches[0])
    branches = network.stage(3, network.transition(2, branches))
    assert torch.equal(third, branches[0])
    branches = network.stage(4, network.transition(3, branches))
    assert torch.equal(fourth, branches[0])
    wanted = network.heads(joined([related, *branches[1:]]))
    assert torch.equal(wanted.heatmaps, heatmaps)
    assert torch.equal(wanted.offsets, offsets)


@torch.inference_mode()
def test_without_relation_the_heads_read_the_trunk() -> None:
    network = lively(small(grm=False).double())
    images = randn(1, 3, 64, 64)
    wanted = network.heads(joined(network.features(images)))
    assert torch.equal(network(images).offsets, wanted.offsets)


def test_overrides_switch_the_modules() -> None:
    rows = {
        "grm-tiny": (True, True),
        "grm-tiny-grm": (True, False),
        "grm-tiny-mfa": (False, True),
        "grm-tiny-plain": (False, False),
    }
    for name, (grm, mfa) in rows.items():
        network = create(name)
        modules = {type(module) for module in network.modules()}
        assert (GlobalRelationModeling in modules, FeatureAlign in modules) == (grm, mfa)
        assert entries_of(network) == entries_of(on_meta("grm-tiny", grm=grm, mfa=mfa))
