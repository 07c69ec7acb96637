"""HigherHRNet's test: two resolutions, mirror images and scales, joined into heatmaps and tags.

Source: HigherHRNet, ``get_multi_stage_outputs`` and ``aggregate_results`` with ``PROJECT2IMAGE``,
as in all its configurations. As every step is linear, averages are taken before maps are enlarged,
which is the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from predictors.mirroring import flip_average, flip_back


class Tagged(NamedTuple):
    """Heatmaps, and which person they speak of.

    Attributes:
        heatmaps: (J, H, W), floating.
        tags: (J, H, W, 2) tags of each joint: of the image, then of its mirror image, turned back.
            Values near each other belong to one person.
    """

    heatmaps: Tensor
    tags: Tensor


def join_resolutions(coarse: Tensor, fine: Tensor, mirror: Sequence[int] | Tensor) -> Tagged:
    """Return the heatmaps and tags of one scale, at the finer resolution.

    Args:
        coarse: (2, 2 J, h, w) of the network: J heatmaps, then J maps of tags; of the image, then
            of its plain mirror image.
        fine: (2, J, 2 h, 2 w) of the network, heatmaps alone.
        mirror: (J,) which joint takes the place of each in a mirror image.

    Returns:
        Heatmaps: mean of both resolutions and of both views. Tags: of the coarse maps alone, and of
        each view. Both (J, 2 h, 2 w).
    """
    n_joints = fine.shape[1]
    enlarged = _enlarged(coarse, fine.shape[2:])
    heatmaps = (enlarged[:, :n_joints] + fine) / 2
    tags = enlarged[:, n_joints:]
    return Tagged(
        flip_average(heatmaps[0], heatmaps[1], mirror, shift=False),
        torch.stack([tags[0], flip_back(tags[1], mirror, shift=False)], dim=-1),
    )


def join_scales(of_scales: Mapping[float, Tagged], size: tuple[int, int]) -> Tagged:
    """Return the heatmaps and tags of all scales, enlarged to the resized image of scale 1.

    Args:
        of_scales: what `join_resolutions` returns, by scale, in the order to sum them. Scale 1 is
            among them, or it is a single one.
        size: height and width in pixels of the resized image of scale 1.

    Returns:
        Heatmaps: mean of all scales. Tags: of scale 1 (or the single one) alone; a view, in which
        each of the two tags is a map of its own.
    """
    first, *others = of_scales.values()
    heatmaps = _enlarged(first.heatmaps[None], size)[0]
    for other in others:
        heatmaps = heatmaps + _enlarged(other.heatmaps[None], size)[0]
    tags = (of_scales[1.0] if others else first).tags
    return Tagged(heatmaps / len(of_scales), _enlarged(tags.movedim(-1, 0), size).movedim(0, -1))


def _enlarged(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Return (N, C, *size): the maps read bilinearly, with corners not aligned."""
    return functional.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
