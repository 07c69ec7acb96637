"""DEKR: all keypoints of a person are regressed from its centre, each by a branch of its own.

Geng et al., Bottom-Up Human Pose Estimation via Disentangled Keypoint Regression, CVPR 2021.
Parameter names, shapes and order are those of the official program (HRNet/DEKR), so its checkpoints
load as they are; they expect RGB input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from predictors.networks.deformable import N_TAPS, deformable_convolution, regular_taps
from predictors.networks.hrnet import HRNet, HRNetConfig, joined
from predictors.networks.residual import BasicBlock, convolution

# Values that the blocks of several keypoints read at once, by device. On a CPU they should still be
# in its cache when they are used; elsewhere they have to fit the memory: half a GiB of float32.
_CPU_VALUES, _OTHER_VALUES = 1 << 22, 1 << 27


class Regression(NamedTuple):
    """What the network gives.

    Attributes:
        heatmaps: (N, K + 1, h, w), one for each keypoint, then that of the persons' centres.
        offsets: (N, 2K, h, w): x and y of keypoint 0, of keypoint 1, ...; where the centre of a
            person is, the keypoint is at the pixel's position minus its offset, in pixels of the
            map.
    """

    heatmaps: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class HeadsConfig:
    """What tells the heads of one network from another's.

    Attributes:
        heat_channels: channels that heatmaps are made of.
        joint_channels: channels that the offset of each keypoint is made of.
        adaptive_blocks: number of blocks on those.
    """

    heat_channels: int
    joint_channels: int = 15
    adaptive_blocks: int = 2


class AdaptiveBlock(nn.Module):
    """Holds the weights of one keypoint's block; `adaptive_blocks` runs those of all keypoints.

    A block is a deformable convolution, whose kernel is turned, stretched and moved at each pixel
    as two convolutions say, then batch-norm, a shortcut, and ReLU.
    """

    regular_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("regular_matrix", regular_taps())
        self.transform_matrix_conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.translation_conv = nn.Conv2d(channels, 2, 3, padding=1)
        self.adapt_conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.begin_regular()

    def begin_regular(self) -> None:
        """Make the kernel a regular one everywhere, as it is in a new network.

        This is our choice: from random weights the taps would lie a pixel or so from their places.
        """
        for layer in (self.transform_matrix_conv, self.translation_conv):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(cast("Tensor", layer.bias))
        with torch.no_grad():
            cast("Tensor", self.transform_matrix_conv.bias)[[0, 3]] = 1.0


def adaptive_blocks(maps: Tensor, blocks: Sequence[AdaptiveBlock]) -> Tensor:
    """Return the maps after K blocks side by side, each on C channels of its own.

    Args:
        maps: (N, K * C, h, w).
        blocks: one for each keypoint, all in the same mode.

    Returns:
        (N, K * C, h, w); in training the running statistics of the blocks are brought up to date.

    Source: the official program, which runs one block after the other. Deviation, which changes
    rounding alone: they run together, as grouped convolutions of stacked weights.
    """
    n, _, height, width = maps.shape
    n_blocks = len(blocks)
    geometry = functional.conv2d(
        maps,
        torch.cat(
            [
                part
                for block in blocks
                for part in (block.transform_matrix_conv.weight, block.translation_conv.weight)
            ]
        ),
        torch.cat(
            [
                cast("Tensor", part)
                for block in blocks
                for part in (block.transform_matrix_conv.bias, block.translation_conv.bias)
            ]
        ),
        padding=1,
        groups=n_blocks,
    ).reshape(n, n_blocks, 6, height * width)
    turn, regular = _kernels([block.regular_matrix for block in blocks])
    offsets = (turn @ geometry).sub_(regular).reshape(n, -1, height, width)
    weight = torch.cat([block.adapt_conv.weight for block in blocks])
    out = _batch_norm(deformable_convolution(maps, offsets, weight), [b.bn for b in blocks])
    return functional.relu(out + maps)


def _kernels(regular: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return what offsets are made of, from the regular taps (2, 9) of K blocks.

    Returns:
        (K, 18, 6), which times matrix and translation of a pixel is where the taps are, y and x of
        each; and (K, 18, 1), where they regularly are, which makes offsets of it.
    """
    taps = torch.stack(list(regular)).transpose(1, 2)
    n_blocks, n_taps, _ = taps.shape
    turn = taps.new_zeros(n_blocks, n_taps, 2, 6)
    # Row-major: the matrix' first row and the first translation are of y, the others of x.
    for axis in (0, 1):
        turn[:, :, axis, 2 * axis : 2 * axis + 2] = taps
        turn[:, :, axis, 4 + axis] = 1
    return turn.flatten(1, 2), taps.reshape(n_blocks, -1, 1)


