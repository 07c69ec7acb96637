"""HRFormer-B: equal to the official program; its windows, its padding and its position bias."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from predictors.networks import create
from predictors.networks.cost import cost_of, n_parameters
from predictors.networks.hrformer import (
    HeadsAttention,
    HRFormer,
    WindowAttention,
    build,
    relative_positions,
)
from tests.networks.filled import filled, on_meta
from tests.networks.test_create import entries_of, error, golden_of

SMALL, LARGE = "hrformer-b-256x192", "hrformer-b-384x288"
# Parameters of the first stage for so many joints, in the facts of I2R-Net.
PARAMETERS = {17: 43_211_777, 14: 43_211_540}
TABLE = "relative_position_bias_table"


def noise(*shape: int) -> torch.Tensor:
    """Return float64 values that are the same each time."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def made(module: nn.Module) -> Any:
    """Return the module for evaluation in float64, with the same weights each time."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return module.double().eval()


@pytest.fixture(scope="module")
def network() -> HRFormer:
    """Return a float64 network with random weights."""
    torch.manual_seed(0)
    return build(17, relative_position_bias=False).double().eval()


def naive(layer: HeadsAttention, window: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return the attention among positions (S, C), with a bias (heads, S, S) on its scores."""
    out = torch.zeros_like(window)
    for head in range(layer.heads):
        part = slice(39 * head, 39 * (head + 1))
        query, key, value = (
            projection(window)[:, part] for projection in (layer.q_proj, layer.k_proj, layer.v_proj)
        )
        scores = query * 39**-0.5 @ key.T + bias[head]
        out[:, part] = scores.softmax(1) @ value
    gathered: torch.Tensor = layer.out_proj(out)
    return gathered


# --- beside the official program ------------------------------------------------------------------


def test_features_and_heatmaps_equal_the_official_ones(shared: Path) -> None:
    images, golden = golden_of(shared, SMALL)
    official: Any = filled(shared, SMALL)
    with torch.inference_mode():
        features, heatmaps = official.features_and_heatmaps(images)
    assert error(features, golden["features"]) < 1e-10
    assert error(heatmaps, golden["heatmaps"]) < 1e-10


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        (f"{SMALL}/state_dict.json", ""),
        ("state_dicts/i2r-hrformer-b-256x192.json", "singleformer."),
        ("state_dicts/i2r-hrformer-b-384x288.json", "singleformer."),
    ],
)
def test_names_shapes_and_types_equal_the_official_ones(
    shared: Path, path: str, prefix: str
) -> None:
    reference = json.loads((shared / "reference" / path).read_text())["state_dict"]
    found = [[prefix + name, *rest] for name, *rest in entries_of(on_meta(SMALL))]
    # The order differs within the first bottleneck, where nothing depends on it.
    assert sorted(found) == sorted(row for row in reference if row[0].startswith(prefix))


@pytest.mark.parametrize("num_joints", PARAMETERS)
def test_parameter_counts_equal_the_published_ones(num_joints: int) -> None:
    assert n_parameters(on_meta(LARGE, num_joints=num_joints)) == PARAMETERS[num_joints]


