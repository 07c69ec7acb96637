"""SimpleBaseline: a ResNet with three deconvolutions, one person for each box.

Paper: Xiao, Wu and Wei, Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018.
Official programs and weights: microsoft/human-pose-estimation.pytorch (MIT).

The published networks take BGR, normalised with the statistics of RGB in unchanged order, which the
paper does not say; and the flip test moves the mirrored heatmaps by one pixel.
"""

from __future__ import annotations

from crowdbench.card import Card
from crowdbench.weights import official_weights
from predictors.topdown.predictor import Method, TopDown


def _variant(depth: int, input_size: tuple[int, int]) -> type[TopDown]:
    height, width = input_size
    name = f"simplebaseline-r{depth}-{height}x{width}"
    card = Card(
        name=name,
        description=f"SimpleBaseline, ResNet-{depth}, {height}x{width}",
        skeletons=("coco-17", "crowdpose-14"),
        method="SimpleBaseline",
        paper=(
            "Xiao, Wu and Wei: Simple Baselines for Human Pose Estimation and Tracking. ECCV 2018"
        ),
        year=2018,
        licence="MIT (official code)",
        backbone=f"ResNet-{depth}",
        input_size=f"{height}x{width}",
        published=(f"simplebaseline-r{depth}", "simplebaseline"),
        needs_weights=True,
        weights=official_weights(name),
    )
    method = Method(name, input_size, channels="BGR")
    return type(name, (TopDown,), {"card": card, "method": method, "__doc__": card.description})


R50_256x192 = _variant(50, (256, 192))
R50_384x288 = _variant(50, (384, 288))
R101_256x192 = _variant(101, (256, 192))
R101_384x288 = _variant(101, (384, 288))
R152_256x192 = _variant(152, (256, 192))
R152_384x288 = _variant(152, (384, 288))
