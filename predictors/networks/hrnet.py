"""HRNet: branches of several resolutions that exchange features, one heatmap per joint.

Sun et al., Deep High-Resolution Representation Learning for Human Pose Estimation, CVPR 2019.
Parameter names, shapes and order are those of the official program
(leoxiaobin/deep-high-resolution-net.pytorch, MIT license), so its checkpoints load as they are;
they expect RGB input. Other networks build on the trunk: whole, cut after stage 3, or with other
blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional

from predictors.networks.residual import EXPANSION, BasicBlock, bottlenecks, convolution


@dataclass(frozen=True)
class HRNetConfig:
    """What tells one HRNet trunk from another.

    Attributes:
        width: channels C of the highest resolution; branch b has C * 2^b unless `growth` says
            otherwise.
        modules: number of modules of stages 2, 3, ...; stage s has s branches. Two entries are a
            trunk cut after stage 3.
        all_outputs: whether the last module gives all its branches; else the highest resolution
            alone, which is all that the pose network uses.
        growth: channels that each further branch has more than the one before; None: it doubles.
        stem: channels of the two convolutions of the stem; stage 1 gives four times as many.
        bottlenecks: number of blocks of stage 1.
        blocks: number of blocks on each branch of a module.
        shrunk: whether the lowest resolution of a stage alone has them, and the others none.
    """

    width: int
    modules: tuple[int, ...] = (1, 4, 3)
    all_outputs: bool = False
    growth: int | None = None
    stem: int = 64
    bottlenecks: int = 4
    blocks: int = 4
    shrunk: bool = False

    def channels(self, n_branches: int) -> tuple[int, ...]:
        """Return the channels of the first `n_branches` branches."""
        if self.growth is None:
            return tuple(self.width << branch for branch in range(n_branches))
        return tuple(self.width + self.growth * branch for branch in range(n_branches))


class Transition(nn.ModuleList):
    """Turns the outputs of one stage into the inputs of the next, which has one branch more.

    A branch whose width stays passes through; another width takes a 3x3 convolution. The new branch
    comes from the lowest resolution by a 3x3 convolution of stride 2.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int]) -> None:
        super().__init__()
        for given, wanted in zip(in_channels, out_channels, strict=False):
            self.append(nn.Identity() if given == wanted else convolution(given, wanted, 3))
        # In a list of its own, since the official one could hold several convolutions here.
        self.append(nn.Sequential(convolution(in_channels[-1], out_channels[-1], 3, stride=2)))

    def forward(self, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the inputs of the next stage, highest resolution first."""
        sources = (*branches, branches[-1])
        return [layer(source) for layer, source in zip(self, sources, strict=True)]


MakeBlock = Callable[[int], nn.Module]


class Kind(NamedTuple):
    """What the modules of a trunk are made of.

    Attributes:
        block: makes a block that keeps this many channels and the size.
        halve: makes what halves the size: of channels given and wanted, and whether a ReLU follows.
        interpolation: how lower resolutions are brought to the size of higher ones.
    """

    block: MakeBlock
    halve: Callable[[int, int, bool], nn.Module]
    interpolation: str


class HRModule(nn.Module):
    """Blocks on every branch, then the branches are summed across resolutions.

    Maps B tensors (N, C_b, H / 2^b, W / 2^b) to the first `n_outputs` of as many. `blocks` are what
    make the blocks of each branch, of its channels; a branch without any is passed on.
    """

    def __init__(
        self,
        channels: Sequence[int],
        blocks: Sequence[Sequence[MakeBlock]],
        n_outputs: int,
        kind: Kind,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(make(c) for make in makes))
            for c, makes in zip(channels, blocks, strict=True)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(channels, source, target, kind) for source in range(len(channels)))
            for target in range(n_outputs)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the fused branches, highest resolution first."""
        branches = [run(branch) for run, branch in zip(self.branches, branches, strict=True)]
        fused = []
        for paths in self.fuse_layers:
            layers = cast("nn.ModuleList", paths)
            parts = (path(branch) for path, branch in zip(layers, branches, strict=True))
            # Out of place: one of the first two may be the branch itself, which others need too.
            total = next(parts) + next(parts)
            for part in parts:
                total += part
            fused.append(self.relu(total))
        return fused


def _path(channels: Sequence[int], source: int, target: int, kind: Kind) -> nn.Module:
    """Return what brings one branch to the resolution and width of another."""
    given, wanted = channels[source], channels[target]
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=2 ** (source - target), mode=kind.interpolation)
        return nn.Sequential(*convolution(given, wanted, 1, relu=False), up)
    steps = [kind.halve(given, given, True) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, kind.halve(given, wanted, False))


