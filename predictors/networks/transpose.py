"""TransPose-H: HRNet cut after stage 3, then a transformer encoder over all pixels of its features.

Yang et al., TransPose: Keypoint Localization via Transformer, ICCV 2021. Parameter names, shapes
and order are those of the official program (yangsenius/TransPose, MIT license) and of the first
stage of I2R-Net, so their checkpoints load as they are; they expect RGB input.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from predictors.networks.hrnet import HRNet, HRNetConfig
from predictors.networks.transformer import Encoder, sine_positions

# HRNet-W48 up to stage 3, all of whose branches are computed though TransPose needs but one.
TRUNK = HRNetConfig(48, (1, 4), all_outputs=True)
WIDTH = 96
FEEDFORWARD = 192
# Height and width of the feature maps, for which the positions were made: a crop of 256x192.
_GRID = (64, 48)


class TransPoseH(HRNet):
    """Maps images (N, 3, 256, 192) to heatmaps (N, num_joints, 64, 48).

    Source: the official program, to which it is equal to 1e-9. The positions are parameters that
    are not trained, and part of its checkpoints.
    """

    def __init__(self, num_joints: int, n_layers: int) -> None:
        super().__init__(TRUNK)
        self.pos_embedding = nn.Parameter(sine_positions(*_GRID, WIDTH), requires_grad=False)
        self.reduce = nn.Conv2d(TRUNK.width, WIDTH, 1, bias=False)
        self.global_encoder = Encoder(WIDTH, n_layers, FEEDFORWARD)
        self.final_layer = nn.Conv2d(WIDTH, num_joints, 1)

    def features_and_heatmaps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (N, 96, 64, 48) after the encoder and the heatmaps made of them."""
        maps = self.reduce(self.features(images)[0])
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = self.global_encoder(tokens, self.pos_embedding.transpose(0, 1))
        features = tokens.transpose(1, 2).reshape(maps.shape)
        return features, cast("Tensor", self.final_layer(features))

    def forward(self, images: Tensor) -> Tensor:
        """Return heatmaps (N, num_joints, 64, 48) of normalised crops (N, 3, 256, 192)."""
        return self.features_and_heatmaps(images)[1]


def build(num_joints: int, n_layers: int) -> TransPoseH:
    """Return TransPose-H with this many encoder layers: 4 are TransPose-H-A4, 6 are A6."""
    return TransPoseH(num_joints, n_layers)
