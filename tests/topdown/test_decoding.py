"""Decoding: by hand, against the reference, against plain loops, and of known Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from predictors.topdown.crop import to_image_points
from predictors.topdown.decoding import decode_dark, decode_quarter_offset
from tests.topdown.goldens import HEATMAP, NAMES, read_golden

Decode = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

each_way = pytest.mark.parametrize("decode", [decode_quarter_offset, decode_dark])


def decoded(decode: Decode, heatmap: np.ndarray) -> tuple[list[float], float]:
    """Return the point and the score of one map."""
    points, scores = decode(torch.from_numpy(heatmap)[None, None])
    return points[0, 0].tolist(), scores[0, 0].item()


def with_peaks(height: int, width: int, *peaks: tuple[int, int, float]) -> np.ndarray:
    """Return a map of zeros with these values at these columns and rows."""
    heatmap = np.zeros((height, width))
    for x, y, value in peaks:
        heatmap[y, x] = value
    return heatmap


def gaussians(centres: np.ndarray, amplitudes: np.ndarray, sigma: float = 2.0) -> torch.Tensor:
    """Return (N, 1, 64, 48) maps of Gaussians at (N, 2) centres."""
    x, y = centres[:, :, None, None].transpose(1, 0, 2, 3)
    squared = (np.arange(48) - x) ** 2 + (np.arange(64)[:, None] - y) ** 2
    return torch.from_numpy(amplitudes[:, None, None] * np.exp(-squared / 2 / sigma**2))[:, None]


def plain_peak(heatmap: np.ndarray) -> tuple[int, int, float]:
    y, x = (int(i) for i in np.unravel_index(heatmap.argmax(), heatmap.shape))
    value = float(heatmap[y, x])
    return (x, y, value) if value > 0 else (0, 0, value)


def plain_quarter_offset(heatmap: np.ndarray) -> tuple[float, float]:
    height, width = heatmap.shape
    x, y, _ = plain_peak(heatmap)
    if not (1 < x < width - 1 and 1 < y < height - 1):
        return x, y
    return (
        x + 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1]),
        y + 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x]),
    )


def plain_dark(heatmap: np.ndarray) -> tuple[float, float] | None:
    """Return the point, or None where rounding decides: the Hessian is next to singular."""
    height, width = heatmap.shape
    x, y, value = plain_peak(heatmap)
    if not (1 < x < width - 2 and 1 < y < height - 2):
        return x, y
    smooth = cv2.GaussianBlur(np.pad(heatmap, 5), (11, 11), 0)[5:-5, 5:-5]
    logs = np.log(np.maximum(smooth * (value / smooth.max()), 1e-10))
    first = np.array([logs[y, x + 1] - logs[y, x - 1], logs[y + 1, x] - logs[y - 1, x]]) / 2
    mixed = logs[y + 1, x + 1] - logs[y - 1, x + 1] - logs[y + 1, x - 1] + logs[y - 1, x - 1]
    across = logs[y, x + 2] - 2 * logs[y, x] + logs[y, x - 2]
    down = logs[y + 2, x] - 2 * logs[y, x] + logs[y - 2, x]
    hessian = np.array([[across, mixed], [mixed, down]]) / 4
    determinant = hessian[0, 0] * hessian[1, 1] - hessian[0, 1] ** 2
    if determinant == 0:
        return x, y
    if abs(determinant) < 1e-8:
        return None
    step = -np.linalg.solve(hessian, first)
    return x + step[0], y + step[1]


@st.composite
def drawn_maps(draw: st.DrawFn) -> torch.Tensor:
    """Draw maps with noise, ties, plateaus, peaks at the border, and nothing positive."""
    n, k = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    sides = st.integers(1, 6) | st.integers(10, 20)
    height, width = draw(sides), draw(sides)
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    maps = np.empty((n, k, height, width))
    for i in np.ndindex(n, k):
        kind = draw(
            st.sampled_from(["noise", "ties", "plateau", "border", "negative", "zero", "blob"])
        )
        noise = rng.standard_normal((height, width))
        x, y = rng.integers(0, width), rng.integers(0, height)
        squared = (np.arange(width) - x) ** 2 + (np.arange(height)[:, None] - y) ** 2
        if kind == "noise":
            maps[i] = noise
        elif kind == "ties":
            maps[i] = rng.integers(-1, 3, (height, width))
        elif kind == "plateau":
            maps[i] = (np.maximum(noise, 0) * 0.1 if draw(st.booleans()) else 0) + 1.0 * (
                squared < rng.integers(1, 30)
            )
        elif kind == "border":
            maps[i] = np.abs(noise) * 0.1
            edge = rng.integers(0, 3)
            maps[i][:, min(edge, width - 1)] += rng.integers(0, 2)
            maps[i][max(height - 1 - edge, 0)] += rng.integers(0, 2)
        elif kind == "negative":
            maps[i] = -np.abs(noise) - 0.1
        elif kind == "zero":
            maps[i] = np.minimum(noise, 0)
        else:
            maps[i] = np.exp(-squared / 8) + 0.02 * noise
    return torch.from_numpy(maps)


def test_the_point_moves_a_quarter_towards_the_higher_neighbours() -> None:
    heatmap = with_peaks(8, 9, (4, 3, 0.9), (5, 3, 0.1), (4, 4, 0.2), (4, 2, 0.3))
    assert decoded(decode_quarter_offset, heatmap) == ([4.25, 2.75], 0.9)


def test_between_equal_neighbours_it_stays() -> None:
    assert decoded(decode_quarter_offset, with_peaks(8, 9, (4, 3, 0.9))) == ([4, 3], 0.9)


@pytest.mark.parametrize(
    ("x", "y", "moves"),
    [(1, 4, False), (2, 4, True), (7, 4, True), (8, 4, False), (4, 1, False), (4, 6, True)],
)
def test_a_quarter_is_added_strictly_inside_the_bounds(x: int, y: int, moves: bool) -> None:
    heatmap = with_peaks(8, 9, (x, y, 1), (x - 1, y, 0.5), (x, y - 1, 0.5))
    step = 0.25 if moves else 0
    assert decoded(decode_quarter_offset, heatmap)[0] == [x - step, y - step]


@pytest.mark.parametrize(
    ("x", "y", "moves"),
    [(1, 8, False), (2, 8, True), (14, 8, True), (15, 8, False), (8, 1, False), (8, 15, False)],
)
def test_dark_refines_strictly_inside_narrower_bounds(x: int, y: int, moves: bool) -> None:
    heatmap = with_peaks(17, 17, (x, y, 1), (x, y - 1, 0.5), (x - 1, y, 0.4))
    point = decoded(decode_dark, heatmap)[0]
    assert (point != [x, y]) is moves


def test_dark_steps_by_the_hessian_of_the_logarithm() -> None:
    # A single pixel blurs to the kernel, whose logarithm is -d²/8: the step is nought. With a
    # second pixel beside it, the logarithms along the row are those of two kernels' sum.
    assert decoded(decode_dark, with_peaks(21, 21, (10, 10, 1)))[0] == pytest.approx([10, 10])
    at = np.arange(-2, 3)
    row = np.log(np.exp(-(at**2) / 8) + 0.5 * np.exp(-((at - 1) ** 2) / 8))
    step = -(row[3] - row[1]) / 2 / ((row[4] - 2 * row[2] + row[0]) / 4)
    assert decoded(decode_dark, with_peaks(21, 21, (10, 10, 1), (11, 10, 0.5)))[0] == (
        pytest.approx([10 + step, 10])
    )


@each_way
def test_the_first_of_equal_maxima_is_taken_row_by_row(decode: Decode) -> None:
    heatmap = with_peaks(30, 30, (12, 4, 1), (4, 25, 1), (25, 4, 1), (25, 26, 1))
    assert decoded(decode, heatmap)[0] == pytest.approx([12, 4])


@each_way
@pytest.mark.parametrize("level", [0.0, -1.0])
def test_without_positive_values_the_point_is_the_corner(decode: Decode, level: float) -> None:
    heatmap = np.full((12, 12), level - 1)
    heatmap[6, 6] = level
    assert decoded(decode, heatmap) == ([0, 0], level)


@each_way
def test_nobody_and_maps_too_small_to_refine(decode: Decode) -> None:
    points, scores = decode(torch.zeros(0, 17, 64, 48))
    assert points.shape == (0, 17, 2)
    assert scores.shape == (0, 17)
    assert decoded(decode, np.ones((1, 1))) == ([0, 0], 1)
    assert decoded(decode, with_peaks(2, 3, (2, 1, 1))) == ([2, 1], 1)


@each_way
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_decoded_as_the_same_numbers_in_float32(
    decode: Decode, dtype: torch.dtype
) -> None:
    centres = np.random.default_rng(0).uniform(0, [47, 63], (50, 2))
    maps = gaussians(centres, np.linspace(0.1, 1, 50)).to(dtype)
    points, scores = decode(maps)
    assert points.dtype == scores.dtype == torch.float32
    wanted_points, wanted_scores = decode(maps.float())
    assert torch.equal(points, wanted_points)
    assert torch.equal(scores, wanted_scores)


@pytest.mark.parametrize("name", NAMES)
def test_decoded_points_equal_the_reference(shared: Path, name: str) -> None:
    golden = read_golden(shared, name)
    maps = golden.heatmaps()
    theirs = golden.content["decode"]
    quarter, _ = decode_quarter_offset(maps)
    np.testing.assert_array_equal(quarter.round().numpy(), theirs["argmax"])
    decode = decode_quarter_offset if golden.convention == "classical" else decode_dark
    keypoints = np.array(theirs["keypoints"])
    for dtype in (torch.float64, torch.float32):
        points, scores = decode(maps.to(dtype))
        in_image = to_image_points(
            points.double().numpy(), golden.frames, HEATMAP, golden.convention
        )
        # The reference rounds its points to float32, some 3e-5 px here.
        np.testing.assert_allclose(in_image, keypoints[..., :2], rtol=0, atol=1e-4)
        np.testing.assert_allclose(scores.double().numpy(), keypoints[..., 2], rtol=0, atol=1e-7)


@settings(max_examples=150)
@given(drawn_maps())
def test_the_quarter_offset_equals_a_plain_loop(maps: torch.Tensor) -> None:
    points, scores = decode_quarter_offset(maps)
    for i in np.ndindex(*maps.shape[:2]):
        heatmap = maps[i].numpy()
        assert tuple(points[i].tolist()) == plain_quarter_offset(heatmap)
        assert scores[i].item() == heatmap.max()


@settings(max_examples=150)
@given(drawn_maps())
def test_dark_equals_a_plain_loop(maps: torch.Tensor) -> None:
    points, scores = decode_dark(maps)
    for i in np.ndindex(*maps.shape[:2]):
        heatmap = maps[i].numpy()
        assert scores[i].item() == heatmap.max()
        wanted = plain_dark(heatmap)
        if wanted is not None:
            np.testing.assert_allclose(points[i].numpy(), wanted, rtol=1e-5, atol=1e-6)


@each_way
@settings(max_examples=50)
@given(maps=drawn_maps())
def test_all_persons_at_once_equal_one_at_a_time(decode: Decode, maps: torch.Tensor) -> None:
    points, scores = decode(maps)
    for i in range(len(maps)):
        alone_points, alone_scores = decode(maps[i : i + 1])
        torch.testing.assert_close(alone_points[0], points[i], rtol=0, atol=0)
        torch.testing.assert_close(alone_scores[0], scores[i], rtol=0, atol=0)


@each_way
@given(
    x=st.integers(1200, 2000),
    y=st.integers(1200, 2000),
    dx=st.integers(-4, 15),
    dy=st.integers(-4, 30),
    amplitude=st.floats(0.05, 1),
)
def test_the_point_moves_with_the_gaussian(
    decode: Decode, x: int, y: int, dx: int, dy: int, amplitude: float
) -> None:
    # Never halfway between pixels nor on one: rounding would choose between equal heights.
    first = np.array([x, y]) / 100 + 0.003
    centres = np.array([first, first + np.array([dx, dy])])
    points, _ = decode(gaussians(centres, np.full(2, amplitude)))
    assert (points[1, 0] - points[0, 0]).tolist() == pytest.approx([dx, dy], abs=1e-6)


@given(
    st.lists(st.tuples(st.floats(8, 39), st.floats(8, 55)), min_size=1, max_size=8),
    st.floats(0.05, 1),
    st.floats(1.5, 3),
)
def test_dark_finds_the_centres_of_gaussians(
    drawn: list[tuple[float, float]], amplitude: float, sigma: float
) -> None:
    centres = np.array(drawn)
    for dtype in (torch.float64, torch.float32):
        maps = gaussians(centres, np.full(len(centres), amplitude), sigma).to(dtype)
        points, _ = decode_dark(maps)
        np.testing.assert_allclose(points[:, 0].numpy(), centres, rtol=0, atol=0.02)
