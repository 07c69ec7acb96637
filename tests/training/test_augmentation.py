"""Crops and joints move together, as HRNet moves them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from crowdbench.skeletons import COCO_17, CROWDPOSE_14
from predictors.topdown.crop import (
    Convention,
    Frames,
    crop_persons,
    frames_of,
    to_output,
    warp_crops,
)
from predictors.training.augmentation import (
    HRNET,
    NONE,
    SIMPLEBASELINE,
    Augmentation,
    Views,
    draw_views,
    half_body,
    move_joints,
    view_maps,
)

SIZE = (128, 96)
WIDTH = 200
RNG = np.random.default_rng(0)
BOXES = np.concatenate([RNG.uniform(0, 100, (9, 2)), RNG.uniform(5, 90, (9, 2))], axis=1)
KEYPOINTS = np.concatenate([RNG.uniform(0, 150, (9, 17, 2)), np.full((9, 17, 1), 2.0)], axis=2)
NO = np.zeros(9, bool)
I2R: Convention = "size-minus-one"


def drawn(augmentation: Augmentation, seed: int = 0) -> Views:
    rng = np.random.default_rng(seed)
    return draw_views(BOXES, KEYPOINTS, WIDTH, COCO_17, SIZE, augmentation, rng)


def test_unchanged_crops_equal_those_of_the_predictors_exactly() -> None:
    frames = frames_of(BOXES, SIZE, "classical")
    wanted = to_output(frames, SIZE, "classical")
    assert np.array_equal(view_maps(frames, np.zeros(9), NO, WIDTH, SIZE), wanted)
    assert np.array_equal(drawn(NONE).maps, wanted)
    image = RNG.integers(0, 255, (150, WIDTH, 3), dtype=np.uint8)
    crops = crop_persons(image, frames, SIZE, "classical")
    assert np.array_equal(warp_crops(image, wanted, SIZE), crops)


def test_unchanged_crops_of_the_other_convention_equal_the_predictors_too() -> None:
    frames = frames_of(BOXES, SIZE, I2R)
    wanted = to_output(frames, SIZE, I2R)
    assert np.array_equal(view_maps(frames, np.zeros(9), NO, WIDTH, SIZE, I2R), wanted)
    rng = np.random.default_rng(0)
    for shared in (True, False):
        views = draw_views(
            BOXES, KEYPOINTS, WIDTH, COCO_17, SIZE, NONE, rng, I2R, shared=shared
        )  # fmt: skip
        assert np.array_equal(views.maps, wanted)


def test_mirrored_and_turned_crops_keep_the_middle_of_the_frame() -> None:
    """With size minus one it is (47.5, 63.5), in the mirror image too."""
    frames = frames_of(BOXES, SIZE, I2R)
    angles = np.linspace(-80, 80, 9)
    for mirrored in (NO, ~NO):
        maps = view_maps(frames, angles, mirrored, WIDTH, SIZE, I2R)
        middles = (maps[:, :, :2] @ frames.centres[:, :, None])[..., 0] + maps[:, :, 2]
        assert middles == pytest.approx(np.tile([47.5, 63.5], (9, 1)), abs=1e-4)
    # Mirrored and not turned: the crop's own mirror image, pixel for pixel.
    both = [view_maps(frames, np.zeros(9), m, WIDTH, SIZE, I2R) for m in (NO, ~NO)]
    assert both[1][:, 0] == pytest.approx([0, 0, 95] - both[0][:, 0], abs=1e-4)


def test_what_is_shared_is_drawn_once_for_all_persons() -> None:
    always = replace(NONE, half_body_probability=1)
    few = KEYPOINTS.copy()
    few[:4, 8:, 2] = 0
    seen = set()
    for seed in range(30):
        views = draw_views(
            BOXES, few, WIDTH, COCO_17, SIZE, HRNET, np.random.default_rng(seed), I2R, shared=True
        )  # fmt: skip
        assert len(set(views.mirrored)) == len(set(views.angles)) == 1
        straight = to_output(frames_of(BOXES, SIZE, I2R), SIZE, I2R)[:4, 0, 0]
        factors = straight / np.sqrt(np.abs(np.linalg.det(views.maps[:4, :, :2])))
        # Not quite the same, as one pixel is taken off after the factor.
        assert np.ptp(factors) < 0.03
        seen.add((views.mirrored[0], views.angles[0] != 0))
    assert len(seen) == 4
    rng = np.random.default_rng(0)
    maps = draw_views(BOXES, few, WIDTH, COCO_17, SIZE, always, rng, shared=True).maps
    changed = ~np.isclose(maps, drawn(NONE).maps).all(axis=(1, 2))
    assert changed.tolist() == [False] * 4 + [True] * 5


def test_a_frame_stays_large_enough_to_be_cropped() -> None:
    """With size minus one, a padded width of one pixel has no crop."""
    boxes = np.tile([50.0, 50, 0.9, 1.2], (200, 1))
    keypoints = np.full((200, 17, 3), 2.0)
    keypoints[..., 0] = np.linspace(50, 50.5, 17)
    rng = np.random.default_rng(0)
    shrinking = replace(NONE, scale=0.35, half_body_probability=0.5)
    views = draw_views(boxes, keypoints, WIDTH, COCO_17, SIZE, shrinking, rng, I2R)
    assert np.isfinite(views.maps).all()
    assert (np.linalg.det(views.maps[:, :, :2]) > 0).all()


def test_no_persons_have_no_views() -> None:
    rng = np.random.default_rng(0)
    for shared in (True, False):
        views = draw_views(
            BOXES[:0], KEYPOINTS[:0], WIDTH, COCO_17, SIZE, HRNET, rng, I2R, shared=shared
        )  # fmt: skip
        assert [part.shape for part in views.__dict__.values()] == [(0, 2, 3), (0,), (0,)]


@pytest.mark.parametrize("angle", [30.0, -75.0])
def test_turned_maps_equal_the_one_through_three_points(angle: float) -> None:
    """The official program fixes the map by three points, turned by the angle at their centre."""
    frames = frames_of(BOXES[:1], SIZE, "classical")
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    half = frames.scales[0, 0] * 200 / 2
    up = np.array([half * sine, -half * cosine])
    centre = frames.centres[0].astype(float)
    source = np.array([centre, centre + up, centre + up + [up[1], -up[0]]], np.float32)
    target = np.array([[48, 64], [48, 16], [0, 16]], np.float32)
    wanted = cv2.getAffineTransform(source, target)
    found = view_maps(frames, np.array([angle]), NO[:1], WIDTH, SIZE)[0]
    assert found == pytest.approx(wanted, abs=1e-3)


def test_a_mirrored_view_shows_the_mirrored_image_and_swaps_left_and_right() -> None:
    image = cv2.GaussianBlur(RNG.integers(0, 255, (150, WIDTH, 3), dtype=np.uint8), (9, 9), 3)
    frames = frames_of(BOXES, SIZE, "classical")
    angles = np.linspace(-80, 80, 9)
    found = view_maps(frames, angles, ~NO, WIDTH, SIZE)
    # As the official program: image and centre first.
    mirror_centres = frames.centres.copy()
    mirror_centres[:, 0] = WIDTH - 1 - mirror_centres[:, 0]
    mirrored = Frames(mirror_centres, frames.scales)
    maps = view_maps(mirrored, angles, NO, WIDTH, SIZE)
    wanted = warp_crops(image[:, ::-1].copy(), maps, SIZE)
    difference = warp_crops(image, found, SIZE).astype(int) - wanted
    assert np.abs(difference).mean() < 0.5
    # A joint of the mirrored image moves there by the plain map.
    moved = move_joints(KEYPOINTS, Views(found, ~NO, angles), COCO_17.partners)
    left, right = (COCO_17.keypoints.index(f"{side}_wrist") for side in ("left", "right"))
    x, y = KEYPOINTS[4, right, :2]
    assert moved[4, left, :2] == pytest.approx(maps[4] @ [WIDTH - 1 - x, y, 1], abs=1e-3)
    assert moved[4, 0, :2] == pytest.approx(
        maps[4] @ [WIDTH - 1 - KEYPOINTS[4, 0, 0], KEYPOINTS[4, 0, 1], 1], abs=1e-3
    )


def test_other_persons_joints_move_with_the_view_too() -> None:
    views = Views(drawn(HRNET).maps[:2], np.array([True, False]), np.zeros(2))
    pairs = np.stack([KEYPOINTS[:2], KEYPOINTS[2:4]], axis=1)
    mirror = COCO_17.partners
    moved = move_joints(pairs, views, mirror)
    assert np.array_equal(moved[:, 1], move_joints(KEYPOINTS[2:4], views, mirror))


def test_draws_stay_within_their_limits_and_have_their_shares() -> None:
    n = 4000
    boxes, few = np.tile(BOXES[:1], (n, 1)), np.zeros((n, 17, 3))
    rng = np.random.default_rng(1)
    views = draw_views(boxes, few, WIDTH, COCO_17, SIZE, HRNET, rng)
    straight = to_output(frames_of(boxes[:1], SIZE, "classical"), SIZE, "classical")[0, 0, 0]
    linear = views.maps[:, :, :2].copy()
    linear[views.mirrored, :, 0] *= -1
    factors = straight / np.sqrt(np.linalg.det(linear))
    angles = np.rad2deg(np.arctan2(linear[:, 0, 1], linear[:, 0, 0]))
    assert views.mirrored.mean() == pytest.approx(0.5, abs=0.03)
    assert (angles == 0).mean() == pytest.approx(0.4, abs=0.03)
    assert np.abs(angles).max() == pytest.approx(90)
    assert (np.abs(angles) > 45).sum() / (angles != 0).sum() == pytest.approx(0.317, abs=0.03)
    assert (factors.min(), factors.max()) == pytest.approx((0.65, 1.35), rel=1e-5)
    assert (factors == factors.min()).mean() == pytest.approx(0.159, abs=0.03)
    assert (SIMPLEBASELINE.rotation, SIMPLEBASELINE.scale) == (40, 0.3)
    assert SIMPLEBASELINE.half_body_probability == 0


def test_only_persons_with_more_than_eight_joints_are_cut_in_half() -> None:
    always = replace(NONE, half_body_probability=1)
    keypoints = KEYPOINTS.copy()
    keypoints[:4, 8:, 2] = 0
    keypoints[4:, 9:, 2] = 0
    rng = np.random.default_rng(0)
    found = draw_views(BOXES, keypoints, WIDTH, COCO_17, SIZE, always, rng).maps
    whole = drawn(NONE).maps
    assert np.array_equal(found[:4], whole[:4])
    assert not np.isclose(found[4:], whole[4:]).all(axis=(1, 2)).any()


class Fixed(np.random.Generator):
    """A generator whose normal numbers are all the same."""

    def __init__(self, value: float) -> None:
        super().__init__(np.random.PCG64(0))
        self._value = value

    def standard_normal(self, *_: object, **__: object) -> float:
        return self._value


def person(*names: str) -> np.ndarray:
    """Return a person with these joints, each at (10 k, 5 k) for its number k."""
    keypoints = np.zeros((17, 3))
    for name in names:
        k = COCO_17.keypoints.index(name)
        keypoints[k] = 10 * k, 5 * k, 2
    return keypoints


UPPER = ("nose", "left_shoulder", "right_wrist")
LOWER = ("left_hip", "left_knee", "right_ankle")


@pytest.mark.parametrize(
    ("names", "normal", "wanted"),
    [
        (UPPER + LOWER, 0.49, UPPER),
        (UPPER + LOWER, 0.5, LOWER),
        # Two joints are too few to be wanted ...
        (UPPER[:2] + LOWER, 0, LOWER),
        (UPPER + LOWER[:2], 1, UPPER),
        # ... but do where neither half has more; one does not.
        (UPPER[:2] + LOWER[:2], 1, UPPER[:2]),
        (UPPER[:1] + LOWER[:2], 1, None),
    ],
)
def test_half_a_body_is_framed_around_its_joints(
    names: tuple[str, ...], normal: float, wanted: tuple[str, ...] | None
) -> None:
    found = half_body(person(*names), COCO_17, SIZE, Fixed(normal))
    if wanted is None:
        assert found is None
        return
    assert found is not None
    k = [COCO_17.keypoints.index(name) for name in wanted]
    width = 10.0 * (max(k) - min(k))
    centre, scale = found
    assert centre == pytest.approx([10 * np.mean(k), 5 * np.mean(k)])
    # Wider than the crop's shape, so that the height follows.
    assert scale == pytest.approx([width * 1.5 / 200, width / 0.75 * 1.5 / 200])
    assert (centre.dtype, scale.dtype) == (np.float32, np.float32)


def test_joints_at_one_place_are_no_half_body() -> None:
    keypoints = np.full((17, 3), 2.0)
    assert half_body(keypoints, COCO_17, SIZE, Fixed(0)) is None


def test_the_upper_body_of_crowdpose_has_head_and_neck() -> None:
    keypoints = np.zeros((14, 3))
    keypoints[12:] = [[10, 20, 2], [10, 60, 2]]
    keypoints[0] = 10, 40, 2
    found = half_body(keypoints, CROWDPOSE_14, SIZE, Fixed(0))
    assert found is not None
    assert found[0].tolist() == [10, 40]
