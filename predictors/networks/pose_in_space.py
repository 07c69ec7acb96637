"""PoseNet and RootNet of 3DMPPE: the joints of the person in a crop, and how far away it is.

Moon, Chang and Lee, Camera Distance-aware Top-down Approach for 3D Multi-person Pose Estimation
from a Single RGB Image, ICCV 2019. Parameter names, shapes and order are those of the official
programs (mks0601/3DMPPE_POSENET_RELEASE and 3DMPPE_ROOTNET_RELEASE), so their checkpoints load as
they are; they expect RGB input.

The tiny networks are of no paper: the same answers from HRNet's trunk, which keeps its own names
under ``backbone.``.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from predictors.networks.hrnet import HRNet, HRNetConfig, joined
from predictors.networks.pose_resnet import CONFIGS, ResNet, deconv_layers
from predictors.networks.residual import convolution

# What `deconv_layers` gives.
_DECONV_CHANNELS = 256


class RootOutput(NamedTuple):
    """What RootNet gives.

    Attributes:
        maps: (N, 1, h, w) logits of where the root is; `soft_argmax_2d` makes a place of them.
        gammas: (N,), float32 at least: the root's depth is gamma * k, where k is the depth at which
            the box would be two metres wide and high.
    """

    maps: Tensor
    gammas: Tensor


class DeconvolutionHead(nn.Module):
    """PoseNet's official head: maps (N, 2048, h, w) to (N, `n_channels`, 8 h, 8 w)."""

    def __init__(self, in_channels: int, n_channels: int) -> None:
        super().__init__()
        self.deconv_layers = deconv_layers(in_channels)
        self.final_layer = nn.Conv2d(_DECONV_CHANNELS, n_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the maps of the output of layer 4."""
        return cast("Tensor", self.final_layer(self.deconv_layers(features)))


class DeconvolutionRoot(nn.Module):
    """RootNet's official head: a map as PoseNet's, and gamma of the mean over the crop."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.deconv_layers = deconv_layers(in_channels)
        self.xy_layer = nn.Conv2d(_DECONV_CHANNELS, 1, 1)
        self.depth_layer = nn.Conv2d(in_channels, 1, 1)

    def gammas(self, features: Tensor) -> Tensor:
        """Return gammas (N,) of the output of layer 4, (N, C, h, w)."""
        return _gammas(features, self.depth_layer)

    def forward(self, features: Tensor) -> RootOutput:
        """Return maps and gammas of the output of layer 4, (N, C, h, w)."""
        return RootOutput(self.xy_layer(self.deconv_layers(features)), self.gammas(features))


class JoinedHead(nn.Module):
    """The head of the tiny PoseNet: all branches of HRNet's trunk, in two 1x1 convolutions."""

    def __init__(self, in_channels: int, width: int, n_channels: int) -> None:
        super().__init__()
        self.joint_layer = convolution(in_channels, width, 1)
        self.final_layer = nn.Conv2d(width, n_channels, 1)

    def forward(self, branches: list[Tensor]) -> Tensor:
        """Return the maps of the trunk's branches, in the size of the first."""
        return cast("Tensor", self.final_layer(self.joint_layer(joined(branches))))


class JoinedRoot(nn.Module):
    """The head of the tiny RootNet: all branches of HRNet's trunk, a map, and gamma of the mean."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.joint_layer = convolution(in_channels, width, 1)
        self.xy_layer = nn.Conv2d(width, 1, 1)
        self.depth_layer = nn.Conv2d(width, 1, 1)

    def gammas(self, branches: list[Tensor]) -> Tensor:
        """Return gammas (N,) of the trunk's branches."""
        return _gammas(self.joint_layer(joined(branches)), self.depth_layer)

    def forward(self, branches: list[Tensor]) -> RootOutput:
        """Return maps and gammas of the trunk's branches."""
        features = self.joint_layer(joined(branches))
        return RootOutput(self.xy_layer(features), _gammas(features, self.depth_layer))


def _gammas(features: Tensor, layer: nn.Conv2d) -> Tensor:
    """Return (N,) what a 1x1 convolution makes of the mean of features (N, C, h, w).

    In float32 at least, whatever the types of features and weights: rounded to bfloat16, gammas
    would put a root that is 4 m away 16 mm off. No convolution, which autocast would round.
    """
    kind = torch.promote_types(features.dtype, torch.float32)
    assert layer.bias is not None
    means = features.mean((2, 3), dtype=kind)
    return (means * layer.weight.flatten().to(kind)).sum(1) + layer.bias.to(kind)


class PoseNet(nn.Module):
    """Maps crops (N, 3, H, W) to volumes (N, J, D, H/4, W/4), one for each joint.

    Args:
        backbone: a trunk, whose `features` go into the head.
        head: maps these to (N, J * D, H/4, W/4), where all bins of one joint come before those of
            the next.
        n_bins: D.

    Source: section 6 of the paper; equal to the official program to 1e-9.
    """

    def __init__(
        self, backbone: ResNet | HRNet, head: DeconvolutionHead | JoinedHead, n_bins: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.n_bins = n_bins

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, J, D, H/4, W/4), of which `soft_argmax` makes joints."""
        maps: Tensor = self.head(self.backbone.features(images))
        n, _, height, width = maps.shape
        return maps.view(n, -1, self.n_bins, height, width)


class RootNet(nn.Module):
    """Maps crops (N, 3, H, W) to the place and the distance of the person's root.

    Args:
        backbone: a trunk, whose `features` go into the head.
        root: maps these to a `RootOutput`.

    Source: section 5 of the paper; equal to the official program to 1e-9. Deviation: there the
    network is given k and multiplies gamma with it.
    """

    def __init__(self, backbone: ResNet | HRNet, root: DeconvolutionRoot | JoinedRoot) -> None:
        super().__init__()
        self.backbone = backbone
        self.root = root

    def gammas(self, images: Tensor) -> Tensor:
        """Return the gammas (N,) alone, for which no map is made."""
        features: Any = self.backbone.features(images)
        return self.root.gammas(features)

    def forward(self, images: Tensor) -> RootOutput:
        """Return maps (N, 1, H/4, W/4) and gammas (N,)."""
        return cast("RootOutput", self.root(self.backbone.features(images)))


def soft_argmax(volumes: Tensor) -> Tensor:
    """Return (N, J, 3): where the softmax over each joint's whole volume has its mean.

    Args:
        volumes: (N, J, D, h, w) logits.

    Returns:
        x and y in pixels of the maps and the bin of depth, counted from 0; in the type of the
        volumes, but float32 at least.

    Source: the official ``soft_argmax``.

    >>> volumes = torch.zeros(1, 1, 2, 3, 4)
    >>> soft_argmax(volumes).round(decimals=3).tolist()
    [[[1.5, 1.0, 0.5]]]
    """
    kind = torch.float64 if volumes.dtype == torch.float64 else torch.float32
    shares = volumes.flatten(2).softmax(2, dtype=kind).view(volumes.shape)
    planes = shares.sum(2)
    margins = (planes.sum(2), planes.sum(3), shares.sum((3, 4)))
    # No matrix product, whose last bits depend on the size of the batch.
    means = ((margin * torch.arange(margin.shape[2]).to(margin)).sum(2) for margin in margins)
    return torch.stack(tuple(means), dim=2)


def soft_argmax_2d(maps: Tensor) -> Tensor:
    """Return (N, J, 2): x and y of maps (N, J, h, w), as `soft_argmax`."""
    return soft_argmax(maps[:, :, None])[..., :2]


def build_posenet(depth: int, n_bins: int, num_joints: int) -> PoseNet:
    """Return PoseNet with a ResNet of 50, 101 or 152 layers."""
    config = CONFIGS[depth]
    head = DeconvolutionHead(config.channels[-1], num_joints * n_bins)
    return PoseNet(ResNet(config), head, n_bins)


def build_rootnet(depth: int) -> RootNet:
    """Return RootNet with a ResNet of 50, 101 or 152 layers."""
    config = CONFIGS[depth]
    return RootNet(ResNet(config), DeconvolutionRoot(config.channels[-1]))


def build_tiny_posenet(n_bins: int, head_width: int, num_joints: int, **trunk: Any) -> PoseNet:
    """Return PoseNet on the HRNet of the `HRNetConfig` with these values."""
    config = HRNetConfig(**trunk, all_outputs=True)
    head = JoinedHead(_joined_channels(config), head_width, num_joints * n_bins)
    return PoseNet(HRNet(config), head, n_bins)


def build_tiny_rootnet(head_width: int, **trunk: Any) -> RootNet:
    """Return RootNet on the HRNet of the `HRNetConfig` with these values."""
    config = HRNetConfig(**trunk, all_outputs=True)
    return RootNet(HRNet(config), JoinedRoot(_joined_channels(config), head_width))


def _joined_channels(config: HRNetConfig) -> int:
    return sum(config.channels(1 + len(config.modules)))
