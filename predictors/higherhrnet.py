"""HigherHRNet: heatmaps at two resolutions, and tags that say which joints belong together.

Paper: Cheng, Xiao, Wang, Shi, Huang and Zhang, HigherHRNet: Scale-Aware Representation Learning for
Bottom-Up Human Pose Estimation, CVPR 2020. Official programs and weights:
HRNet/HigherHRNet-Human-Pose-Estimation (MIT).

As in the released configurations: joints above 0.1 (the code's own default is 0.2), and points half
a pixel too far right and down, which the published figures contain. On CrowdPose joints are grouped
in the order that the release takes over from COCO, though it has another meaning there.
"""

from __future__ import annotations

from collections.abc import Iterator

from crowdbench.merging import AS_THEY_ARE
from crowdbench.predictor import Request
from predictors.bottomup.found import Found
from predictors.bottomup.predictor import SCALES, BottomUp, Method, View, in_full
from predictors.family import Family, make_variant

_FAMILY = Family(
    "HigherHRNet",
    "Cheng, Xiao, Wang, Shi, Huang and Zhang: HigherHRNet: Scale-Aware Representation Learning for "
    "Bottom-Up Human Pose Estimation. CVPR 2020",
    2020,
    "MIT (official code)",
    (SCALES,),
)


class HigherHRNet(BottomUp):
    """HigherHRNet of any width."""

    def __init__(self, request: Request) -> None:
        """Resolve the settings; the network is made by `load`."""
        super().__init__(
            request,
            AS_THEY_ARE,
            flip_test="plain",
            decoding="tags(heat>0.1,distance<1)",
            scores="mean(heat)",
        )

    def find(self, views: Iterator[View], size: tuple[int, int]) -> Found:
        """Return the people whose joints' tags are alike."""
        from predictors.bottomup.tag_grouping import JOINT_ORDER, group
        from predictors.bottomup.tags import join_resolutions, join_scales

        of_scales = {}
        for view in views:
            coarse, fine = map(in_full, self.network_there(view.images))
            of_scales[view.scale] = join_resolutions(coarse, fine, self._mirror)
        joined = join_scales(of_scales, size)
        return group(joined.heatmaps, joined.tags, JOINT_ORDER[: len(self.skeleton)])


def _variant(channels: int, short_side: int) -> type[HigherHRNet]:
    name = f"higherhrnet-w{channels}"
    method = Method(f"{name}-{short_side}", short_side, "plain", from_smallest=True)
    published = (name, "higherhrnet")
    return make_variant(HigherHRNet, _FAMILY, f"HRNet-W{channels}", method, published)


W32_512 = _variant(32, 512)
W32_640 = _variant(32, 640)
W48_640 = _variant(48, 640)
