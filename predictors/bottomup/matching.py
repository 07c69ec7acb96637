"""DEKR's optional matching: regressed joints move to peaks of their heatmaps nearby.

Source: DEKR's release (MATCH_HMP, off by default). Deviations: a window that the border cuts is
fitted as it is, where the release mixes up rows and columns; only peaks above 0 count, where the
release fills up with arbitrary pixels; joints outside the image are not fitted; a fit with its
centre outside the window has failed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from crowdbench.structures import Array
from predictors.bottomup.peaks import find_peaks
from predictors.bottomup.readings import Heat
from predictors.bottomup.tag_search import float64_of

_WINDOW = 5
_MOST = 30
_FARTHEST = 75.0
_LEAST_SCORE = 0.05
# Of the window that a Gaussian is fitted in, pixels to each side.
_REACH = 6
_SIGMA = 2.0
# Of the fit: how many steps it has, how little it must gain to be done, and the bounds of damping;
# at the upper one there is no way to gain anything.
_STEPS = 200
_LEAST_GAIN = 1e-12
_DAMPING = (1e-9, 1e12)


class _Fit(NamedTuple):
    """Gaussians in F windows, whose middle is (0, 0).

    Attributes:
        centres: (F, 2) float64 x and y, pixels.
        succeeded: (F,) bool.
    """

    centres: Array
    succeeded: Array


def match(points: Array, keypoint_scores: Array, heat: Heat) -> Array:
    """Return (n, J, 2) float64: the points where joints are once they were matched.

    Each goes to the nearest of the 30 highest peaks of its heatmap, if that is less than 75 px
    away. From there, and also where there was none, joints with a score above 0.05 go to the centre
    of the Gaussian that fits the heatmap around them best, if the fit succeeds.

    Args:
        points: (n, J, 2) float64 x and y, pixels of the image at scale 1.
        keypoint_scores: (n, J).
        heat: the heatmaps of the J joints.
    """
    maps = heat.enlarged()
    matched = _to_nearest(points, _peak_points(maps))
    values = float64_of(maps)
    height, width = heat.size
    pixels = np.rint(matched)
    inside = ((pixels >= 0) & (pixels < (width, height))).all(-1)
    people, joints = np.nonzero(inside & (keypoint_scores > _LEAST_SCORE))
    middles = pixels[people, joints].astype(np.int64)
    fit = _fit_gaussians(*_windows(values, joints, middles))
    at = people[fit.succeeded], joints[fit.succeeded]
    matched[at] = (middles + fit.centres)[fit.succeeded]
    return matched


def _peak_points(maps: Tensor) -> Array:
    """Return (J, 30, 2) float64: x and y of each map's peaks, infinity where there are fewer."""
    peaks = find_peaks(maps, _WINDOW, _MOST, least=0.0)
    channels, rows, columns = (t.cpu().numpy() for t in peaks[:3])
    points = np.full((len(maps), _MOST, 2), np.inf)
    rank = np.arange(len(channels)) - np.searchsorted(channels, channels)
    points[channels, rank] = np.stack([columns, rows], axis=1)
    return points


def _to_nearest(points: Array, peaks: Array) -> Array:
    """Return the points, moved to the nearest peaks where those are near enough."""
    distances = np.linalg.norm(points[:, :, None] - peaks, axis=-1)
    nearest = distances.argmin(axis=2)[..., None]
    near = np.take_along_axis(distances, nearest, axis=2) < _FARTHEST
    return np.where(near, peaks[np.arange(len(peaks)), nearest[..., 0]], points)


def _windows(maps: Array, joints: Array, middles: Array) -> tuple[Array, Array]:
    """Return the values in F windows, (F, 13 * 13) row by row, and which lie on the map."""
    steps = np.arange(-_REACH, _REACH + 1)
    height, width = maps.shape[1:]
    columns = (middles[:, :1] + steps)[:, None]
    rows = (middles[:, 1:] + steps)[:, :, None]
    on_map = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    values = maps[joints[:, None, None], rows.clip(0, height - 1), columns.clip(0, width - 1)]
    flat = (len(joints), len(steps) ** 2)
    return values.reshape(flat), on_map.reshape(flat)


# Steps that go too far make numbers that are none, and are taken back.
@np.errstate(all="ignore")
def _fit_gaussians(values: Array, counts: Array) -> _Fit:
    """Return the centres of A exp(-r² / (2 s²)) of least squared error in all windows at once.

    Levenberg and Marquardt's steps, from the value in the middle and a sigma of 2 px; each window
    has a damping of its own.

    Args:
        values: (F, 13 * 13).
        counts: (F, 13 * 13) bool, whether a value counts.
    """
    parameters = np.tile([0.0, 0.0, 0.0, _SIGMA], (len(values), 1))
    parameters[:, 0] = values[:, values.shape[1] // 2]
    residuals, slopes = _errors(parameters, values, counts)
    costs = (residuals**2).sum(1)
    damping = np.full(len(values), 1e-3)
    succeeded = np.zeros(len(values), bool)
    for _ in range(_STEPS):
        active = np.flatnonzero(~succeeded)
        if not len(active):
            break
        slope = slopes[active]
        curvature = slope.transpose(0, 2, 1) @ slope
        diagonal = np.einsum("fii->fi", curvature)
        # The tiny part keeps matrices regular where a parameter has no effect.
        diagonal += damping[active, None] * diagonal + np.finfo(np.float64).tiny
        gradient = np.einsum("fpi,fp->fi", slope, residuals[active])
        tried = parameters[active] + np.linalg.solve(curvature, gradient[..., None])[..., 0]
        new_residuals, new_slopes = _errors(tried, values[active], counts[active])
        new_costs = (new_residuals**2).sum(1)
        gain = costs[active] - new_costs
        better = gain >= 0
        done = (better & (gain <= _LEAST_GAIN * costs[active])) | (damping[active] >= _DAMPING[1])
        taken = active[better]
        parameters[taken], costs[taken] = tried[better], new_costs[better]
        residuals[taken], slopes[taken] = new_residuals[better], new_slopes[better]
        factors = np.where(better, 0.1, 10.0)
        damping[active] = (damping[active] * factors).clip(*_DAMPING)
        succeeded[active] = done
    centres = parameters[:, 1:3]
    return _Fit(centres, succeeded & (np.abs(centres) <= _REACH).all(1))


def _errors(parameters: Array, values: Array, counts: Array) -> tuple[Array, Array]:
    """Return (F, 169) values minus the Gaussians', and the Gaussians' (F, 169, 4) derivatives."""
    steps = np.arange(-_REACH, _REACH + 1.0)
    height, x, y, sigma = (p[:, None] for p in parameters.T)
    dx, dy = np.tile(steps, len(steps)) - x, np.repeat(steps, len(steps)) - y
    squared = dx**2 + dy**2
    unit = np.where(counts, np.exp(-squared / (2 * sigma**2)), 0)
    gaussian = height * unit
    slopes = [
        unit,
        gaussian * dx / sigma**2,
        gaussian * dy / sigma**2,
        gaussian * squared / sigma**3,
    ]
    return np.where(counts, values, 0) - gaussian, np.stack(slopes, axis=-1)
