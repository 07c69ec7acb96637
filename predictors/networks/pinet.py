"""PINet: poses regressed from the centre of each part of a body, then refined on a graph of joints.

Wang et al., Robust Pose Estimation in Crowded Scenes with Direct Pose-Level Inference, NeurIPS
2021. Parameter names, shapes and order are those of the official program (kennethwdk/PINet), so its
checkpoints load as they are; they expect RGB input.

With one part and no refinement this is the regression from a person's centre that the paper
compares with as SPM (Nie et al., Single-Stage Multi-Person Pose Machines, ICCV 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from crowdbench.errors import UsageError
from predictors.networks.hrnet import HRNet, HRNetConfig, joined

Graph = Literal["dynamic", "static", "none"]
# What the graph connects at first, by number of joints. For 17, face and shoulders are apart.
_EDGES: Mapping[int, tuple[tuple[int, int], ...]] = MappingProxyType(
    {
        17: (
            *((0, 1), (1, 2), (2, 0), (1, 3), (2, 4)),
            *((5, 6), (5, 11), (6, 12), (11, 12)),
            *((5, 7), (7, 9), (6, 8), (8, 10)),
            *((11, 13), (13, 15), (12, 14), (14, 16)),
        ),
        14: (
            *((12, 13), (13, 0), (13, 1)),
            *((0, 1), (0, 6), (1, 7), (6, 7)),
            *((0, 2), (2, 4), (1, 3), (3, 5)),
            *((6, 8), (8, 10), (7, 9), (9, 11)),
        ),
    }
)


class Maps(NamedTuple):
    """What is found in the features of images, before refinement.

    Attributes:
        heatmaps: (N, K, h, w), one for each keypoint.
        points: (N, S, h, w), where the centres of the S parts are.
        offsets: (N, S * 2K, h, w): for each part x and y of keypoint 0, of keypoint 1, ...; where
            the centre of a part is, the keypoint is at the pixel's position minus its offset, in
            pixels of the map.
    """

    heatmaps: Tensor
    points: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class PINetConfig:
    """What tells one PINet from another on the same trunk.

    Attributes:
        n_parts: number S of parts of a body.
        refinement: whether poses can be refined.
        graph: what relates the joints in the refinement: a matrix that is learned (the method),
            the skeleton's, which stays as it is, or nothing: joints are pooled as they are read.
            The last two are the rows of Table 1c of the paper, which describes them by their
            names alone.
        graph_layers: number of residual blocks of the graph, after its first layer.
    """

    n_parts: int
    refinement: bool
    graph: Graph = "dynamic"
    graph_layers: int = 3


def skeleton_graph(num_joints: int) -> Tensor:
    """Return (K, K) float32: the skeleton with self-loops, normalised as D^-1/2 (A + I) D^-1/2.

    Raises:
        UsageError: if the official program has no skeleton of that many joints.
    """
    if num_joints not in _EDGES:
        known = " and ".join(map(str, _EDGES))
        raise UsageError(f"PINet has a graph for {known} joints, not for {num_joints}")
    # In numpy: on torch's meta device the first such operation takes a second.
    graph = np.eye(num_joints, dtype=np.float32)
    first, second = np.array(_EDGES[num_joints]).T
    graph[first, second] = graph[second, first] = 1
    scale = 1 / np.sqrt(graph.sum(1))
    return torch.tensor(graph * scale[:, None] * scale)


class PartHeads(nn.Module):
    """Part-based pose generation: heatmaps, centres of parts and offsets, of the features alone."""

    def __init__(self, in_channels: int, num_joints: int, n_parts: int) -> None:
        super().__init__()
        self.heatmap_head = nn.Conv2d(in_channels, num_joints, 1)
        self.detkptmap_head = nn.Conv2d(in_channels, n_parts, 1)
        self.offset_head = nn.Conv2d(in_channels, n_parts * 2 * num_joints, 1)

    def forward(self, features: Tensor) -> Maps:
        """Return the maps of features (N, C, h, w)."""
        return Maps(
            self.heatmap_head(features), self.detkptmap_head(features), self.offset_head(features)
        )


class GraphProduct(nn.Module):
    """The weights of a graph convolution: `weight` is (C, C), in by out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, joints: Tensor, graph: Tensor) -> Tensor:
        """Return (P, K, C): the joints times the weights, mixed by the graph (K, K)."""
        return graph @ (joints @ self.weight) + self.bias


class GraphLayer(nn.Module):
    """A graph convolution, batch-norm over all joints of all poses, and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = GraphProduct(channels)
        self.bn = nn.BatchNorm1d(channels)

    def forward(self, joints: Tensor, graph: Tensor) -> Tensor:
        """Return (P, K, C) of joints (P, K, C)."""
        mixed = self.conv(joints, graph)
        normalised = self.bn(mixed.flatten(0, 1)).reshape(mixed.shape)
        return functional.relu(normalised)


class GraphBlock(nn.Module):
    """Two graph layers and a shortcut, which is added after the last ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gconv1 = GraphLayer(channels)
        self.gconv2 = GraphLayer(channels)

    def forward(self, joints: Tensor, graph: Tensor) -> Tensor:
        """Return (P, K, C) of joints (P, K, C)."""
        return joints + cast("Tensor", self.gconv2(self.gconv1(joints, graph), graph))


