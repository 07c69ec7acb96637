"""Transformer encoders that know where each token stands, and the 2-D sine position embedding.

The encoders of TransPose and of I2R-Net are the same: one head, normalisation after each sum, and a
position that is added to queries and keys in every layer, but not to values. Parameter names are
those of the official programs.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

_DROPOUT = 0.1
_TEMPERATURE = 10_000
_EPSILON = 1e-6


class EncoderLayer(nn.Module):
    """Self-attention of one head, then two linear layers; each is added to its input and normed.

    Maps tokens (B, S, `width`) to tokens (B, S, `width`). The B sequences have nothing to do with
    each other.
    """

    def __init__(self, width: int, feedforward: int) -> None:
        super().__init__()
        # Without weights asked for, it is torch's scaled_dot_product_attention.
        self.self_attn = nn.MultiheadAttention(width, 1, dropout=_DROPOUT, batch_first=True)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, tokens: Tensor, positions: Tensor | None) -> Tensor:
        """Return the tokens after the layer.

        Args:
            tokens: (B, S, width).
            positions: (B or 1, S, width), added to queries and keys.
        """
        placed = _placed(tokens, positions)
        attended, _ = self.self_attn(placed, placed, tokens, need_weights=False)
        tokens = self.norm1(tokens + self.dropout(attended))
        hidden = self.dropout(self.linear1(tokens).relu())
        return cast("Tensor", self.norm2(tokens + self.dropout(self.linear2(hidden))))

    def weights(self, tokens: Tensor, positions: Tensor | None, queries: Tensor) -> Tensor:
        """Return (B, Q, S): how much the tokens `queries` (Q,) int64 attend to each token.

        These are the softmax values, which sum to 1 over the last axis. No other queries' are
        computed, of which there may be too many to be kept.
        """
        placed = _placed(tokens, positions)
        _, weights = self.self_attn(placed[:, queries], placed, tokens)
        return cast("Tensor", weights)


def _placed(tokens: Tensor, positions: Tensor | None) -> Tensor:
    return tokens if positions is None else tokens + positions


class Encoder(nn.Module):
    """A row of `EncoderLayer`s, without a norm at its end.

    Source: TransPose's encoder. Matrices begin as Xavier's uniform distribution has them.
    """

    def __init__(self, width: int, n_layers: int, feedforward: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, feedforward) for _ in range(n_layers))
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, tokens: Tensor, positions: Tensor | None) -> Tensor:
        """Return (B, S, width), the tokens after all layers; see `EncoderLayer`."""
        for layer in self.layers:
            tokens = layer(tokens, positions)
        return tokens

    def weights(self, tokens: Tensor, positions: Tensor | None, queries: Tensor) -> Tensor:
        """Return (L, B, Q, S): the attention of some tokens in each of the L layers."""
        found = []
        for layer in self.layers:
            layer = cast("EncoderLayer", layer)
            found.append(layer.weights(tokens, positions, queries))
            if len(found) < len(self.layers):
                tokens = layer(tokens, positions)
        return torch.stack(found)


def sine_positions(height: int, width: int, channels: int) -> Tensor:
    """Return (height * width, 1, channels) float32: the 2-D sine embedding of a grid, row by row.

    The first half of the channels tells the row, the second half the column. Row r of 1 to height
    is the angle 2 pi r / height; channels 2 i and 2 i + 1 of c are the sine and the cosine of the
    angle divided by 10000^(2 i / c).

    Source: TransPose and I2R-Net; equal to their values, which were computed in float32 as well.
    """
    half = channels // 2
    pairs = torch.arange(half, dtype=torch.float32) // 2
    periods = _TEMPERATURE ** (2 * pairs / half)
    parts = []
    for size in (height, width):
        places = torch.arange(1, size + 1, dtype=torch.float32)
        angles = places / (size + _EPSILON) * (2 * math.pi)
        phases = angles[:, None] / periods
        pair = torch.stack([phases[:, 0::2].sin(), phases[:, 1::2].cos()], dim=-1)
        parts.append(pair.flatten(1))
    rows, columns = parts
    grid = torch.cat(
        [rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)], dim=-1
    )
    return grid.reshape(height * width, 1, channels)
