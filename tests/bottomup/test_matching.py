"""Matching of joints to peaks: against the reference, and on Gaussians whose centres are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from predictors.bottomup.matching import match
from predictors.bottomup.readings import Heat
from predictors.bottomup.regression import ScaleMaps, find
from predictors.bottomup.resize import to_image_points
from tests.bottomup.goldens import IMAGE, MIRROR, RESIZED, read_golden

SIZE = (48, 80)


def heat_of(*bumps: tuple[float, float, float, float]) -> Heat:
    """Return a map of the image's size with Gaussians: x, y, height, sigma."""
    x, y = np.arange(SIZE[1]), np.arange(SIZE[0])[:, None]
    maps = [h * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2)) for a, b, h, s in bumps]
    return Heat((torch.from_numpy(np.max(maps, axis=0))[None],), (1,))


def matched(heat: Heat, x: float, y: float, score: float = 1.0) -> list[float]:
    found = match(np.array([[[x, y]]]), np.array([[score]]), heat)
    assert found.shape == (1, 1, 2)
    return [float(value) for value in found[0, 0]]


def test_the_reference(shared: Path) -> None:
    golden, inputs = read_golden(shared, "dekr-crowdpose")
    stages = golden["stages"]
    left = np.array(stages["after_suppression"]["poses"])
    _, heat = find([ScaleMaps(1.0, **inputs)], MIRROR)
    ours = match(left[..., :2], left[..., 2], heat)
    wanted = np.array(stages["matched"])[..., :2]
    # There the release mixes up rows and columns.
    cut = tuple(np.transpose(stages["joints_with_non_square_fit_window"]))
    compared = np.ones(wanted.shape[:2], bool)
    compared[cut] = False
    assert np.abs(ours - wanted)[compared].max() < 1e-3
    in_image = to_image_points(ours, IMAGE, RESIZED)
    wanted_in_image = np.array(stages["matched_image_poses"])[..., :2]
    assert np.abs(in_image - wanted_in_image)[compared].max() < 1e-3


def test_with_scores_too_low_to_be_fitted_joints_lie_on_peaks(shared: Path) -> None:
    golden, inputs = read_golden(shared, "dekr-crowdpose")
    left = np.array(golden["stages"]["after_suppression"]["poses"])
    _, heat = find([ScaleMaps(1.0, **inputs)], MIRROR)
    ours = match(left[..., :2], np.full(left.shape[:2], 0.05), heat)
    assert np.array_equal(ours, np.array(golden["stages"]["absorbed"])[..., :2])


@pytest.mark.parametrize("height", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("sigma", [1.2, 2.0, 3.5])
def test_the_centre_of_a_gaussian(height: float, sigma: float) -> None:
    heat = heat_of((40.3, 20.8, height, sigma))
    assert matched(heat, 30.0, 25.0) == pytest.approx([40.3, 20.8], abs=1e-5)


@pytest.mark.parametrize(("x", "y"), [(1.3, 20.2), (78.4, 2.7), (0.2, 46.8)])
def test_windows_that_the_border_cuts_are_fitted_as_they_are(x: float, y: float) -> None:
    assert matched(heat_of((x, y, 1.0, 2.0)), x + 3, y) == pytest.approx([x, y], abs=1e-5)


def test_the_nearest_peak_not_the_highest() -> None:
    heat = heat_of((15.0, 20.0, 0.2, 2.0), (60.0, 20.0, 1.0, 2.0))
    assert matched(heat, 30.0, 20.0) == pytest.approx([15, 20], abs=0.05)
    assert matched(heat, 45.0, 20.0, score=0.0) == [60, 20]


def test_a_peak_75_px_away_is_too_far() -> None:
    heat = heat_of((76.0, 20.0, 1.0, 2.0))
    assert matched(heat, 1.5, 20.0, score=0.0) == [76, 20]
    assert matched(heat, 1.0, 20.0, score=0.0) == [1, 20]


def test_without_peaks_joints_stay() -> None:
    heat = Heat((torch.zeros(1, *SIZE, dtype=torch.float64),), (1,))
    assert matched(heat, 10.25, 7.5, score=0.0) == [10.25, 7.5]
    assert matched(heat, -10.25, 700.5) == [-10.25, 700.5]


def test_joints_outside_the_image_are_moved_to_peaks_and_fitted_there() -> None:
    heat = heat_of((5.3, 6.2, 1.0, 2.0))
    assert matched(heat, -8.0, -9.0) == pytest.approx([5.3, 6.2], abs=1e-5)


def test_nobody() -> None:
    heat = heat_of((5.3, 6.2, 1.0, 2.0))
    assert match(np.zeros((0, 1, 2)), np.zeros((0, 1)), heat).shape == (0, 1, 2)


def test_fits_of_noisy_windows_are_those_of_a_plain_solver() -> None:
    drawn = np.random.default_rng(0)
    heat = heat_of((20.3, 12.1, 1.0, 2.2), (55.7, 33.4, 0.6, 2.6), (52.0, 10.6, 0.8, 1.8))
    noisy = heat.maps[0] + torch.from_numpy(drawn.normal(0, 0.02, (1, *SIZE)))
    heat, values = Heat((noisy,), (1,)), noisy[0].numpy()
    peaks = [(20, 12), (56, 33), (52, 11)]
    steps = np.arange(-6, 7)
    for middle in peaks:
        x, y = (int(value) for value in matched(heat, *middle, score=0.0))
        window = values[y - 6 : y + 7, x - 6 : x + 7]

        def errors(p: np.ndarray, window: np.ndarray = window) -> np.ndarray:
            squared = (steps - p[1]) ** 2 + (steps[:, None] - p[2]) ** 2
            return np.ravel(p[0] * np.exp(-squared / (2 * p[3] ** 2)) - window)

        fit = least_squares(errors, [values[y, x], 0, 0, 2], method="lm")
        assert matched(heat, x, y) == pytest.approx([x + fit.x[1], y + fit.x[2]], abs=1e-4)


def test_whatever_the_maps_joints_stay_near_peaks() -> None:
    drawn = np.random.default_rng(0)
    points, scores = drawn.uniform(0, SIZE[::-1], (30, 5, 2)), drawn.uniform(size=(30, 5))
    noise = torch.from_numpy(drawn.standard_normal((5, *SIZE)))
    for maps in (noise, noise * 1e-6, noise * 1e6, (noise > 2.5).double()):
        heat = Heat((maps,), (1,))
        on_peaks, ours = match(points, scores * 0, heat), match(points, scores, heat)
        # No fit goes farther than its window, which lies around the peak.
        assert np.abs(ours - on_peaks).max() <= 6
        assert not np.array_equal(ours, on_peaks)
