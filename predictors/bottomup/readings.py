"""Readings of heatmaps, averaged over scales, at points of the image.

The official codes enlarge the maps of every scale to the size of the image at scale 1 first: map
pixel i comes to lie on image pixel f * i, linear in between, the last row and column repeated. That
cuts each cell of a map into f x f cells within which the surface is the one that the whole cell
had, so that it can be read on the small map, which is many times faster for the few points asked
for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Heat:
    """The heatmaps of all scales of one image.

    Attributes:
        maps: (C, h, w) of each scale, floating.
        factors: how many pixels of the image at scale 1 one of each map is wide.
    """

    maps: tuple[Tensor, ...]
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        if len({(m.shape[1] * f, m.shape[2] * f) for m, f in self._pairs()}) != 1:
            shapes = [tuple(m.shape) for m in self.maps]
            raise ValueError(f"maps {shapes} by {self.factors} are not of one image")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image at scale 1."""
        height, width = self.maps[0].shape[1:]
        return height * self.factors[0], width * self.factors[0]

    def floored(self, points: Tensor) -> Tensor:
        """Return (n, C) float64: the values at the pixels up and left of points, or at the border.

        Args:
            points: (n, C, 2) float64 x and y, pixels of the image at scale 1; one for each map.

        Source: ``get_heat_value`` of DEKR.
        """
        height, width = self.size
        # A pixel that is not there would stop the program; whoever takes the poses checks them.
        x, y = points.floor().nan_to_num(0).unbind(-1)
        pixels = torch.stack([x.clamp(0, width - 1), y.clamp(0, height - 1)], dim=-1)
        return self._mean(pixels, pixels.long())

    def bilinear(self, points: Tensor) -> Tensor:
        """Return (n, C) float64: the values at points, 0 where not all four pixels around it are.

        Args:
            points: (n, C, 2) float64 x and y, pixels of the image at scale 1; one for each map.

        Source: PINet. There pixels are found by truncation, so that points up to a pixel left of
        or above the image count, and are read on the line through the first two pixels.
        """
        height, width = self.size
        x, y = points.unbind(-1)
        inside = (x > -1) & (x < width - 1) & (y > -1) & (y < height - 1)
        points = torch.where(inside[..., None], points, 0)
        return torch.where(inside, self._mean(points, points.long()), 0)

    def enlarged(self) -> Tensor:
        """Return (C, H, W): the averaged maps of the size of the image at scale 1.

        Source: ``up_interpolate`` of DEKR and PINet.
        """
        height, width = self.size
        large = [
            functional.pad(
                functional.interpolate(
                    maps[None],
                    size=(height - factor + 1, width - factor + 1),
                    mode="bilinear",
                    align_corners=True,
                ),
                (0, factor - 1, 0, factor - 1),
                mode="replicate",
            )[0]
            for maps, factor in self._pairs()
        ]
        return torch.stack(large).mean(0)

    def _pairs(self) -> Iterator[tuple[Tensor, int]]:
        return zip(self.maps, self.factors, strict=True)

    def _mean(self, points: Tensor, corners: Tensor) -> Tensor:
        """Return the mean over scales of the values at points, on the surfaces of their corners.

        Args:
            points: (n, C, 2) float64 x and y.
            corners: (n, C, 2) int64, the pixels inside the image that tell where to read.
        """
        return torch.stack([_read(*pair, points, corners) for pair in self._pairs()]).mean(0)


def _read(maps: Tensor, factor: int, points: Tensor, corners: Tensor) -> Tensor:
    """Return (n, C) float64: the values of one scale, see `Heat`."""
    channels, height, width = maps.shape
    left, upper = (corners // factor).unbind(-1)
    # Beyond the last row and column, both neighbours are the last: it is repeated.
    right, lower = (left + 1).clamp_max(width - 1), (upper + 1).clamp_max(height - 1)
    channel = torch.arange(channels, device=maps.device)
    rows, columns = (torch.stack(pair).to(maps.device) for pair in ((upper, lower), (left, right)))
    # (row, column, n, C); some devices have no float64.
    values = maps[channel, rows[:, None], columns[None]].cpu().double()
    x, y = points.unbind(-1)
    by_row = torch.lerp(values[:, 0], values[:, 1], x / factor - left)
    return torch.lerp(by_row[0], by_row[1], y / factor - upper)
