"""PINet: poses regressed from the centres of body parts, refined and scored with heatmaps.

SPM is the same with one part, the whole body, and without refinement.

Source: PINet's release, up to the suppression and fusion, which are crowdbench's merging rules
``oks-nms`` and ``oks-fusion``. Its multi-scale test cannot run as released (a factor is missing);
assumed here: DEKR's, which it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from torch import Tensor

from predictors.bottomup.found import Found
from predictors.bottomup.regression import Proposals, found_of, heat_of, pool, propose
from predictors.mirroring import flip_average

# (features (N, C, h, w), poses (N, n, J, 2), centres (N, n, 2) row and column) -> (N, n, 2 J), what
# is to be subtracted from the poses: `PINet.refine_offsets`.
RefineOffsets = Callable[[Tensor, Tensor, Tensor], Tensor]


class PartMaps(NamedTuple):
    """What PINet's network makes of one image at one scale, and of its mirror image.

    Nothing of the mirror image is turned back. J joints, S parts.

    Attributes:
        scale: of the test.
        features: (2, C, h, w).
        heatmaps: (2, J, h, w).
        points: (2, S, h, w), the maps of the parts' centres.
        offsets: (2, S * 2 J, h, w), part by part, joint by joint, x before y; pixels of the maps.
    """

    scale: float
    features: Tensor
    heatmaps: Tensor
    points: Tensor
    offsets: Tensor


def find(
    scales: Iterable[PartMaps],
    mirror: Tensor,
    part_mirror: Tensor,
    refine: RefineOffsets | None = None,
    decrease: float = 1.0,
) -> Found:
    """Return the people that PINet finds in an image.

    Args:
        scales: one for each scale, from the largest to the smallest, 1 among them.
        mirror: (J,) int64, which joint takes each one's place in a mirror image.
        part_mirror: (S,) int64, the same of parts: `Partition.mirror`.
        refine: the network's refinement, if it has one. It is given poses in the features' type,
            which in half precision is too coarse for them: keep both in fp32.
        decrease: of `predictors.bottomup.regression.DECREASE`, if there are several scales.

    Returns:
        Keypoint scores are height of the part's centre times heat, rounded to float32 as in the
        release, scores their means; at most 30 people for each part and scale.
    """
    found, proposals, maps = [], [], []
    for part_maps in scales:
        found.append(part_maps.scale)
        proposals.append(propose_parts(part_maps, mirror, part_mirror, refine))
        maps.append(_joined(part_maps.heatmaps, mirror))
    points, values = pool(found, proposals, decrease)
    scores = (values[:, None] * heat_of(found, maps).bilinear(points)).float().double()
    return found_of(points, scores)


def propose_parts(
    maps: PartMaps, mirror: Tensor, part_mirror: Tensor, refine: RefineOffsets | None = None
) -> Proposals:
    """Return the poses regressed from the parts at one scale, part by part; see `find`."""

    def corrections(poses: Tensor, centres: Tensor) -> Tensor:
        assert refine is not None
        return refine(maps.features, poses.to(maps.features), centres)

    return propose(
        _joined(maps.points, part_mirror),
        maps.offsets,
        mirror,
        part_mirror,
        maps.scale,
        corrections if refine else None,
    )


def _joined(maps: Tensor, mirror: Tensor) -> Tensor:
    """Return (C, h, w), the mean of both views, (2, C, h, w)."""
    return flip_average(maps[0], maps[1], mirror, shift=False)
