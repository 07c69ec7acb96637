"""Intervals of metrics: from numbers on resampled images.

A split is a sample of the images there could be, and another sample would give another number.
Images are drawn with replacement, as many as there are, and all metrics are computed anew on every
such resample, from the matches that were found once.

Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 14.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from crowdbench.metrics import RESAMPLES
from crowdbench.metrics.sample import Key, Sample, draw, leave_out
from crowdbench.results import Bootstrap, Interval
from crowdbench.structures import Array

SEED = 0
LEVEL = 0.95
# The skewness is estimated from so many groups of images, left out one after the other.
_GROUPS = 200
# A number that is missing from more of the resamples than this has no interval.
_MOST_MISSING = 0.05
# Numbers that were summed in another order are further apart by much less.
_ROUNDING = 1e-9


class Replicates(NamedTuple):
    """K numbers on resampled splits; NaN where a resample has no such number.

    Attributes:
        plain: (K,) on the split as it is.
        drawn: (K, B) on B resamples.
        without: (K, G) without one group of units after the other.
    """

    plain: Array
    drawn: Array
    without: Array

    def take(self, rows: Sequence[int]) -> Replicates:
        """Return some of the numbers, in the order of `rows`."""
        return Replicates(*(values[list(rows)] for values in self))

    def __sub__(self, other: Replicates) -> Replicates:
        """Return the differences to the same numbers of another run on the same resamples."""
        return Replicates(*(a - b for a, b in zip(self, other, strict=True)))


def bootstrap(
    sample: Sample, keys: Sequence[Key], resamples: int = RESAMPLES, seed: int = SEED
) -> Replicates:
    """Return numbers on resampled splits.

    Args:
        sample: the scored split.
        keys: which numbers.
        resamples: how many resamples to draw.
        seed: of the draws; samples with as many units are drawn alike.
    """
    n = sample.units.n
    weights = np.hstack(
        [np.ones((n, 1), np.int32), draw(n, resamples, seed), leave_out(n, _GROUPS)]
    )
    values = sample.replicate(weights, keys)
    return Replicates(values[:, 0], values[:, 1 : 1 + resamples], values[:, 1 + resamples :])


class OtherNumberError(Exception):
    """What a sample gives is not what was recorded: they are not of one scoring.

    Attributes:
        key: of the number.
        recorded: what was recorded.
        found: what the sample gives.
    """

    def __init__(self, key: Key, recorded: float, found: float) -> None:
        super().__init__(key, recorded, found)
        self.key, self.recorded, self.found = key, recorded, found


def bootstrap_recorded(
    sample: Sample, recorded: Mapping[Key, float | None], resamples: int
) -> dict[Key, Replicates]:
    """Return recorded numbers on resampled splits, those that have a value and the sample knows.

    Args:
        sample: the scored split.
        recorded: the numbers, of the same scoring.
        resamples: how many resamples to draw.

    Raises:
        OtherNumberError: if a number of the sample is not the recorded one.
    """
    there = set(sample.keys)
    values = {key: value for key, value in recorded.items() if value is not None and key in there}
    if not values:
        return {}
    replicates = bootstrap(sample, list(values), resamples)
    plain = replicates.plain.tolist()
    for (key, value), found in zip(values.items(), plain, strict=True):
        if not abs(found - value) <= _ROUNDING * max(1.0, abs(value)):
            raise OtherNumberError(key, value, found)
    return {key: replicates.take([i]) for i, key in enumerate(values)}


def bootstrap_facts(sample: Sample, resamples: int, seed: int = SEED) -> Bootstrap:
    """Return how intervals are made of a sample, for the record."""
    units = sample.units
    return Bootstrap(
        resamples=resamples,
        seed=seed,
        level=LEVEL,
        unit=units.kind,
        units=units.n,
        images_per_unit=int(np.bincount(units.of_image, minlength=1).max()),
    )


def intervals(replicates: Replicates, level: float = LEVEL) -> list[Interval | None]:
    """Return the intervals of K numbers, None for a number that has none.

    Percentile: the quantiles of the numbers on resamples. BCa: the same at levels that are moved by
    the share of resamples below the number itself (bias) and by the skewness of the numbers with
    groups of images left out.

    Args:
        replicates: of the numbers.
        level: how often the intervals are to hold.

    >>> constant = Replicates(np.array([0.5]), np.full((1, 100), 0.5), np.full((1, 10), 0.5))
    >>> intervals(constant)[0].percentile
    (0.5, 0.5)
    """
    return [
        _interval(float(plain), drawn, without, level)
        for plain, drawn, without in zip(*replicates, strict=True)
    ]


def _interval(plain: float, drawn: Array, without: Array, level: float) -> Interval | None:
    there = drawn[~np.isnan(drawn)]
    # A single unit is drawn again and again: that says nothing.
    if np.isnan(plain) or len(without) < 2 or len(there) < (1 - _MOST_MISSING) * len(drawn):
        return None
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(there, tails).tolist()
    moved = _bca_tails(plain, there, without, tails)
    bca = None
    if moved is not None:
        bca_low, bca_high = np.quantile(there, moved).tolist()
        bca = (bca_low, bca_high)
    return Interval((low, high), bca, float(there.std(ddof=1)))


def _bca_tails(plain: float, drawn: Array, without: Array, tails: Array) -> Array | None:
    """Return the levels of the quantiles that are the ends of the BCa interval."""
    # Ties count half, so that a number that never changes has no bias.
    below = (np.count_nonzero(drawn < plain) + np.count_nonzero(drawn <= plain)) / 2 / len(drawn)
    away = np.nanmean(without) - without if not np.isnan(without).all() else without
    away = away[~np.isnan(away)]
    spread = float((away**2).sum())
    if not 0 < below < 1 or len(away) < 2:
        return None
    bias = float(ndtri(below))
    cube = spread**1.5
    skewness = float((away**3).sum()) / (6 * cube) if cube > 0 else 0.0
    z = bias + ndtri(tails)
    shrunk = 1 - skewness * z
    if (shrunk <= 0).any():
        return None
    return np.asarray(ndtr(bias + z / shrunk))
