"""2D samples: unit weights are the evaluation, other weights an evaluation of copied images."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.datasets.split import LEVEL_LIMITS
from crowdbench.errors import InputError
from crowdbench.metrics import sample_2d as module
from crowdbench.metrics.bootstrap import bootstrap
from crowdbench.metrics.evaluation import Evaluation, evaluate
from crowdbench.metrics.sample import Key, sample_bytes, sample_from
from crowdbench.metrics.sample_2d import Group, Name, Sample2D, sample_2d
from crowdbench.metrics.slices import Slice
from crowdbench.skeletons import COCO_17, CROWDPOSE_14, Skeleton
from crowdbench.structures import Array, GroundTruth, Poses
from tests.benchmarks.copied_images import copy_images
from tests.metrics.problems import SETS, Loaded, Problem, load, load_set, problems, tiny_problem
from tests.metrics.test_slices import draw_slices

WHOLE: Name = (None, None)
any_problem = st.sampled_from((COCO_17, CROWDPOSE_14)).flatmap(
    lambda skeleton: st.tuples(st.just(skeleton), problems(skeleton, may_be_empty=True))
)


def read(problem: tuple[Skeleton, Problem]) -> Loaded:
    skeleton, files = problem
    with tempfile.TemporaryDirectory() as folder:
        return load(*files.write(Path(folder)), skeleton)


def level_of(truth: GroundTruth) -> Array | None:
    return None if truth.crowd_index is None else np.digitize(truth.crowd_index, LEVEL_LIMITS)


class Scored:
    """A split with slices of its poses, and some poses of its own for one more row."""

    def __init__(
        self,
        truth: GroundTruth,
        poses: Poses,
        sigmas: Array,
        slices: list[Slice],
        others: Array | None = None,
    ) -> None:
        limits = None if truth.crowd_index is None else LEVEL_LIMITS
        self.truth, self.poses, self.sigmas, self.slices = truth, poses, sigmas, slices
        self.result = evaluate(truth, poses, sigmas, limits, slices=slices)
        names: list[Name | None] = [WHOLE, *(("drawn", str(i)) for i in range(len(slices)))]
        groups = [Group(self.result, names)]
        self.others = others
        self.own: Evaluation | None = None
        if others is not None:
            poses = poses.take(others)
            self.own = evaluate(truth, poses, sigmas, limits, slices=[Slice()])
            groups.append(Group(self.own, [None, ("anew", "1")]))
        self.sample = sample_2d(truth, groups, level_of(truth))

    def expected(self) -> Array:
        """Return what the evaluation says, in the order of the sample's keys."""
        found = []
        for key in self.sample.keys:
            if key.condition is None:
                values = self.result.values
            elif key.condition == "drawn":
                values = self.result.slices[int(str(key.row))].values
            else:
                assert self.own is not None
                values = self.own.slices[0].values
            value = values[key.metric].value
            found.append(np.nan if value is None else value)
        return np.array(found)

    def copied(self, weights: Array) -> Scored:
        """Return the same with every image copied as often as its weight says."""
        truth, poses, images, persons, rows = copy_images(self.truth, self.poses, weights)
        return Scored(
            truth,
            poses,
            self.sigmas,
            [
                Slice(
                    None if part.poses is None else part.poses[rows],
                    None if part.persons is None else part.persons[persons],
                    None if part.images is None else part.images[images],
                )
                for part in self.slices
            ],
            None if self.others is None else self.others[rows],
        )


def scored(loaded: Loaded, seed: int, n: int) -> Scored:
    others = np.random.default_rng(seed).random(len(loaded.poses)) < 0.7 if n % 2 else None
    slices = draw_slices(loaded, seed, n)
    return Scored(loaded.truth, loaded.poses, loaded.split.skeleton.sigma_array, slices, others)


def unit_numbers(sample: Sample2D) -> Array:
    return sample.replicate(np.ones((sample.units.n, 1), np.int32), sample.keys)[:, 0]


@settings(max_examples=30)
@given(any_problem, st.integers(0, 10_000), st.integers(0, 6))
def test_unit_weights_give_the_evaluation(
    problem: tuple[Skeleton, Problem], seed: int, n: int
) -> None:
    found = scored(read(problem), seed, n)
    np.testing.assert_allclose(unit_numbers(found.sample), found.expected(), rtol=0, atol=1e-12)
    keys = set(found.sample.keys)
    assert {key.metric for key in keys if key.condition is None} == set(found.result.values)
    for i, part in enumerate(found.result.slices):
        row = {key.metric for key in keys if key[1:] == ("drawn", str(i))}
        assert row == set(part.values)


