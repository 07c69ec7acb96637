"""The sample of a 3D split: what every sequence, or block of frames, adds to the metrics."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.metrics.evaluation_3d import Evaluation3D, Value
from crowdbench.metrics.joint_errors import Errors, joint_errors
from crowdbench.metrics.sample import Key, Units, draw, sample_bytes, sample_from
from crowdbench.metrics.sample_3d import Sample3D, sample_3d, tally, units_of
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array, GroundTruth, Truth3D
from tests.benchmarks.pose3d import make_problem

MEAN_OF_SEQUENCES, MEAN_OF_PERSONS = Key("3DPCK_all"), Key("MPJPE_mm")


def split_of(images: list[int], sequences: list[int]) -> GroundTruth:
    """Return a split of these persons' images, given the sequence of every image."""
    n, nothing = len(images), np.zeros((len(images), 17, 3))
    return GroundTruth(
        image_ids=np.arange(len(sequences)),
        image_index=np.array(images, int),
        keypoints=nothing,
        boxes=np.zeros((n, 4)),
        areas=np.zeros(n),
        is_crowd=np.zeros(n, bool),
        is_ignored=np.zeros(n, bool),
        person_ids=np.arange(n),
        pose3d=Truth3D(
            nothing,
            nothing,
            tuple(f"TS{i + 1}" for i in range(max(sequences) + 1)),
            np.array(sequences),
        ),
    )


def evaluation_of(
    errors_mm: list[float], images: list[int], sequences: list[int]
) -> tuple[Evaluation3D, Units]:
    """Return persons who are each off by as much in all joints."""
    truth = split_of(images, sequences)
    flat = np.repeat(np.array(errors_mm, float)[:, None], 17, 1)
    row = np.arange(len(images))
    errors = Errors(row, truth.image_index, row, flat, flat, row, flat, flat, flat)
    assert truth.pose3d is not None
    return Evaluation3D(truth, errors, MUPOTS_17), units_of(truth.pose3d)


def sample_of(units: Units, parts: dict[tuple[str | None, str | None], Any]) -> Sample3D:
    return sample_3d(
        units,
        {
            Key(name, *part): tally(value, units)
            for part, values in parts.items()
            for name, value in values.items()
        },
    )


def number(value: Value) -> float:
    return np.nan if value.value is None else value.value


# --- What is drawn --------------------------------------------------------------------------------


def test_sequences_are_drawn_where_there_are_two() -> None:
    _, units = evaluation_of([], [], [0, 0, 2, 2, 1])
    assert (units.kind, units.n) == ("sequence", 3)
    assert units.of_image.tolist() == [0, 0, 2, 2, 1]


def test_a_sequence_without_images_is_not_drawn() -> None:
    _, units = evaluation_of([], [], [0, 3, 3])
    assert (units.kind, units.n, units.of_image.tolist()) == ("sequence", 2, [0, 1, 1])


@pytest.mark.parametrize(
    ("n_frames", "sizes"),
    [(1, [1]), (2, [2]), (4, [2, 2]), (5, [3, 2]), (9, [3, 3, 3]), (10, [4, 4, 2])],
)
def test_blocks_of_frames_are_drawn_where_there_is_one_sequence(
    n_frames: int, sizes: list[int]
) -> None:
    _, units = evaluation_of([], [], [0] * n_frames)
    assert (units.kind, units.n) == ("block", len(sizes))
    assert units.of_image.tolist() == np.repeat(np.arange(len(sizes)), sizes).tolist()


# --- By hand --------------------------------------------------------------------------------------

# TS1: images 0 (two persons) and 1 (one); TS2: image 2 (one person); TS3: image 3 (nobody).
ERRORS_MM, IMAGES, SEQUENCES = [100.0, 160.0, 20.0, 240.0], [0, 0, 1, 2], [0, 0, 1, 2]
TAKEN = np.array([[1, 2, 0, 0], [1, 1, 2, 0], [1, 0, 1, 2]])  # by sequence


def test_a_sequence_that_is_drawn_twice_counts_twice() -> None:
    evaluation, units = evaluation_of(ERRORS_MM, IMAGES, SEQUENCES)
    sample = sample_of(units, {(None, None): evaluation.values()})
    found = sample.replicate(TAKEN, [MEAN_OF_SEQUENCES, MEAN_OF_PERSONS])
    # Right in TS1: 2 of 3; in TS2: 0 of 1; in TS3 there is nobody.
    assert found[0] == pytest.approx([1 / 3, 4 / 9, 0, np.nan], nan_ok=True)
    assert found[1] == pytest.approx([520 / 4, 800 / 7, 240, np.nan], nan_ok=True)


