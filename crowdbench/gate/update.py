"""Updating a baseline: what would change, in numbers and in what they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from crowdbench.files import write_json
from crowdbench.gate.baseline import Baseline, Scored, Summary, make_baseline, read_run, read_scored
from crowdbench.gate.pairing import CannotJudgeError, check_comparable
from crowdbench.metrics.bootstrap import bootstrap, intervals
from crowdbench.metrics.catalogue import in_usual_order
from crowdbench.metrics.sample import Key
from crowdbench.results import Interval
from crowdbench.terminal import DIFFERENCE_UNITS, difference, number, print_table


class MetricChange(NamedTuple):
    """What becomes of a number.

    Attributes:
        name: of the metric.
        unit: ``fraction`` or ``mm``.
        old: in the baseline; None if there is none.
        new: in the run; likewise.
        interval: of new less old, on the same resampled images; None if there is none.
    """

    name: str
    unit: str
    old: float | None
    new: float | None
    interval: Interval | None


class Update(NamedTuple):
    """What an update changes.

    Attributes:
        baseline: the new content.
        is_same: whether the file has it already.
        metrics: of the whole split, those that change.
        facts: what else changes: ``name: old -> new``.
        not_paired: why the differences have no intervals; None if they have.
    """

    baseline: Baseline
    is_same: bool
    metrics: tuple[MetricChange, ...]
    facts: tuple[str, ...]
    not_paired: str | None


def find_changes(run: Path, path: Path) -> Update:
    """Return what changes when a run becomes the baseline.

    Raises:
        MissingError: if the run or the baseline file is not there.
        UsageError: if `run` is no run folder.
        InputError: if the file is no baseline.
    """
    new, old = read_run(run), read_scored(path)
    baseline = make_baseline(new)
    is_same = baseline == make_baseline(old)
    not_paired = None
    paired: dict[str, Interval | None] = {}
    try:
        check_comparable(new, old)
        paired = _paired(new, old)
    except CannotJudgeError as error:
        not_paired = str(error)
    changes = []
    for name in in_usual_order({**old.summary.metrics, **new.summary.metrics}):
        old_value, new_value = (side.summary.value(Key(name)) for side in (old, new))
        if old_value != new_value:
            unit = (new.summary.metrics.get(name) or old.summary.metrics[name]).unit
            changes.append(MetricChange(name, unit, old_value, new_value, paired.get(name)))
    facts = _facts(old.summary, new.summary)
    return Update(baseline, is_same, tuple(changes), facts, not_paired)


def _paired(new: Scored, old: Scored) -> dict[str, Interval | None]:
    there = set(new.sample.keys) & set(old.sample.keys)
    keys = [
        key
        for key in map(Key, new.summary.metrics)
        if key in there and all(side.summary.value(key) is not None for side in (new, old))
    ]
    if not keys:
        return {}
    found = bootstrap(new.sample, keys) - bootstrap(old.sample, keys)
    return {key.metric: interval for key, interval in zip(keys, intervals(found), strict=True)}


def _facts(old: Summary, new: Summary) -> tuple[str, ...]:
    """Return what changes besides the numbers."""
    sides = [
        {
            "predictor": side.predictor,
            "split": side.split,
            **{role: f"{file.name}#{file.sha256[:12]}" for role, file in side.inputs.items()},
            **side.options,
            "signature": side.signature,
        }
        for side in (old, new)
    ]
    return tuple(
        f"{name}: {before} -> {after}"
        for name in dict.fromkeys((*sides[0], *sides[1]))
        for before, after in [[side.get(name, "none") for side in sides]]
        if before != after
    )


def print_update(update: Update) -> None:
    """Print what changes."""
    if update.metrics:
        print_table(
            ("metric", "old", "new", "difference", "95 % interval"),
            [_row(change) for change in update.metrics],
            numbers=(1, 2, 3, 4),
        )
    else:
        print("the metrics of the whole split stay as they are")
    for fact in update.facts:
        print(fact)
    if update.not_paired is not None:
        print(f"no intervals of the differences: {update.not_paired}")


def _row(change: MetricChange) -> tuple[str, ...]:
    unit = change.unit
    step = interval = "-"
    if change.old is not None and change.new is not None:
        step = f"{difference(change.new - change.old, unit)} {DIFFERENCE_UNITS[unit]}"
    if change.interval is not None:
        low, high = (difference(end, unit) for end in change.interval.percentile)
        interval = f"{low} to {high}"
    return change.name, number(change.old, unit), number(change.new, unit), step, interval


def write_update(path: Path, update: Update) -> None:
    """Replace the baseline file, whole or not at all."""
    write_json(path, update.baseline)
