"""Who is learned from together, and masks that move as the crops do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from predictors.topdown.crop import Frames
from predictors.topdown.position import position_masks
from predictors.training.augmentation import Views, view_maps
from predictors.training.grouping import chosen_persons, moved_masks

IMAGE, SIZE = (120, 200), (64, 48)


def at(*corners: tuple[float, float]) -> np.ndarray:
    """Return boxes with these corners, whose centres lie in another order."""
    sizes = np.linspace(90, 10, len(corners))
    return np.array([[x, y, size, size] for (x, y), size in zip(corners, sizes, strict=True)])


def test_few_persons_are_all_taken_and_nothing_is_drawn() -> None:
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    for n in range(4):
        assert chosen_persons(at(*[(0, 0)] * n), 3, rng).tolist() == list(range(n))
    assert rng.random() == same.random()


def test_those_are_taken_whose_corners_are_nearest_to_one_that_is_drawn() -> None:
    boxes = at((100, 0), (0, 0), (103, 4), (1, 3), (50, 0))
    rng = np.random.default_rng(0)
    seen = Counter(tuple(chosen_persons(boxes, 2, rng).tolist()) for _ in range(500))
    # 100 and 103 are each other's nearest, and so are 0 and 1; that of 50 is 1, by a little.
    assert set(seen) == {(0, 2), (1, 3), (3, 4)}
    assert seen[0, 2] == pytest.approx(200, abs=40)
    assert seen[3, 4] == pytest.approx(100, abs=30)


def test_the_one_that_is_drawn_is_among_them_beside_equal_corners() -> None:
    boxes = at(*[(7, 7)] * 6)
    rng = np.random.default_rng(0)
    seen = {tuple(chosen_persons(boxes, 2, rng).tolist()) for _ in range(200)}
    assert seen == {(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)}


def moved(boxes: np.ndarray, angle: float, mirrored: bool) -> np.ndarray:
    n = len(boxes)
    views = Views(np.zeros((n, 2, 3)), np.full(n, mirrored), np.full(n, angle))
    return moved_masks(position_masks(boxes, IMAGE, SIZE), views, IMAGE)


BOXES = np.array([[10.0, 20, 50, 60], [120, 5, 70, 110]])


def test_masks_stay_or_are_mirrored_pixel_by_pixel() -> None:
    masks = position_masks(BOXES, IMAGE, SIZE)
    assert np.array_equal(moved(BOXES, 0, mirrored=False), masks)
    assert np.array_equal(moved(BOXES, 0, mirrored=True), masks[:, :, ::-1])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [30.0, -50.0])
def test_masks_turn_as_crops_do(angle: float, mirrored: bool) -> None:
    """A crop whose frame is the whole image, turned, shows the box where the turned mask has it."""
    # Square, so that the mask has the crop's shape.
    size, image = (64, 64), (200, 200)
    frame = Frames(np.array([[99.5, 99.5]], np.float32), np.array([[1, 1]], np.float32))
    box = np.array([[60.0, 80, 60, 30]])
    maps = view_maps(frame, np.array([angle]), np.array([mirrored]), 200, size, "size-minus-one")
    views = Views(maps, np.array([mirrored]), np.array([angle]))
    found = moved_masks(position_masks(box, image, size), views, image)[0] / 255
    rows, columns = np.indices(size)
    middle = [(found * part).sum() / found.sum() for part in (columns, rows)]
    centre = maps[0] @ [90, 95, 1]
    assert middle == pytest.approx(centre, abs=0.5)
    # 60 x 30 pixels of the image.
    assert found.sum() == pytest.approx(60 * 30 * (64 / 200) ** 2, rel=0.08)
    spread = np.cov(np.stack([columns, rows]).reshape(2, -1), aweights=found.ravel())
    along = maps[0, :, 0] / np.linalg.norm(maps[0, :, 0])
    across = maps[0, :, 1] / np.linalg.norm(maps[0, :, 1])
    assert along @ spread @ along > 3 * (across @ spread @ across)


def test_a_stretched_mask_is_turned_in_the_image_not_in_the_mask() -> None:
    """Turned by 90 degrees, a wide box in the middle of a wide image is a high one."""
    found = moved(np.array([[70.0, 50, 59, 19]]), 90, mirrored=False)[0] > 127
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    # 60 of 120 rows and 20 of 200 columns.
    assert len(rows) == pytest.approx(32, abs=2)
    assert len(columns) == pytest.approx(4.8, abs=1.5)


def test_no_masks_stay_none() -> None:
    assert moved(BOXES[:0], 10, mirrored=False).shape == (0, *SIZE)
