"""What a bottom-up network should answer: points as Gaussians, and poses around their centres.

Everything is in pixels of the network's maps, of which there is one for four pixels of the image
both ways; Gaussians stand on the exact place of a point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.structures import Array


class Places(NamedTuple):
    """M places of maps at which poses are learned.

    Attributes:
        places: (M, 3) int64 part, row, column; no place comes twice.
        offsets: (M, J, 2) float32 x and y of the place less those of each joint.
        weights: (M, J) float32: 0 of joints that don't count.
        sizes: (M, J) float32 size of the person whose joint it is, pixels of the crop; 0 of joints
            that don't count.
    """

    places: Array
    offsets: Array
    weights: Array
    sizes: Array


def point_maps(points: Array, map_size: tuple[int, int], sigmas: Array) -> Array:
    """Return (C, h, w) float32: the highest Gaussian of all persons, for each kind of point.

    Args:
        points: (P, C, 3) float64 x, y in pixels of the maps, and whether there is one (> 0).
        map_size: height and width of the maps.
        sigmas: (C,) of the Gaussians, pixels.

    Returns:
        Less than 1 unless a point is a pixel, and 0 where no Gaussian reaches: it does from more
        than 3 sigma and a pixel before the point to as far behind. Points outside have none.

    Source: DEKR, ``HeatmapGenerator``.

    >>> points = np.array([[[1, 0, 1.0]], [[9, 0, 1]]])
    >>> (point_maps(points, (1, 12), np.array([0.5])) * 100).round().astype(int).tolist()
    [[[14, 100, 14, 0, 0, 0, 0, 0, 14, 100, 14, 0]]]
    """
    heights = [
        _heights(points[..., axis], side, sigmas)
        for axis, side in enumerate((map_size[1], map_size[0]))
    ]
    columns, rows = heights
    rows *= (inside(points, map_size) & (points[..., 2] > 0))[..., None]
    if not len(points):
        return np.zeros((points.shape[1], *map_size), np.float32)
    found: Array = (rows[..., :, None] * columns[..., None, :]).max(axis=0)
    return found


def _heights(at: Array, n_pixels: int, sigmas: Array) -> Array:
    """Return (P, C, n) float32: Gaussians along an axis, 0 where they are cut off."""
    pixels = np.arange(n_pixels)
    place, sigma = at[..., None], sigmas[:, None]
    reaches = (pixels >= np.floor(place - 3 * sigma - 1)) & (
        pixels < np.ceil(place + 3 * sigma + 2)
    )
    heights = np.exp(-((pixels - place) ** 2) / (2 * sigma**2))
    found: Array = np.where(reaches, heights, 0).astype(np.float32)
    return found


def inside(points: Array, map_size: tuple[int, int]) -> Array:
    """Return (...) bool: whether points (..., 2 or more), x first, lie in a map.

    Source: DEKR: from 0 to less than the number of pixels.
    """
    at = points[..., :2]
    found: Array = np.all((at >= 0) & (at < map_size[::-1]), axis=-1)
    return found


def pose_places(
    joints: Array,
    centres: Array,
    areas: Array,
    sizes: Array,
    map_size: tuple[int, int],
    block: tuple[int, int],
) -> Places:
    """Return where poses are learned: blocks of pixels around the centres of persons' parts.

    Args:
        joints: (P, J, 3) float64 x, y in pixels of the maps, and whether labelled (> 0).
        centres: (P, S, 3) float64 likewise, of each part.
        areas: (P,) float64 px² of the crop: the weights of joints are 1 / sqrt(area).
        sizes: (P,) float64 as in `Places`.
        map_size: height and width of the maps.
        block: first and last pixel along both axes, from the centre's cut-off coordinates.

    Returns:
        Places in the order of the maps' pixels. Joints outside of the map and centres outside of it
        don't count. Where persons share a place, each joint is of the person of least area who has
        it; of two of the same area, of the later one.

    Source: DEKR, ``OffsetGenerator``; PINet likewise. Deviation: there a joint that one person
    alone has is dropped where a smaller one came before.
    """
    height, width = map_size
    n_joints = joints.shape[1]
    steps = np.arange(block[0], block[1] + 1)
    has_centre = (centres[..., 2] > 0) & inside(centres, map_size)
    persons, parts = np.nonzero(has_centre)
    corners = centres[persons, parts, :2].astype(np.int64)
    columns = corners[:, 0, None, None] + steps
    rows = corners[:, 1, None, None] + steps[:, None]
    keeps = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    pixels = ((parts[:, None, None] * height + rows) * width + columns)[keeps]
    owners = np.broadcast_to(persons[:, None, None], keeps.shape)[keeps]
    # The last one to be written stays.
    order = np.argsort(-areas[owners], kind="stable")
    pixels, owners = pixels[order], owners[order]
    unique, at = np.unique(pixels, return_inverse=True)
    counts = (joints[..., 2] > 0) & inside(joints, map_size)
    entries, which = np.nonzero(counts[owners])
    winners = np.full((len(unique), n_joints), -1)
    winners[at[entries], which] = owners[entries]
    found = (winners >= 0).any(axis=1)
    unique, winners = unique[found], winners[found]

    part, pixel = np.divmod(unique, height * width)
    row, column = np.divmod(pixel, width)
    counted = winners >= 0
    their = joints[winners, np.arange(n_joints), :2]
    offsets = np.stack([column, row], axis=1)[:, None] - their
    return Places(
        np.stack([part, row, column], axis=1),
        np.where(counted[..., None], offsets, 0).astype(np.float32),
        np.where(counted, 1 / np.sqrt(areas)[winners], 0).astype(np.float32),
        np.where(counted, sizes[winners], 0).astype(np.float32),
    )


def strongest(places: Places, maps: Array, n_parts: int, limit: int) -> Array:
    """Return (n_parts * limit,) int64: rows of the places where poses are refined; -1: none.

    Args:
        places: where poses are learned.
        maps: (S, h, w) the maps of the parts' centres.
        n_parts: S.
        limit: how many of each part, at most: those of the highest value times weight; of equal
            ones the first.

    Source: PINet, the training of its refinement.
    """
    part, row, column = places.places.T
    values = maps[part, row, column] * places.weights.max(axis=1, initial=0)
    order = np.lexsort((-values, part))
    starts = np.searchsorted(part[order], np.arange(n_parts + 1))
    rank = np.arange(len(order)) - starts[part[order]]
    chosen = rank < limit
    found = np.full((n_parts, limit), -1)
    found[part[order][chosen], rank[chosen]] = order[chosen]
    return found.ravel()
