"""Whether the difference of two runs is more than chance: both on the same resampled images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr, stdtrit

from crowdbench.errors import UsageError
from crowdbench.metrics.bootstrap import LEVEL, Replicates, intervals
from crowdbench.metrics.sample import Sample
from crowdbench.results import Paired
from crowdbench.structures import Array

# A difference counts as found at 5 %, two-sided, and detectable when it is found 8 times of 10.
_POWER = 0.8


def check_same_units(first: Sample, second: Sample, names: tuple[str, str]) -> None:
    """Refuse to pair runs that can't be resampled alike.

    Raises:
        UsageError: if their images are not the same ones; `names` are of the runs.
    """
    a, b = first.units, second.units
    if a.kind != b.kind or a.n != b.n or not np.array_equal(a.of_image, b.of_image):
        raise UsageError(
            f"{names[1]} has {len(b.of_image):,} images in {b.n:,} units ({b.kind}), {names[0]} "
            f"{len(a.of_image):,} in {a.n:,} ({a.kind}): the same images can't be drawn for both"
        )


def paired(
    first: Replicates, second: Replicates, higher_is_better: Sequence[bool]
) -> list[Paired | None]:
    """Return what resampling says of K differences; None for one that has no interval.

    The p-value is that of a t test with the standard error of the difference on resamples, and as
    many degrees of freedom as there are units less one (199 at most, which is as good as normal).
    Holm's correction is over all K of them; those that are alike on every resample count once.

    Args:
        first: numbers of the first run.
        second: the same numbers of the second, on the same resamples.
        higher_is_better: the direction of each.
    """
    difference = second - first
    freedom = difference.without.shape[1] - 1
    found = intervals(difference)
    p_values = [
        None
        if interval is None
        else _p_value(float(difference.plain[i]), interval.standard_error, freedom)
        for i, interval in enumerate(found)
    ]
    tested = {difference.drawn[i].tobytes(): p for i, p in enumerate(p_values) if p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    result: list[Paired | None] = []
    for i, (interval, p) in enumerate(zip(found, p_values, strict=True)):
        if interval is None or p is None:
            result.append(None)
            continue
        result.append(
            Paired(
                interval=interval,
                p_value=p,
                p_adjusted=adjusted[difference.drawn[i].tobytes()],
                p_worse=share_worse(difference.drawn[i], higher_is_better[i]),
                detectable=detectable(interval.standard_error, freedom),
            )
        )
    return result


def _p_value(difference: float, standard_error: float, freedom: int) -> float:
    if standard_error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stdtr(freedom, -abs(difference) / standard_error))


def share_worse(drawn: Array, higher_is_better: bool) -> float:
    """Return the share of resampled differences (B,) that say worse; ties count half.

    >>> share_worse(np.array([-0.1, 0.0, 0.1, 0.2]), higher_is_better=True)
    0.375
    """
    there = drawn[~np.isnan(drawn)]
    worse = there < 0 if higher_is_better else there > 0
    return float((np.count_nonzero(worse) + np.count_nonzero(there == 0) / 2) / len(there))


def detectable(standard_error: float, freedom: int, level: float = LEVEL) -> float:
    """Return the least true difference that a two-sided test finds 8 times of 10.

    Args:
        standard_error: of the difference.
        freedom: degrees of freedom: units less one.
        level: 1 less the share of false findings that the test allows.

    >>> round(detectable(0.01, freedom=199), 4)
    0.0282
    """
    return float((stdtrit(freedom, (1 + level) / 2) + stdtrit(freedom, _POWER)) * standard_error)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values after Holm's correction: at most 5 % of families then have a false finding.

    Source: S. Holm, A simple sequentially rejective multiple test procedure (1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    stepped = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    adjusted = np.empty(len(p))
    adjusted[order] = stepped
    return [float(value) for value in adjusted]
