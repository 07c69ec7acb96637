"""Samples depend on seed, epoch and image alone; batches on nothing but their place."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch

from predictors.topdown.crop import crop_persons, frames_of
from predictors.training.augmentation import NONE
from predictors.training.examples import Example
from predictors.training.samples import BEGIN, Position, Samples, batches, make_samples
from predictors.training.targets import make_targets
from tests.training.problems import Squares, small_recipe

SAMPLING = replace(small_recipe().sampling, input_size=(64, 48), seed=3)
SOURCE = Squares()
# Images 0 to 11 have 1, 2, 3, 4, 1, ... persons.
N_PERSONS = 30


def all_batches(n_images: int = 12, start: Position = BEGIN, workers: int = 0) -> list[
    tuple[Samples, Position]
]:  # fmt: skip
    return list(batches(SOURCE, SAMPLING, 4, n_images, start=start, n_workers=workers))


def same(one: Samples, other: Samples) -> bool:
    return all(map(torch.equal, one, other))


def test_a_sample_is_the_crop_with_the_targets_of_owner_and_neighbour() -> None:
    sampling = replace(SAMPLING, augmentation=NONE)
    example = SOURCE[2]
    found = make_samples(example, SOURCE.skeleton, sampling, np.random.default_rng(0))
    crops = crop_persons(
        example.image, frames_of(example.boxes, (64, 48), "classical"), (64, 48), "classical"
    )
    assert np.array_equal(found.crops.numpy(), crops)
    assert [list(part.shape) for part in found] == [
        [3, 64, 48, 3], [3, 2, 17, 16, 12], [3, 2, 17],
    ]  # fmt: skip
    assert [part.dtype for part in found] == [torch.uint8, torch.float32, torch.float32]
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
    beside = Example(example.image, keypoints, example.boxes)
    one = replace(SAMPLING, augmentation=NONE, n_instances=1)
    two = replace(one, n_instances=2)
    weights = [
        make_samples(beside, SOURCE.skeleton, sampling, np.random.default_rng(0)).weights[0, 0, 0]
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
        make_samples(SOURCE[i], SOURCE.skeleton, sampling, np.random.default_rng(0)).crops
        for i in range(2)
    ]
    assert [len(crops) for crops in found] == [2, 1]
    assert torch.equal(torch.cat(found), torch.cat(expected))
