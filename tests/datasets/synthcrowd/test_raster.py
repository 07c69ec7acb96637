import numpy as np
import pytest

from crowdbench.datasets.synthcrowd.picture import Intrinsics
from crowdbench.datasets.synthcrowd.raster import cover, nearest, project
from crowdbench.datasets.synthcrowd.solids import Solids

CAMERA = Intrinsics(100.0, 49.5, 39.5)
WIDTH, HEIGHT = 100, 80
MIDDLE = np.array([0.0, 0, 1000])


def solids(*rows):
    """Return solids of (start, end, start radius, end radius, is_cut)."""
    starts, ends, first, second, cut = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    return Solids(
        starts.astype(float), ends.astype(float), first.astype(float), second.astype(float),
        cut.astype(bool), np.arange(n), np.zeros(n, np.int64),
    )  # fmt: skip


def drawn(*rows):
    """Return what each pixel shows: the solid, or -1, and the depth."""
    found = solids(*rows)
    covered = cover(found, CAMERA, WIDTH, HEIGHT)
    buffer = nearest(covered, WIDTH * HEIGHT)
    shown = np.full(WIDTH * HEIGHT, -1)
    shown[buffer.pixels] = covered.solids[buffer.samples]
    return shown.reshape(HEIGHT, WIDTH), buffer.depths.reshape(HEIGHT, WIDTH)


def test_projection_by_hand():
    points = project(np.array([[0.0, 0, 1000], [100, -50, 1000], [100, -50, 2000]]), CAMERA)
    assert points.tolist() == [[49.5, 39.5], [59.5, 34.5], [54.5, 37.0]]


def test_a_ball_is_a_disc_that_bulges_towards_the_camera():
    shown, depths = drawn(((0, 0, 1000), (0, 0, 1000), 200, 200, False))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = np.hypot(x - 49.5, y - 39.5) < 20
    np.testing.assert_array_equal(shown == 0, inside)
    # Half a pixel off the middle the ball is 200 mm before its centre, by the rule of the buffer.
    assert depths[39, 49] == pytest.approx(1000 - 200, abs=0.3)
    assert np.isinf(depths[0, 0])
    assert depths[inside].max() < 1000


def test_what_is_nearer_hides_what_is_farther_whatever_the_order():
    near = ((100, 0, 1000), (100, 0, 1000), 100, 100, False)
    far = ((150, 0, 1500), (150, 0, 1500), 300, 300, False)
    shown, _ = drawn(near, far)
    swapped, _ = drawn(far, near)
    assert (shown == 0).sum() == (swapped == 1).sum() == pytest.approx(np.pi * 100, rel=0.03)
    assert (shown == 1).any()
    np.testing.assert_array_equal(shown == 1, swapped == 0)


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 137, 180, 270])
def test_the_area_of_a_limb_does_not_depend_on_its_direction(angle):
    turn = np.deg2rad(angle)
    way = np.array([np.cos(turn), np.sin(turn), 0]) * 150
    rounded, _ = drawn((MIDDLE - way, way + MIDDLE, 60, 60, False))
    cut, _ = drawn((MIDDLE - way, way + MIDDLE, 60, 60, True))
    assert (cut == 0).sum() == pytest.approx(30 * 12, rel=0.04)
    assert (rounded == 0).sum() == pytest.approx(30 * 12 + np.pi * 36, rel=0.03)


def test_the_hull_of_two_balls_covers_both():
    both, _ = drawn(((-200, 0, 1000), (200, 100, 1000), 150, 50, False))
    for ball in (((-200, 0, 1000), 150), ((200, 100, 1000), 50)):
        one, _ = drawn((ball[0], ball[0], ball[1], ball[1], False))
        assert ((one == 0) <= (both == 0)).mean() > 0.998


def test_solids_beyond_the_image_cover_nothing():
    shown, _ = drawn(
        ((-5000, 0, 1000), (-4000, 0, 1000), 50, 50, False),
        ((0, 3000, 1000), (0, 3000, 1000), 50, 50, False),
    )
    assert (shown == -1).all()
