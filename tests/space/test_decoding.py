"""From points of maps to the person in front of the camera."""

from __future__ import annotations

import numpy as np

from crowdbench.skeletons import MUPOTS_17
from predictors.space.decoding import (
    bins_of,
    cameras_of,
    depths_of,
    flip_averaged,
    root_depths,
    to_camera,
    to_image,
)


def test_a_pose_that_the_network_saw_exactly_is_got_back_exactly() -> None:
    rng = np.random.default_rng(0)
    cameras = np.array([[1500.0, 1490, 960, 540], [800, 900, 300.5, 200.25]])
    roots = np.array([[300.0, -200, 3500], [-900, 100, 6000]])
    joints = roots[:, None] + rng.uniform(-700, 700, (2, 17, 3))
    # As the network would see it: projected, in pixels of the map, in bins from the root.
    pixels = joints[..., :2] / joints[..., 2:] * cameras[:, None, :2] + cameras[:, None, 2:]
    boxes = np.array([[600.0, 100, 700, 700], [-200, -50, 512.5, 512.5]])
    points = (pixels - boxes[:, None, :2]) / boxes[:, None, 2:] * 64
    bins = ((joints[..., 2] - roots[:, 2:]) / 1000 + 1) / 2 * 64

    found = to_image(points, boxes, (64, 64))
    np.testing.assert_allclose(found, pixels, rtol=0, atol=1e-9)
    back = to_camera(found, depths_of(bins, 64, roots[:, 2]), cameras)
    np.testing.assert_allclose(back, joints, rtol=0, atol=1e-9)


def test_the_middle_bin_is_at_the_root_and_the_ends_a_metre_away() -> None:
    bins = np.array([[0.0, 16, 32, 63, 64]])
    found = depths_of(bins, 64, np.array([4000.0]))
    assert found.tolist() == [[3000, 3500, 4000, 4968.75, 5000]]
    assert depths_of(np.array([[8.0]]), 32, np.array([4000.0])).tolist() == [[3500]]


def test_mirrored_points_are_turned_back_and_left_and_right_swapped() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 63, (3, 17, 3))
    partners = np.array(MUPOTS_17.partners)
    # What a network that makes no mistake sees in the mirror image.
    mirrored = points.copy()
    mirrored[..., 0] = 63 - mirrored[..., 0]
    for a, b in ((2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13)):
        mirrored[:, [a, b]] = mirrored[:, [b, a]]
    before = mirrored.copy()
    np.testing.assert_allclose(flip_averaged(points, mirrored, partners, 64), points, atol=1e-12)
    np.testing.assert_array_equal(mirrored, before)
    moved = flip_averaged(points, mirrored + np.array([2, 4, 6]), partners, 64)
    np.testing.assert_allclose(moved, points + np.array([-1, 2, 3]), atol=1e-12)


def test_the_root_is_where_rootnets_distance_puts_it() -> None:
    camera, box = np.array([[1500.0, 1200, 960, 540]]), np.array([[100.0, 200, 400, 300]])
    # k = sqrt(2000 * 2000 * 1500 * 1200 / (400 * 300)) = sqrt(6e7)
    depth = root_depths(np.array([0.8]), box, camera)
    np.testing.assert_allclose(depth, [0.8 * 7745.966692414834], rtol=1e-15)
    # The middle of the map is the middle of the box, (300, 350).
    place = to_image(np.array([[[32.0, 32]]]), box, (64, 64))
    root = to_camera(place, depth[:, None], camera)
    x, y = (300 - 960) / 1500 * depth[0], (350 - 540) / 1200 * depth[0]
    np.testing.assert_allclose(root, [[[x, y, depth[0]]]], rtol=1e-15)


def test_a_person_twice_as_near_has_a_box_twice_as_large() -> None:
    camera = np.array([[1000.0, 1000, 0, 0]] * 2)
    boxes = np.array([[0.0, 0, 200, 200], [0, 0, 400, 400]])
    assert root_depths(np.ones(2), boxes, camera).tolist() == [10_000, 5000]


def test_cameras_are_assumed_where_they_are_not_known() -> None:
    rows, sizes = np.array([0, 1, 1]), np.array([[640, 480], [100, 60], [100, 60]])
    known = np.array([[np.nan] * 4, [700.0, 701, 50, 31]])
    assumed = [[1500, 1500, 320, 240], [1500, 1500, 50, 30], [1500, 1500, 50, 30]]
    assert cameras_of(None, rows, sizes).tolist() == assumed
    assert cameras_of(known, rows, sizes).tolist() == [assumed[0], *[[700, 701, 50, 31]] * 2]


def test_bins_and_depths_undo_each_other() -> None:
    depths = np.random.default_rng(0).uniform(-1500, 1500, (5, 17))
    roots = np.arange(5) * 1000.0
    found = depths_of(bins_of(depths, 64), 64, roots)
    assert np.abs(found - (depths + roots[:, None])).max() < 1e-9
