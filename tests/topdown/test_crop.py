"""Crops: by hand, against the reference, and as maps that lead there and back."""

from __future__ import annotations

import typing
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.errors import InputError
from predictors.topdown.crop import (
    Convention,
    Frames,
    clip_annotated,
    crop_persons,
    frames_of,
    has_map,
    to_image,
    to_image_points,
    to_output,
)
from tests.topdown.goldens import HEATMAP, IMAGE, INPUT, NAMES, read_golden

CONVENTIONS: tuple[Convention, ...] = typing.get_args(Convention)
both = pytest.mark.parametrize("convention", CONVENTIONS)
every_golden = pytest.mark.parametrize("name", NAMES)

CORNERS = np.array([[0, 0, 1], [639, 0, 1], [0, 479, 1], [639, 479, 1]]).T


def noise_image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*IMAGE, 3), dtype=np.uint8)


def boxes_of(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(boxes, float).reshape(-1, 4)


@st.composite
def drawn_boxes(draw: st.DrawFn) -> np.ndarray:
    """Draw boxes inside, across and beyond the border, down to a size of one pixel."""
    n = draw(st.integers(0, 6))
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    sizes = 1 + rng.uniform(0, 1, (n, 2)) ** 3 * 600
    return np.concatenate([rng.uniform(-200, 800, (n, 2)), sizes], axis=1)


@st.composite
def drawn_frames(draw: st.DrawFn) -> tuple[Frames, Convention]:
    convention = draw(st.sampled_from(CONVENTIONS))
    return frames_of(draw(drawn_boxes()), INPUT, convention), convention


def test_annotated_boxes_lose_a_pixel_in_the_classical_convention_alone() -> None:
    boxes = boxes_of((10, 20, 30, 40), (-5, -6, 30, 40), (90, 80, 30, 40), (3, 4, 0.5, 0))
    classical, kept = clip_annotated(boxes, 100, 90, "classical")
    assert classical.tolist() == [
        [10, 20, 29, 39],
        [0, 0, 29, 39],
        [90, 80, 9, 9],
        [3, 4, 0, 0],
    ]
    assert kept.all()
    other, kept = clip_annotated(boxes, 100, 90, "size-minus-one")
    assert other.tolist() == [
        [10, 20, 30, 40],
        [0, 0, 30, 40],
        [90, 80, 10, 10],
        [3, 4, 1, 1],
    ]
    assert kept.all()


@both
def test_annotated_boxes_beyond_their_own_image_are_not_kept(convention: Convention) -> None:
    boxes = boxes_of((99, 0, 5, 5), (99.5, 0, 5, 5), (99.5, 0, 5, 5), (0, 90, 5, 5))
    widths, heights = np.array([100, 100, 200, 100]), np.array([90, 90, 90, 90])
    assert clip_annotated(boxes, widths, heights, convention)[1].tolist() == [
        True, False, True, False,
    ]  # fmt: skip


def test_frames_enlarge_the_shorter_side_and_add_a_margin() -> None:
    boxes = boxes_of((10, 20, 30, 80), (10, 20, 60, 8), (0, 0, 30, 40))
    frames = frames_of(boxes, (256, 192), "classical")
    assert frames.centres.dtype == frames.scales.dtype == np.float32
    assert frames.centres.tolist() == [[25, 60], [40, 24], [15, 20]]
    assert frames.scales.tolist() == [[0.375, 0.5], [0.375, 0.5], [0.1875, 0.25]]
    assert frames.areas.tolist() == [7500, 7500, 1875]
    other = frames_of(boxes, (256, 192), "size-minus-one")
    assert other.centres.tolist() == [[24.5, 59.5], [39.5, 23.5], [14.5, 19.5]]
    np.testing.assert_array_equal(other.scales, frames.scales)


def test_the_classical_map_scales_sizes_and_the_other_one_distances() -> None:
    # Padded to 100 by 125: half of 48 over half of 100, or half of 47 over half of 99.
    boxes = boxes_of((60, 50, 80, 100))
    size = (60, 48)
    classical = frames_of(boxes, size, "classical")
    np.testing.assert_allclose(
        to_output(classical, size, "classical")[0],
        [[0.48, 0, 24 - 0.48 * 100], [0, 0.48, 30 - 0.48 * 100]],
        atol=1e-5,
    )
    other = frames_of(boxes, size, "size-minus-one")
    np.testing.assert_allclose(
        to_output(other, size, "size-minus-one")[0],
        [[47 / 99, 0, 23.5 - 47 / 99 * 99.5], [0, 47 / 99, 29.5 - 47 / 99 * 99.5]],
        atol=1e-5,
    )


@pytest.mark.parametrize(("convention", "ratio"), [("classical", 4), ("size-minus-one", 191 / 47)])
def test_crop_and_heatmap_differ_by_a_factor(convention: Convention, ratio: float) -> None:
    frames = frames_of(boxes_of((60, 50, 80, 100)), INPUT, convention)
    crop, heatmap = (to_output(frames, size, convention)[0] for size in (INPUT, HEATMAP))
    np.testing.assert_allclose(crop[0], ratio * heatmap[0])


@every_golden
def test_frames_equal_the_reference_to_the_last_bit(shared: Path, name: str) -> None:
    golden = read_golden(shared, name)
    clipped, kept = clip_annotated(golden.boxes, IMAGE[1], IMAGE[0], golden.convention)
    assert kept.all()
    for boxes, key in ((golden.boxes, "as_detection"), (clipped, "as_ground_truth")):
        frames = frames_of(boxes, INPUT, golden.convention)
        np.testing.assert_array_equal(frames.centres, golden.of_boxes(key, "center"))
        np.testing.assert_array_equal(frames.scales, golden.of_boxes(key, "scale"))


@every_golden
def test_maps_equal_the_reference_anywhere_in_the_image(shared: Path, name: str) -> None:
    golden = read_golden(shared, name)
    ours = to_output(golden.frames, INPUT, golden.convention)
    np.testing.assert_allclose(
        ours @ CORNERS, golden.of_boxes("crop_affine") @ CORNERS, rtol=0, atol=1e-9
    )
    ours = to_image(golden.frames, HEATMAP, golden.convention)
    corners = CORNERS * np.array([[47 / 639], [63 / 479], [1]])
    np.testing.assert_allclose(
        ours @ corners, golden.of_boxes("heatmap_to_image_affine") @ corners, rtol=0, atol=1e-9
    )


@every_golden
def test_crops_are_what_opencv_warps_by_the_reference_map(shared: Path, name: str) -> None:
    golden = read_golden(shared, name)
    image = noise_image()
    crops = crop_persons(image, golden.frames, INPUT, golden.convention)
    for crop, affine in zip(crops, golden.of_boxes("crop_affine"), strict=True):
        theirs = cv2.warpAffine(image, affine, INPUT[::-1], flags=cv2.INTER_LINEAR)
        assert np.abs(crop.astype(int) - theirs).max() <= 1


@both
def test_a_frame_of_the_crops_size_is_cut_out_unchanged(convention: Convention) -> None:
    image = noise_image()
    # With its margin the box is as large as the crop, 192 by 256, and starts at (100, 50). The half
    # pixels of the centre and of the crop's middle cancel.
    boxes = boxes_of((100 + 19.2, 50 + 25.6, 153.6, 204.8))
    crop = crop_persons(image, frames_of(boxes, INPUT, convention), INPUT, convention)[0]
    assert np.abs(crop.astype(int) - image[50:306, 100:292]).max() <= 1


@both
def test_crops_survive_borders_single_pixels_and_no_boxes(convention: Convention) -> None:
    image = np.full((*IMAGE, 3), 200, np.uint8)
    boxes = boxes_of(
        (-1000, -1000, 50, 50), (600, 400, 200, 300), (639, 479, 1, 1), (10, 10, 1, 1), (0, 0, 0, 9)
    )
    crops = crop_persons(image, frames_of(boxes, INPUT, convention), INPUT, convention)
    assert crops.shape == (5, 256, 192, 3)
    assert crops.dtype == np.uint8
    assert not crops[0].any()
    assert crops[1, 0, 0].tolist() == [200, 200, 200]
    assert not crops[1, -1, -1].any()
    assert (crops[3] == 200).all()
    nobody = frames_of(boxes_of(), INPUT, convention)
    assert crop_persons(image, nobody, INPUT, convention).shape == (0, 256, 192, 3)
    assert to_image_points(np.zeros((0, 17, 2)), nobody, HEATMAP, convention).shape == (0, 17, 2)


@both
def test_boxes_without_extent_have_no_map(convention: Convention) -> None:
    boxes = boxes_of((10, 10, 5, 5), (10, 10, 0, 0), (10, 10, 0, 5), (10, 10, 0.1, 0.1))
    frames = frames_of(boxes, INPUT, convention)
    # Less than a pixel even with its margin.
    tiny = convention == "classical"
    assert has_map(frames, convention).tolist() == [True, False, True, tiny]
    with pytest.raises(InputError, match="frame 1 has no extent"):
        to_output(frames, INPUT, convention)


def test_points_in_the_middle_of_the_heatmap_are_centres() -> None:
    boxes = boxes_of((10, 20, 30, 80), (-10, 20, 300, 80))
    middle = np.array([[[24.0, 32.0]]] * 2)
    frames = frames_of(boxes, INPUT, "classical")
    np.testing.assert_array_equal(
        to_image_points(middle, frames, HEATMAP, "classical")[:, 0], frames.centres
    )
    frames = frames_of(boxes, INPUT, "size-minus-one")
    np.testing.assert_array_equal(
        to_image_points(middle - 0.5, frames, HEATMAP, "size-minus-one")[:, 0], frames.centres
    )


@given(drawn_frames(), st.sampled_from([INPUT, HEATMAP, (96, 72)]))
def test_the_maps_lead_there_and_back(
    drawn: tuple[Frames, Convention], size: tuple[int, int]
) -> None:
    frames, convention = drawn
    points = np.random.default_rng(len(frames)).uniform(-10, 100, (len(frames), 5, 2))
    in_image = to_image_points(points, frames, size, convention)
    homogeneous = np.concatenate([points, np.ones((len(frames), 5, 1))], axis=2)
    by_map = homogeneous @ to_image(frames, size, convention).transpose(0, 2, 1)
    np.testing.assert_allclose(in_image, by_map, rtol=0, atol=1e-9)
    homogeneous[..., :2] = in_image
    back = homogeneous @ to_output(frames, size, convention).transpose(0, 2, 1)
    np.testing.assert_allclose(back, points, rtol=0, atol=1e-6)


@given(drawn_frames())
def test_the_map_is_opencvs_of_the_three_points(drawn: tuple[Frames, Convention]) -> None:
    frames, convention = drawn
    less = 1 if convention == "size-minus-one" else 0
    ours = to_output(frames, INPUT, convention)
    for centre, scale, affine in zip(frames.centres, frames.scales, ours, strict=True):
        half = (scale[0] * np.float32(200) - np.float32(less)) / np.float32(2)
        above = centre - np.array([0, half], np.float32)
        third = above - np.array([centre[1] - above[1], 0], np.float32)
        x, y = (192 - less) / 2, (256 - less) / 2
        theirs = cv2.getAffineTransform(
            np.array([centre, above, third]), np.array([[x, y], [x, y - x], [0, y - x]], np.float32)
        )
        # A box of one pixel is blown up to hundreds, so its far corners are thousands of px away.
        np.testing.assert_allclose(affine @ CORNERS, theirs @ CORNERS, rtol=1e-6, atol=1e-6)


@given(drawn_boxes(), st.sampled_from(CONVENTIONS))
def test_all_boxes_at_once_equal_one_at_a_time(boxes: np.ndarray, convention: Convention) -> None:
    image = noise_image()[:60, :80]
    size = (32, 24)
    frames = frames_of(boxes, size, convention)
    crops = crop_persons(image, frames, size, convention)
    for i, box in enumerate(boxes):
        alone = frames_of(box[None], size, convention)
        np.testing.assert_array_equal(alone.centres[0], frames.centres[i])
        np.testing.assert_array_equal(alone.scales[0], frames.scales[i])
        np.testing.assert_array_equal(crop_persons(image, alone, size, convention)[0], crops[i])
