"""Runs whose numbers are means of a value of every image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from crowdbench.files import FileDigest
from crowdbench.gate.baseline import ConditionSummary, Scored, Summary
from crowdbench.metrics.catalogue import METRICS
from crowdbench.metrics.sample import Key, Units
from crowdbench.protocol import Protocol
from crowdbench.results import Metric
from crowdbench.structures import Array

PROTOCOL = Protocol(
    "demo", "ab" * 6, 500, "coco-17", "89abcdef", "annotation", "joints", "none", "given", "none"
)
ANNOTATIONS = FileDigest("demo.json", "ab" * 32, 1234)


class Means:
    def __init__(self, values: dict[Key, Array], images_per_unit: int = 1) -> None:
        n = len(next(iter(values.values())))
        of_image = np.arange(n * images_per_unit) // images_per_unit
        self.units = Units("image" if images_per_unit == 1 else "block", of_image, n)
        self.values = values
        self.keys = tuple(values)

    def replicate(self, weights: Array, keys: Sequence[Key]) -> Array:
        values = np.array([self.values[key] for key in keys])
        with np.errstate(invalid="ignore"):
            return np.asarray(values @ weights / weights.sum(0))

    def arrays(self) -> dict[str, Array]:
        return {str(i): values for i, values in enumerate(self.values.values())}

    def facts(self) -> dict[str, Any]:
        return {"kind": "means"}


def scored(name: str, values: dict[Key, Array], **protocol: Any) -> Scored:
    """Return a run with these values of every image, by the number that is their mean."""
    metrics: dict[str, Metric] = {}
    conditions: dict[str, ConditionSummary] = {}
    for key, of_images in values.items():
        facts = METRICS[key.metric]
        value = float(of_images.mean())
        if key.condition is None:
            metrics[key.metric] = Metric(
                value, len(of_images), facts.higher_is_better, None, facts.unit
            )
        else:
            found = conditions.setdefault(key.condition, ConditionSummary("its rule", {}))
            found.rows.setdefault(key.row, {})[key.metric] = value
    changed = msgspec.structs.replace(PROTOCOL, **protocol)
    summary = Summary(
        predictor="replay",
        split=changed.split,
        protocol=changed,
        signature=changed.signature,
        inputs={"annotations": ANNOTATIONS},
        options={},
        metrics=metrics,
        conditions=conditions,
        bootstrap=None,
    )
    return Scored(name, summary, Means(values))


def offer(monkeypatch: pytest.MonkeyPatch, run: Scored, baseline: Scored) -> tuple[Path, Path]:
    """Have the gate find these two; return what to call them."""
    monkeypatch.setattr("crowdbench.gate.judging.read_run", lambda path: run)
    monkeypatch.setattr("crowdbench.gate.judging.read_scored", lambda path: baseline)
    return Path(run.name), Path(baseline.name)
