"""From heatmaps to points: the highest pixel of each map, refined in one of two ways.

All persons and keypoints at once, on any device, without waiting for it.
"""

from __future__ import annotations

import cv2
import torch
from torch import Tensor
from torch.nn import functional

# The official code's; below it logarithms are not taken.
_FLOOR = 1e-10


def decode_quarter_offset(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the points of heatmaps, refined by a quarter pixel, and their scores.

    The point is the first highest pixel (row by row). Away from the border it moves, along each
    axis by itself, 0.25 px towards the higher of its two neighbours; between equal ones it stays.

    Args:
        heatmaps: (N, K, H, W), floating.

    Returns:
        (N, K, 2) x and y in pixels of the heatmap and (N, K) heights of the maps there; in the
        heatmaps' type, or float32 where that has fewer bits. A map without any positive value has
        its point at (0, 0), unrefined, and its (non-positive) maximum as score.

    Source: HRNet, ``get_final_preds``.

    >>> heatmaps = torch.zeros(1, 1, 6, 6)
    >>> heatmaps[0, 0, 3, 2:4] = torch.tensor([0.9, 0.5])
    >>> points, scores = decode_quarter_offset(heatmaps)
    >>> points.tolist(), scores.tolist()
    ([[[2.25, 3.0]]], [[0.8999999761581421]])
    """
    height, width = heatmaps.shape[2:]
    flat = heatmaps.flatten(2)
    at, maxima = _peaks(flat)
    pixels = _pixels(at, width)
    near = torch.stack([at + 1, at - 1, at + width, at - width], dim=-1)
    right, left, lower, upper = (
        flat.gather(2, near.clamp(0, height * width - 1)).to(_precise(heatmaps)).unbind(-1)
    )
    steps = torch.stack([right - left, lower - upper], dim=-1).sign() * 0.25
    refined = _inside(pixels, height, width, margin=1)
    points = pixels + torch.where(refined[..., None], steps, 0)
    return points, maxima.to(_precise(heatmaps))


def decode_dark(heatmaps: Tensor, kernel: int = 11) -> tuple[Tensor, Tensor]:
    """Return the points of heatmaps, refined by DARK, and their scores.

    The point is the first highest pixel (row by row). Away from the border it takes one Newton step
    on the logarithm of the smoothed map, of whatever length, unless the Hessian is singular.

    Args:
        heatmaps: (N, K, H, W), floating.
        kernel: odd width of the Gaussian that smooths the maps, pixels.

    Returns:
        As `decode_quarter_offset`; the scores are heights before smoothing.

    Source: I2R-Net, ``get_final_preds``, which is DARK's: zeros around the map, OpenCV's automatic
    sigma, heights restored to the old maximum, differences of step 1 (first and mixed) and 2 (pure
    second). Deviation: maps of fewer bits than float32 are computed in float32.

    >>> x = torch.arange(12.0)
    >>> heatmaps = torch.exp(-((x - 5.3) ** 2 + (x[:, None] - 6.2) ** 2) / 8)
    >>> points, scores = decode_dark(heatmaps[None, None])
    >>> [round(value, 2) for value in points[0, 0].tolist()]
    [5.3, 6.2]
    """
    height, width = heatmaps.shape[2:]
    maps = heatmaps.to(_precise(heatmaps))
    at, maxima = _peaks(maps.flatten(2))
    pixels = _pixels(at, width)
    smooth = _smoothed(maps, kernel).flatten(2)
    offsets = torch.arange(-2, 3, device=at.device)
    around = at[..., None] + (offsets[:, None] * width + offsets).flatten()
    window = smooth.gather(2, around.clamp(0, height * width - 1))
    # The factor matters only where values are cut off at the floor.
    window = window * (maxima / smooth.amax(2))[..., None]
    logs = window.clamp_min(_FLOOR).log().reshape(*at.shape, 5, 5)
    dx = (logs[..., 2, 3] - logs[..., 2, 1]) / 2
    dy = (logs[..., 3, 2] - logs[..., 1, 2]) / 2
    dxx = (logs[..., 2, 4] - 2 * logs[..., 2, 2] + logs[..., 2, 0]) / 4
    dyy = (logs[..., 4, 2] - 2 * logs[..., 2, 2] + logs[..., 0, 2]) / 4
    dxy = (logs[..., 3, 3] - logs[..., 1, 3] - logs[..., 3, 1] + logs[..., 1, 1]) / 4
    determinant = dxx * dyy - dxy**2
    steps = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], dim=-1)
    refined = _inside(pixels, height, width, margin=2) & (determinant != 0)
    points = pixels + torch.where(refined[..., None], steps / determinant[..., None], 0)
    return points, maxima


def _precise(heatmaps: Tensor) -> torch.dtype:
    """Return the type to compute in: a half cannot hold positions on a large map."""
    return torch.promote_types(heatmaps.dtype, torch.float32)


def _peaks(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Return where each flat map is highest, (N, K) int64, and its height there.

    In maps without positive values the place is 0, the top left corner, where nothing is refined.
    """
    maxima, at = flat.max(dim=2)
    return at * (maxima > 0), maxima


def _pixels(at: Tensor, width: int) -> Tensor:
    """Return (N, K, 2) int64: column and row of places in flat maps."""
    return torch.stack([at % width, at // width], dim=-1)


def _inside(pixels: Tensor, height: int, width: int, margin: int) -> Tensor:
    """Return (N, K) bool: which pixels may be refined.

    The official bounds are 1 < pixel < size - margin; the lower one is the same for any margin.
    """
    x, y = pixels.unbind(-1)
    return (x > 1) & (x < width - margin) & (y > 1) & (y < height - margin)


def _smoothed(maps: Tensor, kernel: int) -> Tensor:
    """Return the maps blurred by a Gaussian, with zeros around them.

    By sums of shifted maps: convolutions and matrix products may be rounded to fewer bits on GPUs,
    which the logarithms would show, and convolving single maps is slow on CPUs.
    """
    weights = cv2.getGaussianKernel(kernel, 0)[:, 0].tolist()
    reach = kernel // 2
    for axis, padding in ((3, (reach, reach)), (2, (0, 0, reach, reach))):
        padded = functional.pad(maps, padding)
        maps = torch.zeros_like(maps)
        for start, weight in enumerate(weights):
            maps.add_(padded.narrow(axis, start, maps.shape[axis]), alpha=weight)
    return maps
