"""HigherHRNet: heatmaps at two resolutions, and tags that tell which keypoints are one person's.

Cheng et al., HigherHRNet: Scale-Aware Representation Learning for Bottom-Up Human Pose Estimation,
CVPR 2020. Parameter names, shapes and order are those of the official program
(HRNet/HigherHRNet-Human-Pose-Estimation), so its checkpoints load as they are; they expect RGB
input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from predictors.networks.hrnet import HRNet, HRNetConfig
from predictors.networks.residual import BasicBlock

_BLOCKS = 4


class Maps(NamedTuple):
    """What the network gives.

    Attributes:
        coarse: (N, 2K, H/4, W/4), a heatmap for each keypoint, then a map of tags for each.
        fine: (N, K, H/2, W/2), a heatmap for each keypoint.
    """

    coarse: Tensor
    fine: Tensor


class HigherHRNet(HRNet):
    """Maps images (N, 3, H, W) to heatmaps of a quarter and of half their size, and to tags.

    H and W are multiples of 32.

    Source: the official program, to which it is equal to 1e-8.
    """

    def __init__(self, config: HRNetConfig, num_joints: int) -> None:
        super().__init__(config)
        width = config.width
        self.final_layers = nn.ModuleList(
            (nn.Conv2d(width, 2 * num_joints, 1), nn.Conv2d(width, num_joints, 1))
        )
        doubling = nn.Sequential(
            nn.ConvTranspose2d(width + 2 * num_joints, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        # In lists of their own, since the official ones could hold several.
        blocks = (nn.Sequential(BasicBlock(width)) for _ in range(_BLOCKS))
        self.deconv_layers = nn.ModuleList((nn.Sequential(doubling, *blocks),))

    def forward(self, images: Tensor) -> Maps:
        """Return heatmaps and tags of normalised images (N, 3, H, W)."""
        features = self.features(images)[0]
        coarse = self.final_layers[0](features)
        larger = self.deconv_layers[0](torch.cat([features, coarse], dim=1))
        return Maps(coarse, self.final_layers[1](larger))


def build(num_joints: int, **config: Any) -> HigherHRNet:
    """Return HigherHRNet for this many joints, of the `HRNetConfig` with these values."""
    return HigherHRNet(HRNetConfig(**config), num_joints)
