"""Peaks of maps: pixels that no other one of the window around them is higher than."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Peaks(NamedTuple):
    """The P peaks of some maps, by channel, and in each the highest first.

    Attributes:
        channels: (P,) int64.
        rows: (P,) int64.
        columns: (P,) int64.
        values: (P,), in the maps' type.
    """

    channels: Tensor
    rows: Tensor
    columns: Tensor
    values: Tensor


def window_for(height: int, width: int) -> int:
    """Return the size of the window on maps of that size: people on larger ones are larger.

    Source: ``hierarchical_pool`` of DEKR and PINet.

    >>> window_for(128, 160), window_for(200, 200), window_for(200, 202), window_for(256, 400)
    (3, 3, 5, 7)
    """
    mean = (height + width) / 2
    return 7 if mean > 300 else 5 if mean > 200 else 3


def find_peaks(maps: Tensor, window: int, most: int, least: float) -> Peaks:
    """Return the highest peaks of each map.

    Neighbours of equal height are all peaks, as in the official codes.

    Args:
        maps: (C, h, w), floating.
        window: odd width of the window, pixels.
        most: how many of each map.
        least: only peaks above it.

    Deviation: of equal values the first, row by row, comes first; there their order is arbitrary.

    >>> line = torch.tensor([[[1.0, 0.0, 3.0, 3.0, 0.0, 2.0]]])
    >>> find_peaks(line, window=3, most=3, least=0.5).columns.tolist()
    [2, 3, 5]
    """
    highest = _highest_along(_highest_along(maps, -1, window), -2, window)
    channels, rows, columns = ((maps == highest) & (maps > least)).nonzero().unbind(1)
    values = maps[channels, rows, columns]
    order = values.sort(descending=True, stable=True).indices
    order = order[channels[order].sort(stable=True).indices]
    ranked = channels[order]
    places = torch.arange(len(order), device=maps.device)
    rank = places - torch.searchsorted(ranked, ranked)
    order = order[rank < most]
    return Peaks(channels[order], rows[order], columns[order], values[order])


def _highest_along(maps: Tensor, dim: int, window: int) -> Tensor:
    """Return (C, h, w): the highest value of the window around each pixel along a dimension.

    Several times as fast on a CPU as ``max_pool2d``, and the same.
    """
    reach, size = window // 2, maps.shape[dim]
    padding = (reach, reach) if dim == -1 else (0, 0, reach, reach)
    padded = functional.pad(maps, padding, value=-torch.inf)
    highest = padded.narrow(dim, 0, size)
    for start in range(1, window):
        highest = torch.maximum(highest, padded.narrow(dim, start, size))
    return highest
