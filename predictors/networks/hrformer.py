"""HRFormer-B: HRNet with window attention instead of convolution in its branches.

Yuan et al., HRFormer: High-Resolution Transformer for Dense Prediction, NeurIPS 2021. Parameter
names and shapes are those of the official pose program (HRNet/HRFormer, MIT license), so its
checkpoints load as they are; they expect RGB input.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import nn
from torch.nn.functional import pad, scaled_dot_product_attention

from predictors.networks.hrnet import HRNet, HRNetConfig, Kind
from predictors.networks.residual import convolution

# Side of an attention window, in positions of the feature map.
WINDOW = 7
# Channels of one attention head, on every branch.
HEAD_WIDTH = 39
# Channels inside the feed-forward part of a block, per channel of its input.
MLP_RATIO = 4
CONFIG = HRNetConfig(78, modules=(1, 4, 2), bottlenecks=2, blocks=2)
_EPSILON = 1e-6


def relative_positions() -> torch.Tensor:
    """Return which entry of a bias table belongs to each pair of positions of a window.

    Returns:
        int64 (49, 49): for query and key, both row by row, the number of the step from one to the
        other among the 13 x 13 possible ones. Source: Swin Transformer, section 3.2.
    """
    axis = torch.arange(WINDOW)
    row, column = axis.repeat_interleave(WINDOW), axis.repeat(WINDOW)
    rows, columns = (values[:, None] - values + WINDOW - 1 for values in (row, column))
    return rows * (2 * WINDOW - 1) + columns


class HeadsAttention(nn.Module):
    """Self-attention with several heads among the 49 positions of a window.

    Maps (B, 49, C) to (B, 49, C), one row of B for each window.

    Args:
        channels: C, a multiple of `HEAD_WIDTH`.
        relative_position_bias: whether the table's entry for the step from query to key is added to
            their score. The table is a parameter either way, as in the official state dict.
    """

    def __init__(self, channels: int, relative_position_bias: bool) -> None:
        super().__init__()
        self.heads = channels // HEAD_WIDTH
        self.relative_position_bias = relative_position_bias
        table = torch.empty((2 * WINDOW - 1) ** 2, self.heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.relative_position_index: torch.Tensor
        self.register_buffer("relative_position_index", relative_positions())
        self.k_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.q_proj = nn.Linear(channels, channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Return what every position gathers from its window."""
        query, key, value = (
            projection(windows).unflatten(2, (self.heads, HEAD_WIDTH)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        gathered = scaled_dot_product_attention(query, key, value, self._bias())
        return cast("torch.Tensor", self.out_proj(gathered.transpose(1, 2).flatten(2)))

    def _bias(self) -> torch.Tensor | None:
        """Return what is added to the scores (heads, 49, 49), if anything."""
        if not self.relative_position_bias:
            return None
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)


class WindowAttention(nn.Module):
    """Attention within windows of 7 x 7 positions that do not overlap.

    Maps (N, H, W, C) to (N, H, W, C). The map is padded with zeros to whole windows, on both sides
    and with the smaller half first. What is padded takes part in the attention like any position.
    """

    def __init__(self, channels: int, relative_position_bias: bool) -> None:
        super().__init__()
        self.attn = HeadsAttention(channels, relative_position_bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return what every position gathers from its window."""
        n, height, width, channels = features.shape
        (top, bottom), (left, right) = _margins(height), _margins(width)
        padded = pad(features, (0, 0, left, right, top, bottom))
        # Rows of windows, rows within, columns of windows, columns within; then window by window.
        grid = padded.reshape(n, -1, WINDOW, padded.shape[2] // WINDOW, WINDOW, channels)
        windows = grid.transpose(2, 3).reshape(-1, WINDOW**2, channels)
        gathered = self.attn(windows).view(grid.transpose(2, 3).shape)
        out = gathered.transpose(2, 3).reshape(padded.shape)
        return cast("torch.Tensor", out[:, top : top + height, left : left + width])


def _margins(size: int) -> tuple[int, int]:
    """Return how much is padded before and after this many positions."""
    missing = -size % WINDOW
    return missing // 2, missing - missing // 2


class FeedForward(nn.Module):
    """1x1, depth-wise 3x3 and 1x1 convolutions, each followed by batch-norm and GELU.

    Maps (N, C, H, W) to (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels * MLP_RATIO
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.dw3x3 = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.norm2 = nn.BatchNorm2d(hidden)
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.norm3 = nn.BatchNorm2d(channels)
        self.act = nn.GELU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features after the three convolutions."""
        out = self.act(self.norm1(self.fc1(features)))
        out = self.act(self.norm2(self.dw3x3(out)))
        # The last activation is there in the official code too.
        return cast("torch.Tensor", self.act(self.norm3(self.fc2(out))))


class TransformerBlock(nn.Module):
    """Window attention, then the feed-forward part, each after a layer-norm and with a shortcut.

    Maps (N, C, H, W) to (N, C, H, W).

    Source: section 3 of the paper. Deviation: in training the official program drops whole
    branches at random (stochastic depth), which is not done here.
    """

    def __init__(self, channels: int, relative_position_bias: bool) -> None:
        super().__init__()
        self.attn = WindowAttention(channels, relative_position_bias)
        self.norm1 = nn.LayerNorm(channels, eps=_EPSILON)
        self.norm2 = nn.LayerNorm(channels, eps=_EPSILON)
        self.mlp = FeedForward(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features after the block; the input is left as it is."""
        # Channels last, which is what layer-norm and attention work on.
        out = features.permute(0, 2, 3, 1)
        out = out + self.attn(self.norm1(out))
        out = out + self.mlp(self.norm2(out).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return cast("torch.Tensor", out.permute(0, 3, 1, 2))


def _halve(in_channels: int, out_channels: int, relu: bool) -> nn.Sequential:
    """Return a depth-wise 3x3 convolution of stride 2 and a 1x1 convolution."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, 2, 1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        *convolution(in_channels, out_channels, 1, relu=relu),
    )


class Head(nn.Module):
    """A 1x1 convolution: maps features (N, 78, H, W) to heatmaps (N, num_joints, H, W)."""

    def __init__(self, num_joints: int) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(CONFIG.width, num_joints, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the heatmaps."""
        return cast("torch.Tensor", self.final_layer(features))


class HRFormer(nn.Module):
    """HRFormer-B for poses: maps images (N, 3, H, W) to heatmaps (N, num_joints, H/4, W/4).

    H and W are multiples of 32.

    Args:
        num_joints: number of heatmaps.
        relative_position_bias: whether attention adds Swin's bias. The official pose code, which
            trained the published weights, leaves it out, though the paper describes it; MMPose's
            version of the network adds it.

    Source: section 3 of the paper; without the bias, equal to the official program to 1e-10.
    """

    def __init__(self, num_joints: int, relative_position_bias: bool) -> None:
        super().__init__()
        block = partial(TransformerBlock, relative_position_bias=relative_position_bias)
        self.backbone = HRNet(CONFIG, Kind(block, _halve, "bilinear"))
        self.keypoint_head = Head(num_joints)

    def features_and_heatmaps(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features (N, 78, H/4, W/4) of normalised crops (N, 3, H, W), and heatmaps."""
        features = self.backbone.features(images)[0]
        return features, self.keypoint_head(features)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return heatmaps (N, num_joints, H/4, W/4) of normalised crops (N, 3, H, W)."""
        return self.features_and_heatmaps(images)[1]


def build(num_joints: int, relative_position_bias: bool) -> HRFormer:
    """Return HRFormer-B for poses of this many joints, with or without the position bias."""
    return HRFormer(num_joints, relative_position_bias)
