"""From evaluated numbers to the record: what metrics in the image and in space have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from crowdbench.conditions.choice import rule_words
from crowdbench.conditions.condition import Condition, Cut, Row, Values
from crowdbench.conditions.robustness import robustness
from crowdbench.metrics.catalogue import main_metric
from crowdbench.record import SCHEMA_VERSION, Run
from crowdbench.results import ConditionFacts, ConditionRow, Metric, Metrics

Cuts = Sequence[tuple[Condition, Values, Cut | str]]


class Part(NamedTuple):
    """What the evaluation of a row gives.

    Attributes:
        numbers: the metrics by name.
        n_images: images that take part.
        n_persons: evaluated persons.
        n_poses: poses that take part.
    """

    numbers: dict[str, Metric]
    n_images: int
    n_persons: int
    n_poses: int


def rows_of(cuts: Cuts) -> list[tuple[str, Row]]:
    """Return the rows of all conditions, in order, behind the names of their conditions."""
    return [
        (condition.name, row)
        for condition, _, cut in cuts
        if isinstance(cut, Cut)
        for row in cut.rows
    ]


def whole_split(run: Run, numbers: dict[str, Metric], counts: dict[str, int]) -> Metrics:
    """Return a record of the numbers on the whole split and of nothing else."""
    return Metrics(
        schema_version=SCHEMA_VERSION,
        split=run.split.name,
        predictor=run.predictor.name,
        signature=run.signature,
        protocol=run.protocol,
        metrics=numbers,
        conditions={},
        condition_facts={},
        robustness={},
        curves=(),
        oks_histogram=None,
        keypoints=(),
        counts=counts,
        skipped_images=(),
        notes=run.notes,
    )


def with_conditions(metrics: Metrics, cuts: Cuts, parts: Sequence[Part]) -> Metrics:
    """Return the record with the rows of the conditions, and what sums them up.

    Args:
        metrics: the record of the whole split.
        cuts: the conditions and their rows.
        parts: what was found for each row, in order.
    """
    conditions, facts, figures = {}, {}, {}
    remaining = iter(parts)
    main = main_metric(metrics.metrics)
    for condition, values, cut in cuts:
        name = condition.name
        facts[name] = _facts(condition, values, cut)
        if isinstance(cut, str):
            continue
        found = [next(remaining) for _ in cut.rows]
        conditions[name] = tuple(map(_row, cut.rows, found))
        main_values = [part.numbers[main].value for part in found]
        n_persons = [part.n_persons for part in found]
        figures[name] = robustness(condition, cut.rows, main_values, n_persons, main)
    return msgspec.structs.replace(
        metrics,
        conditions=conditions,
        condition_facts=facts,
        robustness=figures,
        notes=(*metrics.notes, *(note for found in facts.values() for note in found.notes)),
    )


def _row(row: Row, found: Part) -> ConditionRow:
    low, high = row.bounds or (msgspec.UNSET, msgspec.UNSET)
    return ConditionRow(
        label=row.label,
        n_images=found.n_images,
        n_persons=found.n_persons,
        n_poses=found.n_poses,
        metrics=found.numbers,
        threshold=msgspec.UNSET if row.threshold is None else row.threshold,
        low=low,
        high=high,
        n_boxes=msgspec.UNSET if row.n_boxes is None else row.n_boxes,
    )


def _facts(condition: Condition, values: Values, cut: Cut | str) -> ConditionFacts:
    own_axis = cut.axis if isinstance(cut, Cut) else None
    return ConditionFacts(
        title=condition.title,
        axis=own_axis or condition.axis,
        rule=rule_words(cut, values) if isinstance(cut, Cut) else "",
        kind=condition.kind,
        selects=condition.selects,
        harder=condition.harder,
        notes=cut.notes if isinstance(cut, Cut) else (),
        reason=None if isinstance(cut, Cut) else cut,
    )
