"""Flipping back: by hand, against the reference, and twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.skeletons import COCO_17, SKELETONS, Skeleton
from predictors.mirroring import flip_average, flip_back
from tests.topdown.goldens import NAMES, read_golden

SKELETON = Skeleton("three", ("left", "middle", "right"), (0.1, 0.1, 0.1), mirror=((0, 2),))
MIRROR = [2, 1, 0]
MAPS = torch.tensor([[[1.0, 2, 3], [4, 5, 6]], [[0, 0, 7], [0, 0, 8]], [[9, 0, 0], [0, 9, 0]]])


def test_the_permutation_swaps_pairs_and_leaves_the_rest() -> None:
    assert SKELETON.partners == MIRROR
    assert COCO_17.partners == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def test_columns_are_reversed_and_channels_swapped() -> None:
    assert flip_back(MAPS, MIRROR, shift=False).tolist() == [
        [[0, 0, 9], [0, 9, 0]],
        [[7, 0, 0], [8, 0, 0]],
        [[3, 2, 1], [6, 5, 4]],
    ]


def test_the_shift_repeats_the_first_column_and_drops_the_last() -> None:
    assert flip_back(MAPS, torch.tensor(MIRROR), shift=True).tolist() == [
        [[0, 0, 0], [0, 0, 9]],
        [[7, 7, 0], [8, 8, 0]],
        [[3, 3, 2], [6, 6, 5]],
    ]


def test_the_average_is_plain() -> None:
    assert flip_average(MAPS, MAPS, MIRROR, shift=False)[0].tolist() == [[0.5, 1, 6], [2, 7, 3]]


@pytest.mark.parametrize("name", NAMES)
def test_flipped_maps_equal_the_reference(shared: Path, name: str) -> None:
    golden = read_golden(shared, name)
    maps = golden.heatmaps()
    mirror = golden.skeleton.partners
    shift = golden.convention == "classical"
    for key, ours in (
        ("flipped_back", flip_back(maps, mirror, shift=shift)),
        ("average", flip_average(maps, maps, mirror, shift=shift)),
    ):
        theirs = golden.content["flip"][key]
        assert list(ours.shape) == theirs["shape"]
        np.testing.assert_array_equal(
            ours.flatten()[theirs["sample_indices"]].numpy(), theirs["sample_values"]
        )
        assert ours.mean().item() == pytest.approx(theirs["mean"], rel=1e-12)
        assert ours.std(correction=0).item() == pytest.approx(theirs["std"], rel=1e-12)


@given(
    st.sampled_from(sorted(SKELETONS)),
    st.lists(st.integers(0, 2), max_size=2),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_flipping_twice_without_shift_changes_nothing(
    name: str, batch: list[int], height: int, width: int, dtype: torch.dtype
) -> None:
    mirror = SKELETONS[name].partners
    maps = torch.randn(*batch, len(mirror), height, width).to(dtype)
    once = flip_back(maps, mirror, shift=False)
    assert torch.equal(flip_back(once, mirror, shift=False), maps)
    shifted = flip_back(maps, mirror, shift=True)
    assert shifted.dtype == dtype
    assert torch.equal(shifted[..., 0], once[..., 0])
    assert torch.equal(shifted[..., 1:], once[..., :-1])
