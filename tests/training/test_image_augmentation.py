"""Cuts of images and what is in them move together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictors.topdown.crop import warp_crops
from predictors.training.augmentation import move_joints
from predictors.training.image_augmentation import MIDDLE, MILD, PUBLISHED, draw_cut

SIZE = (128, 128)
MIRROR = [1, 0]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("size", [(60, 100), (100, 60)])
def test_the_middle_of_the_image_fills_the_cut(size: tuple[int, int]) -> None:
    views, factor = draw_cut(size, SIZE, MIDDLE, rng())
    assert factor == pytest.approx(128 / 60)
    height, width = size
    corners = np.array([[width / 2, height / 2, 1], [width / 2 - 30, height / 2 - 30, 1]])
    assert views.maps[0] @ corners.T == pytest.approx(np.array([[64, 0], [64, 0]]))
    assert (views.mirrored.tolist(), views.angles.tolist()) == ([False], [0])


def test_a_mirrored_cut_is_the_other_one_turned_around_pixel_by_pixel() -> None:
    image = rng(1).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    one, two = (
        draw_cut((90, 120), SIZE, replace(MILD, flip_probability=p), rng(2))[0] for p in (0, 1)
    )
    assert (one.mirrored.tolist(), two.mirrored.tolist()) == ([False], [True])
    plain, mirrored = (warp_crops(image, views.maps, SIZE)[0].astype(int) for views in (one, two))
    assert abs(mirrored[:, ::-1] - plain).max() <= 8
    assert abs(mirrored - plain).max() > 50
    points = np.array([[[[10.0, 20, 2], [70, 80, 1]]]])
    straight, turned = (move_joints(points, views, MIRROR)[0, 0] for views in (one, two))
    assert turned[::-1, 0] == pytest.approx(127 - straight[:, 0])
    assert turned[::-1, 1:] == pytest.approx(straight[:, 1:])


@pytest.mark.parametrize("seed", range(6))
def test_joints_stay_on_what_they_mark(seed: int) -> None:
    image = np.zeros((300, 200, 3), np.uint8)
    image[148:153, 98:103] = 255
    views, factor = draw_cut((300, 200), SIZE, replace(PUBLISHED, shift=10), rng(seed))
    crop = warp_crops(image, views.maps, SIZE)[0, :, :, 0].astype(float)
    rows, columns = np.indices(SIZE)
    found = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    wanted = move_joints(np.array([[[[100.0, 150, 2]] * 2]]), views, MIRROR)[0, 0, 0, :2]
    assert found == pytest.approx(wanted, abs=0.15)
    # Nor does anything but the factor change sizes.
    assert crop.sum() / 255 == pytest.approx(25 * factor**2, rel=0.1)


def test_cuts_differ_as_far_as_they_may() -> None:
    drawn = [draw_cut((200, 400), SIZE, PUBLISHED, rng(seed)) for seed in range(400)]
    factors = np.array([factor for _, factor in drawn])
    sides = 128 / factors
    assert (sides.min() >= 150, sides.max() <= 300) == (True, True)
    assert (sides.min() < 155, sides.max() > 295) == (True, True)
    angles = np.concatenate([views.angles for views, _ in drawn])
    assert 29 < abs(angles).max() <= 30
    assert abs(angles.mean()) < 3
    share = np.mean([views.mirrored[0] for views, _ in drawn])
    assert 0.4 < share < 0.6
    # How far the middle of the image is from that of the cut, where neither is mirrored.
    shifts = np.array(
        [
            (views.maps[0] @ [200, 100, 1] - 64) * 200 / 128
            for views, _ in drawn
            if not views.mirrored[0]
        ]
    )
    # A turned square of 40 pixels to each side.
    assert 40 < np.hypot(*shifts.T).max() <= 40 * np.sqrt(2)
    assert abs(shifts.mean(axis=0)).max() < 5
