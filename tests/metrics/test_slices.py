"""Slices in one pass: each equals an evaluation of its own on the filtered arrays."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.metrics.catalogue import LEVEL_METRICS
from crowdbench.metrics.evaluation import Value, evaluate
from crowdbench.metrics.matching import first_in_image
from crowdbench.metrics.slices import Slice
from crowdbench.skeletons import COCO_17, CROWDPOSE_14, Skeleton
from crowdbench.structures import Array, GroundTruth, Poses
from tests.metrics.problems import Loaded, load, load_set, problems

LIMITS = (0.2, 0.8)


def alone(
    truth: GroundTruth, poses: Poses, part: Slice, sigmas: Array
) -> tuple[dict[str, Value], int]:
    """Return what an evaluation of the filtered arrays gives, and how many poses it had."""
    if part.poses is not None:
        poses = poses.take(part.poses)
    if part.persons is not None:
        truth = replace(truth, is_ignored=truth.is_ignored | ~part.persons)
    if part.images is not None:
        new_index = np.cumsum(part.images) - 1
        kept = part.images[poses.image_index]
        poses = poses.take(kept)
        poses = replace(poses, image_index=new_index[poses.image_index])
        here = part.images[truth.image_index]
        columns = ("keypoints", "boxes", "areas", "is_crowd", "is_ignored", "person_ids")
        truth = replace(
            truth,
            image_ids=truth.image_ids[part.images],
            image_index=new_index[truth.image_index[here]],
            crowd_index=None if truth.crowd_index is None else truth.crowd_index[part.images],
            **{name: getattr(truth, name)[here] for name in columns},
        )
    return evaluate(truth, poses, sigmas, LIMITS).values, len(poses)


def check(loaded: Loaded, slices: list[Slice], final: Array | None) -> None:
    sigmas = loaded.split.skeleton.sigma_array
    result = evaluate(loaded.truth, loaded.poses, sigmas, LIMITS, final=final, slices=slices)
    whole, n_poses = alone(loaded.truth, loaded.poses, Slice(final), sigmas)
    assert result.values == whole
    assert result.counts["poses"] == n_poses
    for part, found in zip(slices, result.slices, strict=True):
        own = part._replace(poses=final) if part.poses is None else part
        expected, n_poses = alone(loaded.truth, loaded.poses, own, sigmas)
        assert found.values == {name: expected[name] for name in found.values}
        assert found.n_poses == n_poses
        assert found.n_persons == expected["AP"].n
    # Levels are images of their own: only slices of poses have them.
    base = {name for name in whole if name not in ("PCK", "OKS_matched")}
    for part, found in zip(slices, result.slices, strict=True):
        has_levels = part.persons is None and part.images is None
        assert set(found.values) == (base if has_levels else base - set(LEVEL_METRICS))


def draw_slices(loaded: Loaded, seed: int, n: int) -> list[Slice]:
    rng = np.random.default_rng(seed)
    sizes = len(loaded.poses), len(loaded.truth.areas), len(loaded.truth.image_ids)
    return [
        Slice(*(rng.random(size) < 0.6 if rng.random() < 0.4 else None for size in sizes))
        for _ in range(n)
    ]


@settings(max_examples=80)
@given(
    st.sampled_from((COCO_17, CROWDPOSE_14)).flatmap(
        lambda s: st.tuples(st.just(s), problems(s, may_be_empty=True))
    ),
    st.integers(0, 10_000),
    st.integers(0, 12),
    st.booleans(),
)
def test_random_slices_equal_evaluations_of_their_own(
    problem: tuple[Skeleton, object], seed: int, n: int, merged: bool
) -> None:
    skeleton, files = problem
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(*files.write(Path(folder)), skeleton)  # type: ignore[attr-defined]
    final = np.random.default_rng(seed + 1).random(len(loaded.poses)) < 0.7 if merged else None
    check(loaded, draw_slices(loaded, seed, n), final)


@pytest.mark.parametrize("name", ["crowdpose_val_A", "coco_val2017_subset_A"])
def test_slices_of_real_annotations_equal_evaluations_of_their_own(shared: Path, name: str) -> None:
    loaded = load_set(shared, name)
    check(loaded, draw_slices(loaded, 3, 6), None)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=120))
def test_the_first_twenty_that_take_part_count(entries: list[tuple[int, bool]]) -> None:
    entries.sort(key=lambda entry: entry[0])
    image = np.array([i for i, _ in entries], np.int64)
    taking_part = np.array([t for _, t in entries], bool)
    found = first_in_image(taking_part, image)
    for i in range(3):
        here = np.flatnonzero((image == i) & taking_part)[:20]
        assert np.flatnonzero(found & (image == i)).tolist() == here.tolist()