def _batch_norm(maps: Tensor, layers: Sequence[nn.BatchNorm2d]) -> Tensor:
    """Return the maps after batch-norms side by side, which are alike but for their values."""
    first = layers[0]
    means, variances = (
        torch.cat([cast("Tensor", getattr(layer, name)) for layer in layers])
        for name in ("running_mean", "running_var")
    )
    out = functional.batch_norm(
        maps,
        means,
        variances,
        torch.cat([layer.weight for layer in layers]),
        torch.cat([layer.bias for layer in layers]),
        first.training,
        cast("float", first.momentum),
        first.eps,
    )
    if first.training:
        sizes = [layer.num_features for layer in layers]
        parts = zip(layers, torch.split(means, sizes), torch.split(variances, sizes), strict=True)
        for layer, mean, variance in parts:
            cast("Tensor", layer.running_mean).copy_(mean)
            cast("Tensor", layer.running_var).copy_(variance)
            cast("Tensor", layer.num_batches_tracked).add_(1)
    return out


class CentreRegression(HRNet):
    """A trunk with the heads of DEKR.

    Networks call `_insert_heads` once their other layers are there, which is the official order.
    """

    def _insert_heads(self, in_channels: int, num_joints: int, config: HeadsConfig) -> None:
        """Add the heads on features of `in_channels` channels."""
        heat, joint = config.heat_channels, config.joint_channels
        self.transition_heatmap = convolution(in_channels, heat, 1)
        self.transition_offset = convolution(in_channels, num_joints * joint, 1)
        self.head_heatmap = nn.Sequential(
            nn.Sequential(BasicBlock(heat)), nn.Conv2d(heat, num_joints + 1, 1)
        )
        self.offset_feature_layers = nn.ModuleList(
            nn.Sequential(*(AdaptiveBlock(joint) for _ in range(config.adaptive_blocks)))
            for _ in range(num_joints)
        )
        self.offset_final_layer = nn.ModuleList(nn.Conv2d(joint, 2, 1) for _ in range(num_joints))

    def heads(self, features: Tensor) -> Regression:
        """Return heatmaps and offsets of features (N, in_channels, h, w)."""
        heatmaps = self.head_heatmap(self.transition_heatmap(features))
        maps = self.transition_offset(features)
        values = maps.numel() // len(self.offset_final_layer) * N_TAPS
        most = _CPU_VALUES if maps.device.type == "cpu" else _OTHER_VALUES
        at_once = max(1, most // values)
        layers = [
            (*cast("nn.Sequential", blocks), cast("nn.Conv2d", last))
            for blocks, last in zip(
                self.offset_feature_layers, self.offset_final_layer, strict=True
            )
        ]
        turns = [layers[start : start + at_once] for start in range(0, len(layers), at_once)]
        sizes = [len(turn) * maps.shape[1] // len(layers) for turn in turns]
        parts = zip(torch.split(maps, sizes, 1), turns, strict=True)
        return Regression(heatmaps, torch.cat([_offsets(*part) for part in parts], dim=1))


def _offsets(maps: Tensor, layers: Sequence[tuple[nn.Module, ...]]) -> Tensor:
    """Return (N, 2K, h, w) of maps (N, K * C, h, w), by the blocks and the last layer of each."""
    *rows, last = zip(*layers, strict=True)
    for blocks in rows:
        maps = adaptive_blocks(maps, cast("Sequence[AdaptiveBlock]", blocks))
    n, _, height, width = maps.shape
    convolutions = cast("Sequence[nn.Conv2d]", last)
    weight = torch.cat([layer.weight for layer in convolutions]).reshape(len(last), 2, -1)
    bias = torch.cat([cast("Tensor", layer.bias) for layer in convolutions]).reshape(-1, 2, 1)
    # As a product of matrices: libraries run grouped 1x1 convolutions one by one.
    found = weight @ maps.reshape(n, len(last), -1, height * width) + bias
    return found.reshape(n, -1, height, width)


class DEKR(CentreRegression):
    """Maps images (N, 3, H, W) to heatmaps and offsets of a quarter of their size.

    H and W are multiples of 32.

    Source: the official program, to which it is equal to 1e-8.
    """

    def __init__(self, trunk: HRNetConfig, num_joints: int, heads: HeadsConfig) -> None:
        super().__init__(trunk)
        self._insert_heads(sum(trunk.channels(self.last_stage)), num_joints, heads)

    def forward(self, images: Tensor) -> Regression:
        """Return heatmaps (N, K + 1, H/4, W/4), offsets (N, 2K, H/4, W/4) of normalised images."""
        return self.heads(joined(self.features(images)))


def build(
    num_joints: int, heat_channels: int, joint_channels: int, adaptive_blocks: int, **trunk: Any
) -> DEKR:
    """Return DEKR on the `HRNetConfig` of these values, with the `HeadsConfig` of the others."""
    heads = HeadsConfig(heat_channels, joint_channels, adaptive_blocks)
    return DEKR(HRNetConfig(**trunk, all_outputs=True), num_joints, heads)
