"""Distances of joints in space, as the official code of MuPoTS-3D takes them."""

from __future__ import annotations

import numpy as np

from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array

# Within which a joint is right, mm; and the thresholds over which AUC averages 3DPCK.
WITHIN_MM = 150.0
THRESHOLDS_MM = np.arange(0.0, 151.0, 5.0)
# Where the official script puts every coordinate of a person without a pose, mm.
NOWHERE_MM = 100_000.0


def from_root(joints: Array, skeleton: Skeleton) -> Array:
    """Return (N, K, 3) joints relative to the root of each pose."""
    root = skeleton.root
    return joints - joints[:, root : root + 1]


def map_bone_lengths(poses: Array, targets: Array, skeleton: Skeleton) -> Array:
    """Return the poses with the bones of the targets: directions stay, lengths are the targets'.

    Each pose is rebuilt from its root outwards: a joint is its parent, as rebuilt, plus the
    direction of its own bone times the length of the target's. A bone of length zero has no
    direction: its joint and all that hangs on it become NaN.

    Args:
        poses: (N, K, 3) float64, root at the origin.
        targets: (N, K, 3) float64.
        skeleton: a 3D layout.

    Returns:
        (N, K, 3) float64, root at the origin.

    Source: official MATLAB code of MuPoTS-3D, where this step is always on.
    """
    parents = list(skeleton.parents)
    bones = poses - poses.take(parents, 1)
    wanted = _lengths(targets - targets.take(parents, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        bones *= (wanted / _lengths(bones))[..., None]
    # From here on, where a joint is from its parent becomes where it is.
    bones[:, skeleton.root] = 0
    for joint in _outwards(skeleton.parents):
        bones[:, joint] += bones[:, parents[joint]]
    return bones


def _outwards(parents: tuple[int, ...]) -> list[int]:
    """Return the joints but the root, every one after its parent.

    >>> _outwards((1, 2, 2))
    [1, 0]
    """
    order: list[int] = []
    placed = {joint for joint, parent in enumerate(parents) if joint == parent}
    while len(placed) < len(parents):
        ready = [j for j, p in enumerate(parents) if j not in placed and p in placed]
        order += ready
        placed.update(ready)
    return order


def distances(a: Array, b: Array | float) -> Array:
    """Return the Euclidean distance of every joint, (N, K) from two (N, K, 3)."""
    return _lengths(a - b)


def _lengths(vectors: Array) -> Array:
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.asarray(np.sqrt(x * x + y * y + z * z))


def thresholds_below(errors: Array) -> Array:
    """Return how many of `THRESHOLDS_MM` do not exceed each error: at these the joint is wrong.

    A joint is right at a threshold above its error, strictly. NaN is wrong at all.

    Args:
        errors: any shape, mm.

    Returns:
        The same shape, int64 from 1 to 31; 31 is a joint that is wrong at 150 mm, too.

    >>> thresholds_below(np.array([0.0, 4.9, 150.0, np.nan])).tolist()
    [1, 1, 31, 31]
    """
    # The thresholds are evenly spaced: a division finds the last that the error reaches, or one
    # further by rounding; the comparison is exact. NaN ends behind the last one.
    last = np.fmin(errors / THRESHOLDS_MM[1], len(THRESHOLDS_MM) - 1).astype(np.int64)
    return np.asarray(last + ~(errors < THRESHOLDS_MM[last]))
