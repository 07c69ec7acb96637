"""What a refiner changed in numbers, as the record keeps it."""

from __future__ import annotations

import msgspec


class RefinedMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number before refinement, and for how many persons it changed.

    Attributes:
        before: the value for the poses that the refiner started from, averaged as the metric's
            `value` is, which is the one after it; null when there is none.
        n: persons who have a pose before it. Where persons are matched to poses in the image, they
            may be others than after it.
        n_better: persons with a pose both before and after it whose mean error it made smaller.
        n_worse: those whose mean error it made larger.
    """

    before: float | None
    n: int
    n_better: int
    n_worse: int


class Refinement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What refinement changed over the whole split.

    Attributes:
        metrics: by name, those that compare each person with one pose; all in mm.
        n_scenes: images with two or more evaluated persons who have a pose before and after it.
    """

    metrics: dict[str, RefinedMetric]
    n_scenes: int
