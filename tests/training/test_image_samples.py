"""Samples of whole images: what they hold, and that they depend on the image alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from predictors.bottomup.partitions import find_partition
from predictors.topdown.crop import warp_crops
from predictors.training.examples import Example
from predictors.training.image_augmentation import MIDDLE, MILD
from predictors.training.image_samples import ImageSamples, ImageSampling
from predictors.training.image_targets import point_maps, pose_places
from predictors.training.stream import batches
from tests.training.problems import Squares

SAMPLING = ImageSampling((96, 96), MIDDLE, "part-large", 2, 4, (-2, 1), n_chosen=5)
SOURCE = Squares()


def made(example: Example, sampling: ImageSampling = SAMPLING, seed: int = 0) -> ImageSamples:
    return sampling.make(example, SOURCE.skeleton, np.random.default_rng(seed))


def same(one: ImageSamples, other: ImageSamples) -> bool:
    return all(map(torch.equal, one, other))


def test_a_sample_is_the_cut_with_the_targets_of_everybody() -> None:
    example = SOURCE[2]
    found = made(example)
    assert [list(part.shape) for part in found[:2]] == [[1, 96, 96, 3], [1, 20, 24, 24]]
    assert [part.dtype for part in found] == [
        torch.uint8, torch.float32, torch.int64, torch.float32, torch.float32, torch.float32,
        torch.int64,
    ]  # fmt: skip
    # Images are 120 x 160: the middle 120 x 120, times 0.8.
    affine = np.array([[[0.8, 0, -16], [0, 0.8, 0]]])
    assert np.array_equal(found.crops.numpy(), warp_crops(example.image, affine, (96, 96)))
    joints = example.keypoints.copy()
    joints[..., :2] = (joints[..., :2] * 0.8 - [16, 0]) / 4
    centres = find_partition("part-large").centres(joints, SOURCE.skeleton)
    sigmas = np.array([2.0] * 17 + [4.0] * 3)
    wanted = point_maps(np.concatenate([joints, centres], 1), (24, 24), sigmas)
    assert found.maps[0].numpy() == pytest.approx(wanted, abs=1e-6)
    # Boxes are 40 x 50.
    areas = np.full(3, 2000 * 0.64)
    places = pose_places(joints, centres, areas, np.sqrt(areas), (24, 24), (-2, 1))
    assert not found.places[:, 0].any()
    assert np.array_equal(found.places[:, 1:].numpy(), places.places)
    assert found.offsets.numpy() == pytest.approx(places.offsets, abs=1e-5)
    assert found.weights.max().item() == pytest.approx(1 / np.sqrt(2000 * 0.64))
    assert found.sizes.max().item() == pytest.approx(np.sqrt(2000 * 0.64))
    assert found.chosen.shape == (1, 15)
    assert found.chosen.max() < len(found.places)


def test_areas_are_those_of_boxes_or_measured_from_the_origin() -> None:
    example = SOURCE[0]
    keypoints = example.keypoints.copy()
    keypoints[0, :, :2] = example.boxes[0, :2] + [20, 25]
    keypoints[0, 3] = [70, 30, 1]
    keypoints[0, 4] = [60, 50, 2]
    keypoints[0, 5] = [150, 110, 0]
    example = replace(example, keypoints=keypoints)
    x, y = np.maximum(keypoints[0, 0, :2], [70, 50])
    found = made(example, replace(SAMPLING, area="origin"))
    weights = found.weights[found.weights > 0]
    assert len(weights)
    assert weights.numpy() == pytest.approx(1 / np.sqrt((x**2 + y**2) * 0.64), rel=1e-5)
    # How far a joint may be off is told by boxes all the same.
    assert found.sizes.max().item() == pytest.approx(np.sqrt(2000 * 0.64))
    without = made(replace(example, boxes=example.boxes * [1, 1, 0, 1]))
    assert without.weights.max().item() == pytest.approx(1 / 0.8)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"least_box": 2000 * 0.64 - 1}, True),
        ({"least_box": 2000 * 0.64 + 1}, False),
        ({"least_area": 1999.0}, True),
        ({"least_area": 2001.0}, False),
    ],
)
def test_small_persons_have_no_centre(changes: dict[str, Any], kept: bool) -> None:
    found = made(SOURCE[0], replace(SAMPLING, **changes))
    assert bool(len(found.places)) is kept
    assert bool(found.maps[0, 17:].any()) is kept
    assert found.maps[0, :17].any()
    assert bool((found.chosen >= 0).any()) is kept


def test_an_image_without_persons_gives_nothing() -> None:
    found = made(SOURCE[0].persons(np.arange(0)))
    assert [len(part) for part in found] == [0] * 7


def test_joined_samples_tell_their_images_apart() -> None:
    few = replace(SAMPLING, n_chosen=40)
    parts = [made(SOURCE[n], few) for n in (0, 3, 1)]
    lengths = [len(part.places) for part in parts]
    before = [part.chosen.clone() for part in parts]
    joined = few.join(parts)
    assert joined.places[:, 0].tolist() == [n for n, k in enumerate(lengths) for _ in range(k)]
    start = 0
    for image, (part, chosen) in enumerate(zip(parts, before, strict=True)):
        rows = joined.chosen[image]
        assert torch.equal(rows >= 0, chosen[0] >= 0)
        taken = rows[rows >= 0]
        assert torch.equal(taken - start, chosen[0][chosen[0] >= 0])
        assert torch.equal(joined.offsets[taken], part.offsets[taken - start])
        start += lengths[image]
    assert (joined.chosen < 0).any()
    assert len(joined.crops) == len(joined.maps) == 3


def test_streams_go_on_from_any_position_and_with_any_workers() -> None:
    sampling = replace(SAMPLING, augmentation=MILD, seed=3)

    def stream(n_images: int = 24, **other: Any) -> list[Any]:
        return list(batches(SOURCE, sampling, 5, n_images, **other))

    whole, helped = stream(), stream(n_workers=2)
    assert [position.image for _, position in whole] == [5, 10, 15, 20]
    assert all(same(a, b) for (a, _), (b, _) in zip(whole, helped, strict=True))
    rest = stream(start=whole[1][1])
    assert all(same(a, b) for (a, _), (b, _) in zip(rest, whole[2:], strict=True))
    assert not same(whole[0][0], stream(start=whole[1][1])[0][0])
    other = next(batches(SOURCE, replace(sampling, seed=4), 5, 24))[0]
    assert not same(other, whole[0][0])
    plain = next(batches(SOURCE, sampling.plain, 2, 2, in_order=True))[0]
    assert same(plain, SAMPLING.join([made(SOURCE[0]), made(SOURCE[1])]))
