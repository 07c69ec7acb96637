"""Target heatmaps equal those made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from predictors.topdown.decoding import decode_dark
from predictors.training.targets import make_targets

SIZE = (32, 24)


def one(x: float, y: float, labelled: float = 2, sigma: float = 1) -> tuple[np.ndarray, float]:
    maps, weights = make_targets(np.array([[x, y, labelled]]), SIZE, sigma)
    assert maps.shape == (1, 8, 6)
    assert (maps.dtype, weights.dtype) == (np.float32, np.float32)
    return maps[0], float(weights[0])


def test_a_gaussian_stands_on_the_rounded_pixel_and_ends_after_three_sigma() -> None:
    # 9.9 / 4 + 0.5 is 2.975 and 14 / 4 + 0.5 is 4: column 2, row 4.
    found, weight = one(9.9, 14)
    wanted = np.zeros((8, 6))
    for row in range(1, 8):
        for column in range(6):
            wanted[row, column] = math.exp(-((row - 4) ** 2 + (column - 2) ** 2) / 2)
    assert weight == 1
    assert found == pytest.approx(wanted, abs=1e-7)
    assert found[4, 2] == 1
    assert not found[0].any()


def test_the_radius_is_cut_down_to_whole_pixels() -> None:
    found, _ = one(0, 0, sigma=1.5)
    assert found[4, 4] > 0
    assert not found[5].any()
    assert not found[:, 5].any()


@pytest.mark.parametrize("labelled", [1, 2])
def test_covered_joints_count_as_visible_ones_do(labelled: float) -> None:
    assert one(8, 8, labelled)[1] == 1


def test_a_joint_that_is_not_labelled_has_no_target() -> None:
    found, weight = one(8, 8, 0)
    assert (weight, found.max()) == (0, 0)


@pytest.mark.parametrize(
    ("x", "weight"),
    # Pixel int(x / 4 + 0.5), cut towards zero; the map has the columns 0 to 5, the radius is 3.
    [(-14.1, 1), (-17.9, 1), (-18.1, 0), (33.9, 1), (34.0, 0)],
)
def test_outside_a_joint_counts_as_long_as_its_gaussian_reaches_in(x: float, weight: int) -> None:
    found, counts = one(x, 8)
    assert counts == weight
    assert bool(found.any()) == bool(weight)


def unbiased(x: float, y: float, sigma: float = 1) -> tuple[np.ndarray, float]:
    maps, weights = make_targets(np.array([[x, y, 2.0]]), SIZE, sigma, "size-minus-one")
    assert (maps.dtype, weights.dtype) == (np.float32, np.float32)
    return maps[0], float(weights[0])


def test_an_unbiased_gaussian_stands_on_the_exact_place_and_does_not_end() -> None:
    # Distances between pixel centres: 31 rows of the crop are 7 of the heatmap, 23 columns are 5.
    x, y = 9.9 * 5 / 23, 14 * 7 / 31
    found, weight = unbiased(9.9, 14)
    wanted = [[math.exp(-((r - y) ** 2 + (c - x) ** 2) / 2) for c in range(6)] for r in range(8)]
    assert weight == 1
    assert found == pytest.approx(np.array(wanted), abs=1e-7)
    assert found.min() > 0
    assert found.max() < 1
    corner, _ = unbiased(23, 31)
    assert corner[7, 5] == 1


@pytest.mark.parametrize(
    ("x", "weight"), [(-13.7, 1), (-13.9, 0), (23 * 8 / 5 - 0.1, 1), (23 * 8 / 5 + 0.1, 0)]
)
def test_an_unbiased_joint_counts_as_far_as_three_sigma(x: float, weight: int) -> None:
    found, counts = unbiased(x, 8)
    assert counts == weight
    assert bool(found.any()) == bool(weight)


def test_dark_finds_the_place_of_an_unbiased_target() -> None:
    size = (128, 96)
    joints = np.random.default_rng(0).uniform(20, 75, (1, 17, 3))
    maps, _ = make_targets(joints, size, 1.5, "size-minus-one")
    points, scores = decode_dark(torch.from_numpy(maps), 5)
    factors = np.array([95 / 23, 127 / 31])
    assert points.numpy() * factors == pytest.approx(joints[..., :2], abs=0.05)
    assert scores.min() > 0.8


def test_many_joints_at_once_are_each_as_alone() -> None:
    joints = np.random.default_rng(0).uniform(-10, 40, (3, 2, 5, 3))
    maps, weights = make_targets(joints, SIZE, 1)
    assert maps.shape == (3, 2, 5, 8, 6)
    for at in np.ndindex(3, 2, 5):
        alone = one(*joints[at][:2], labelled=joints[at][2])
        assert np.array_equal(maps[at], alone[0])
        assert weights[at] == alone[1]
