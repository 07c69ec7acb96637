"""Intervals of everything that was scored: all numbers on the same resampled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from crowdbench.conditions.robustness import figure_values, recorded_places
from crowdbench.metrics.bootstrap import Replicates, bootstrap, bootstrap_facts, intervals
from crowdbench.metrics.catalogue import main_metric
from crowdbench.metrics.sample import Key, Sample
from crowdbench.results import Bootstrap, ConditionFacts, ConditionRow, Interval, Metric, Metrics
from crowdbench.structures import Array


def with_intervals(metrics: Metrics, sample: Sample, resamples: int) -> Metrics:
    """Return a record with the interval of every number, and how the intervals were made.

    Args:
        metrics: of a scored run, without intervals.
        sample: of the same run.
        resamples: how many to draw.
    """
    found = _Found(sample, resamples)
    main = main_metric(metrics.metrics)
    facts = bootstrap_facts(sample, resamples)
    return msgspec.structs.replace(
        metrics,
        metrics=found.of_part(metrics.metrics),
        conditions={
            name: tuple(
                msgspec.structs.replace(row, metrics=found.of_part(row.metrics, name, row.label))
                for row in rows
            )
            for name, rows in metrics.conditions.items()
        },
        robustness={
            name: found.of_figures(
                figures, metrics.condition_facts[name], metrics.conditions[name], name, main
            )
            for name, figures in metrics.robustness.items()
        },
        notes=(*metrics.notes, *_remarks(facts)),
        bootstrap=facts,
    )


class _Found:
    """All numbers of a sample on the same resamples."""

    def __init__(self, sample: Sample, resamples: int) -> None:
        keys = list(sample.keys)
        self._replicates = bootstrap(sample, keys, resamples)
        self._place = {key: i for i, key in enumerate(keys)}
        self._intervals = dict(zip(keys, intervals(self._replicates), strict=True))

    def of_part(
        self, numbers: Mapping[str, Metric], condition: str | None = None, row: str | None = None
    ) -> dict[str, Metric]:
        """Return the numbers of the whole split, or of a row, with their intervals."""
        return {
            name: _with(metric, self._intervals.get(Key(name, condition, row)))
            for name, metric in numbers.items()
        }

    def of_figures(
        self,
        figures: Mapping[str, Metric],
        facts: ConditionFacts,
        rows: Sequence[ConditionRow],
        condition: str,
        main: str,
    ) -> dict[str, Metric]:
        """Return the figures that sum up a condition with their intervals.

        Args:
            figures: by name.
            facts: of the condition.
            rows: of the condition.
            condition: its name.
            main: the metric that the figures are of.
        """
        places, n_persons = recorded_places(rows), [row.n_persons for row in rows]

        def of(values: Array) -> Array:
            found = figure_values(facts.kind, facts.harder, places, n_persons, values, main)
            return np.array([found[name] for name in figures])

        plain, drawn, without = self._rows([Key(main, condition, row.label) for row in rows])
        found = intervals(Replicates(of(plain[:, None])[:, 0], of(drawn), of(without)))
        return {
            name: _with(metric, interval)
            for (name, metric), interval in zip(figures.items(), found, strict=True)
        }

    def _rows(self, keys: Sequence[Key]) -> Replicates:
        """Return numbers; NaN for what the sample does not have."""
        there = [i for i, key in enumerate(keys) if key in self._place]
        known = self._replicates.take([self._place[keys[i]] for i in there])
        found = Replicates(*(np.full((len(keys), *v.shape[1:]), np.nan) for v in known))
        for values, of_known in zip(found, known, strict=True):
            values[there] = of_known
        return found


def _with(metric: Metric, interval: Interval | None) -> Metric:
    return msgspec.structs.replace(metric, interval=interval)


def _remarks(facts: Bootstrap) -> list[str]:
    """Return what a reader should know about the intervals."""
    if not facts.is_coarse:
        return []
    if facts.units < 2:
        return [f"there are no intervals: they need two {facts.unit}s at least"]
    return [f"intervals rest on {facts.units} {facts.unit}s and are coarse"]
