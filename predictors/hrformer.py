"""HRFormer-B: HRNet's branches with attention in windows, one person for each box.

Paper: Yuan, Fu, Huang, Lin, Zhang, Chen and Wang, HRFormer: High-Resolution Transformer for Dense
Prediction, NeurIPS 2021. Official programs and weights: HRNet/HRFormer (MIT).

Its published figures come from a pipeline of its own, an early MMPose, that tests as HRNet's does:
mirrored heatmaps are moved by one pixel, and keypoints by a quarter of one. As the first stage of
I2R-Net the same network is cropped and decoded in another way. The relative position bias of its
paper is left out by the official pose code, and here; MMPose's later version adds it.
"""

from __future__ import annotations

from crowdbench.datasets.split import Split
from crowdbench.merging import Merging
from predictors.family import Family, make_variant
from predictors.topdown.merging import OKS
from predictors.topdown.predictor import Method, TopDown

_FAMILY = Family(
    "HRFormer",
    "Yuan, Fu, Huang, Lin, Zhang, Chen and Wang: HRFormer: High-Resolution Transformer for Dense "
    "Prediction. NeurIPS 2021",
    2021,
    "MIT (official code)",
)


class HRFormer(TopDown):
    """HRFormer-B of any input size."""

    @classmethod
    def merging(cls, split: Split) -> Merging:
        """Return OKS-NMS at 0.9, which its program has for all data sets."""
        return Merging("oks-nms", OKS)


def _variant(height: int, width: int) -> type[HRFormer]:
    method = Method(f"hrformer-b-{height}x{width}", (height, width))
    return make_variant(HRFormer, _FAMILY, "HRFormer-B", method, ("hrformer-b",))


B_256x192 = _variant(256, 192)
B_384x288 = _variant(384, 288)
