"""Pairs of poses of an image, as the rules of merging look at them: many images at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from crowdbench.metrics.oks import pairs_within
from crowdbench.structures import Array, Poses

_EPS = np.spacing(1.0)
# Pairs per block, so that every temporary array stays small: of those that are compared at once,
# and of those of whole images that are held at once.
BLOCK = 4096
_PAIRS = 1 << 20


def blocks_of_images(image_index: Array) -> Iterator[slice]:
    """Yield the rows of consecutive images that together have not too many pairs.

    Args:
        image_index: (N,) ascending.
    """
    _, first, n = np.unique(image_index, return_index=True, return_counts=True)
    block = (n * (n - 1) // 2).cumsum() // _PAIRS
    starts = first[np.flatnonzero(np.diff(block, prepend=-1))].tolist()
    for start, stop in itertools.pairwise([*starts, len(image_index)]):
        yield slice(start, stop)


def place_in_image(image_index: Array) -> Array:
    """Return how many rows of its image stand before each row, (N,) int64.

    >>> place_in_image(np.array([0, 0, 3, 3, 3]))
    array([0, 1, 0, 1, 2])
    """
    return np.arange(len(image_index)) - np.searchsorted(image_index, image_index)


def turns(turn: Array) -> Iterator[Array]:
    """Yield the rows of turn 0, those of turn 1 and so on; within a turn in their order.

    Args:
        turn: (N,) int64, the turn of each row.

    >>> [rows.tolist() for rows in turns(np.array([1, 0, 1]))]
    [[1], [0, 2]]
    """
    order = np.argsort(turn, kind="stable")
    bounds = np.searchsorted(turn[order], np.arange(int(turn.max(initial=-1)) + 2))
    for start, stop in itertools.pairwise(bounds.tolist()):
        yield order[start:stop]


def close_pairs(image_index: Array, points: Array, reach: Array) -> tuple[Array, Array]:
    """Return the rows of all pairs of an image that may have a joint in about the same place.

    Those are left out whose joints cannot be so close, as the boxes around all of them are too far
    apart; in a crowd these are most.

    Args:
        image_index: (N,) ascending.
        points: (N, K, 2) joints.
        reach: (N,) distances; of a pair with two of the same joints as close as the larger of
            theirs none is left out.

    Returns:
        Two (M,) int64 arrays, the earlier row of each pair first, ordered by it and then by the
        other.
    """
    first, second = pairs_within(image_index)
    lows, highs = points.min(1) - reach[:, None], points.max(1) + reach[:, None]
    for low, high in zip(lows.T, highs.T, strict=True):
        overlap = (low[first] <= high[second]) & (low[second] <= high[first])
        first, second = first[overlap], second[overlap]
    return first, second


# Numbers near the limits of float64 become infinite, and such poses are like no other.
@np.errstate(over="ignore", invalid="ignore")
def similar_pairs(poses: Poses, limit: float, sigmas: Array) -> tuple[Array, Array]:
    """Return the rows of all pairs of an image whose OKS is above the limit.

    OKS is the mean over all keypoints, whatever their confidence, with the mean of the two areas.

    Args:
        poses: with their `areas`.
        limit: what is above it is similar.
        sigmas: (K,) constants of OKS.

    Returns:
        Two (M,) int64 arrays, the earlier row of each pair first, ordered by it and then by the
        other.
    """
    assert poses.areas is not None
    variances = (sigmas * 2) ** 2
    # Some joint must be similar enough alone.
    farthest = np.sqrt(-2 * np.log(limit) * variances.max()) if limit > 0 else np.inf
    reach = farthest * np.sqrt(poses.areas + _EPS)
    first, second = close_pairs(poses.image_index, poses.keypoints, reach)
    similar = np.zeros(len(first), bool)
    for start in range(0, len(first), BLOCK):
        rows = slice(start, start + BLOCK)
        a, b = first[rows], second[rows]
        squared = ((poses.keypoints[a] - poses.keypoints[b]) ** 2).sum(-1) / variances
        squared /= ((poses.areas[a] + poses.areas[b]) / 2 + _EPS)[:, None] * 2
        similar[rows] = np.exp(-squared).mean(1) > limit
    return first[similar], second[similar]
