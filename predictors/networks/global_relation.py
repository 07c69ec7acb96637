"""Global Relation Modeling and Refinement: a light HRNet whose stages meet in an attention module.

Yin and Yin, Global Relation Modeling and Refinement for Bottom-Up Human Pose Estimation. No program
of the authors was found. This is what the text and its formulas give; where they are silent the
choice stands, with its reason, where it is made. As nobody's weights depend on them, names of
parameters are ours but for the trunk and the heads, which have DEKR's, so that a training can start
from weights of HRNet or DEKR, as far as they fit by name and shape.

What the paper leaves open beyond single layers:

* It speaks of tags and their grouping, but also of DEKR's decoders, of DEKR's loss, which has no
  tags, and of regressed keypoints at test time: there are offsets and a heatmap of centres here.
* Numbers of modules are not given, only those of blocks: they are HRNet's 1, 4 and 3.
* How the result of the relation goes to the heads is not described: it takes the place of the
  highest resolution, as the heads read all four.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from predictors.networks.dekr import CentreRegression, HeadsConfig, Regression
from predictors.networks.hrnet import CONVOLUTIONS, HRNetConfig, joined
from predictors.networks.residual import convolution

_BRANCHES = 4


@dataclass(frozen=True)
class GlobalRelationConfig:
    """What tells one of these networks from another on the same trunk.

    Attributes:
        grm: whether stages 2, 3 and 4 meet in the global relation module.
        mfa: whether blocks on the lowest resolution of stage 4 are multi-branch feature align
            modules.
        aligned_blocks: how many of them are, the last ones of each of the stage's modules. The
            formula names the fourth block; the text says that they replace the block of the last
            stage. As that branch alone keeps blocks, it is all four.
        residual: whether such a module adds its input. Its formula does not; the residual block
            that it replaces does, and so does the block of the network that it is modelled on.
        scaled: whether squeeze-and-excitation scales the features before it adds them, as its name
            says. The formula adds what it would scale by.
    """

    grm: bool
    mfa: bool
    aligned_blocks: int = 4
    residual: bool = True
    scaled: bool = True


class FeatureAlign(nn.Module):
    """Multi-branch feature align (MFA): four branches of 1 to 4 densely connected convolutions.

    Maps (N, C, h, w) to (N, C, h, w); C is a multiple of 4.

    Source: equations 8 to 10. Where they are silent:

    * x_0 is the branch's own quarter of the channels, as in the Residual Steps Network that the
      module is modelled on: only so have the sums of equation 8 as many channels on both sides.
    * The layers after the first read that quarter without what the branch before it gave.
    * Each layer gives C / 4 channels, so that the four branches make C again.
    * Batch-norm and ReLU follow each convolution; the last has no ReLU before the sum.
    """

    def __init__(self, channels: int, residual: bool = True) -> None:
        super().__init__()
        self.residual = residual
        part = channels // _BRANCHES
        self.fuse = convolution(channels, channels, 1)
        self.branches = nn.ModuleList(
            nn.ModuleList(convolution(layer * part, part, 3) for layer in range(1, branch + 1))
            for branch in range(1, _BRANCHES + 1)
        )
        self.join = convolution(channels, channels, 1, relu=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the aligned features; the input is left as it is."""
        found: list[Tensor] = []
        parts = self.fuse(features).chunk(_BRANCHES, dim=1)
        for layers, part in zip(self.branches, parts, strict=True):
            first, *rest = cast("nn.ModuleList", layers)
            outputs = [part, first(part + found[-1] if found else part)]
            for layer in rest:
                outputs.append(layer(torch.cat(outputs, dim=1)))
            found.append(outputs[-1])
        joint: Tensor = self.join(torch.cat(found, dim=1))
        return functional.relu(joint + features if self.residual else joint)


