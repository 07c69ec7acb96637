"""HRNet: a high-resolution network, one person for each box.

Paper: Sun, Xiao, Liu and Wang, Deep High-Resolution Representation Learning for Human Pose
Estimation, CVPR 2019. Official programs and weights:
leoxiaobin/deep-high-resolution-net.pytorch (MIT).

The paper speaks of a quarter pixel towards the second highest response; the official code, and so
this, takes the sign of the difference of the neighbours on each axis.
"""

from __future__ import annotations

from crowdbench.card import Card
from crowdbench.datasets.split import Split
from crowdbench.merging import AS_THEY_ARE, Merging
from crowdbench.weights import official_weights
from predictors.topdown.predictor import Method, TopDown


class HRNet(TopDown):
    """HRNet of any width."""

    @classmethod
    def merging(cls, split: Split) -> Merging:
        """Return the usual rule, but none on OCHuman.

        The published figures of HRNet on OCHuman come from MIPNet's authors, who ran it there with
        an OKS threshold of 1, which suppresses nothing.
        """
        return AS_THEY_ARE if split.name.startswith("ochuman-") else super().merging(split)


def _variant(width: int, input_size: tuple[int, int]) -> type[HRNet]:
    rows, columns = input_size
    name = f"hrnet-w{width}-{rows}x{columns}"
    card = Card(
        name=name,
        description=f"HRNet-W{width}, {rows}x{columns}",
        skeletons=("coco-17", "crowdpose-14"),
        method="HRNet",
        paper=(
            "Sun, Xiao, Liu and Wang: Deep High-Resolution Representation Learning for Human Pose "
            "Estimation. CVPR 2019"
        ),
        year=2019,
        licence="MIT (official code)",
        backbone=f"HRNet-W{width}",
        input_size=f"{rows}x{columns}",
        published=(f"hrnet-w{width}", "hrnet"),
        needs_weights=True,
        weights=official_weights(name),
    )
    method = Method(name, input_size)
    return type(name, (HRNet,), {"card": card, "method": method, "__doc__": card.description})


W32_256x192 = _variant(32, (256, 192))
W32_384x288 = _variant(32, (384, 288))
W48_256x192 = _variant(48, (256, 192))
W48_384x288 = _variant(48, (384, 288))
