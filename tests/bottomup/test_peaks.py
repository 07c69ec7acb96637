"""Peaks: by hand, and against a plain search."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from predictors.bottomup.peaks import Peaks, find_peaks, window_for


def plain(maps: np.ndarray, window: int, most: int, least: float) -> list[tuple[float, ...]]:
    reach, found = window // 2, []
    for channel, values in enumerate(maps):
        peaks = [
            (channel, row, column, values[row, column])
            for row, column in np.ndindex(values.shape)
            if values[row, column] > least
            and values[row, column]
            >= values[
                max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
            ].max()
        ]
        found += sorted(peaks, key=lambda peak: -peak[3])[:most]
    return found


def as_list(peaks: Peaks) -> list[tuple[float, ...]]:
    return list(zip(*(t.tolist() for t in peaks), strict=True))


@given(
    # Few different values, so that there are plateaus and ties.
    maps=arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
        elements=st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]),
    ),
    window=st.sampled_from([3, 5, 7]),
    most=st.integers(1, 5),
    least=st.sampled_from([-0.5, 0.0, 0.3]),
)
def test_as_by_a_plain_search(maps: np.ndarray, window: int, most: int, least: float) -> None:
    peaks = find_peaks(torch.from_numpy(maps), window, most, least)
    assert as_list(peaks) == plain(maps, window, most, least)


def test_the_highest_come_first_by_channel() -> None:
    maps = torch.zeros(2, 5, 9)
    maps[0, 1, 1], maps[0, 3, 4], maps[0, 1, 7] = 0.25, 0.75, 0.5
    maps[1, 4, 8] = 1
    assert as_list(find_peaks(maps, 3, 2, 0.01)) == [(0, 3, 4, 0.75), (0, 1, 7, 0.5), (1, 4, 8, 1)]


def test_a_plateau_survives_whole() -> None:
    maps = torch.zeros(1, 5, 5)
    maps[0, 2, 1:4] = 0.5
    assert find_peaks(maps, 3, 30, 0.01).columns.tolist() == [1, 2, 3]


def test_a_value_at_the_limit_is_none() -> None:
    maps = torch.full((1, 1, 3), 0.25, dtype=torch.float64)
    assert not len(find_peaks(maps, 3, 30, 0.25).values)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_maps_without_peaks(value: float) -> None:
    peaks = find_peaks(torch.full((3, 4, 5), value), 3, 30, 0.01)
    assert [len(t) for t in peaks] == [0, 0, 0, 0]


def test_a_map_smaller_than_the_window() -> None:
    assert as_list(find_peaks(torch.tensor([[[0.5, 1.0]]]), 7, 30, 0.01)) == [(0, 0, 1, 1.0)]


def test_half_precision() -> None:
    maps = torch.zeros(1, 4, 4, dtype=torch.bfloat16)
    maps[0, 2, 2] = 0.5
    peaks = find_peaks(maps, 3, 30, 0.01)
    assert as_list(peaks) == [(0, 2, 2, 0.5)]
    assert peaks.values.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("height", "width", "window"),
    [(1, 1, 3), (200, 200, 3), (201, 200, 5), (300, 300, 5), (300, 301, 7)],
)
def test_larger_maps_have_larger_windows(height: int, width: int, window: int) -> None:
    assert window_for(height, width) == window
