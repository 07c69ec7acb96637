"""Encoders: equal to torch's own and to a computation by hand; positions go where they should."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from predictors.networks.transformer import Encoder, EncoderLayer, sine_positions
from tests.networks.filled import error, reference

WIDTH = 12


def tokens_and_positions() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(2, 7, WIDTH, generator=generator, dtype=torch.float64),
        torch.randn(1, 7, WIDTH, generator=generator, dtype=torch.float64),
    )


def encoder(n_layers: int) -> Encoder:
    """Return an encoder in float64 for evaluation, none of whose biases is zero."""
    torch.manual_seed(0)
    network = Encoder(WIDTH, n_layers, 20).double().eval()
    for parameter in network.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, 0.5, 0.3)
    return network


def softmax_of(layer: EncoderLayer, tokens: Tensor, positions: Tensor | float) -> Tensor:
    """Return (B, S, S), the attention of all tokens, computed by hand."""
    query, key, _ = layer.self_attn.in_proj_weight.chunk(3)
    query_bias, key_bias, _ = layer.self_attn.in_proj_bias.chunk(3)
    placed = tokens + positions
    scores = (placed @ query.T + query_bias) @ (placed @ key.T + key_bias).transpose(1, 2)
    return (scores / math.sqrt(WIDTH)).softmax(-1)


def layer_by_hand(layer: EncoderLayer, tokens: Tensor, positions: Tensor | float) -> Tensor:
    value, bias = layer.self_attn.in_proj_weight[2 * WIDTH :], layer.self_attn.in_proj_bias
    # The position is in queries and keys, not in values.
    gathered = softmax_of(layer, tokens, positions) @ (tokens @ value.T + bias[2 * WIDTH :])
    tokens = layer.norm1(tokens + layer.self_attn.out_proj(gathered))
    return layer.norm2(tokens + layer.linear2(layer.linear1(tokens).clamp(min=0)))


@pytest.mark.parametrize("placed", [False, True])
def test_every_layer_adds_the_positions_to_queries_and_keys(placed: bool) -> None:
    network = encoder(3)
    tokens, positions = tokens_and_positions()
    with torch.inference_mode():
        found = network(tokens, positions if placed else None)
        for layer in network.layers:
            tokens = layer_by_hand(layer, tokens, positions if placed else 0.0)
    assert (found - tokens).abs().max() < 1e-12


@pytest.mark.parametrize("placed", [False, True])
def test_attention_weights_are_the_softmax_values_of_each_layer(placed: bool) -> None:
    network = encoder(2)
    tokens, positions = tokens_and_positions()
    queries = torch.tensor([6, 0, 3])
    with torch.inference_mode():
        found = network.weights(tokens, positions if placed else None, queries)
        assert found.shape == (2, 2, 3, 7)
        assert (found.sum(-1) - 1).abs().max() < 1e-12
        for layer, weights in zip(network.layers, found, strict=True):
            wanted = softmax_of(layer, tokens, positions if placed else 0.0)[:, queries]
            assert (weights - wanted).abs().max() < 1e-12
            tokens = layer_by_hand(layer, tokens, positions if placed else 0.0)


@pytest.mark.parametrize("training", [False, True])
def test_without_positions_a_layer_is_torchs_own_dropout_included(training: bool) -> None:
    ours = encoder(1).layers[0].train(training)
    theirs = nn.TransformerEncoderLayer(WIDTH, 1, 20, dropout=0.1, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict())
    theirs.train(training)
    tokens, _ = tokens_and_positions()
    outputs = []
    for layer in (lambda: ours(tokens, None), lambda: theirs(tokens)):
        torch.manual_seed(5)
        outputs.append(layer())
    assert (outputs[0] - outputs[1]).abs().max() < 1e-12
    torch.manual_seed(6)
    assert ((ours(tokens, None) - outputs[0]).abs().max() > 0.1) == training


def test_sequences_of_a_batch_have_nothing_to_do_with_each_other() -> None:
    network = encoder(2)
    tokens, positions = tokens_and_positions()
    with torch.inference_mode():
        both = network(tokens, positions)
        assert (both[1:] - network(tokens[1:], positions)).abs().max() < 1e-12


def test_sines_tell_rows_in_the_first_half_and_columns_in_the_second() -> None:
    height, width, channels = 3, 4, 8
    found = sine_positions(height, width, channels)
    assert found.shape == (12, 1, 8)
    assert found.dtype == torch.float32
    for row in range(height):
        for column in range(width):
            y, x = 2 * math.pi * (row + 1) / height, 2 * math.pi * (column + 1) / width
            wanted = [
                f(angle / p) for angle in (y, x) for p in (1, 100) for f in (math.sin, math.cos)
            ]
            assert found[row * width + column, 0].tolist() == pytest.approx(wanted, abs=1e-5)


def test_the_sines_equal_the_official_ones_to_the_last_bit(shared: Path) -> None:
    golden = reference(shared, "transpose-h-256x192/golden")["sine_position_embedding"]
    assert error(sine_positions(64, 48, 96).double(), golden) == 0
