"""Random draws that are the same on every machine and with every version of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from crowdbench.structures import Array

T = TypeVar("T")


class Draws:
    """A stream of random draws, chosen by integers.

    numpy promises that the bits of PCG64 and the seeding by SeedSequence never change, but not what
    `numpy.random.Generator` makes of them. So everything here comes from its uniform numbers, which
    are the bits themselves, divided by a power of two.

    >>> Draws(1, 2).uniform(0, 10, 2).round(3).tolist()
    [4.484, 4.309]
    """

    def __init__(self, *seeds: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))

    def uniform(self, low: float, high: float, *shape: int) -> Array:
        """Return float64 numbers in [low, high)."""
        drawn: Array = self._generator.random(shape)
        return low + (high - low) * drawn

    def number(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self._generator.random()

    def spread(self, *shape: int) -> Array:
        """Return float64 numbers in (-1, 1), of a triangular density that is highest at 0."""
        first, second = self._generator.random((2, *shape))
        found: Array = first - second
        return found

    def integers(self, count: int, *shape: int) -> Array:
        """Return int64 numbers from 0 to `count` - 1."""
        found: Array = (self._generator.random(shape) * count).astype(np.int64)
        return found

    def integer(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included."""
        return low + int(self._generator.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return bool(self._generator.random() < probability)

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of several choices, each as likely."""
        return choices[int(self._generator.random() * len(choices))]
