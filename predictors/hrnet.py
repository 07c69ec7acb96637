"""HRNet: a high-resolution network, one person for each box.

Paper: Sun, Xiao, Liu and Wang, Deep High-Resolution Representation Learning for Human Pose
Estimation, CVPR 2019. Official programs and weights:
leoxiaobin/deep-high-resolution-net.pytorch (MIT).

The paper speaks of a quarter pixel towards the second highest response; the official code, and so
this, takes the sign of the difference of the neighbours on each axis.
"""

from __future__ import annotations

from crowdbench.datasets.split import Split
from crowdbench.merging import AS_THEY_ARE, Merging
from predictors.family import Family, make_variant
from predictors.topdown.predictor import Method, TopDown

_FAMILY = Family(
    "HRNet",
    "Sun, Xiao, Liu and Wang: Deep High-Resolution Representation Learning for Human Pose "
    "Estimation. CVPR 2019",
    2019,
    "MIT (official code)",
)


class HRNet(TopDown):
    """HRNet of any width."""

    @classmethod
    def merging(cls, split: Split) -> Merging:
        """Return the usual rule, but none on OCHuman and SynthCrowd.

        The published figures of HRNet on OCHuman come from MIPNet's authors, who ran it there with
        an OKS threshold of 1, which suppresses nothing: of two people in nearly one box, both poses
        stay. SynthCrowd has as many of them, and is treated alike.
        """
        is_dense = split.name.startswith(("ochuman-", "synthcrowd-"))
        return AS_THEY_ARE if is_dense else super().merging(split)


def _variant(channels: int, height: int, width: int) -> type[HRNet]:
    method = Method(f"hrnet-w{channels}-{height}x{width}", (height, width))
    published = (f"hrnet-w{channels}", "hrnet")
    return make_variant(HRNet, _FAMILY, f"HRNet-W{channels}", method, published)


# Trained by `predictors.training`; of no paper, so without published figures. A pixel of its small
# heatmaps is 6 of the image for a person 150 pixels tall: DARK, made for low resolutions, finds
# points between them.
_TINY = Method("hrnet-tiny", (128, 96), decoding="dark", smoothing=7)
Tiny = make_variant(HRNet, _FAMILY, "HRNet-tiny", _TINY, ())
W32_256x192 = _variant(32, 256, 192)
W32_384x288 = _variant(32, 384, 288)
W48_256x192 = _variant(48, 256, 192)
W48_384x288 = _variant(48, 384, 288)
