"""Regression of poses: from the peaks of centre maps, each with offsets to all joints of a pose.

What regression methods share, and the way of DEKR, which the Global Relation network takes over.

Source: ``get_multi_stage_outputs``, ``aggregate_results`` and ``pose_nms`` of DEKR, up to the
suppression, which is crowdbench's merging rule ``near-joints``. Its mean of the pose maps of both
views is taken at the peaks only, as no other pixel is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from predictors.bottomup.found import Found
from predictors.bottomup.peaks import find_peaks, window_for
from predictors.bottomup.readings import Heat
from predictors.mirroring import flip_average

# Pixels of the image in one of the maps.
STRIDE = 4
# What scores of other scales than 1 are lowered, by the layout's name. Source: DEKR,
# DECREASE; PINet needs such values (SCALE_DECREASE) and has none.
DECREASE = {"coco-17": 0.9, "crowdpose-14": 0.8}
_MOST = 30
_LEAST = 0.01

# (poses (2, n, J, 2) float64, centres (2, n, 2) row and column) of both views, n of 1 or more
# -> (2, n, 2 J), what is to be subtracted from the poses; all in pixels of the maps.
Refine = Callable[[Tensor, Tensor], Tensor]


class ScaleMaps(NamedTuple):
    """What DEKR's network makes of one image at one scale, and of its mirror image.

    Attributes:
        scale: of the test.
        heatmaps: (2, J + 1, h, w), the centre's last; those of the mirror image not turned back.
        offsets: (2, 2 J, h, w), joint by joint, x before y; pixels of the maps.
    """

    scale: float
    heatmaps: Tensor
    offsets: Tensor


class Proposals(NamedTuple):
    """Poses regressed from peaks, on the CPU: some devices have no float64.

    Attributes:
        points: (n, J, 2) float64 x and y, pixels of the image at scale 1.
        values: (n,) float64, the heights of the peaks.
    """

    points: Tensor
    values: Tensor


def find(scales: Iterable[ScaleMaps], mirror: Tensor, decrease: float = 1.0) -> tuple[Found, Heat]:
    """Return the people that DEKR finds in an image, and the heatmaps they were scored with.

    Args:
        scales: one for each scale, from the largest to the smallest, 1 among them.
        mirror: (J,) int64, which joint takes each one's place in a mirror image.
        decrease: of `DECREASE`, if there are several scales.

    Returns:
        Keypoint scores are height of the centre times heat, scores their means, ranks the mean
        heat; at most 30 people for each scale.
    """
    centred = torch.cat([mirror, mirror.new_tensor([len(mirror)])])
    found, proposals, maps = [], [], []
    for scale, heatmaps, offsets in scales:
        joined = flip_average(heatmaps[0], heatmaps[1], centred, shift=False)
        found.append(scale)
        proposals.append(propose(joined[-1:], offsets, mirror, centred.new_zeros(1), scale))
        maps.append(joined[:-1])
    points, values = pool(found, proposals, decrease)
    heat = heat_of(found, maps)
    heights = heat.floored(points)
    scores = values[:, None] * heights
    return found_of(points, scores, heights.mean(1)), heat


def propose(
    centres: Tensor,
    offsets: Tensor,
    mirror: Tensor,
    part_mirror: Tensor,
    scale: float,
    refine: Refine | None = None,
) -> Proposals:
    """Return the poses at the peaks of centre maps, means of both views; by map, best first.

    Args:
        centres: (S, h, w), of both views together.
        offsets: (2, S * 2 J, h, w) of both views, the mirror image's not turned back; part by
            part, joint by joint, x before y; pixels of the maps.
        mirror: (J,) int64, which joint takes each one's place in a mirror image.
        part_mirror: (S,) int64, the same of parts.
        scale: of the test.
        refine: what corrects the poses of each view before their mean is taken, if anything.
    """
    height, width = centres.shape[1:]
    by_part = offsets.reshape(2, len(centres), len(mirror), 2, height, width)
    peaks = find_peaks(centres, window_for(height, width), _MOST, _LEAST)
    views = torch.arange(2, device=centres.device)[:, None]
    parts = torch.stack([peaks.channels, part_mirror[peaks.channels]])
    rows = peaks.rows.expand(2, -1)
    columns = torch.stack([peaks.columns, width - 1 - peaks.columns])
    pixels = torch.stack([columns, rows], dim=2)[:, :, None].cpu()
    poses = pixels - by_part[views, parts, :, :, rows, columns].cpu().double()
    if refine is not None and len(peaks.values):
        changes = refine(poses, torch.stack([rows, columns], dim=2))
        poses = poses - changes.cpu().double().reshape(poses.shape)
    x, y = poses[1][:, mirror.cpu()].unbind(-1)
    turned_back = torch.stack([width - 1 - x, y], dim=-1)
    points = (poses[0] + turned_back) / 2 * (STRIDE / scale)
    return Proposals(points, peaks.values.cpu().double())


def pool(scales: Sequence[float], proposals: Sequence[Proposals], decrease: float) -> Proposals:
    """Return the proposals of all scales in their order, with values that can be compared.

    Those of scales other than 1 are brought to the highest value of scale 1, then lowered. Where
    nobody is found at scale 1, 1 takes the place of its highest value.

    Raises:
        ValueError: if 1 is not among the scales.
    """
    highest = [p.values.max() if len(p.values) else p.values.new_ones(()) for p in proposals]
    wanted = highest[scales.index(1.0)]
    values = [
        p.values if scale == 1.0 else p.values / most * wanted * decrease
        for scale, p, most in zip(scales, proposals, highest, strict=True)
    ]
    return Proposals(torch.cat([p.points for p in proposals]), torch.cat(values))


def heat_of(scales: Sequence[float], maps: Sequence[Tensor]) -> Heat:
    """Return the heatmaps, (J, h, w) of each scale, to be read on the image at scale 1."""
    return Heat(tuple(maps), tuple(round(STRIDE / scale) for scale in scales))


def found_of(points: Tensor, keypoint_scores: Tensor, ranks: Tensor | None = None) -> Found:
    """Return people whose scores are the means of their keypoints' ones, as numpy arrays."""
    return Found(
        points.numpy(),
        keypoint_scores.numpy(),
        keypoint_scores.mean(1).numpy(),
        None if ranks is None else ranks.numpy(),
    )
