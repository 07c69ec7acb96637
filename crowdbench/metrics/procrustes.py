"""Procrustes alignment: the rotation, shift and, if wanted, scale that bring two poses together.

All poses at once, as batches of 3 x 3 singular value decompositions.
"""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array


def align_rigidly(poses: Array, targets: Array) -> Array:
    """Return the poses, each moved as close to its target as rotating and shifting bring it.

    The sum of squared distances over the joints is least. The rotation is a proper one: where the
    best orthogonal matrix is a reflection, the direction of the least singular value is turned.

    Args:
        poses: (N, K, 3) float64.
        targets: (N, K, 3) float64.

    Returns:
        (N, K, 3) float64, each with its target's middle.

    Source: `rigid_align` of 3DMPPE and PI-Net (Kabsch).
    """
    middle = _middle(targets)
    centred = poses - _middle(poses)
    u, _, vt = np.linalg.svd(centred.transpose(0, 2, 1) @ (targets - middle))
    u[:, :, 2] *= np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)[:, None]
    aligned: Array = centred @ (u @ vt)
    aligned += middle
    return aligned


def fit_scale(aligned: Array, targets: Array) -> Array:
    """Return poses that are aligned rigidly, each scaled about its middle to fit its target best.

    The sum of squared distances is least. As the best rotation does not depend on the scale, the
    result is the best that rotating, shifting and scaling can do.

    Args:
        aligned: (N, K, 3) float64, from `align_rigidly`.
        targets: (N, K, 3) float64.

    Returns:
        (N, K, 3) float64. A pose whose joints all lie in one place stays there.

    Source: the similarity transform that most papers on single persons use (Umeyama).
    """
    middle = _middle(targets)
    centred = aligned - middle
    size = np.einsum("nkc,nkc->n", centred, centred)
    overlap = np.einsum("nkc,nkc->n", centred, targets - middle)
    scale = np.divide(overlap, size, out=np.zeros_like(size), where=size > 0)
    centred *= scale[:, None, None]
    centred += middle
    return np.asarray(centred)


def _middle(poses: Array) -> Array:
    """Return the mean of the joints, (N, 1, 3)."""
    return np.asarray(np.einsum("nkc->nc", poses)[:, None] / poses.shape[1])
