"""Greedy matching: by hand, against the reference's matches, and against a plain double loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.metrics.average_precision import OKS_THRESHOLDS
from crowdbench.metrics.evaluation import pose_areas
from crowdbench.metrics.matching import first_in_image, match_greedy, rank_poses
from crowdbench.metrics.oks import Pairs
from crowdbench.metrics.slices import AREA_RANGES, Slice, match_slices
from tests.metrics.problems import SETS, load_set


def one_image(
    oks: list[list[float]],
    ignored: list[bool] | None = None,
    crowd: list[bool] | None = None,
    thresholds: tuple[float, ...] = (0.5,),
) -> list[list[int | None]]:
    """Return, per threshold, the person that each pose of a single image took.

    Args:
        oks: one row per pose, by rank; one column per person.
        ignored: the persons that are ignored; crowd regions are anyway.
        crowd: the persons that are crowd regions.
        thresholds: of OKS.
    """
    table = np.array(oks, float)
    n_poses, n_persons = table.shape
    is_crowd = np.array(crowd or [False] * n_persons)
    is_ignored = np.array(ignored or [False] * n_persons) | is_crowd
    pose, person = np.indices(table.shape).reshape(2, -1)
    found = match_greedy(
        Pairs(pose, person, table.ravel()),
        is_ignored[:, None],
        is_crowd,
        np.array(thresholds),
    )
    taken: list[list[int | None]] = [[None] * n_poses for _ in thresholds]
    for n, (d, g) in enumerate(zip(found.pose, found.person, strict=True)):
        for t in np.flatnonzero(found.columns[0, :, n]):
            assert taken[t][d] is None
            taken[t][d] = int(g)
    return taken


def test_each_pose_takes_the_free_person_with_the_highest_oks() -> None:
    assert one_image([[0.6, 0.9], [0.7, 0.8], [0.9, 0.9]]) == [[1, 0, None]]


def test_the_threshold_itself_is_enough() -> None:
    below = float(np.nextafter(0.5, 0))
    assert one_image([[0.5], [0.9]]) == [[0, None]]
    assert one_image([[below], [0.9]]) == [[None, 0]]


def test_threshold_one_is_reached_just_below_one() -> None:
    assert one_image([[1 - 1e-11]], thresholds=(1.0,)) == [[0]]
    assert one_image([[1 - 1e-9]], thresholds=(1.0,)) == [[None]]


def test_thresholds_are_matched_independently() -> None:
    # At 0.5 the first pose takes the person, at 0.75 it does not reach it and the second does.
    assert one_image([[0.6], [0.8]], thresholds=(0.5, 0.75)) == [[0, None], [None, 0]]


def test_a_regular_person_is_preferred_to_an_ignored_one_however_good() -> None:
    assert one_image([[0.99, 0.55]], ignored=[True, False]) == [[1]]
    assert one_image([[0.99, 0.45]], ignored=[True, False]) == [[0]]


def test_a_pose_whose_regular_person_is_taken_falls_back_on_an_ignored_one() -> None:
    assert one_image([[0.9, 0.6], [0.9, 0.6]], ignored=[False, True]) == [[0, 1]]


def test_an_ignored_person_is_taken_once() -> None:
    assert one_image([[0.9], [0.8], [0.7]], ignored=[True]) == [[0, None, None]]


def test_a_crowd_region_absorbs_any_number_of_poses() -> None:
    assert one_image([[0.9]] * 5 + [[0.4]], crowd=[True]) == [[0] * 5 + [None]]


def test_of_ignored_persons_the_best_is_taken_crowd_or_not() -> None:
    oks = [[0.6, 0.9], [0.8, 0.7], [0.6, 0.9]]
    assert one_image(oks, ignored=[True, True], crowd=[False, True]) == [[1, 0, 1]]


def test_of_equal_oks_the_later_person_wins() -> None:
    assert one_image([[0.7, 0.7, 0.7], [0.7, 0.7, 0.7]]) == [[2, 1]]
    assert one_image([[0.7, 0.7]], ignored=[True, True]) == [[1]]
    assert one_image([[0.7, 0.7]], ignored=[False, True]) == [[0]]


def test_matching_is_greedy_even_where_another_assignment_matches_more() -> None:
    # Pose 0 could do with person 0, which would leave person 1 for pose 1.
    assert one_image([[0.6, 0.7], [0.1, 0.9]]) == [[1, None]]


def test_nothing_matches_without_pairs() -> None:
    empty = np.empty(0, np.int64)
    found = match_greedy(
        Pairs(empty, empty, np.empty(0)),
        np.zeros((3, 2), bool),
        np.zeros(3, bool),
        OKS_THRESHOLDS,
    )
    assert found.columns.shape == (2, 10, 0)
    assert len(found.pose) == len(found.person) == 0


def test_poses_are_ranked_by_image_then_score_and_ties_keep_their_order() -> None:
    scores, image = np.array([0.1, 0.5, 0.5, -2.0, 3.0]), np.array([1, 0, 0, 1, 1])
    assert rank_poses(scores, image).tolist() == [1, 2, 4, 0, 3]


def test_only_the_twenty_best_poses_of_an_image_count() -> None:
    scores = np.r_[np.linspace(0, 1, 25), np.zeros(3)]
    image = np.r_[np.zeros(25, np.int64), np.ones(3, np.int64)]
    rows = rank_poses(scores, image)
    counts = first_in_image(np.ones(28, bool), image[rows])
    assert rows[counts].tolist() == [*range(24, 4, -1), 25, 26, 27]
    assert len(rows) == 28


@pytest.mark.parametrize("name", SETS)
def test_matches_equal_the_reference(shared: Path, name: str) -> None:
    problem = load_set(shared, name)
    truth, poses = problem.truth, problem.poses
    sigmas = problem.split.skeleton.sigma_array
    result = match_slices(truth, poses, pose_areas(poses), sigmas, [Slice()])
    matches, n = result.matches, len(result.rows)
    person_id, ignored = np.zeros((n, 10), np.int64), np.zeros((n, 10), np.int64)
    assert next(iter(AREA_RANGES)) == "all"
    for i, (d, g) in enumerate(zip(matches.pose, matches.person, strict=True)):
        columns = matches.columns[0, 0, :, i]
        person_id[d, columns] = truth.person_ids[g]
        ignored[d, columns] = truth.is_ignored[g]
    reference = np.load(shared / "reference" / "oks" / f"{name}_matches.npz")
    image = problem.poses.image_index[result.rows]
    assert truth.image_ids[image].tolist() == reference["image_id"].tolist()
    assert problem.file_index[result.rows].tolist() == reference["prediction_index"].tolist()
    # The reference's ids are 32 bits wide; those of COCO's crowd regions have lost their top.
    assert (person_id.astype(np.int32) == reference["matched_gt_id"]).all()
    assert (ignored == reference["ignored"]).all()
    assert (reference["matched_gt_id"] != 0).any()


class Matching(NamedTuple):
    """A random matching problem over several images."""

    tables: list[np.ndarray]  # per image: (poses, persons) OKS, poses by rank
    counted: np.ndarray  # (D, V)
    ignored: np.ndarray  # (P, V)
    is_crowd: np.ndarray  # (P,)
    thresholds: np.ndarray  # (T,)


@st.composite
def matchings(draw: st.DrawFn) -> Matching:
    """Draw OKS with many ties, some on the thresholds, for up to more columns than a word holds."""
    thresholds = draw(st.sampled_from((OKS_THRESHOLDS, OKS_THRESHOLDS[:1], np.array([0.5, 1.0]))))
    n_variants = draw(st.sampled_from((1, 3, 7, 9, 13)))
    levels = [0.3, 0.5, 0.62, 0.75, 0.8, *OKS_THRESHOLDS[-3:], 1 - 1e-10, 1.0]
    levels.append(float(np.nextafter(0.75, 0)))
    tables = []
    for n_poses, n_persons in draw(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=4)
    ):
        n = n_poses * n_persons
        oks = draw(st.lists(st.sampled_from(levels), min_size=n, max_size=n))
        tables.append(np.array(oks, float).reshape(n_poses, n_persons))
    n_persons = sum(table.shape[1] for table in tables)
    bits = st.integers(0, 2**n_variants - 1)
    numbers = draw(st.lists(bits, min_size=n_persons, max_size=n_persons))
    kinds = draw(
        st.lists(st.sampled_from((False, False, True)), min_size=n_persons, max_size=n_persons)
    )
    is_crowd = np.array(kinds, bool)
    ignored = np.array([[n >> v & 1 for v in range(n_variants)] for n in numbers], bool)
    ignored = ignored.reshape(n_persons, n_variants) | is_crowd[:, None]
    n_poses = sum(table.shape[0] for table in tables)
    numbers = draw(st.lists(bits, min_size=n_poses, max_size=n_poses))
    counted = np.array([[n >> v & 1 for v in range(n_variants)] for n in numbers], bool)
    counted = counted.reshape(n_poses, n_variants) | draw(st.booleans())
    return Matching(tables, counted, ignored, is_crowd, thresholds)


def plain_matches(
    table: np.ndarray,
    ignored: np.ndarray,
    is_crowd: np.ndarray,
    threshold: float,
    counted: np.ndarray,
) -> set[tuple[int, int]]:
    """Return the (pose, person) matches of one image, variant and threshold, step by step."""
    persons = [g for g in range(len(ignored)) if not ignored[g]]
    persons += [g for g in range(len(ignored)) if ignored[g]]
    taken: set[int] = set()
    matches = set()
    for pose, row in enumerate(table):
        if not counted[pose]:
            continue
        best, candidate = min(threshold, 1 - 1e-10), None
        for g in persons:
            if g in taken and not is_crowd[g]:
                continue
            if candidate is not None and not ignored[candidate] and ignored[g]:
                break
            if row[g] < best:
                continue
            best, candidate = row[g], g
        if candidate is not None:
            taken.add(candidate)
            matches.add((pose, candidate))
    return matches


@settings(max_examples=150)
@given(matchings())
def test_matching_equals_a_plain_loop_per_image_variant_and_threshold(problem: Matching) -> None:
    columns: dict[str, list[Any]] = {"pose": [], "person": [], "oks": []}
    first_pose = first_person = 0
    expected = set()
    for table in problem.tables:
        n_poses, n_persons = table.shape
        pose, person = np.indices(table.shape).reshape(2, -1)
        columns["pose"] += (pose + first_pose).tolist()
        columns["person"] += (person + first_person).tolist()
        columns["oks"] += table.ravel().tolist()
        here = slice(first_person, first_person + n_persons)
        poses = slice(first_pose, first_pose + n_poses)
        for v in range(problem.ignored.shape[1]):
            for t, threshold in enumerate(problem.thresholds):
                expected |= {
                    (d + first_pose, g + first_person, v, t)
                    for d, g in plain_matches(
                        table,
                        problem.ignored[here, v],
                        problem.is_crowd[here],
                        threshold,
                        problem.counted[poses, v],
                    )
                }
        first_pose += n_poses
        first_person += n_persons
    found = match_greedy(
        Pairs(
            np.array(columns["pose"], np.int64),
            np.array(columns["person"], np.int64),
            np.array(columns["oks"], float),
        ),
        problem.ignored,
        problem.is_crowd,
        problem.thresholds,
        problem.counted,
    )
    v, t, n = np.nonzero(found.columns)
    rows = (found.pose[n], found.person[n], v, t)
    ours = set(zip(*(row.tolist() for row in rows), strict=True))
    assert not ours - expected
    assert not expected - ours
    assert found.columns.any((0, 1)).all()
