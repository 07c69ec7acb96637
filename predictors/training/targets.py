"""What the network should answer: a Gaussian for each keypoint."""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array

# Input pixels for each pixel of the heatmaps; the same for all our networks.
STRIDE = 4


def make_targets(joints: Array, input_size: tuple[int, int], sigma: float) -> tuple[Array, Array]:
    """Return the heatmaps that joints should have, and which of them count.

    Args:
        joints: (..., 3) float64 x, y in pixels of the crop, and whether labelled (> 0).
        input_size: height and width of the crop.
        sigma: of the Gaussians, in pixels of the heatmap.

    Returns:
        (..., H/4, W/4) float32: 1 at the rounded place of the joint, less around it, 0 beyond 3
        sigma; and (...) float32 weights: 1, or 0 for a joint that is not labelled or whose
        Gaussian does not reach into the heatmap.

    Source: HRNet, ``generate_target``. There a joint whose Gaussian ends one pixel before the
    heatmap still counts, with an empty map; here it does not.

    >>> maps, weights = make_targets(np.array([[8.0, 4.0, 2]]), (12, 16), 0.5)
    >>> (maps[0] * 100).round().astype(int).tolist()
    [[0, 2, 14, 2], [0, 14, 100, 14], [0, 2, 14, 2]]
    """
    height, width = (side // STRIDE for side in input_size)
    radius = int(3 * sigma)
    # Truncated towards zero, as the official program does it, below zero too.
    at = (joints[..., :2] / STRIDE + 0.5).astype(np.int64)
    size = np.array([width, height])
    reaches = ((at + radius >= 0) & (at - radius < size)).all(axis=-1)
    weights = ((joints[..., 2] > 0) & reaches).astype(np.float32)
    # A Gaussian is the product of one along each axis, and so is the square it is cut to.
    columns = _gaussian(at[..., 0, None] - np.arange(width), sigma, radius)
    rows = _gaussian(at[..., 1, None] - np.arange(height), sigma, radius) * weights[..., None]
    return rows[..., :, None] * columns[..., None, :], weights


def _gaussian(distances: Array, sigma: float, radius: int) -> Array:
    """Return (...) float32: the height at distances in pixels, 0 beyond the radius."""
    heights = np.exp(-(distances**2) / (2 * sigma**2))
    found: Array = np.where(abs(distances) <= radius, heights, 0).astype(np.float32)
    return found
