"""I2R-Net: the features of all persons of an image attend to each other before heatmaps are made.

Ding et al., I2R-Net: Intra- and Inter-Human Relation Network for Multi-Person Pose Estimation,
IJCAI 2022. Parameter names, shapes and order are those of the official program
(leijue222/Intra-and-Inter-Human-Relation-Network-for-MPEE), so its checkpoints load as they are;
they expect RGB input.

Crops come in groups, one after the other: a group is the persons that are related to each other,
and groups have nothing to do with each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from predictors.networks import create
from predictors.networks.hrnet import HRNet
from predictors.networks.residual import BasicBlock
from predictors.networks.transformer import Encoder, sine_positions
from predictors.networks.transpose import TRUNK, WIDTH

# A map of 12 columns is not pooled, one of 24 once, one of 48 or 72 twice.
_TOKEN_COLUMNS = 12
_MASK_CHANNELS = 64


class Intra(NamedTuple):
    """What the network finds in each crop by itself.

    Attributes:
        features: (N, d, h, w).
        heatmaps: (N, K, H/4, W/4), those of the first stage; None where there is no first stage.
    """

    features: Tensor
    heatmaps: Tensor | None


class Heatmaps(NamedTuple):
    """What the network gives.

    Attributes:
        single: (N, K, H/4, W/4), those of the first stage; None where there is no first stage.
        multi: (N, K, H/4, W/4), which know of the other persons of the group: the result.
    """

    single: Tensor | None
    multi: Tensor


@dataclass(frozen=True)
class RelationConfig:
    """What tells one inter-person relation from another.

    Attributes:
        width: channels d of its tokens, which are those of the features it gets.
        n_layers: number of encoder layers.
        masks: what turns position masks into positions: two convolutions, or the beginning of a
            ResNet-18.
        needs_masks: whether positions are used; the module is there in any case.
        upsampling: whether each doubling of the size has its own block, or all share one.
        feedforward: channels inside an encoder layer.
        doublings: how often the size is doubled after the encoder.
    """

    width: int
    n_layers: int
    masks: Literal["conv", "res"]
    needs_masks: bool
    upsampling: Literal["deconv", "multiplex"]
    feedforward: int = 192
    doublings: int = 2


class MaskConvolutions(nn.Module):
    """The positions that two convolutions see in masks: (N, 1, H, W) to (N, d, H/4, W/4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _MASK_CHANNELS, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_MASK_CHANNELS)
        self.conv2 = nn.Conv2d(_MASK_CHANNELS, width, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, masks: Tensor) -> Tensor:
        """Return (N, d, H/4, W/4)."""
        maps = self.relu(self.bn1(self.conv1(masks)))
        return cast("Tensor", self.relu(self.bn2(self.conv2(maps))))


class MaskResNet(nn.Module):
    """The positions that a ResNet-18 up to its first layer sees: (N, 1, H, W) to (N, d, H/4, W/4).

    Source: the official program. Its results for the one configuration that needs this module are
    not among those that this was compared with; that the 3x3 convolutions are padded is assumed.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_pre = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        self.res = nn.Sequential(
            nn.Conv2d(3, _MASK_CHANNELS, 7, 2, 3, bias=False),
            nn.BatchNorm2d(_MASK_CHANNELS),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
            nn.Sequential(BasicBlock(_MASK_CHANNELS), BasicBlock(_MASK_CHANNELS)),
        )
        self.conv_end = nn.Conv2d(_MASK_CHANNELS, width, 3, padding=1, bias=False)

    def forward(self, masks: Tensor) -> Tensor:
        """Return (N, d, H/4, W/4)."""
        return cast("Tensor", self.conv_end(self.res(self.conv_pre(masks))))


def _doubling(width: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return the layers that double height and width of (N, width, h, w)."""
    deconvolution = nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False)
    return deconvolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)


class SeparateDoublings(nn.Module):
    """Doubles the size of (N, width, h, w) several times, each time with a block of its own."""

    def __init__(self, width: int, doublings: int) -> None:
        super().__init__()
        self.deconv_layers = nn.ModuleList(
            nn.Sequential(*_doubling(width)) for _ in range(doublings)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, width, h * 2^doublings, w * 2^doublings)."""
        for block in self.deconv_layers:
            maps = block(maps)
        return maps


class SharedDoublings(nn.Sequential):
    """Doubles the size of (N, width, h, w) several times, each time with the same block."""

    def __init__(self, width: int, doublings: int) -> None:
        super().__init__(*_doubling(width))
        self.doublings = doublings

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, width, h * 2^doublings, w * 2^doublings)."""
        for _ in range(self.doublings):
            for layer in self:
                maps = layer(maps)
        return maps


