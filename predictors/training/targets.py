"""What the network should answer: a Gaussian for each keypoint.

Conventions are those of `predictors.topdown.crop`. ``classical`` Gaussians stand on whole pixels;
``size-minus-one`` ones on the exact place, as DARK decodes it.
"""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array
from predictors.topdown.crop import Convention

# Input pixels for each pixel of the heatmaps; the same for all our networks.
STRIDE = 4


def make_targets(
    joints: Array,
    input_size: tuple[int, int],
    sigma: float,
    convention: Convention = "classical",
) -> tuple[Array, Array]:
    """Return the heatmaps that joints should have, and which of them count.

    Args:
        joints: (..., 3) float64 x, y in pixels of the crop, and whether labelled (> 0).
        input_size: height and width of the crop.
        sigma: of the Gaussians, in pixels of the heatmap.
        convention: of the crop.

    Returns:
        (..., H/4, W/4) float32 and (...) float32 weights: 1, or 0 for a joint that is not labelled
        or whose Gaussian, taken as far as 3 sigma, does not reach into the heatmap. The heatmap of
        a joint of weight 0 is empty.

        ``classical``: 1 at the rounded place of the joint, less around it, 0 beyond 3 sigma.
        ``size-minus-one``: 1 at the exact place, be it between pixels; 0 nowhere.

    Source: HRNet, ``generate_target``; I2R-Net, its unbiased form (DARK). In both, a joint whose
    Gaussian ends one pixel before the heatmap still counts; here it does not.

    >>> maps, weights = make_targets(np.array([[8.0, 4.0, 2]]), (12, 16), 0.5)
    >>> (maps[0] * 100).round().astype(int).tolist()
    [[0, 2, 14, 2], [0, 14, 100, 14], [0, 2, 14, 2]]
    >>> maps, weights = make_targets(np.array([[7.5, 5.5, 2]]), (12, 16), 0.5, "size-minus-one")
    >>> (maps[0] * 100).round().astype(int).tolist()
    [[0, 8, 8, 0], [1, 61, 61, 1], [0, 8, 8, 0]]
    """
    height, width = (side // STRIDE for side in input_size)
    size = np.array([width, height])
    if convention == "classical":
        # Truncated towards zero, as the official program does it, below zero too.
        at = (joints[..., :2] / STRIDE + 0.5).astype(np.int64)
        radius = cut = float(int(3 * sigma))
    else:
        at = joints[..., :2] * ((size - 1) / (np.array(input_size[::-1]) - 1))
        radius, cut = 3 * sigma, np.inf
    reaches = ((at + radius >= 0) & (at - radius <= size - 1)).all(axis=-1)
    weights = ((joints[..., 2] > 0) & reaches).astype(np.float32)
    # A Gaussian is the product of one along each axis, and so is the square it is cut to.
    columns = _gaussian(at[..., 0, None] - np.arange(width), sigma, cut)
    rows = _gaussian(at[..., 1, None] - np.arange(height), sigma, cut) * weights[..., None]
    return rows[..., :, None] * columns[..., None, :], weights


def _gaussian(distances: Array, sigma: float, cut: float) -> Array:
    """Return (...) float32: the height at distances in pixels, 0 beyond `cut`."""
    heights = np.exp(-(distances**2) / (2 * sigma**2))
    found: Array = np.where(abs(distances) <= cut, heights, 0).astype(np.float32)
    return found
