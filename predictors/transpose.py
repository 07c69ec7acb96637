"""TransPose-H: HRNet's early stages and a transformer over the crop, one person for each box.

Paper: Yang, Quan, Nie and Yang, TransPose: Keypoint Localization via Transformer, ICCV 2021.
Official programs and weights: yangsenius/TransPose (MIT).

Crops, flip test and decoding are those of I2R-Net, whose program grew out of TransPose's.
"""

from __future__ import annotations

from crowdbench.datasets.split import Split
from crowdbench.merging import Merging
from predictors.family import Family, make_variant
from predictors.topdown.merging import merging_of_i2r
from predictors.topdown.predictor import Method, TopDown

_FAMILY = Family(
    "TransPose",
    "Yang, Quan, Nie and Yang: TransPose: Keypoint Localization via Transformer. ICCV 2021",
    2021,
    "MIT (official code)",
)


class TransPoseH(TopDown):
    """TransPose-H of any depth."""

    @classmethod
    def merging(cls, split: Split) -> Merging:
        """Return I2R-Net's rule, whose first stage it is."""
        return merging_of_i2r(split)


def _variant(n_layers: int, backbone: str, *skeletons: str) -> type[TransPoseH]:
    method = Method(
        f"transpose-h-a{n_layers}-256x192",
        (256, 192),
        convention="size-minus-one",
        shift=False,
        decoding="dark",
    )
    remark = f"{n_layers} layers"
    return make_variant(TransPoseH, _FAMILY, backbone, method, ("transpose-h",), remark, skeletons)


# The published rows of COCO are of six layers. Those of CrowdPose and OCHuman are of four, but do
# not say so: with a backbone of another name, no row of COCO is taken for its own.
A4_256x192 = _variant(4, "TransPose-H-A4", "coco-17", "crowdpose-14")
A6_256x192 = _variant(6, "TransPose-H", "coco-17")
