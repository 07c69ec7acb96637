"""SimpleBaseline: a ResNet, three transposed convolutions, and one heatmap per joint.

Xiao, Wu and Wei, Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018. Parameter
names, shapes and order are those of the official program (microsoft/human-pose-estimation.pytorch,
MIT license), so its checkpoints load as they are; they expect BGR input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from predictors.networks.residual import EXPANSION, bottlenecks

STEM_CHANNELS = 64
_DECONV_CHANNELS = 256


@dataclass(frozen=True)
class ResNetConfig:
    """What tells one ResNet of bottleneck blocks from another.

    Attributes:
        blocks: number of blocks of layers 1 to 4.
    """

    blocks: tuple[int, int, int, int]

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Output channels of layers 1 to 4."""
        first = STEM_CHANNELS * EXPANSION
        return first, first * 2, first * 4, first * 8


CONFIGS = {
    50: ResNetConfig((3, 4, 6, 3)),
    101: ResNetConfig((3, 4, 23, 3)),
    152: ResNetConfig((3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """The ImageNet ResNet without its pooling and classifier.

    Maps images (N, 3, H, W) to features (N, 2048, H / 32, W / 32); see `features`.

    Source: He et al., Deep Residual Learning, with the stride in the 3x3 convolution of a block
    instead of the first 1x1, as torch's own and SimpleBaseline have it.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        n1, n2, n3, n4 = config.blocks
        c1, c2, c3, c4 = config.channels
        self.layer1 = bottlenecks(STEM_CHANNELS, c1 // EXPANSION, n1)
        self.layer2 = bottlenecks(c1, c2 // EXPANSION, n2, stride=2)
        self.layer3 = bottlenecks(c2, c3 // EXPANSION, n3, stride=2)
        self.layer4 = bottlenecks(c3, c4 // EXPANSION, n4, stride=2)

    def stem(self, image: torch.Tensor) -> torch.Tensor:
        """Return (N, 64, H/4, W/4), the input of layer 1."""
        return cast("torch.Tensor", self.maxpool(self.relu(self.bn1(self.conv1(image)))))

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Return (N, 2048, H/32, W/32), the output of layer 4."""
        out = self.layer3(self.layer2(self.layer1(self.stem(image))))
        return cast("torch.Tensor", self.layer4(out))


def deconv_layers(in_channels: int) -> nn.Sequential:
    """Return three transposed convolutions, each with batch-norm and ReLU: nine layers in a row.

    Maps (N, `in_channels`, H, W) to (N, 256, 8 H, 8 W).
    """
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [
            nn.ConvTranspose2d(in_channels, _DECONV_CHANNELS, 4, 2, 1, bias=False),
            nn.BatchNorm2d(_DECONV_CHANNELS),
            nn.ReLU(inplace=True),
        ]
        in_channels = _DECONV_CHANNELS
    return nn.Sequential(*layers)


class PoseResNet(ResNet):
    """SimpleBaseline: maps images (N, 3, H, W) to heatmaps (N, num_joints, H/4, W/4).

    Source: sections 2 and 3.1 of the paper; equal to the official program to 1e-9.
    """

    def __init__(self, config: ResNetConfig, num_joints: int) -> None:
        super().__init__(config)
        self.deconv_layers = deconv_layers(config.channels[-1])
        self.final_layer = nn.Conv2d(_DECONV_CHANNELS, num_joints, 1)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the heatmaps (N, num_joints, H/4, W/4) of the output of layer 4."""
        return cast("torch.Tensor", self.final_layer(self.deconv_layers(features)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return heatmaps (N, num_joints, H/4, W/4) of normalised crops (N, 3, H, W)."""
        return self.head(self.features(image))


def build(depth: int, num_joints: int) -> PoseResNet:
    """Return SimpleBaseline with a ResNet of 50, 101 or 152 layers."""
    return PoseResNet(CONFIGS[depth], num_joints)