@pytest.mark.parametrize(("variant", "published"), [(SMALL, 12.2), (LARGE, 26.8)])
def test_gflops_are_the_published_ones_and_those_within_windows(
    variant: str, published: float
) -> None:
    height, width = (int(side) for side in variant.rpartition("-")[2].split("x"))
    cost = cost_of(lambda: create(variant), lambda n: n(torch.zeros(1, 3, height, width)))
    # Blocks on each branch over all modules, and the sides of its map in whole windows.
    blocks = (14, 14, 12, 4)
    sides = [[-(-side // (4 << b) // 7) * 7 for side in (height, width)] for b in range(4)]
    # Scores and weighted sums: 49 keys for each position and channel, twice. The published figures
    # are met where these are left out.
    attention = sum(
        n * 2 * 49 * (78 << b) * rows * columns
        for b, (n, (rows, columns)) in enumerate(zip(blocks, sides, strict=True))
    )
    assert cost.gflops - attention / 2**30 == pytest.approx(published, rel=0.01)


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(9, 8), (14, 7), (1, 20)])
def test_each_window_attends_to_itself_and_to_its_padding(size: tuple[int, int]) -> None:
    layer = made(WindowAttention(78, relative_position_bias=False))
    features = noise(2, *size, 78)
    top, left = (-size[0] % 7 // 2, -size[1] % 7 // 2)
    rows, columns = (-(-side // 7) * 7 for side in size)
    padded = torch.zeros(2, rows, columns, 78, dtype=torch.float64)
    padded[:, top : top + size[0], left : left + size[1]] = features
    wanted = torch.zeros_like(padded)
    no_bias = torch.zeros(2, 49, 49)
    with torch.inference_mode():
        for row in range(0, rows, 7):
            for column in range(0, columns, 7):
                part = (slice(row, row + 7), slice(column, column + 7))
                for image, out in zip(padded, wanted, strict=True):
                    window = image[part].reshape(49, 78)
                    out[part] = naive(layer.attn, window, no_bias).view(7, 7, 78)
        found = layer(features)
    wanted = wanted[:, top : top + size[0], left : left + size[1]]
    assert torch.allclose(found, wanted, rtol=0, atol=1e-12)


def test_padded_positions_take_part_in_the_attention() -> None:
    layer = made(WindowAttention(78, relative_position_bias=False))
    features = noise(1, 6, 7, 78)
    with torch.inference_mode():
        found = layer(features)
        alone = naive(layer.attn, features.view(42, 78), torch.zeros(2, 42, 42))
    assert float((found.view(42, 78) - alone).abs().max()) > 1e-3


def test_the_smaller_half_of_the_padding_goes_first() -> None:
    layer = made(WindowAttention(78, relative_position_bias=False))
    # Of 9 rows, 5 more are needed: 2 above, so that the first window has the first five rows.
    features = noise(1, 9, 7, 78)
    changed = features.clone()
    changed[:, 5:] += 1
    with torch.inference_mode():
        difference = (layer(changed) - layer(features)).abs().amax((0, 2, 3))
    assert difference[:5].tolist() == [0] * 5
    assert float(difference[5:].min()) > 1e-3


# --- position bias --------------------------------------------------------------------------------


def test_the_relative_position_bias_is_swins() -> None:
    layer = made(HeadsAttention(156, relative_position_bias=True))
    windows = noise(3, 49, 156)
    table = layer.relative_position_bias_table.detach()
    bias = torch.zeros(4, 49, 49, dtype=torch.float64)
    for query in range(49):
        for key in range(49):
            down, right = query // 7 - key // 7, query % 7 - key % 7
            bias[:, query, key] = table[(down + 6) * 13 + right + 6]
    with torch.inference_mode():
        found = layer(windows)
        wanted = torch.stack([naive(layer, window, bias) for window in windows])
        without = torch.stack([naive(layer, window, torch.zeros_like(bias)) for window in windows])
    assert torch.allclose(found, wanted, rtol=0, atol=1e-12)
    assert float((found - without).abs().max()) > 1e-3


def test_steps_between_positions_are_numbered_row_by_row() -> None:
    steps = relative_positions()
    assert (steps.shape, steps.dtype) == ((49, 49), torch.int64)
    # No step; one to the left as seen from the key; the longest ones.
    assert steps.diagonal().unique().tolist() == [6 * 13 + 6]
    assert int(steps[0, 1]) == 6 * 13 + 5
    assert (int(steps[0, 48]), int(steps[48, 0])) == (0, 168)
    assert len(steps.unique()) == 169


def test_the_bias_is_off_unless_asked_for_and_changes_the_heatmaps(network: HRFormer) -> None:
    layers = [m for m in on_meta(SMALL).modules() if isinstance(m, HeadsAttention)]
    assert len(layers) == 44
    assert not any(layer.relative_position_bias for layer in layers)
    biased = on_meta(SMALL, relative_position_bias=True).eval()
    biased.load_state_dict(network.state_dict(), assign=True)
    images = noise(1, 3, 64, 64)
    with torch.inference_mode():
        assert float((biased(images) - network(images)).abs().max()) > 1e-6


# --- any batch, any size --------------------------------------------------------------------------


def test_a_crop_does_not_depend_on_the_others_of_its_batch(network: HRFormer) -> None:
    images = noise(2, 3, 32, 64)
    with torch.inference_mode():
        features, heatmaps = network.features_and_heatmaps(images)
        alone = torch.cat([network(image[None]) for image in images])
    assert features.shape == (2, 78, 8, 16)
    assert heatmaps.shape == (2, 17, 8, 16)
    assert torch.allclose(heatmaps, alone, rtol=0, atol=1e-12)
    assert float((heatmaps[0] - heatmaps[1]).abs().max()) > 1e-3


def test_heatmaps_have_a_quarter_of_the_size_of_the_crop() -> None:
    with torch.device("meta"):
        shapes_only = build(14, relative_position_bias=False)
        for height, width in ((256, 192), (384, 288), (32, 160)):
            heatmaps = shapes_only(torch.zeros(2, 3, height, width))
            assert heatmaps.shape == (2, 14, height // 4, width // 4)


@pytest.mark.parametrize("bias", [False, True])
def test_everything_that_is_used_is_trained(bias: bool) -> None:
    trained = build(17, relative_position_bias=bias)
    trained(noise(2, 3, 64, 64).float()).square().mean().backward()
    untrained = {name for name, value in trained.named_parameters() if value.grad is None}
    tables = {name for name, _ in trained.named_parameters() if name.endswith(TABLE)}
    assert untrained == (set() if bias else tables)
    assert len(tables) == 44
