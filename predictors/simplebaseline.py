"""SimpleBaseline: a ResNet with three deconvolutions, one person for each box.

Paper: Xiao, Wu and Wei, Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018.
Official programs and weights: microsoft/human-pose-estimation.pytorch (MIT).

The published networks take BGR, normalised with the statistics of RGB in unchanged order, which the
paper does not say; and the flip test moves the mirrored heatmaps by one pixel.
"""

from __future__ import annotations

from predictors.family import Family, make_variant
from predictors.topdown.predictor import Method, TopDown

_FAMILY = Family(
    "SimpleBaseline",
    "Xiao, Wu and Wei: Simple Baselines for Human Pose Estimation and Tracking. ECCV 2018",
    2018,
    "MIT (official code)",
)


class SimpleBaseline(TopDown):
    """SimpleBaseline of any depth."""


def _variant(depth: int, height: int, width: int) -> type[SimpleBaseline]:
    method = Method(f"simplebaseline-r{depth}-{height}x{width}", (height, width), channels="BGR")
    published = (f"simplebaseline-r{depth}", "simplebaseline")
    return make_variant(SimpleBaseline, _FAMILY, f"ResNet-{depth}", method, published)


R50_256x192 = _variant(50, 256, 192)
R50_384x288 = _variant(50, 384, 288)
R101_256x192 = _variant(101, 256, 192)
R101_384x288 = _variant(101, 384, 288)
R152_256x192 = _variant(152, 256, 192)
R152_384x288 = _variant(152, 384, 288)