def test_blocks_of_one_sequence_are_one_mean() -> None:
    # Two frames each in two blocks.
    evaluation, units = evaluation_of(ERRORS_MM, IMAGES, [0, 0, 0, 0])
    sample = sample_of(units, {(None, None): evaluation.values()})
    weights = np.array([[1, 2, 0], [1, 1, 2]])
    found = sample.replicate(weights, [MEAN_OF_SEQUENCES, MEAN_OF_PERSONS])
    assert found[0] == pytest.approx([2 / 4, 4 / 7, 0])
    assert found[1] == pytest.approx([520 / 4, 800 / 7, 240])


def test_an_undefined_error_leaves_no_number_where_it_is_drawn() -> None:
    evaluation, units = evaluation_of([100, np.nan, 20], [0, 0, 1], [0, 1])
    sample = sample_of(units, {(None, None): evaluation.values()})
    weights = np.array([[1, 0, 2], [1, 2, 0]])
    assert evaluation.values()["MPJPE_mm"].value is None
    found = sample.replicate(weights, [MEAN_OF_PERSONS, Key("MPJPE_mapped_mm")])
    assert found == pytest.approx(np.array([[np.nan, 20, np.nan]] * 2), nan_ok=True)


def test_numbers_come_in_the_order_they_are_asked_for() -> None:
    evaluation, units = evaluation_of(ERRORS_MM, IMAGES, SEQUENCES)
    hard = np.array(ERRORS_MM) > 150
    sample = sample_of(
        units, {(None, None): evaluation.values(), ("size", "0 - 32"): evaluation.values(hard)}
    )
    ones = np.ones((3, 1), int)
    of_row = Key("MPJPE_mm", "size", "0 - 32")
    assert sample.replicate(ones, [of_row, MEAN_OF_PERSONS]).ravel().tolist() == [200, 130]
    assert sample.replicate(ones, [MEAN_OF_PERSONS, of_row]).ravel().tolist() == [130, 200]
    assert sample.replicate(ones, []).shape == (0, 1)
    with pytest.raises(KeyError):
        sample.replicate(ones, [Key("MPJPE_mm", "size", "32 - 96")])


# --- Against the evaluation -----------------------------------------------------------------------


def random_parts(
    truth: GroundTruth, errors: Errors, rng: np.random.Generator
) -> dict[tuple[str | None, str | None], tuple[Array | None, Array | None]]:
    """Return the whole split, some of its persons, and some of their joints."""
    n = len(errors.persons)
    return {
        (None, None): (None, None),
        ("size", "some"): (rng.random(n) < 0.3, None),
        ("size", "none"): (np.zeros(n, bool), None),
        ("people", "some"): ((rng.random(len(truth.image_ids)) < 0.5)[errors.image], None),
        ("joint-visibility", "some"): (None, rng.random((n, 17)) < 0.4),
    }


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5]))
def test_with_weights_of_one_the_numbers_are_the_recorded_ones(seed: int, n_sequences: int) -> None:
    truth, poses = make_problem(seed, n_sequences, n_frames=12, persons=(0, 3))
    errors = joint_errors(truth, poses, MUPOTS_17)
    evaluation = Evaluation3D(truth, errors, MUPOTS_17)
    assert truth.pose3d is not None
    units = units_of(truth.pose3d)
    chosen = random_parts(truth, errors, np.random.default_rng(seed))
    parts = {name: evaluation.values(*part) for name, part in chosen.items()}
    sample = sample_of(units, parts)
    expected = [number(value) for values in parts.values() for value in values.values()]
    found = sample.replicate(np.ones((units.n, 1), np.int32), sample.keys)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    assert len(found) == 5 * 13


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_drawn_sequences_give_what_a_split_of_their_copies_gives(seed: int) -> None:
    truth, poses = make_problem(seed, n_sequences=4, n_frames=12, persons=(1, 3))
    errors = joint_errors(truth, poses, MUPOTS_17)
    evaluation = Evaluation3D(truth, errors, MUPOTS_17)
    assert truth.pose3d is not None
    units = units_of(truth.pose3d)
    sample = sample_of(units, {(None, None): evaluation.values()})
    weights = draw(units.n, 1, seed % 1000)
    # Every copy is a sequence of its own.
    copies = np.repeat(np.arange(units.n), weights[:, 0])
    rows = [np.flatnonzero(evaluation.sequence == sequence) for sequence in copies]
    frames = [np.flatnonzero(units.of_image == sequence) for sequence in copies]
    first = np.cumsum([0, *map(len, frames)])
    image = np.concatenate(
        [
            np.searchsorted(of_copy, errors.image[row]) + start
            for row, of_copy, start in zip(rows, frames, first, strict=False)
        ]
    )
    taken = np.concatenate(rows)
    space = Truth3D(
        truth.pose3d.joints_mm[:0],
        truth.pose3d.joints_mm[:0],
        tuple(f"copy {i}" for i in range(len(copies))),
        np.repeat(np.arange(len(copies)), [len(of_copy) for of_copy in frames]),
    )
    copied = Errors(*(column[taken] for column in errors))._replace(image=image)
    again = Evaluation3D(dataclasses.replace(truth, pose3d=space), copied, MUPOTS_17)
    expected = [number(value) for value in again.values().values()]
    found = sample.replicate(weights, sample.keys)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


