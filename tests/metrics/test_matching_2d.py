"""Who is whom in MuPoTS-3D: by hand, against the official code's answers, and a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crowdbench.metrics.matching_2d import match_by_keypoints
from crowdbench.structures import Array
from tests.benchmarks.pose3d import match_frame
from tests.metrics.mupots_reference import SETS, SOURCES, load_reference, of_frames

# Of mupots-17, those that matching doesn't look at: top of the head, pelvis, spine, head.
NOT_LOOKED_AT = [0, 14, 15, 16]


def at(x: float, y: float = 500) -> Array:
    """Return 17 keypoints in one place."""
    return np.full((17, 2), (x, y), float)


def shifted(pose: Array, joints: list[int], x: float, y: float = 0) -> Array:
    """Return a pose of which some keypoints are moved."""
    moved = pose.copy()
    moved[joints] += (x, y)
    return moved


def match(persons: list[Array], poses: list[Array]) -> list[int]:
    """Return the pose of each person of one image."""
    found = match_by_keypoints(
        np.array(persons), np.zeros(len(persons), int), np.array(poses), np.zeros(len(poses), int)
    )
    assert found.dtype == np.int64
    return found.tolist()


def test_a_keypoint_agrees_strictly_within_40_pixels_along_both_axes() -> None:
    person = at(500)
    assert match([person], [person]) == [0]
    for x, y in ((39.99, 0), (0, -39.99), (39.99, 39.99), (-39.99, 39.99)):
        assert match([person], [at(500 + x, 500 + y)]) == [0]
    for x, y in ((40, 0), (-40, 0), (0, 40), (0, -40), (40, 40), (39.99, 40.01)):
        assert match([person], [at(500 + x, 500 + y)]) == [-1]


@pytest.mark.parametrize("joint", range(17))
def test_one_agreeing_keypoint_is_enough_but_not_each_counts(joint: int) -> None:
    pose = at(5000)
    pose[joint] = 500
    assert match([at(500)], [pose]) == [-1 if joint in NOT_LOOKED_AT else 0]


def test_persons_choose_in_their_order_even_what_suits_another_better() -> None:
    # Both poses are within reach of both persons; the first takes the one with more keypoints near
    # although that is the second person's.
    first, second = at(500), at(530)
    near_first = shifted(first, [1, 2, 3], 200)
    assert match([first, second], [second, near_first]) == [0, 1]
    assert match([second, first], [second, near_first]) == [0, 1]
    # With nothing left, the second person stays alone.
    assert match([first, second], [second]) == [0, -1]


def test_the_first_of_equally_good_poses_is_taken_then_the_next() -> None:
    person = at(500)
    assert match([person], [at(510), at(500)]) == [0]
    assert match([person, person, person], [at(510), at(500)]) == [0, 1, -1]
    # One keypoint more beats the order.
    assert match([person], [shifted(person, [7], 40), person]) == [1]


def test_a_keypoint_at_the_origin_was_not_found_but_one_zero_alone_is_a_place() -> None:
    corner = at(10, 10)
    assert match([corner], [at(0, 0)]) == [-1]
    assert match([corner], [at(0, 10)]) == [0]
    assert match([corner], [at(10, 0)]) == [0]
    # Of a pose that was found in part, the rest counts.
    pose = at(0, 0)
    pose[[4, 5]] = 12
    assert match([corner, corner], [pose, corner]) == [1, 0]


def test_a_keypoint_without_a_number_agrees_with_nothing() -> None:
    pose = at(500)
    pose[:] = np.nan
    assert match([at(500)], [pose]) == [-1]
    pose[5] = 500
    assert match([at(500)], [pose]) == [0]


def test_every_image_is_matched_by_itself() -> None:
    person = at(500)
    persons, poses = np.array([person] * 4), np.array([person] * 5)
    # Images 0, 3 and 7 have persons; 0, 1, 3 and 9 poses.
    found = match_by_keypoints(persons, np.array([0, 3, 3, 7]), poses, np.array([0, 0, 1, 3, 9]))
    assert found.tolist() == [0, 3, -1, -1]


@pytest.mark.parametrize(("n_persons", "n_poses"), [(0, 0), (0, 3), (3, 0)])
def test_without_persons_or_poses_nobody_is_matched(n_persons: int, n_poses: int) -> None:
    found = match_by_keypoints(
        np.zeros((n_persons, 17, 2)),
        np.zeros(n_persons, int),
        np.ones((n_poses, 17, 2)),
        np.zeros(n_poses, int),
    )
    assert found.tolist() == [-1] * n_persons


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", SETS)
def test_the_reference_sets_are_matched_as_the_official_code_matches(
    shared: Path, name: str, source: str
) -> None:
    truth, poses, expected, _ = load_reference(shared, name, source)
    persons = np.flatnonzero(~truth.is_ignored)
    image = truth.image_index[persons]
    found = match_by_keypoints(
        truth.keypoints[persons, :, :2], image, poses.keypoints, poses.image_index
    )
    # The official numbers count the poses of a frame.
    first = np.searchsorted(poses.image_index, image)
    in_frame = np.where(found < 0, -1, found - first)
    assert of_frames(in_frame, truth, persons) == expected["matching"]


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Array, Array, Array, Array]:
    """Draw persons and poses of a few images, close together on a coarse grid: ties are common."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_persons, n_poses = (int(n) for n in rng.integers(0, 12, 2))
    step = draw(st.sampled_from((1.0, 20.0, 40.0)))
    persons, poses = (
        (rng.integers(0, int(160 / step), (n, 17, 2)) * step) for n in (n_persons, n_poses)
    )
    images = [np.sort(rng.integers(0, 4, n)) for n in (n_persons, n_poses)]
    return persons, images[0], poses, images[1]


def plainly(crowd: tuple[Array, Array, Array, Array]) -> tuple[list[int], bool]:
    """Return what the plain implementation finds, image by image, and whether there were ties."""
    persons, person_image, poses, pose_image = crowd
    found, ties = [], False
    for image in range(4):
        here = np.flatnonzero(pose_image == image)
        places, had_tie = match_frame(persons[person_image == image], poses[here])
        found += [int(here[place]) if place >= 0 else -1 for place in places]
        ties |= had_tie
    return found, ties


@given(crowds())
def test_crowded_images_are_matched_as_a_plain_loop_matches(
    crowd: tuple[Array, Array, Array, Array],
) -> None:
    assert match_by_keypoints(*crowd).tolist() == plainly(crowd)[0]


@given(crowds(), st.integers(0, 2**32 - 1))
def test_the_order_of_poses_changes_nothing_without_ties(
    crowd: tuple[Array, Array, Array, Array], seed: int
) -> None:
    persons, person_image, poses, pose_image = crowd
    found, had_tie = plainly(crowd)
    assume(not had_tie and any(pose >= 0 for pose in found))
    order = np.lexsort((np.random.default_rng(seed).random(len(poses)), pose_image))
    again = match_by_keypoints(persons, person_image, poses[order], pose_image[order])
    assert np.where(again < 0, -1, order[again]).tolist() == found
