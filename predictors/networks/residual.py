"""The two residual blocks that ResNet and HRNet are made of, with the official parameter names."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

# Output channels of a bottleneck block, per channel of its middle convolution.
EXPANSION = 4


def convolution(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, relu: bool = True
) -> nn.Sequential:
    """Return convolution and batch-norm, then ReLU if asked for.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: 1 or 3; the padding keeps the size at stride 1.
        stride: step of the kernel.
        relu: whether a ReLU follows.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; channels and size stay.

    Maps (N, C, H, W) to (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features after the block; the input is left as it is."""
        out = self.relu(self.bn1(self.conv1(features)))
        out = self.bn2(self.conv2(out))
        out += features
        return cast("torch.Tensor", self.relu(out))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the stride is that of the 3x3 convolution.

    Maps (N, C, H, W) to (N, 4 * `channels`, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = channels * EXPANSION
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module
        if stride == 1 and in_channels == out_channels:
            self.downsample = nn.Identity()
        else:
            self.downsample = convolution(in_channels, out_channels, 1, stride=stride, relu=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features after the block; the input is left as it is."""
        out = self.relu(self.bn1(self.conv1(features)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += self.downsample(features)
        return cast("torch.Tensor", self.relu(out))


def bottlenecks(in_channels: int, channels: int, n_blocks: int, stride: int = 1) -> nn.Sequential:
    """Return a row of bottleneck blocks of which the first has the stride."""
    first = Bottleneck(in_channels, channels, stride)
    rest = (Bottleneck(channels * EXPANSION, channels) for _ in range(n_blocks - 1))
    return nn.Sequential(first, *rest)
