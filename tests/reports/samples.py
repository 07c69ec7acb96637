"""Scored runs that can be resampled, made by hand: every number is a mean over images."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from crowdbench.conditions.robustness import figure_values, recorded_places
from crowdbench.metrics.bootstrap import bootstrap, bootstrap_facts, intervals
from crowdbench.metrics.sample import Key, Units
from crowdbench.record import Run
from crowdbench.results import ConditionFacts, ConditionRow, Metric, Metrics
from crowdbench.structures import Array
from tests.reports.records import make_metrics, make_run, write_run

RESAMPLES = 200


class MeanSample:
    """A split on which every number is the mean of a value that each image has."""

    def __init__(self, values: dict[Key, Array]) -> None:
        self.values = values
        n = len(next(iter(values.values())))
        self.units = Units("image", np.arange(n), n)
        self.keys = list(values)

    def replicate(self, weights: Array, keys: Sequence[Key]) -> Array:
        values = np.array([self.values[key] for key in keys]).reshape(len(keys), -1)
        totals = weights.sum(0)
        return np.asarray(values @ weights / np.where(totals, totals, np.nan))

    def arrays(self) -> dict[str, Array]:
        return {json.dumps(key): values for key, values in self.values.items()}

    def facts(self) -> dict[str, Any]:
        return {}

    def write(self, path: Path) -> None:
        np.savez(path, **self.arrays())


def read_mean_sample(path: Path) -> MeanSample:
    """Return what `MeanSample.write` wrote."""
    with np.load(path) as file:
        return MeanSample({Key(*json.loads(name)): file[name] for name in file.files})


@pytest.fixture
def mean_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let comparisons read samples of means."""
    monkeypatch.setattr("reports.side_by_side_pairing.read_sample", read_mean_sample)


def write_sampled(
    path: Path,
    shift: Callable[[Key], float] = lambda key: 0.0,
    *,
    noise: float = 0.02,
    n: int = 400,
    resamples: int = RESAMPLES,
    run: Run | None = None,
    metrics: Metrics | None = None,
    **changes: Any,
) -> Path:
    """Write a scored run with intervals and matches, and return its folder.

    Args:
        path: the folder.
        shift: what is added to each number.
        noise: standard deviation, over the images, of what is this run's alone.
        n: images.
        resamples: for the intervals.
        run: what was asked.
        metrics: the numbers to start from.
        changes: fields of the metrics to replace in the end.
    """
    run = make_run() if run is None else run
    metrics = make_metrics(run) if metrics is None else metrics
    own = np.random.default_rng(zlib.crc32(path.name.encode()))

    def values_of(key: Key, value: float) -> Array:
        images = np.random.default_rng(zlib.crc32(json.dumps(key).encode())).normal(0, 0.2, n)
        images += own.normal(0, noise, n)
        return np.asarray(images - images.mean() + value + shift(key))

    recorded = {Key(name): m for name, m in metrics.metrics.items()} | {
        Key(name, condition, row.label): m
        for condition, rows in metrics.conditions.items()
        for row in rows
        for name, m in row.metrics.items()
    }
    sample = MeanSample(
        {key: values_of(key, m.value) for key, m in recorded.items() if m.value is not None}
    )
    replicates = bootstrap(sample, sample.keys, resamples)
    found = dict(
        zip(
            sample.keys,
            zip(replicates.plain.tolist(), intervals(replicates), strict=True),
            strict=True,
        )
    )

    def resampled(of: dict[str, Metric], *place: str) -> dict[str, Metric]:
        return {
            name: replace(m, value=found[key][0], interval=found[key][1])
            if (key := Key(name, *place)) in found
            else replace(m, interval=None)
            for name, m in of.items()
        }

    conditions = {
        condition: tuple(
            replace(row, metrics=resampled(row.metrics, condition, row.label)) for row in rows
        )
        for condition, rows in metrics.conditions.items()
    }
    fields = {
        "metrics": resampled(metrics.metrics),
        "conditions": conditions,
        "robustness": {
            condition: _figures(metrics.condition_facts[condition], rows)
            for condition, rows in conditions.items()
        },
        "bootstrap": bootstrap_facts(sample, resamples),
    }
    folder = write_run(path, replace(run, resamples=resamples), **(fields | changes))
    sample.write(folder.matches)
    return folder.path


def _figures(facts: ConditionFacts, rows: Sequence[ConditionRow]) -> dict[str, Metric]:
    values = [row.metrics["AP"].value for row in rows]
    column = np.array([[np.nan if value is None else value] for value in values])
    n_persons = [row.n_persons for row in rows]
    found = figure_values(facts.kind, facts.harder, recorded_places(rows), n_persons, column)
    return {
        name: Metric(float(value[0]), len(rows), name in ("AP_area", "AP_slope"), None)
        for name, value in found.items()
    }