class Squeeze(nn.Module):
    """The paper's squeeze-and-excitation: mean, ReLU, linear, sigmoid, sum, 1x1 convolution.

    Maps (N, C, h, w) to (N, C, h, w).
    """

    def __init__(self, channels: int, scaled: bool = True) -> None:
        super().__init__()
        self.scaled = scaled
        self.fc = nn.Linear(channels, channels)
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the weighted features; the input is left as it is."""
        weights = self.fc(functional.relu(features.mean((2, 3)))).sigmoid()[:, :, None, None]
        weighted = features * weights if self.scaled else weights
        return cast("Tensor", self.conv(weighted + features))


class ChannelAttention(nn.Module):
    """Equation 5: one weight for each channel, (N, C, 1, 1) of (N, C, h, w).

    The query has one channel, so that the product is a vector over channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Conv2d(channels, channels // 2, 1)
        self.query = nn.Conv2d(channels, 1, 1)
        self.out = nn.Conv2d(channels // 2, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the weights, 0 to 1."""
        query = self.query(features).flatten(1).softmax(1)
        summed = self.value(features).flatten(2) @ query[:, :, None]
        return cast("Tensor", self.out(summed[:, :, :, None]).sigmoid())


class SpatialAttention(nn.Module):
    """Equation 6: one weight for each position, (N, 1, h, w) of (N, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 2, 1)
        self.value = nn.Conv2d(channels, channels // 2, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the weights, 0 to 1."""
        query = self.query(features).mean((2, 3)).softmax(1)
        summed = query[:, None] @ self.value(features).flatten(2)
        maps = summed.reshape(len(features), 1, *features.shape[2:])
        return cast("Tensor", maps.sigmoid())


class GlobalRelationModeling(nn.Module):
    """Global relation modeling (GRM): what stages 2 to 4 give at the highest resolution, together.

    Maps three tensors (N, C, h, w) to (N, 2C, h, w).

    Source: equations 4 to 7. Where they are silent: batch-norm and ReLU follow each 3x3
    convolution; 1x1 convolutions have a bias. The softmax is the plain one: what is printed is a
    weighted sum, which the product after it makes. It has the form of polarized self-attention,
    which has a layer norm that the formula has not: left out.
    """

    def __init__(self, channels: int, scaled: bool = True) -> None:
        super().__init__()
        self.squeeze = nn.ModuleList(Squeeze(channels, scaled) for _ in range(2))
        self.convolve = nn.ModuleList(convolution(channels, channels, 3) for _ in range(2))
        self.channel_attention = ChannelAttention(2 * channels)
        self.spatial_attention = SpatialAttention(2 * channels)

    def forward(self, second: Tensor, third: Tensor, fourth: Tensor) -> Tensor:
        """Return the related features of the outputs of stages 2, 3 and 4; they are left as is."""
        earlier = (
            convolve(squeeze(stage))
            for squeeze, convolve, stage in zip(
                self.squeeze, self.convolve, (second, third), strict=True
            )
        )
        together = torch.cat([next(earlier) + next(earlier), fourth], dim=1)
        weights = self.channel_attention(together) + self.spatial_attention(together)
        return cast("Tensor", together * weights)


class GlobalRelation(CentreRegression):
    """Maps images (N, 3, H, W) to heatmaps and offsets of a quarter of their size.

    H and W are multiples of 32. Without both modules and not shrunk it is DEKR.
    """

    def __init__(
        self,
        trunk: HRNetConfig,
        num_joints: int,
        heads: HeadsConfig,
        config: GlobalRelationConfig,
    ) -> None:
        blocks: list[Callable[[int], nn.Module]] = [CONVOLUTIONS.block] * trunk.blocks
        if config.mfa:
            align = partial(FeatureAlign, residual=config.residual)
            n_kept = max(0, trunk.blocks - config.aligned_blocks)
            blocks[n_kept:] = [align] * (trunk.blocks - n_kept)
        super().__init__(trunk, last_blocks=blocks)
        channels = sum(trunk.channels(self.last_stage))
        self.relates = config.grm
        if config.grm:
            self.grm = GlobalRelationModeling(trunk.width, config.scaled)
            channels += trunk.width
        self._insert_heads(channels, num_joints, heads)

    def forward(self, images: Tensor) -> Regression:
        """Return heatmaps (N, K + 1, H/4, W/4), offsets (N, 2K, H/4, W/4) of normalised images."""
        branches = [self.stem(images)]
        highest = []
        for number in range(2, self.last_stage + 1):
            branches = self.stage(number, self.transition(number - 1, branches))
            highest.append(branches[0])
        if self.relates:
            branches[0] = self.grm(*highest)
        return self.heads(joined(branches))


def build(
    num_joints: int,
    grm: bool,
    mfa: bool,
    heat_channels: int,
    joint_channels: int,
    adaptive_blocks: int,
    aligned_blocks: int = 4,
    residual: bool = True,
    scaled: bool = True,
    **trunk: Any,
) -> GlobalRelation:
    """Return the network on the `HRNetConfig` of these values, with the configs of the others."""
    return GlobalRelation(
        HRNetConfig(**trunk, all_outputs=True),
        num_joints,
        HeadsConfig(heat_channels, joint_channels, adaptive_blocks),
        GlobalRelationConfig(grm, mfa, aligned_blocks, residual, scaled),
    )
