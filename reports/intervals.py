"""Intervals and tests as readers see them, and as columns of CSV files."""

from __future__ import annotations

from crowdbench.results import Bootstrap, Interval, Metric, Paired
from crowdbench.terminal import difference, interval_words, number

INTERVAL_COLUMNS = ("low", "high", "bca_low", "bca_high", "standard_error")
PAIRED_COLUMNS = (
    *("difference_low", "difference_high", "difference_standard_error"),
    *("p_value", "p_adjusted", "p_worse", "detectable"),
)
# Differences with a lower p-value, after Holm's correction, count as more than chance.
ALPHA = 0.05
# Behind such a difference.
STAR = "*"
# What is drawn, in words.
UNIT_WORDS = {"image": "images", "sequence": "sequences", "block": "blocks"}


def interval_of(metric: Metric | None) -> Interval | None:
    """Return the interval of a number; None if there is none."""
    found = None if metric is None else metric.interval
    return found if isinstance(found, Interval) else None


def interval_text(interval: Interval | None, unit: str, digits: int = 2) -> str:
    """Return an interval in the unit that tables show, ``-`` for none.

    Args:
        interval: of a number.
        unit: of the number, ``fraction`` or ``mm``.
        digits: decimals of percentages.

    >>> interval_text(Interval((0.5894, 0.612), None, 0.006), "fraction")
    '58.94 - 61.20'
    >>> interval_text(Interval((-0.012, 0.003), None, 0.004), "fraction")
    '-1.20 to 0.30'
    """
    return number(None, unit) if interval is None else interval_words(interval, unit, digits)


def interval_data(metric: Metric | None) -> tuple[float | None, ...]:
    """Return what `INTERVAL_COLUMNS` hold of a number."""
    interval = interval_of(metric)
    if interval is None:
        return (None,) * len(INTERVAL_COLUMNS)
    bca = (None, None) if interval.bca is None else interval.bca
    return (*interval.percentile, *bca, interval.standard_error)


def paired_data(paired: Paired | None) -> tuple[float | None, ...]:
    """Return what `PAIRED_COLUMNS` hold of a difference."""
    if paired is None:
        return (None,) * len(PAIRED_COLUMNS)
    return (
        *paired.interval.percentile,
        paired.interval.standard_error,
        *(paired.p_value, paired.p_adjusted, paired.p_worse, paired.detectable),
    )


def is_real(paired: Paired | None) -> bool:
    """Return whether a difference is more than chance, as far as the split can show it."""
    return paired is not None and paired.p_adjusted < ALPHA


def difference_text(change: float | None, unit: str, paired: Paired | None) -> str:
    """Return a difference, e.g. ``+1.25*``, with the star if it is more than chance."""
    if change is None:
        return number(None, unit)
    return difference(change, unit) + (STAR if is_real(paired) else "")


def difference_interval_text(paired: Paired | None, unit: str) -> str:
    """Return the interval of a difference, e.g. ``-0.20 to +1.31``; ``-`` for none."""
    if paired is None:
        return number(None, unit)
    return " to ".join(difference(end, unit) for end in paired.interval.percentile)


def p_value_text(p: float) -> str:
    """Return a p-value as tables show it.

    >>> p_value_text(0.0004), p_value_text(0.0312), p_value_text(1.0)
    ('< 0.001', '0.031', '1.000')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def share_text(share: float) -> str:
    """Return a share of resamples; never 0 or 1, as more resamples might say otherwise.

    >>> share_text(0.0), share_text(0.25), share_text(1.0)
    ('< 0.001', '0.250', '> 0.999')
    """
    return "> 0.999" if share > 0.999 else p_value_text(share)


def header_of_tests(bootstrap: Bootstrap) -> tuple[str, ...]:
    """Return the columns of a difference and its test."""
    interval = f"{level_text(bootstrap)} interval"
    return ("difference", interval, "p (Holm)", "P(worse)", "detectable")


def cells_of_test(change: float | None, unit: str, paired: Paired | None) -> tuple[str, ...]:
    """Return the cells of a difference below `header_of_tests`.

    Args:
        change: the difference.
        unit: of the numbers.
        paired: its test; None where there is none.
    """
    none = number(None, unit)
    return (
        difference_text(change, unit, paired),
        difference_interval_text(paired, unit),
        none if paired is None else p_value_text(paired.p_adjusted),
        none if paired is None else share_text(paired.p_worse),
        number(None if paired is None else paired.detectable, unit),
    )


def level_text(bootstrap: Bootstrap) -> str:
    """Return how often intervals are to hold, e.g. ``95 %``."""
    return f"{100 * bootstrap.level:g} %"


def resamples_words(bootstrap: Bootstrap) -> str:
    """Return what was drawn, e.g. ``1,000 resamples of the 2,000 images (seed 0)``."""
    of = f"{bootstrap.units:,} {UNIT_WORDS[bootstrap.unit]}"
    if bootstrap.unit == "block":
        of += f" of up to {bootstrap.images_per_unit:,} consecutive images"
    return f"{bootstrap.resamples:,} resamples of the {of} (seed {bootstrap.seed})"


def coarse_words(bootstrap: Bootstrap) -> str:
    """Return a warning where there are few units to draw from, or nothing."""
    if not bootstrap.is_coarse:
        return ""
    return (
        f" With no more than {bootstrap.units:,} {UNIT_WORDS[bootstrap.unit]} to draw from, "
        "intervals are coarse and rather too narrow."
    )


def intervals_legend(bootstrap: Bootstrap | None) -> str:
    """Return how the intervals of a run were made; nothing if there are none."""
    if bootstrap is None:
        return ""
    return (
        f" {level_text(bootstrap)} intervals (percentile) are from {resamples_words(bootstrap)}, "
        f"drawn with replacement; docs/intervals.md says how.{coarse_words(bootstrap)}"
    )
