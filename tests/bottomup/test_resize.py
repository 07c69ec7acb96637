"""Resizing: against the official construction, by hand, and images of extreme shapes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.bottomup.resize import resize, resized_size, to_image_points
from tests.bottomup.goldens import IMAGE, RESIZED, read_golden

sides = st.integers(1, 2000)


def official(
    image_size: tuple[int, int], short_side: int, scale: float, smallest: float
) -> tuple[tuple[int, int], np.ndarray]:
    """Return size and affine map by steps 2 and 3 of the reference's description."""
    height, width = image_size
    base = int((smallest * short_side + 63) // 64 * 64)
    if width < height:
        w = int(base * scale / smallest)
        h = int(int((base / width * height + 63) // 64 * 64) * scale / smallest)
        extent = width
    else:
        h = int(base * scale / smallest)
        w = int(int((base / height * width + 63) // 64 * 64) * scale / smallest)
        extent = w / h * height
    centre = np.array([int(width / 2 + 0.5), int(height / 2 + 0.5)], np.float64)
    # Three points: the centre, one above it, and one left of that, of both images.
    source = np.stack([centre, centre - (0, extent / 2), centre - (extent / 2, extent / 2)])
    target = np.array([[w / 2, h / 2], [w / 2, h / 2 - w / 2], [0, h / 2 - w / 2]])
    return (h, w), cv2.getAffineTransform(source.astype(np.float32), target.astype(np.float32))


@given(
    height=sides,
    width=sides,
    short_side=st.sampled_from([256, 512, 640]),
    scales=st.sampled_from([(0.5, 0.5), (1, 0.5), (2, 0.5), (0.5, 1), (1, 1), (2, 1)]),
)
def test_sizes_and_places_are_the_official_ones(
    height: int, width: int, short_side: int, scales: tuple[float, float]
) -> None:
    size, affine = official((height, width), short_side, *scales)
    assert resized_size((height, width), short_side, *scales) == size
    resized = np.array([[0.0, 0.0], [size[1], 0.0], [size[1] / 3, size[0]]])
    back = to_image_points(resized, (height, width), size)
    tolerance = 1e-5 * max(*size, height, width)
    assert np.abs(back @ affine[:, :2].T + affine[:, 2] - resized).max() < tolerance


@pytest.mark.parametrize("name", ["dekr-crowdpose", "pinet-crowdpose"])
def test_the_reference_s_size(shared: Path, name: str) -> None:
    settings = read_golden(shared, name)[0]["settings"]
    assert (settings["image_height"], settings["image_width"]) == IMAGE
    assert (settings["resized_height"], settings["resized_width"]) == RESIZED
    assert resized_size(IMAGE, settings["input_size"]) == RESIZED


@pytest.mark.parametrize("turned", [False, True])
def test_the_image_lies_in_the_middle_and_keeps_its_proportions(turned: bool) -> None:
    image = np.zeros((240, 290, 3), np.uint8)
    image[100:110, 60:70] = 255
    if turned:
        image = image.transpose(1, 0, 2)
    shape = (image.shape[0], image.shape[1])
    size = resized_size(shape, 256)
    resized = resize(image, size)
    assert resized.shape == (*size, 3)
    light = resized[..., 0].astype(np.float64)
    y, x = (np.average(np.arange(n), weights=light.sum(1 - i)) for i, n in enumerate(size))
    middle = to_image_points(np.array([x, y]), shape, size)
    assert middle == pytest.approx([104.5, 64.5] if turned else [64.5, 104.5], abs=0.02)
    # 10 pixels by 16 / 15.
    assert light.sum() == pytest.approx(255 * (160 / 15) ** 2, rel=1e-2)


def test_the_border_is_black() -> None:
    # 290 pixels become 309 of the canvas's 320.
    resized = resize(np.full((240, 290, 3), 200, np.uint8), (256, 320))
    assert not resized[:, :5].any()
    assert not resized[:, -5:].any()
    # The last row lies between the image's and the black below it.
    assert (resized[:-1, 7:-7] == 200).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 2), (300, 20)])
def test_small_and_long_images(shape: tuple[int, int]) -> None:
    size = resized_size(shape, 64)
    resized = resize(np.full((*shape, 3), 255, np.uint8), size)
    assert resized.shape == (*size, 3)
    assert min(size) == 64
    # The middle of the canvas shows the pixel that the image's size, halved, names; it may be one
    # that the image no longer has.
    assert to_image_points(np.array(size[::-1]) / 2, shape, size).tolist() == [
        (shape[1] + 1) // 2, (shape[0] + 1) // 2,
    ]  # fmt: skip
    assert resized.any()


def test_a_square_image_gets_a_square_canvas() -> None:
    assert resized_size((333, 333), 512) == (512, 512)
    assert resized_size((333, 333), 512, scale=2) == (1024, 1024)


def test_halves_of_sizes() -> None:
    # At half the scale a side is a multiple of 32, unless sizes are rounded there.
    assert resized_size((480, 640), 512, scale=0.5) == (256, 352)
    assert resized_size((480, 640), 512, scale=0.5, smallest=0.5) == (256, 384)
    assert resized_size((480, 640), 512, scale=2, smallest=0.5) == (1024, 1536)
