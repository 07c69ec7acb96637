"""Global Relation Modeling and Refinement: a lighter HRNet with two modules, and DEKR's heads.

Paper: Yin and Yin, Global Relation Modeling and Refinement for Bottom-Up Human Pose Estimation. No
code of the authors is known: the network is built from the paper's text, and
`predictors.networks.global_relation` says what was chosen where that is silent. It speaks both of
tags and of regressed poses; as its loss and its test are those of DEKR, so is this, without a
rescoring network, which it does not mention.
"""

from __future__ import annotations

from predictors.bottomup.predictor import Method
from predictors.dekr import OWN_OPTIONS, CentreBased
from predictors.family import Family, make_variant

_FAMILY = Family(
    "Global Relation",
    "Yin and Yin: Global Relation Modeling and Refinement for Bottom-Up Human Pose Estimation",
    2023,
    options=OWN_OPTIONS,
)


class GlobalRelation(CentreBased):
    """The Global Relation network of any width."""


def _variant(channels: int, short_side: int) -> type[GlobalRelation]:
    method = Method(f"global-relation-w{channels}-{short_side}", short_side, "shifted-kept")
    published = (f"global-relation-modeling-w{channels}",)
    backbone = f"HRNet-W{channels}"
    return make_variant(GlobalRelation, _FAMILY, backbone, method, published)


def _tiny(name: str, remark: str = "") -> type[GlobalRelation]:
    """Return a network that `predictors.training` trains; of no paper."""
    return make_variant(
        GlobalRelation,
        _FAMILY,
        "HRNet-tiny",
        Method(name, 256, "shifted-kept"),
        (),
        remark,
        ("coco-17",),
    )


W32_512 = _variant(32, 512)
W48_640 = _variant(48, 640)
Tiny = _tiny("grm-tiny")
# The rows of the paper's Table I.
TinyGRM = _tiny("grm-tiny-grm", "without MFA")
TinyMFA = _tiny("grm-tiny-mfa", "without GRM")
TinyPlain = _tiny("grm-tiny-plain", "without GRM and MFA")
