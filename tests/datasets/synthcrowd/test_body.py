import numpy as np
import pytest

from crowdbench.datasets.synthcrowd.body import ANGLES, Proportions, mirrored, place, within_limits
from crowdbench.datasets.synthcrowd.draws import Draws

ONE = np.ones(1)
FIRST = [0.6704722626516632, 0.1110146366693816, 0.5115090823948739]
AVERAGE = Proportions(ONE, ONE, ONE, ONE, ONE)


def posed(heading=0.0, **angles):
    values = np.zeros((1, len(ANGLES)))
    for name, value in angles.items():
        values[0, ANGLES.index(name)] = value
    bodies = place(np.array([1000.0]), AVERAGE, np.array([heading]), values)
    return {name: point[0].round(6).tolist() for name, point in bodies.points.items()}


def test_an_upright_body_by_hand():
    points = posed()
    assert points["pelvis"] == [0, 0, 0]
    assert points["thorax"] == [0, 288, 0]
    assert points["head_top"] == [0, 470, 0]
    assert points["left_shoulder"] == [112, 280, 0]
    assert points["left_wrist"] == [112, 280 - 186 - 146, 0]
    assert points["right_ankle"] == [-52, -491, 0]
    assert points["nose"] == [0, 318 + 78, 55]


@pytest.mark.parametrize(
    ("angles", "point", "expected"),
    [
        ({"left_shoulder_flexion": 90}, "left_elbow", [112, 280, 186]),  # forward
        ({"left_shoulder_abduction": 90}, "left_elbow", [298, 280, 0]),  # to the left
        ({"right_shoulder_abduction": 90}, "right_elbow", [-298, 280, 0]),
        ({"left_elbow": 90}, "left_wrist", [112, 280 - 186, 146]),  # the hand comes forward
        ({"right_hip_flexion": 90}, "right_knee", [-52, 0, 245]),
        ({"right_knee": 90}, "right_ankle", [-52, -245, -246]),  # the shin goes backward
        ({"left_hip_abduction": 90}, "left_knee", [297, 0, 0]),
        ({"pitch": 90}, "thorax", [0, 0, 288]),  # on the front
        ({"roll": 90}, "thorax", [-288, 0, 0]),  # on the right side
        ({"bend": 90}, "thorax", [0, 120, 168]),
    ],
)
def test_angles_turn_the_way_they_say(angles, point, expected):
    assert posed(**angles)[point] == pytest.approx(expected, abs=1e-5)


def test_the_heading_turns_the_whole_body():
    assert posed(heading=90)["nose"] == pytest.approx([55, 396, 0])
    assert posed(heading=90)["left_shoulder"] == pytest.approx([0, 280, -112])


def test_a_mirrored_body_is_the_mirror_image():
    angles = within_limits(60 * Draws(3).spread(4, len(ANGLES)))
    ones = np.ones(4)
    average = Proportions(ones, ones, ones, ones, ones)
    plain, other = (
        place(1700 * ones, average, 0 * ones, given) for given in (angles, mirrored(angles))
    )
    for name, point in plain.points.items():
        swapped = {"left": "right", "right": "left"}
        side, _, rest = name.partition("_")
        twin = f"{swapped[side]}_{rest}" if side in swapped else name
        np.testing.assert_allclose(other.points[twin] * (-1, 1, 1), point, atol=1e-9)


def test_draws_are_the_bits_of_pcg64():
    """Numbers written down once: a numpy that gave others would change the whole data set."""
    draws = Draws(1, 2, 3)
    assert draws.uniform(0, 1, 3).tolist() == FIRST
    assert 0 <= draws.integer(0, 3) <= 3
    assert draws.integers(5, 1000).max() == 4
    assert abs(draws.spread(10_000)).max() < 1