def test_resamples_do_not_depend_on_each_other() -> None:
    truth, poses = make_problem(3, n_sequences=6, n_frames=30)
    evaluation = Evaluation3D(truth, joint_errors(truth, poses, MUPOTS_17), MUPOTS_17)
    assert truth.pose3d is not None
    units = units_of(truth.pose3d)
    sample = sample_of(units, {(None, None): evaluation.values()})
    weights = draw(units.n, 100, 0)
    together = sample.replicate(weights, sample.keys)
    for i in (0, 57, 99):
        alone = sample.replicate(weights[:, i : i + 1], sample.keys)
        assert np.array_equal(alone[:, 0], together[:, i], equal_nan=True)


# --- Storage --------------------------------------------------------------------------------------


def small_sample() -> Sample3D:
    evaluation, units = evaluation_of([100, np.nan, 20, 240], IMAGES, SEQUENCES)
    nobody = np.zeros(4, bool)
    return sample_of(
        units, {(None, None): evaluation.values(), ("size", "x"): evaluation.values(nobody)}
    )


def test_a_sample_that_was_stored_gives_the_same_numbers() -> None:
    sample = small_sample()
    content = sample_bytes(sample)
    again = sample_from(content, "it")
    assert isinstance(again, Sample3D)
    assert (again.keys, again.units.kind, again.units.n) == (sample.keys, "sequence", 3)
    assert np.array_equal(again.units.of_image, sample.units.of_image)
    numbers = [one.replicate(TAKEN, sample.keys) for one in (sample, again)]
    assert np.array_equal(*numbers, equal_nan=True)
    assert sample_bytes(again) == content


def test_a_split_without_numbers_can_be_stored() -> None:
    _, units = evaluation_of([], [], [0, 1])
    again = sample_from(sample_bytes(sample_3d(units, {})), "it")
    assert (len(again.keys), again.units.n) == (0, 2)
    assert again.replicate(np.ones((2, 3), np.int32), []).shape == (0, 3)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"counts": None}, "counts"),
        ({"sums": np.zeros((26, 2))}, "in tables of"),
        ({"sums": np.zeros(26)}, "in tables of"),
        ({"sums": np.zeros((26, 3), np.float32)}, "wrong type"),
        ({"sums": np.full((26, 3), np.inf)}, "infinite"),
        ({"counts": np.full((26, 3), -1)}, "wrong type"),
        ({"counts": np.zeros((26, 3), "U1")}, "wrong type"),
        ({"is_mean": np.zeros(26)}, "wrong type"),
        ({"unit_of_image": np.array([0, 0, 1, 3], np.uint8)}, "not numbered"),
        ({"unit_of_image": np.array([[0, 0, 1, 2]], np.uint8)}, "not numbered"),
        ({"unit_of_image": np.array(2, np.uint8)}, "not numbered"),
        ({"unit_of_image": np.array([0, 0, 1, 2.0])}, "wrong type"),
    ],
)
def test_arrays_that_are_no_sample_are_refused(change: dict[str, Array | None], what: str) -> None:
    sample = small_sample()
    arrays = {**sample.arrays(), **change}
    left = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises((ValueError, KeyError), match=what):
        Sample3D.restore(left, sample.facts())


@pytest.mark.parametrize(
    "change",
    [
        {"unit": "image"}, {"unit": ["sequence"]}, {"keys": 26}, {"keys": [["AP"]] * 26},
        {"keys": [[1, None, None]] + [["AP", str(i), ""] for i in range(25)]},
        {"keys": [["AP", 1, None]] + [["AP", str(i), ""] for i in range(25)]},
        {"keys": [["AP", None, [2]]] + [["AP", str(i), ""] for i in range(25)]},
        {"keys": [["AP", "size", "small", "more"]] * 26}, {"keys": []},
    ],
)  # fmt: skip
def test_facts_that_are_no_sample_s_are_refused(change: dict[str, Any]) -> None:
    sample = small_sample()
    facts = json.loads(json.dumps(sample.facts() | change))
    with pytest.raises((ValueError, TypeError)):
        Sample3D.restore(sample.arrays(), facts)