def _halve(in_channels: int, out_channels: int, relu: bool) -> nn.Module:
    return convolution(in_channels, out_channels, 3, stride=2, relu=relu)


CONVOLUTIONS = Kind(BasicBlock, _halve, "nearest")


class HRNet(nn.Module):
    """The trunk: stem, then stages that each add a branch of half the resolution.

    Maps images (N, 3, H, W) to branches (N, C * 2^b, H / 2^(b+2), W / 2^(b+2)); see `features`.

    `last_blocks` are what make the blocks on the lowest resolution of the last stage, where they
    are not those of the kind.

    Source: section 3 of the paper; the stage is a number here, as in the parameter names.
    """

    def __init__(
        self,
        config: HRNetConfig,
        kind: Kind = CONVOLUTIONS,
        last_blocks: Sequence[MakeBlock] | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, config.stem, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(config.stem)
        self.conv2 = nn.Conv2d(config.stem, config.stem, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(config.stem)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = bottlenecks(config.stem, config.stem, config.bottlenecks)
        self.last_stage = 1 + len(config.modules)
        given: tuple[int, ...] = (config.stem * EXPANSION,)
        for number, n_modules in enumerate(config.modules, start=2):
            channels = config.channels(number)
            n_outputs = [number] * n_modules
            if number == self.last_stage and not config.all_outputs:
                n_outputs[-1] = 1
            blocks: list[Sequence[MakeBlock]] = [[kind.block] * config.blocks] * number
            if config.shrunk:
                blocks[:-1] = [()] * (number - 1)
            if number == self.last_stage and last_blocks is not None:
                blocks[-1] = last_blocks
            self.add_module(f"transition{number - 1}", Transition(given, channels))
            self.add_module(
                f"stage{number}",
                nn.Sequential(*(HRModule(channels, blocks, n, kind) for n in n_outputs)),
            )
            given = channels

    def stem(self, image: torch.Tensor) -> torch.Tensor:
        """Return (N, 4 * stem, H/4, W/4), the output of stage 1."""
        out = self.relu(self.bn1(self.conv1(image)))
        out = self.relu(self.bn2(self.conv2(out)))
        return cast("torch.Tensor", self.layer1(out))

    def transition(self, number: int, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the inputs of stage `number` + 1 from the outputs of stage `number`."""
        return cast("list[torch.Tensor]", self.get_submodule(f"transition{number}")(branches))

    def stage(self, number: int, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the outputs of stage `number` from its inputs."""
        return cast("list[torch.Tensor]", self.get_submodule(f"stage{number}")(branches))

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the outputs of the last stage, highest resolution first."""
        branches = [self.stem(image)]
        for number in range(2, self.last_stage + 1):
            branches = self.stage(number, self.transition(number - 1, branches))
        return branches


def joined(branches: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return all branches in the size of the first, one after the other along the channels.

    Args:
        branches: (N, C_b, H / 2^b, W / 2^b), as `HRNet.features` returns them with `all_outputs`.

    Returns:
        (N, sum of C_b, H, W); the lower ones are enlarged bilinearly, corners not aligned.

    Source: the official programs of DEKR and PINet.
    """
    size = branches[0].shape[2:]
    lower = (
        functional.interpolate(branch, size, mode="bilinear", align_corners=False)
        for branch in branches[1:]
    )
    return torch.cat([branches[0], *lower], dim=1)


class PoseHRNet(HRNet):
    """HRNet for poses: maps images (N, 3, H, W) to heatmaps (N, num_joints, H/4, W/4).

    H and W are multiples of 32.

    Source: section 3 of the paper; equal to the official program to 1e-9.
    """

    def __init__(self, config: HRNetConfig, num_joints: int) -> None:
        super().__init__(config)
        self.final_layer = nn.Conv2d(config.width, num_joints, 1)

    def head(self, branches: list[torch.Tensor]) -> torch.Tensor:
        """Return the heatmaps (N, num_joints, H/4, W/4) of the last stage's outputs."""
        return cast("torch.Tensor", self.final_layer(branches[0]))

    def features_and_heatmaps(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the highest resolution (N, C, H/4, W/4) and the heatmaps that are made of it."""
        branches = self.features(image)
        return branches[0], self.head(branches)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return heatmaps (N, num_joints, H/4, W/4) of normalised crops (N, 3, H, W)."""
        return self.features_and_heatmaps(image)[1]


def build(num_joints: int, **config: Any) -> PoseHRNet:
    """Return HRNet for poses of this many joints, of the `HRNetConfig` with these values."""
    return PoseHRNet(HRNetConfig(**config), num_joints)
