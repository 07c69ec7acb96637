"""Intervals of everything that was scored: all numbers on the same resampled images."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from crowdbench.conditions.resampled_figures import resampled_figures
from crowdbench.metrics.bootstrap import bootstrap, bootstrap_facts, intervals
from crowdbench.metrics.catalogue import main_metric
from crowdbench.metrics.sample import Key, Sample
from crowdbench.results import Bootstrap, Interval, Metric, Metrics


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
            name: found.of_figures(figures, name, metrics, main)
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
        condition: str,
        metrics: Metrics,
        main: str,
    ) -> dict[str, Metric]:
        """Return the figures that sum up a condition with their intervals.

        Args:
            figures: by name.
            condition: its name.
            metrics: whose rows they sum up.
            main: the metric that they are of.
        """
        rows = metrics.conditions[condition]
        places = [self._place.get(Key(main, condition, row.label)) for row in rows]
        numbers = [None if place is None else self._replicates.take([place]) for place in places]
        found = resampled_figures(metrics.condition_facts[condition], rows, numbers, main)
        return {
            name: _with(metric, intervals(found[name])[0] if name in found else None)
            for name, metric in figures.items()
        }


def _with(metric: Metric, interval: Interval | None) -> Metric:
    return msgspec.structs.replace(metric, interval=interval)


def _remarks(facts: Bootstrap) -> list[str]:
    """Return what a reader should know about the intervals."""
    if not facts.is_coarse:
        return []
    if facts.units < 2:
        return [f"there are no intervals: they need two {facts.unit}s at least"]
    return [f"intervals rest on {facts.units} {facts.unit}s and are coarse"]
