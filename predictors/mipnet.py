"""MIPNet: up to two persons for each box, chosen by a selector; ResNet and HRNet backbones.

Paper: Khirodkar, Chari, Agrawal and Tyagi, Multi-Instance Pose Networks: Rethinking Top-Down Pose
Estimation, ICCV 2021. Official programs and weights: rawalkhirodkar/MIPNet.

Where the released code is not as the paper says, this is as the code, which gave the published
figures: the scores of second persons are halved before the poses of all boxes are merged in one
OKS-NMS, second persons first; on CrowdPose nothing is merged; and the box's own person is the
selector [1, 0] (the paper counts from 0). `crowdbench.structures.Poses.instance` counts as the
paper does: 0 is the person that the box belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from predictors.family import Family, make_variant
from predictors.topdown.predictor import Method, TopDown

if TYPE_CHECKING:
    from torch import Tensor, nn

_FAMILY = Family(
    "MIPNet",
    "Khirodkar, Chari, Agrawal and Tyagi: Multi-Instance Pose Networks: Rethinking Top-Down Pose "
    "Estimation. ICCV 2021",
    2021,
)
# Of the box score, for the person that the box belongs to and for the other one (DECAY_THRE).
_FACTORS = (1.0, 0.5)
_REMARK = "two persons for each box"
_BACKBONES: dict[str, tuple[str, Literal["RGB", "BGR"]]] = {
    "r50": ("ResNet-50", "BGR"),
    "r101": ("ResNet-101", "BGR"),
    "r152": ("ResNet-152", "BGR"),
    "hrnet-w32": ("HRNet-W32", "RGB"),
    "hrnet-w48": ("HRNet-W48", "RGB"),
}


class MIPNet(TopDown):
    """MIPNet with any backbone."""

    def heatmaps(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return the heatmaps of both persons; what they share is computed once."""
        from predictors.networks.mipnet import MultiInstance, selectors

        assert isinstance(network, MultiInstance)
        return network.forward_instances(images, selectors(len(self.method.factors)))


def _variant(key: str, height: int, width: int) -> type[MIPNet]:
    backbone, channels = _BACKBONES[key]
    name = f"mipnet-{key}-{height}x{width}"
    method = Method(name, (height, width), channels, factors=_FACTORS)
    return make_variant(MIPNet, _FAMILY, backbone, method, ("mipnet",), _REMARK)


# Trained by `predictors.training`; of no paper, so without published figures. Decoded as its twin
# `hrnet-tiny` is.
_TINY = Method("mipnet-tiny", (128, 96), decoding="dark", smoothing=7, factors=_FACTORS)
Tiny = make_variant(MIPNet, _FAMILY, "HRNet-tiny", _TINY, (), _REMARK)
R50_256x192 = _variant("r50", 256, 192)
R50_384x288 = _variant("r50", 384, 288)
R101_256x192 = _variant("r101", 256, 192)
R101_384x288 = _variant("r101", 384, 288)
R152_256x192 = _variant("r152", 256, 192)
R152_384x288 = _variant("r152", 384, 288)
HRNetW32_256x192 = _variant("hrnet-w32", 256, 192)
HRNetW32_384x288 = _variant("hrnet-w32", 384, 288)
HRNetW48_256x192 = _variant("hrnet-w48", 256, 192)
HRNetW48_384x288 = _variant("hrnet-w48", 384, 288)
