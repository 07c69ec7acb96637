"""Whether the differences of runs are more than chance: all runs on the same resampled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from crowdbench.conditions.resampled_figures import resampled_figures
from crowdbench.errors import InputError, UsageError
from crowdbench.metrics.bootstrap import (
    OtherNumberError,
    Replicates,
    bootstrap_facts,
    bootstrap_recorded,
)
from crowdbench.metrics.paired import check_same_units, paired
from crowdbench.metrics.sample import Key, Sample, read_sample
from crowdbench.record import RunFolder
from crowdbench.results import Bootstrap, ConditionDescription, ConditionRow, Metrics, Paired


class Figures(NamedTuple):
    """The figures that sum up a condition, to be tested.

    Attributes:
        condition: what it is.
        first: the rows of the first run.
        second: those of the other.
        higher_is_better: by name, their direction.
    """

    condition: ConditionDescription
    first: Sequence[ConditionRow]
    second: Sequence[ConditionRow]
    higher_is_better: Mapping[str, bool]


class Pairs(NamedTuple):
    """The numbers of runs on the same resampled images.

    Attributes:
        bootstrap: how the resamples were drawn; None if no run can be paired with the first.
        notes: which runs can't be paired with the first, why, and what to do, as sentences.
        numbers: of each run, by key; nothing of a run that can't be paired.
    """

    bootstrap: Bootstrap | None
    notes: tuple[str, ...]
    numbers: tuple[dict[Key, Replicates], ...]

    def of_keys(self, run: int, higher_is_better: Mapping[Key, bool]) -> dict[Key, Paired]:
        """Return the tests of a run's differences to the first run, as one family of Holm's.

        Args:
            run: its index; of the first run nothing is tested.
            higher_is_better: the direction of the numbers to test. Those that one of the two runs
                has not on resampled images are left out.
        """
        if not run:
            return {}
        first, second = self.numbers[0], self.numbers[run]
        return _test(
            {key: (first.get(key), second.get(key)) for key in higher_is_better}, higher_is_better
        )

    def of_figures(
        self, run: int, main: str, conditions: Mapping[str, Figures]
    ) -> dict[Key, Paired]:
        """Return the tests of the figures that sum up conditions, as one family of Holm's.

        Args:
            run: its index.
            main: the metric that they are of.
            conditions: by condition, its figures.

        Returns:
            By key, the figure's name standing for a metric of no row.
        """
        if not run:
            return {}
        found, directions = {}, {}
        for name, figures in conditions.items():
            first = self._figures(0, main, name, figures.condition, figures.first)
            second = self._figures(run, main, name, figures.condition, figures.second)
            for figure, higher in figures.higher_is_better.items():
                key = Key(figure, name)
                found[key], directions[key] = (first.get(figure), second.get(figure)), higher
        return _test(found, directions)

    def _figures(
        self,
        run: int,
        main: str,
        condition: str,
        facts: ConditionDescription,
        rows: Sequence[ConditionRow],
    ) -> dict[str, Replicates]:
        """Return the figures of a condition on resampled images; none if a row is not there."""
        with_value = [row.metrics[main].value is not None for row in rows if main in row.metrics]
        numbers = [self.numbers[run].get(Key(main, condition, row.label)) for row in rows]
        if sum(found is not None for found in numbers) < sum(with_value):
            return {}
        return resampled_figures(facts, rows, numbers, main)


def _test(
    found: Mapping[Key, tuple[Replicates | None, Replicates | None]],
    higher_is_better: Mapping[Key, bool],
) -> dict[Key, Paired]:
    both = {
        key: (first, second)
        for key, (first, second) in found.items()
        if first is not None and second is not None
    }
    if not both:
        return {}
    firsts, seconds = (
        Replicates(*(np.concatenate(parts) for parts in zip(*numbers, strict=True)))
        for numbers in zip(*both.values(), strict=True)
    )
    tests = paired(firsts, seconds, [higher_is_better[key] for key in both])
    return {key: test for key, test in zip(both, tests, strict=True) if test is not None}


def pair_runs(
    folders: Sequence[RunFolder], names: Sequence[str], metrics: Sequence[Metrics], main: str
) -> Pairs:
    """Compute the numbers of all runs on the same resampled images, where that can be done.

    Args:
        folders: of the runs, the first being the one that the others are paired with.
        names: of the runs.
        metrics: their numbers.
        main: the metric that rows of conditions are compared by.

    Raises:
        InputError: if matches are broken, or are not those that the numbers were made from.
    """
    reasons: list[str | None] = []
    samples: list[Sample | None] = []
    for folder, name, found in zip(folders, names, metrics, strict=True):
        reason, sample = _why_not(folder, name, found), None
        if reason is None:
            sample = read_sample(folder.matches)
            reason = _why_not_alike(samples[:1], sample, names[0], name)
        reasons.append(reason)
        samples.append(sample if reason is None else None)
    notes = _notes(names, metrics, reasons)
    first = samples[0]
    if first is None or not any(samples[1:]):
        return Pairs(None, notes, ({},) * len(names))
    resamples = min(
        found.bootstrap.resamples
        for found, sample in zip(metrics, samples, strict=True)
        if found.bootstrap is not None and sample is not None
    )
    numbers = tuple(
        {} if sample is None else _resample(folder, sample, found, main, resamples)
        for folder, sample, found in zip(folders, samples, metrics, strict=True)
    )
    return Pairs(bootstrap_facts(first, resamples), notes, numbers)


def _why_not(folder: RunFolder, name: str, metrics: Metrics) -> str | None:
    """Say why a run can't be resampled; None if it can."""
    if metrics.bootstrap is None:
        return f"{name} was scored without resampling; `crowdbench score` does it"
    if not folder.matches.is_file():
        return f"{name} has no {folder.matches.name}; `crowdbench score` writes it"
    return None


