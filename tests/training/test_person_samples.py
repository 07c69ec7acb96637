"""PersonSamples depend on seed, epoch and image alone; batches on nothing but their place."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from predictors.topdown.crop import crop_persons, frames_of, to_output
from predictors.topdown.position import position_masks
from predictors.training.augmentation import NONE
from predictors.training.examples import Example
from predictors.training.person_samples import PersonSamples
from predictors.training.stream import BEGIN, Position, batches
from predictors.training.targets import make_targets
from tests.training.problems import Squares, small_recipe

SAMPLING = replace(small_recipe().sampling, input_size=(64, 48), seed=3)
SOURCE = Squares()
# Images 0 to 11 have 1, 2, 3, 4, 1, ... persons.
N_PERSONS = 30


def all_batches(n_images: int = 12, start: Position = BEGIN, workers: int = 0) -> list[
    tuple[PersonSamples, Position]
]:  # fmt: skip
    return list(batches(SOURCE, SAMPLING, 4, n_images, start=start, n_workers=workers))


def same(one: PersonSamples, other: PersonSamples) -> bool:
    return all(map(torch.equal, one, other))


def test_a_sample_is_the_crop_with_the_targets_of_owner_and_neighbour() -> None:
    sampling = replace(SAMPLING, augmentation=NONE)
    example = SOURCE[2]
    found = sampling.make(example, SOURCE.skeleton, np.random.default_rng(0))
    crops = crop_persons(
        example.image, frames_of(example.boxes, (64, 48), "classical"), (64, 48), "classical"
    )
    assert np.array_equal(found.crops.numpy(), crops)
    assert [list(part.shape) for part in found] == [
        [3, 64, 48, 3], [3, 2, 17, 16, 12], [3, 2, 17], [3, 0, 0], [3],
    ]  # fmt: skip
    assert [part.dtype for part in found] == [
        torch.uint8, torch.float32, torch.float32, torch.uint8, torch.bool,
    ]  # fmt: skip
    # All joints of the owner are in its crop: (x - left) times the factor plus the margin.
    factor = 48 / (50 * 0.75 * 1.25) if 40 < 50 * 0.75 else 48 / (40 * 1.25)
    x, y, w, h = example.boxes[0]
    keypoints = example.keypoints[0].copy()
    keypoints[:, 0] = (keypoints[:, 0] - x - w / 2) * factor + 24
    keypoints[:, 1] = (keypoints[:, 1] - y - h / 2) * factor + 32
    assert np.array_equal(found.targets[0, 0].numpy(), make_targets(keypoints, (64, 48), 1.5)[0])


def test_one_instance_keeps_targets_of_joints_just_outside() -> None:
    example = SOURCE[0]
    keypoints = example.keypoints.copy()
    keypoints[0, 0, :2] = example.boxes[0, :2] + [-7, 20]
    beside = replace(example, keypoints=keypoints)
    one = replace(SAMPLING, augmentation=NONE, n_instances=1)
    two = replace(one, n_instances=2)
    weights = [
        sampling.make(beside, SOURCE.skeleton, np.random.default_rng(0)).weights[0, 0, 0]
        for sampling in (one, two)
    ]
    assert weights == [1, 0]


def test_samples_are_the_same_for_any_number_of_workers() -> None:
    alone, helped = all_batches(), all_batches(workers=2)
    assert len(alone) == len(helped) == N_PERSONS // 4
    for (one, position), (other, same_position) in zip(alone, helped, strict=True):
        assert same(one, other)
        assert position == same_position


def test_the_stream_goes_on_from_any_position() -> None:
    whole = all_batches(24)
    assert any(position.person for _, position in whole)
    for n, (_, position) in enumerate(whole, start=1):
        rest = all_batches(24, start=position)
        assert len(rest) == len(whole) - n
        if rest:
            assert same(rest[0][0], whole[n][0])
            assert rest[0][1] == whole[n][1]


def test_an_image_with_more_persons_than_a_batch_fills_several() -> None:
    found = list(batches(SOURCE, SAMPLING, 1, 12))
    assert len(found) == N_PERSONS
    assert all(len(samples.crops) == 1 for samples, _ in found)
    assert all(a < b for (_, a), (_, b) in pairwise(found))


class Counting(Squares):
    seen: ClassVar[Counter[int]] = Counter()

    def __getitem__(self, index: int) -> Example:
        self.seen[index] += 1
        return super().__getitem__(index)


def test_every_epoch_has_every_image_once_in_an_order_of_its_own() -> None:
    for n_images, times in ((12, 1), (24, 2), (30, None)):
        Counting.seen.clear()
        list(batches(Counting(), SAMPLING, 4, n_images))
        assert len(Counting.seen) == 12
        if times:
            assert set(Counting.seen.values()) == {times}
        assert sum(Counting.seen.values()) == n_images
    first, second = all_batches(12), all_batches(12, start=Position(0))
    assert all(same(a, b) for (a, _), (b, _) in zip(first, second, strict=True))
    later = all_batches(24, start=Position(12))
    assert not any(same(a, b) for (a, _), (b, _) in zip(first, later, strict=True))


@pytest.mark.parametrize("change", [{"seed": 4}, {"augmentation": NONE}])
def test_other_settings_give_other_samples(change: dict[str, object]) -> None:
    other = replace(SAMPLING, **change)
    found = next(batches(SOURCE, other, 4, 12))
    assert not same(found[0], all_batches()[0][0])


def test_held_out_images_come_in_their_own_order() -> None:
    sampling = replace(SAMPLING, augmentation=NONE)
    # 3 persons, the last of which fills no batch.
    found = [samples.crops for samples, _ in batches(SOURCE, sampling, 2, 2, in_order=True)]
    expected = [
        sampling.make(SOURCE[i], SOURCE.skeleton, np.random.default_rng(0)).crops for i in range(2)
    ]
    assert [len(crops) for crops in found] == [2, 1]
    assert torch.equal(torch.cat(found), torch.cat(expected))


GROUPED = replace(
    SAMPLING, n_instances=1, convention="size-minus-one", grouped=True, max_persons=3, masks=True
)


def grouped(n_images: int = 12, start: Position = BEGIN, **other: Any) -> list[
    tuple[PersonSamples, Position]
]:  # fmt: skip
    return list(batches(SOURCE, GROUPED, 4, n_images, start=start, **other))


def test_grouped_batches_are_whole_images() -> None:
    found = grouped(24)
    assert [position for _, position in found] == [Position(4 * n) for n in range(1, 7)]
    for samples, _ in found:
        assert len(samples.lengths) == 4
        assert sum(samples.lengths) == len(samples.crops) == len(samples.masks)
        assert samples.masks.shape[1:] == (64, 48)
    # Of 1, 2, 3 and 4 persons, at most three of each image; each image twice.
    counts = Counter(length for samples, _ in found for length in samples.lengths)
    assert counts == {1: 6, 2: 6, 3: 12}


def test_grouped_streams_go_on_from_any_position_and_with_any_workers() -> None:
    whole, helped = grouped(24), grouped(24, n_workers=2)
    assert all(same(a, b) for (a, _), (b, _) in zip(whole, helped, strict=True))
    for n, (_, position) in enumerate(whole, start=1):
        rest = grouped(24, position)
        assert [other for _, other in rest] == [other for _, other in whole[n:]]
        assert all(same(a, b) for (a, _), (b, _) in zip(rest, whole[n:], strict=True))


def test_held_out_groups_are_complete_and_none_is_dropped() -> None:
    sampling = replace(GROUPED, augmentation=NONE, max_persons=None)
    found = list(batches(SOURCE, sampling, 5, 12, in_order=True))
    assert [samples.lengths for samples, _ in found] == [[1, 2, 3, 4, 1], [2, 3, 4, 1, 2], [3, 4]]


def test_a_grouped_sample_is_the_predictors_crop_with_its_mask() -> None:
    sampling, example = replace(GROUPED, augmentation=NONE), SOURCE[2]
    found = sampling.make(example, SOURCE.skeleton, np.random.default_rng(0))
    frames = frames_of(example.boxes, (64, 48), "size-minus-one")
    crops = crop_persons(example.image, frames, (64, 48), "size-minus-one")
    assert np.array_equal(found.crops.numpy(), crops)
    masks = position_masks(example.boxes, (120, 160), (64, 48))
    assert np.array_equal(found.masks.numpy(), masks)
    joints = (to_output(frames, (64, 48), "size-minus-one") @ homogeneous(example)).swapaxes(1, 2)
    wanted, weights = make_targets(
        np.concatenate([joints, example.keypoints[..., 2:]], 2), (64, 48), 1.5, "size-minus-one"
    )
    assert found.targets[:, 0].numpy() == pytest.approx(wanted, abs=1e-5)
    assert np.array_equal(found.weights[:, 0].numpy(), weights)
    assert found.lengths == [3]
    without = replace(sampling, masks=False).make(
        example, SOURCE.skeleton, np.random.default_rng(0)
    )
    assert without.masks.shape == (3, 0, 0)
    assert np.array_equal(without.crops.numpy(), crops)


def homogeneous(example: Example) -> np.ndarray:
    """Return (P, 3, K): x, y and 1 of the keypoints."""
    points = np.concatenate([example.keypoints[..., :2], np.ones((len(example.boxes), 17, 1))], 2)
    return points.swapaxes(1, 2)


class SomeEmpty(Squares):
    """Squares without persons in every other image."""

    def __getitem__(self, index: int) -> Example:
        example = super().__getitem__(index)
        n = index % 2 * len(example.boxes)
        return example.persons(np.arange(n))


def test_images_without_persons_are_passed_over() -> None:
    found = list(batches(SomeEmpty(), GROUPED, 2, 24))
    assert [len(samples.lengths) for samples, _ in found] == [2] * 6
    # Images 1, 3, 5, ... have 2, 4, 2, ... persons.
    assert sum(len(samples.crops) for samples, _ in found) == 2 * (3 * 2 + 3 * 3)
    for n, (_, position) in enumerate(found, start=1):
        rest = list(batches(SomeEmpty(), GROUPED, 2, 24, start=position))
        assert all(same(a, b) for (a, _), (b, _) in zip(rest, found[n:], strict=True))
    everything = list(batches(SomeEmpty(), SAMPLING, 2, 24))
    assert sum(len(samples.crops) for samples, _ in everything) == 2 * (3 * 2 + 3 * 4)