class I2RNet(nn.Module):
    """What all I2R-Nets share: crops by themselves, then related to those of their group.

    Source: section 3.3 of the paper and the official program. Deviation, which changes
    rounding alone: groups are not padded to the largest; those of equal length are stacked and run
    together, so that neither padding nor a mask of it can change a result.
    """

    config: RelationConfig
    final_layer: nn.Conv2d

    @property
    def needs_masks(self) -> bool:
        """Whether results depend on position masks."""
        return self.config.needs_masks

    def intra(self, images: Tensor) -> Intra:
        """Return what is found in each of the normalised crops (N, 3, H, W) by itself."""
        raise NotImplementedError

    def _relation(self) -> tuple[Encoder, nn.Module]:
        """Return the encoder, and what turns masks into positions."""
        raise NotImplementedError

    def _upsampled(self, maps: Tensor, features: Tensor) -> Tensor:
        """Return (N, d, H/4, W/4), what heatmaps are made of.

        Args:
            maps: (N, d, h', w'), the tokens after the encoder.
            features: those of `intra`.
        """
        raise NotImplementedError

    def inter(
        self,
        features: Tensor,
        masks: Tensor | None,
        lengths: Sequence[int],
        kept: Tensor | None = None,
    ) -> Tensor:
        """Return heatmaps (N, K, H/4, W/4) that know of the other persons of the group.

        Args:
            features: (N, d, h, w), those of `intra`, group after group.
            masks: (N, 1, H, W) of the features' type, 0 to 1: where the person's box is in the
                whole image, which is squeezed to the size of a crop. Not looked at unless
                `needs_masks`.
            lengths: number of crops of each group, 1 or more; they sum to N.
            kept: (M,) int64 crops whose heatmaps alone are returned, (M, K, H/4, W/4).

        Raises:
            ValueError: if they don't.
        """
        if sum(lengths) != len(features):
            raise ValueError(f"groups of {sum(lengths)} crops in all, but {len(features)} crops")
        maps, positions = self._tokens(features, masks)
        encoder, _ = self._relation()
        found, order = [], []
        for length, crops in _by_length(lengths).items():
            rows = torch.tensor(crops, device=features.device)
            places = None if positions is None else _sequences(positions[rows], length)
            tokens = encoder(_sequences(maps[rows], length), places)
            found.append(tokens.reshape(len(crops), -1, maps.shape[1]))
            order.append(rows)
        tokens = torch.cat(found)[torch.cat(order).argsort()]
        if kept is not None:
            tokens, features = tokens[kept], features[kept]
        related = tokens.transpose(1, 2).reshape(-1, *maps.shape[1:])
        return cast("Tensor", self.final_layer(self._upsampled(related, features)))

    def forward(self, images: Tensor, masks: Tensor | None, lengths: Sequence[int]) -> Heatmaps:
        """Return the heatmaps of normalised crops (N, 3, H, W); see `intra` and `inter`."""
        features, single = self.intra(images)
        return Heatmaps(single, self.inter(features, masks, lengths))

    def attention(self, features: Tensor, masks: Tensor | None, queries: Tensor) -> Tensor:
        """Return how much some tokens of one group attend to all of its tokens.

        Args:
            features: (n, d, h, w), those of `intra`, of one group.
            masks: (n, 1, H, W), as in `inter`.
            queries: (Q,) int64 numbers of tokens: person * h' * w' + row * w' + column.

        Returns:
            (L, Q, n, h', w'): the softmax weights of the L layers; each query's sum to 1.
        """
        maps, positions = self._tokens(features, masks)
        encoder, _ = self._relation()
        n_crops = len(features)
        places = None if positions is None else _sequences(positions, n_crops)
        weights = encoder.weights(_sequences(maps, n_crops), places, queries)
        return weights.reshape(len(weights), len(queries), n_crops, *maps.shape[2:])

    def token_size(self, features: Tensor) -> tuple[int, int]:
        """Return h' and w', the rows and columns of tokens that features (N, d, h, w) become."""
        height, width = features.shape[-2:]
        for _ in range(_n_poolings(width)):
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width

    def _tokens(self, features: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features and the positions as maps (N, d, h', w')."""
        if not self.needs_masks:
            return _pooled(features), None
        _, positions = self._relation()
        return _pooled(features), _pooled(positions(masks))


def _n_poolings(width: int) -> int:
    """Return floor(log2(width / 12)).

    >>> [_n_poolings(width) for width in (12, 24, 47, 48, 72)]
    [0, 1, 1, 2, 2]
    """
    return (width // _TOKEN_COLUMNS).bit_length() - 1


def _pooled(maps: Tensor) -> Tensor:
    """Return maps (N, d, h, w) in the size of tokens."""
    for _ in range(_n_poolings(maps.shape[-1])):
        maps = functional.max_pool2d(maps, 3, 2, 1)
    return maps


def _sequences(maps: Tensor, length: int) -> Tensor:
    """Return (G, length * h * w, d): maps (G * length, d, h, w) as a sequence for each group."""
    tokens = maps.flatten(2).transpose(1, 2)
    return tokens.reshape(len(maps) // length, -1, maps.shape[1])


def _by_length(lengths: Sequence[int]) -> dict[int, list[int]]:
    """Return the crops of all groups of a length, by length.

    >>> _by_length([2, 1, 2])
    {2: [0, 1, 3, 4], 1: [2]}
    """
    crops: dict[int, list[int]] = {}
    for end, length in zip(itertools.accumulate(lengths), lengths, strict=True):
        crops.setdefault(length, []).extend(range(end - length, end))
    return crops


class TwoStageI2RNet(I2RNet):
    """A network for single persons, whose features are related, then summed with that.

    Source: the official program, in which a block shared by all doublings has another name, as it
    belongs to an older class. How that called the module for positions is not known; here it is
    called as in the newer one.
    """

    def __init__(self, first_stage: nn.Module, config: RelationConfig, num_joints: int) -> None:
        super().__init__()
        self.config = config
        self.singleformer = first_stage
        self.multi_position_embedding = _POSITIONS[config.masks](config.width)
        self.multi_global_encoder = Encoder(config.width, config.n_layers, config.feedforward)
        self._doublings = "upsample_layer" if config.upsampling == "deconv" else "deconv_layers"
        self.add_module(self._doublings, _upsampling(config))
        self.final_layer = nn.Conv2d(config.width, num_joints, 1)

    def intra(self, images: Tensor) -> Intra:
        """Return features (N, d, H/4, W/4) and heatmaps (N, K, H/4, W/4) of the first stage."""
        return Intra(*cast("Any", self.singleformer).features_and_heatmaps(images))

    def _relation(self) -> tuple[Encoder, nn.Module]:
        return self.multi_global_encoder, self.multi_position_embedding

    def _upsampled(self, maps: Tensor, features: Tensor) -> Tensor:
        return cast("Tensor", self.get_submodule(self._doublings)(maps) + features)


class VanillaI2RNet(I2RNet, HRNet):
    """HRNet-W48 cut after stage 3, whose lowest resolution is related between persons.

    Source: the official program, whose checkpoints have a sine embedding that is not used.
    """

    def __init__(self, config: RelationConfig, num_joints: int) -> None:
        HRNet.__init__(self, TRUNK)
        self.config = config
        self.pos_embedding = nn.Parameter(sine_positions(64, 48, WIDTH), requires_grad=False)
        self.position_embedding = _POSITIONS[config.masks](config.width)
        self.reduce = nn.Conv2d(TRUNK.channels(3)[-1], config.width, 1, bias=False)
        self.global_encoder = Encoder(config.width, config.n_layers, config.feedforward)
        self.deconv_layers = _upsampling(config)
        self.final_layer = nn.Conv2d(config.width, num_joints, 1)

    def intra(self, images: Tensor) -> Intra:
        """Return features (N, 96, H/16, W/16), and no heatmaps."""
        return Intra(self.reduce(self.features(images)[-1]), None)

    def _relation(self) -> tuple[Encoder, nn.Module]:
        return self.global_encoder, self.position_embedding

    def _upsampled(self, maps: Tensor, features: Tensor) -> Tensor:
        return cast("Tensor", self.deconv_layers(maps))


_POSITIONS = {"conv": MaskConvolutions, "res": MaskResNet}


def _upsampling(config: RelationConfig) -> nn.Module:
    blocks = {"deconv": SeparateDoublings, "multiplex": SharedDoublings}[config.upsampling]
    return blocks(config.width, config.doublings)


def build(num_joints: int, first_stage: str, **config: Any) -> TwoStageI2RNet:
    """Return I2R-Net on a first stage, which is a network's variant.

    The rest of `config` are the values of the `RelationConfig`.
    """
    return TwoStageI2RNet(
        create(first_stage, num_joints=num_joints), RelationConfig(**config), num_joints
    )


def build_vanilla(num_joints: int, **config: Any) -> VanillaI2RNet:
    """Return I2R-Net without a first stage, of the `RelationConfig` with these values."""
    return VanillaI2RNet(RelationConfig(**config), num_joints)