def _why_not_alike(
    first: Sequence[Sample | None], sample: Sample, first_name: str, name: str
) -> str | None:
    """Say why a run can't be resampled like the first, if there is one; None if it can."""
    if sample.units.n < 2:
        return f"{name} has one {sample.units.kind} only, so every resample is the same"
    try:
        for other in first:
            if other is not None:
                check_same_units(other, sample, (first_name, name))
    except UsageError as error:
        return str(error)
    return None


def _notes(
    names: Sequence[str], metrics: Sequence[Metrics], reasons: Sequence[str | None]
) -> tuple[str, ...]:
    with_numbers = [any(m.value is not None for m in found.metrics.values()) for found in metrics]
    if not (with_numbers[0] and any(with_numbers[1:])):
        return ()  # there is no difference to test
    if reasons[0] is not None:
        return (f"No difference is tested for being more than chance: {reasons[0]}.",)
    return tuple(
        f"Whether the differences of {name} to {names[0]} are more than chance is not tested: "
        f"{reason}."
        for name, reason, has_numbers in zip(names, reasons, with_numbers, strict=True)
        if reason is not None and has_numbers
    )


def _resample(
    folder: RunFolder, sample: Sample, metrics: Metrics, main: str, resamples: int
) -> dict[Key, Replicates]:
    """Return the numbers of the whole split and the main one of every row, on resampled images."""
    recorded = {Key(name): metric.value for name, metric in metrics.metrics.items()} | {
        Key(main, condition, row.label): row.metrics[main].value
        for condition, rows in metrics.conditions.items()
        for row in rows
        if main in row.metrics
    }
    try:
        return bootstrap_recorded(sample, recorded, resamples)
    except OtherNumberError as error:
        where = " ".join(part for part in error.key if part is not None)
        raise InputError(
            f"{folder.matches}: not the matches of metrics.json ({where} would be {error.found}, "
            f"not {error.recorded}): run `crowdbench score {folder.path}`"
        ) from None