@pytest.mark.parametrize("name", SETS)
def test_unit_weights_give_the_evaluation_of_real_annotations(shared: Path, name: str) -> None:
    loaded = load_set(shared, name)
    found = scored(loaded, 5, 3)
    np.testing.assert_allclose(unit_numbers(found.sample), found.expected(), rtol=0, atol=1e-12)
    assert len(found.sample.keys) == len(set(found.sample.keys)) > 40


@settings(max_examples=30)
@given(any_problem, st.integers(0, 10_000), st.integers(0, 4))
def test_weights_give_the_evaluation_of_copied_images(
    problem: tuple[Skeleton, Problem], seed: int, n: int
) -> None:
    loaded = read(problem)
    rng = np.random.default_rng(seed)
    # Copies of poses with equal scores would stand in another order than their weights.
    poses = replace(loaded.poses, scores=rng.permutation(len(loaded.poses)) / 8)
    found = scored(loaded._replace(poses=poses), seed, n)
    n_images = found.sample.units.n
    weights = rng.integers(0, 4, (n_images, 4)).astype(np.int32)
    weights[rng.integers(n_images)] += 1  # there is an image
    numbers = found.sample.replicate(weights, found.sample.keys)
    for b in range(4):
        copied = found.copied(weights[:, b])
        assert copied.sample.keys == found.sample.keys
        np.testing.assert_allclose(numbers[:, b], copied.expected(), rtol=0, atol=1e-12)


@settings(max_examples=8)
@given(any_problem, st.integers(0, 10_000))
def test_neither_storing_nor_blocks_nor_the_choice_of_keys_change_a_bit(
    problem: tuple[Skeleton, Problem], seed: int
) -> None:
    sample = scored(read(problem), seed, 3).sample
    numbers = bootstrap(sample, sample.keys, resamples=30).drawn
    content = sample_bytes(sample)
    restored = sample_from(content, "matches.npz")
    assert isinstance(restored, Sample2D)
    assert list(restored.keys) == list(sample.keys)
    assert sample_bytes(restored) == content
    np.testing.assert_array_equal(bootstrap(restored, sample.keys, 30).drawn, numbers)
    some = list(sample.keys)[::-7]
    np.testing.assert_array_equal(
        bootstrap(sample_from(content, ""), some, 30).drawn, numbers[::-7]
    )
    with pytest.MonkeyPatch.context() as patch:
        for size in (2, 7, 1000):
            patch.setattr(module, "_BLOCK", size)
            np.testing.assert_array_equal(bootstrap(sample, sample.keys, 30).drawn, numbers)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """Return the problem worked out by hand, with a slice of each kind."""
    loaded = load(*tiny_problem(14).write(tmp_path_factory.mktemp("tiny")), CROWDPOSE_14)
    slices = [
        Slice(poses=np.array([True, False, True])),
        Slice(persons=np.array([True, False, True])),
        Slice(images=np.array([True, False, True])),
    ]
    sigmas, others = loaded.split.skeleton.sigma_array, np.array([False, True, True])
    return Scored(loaded.truth, loaded.poses, sigmas, slices, others)


def test_images_that_are_all_alike_give_one_number(small: Scored) -> None:
    # 40 times the image of persons 1 and 2, of whom one is hit, with another score in each copy.
    weights = np.array([40, 0, 0])
    assert small.truth.image_ids[0] == 1
    copied = small.copied(weights)
    scores = np.where(copied.poses.scores == 0.7, 0.9, 0.1) + np.arange(len(copied.poses)) / 1e4
    poses = replace(copied.poses, scores=scores)
    sample = Scored(copied.truth, poses, copied.sigmas, []).sample
    numbers = bootstrap(sample, [Key("AP"), Key("AR"), Key("PCK")], resamples=50)
    np.testing.assert_allclose(numbers.plain, [51 / 101, 0.5, 0.5], rtol=0, atol=1e-12)
    for values in (numbers.drawn, numbers.without):
        np.testing.assert_allclose(values - numbers.plain[:, None], 0, rtol=0, atol=1e-12)