class Refinement(nn.Module):
    """Pose refinement: says how far each joint of a pose is off, from the features at all of them.

    Source: the official program. The paper adds to the pose what is subtracted here.
    """

    adj: Tensor

    def __init__(
        self, channels: int, num_joints: int, graph: Graph = "dynamic", graph_layers: int = 3
    ) -> None:
        super().__init__()
        self.graph = graph
        if graph == "dynamic":
            self.adj = nn.Parameter(skeleton_graph(num_joints))
        elif graph == "static":
            self.register_buffer("adj", skeleton_graph(num_joints))
        if graph != "none":
            self.gconv_head = GraphLayer(channels)
            self.gconv_layers = nn.ModuleList(GraphBlock(channels) for _ in range(graph_layers))
        self.gconv_pred = nn.Sequential(
            nn.Conv1d(3 * channels, channels, 1),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
            nn.Conv1d(channels, 2 * num_joints, 1),
        )

    def forward(self, features: Tensor, poses: Tensor, centres: Tensor) -> Tensor:
        """Return what is to be subtracted from poses.

        Args:
            features: (N, C, h, w).
            poses: (N, P, K, 2) x and y in pixels of the map, P of 1 or more; no gradient is wanted
                for them.
            centres: (N, P, 2) int64 row and column of the pixel that each was regressed from.

        Returns:
            (N, P, 2K): x and y of joint 0, of joint 1, ...
        """
        n, n_poses, n_joints, _ = poses.shape
        joints = _read(features, poses).permute(0, 2, 3, 1).reshape(n * n_poses, n_joints, -1)
        images = torch.arange(n, device=features.device)[:, None]
        centre = features[images, :, centres[..., 0], centres[..., 1]].flatten(0, 1)
        if self.graph != "none":
            joints = self.gconv_head(joints, self.adj)
            for block in self.gconv_layers:
                joints = block(joints, self.adj)
        pooled = torch.cat([joints.mean(1), joints.amax(1), centre], dim=1)
        # All poses in a row: batch-norm looks at them together.
        found = self.gconv_pred(pooled.T[None])
        return cast("Tensor", found[0].T.reshape(n, n_poses, -1))


def _read(features: Tensor, places: Tensor) -> Tensor:
    """Return features (N, C, h, w) read bilinearly at x and y (N, P, K, 2) as (N, C, P, K).

    As in the official program positions are normalised for aligned corners, -1 and 1 being the
    centres of the border pixels, and taken for those of the outer edges: what is read lies somewhat
    farther from the middle of the map, which the weights depend on.
    """
    height, width = features.shape[-2:]
    last = places.new_tensor([width - 1, height - 1])
    return functional.grid_sample(features, places / (last / 2) - 1, align_corners=False)


class PINet(nn.Module):
    """Maps images (N, 3, H, W) to maps of a quarter of their size, and refines poses.

    H and W are multiples of 32.

    Attributes:
        backbone: the trunk.
        ppg: the heads.
        pr: the refinement; absent where the configuration has none.

    Source: the official program, to which it is equal to 1e-8.
    """

    def __init__(self, trunk: HRNetConfig, num_joints: int, config: PINetConfig) -> None:
        super().__init__()
        self.backbone = HRNet(trunk)
        channels = sum(trunk.channels(self.backbone.last_stage))
        self.ppg = PartHeads(channels, num_joints, config.n_parts)
        self.refines = config.refinement
        if config.refinement:
            self.pr = Refinement(channels, num_joints, config.graph, config.graph_layers)

    def features(self, images: Tensor) -> Tensor:
        """Return (N, C, H/4, W/4) of normalised images (N, 3, H, W)."""
        return joined(self.backbone.features(images))

    def maps(self, features: Tensor) -> Maps:
        """Return the maps of features (N, C, h, w)."""
        return cast("Maps", self.ppg(features))

    def refine_offsets(self, features: Tensor, poses: Tensor, centres: Tensor) -> Tensor:
        """Return (N, P, 2K), what is to be subtracted from poses; see `Refinement.forward`."""
        return cast("Tensor", self.pr(features, poses, centres))

    def forward(self, images: Tensor) -> Maps:
        """Return the maps of normalised images (N, 3, H, W), without refinement."""
        return self.maps(self.features(images))


def build(
    num_joints: int,
    n_parts: int,
    refinement: bool,
    graph: Graph = "dynamic",
    graph_layers: int = 3,
    **trunk: Any,
) -> PINet:
    """Return PINet on the `HRNetConfig` of these values, of the `PINetConfig` of the others."""
    config = PINetConfig(n_parts, refinement, graph, graph_layers)
    return PINet(HRNetConfig(**trunk, all_outputs=True), num_joints, config)
