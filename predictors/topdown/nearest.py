"""Who stands nearest to whom."""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array


def nearest(points: Array, n: int) -> Array:
    """Return for each point the nearest ones, itself first, then by distance.

    Args:
        points: (P, 2) float64, of the persons of an image.
        n: how many, itself among them.

    Returns:
        (P, min(n, P)) int64 rows; of two at the same distance the first comes first, but a point
        is nearest to itself also where another is in the very same place.

    >>> nearest(np.array([[0.0, 0], [50, 0], [8, 0]]), 2).tolist()
    [[0, 2], [1, 2], [2, 0]]
    """
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, -1)
    found: Array = distances.argsort(axis=1, kind="stable")[:, :n]
    return found
