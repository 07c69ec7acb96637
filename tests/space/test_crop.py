"""Crops of 3DMPPE."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from crowdbench.structures import Array
from predictors.space.crop import crop_boxes, enlarged, sanitised, to_crop

SIZE = (256, 256)


def official_box(box: list[float], width: int, height: int) -> list[float] | None:
    """The official ``process_bbox``, line by line."""
    x, y, w, h = box
    x1, y1 = max(0, x), max(0, y)
    x2, y2 = min(width - 1, x1 + max(0, w - 1)), min(height - 1, y1 + max(0, h - 1))
    if not (w * h > 0 and x2 >= x1 and y2 >= y1):
        return None
    x, y, w, h = x1, y1, x2 - x1, y2 - y1
    middle_x, middle_y = x + w / 2, y + h / 2
    if w > h:
        h = w
    elif w < h:
        w = h
    w, h = w * 1.25, h * 1.25
    return [middle_x - w / 2, middle_y - h / 2, w, h]


def test_boxes_are_those_of_the_official_program() -> None:
    rng = np.random.default_rng(0)
    boxes = np.round(rng.uniform((-60, -60, -5, -5), (220, 170, 150, 150), (400, 4)), 1)
    found, keeps = sanitised(boxes, 200, 150)
    expected = [official_box(box, 200, 150) for box in boxes.tolist()]
    assert keeps.tolist() == [box is not None for box in expected]
    assert 100 < keeps.sum() < 350
    right = [box for box in expected if box is not None]
    np.testing.assert_allclose(enlarged(found[keeps], SIZE), right, rtol=0, atol=1e-12)


def test_a_box_of_one_pixel_leaves_nothing_to_crop_and_a_line_does() -> None:
    boxes = np.array([[30.0, 40, 1, 1], [30, 40, 1, 9], [30, 40, 9, 0]])
    found, keeps = sanitised(boxes, 100, 100)
    assert keeps.tolist() == [False, True, False]
    # 8 px high and of no width: a square of 10 px about (30, 44).
    assert enlarged(found[1:2], SIZE).tolist() == [[25, 39, 10, 10]]


def test_no_boxes_give_no_crops() -> None:
    none = np.zeros((0, 4))
    boxes, keeps = sanitised(none, 10, 10)
    assert (boxes.shape, keeps.shape, enlarged(boxes, SIZE).shape) == ((0, 4), (0,), (0, 4))
    assert crop_boxes(np.zeros((9, 9, 3), np.uint8), none, SIZE).shape == (0, 256, 256, 3)


@pytest.mark.parametrize("box", [[-25.0, 10, 100, 100], [5.5, -40.25, 64, 64], [10, 20, 50, 80]])
def test_a_crop_maps_the_boxs_centre_and_half_sides(box: list[float]) -> None:
    (affine,) = to_crop(np.array([box]), SIZE)
    x, y, w, h = box
    for dx, dy in ((0, 0), (1, 0), (0, -1), (-1, 1)):
        place = affine @ [x + w / 2 + dx * w / 2, y + h / 2 + dy * h / 2, 1]
        np.testing.assert_allclose(place, [128 + dx * 128, 128 + dy * 128], rtol=0, atol=1e-10)


def official_crop(image: Array, box: list[float]) -> Array:
    """The official ``generate_patch_image`` without augmentation, from three float32 points."""
    x, y, w, h = box
    middle = np.array([x + w / 2, y + h / 2], np.float32)
    down, right = np.array([0, h / 2], np.float32), np.array([w / 2, 0], np.float32)
    source = np.stack([middle, middle + down, middle + right]).astype(np.float32)
    target = np.array([[128, 128], [128, 256], [256, 128]], np.float32)
    return cv2.warpAffine(image, cv2.getAffineTransform(source, target), (256, 256), flags=1)


def test_pixels_are_the_official_ones_and_black_beyond_the_image() -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
    image = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
    boxes = np.array([[-25.0, 10, 100, 100], [60.3, 30.7, 90.5, 90.5]])
    crops = crop_boxes(image, boxes, SIZE)
    for crop, box in zip(crops, boxes.tolist(), strict=True):
        gaps = np.abs(crop.astype(int) - official_crop(image, box).astype(int))
        assert gaps.max() <= 2
    # Columns up to x = -1 show what is left of the image: (25 - 1) * 2.56 = 61.4.
    assert not crops[0][:, :61].any()
    assert crops[0][:, 70].any()
