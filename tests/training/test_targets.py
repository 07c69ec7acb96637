"""Target heatmaps equal those made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

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


def test_many_joints_at_once_are_each_as_alone() -> None:
    joints = np.random.default_rng(0).uniform(-10, 40, (3, 2, 5, 3))
    maps, weights = make_targets(joints, SIZE, 1)
    assert maps.shape == (3, 2, 5, 8, 6)
    for at in np.ndindex(3, 2, 5):
        alone = one(*joints[at][:2], labelled=joints[at][2])
        assert np.array_equal(maps[at], alone[0])
        assert weights[at] == alone[1]
