"""Targets of whole images equal those made person by person, joint by joint, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictors.training.image_targets import Places, point_maps, pose_places, strongest

SIZE = (14, 18)


def people(seed: int, n: int, n_points: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-3, 20, (n, n_points, 2))
    return np.concatenate([points, rng.integers(0, 3, (n, n_points, 1))], axis=2)


@pytest.mark.parametrize("seed", range(4))
def test_maps_hold_the_highest_gaussian_at_the_exact_place(seed: int) -> None:
    points, sigmas = people(seed, 3, 4), np.array([1, 1, 0.5, 2])
    wanted = np.zeros((4, *SIZE))
    for person in points:
        for channel, (x, y, labelled) in enumerate(person):
            if not labelled or not (0 <= x < SIZE[1] and 0 <= y < SIZE[0]):
                continue
            s = sigmas[channel]
            for row in range(SIZE[0]):
                for column in range(SIZE[1]):
                    if (
                        math.floor(x - 3 * s - 1) <= column < math.ceil(x + 3 * s + 2)
                        and math.floor(y - 3 * s - 1) <= row < math.ceil(y + 3 * s + 2)
                    ):  # fmt: skip
                        value = math.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * s * s))
                        at = channel, row, column
                        wanted[at] = max(wanted[at], value)
    found = point_maps(points, SIZE, sigmas)
    assert found.dtype == np.float32
    assert found == pytest.approx(wanted, abs=1e-6)
    # Background is told by zeros, so that a Gaussian's edge must not be one.
    assert np.array_equal(found > 0, wanted > 0)
    assert wanted.any()


def test_without_persons_maps_are_empty() -> None:
    found = point_maps(np.zeros((0, 3, 3)), SIZE, np.ones(3))
    assert found.shape == (3, *SIZE)
    assert not found.any()


def naive_places(
    joints: np.ndarray, centres: np.ndarray, areas: np.ndarray, block: tuple[int, int]
) -> dict[tuple[int, int, int], dict[int, tuple[int, float, float]]]:
    """Return for each part, row and column, and for each joint, the person and the offset."""
    found: dict[tuple[int, int, int], dict[int, tuple[int, float, float]]] = {}
    inside = lambda p: p[2] > 0 and 0 <= p[0] < SIZE[1] and 0 <= p[1] < SIZE[0]  # noqa: E731
    for person in range(len(joints)):
        for part, centre in enumerate(centres[person]):
            if not inside(centre):
                continue
            for row in range(int(centre[1]) + block[0], int(centre[1]) + block[1] + 1):
                for column in range(int(centre[0]) + block[0], int(centre[0]) + block[1] + 1):
                    if not (0 <= row < SIZE[0] and 0 <= column < SIZE[1]):
                        continue
                    for joint, p in enumerate(joints[person]):
                        known = found.get((part, row, column), {}).get(joint)
                        if inside(p) and (known is None or areas[person] <= areas[known[0]]):
                            there = found.setdefault((part, row, column), {})
                            there[joint] = (person, column - p[0], row - p[1])
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("block", [(-2, 1), (-4, 3)])
def test_poses_are_learned_in_blocks_where_the_smaller_person_wins(
    seed: int, block: tuple[int, int]
) -> None:
    joints, centres = people(seed, 5, 3), people(seed + 10, 5, 2)
    # Two of the same area.
    areas, sizes = np.array([9.0, 4, 16, 4, 25]), np.array([3.0, 5, 7, 2, 1])
    found = pose_places(joints, centres, areas, sizes, SIZE, block)
    wanted = naive_places(joints, centres, areas, block)
    assert [tuple(place) for place in found.places.tolist()] == sorted(wanted)
    for row, place in enumerate(sorted(wanted)):
        for joint in range(3):
            if joint not in wanted[place]:
                assert found.weights[row, joint] == found.sizes[row, joint] == 0
                assert not found.offsets[row, joint].any()
                continue
            person, x, y = wanted[place][joint]
            assert found.offsets[row, joint] == pytest.approx([x, y], abs=1e-6)
            assert found.weights[row, joint] == pytest.approx(1 / math.sqrt(areas[person]))
            assert found.sizes[row, joint] == sizes[person]


def test_the_block_is_four_pixels_from_two_before_the_centre() -> None:
    joints = np.array([[[10.5, 5.25, 2], [3, 3, 0]]])
    centres = np.array([[[7.9, 6.2, 1]]])
    found = pose_places(joints, centres, np.array([4.0]), np.array([2.0]), SIZE, (-2, 1))
    assert found.places[:, 2].reshape(4, 4).tolist() == [[5, 6, 7, 8]] * 4
    assert found.places[:, 1].reshape(4, 4).T.tolist() == [[4, 5, 6, 7]] * 4
    assert found.offsets[0].tolist() == [[5 - 10.5, 4 - 5.25], [0, 0]]
    assert found.weights.tolist() == [[0.5, 0]] * 16


def test_nobody_gives_no_places() -> None:
    nothing = np.zeros((0, 2, 3))
    found = pose_places(nothing, nothing, np.zeros(0), np.zeros(0), SIZE, (-2, 1))
    assert [part.shape for part in found] == [(0, 3), (0, 2, 2), (0, 2), (0, 2)]
    assert strongest(found, np.zeros((2, *SIZE)), 2, 3).tolist() == [-1] * 6


def test_the_strongest_places_of_each_part_are_those_of_value_times_weight() -> None:
    at = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 2], [2, 1, 0], [2, 1, 1]])
    weights = np.array([[0.5, 0], [0.1, 0.4], [1, 0], [1, 1], [1, 1]], np.float32)
    maps = np.zeros((3, 2, 3), np.float32)
    maps[0, 0] = [0.9, 1, 0.3]
    maps[2, 1] = [0.7, 0.7, 0]
    places = Places(at, np.zeros((5, 2, 2)), weights, weights)
    # 0.45, 0.4 and 0.3; nothing; 0.7 twice.
    assert strongest(places, maps, 3, 2).tolist() == [0, 1, -1, -1, 3, 4]
    assert strongest(places, maps, 3, 1).tolist() == [0, -1, 3]
    assert strongest(places, maps, 3, 4).tolist() == [0, 1, 2, -1, -1, -1, -1, -1, 3, 4, -1, -1]
