"""The depth buffer: which solid each pixel shows, and where on it.

A solid is drawn as the hull of its two projected balls; a point of it lies as far in front of the
axis as on a round body. Only additions, products, quotients, square roots and comparisons are used,
one at a time, which every machine rounds alike: equal scenes give equal bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdbench.datasets.synthcrowd.picture import Intrinsics
from crowdbench.datasets.synthcrowd.solids import Solids
from crowdbench.structures import Array

# Nearer than this, mm, nothing is drawn.
NEAR = 400.0
# Of keys, the bits of an infinite depth, above those of the sample.
_BEYOND = np.int64(int(np.float32(np.inf).view(np.int32)) << 32)
_LOW = np.int64(0xFFFFFFFF)
_BLOCK = 16_384


@dataclass(frozen=True)
class Covered:
    """Every pixel that every solid covers, as N samples, solid after solid.

    At the edges are some samples that lie just outside; their depth is infinite.

    Attributes:
        solids: (N,) int32 which solid.
        pixels: (N,) int32 row * width + column.
        along: (N,) float32 0 at the start of the axis to 1 at its end.
        across: (N,) float32 -1 to 1, from one edge to the other.
        heights: (N,) float32 0 at the edge to 1 in the middle: towards the camera.
        radii: (N,) float32 of the solid there, pixels.
        depths: (N,) float32 mm.
    """

    solids: Array
    pixels: Array
    along: Array
    across: Array
    heights: Array
    radii: Array
    depths: Array


@dataclass(frozen=True)
class Buffer:
    """What the pixels show.

    Attributes:
        pixels: (V,) int64 the pixels that show a solid, ascending.
        samples: (V,) int64 the nearest sample of each, into `Covered`.
        depths: (H * W,) float32 mm of all pixels, infinite where there is no solid.
    """

    pixels: Array
    samples: Array
    depths: Array


@dataclass(frozen=True)
class Projected:
    """Solids in pixels: (N,) float64 each; `axes` (N, 2) is the unit vector along the axis.

    Attributes:
        x: of the start.
        y: of the start.
        axes: direction to the end.
        lengths: distance to the end.
        starts: radius at the start.
        ends: radius at the end.
        start_depths: mm.
        end_depths: mm.
    """

    x: Array
    y: Array
    axes: Array
    lengths: Array
    starts: Array
    ends: Array
    start_depths: Array
    end_depths: Array


def project(points: Array, camera: Intrinsics) -> Array:
    """Return (..., 2) float64 pixels of points, (..., 3) mm in camera axes."""
    x = points[..., 0] * camera.focal / points[..., 2] + camera.centre_x
    y = points[..., 1] * camera.focal / points[..., 2] + camera.centre_y
    return np.stack([x, y], axis=-1)


def cover(solids: Solids, camera: Intrinsics, width: int, height: int) -> Covered:
    """Return what all solids cover, whatever is in front of them.

    Args:
        solids: in camera axes, all of them beyond `NEAR`.
        camera: in pixels of the buffer.
        width: of the buffer.
        height: of the buffer.
    """
    flat = _project_solids(solids, camera)
    rows, solid, first, last = _rows(flat, solids.is_cut, width, height)
    counts = last - first
    ends = np.cumsum(counts)
    n = int(ends[-1]) if len(ends) else 0
    single = np.float32
    found = Covered(np.empty(n, np.int32), np.empty(n, np.int32), *np.empty((5, n), single))
    ex, ey = flat.axes.T
    dy = rows - flat.y[solid]
    # Of each row, what its pixels share: the place of column 0 along and across the axis, the steps
    # from column to column, and how radius and depth change along the axis.
    x0 = -flat.x[solid]
    of_row = np.stack(
        [
            x0 * ex[solid] + dy * ey[solid],
            ex[solid],
            -x0 * ey[solid] + dy * ex[solid],
            -ey[solid],
            np.maximum(flat.lengths, 1e-3)[solid],
            flat.starts[solid],
            ((flat.ends - flat.starts) / np.maximum(flat.lengths, 1e-3))[solid],
            flat.start_depths[solid],
            ((flat.end_depths - flat.start_depths) / np.maximum(flat.lengths, 1e-3))[solid],
        ]
    ).astype(single)
    is_cut, solid = solids.is_cut[solid], solid.astype(np.int32)
    offsets = rows.astype(np.int32) * np.int32(width)
    counts, first = counts.astype(np.int32), first.astype(np.int32)
    first_samples = (ends - counts).astype(np.int32)
    # In blocks that stay in the processor's cache.
    cuts = np.searchsorted(ends, np.arange(_BLOCK, n + _BLOCK, _BLOCK), side="left") + 1
    start = 0
    for stop in np.minimum(cuts, len(ends)).tolist():
        if stop <= start:
            continue
        block = slice(int(first_samples[start]), int(ends[stop - 1]))
        repeats = counts[start:stop]
        columns = np.arange(block.start, block.stop, dtype=np.int32)
        columns -= np.repeat(first_samples[start:stop] - first[start:stop], repeats)
        along0, ax, across0, bx, length, r0, dr, z0, dz = np.repeat(
            of_row[:, start:stop], repeats, axis=1
        )
        x = columns.astype(single)
        s = x * ax + along0
        across = x * bx + across0
        clipped = np.minimum(np.maximum(s, single(0)), length)
        radii = r0 + clipped * dr
        # Beyond the axis the distance is to its end.
        beyond = s - clipped
        high = 1 - (across * across + beyond * beyond) / (radii * radii)
        outside = high <= 0
        outside |= np.repeat(is_cut[start:stop], repeats) & (beyond != 0)
        heights = np.sqrt(np.maximum(high, single(0)))
        z = z0 + clipped * dz
        depths = z - heights * radii * z * single(1 / camera.focal)
        outside |= depths < single(NEAR / 2)
        depths[outside] = np.inf
        found.solids[block] = np.repeat(solid[start:stop], repeats)
        found.pixels[block] = columns + np.repeat(offsets[start:stop], repeats)
        found.along[block] = clipped / length
        found.across[block] = across / radii
        found.heights[block] = heights
        found.radii[block] = radii
        found.depths[block] = depths
        start = stop
    return found


def nearest(covered: Covered, n_pixels: int) -> Buffer:
    """Return what is nearest at every pixel; of equal depths the first sample."""
    # Positive floats are ordered as their bits are.
    keys = covered.depths.view(np.int32).astype(np.int64) << 32
    keys |= np.arange(len(keys))
    found = np.full(n_pixels, _BEYOND)
    np.minimum.at(found, covered.pixels, keys)
    pixels = np.flatnonzero(found < _BEYOND)
    samples = found[pixels] & _LOW
    depths = np.full(n_pixels, np.inf, np.float32)
    depths[pixels] = covered.depths[samples]
    return Buffer(pixels, samples, depths)


def _project_solids(solids: Solids, camera: Intrinsics) -> Projected:
    starts, ends = project(solids.starts, camera), project(solids.ends, camera)
    step = ends - starts
    lengths = np.sqrt(step[:, 0] * step[:, 0] + step[:, 1] * step[:, 1])
    is_point = lengths < 1e-3
    axes = np.where(is_point[:, None], (1.0, 0.0), step / np.where(is_point, 1, lengths)[:, None])
    start_depths, end_depths = solids.starts[:, 2], solids.ends[:, 2]
    return Projected(
        x=starts[:, 0],
        y=starts[:, 1],
        axes=axes,
        lengths=lengths,
        starts=solids.start_radii * camera.focal / start_depths,
        ends=solids.end_radii * camera.focal / end_depths,
        start_depths=start_depths,
        end_depths=end_depths,
    )


def _rows(
    flat: Projected, is_cut: Array, width: int, height: int
) -> tuple[Array, Array, Array, Array]:
    """Return row, solid, first and last + 1 column of every row that a solid may cover."""
    x1, y1 = flat.x, flat.y
    x2, y2 = x1 + flat.axes[:, 0] * flat.lengths, y1 + flat.axes[:, 1] * flat.lengths
    top = np.minimum(y1 - flat.starts, y2 - flat.ends)
    bottom = np.maximum(y1 + flat.starts, y2 + flat.ends)
    low = np.clip(np.ceil(top), 0, height).astype(np.int64)
    high = np.clip(np.floor(bottom) + 1, 0, height).astype(np.int64)
    counts = np.maximum(high - low, 0)
    solid = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    rows = (np.arange(len(solid)) - np.repeat(starts - low, counts)).astype(float)
    left, right = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)

    def widen(from_x: Array, to_x: Array, holds: Array) -> None:
        np.minimum(left, np.where(holds, from_x, np.inf), out=left)
        np.maximum(right, np.where(holds, to_x, -np.inf), out=right)

    for x, y, r in ((x1, y1, flat.starts), (x2, y2, flat.ends)):
        dy = rows - y[solid]
        squared = r[solid] * r[solid] - dy * dy
        half = np.sqrt(np.maximum(squared, 0))
        widen(x[solid] - half, x[solid] + half, squared >= 0)
    # The four edges of the quadrilateral between the balls.
    nx, ny = -flat.axes[:, 1], flat.axes[:, 0]
    corners = [
        (x1 + nx * flat.starts, y1 + ny * flat.starts),
        (x2 + nx * flat.ends, y2 + ny * flat.ends),
        (x2 - nx * flat.ends, y2 - ny * flat.ends),
        (x1 - nx * flat.starts, y1 - ny * flat.starts),
    ]
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        rise = (by - ay)[solid]
        crossing = (rows - ay[solid]) / np.where(rise == 0, 1, rise)
        x = ax[solid] + crossing * (bx - ax)[solid]
        widen(x, x, (rise != 0) & (crossing >= 0) & (crossing <= 1))
    first = np.clip(np.ceil(np.where(left <= right, left, 0)), 0, width).astype(np.int64)
    last = np.clip(np.floor(np.where(left <= right, right, -1)) + 1, 0, width).astype(np.int64)
    shown = last > first
    return rows[shown], solid[shown], first[shown], last[shown]
