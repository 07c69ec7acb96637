"""Position masks: boxes drawn in the whole image, which is stretched to the crop's size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from predictors.topdown.position import position_masks

IMAGE, SIZE = (90, 200), (32, 24)
BOXES = np.array([[20.7, 10.2, 60.5, 40.9], [100.0, 5, 99, 80], [0, 0, 30, 30]])


def test_masks_are_rectangles_of_the_whole_image_made_small() -> None:
    found = position_masks(BOXES, IMAGE, SIZE)
    assert (found.shape, found.dtype) == ((3, *SIZE), np.uint8)
    for mask, (left, top, right, bottom) in zip(
        found, [(20, 10, 81, 51), (100, 5, 199, 85), (0, 0, 30, 30)], strict=True
    ):
        whole = np.zeros(IMAGE, np.uint8)
        whole[top : bottom + 1, left : right + 1] = 255
        assert np.array_equal(mask, cv2.resize(whole, SIZE[::-1]))


def test_the_image_is_stretched_to_the_crop() -> None:
    # The right half of a wide image is the right half of the narrow mask.
    mask = position_masks(np.array([[100.0, 0, 100, 90]]), IMAGE, SIZE)[0]
    assert (mask[:, 13:] == 255).all()
    assert (mask[:, :11] == 0).all()


def test_each_mask_is_as_alone() -> None:
    together = position_masks(BOXES, IMAGE, SIZE)
    for row in range(3):
        assert np.array_equal(together[row], position_masks(BOXES[row, None], IMAGE, SIZE)[0])


def test_boxes_reach_beyond_the_image_as_far_as_they_like() -> None:
    boxes = np.array([[-1e12, -5, 3e12, 300], [250, 10, 30, 30], [-80, 10, 60, 30]])
    found = position_masks(boxes, IMAGE, SIZE)
    assert (found[0] == 255).all()
    assert not found[1:].any()


def test_no_boxes_give_no_masks() -> None:
    assert position_masks(np.empty((0, 4)), IMAGE, SIZE).shape == (0, *SIZE)


@pytest.mark.parametrize("row", range(3))
def test_a_mirrored_box_gives_the_mirrored_mask(row: int) -> None:
    x, y, w, h = np.trunc(BOXES[row])
    box, mirrored = [x, y, w, h], [IMAGE[1] - 1 - x - w, y, w, h]
    one, other = position_masks(np.array([box, mirrored]), IMAGE, SIZE)
    assert np.abs(one[:, ::-1].astype(int) - other).max() <= 1
