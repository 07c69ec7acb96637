"""Poses in space that can be drawn again: what every sequence adds to every 3D metric.

Frames of a sequence show the same persons, a moment apart, so that sequences are drawn as a whole.
Where there is only one, blocks of consecutive frames are drawn instead.

Source: the blocks are those of H. R. Künsch, The jackknife and the bootstrap for general stationary
observations (1989), here without overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self, get_args

import numpy as np

from crowdbench.metrics.evaluation_3d import Value
from crowdbench.metrics.sample import Key, UnitKind, Units
from crowdbench.metrics.stored_arrays import smallest
from crowdbench.structures import Array, Truth3D

_KINDS = tuple(kind for kind in get_args(UnitKind) if kind != "image")


class Tally(NamedTuple):
    """What every unit adds to a number.

    Attributes:
        sums: (U,) float64, its errors or hits added up; NaN where one of them is undefined.
        counts: (U,) float64, how many there are.
        is_mean_of_units: whether the number is the mean of what it is in every unit, without those
            that add nothing; else it is the mean of all errors or hits.
    """

    sums: Array
    counts: Array
    is_mean_of_units: bool


def units_of(space: Truth3D) -> Units:
    """Return what is drawn: sequences, or where all frames are of one, blocks of them.

    A block has as many frames, in the order of the images, as there are blocks; the last one may
    have fewer.
    """
    present, of_image = np.unique(space.sequence_index, return_inverse=True)
    if len(present) > 1:
        return Units("sequence", of_image.astype(np.int64), len(present))
    n_frames = len(of_image)
    size = math.isqrt(max(n_frames - 1, 0)) + 1
    return Units("block", np.arange(n_frames) // size, -(-n_frames // size))


def tally(value: Value, units: Units) -> Tally:
    """Return what every unit adds to a number, given what every image adds."""

    def by_unit(by_frame: Array) -> Array:
        # The last images have no persons where there are fewer numbers than images.
        return np.bincount(units.of_image[: len(by_frame)], by_frame, units.n)

    return Tally(
        by_unit(value.frame_sums),
        by_unit(value.frame_counts),
        units.kind == "sequence" and value.average == "sequence",
    )


def sample_3d(units: Units, tallies: Mapping[Key, Tally]) -> Sample3D:
    """Return the sample of the numbers that were tallied."""

    def table(columns: list[Array]) -> Array:
        return np.array(columns, float).reshape(-1, units.n)

    found = list(tallies.values())
    return Sample3D(
        units,
        tuple(tallies),
        table([one.sums for one in found]),
        table([one.counts for one in found]),
        np.array([one.is_mean_of_units for one in found], bool),
    )


class Sample3D:
    """A scored split of poses in space that can be drawn again.

    Attributes:
        units: what is drawn: U sequences or blocks.
        keys: the N numbers there are.
    """

    def __init__(
        self, units: Units, keys: Sequence[Key], sums: Array, counts: Array, is_mean: Array
    ) -> None:
        """Keep (N, U) sums and counts, and (N,) whether a number is the mean of the units'."""
        self.units = units
        self.keys = tuple(keys)
        self._sums, self._counts, self._is_mean = sums, counts, is_mean

    def replicate(self, weights: Array, keys: Sequence[Key]) -> Array:
        """Return numbers on resampled splits, see `crowdbench.metrics.sample.Sample`."""
        place = {key: i for i, key in enumerate(self.keys)}
        rows = [place[key] for key in keys]
        sums, counts = self._sums[rows], self._counts[rows]
        # Both kinds of numbers are sums by counts: the mean of units is that of one mean for each.
        is_mean = self._is_mean[rows, None]
        undefined = np.isnan(sums)
        sums = np.where(undefined, 0.0, sums)
        sums = np.where(is_mean, sums / np.maximum(counts, 1), sums)
        counts = np.where(is_mean, np.minimum(counts, 1), counts)
        drawn = weights.astype(np.float64)
        total = np.zeros((len(rows), weights.shape[1]))
        # One unit after the other, since the last digit of a matrix product depends on the machine.
        for unit in range(self.units.n):
            total += sums[:, unit, None] * drawn[unit]
        # Products of whole numbers are exact in any order.
        n = counts @ drawn
        n[undefined.astype(np.float64) @ drawn > 0] = 0
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(n > 0, total / n, np.nan)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that are kept."""
        return {
            "sums": self._sums,
            "counts": smallest(self._counts),
            "is_mean": self._is_mean,
            "unit_of_image": smallest(self.units.of_image),
        }

    def facts(self) -> dict[str, Any]:
        """Return what else is kept."""
        return {"kind": "3d", "unit": self.units.kind, "keys": [list(key) for key in self.keys]}

    @classmethod
    def restore(cls, arrays: dict[str, Array], facts: dict[str, Any]) -> Self:
        """Return the sample that `arrays` and `facts` were taken of.

        Raises:
            ValueError, KeyError, TypeError: if they are of none.
        """
        sums, counts = arrays["sums"], arrays["counts"]
        is_mean, of_image = arrays["is_mean"], arrays["unit_of_image"]
        keys = [Key(*key) for key in facts["keys"]]
        if facts["unit"] not in _KINDS:
            raise ValueError(f"unit is {facts['unit']!r}")
        if not all(isinstance(key.metric, str) and _is_place(key) for key in keys):
            raise ValueError("keys are not names")
        if len(set(keys)) != len(keys):
            raise ValueError("a number is there twice")
        whole = all(_is_whole(array) for array in (counts, of_image))
        if not whole or sums.dtype != np.float64 or is_mean.dtype != np.bool_:
            raise ValueError("numbers of a wrong type")
        present = np.unique(of_image)
        n = len(present)
        if of_image.ndim != 1 or not np.array_equal(present, np.arange(n)):
            raise ValueError("units are not numbered from 0 on")
        shapes = sums.shape, counts.shape, is_mean.shape
        if shapes != ((len(keys), n), (len(keys), n), (len(keys),)):
            raise ValueError(f"{len(keys)} numbers of {n} units in tables of {shapes}")
        if np.isinf(sums).any():
            raise ValueError("a sum is infinite")
        units = Units(facts["unit"], of_image.astype(np.int64), n)
        return cls(units, keys, sums, counts.astype(np.float64), is_mean)


def _is_whole(values: Array) -> bool:
    return bool(np.issubdtype(values.dtype, np.unsignedinteger))


def _is_place(key: Key) -> bool:
    return all(part is None or isinstance(part, str) for part in (key.condition, key.row))