def test_without_poses_the_number_is_0_and_without_persons_there_is_none(small: Scored) -> None:
    nothing = Scored(small.truth, small.poses.take(slice(0)), small.sigmas, []).sample
    has_person = np.isin(np.arange(3), small.truth.image_index[~small.truth.is_ignored])
    weights = np.stack([np.ones(3), has_person, ~has_person], 1).astype(np.int32)
    ap, oks = nothing.replicate(weights, [Key("AP"), Key("OKS_matched")])
    assert ap[:2].tolist() == [0, 0]
    assert np.isnan(ap[2])
    assert np.isnan(oks).all()


def test_a_number_that_is_not_there_is_a_key_error(small: Scored) -> None:
    with pytest.raises(KeyError, match="mpjpe_mm"):
        small.sample.replicate(np.ones((3, 1), np.int32), [Key("mpjpe_mm")])


# --- Files that are not ours ----------------------------------------------------------------------


def damaged(sample: Sample2D, change: Callable[[dict[str, Array]], None]) -> bytes:
    with np.load(io.BytesIO(sample_bytes(sample))) as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def put(name: str, change: Callable[[Array], Array]) -> Callable[[dict[str, Array]], None]:
    def apply(arrays: dict[str, Array]) -> None:
        arrays[name] = change(arrays[name])

    return apply


DAMAGE = {
    "n_persons": put("n_persons", lambda a: a + 9),
    "persons below 0": put("n_persons", lambda a: a.astype(np.int64) - 9),
    "no n_persons": lambda arrays: arrays.pop("n_persons"),
    "is_crowd": put("is_crowd", lambda a: a + 255),
    "ignored": put("ignored", lambda a: a[:2]),
    "level": put("level", lambda a: a + 3),
    "chosen_persons": put("chosen_persons", lambda a: a[:0]),
    "chosen_images": put("chosen_images", lambda a: a[:, :0]),
    "choices that are not there": put("slices", lambda a: a + 1),
    "poses that are not there": put("slices", lambda a: a - 1),
    "one slice less": put("slices", lambda a: a[1:]),
    "text": put("slices", lambda a: a.astype(str)),
    "sums that are none": put("similarity", lambda a: a * np.nan),
    "keypoint_counts": put("keypoint_counts", lambda a: a[:2]),
    "image": put("image_0", lambda a: a + 3),
    "fewer poses": put("image_0", lambda a: a[1:]),
    "n_wishes": put("n_wishes_0", lambda a: a * 2),
    "person": put("person_0", lambda a: a + 5),
    "reached": put("reached_0", lambda a: a.astype(np.uint16) + 1024),
    "counted": put("counted_0", lambda a: a[:0]),
    "no inside": lambda arrays: arrays.pop("inside_1"),
    "fractions": put("person_0", lambda a: a / 2),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_arrays_that_do_not_fit_together_are_refused(name: str, small: Scored) -> None:
    content = damaged(small.sample, DAMAGE[name])
    with pytest.raises(InputError, match=r"x\.npz: not the matches that this crowdbench writes"):
        sample_from(content, "x.npz")


def test_a_pose_that_wishes_for_one_person_twice_is_refused(small: Scored) -> None:
    def twice(arrays: dict[str, Array]) -> None:
        arrays["n_wishes_0"] = arrays["n_wishes_0"] * 2
        for name in ("person_0", "reached_0"):
            arrays[name] = arrays[name].repeat(2)

    with pytest.raises(InputError, match="not all different for each pose"):
        sample_from(damaged(small.sample, twice), "x.npz")


@settings(max_examples=80)
@given(data=st.data())
def test_any_bytes_in_an_array_are_refused_or_give_numbers(
    small: Scored, data: st.DataObject
) -> None:
    sample = small.sample
    names = sorted(sample.arrays())
    name = data.draw(st.sampled_from(names))
    old = sample.arrays()[name]
    raw = data.draw(st.binary(min_size=old.nbytes, max_size=old.nbytes))
    new = np.frombuffer(raw, old.dtype).reshape(old.shape)
    try:
        found = sample_from(damaged(sample, put(name, lambda _: new)), "x.npz")
    except InputError:
        return
    weights = np.ones((found.units.n, 2), np.int32)
    assert found.replicate(weights, found.keys).shape == (len(found.keys), 2)
