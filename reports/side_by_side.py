"""Runs side by side: what of them may be compared, and the numbers with their differences.

The result is one value, `Comparison`, the content of ``comparison.json``; tables, plots and pages
are made from it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from crowdbench.errors import InputError, UsageError
from crowdbench.files import FileDigest
from crowdbench.metrics.catalogue import in_usual_order, main_metric
from crowdbench.protocol import Protocol
from crowdbench.record import Run, RunFolder, are_of_one_run
from crowdbench.results import (
    ConditionDescription,
    ConditionRow,
    Metric,
    Metrics,
    PckCurve,
    PrecisionCurve,
)
from reports.naming import run_names
from reports.protocol_differences import (
    Difference,
    differences_words,
    join_names,
    protocol_differences,
)

SCHEMA_VERSION = 3


class ComparedRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the runs.

    Attributes:
        name: what tables and plots call it: the end of its folder's path, as long as is needed to
            tell it from the others.
        predictor: its name.
        backbone: of the predictor's network, or empty.
        input_size: of the predictor's network, or empty.
        split: its name.
        signature: the protocol in a line.
        protocol: the same as a value.
        differences: where the protocol is another than the first run's in what the numbers on the
            whole split depend on, in words.
        inputs: the files it was made from, by role.
        options: what its predictor was asked for.
        counts: images, persons and poses by kind.
        curves: precision over recall at OKS 0.50 and 0.75; empty for 3D poses.
        pck_curves: 3DPCK over its threshold, of each kind; empty for 2D poses.
        notes: what a reader should know about it.
    """

    name: str
    predictor: str
    backbone: str
    input_size: str
    split: str
    signature: str
    protocol: Protocol
    differences: tuple[str, ...]
    inputs: dict[str, FileDigest]
    options: dict[str, str]
    counts: dict[str, int]
    curves: tuple[PrecisionCurve, ...]
    pck_curves: tuple[PckCurve, ...]
    notes: tuple[str, ...]


class ComparedMetric(Metric, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One number of a run, beside the first run's.

    Attributes:
        difference: its value less the first run's, in its unit; null when either is null.
    """

    difference: float | None


class ComparedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same row of a condition in every run.

    Attributes:
        label: of the row.
        runs: the row of each run, in the order of the runs; null where the run has none.
        differences: of the main metric, to the first run's; null where either has none.
    """

    label: str
    runs: tuple[ConditionRow | None, ...]
    differences: tuple[float | None, ...]


class ComparedCondition(ConditionDescription, frozen=True, forbid_unknown_fields=True):
    """A condition that two or more runs have by the same rule.

    Attributes:
        rows: in the order of their values.
    """

    rows: tuple[ComparedRow, ...]


class LeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Runs whose rows of a condition are not compared.

    Attributes:
        condition: its name.
        runs: their names.
        reason: why.
    """

    condition: str
    runs: tuple[str, ...]
    reason: str


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``comparison.json``. Lists of one entry per run are in the order of `runs`.

    Attributes:
        schema_version: of this file.
        runs: as given; differences are to the first.
        main_metric: the name of the one that stands for a run, by which rows are compared.
        metrics: the numbers on the whole split, by name; null where a run does not have one.
        conditions: by name, those that are compared.
        left_out: what of the conditions is not.
        robustness: by condition, the figures that sum up its rows.
        notes: what a reader must know before comparing, as sentences.
    """

    schema_version: int
    runs: tuple[ComparedRun, ...]
    main_metric: str
    metrics: dict[str, tuple[ComparedMetric | None, ...]]
    conditions: dict[str, ComparedCondition]
    left_out: tuple[LeftOut, ...]
    robustness: dict[str, dict[str, tuple[ComparedMetric | None, ...]]]
    notes: tuple[str, ...]


def compare_runs(paths: Sequence[Path], allow_mixed: bool = False) -> Comparison:
    """Return the runs side by side.

    Args:
        paths: two or more folders of scored runs; differences are to the first.
        allow_mixed: whether runs may differ in what the poses were made from.

    Raises:
        UsageError: if there are fewer than two runs, one is given twice, or their protocols do not
            allow to compare them; the message names where they differ.
        MissingError: if a folder holds no scored run.
        InputError: if a record is broken, or its two files do not belong together.
    """
    names = run_names(paths)
    records = [_read(path) for path in paths]
    protocols = [metrics.protocol for _, metrics in records]
    differences = [
        tuple(d for d in protocol_differences(p, protocols[0]) if d.comparable != "always")
        for p in protocols
    ]
    _check_comparable(names, differences, allow_mixed)
    metrics = [found for _, found in records]
    main = main_metric(name for found in metrics for name in found.metrics)
    conditions, robustness, left_out = _compare_conditions(names, metrics, main)
    return Comparison(
        schema_version=SCHEMA_VERSION,
        runs=tuple(
            _describe(name, *record, found)
            for name, record, found in zip(names, records, differences, strict=True)
        ),
        main_metric=main,
        metrics=_compare_metrics([found.metrics for found in metrics]),
        conditions=conditions,
        left_out=left_out,
        robustness=robustness,
        notes=tuple(_notes(names, protocols, differences)),
    )


def _read(path: Path) -> tuple[Run, Metrics]:
    folder = RunFolder(path)
    run, metrics = folder.read(Run), folder.read(Metrics)
    if not are_of_one_run(run, metrics):
        raise InputError(
            f"{path}: metrics.json has another protocol than run.json, so its numbers are of "
            f"another run: run `crowdbench score {path}`"
        )
    return run, metrics


def _check_comparable(
    names: Sequence[str], differences: Sequence[tuple[Difference, ...]], allow_mixed: bool
) -> None:
    grave = [tuple(d for d in found if d.comparable == "never") for found in differences]
    if clauses := differences_words(names, grave):
        raise UsageError(
            f"not comparable with {names[0]}: {'; '.join(clauses)}. These are numbers of another "
            "measurement, which no option compares: choose runs of the same data and rules"
        )
    if not allow_mixed and (clauses := differences_words(names, differences)):
        raise UsageError(
            f"not the protocol of {names[0]}: {'; '.join(clauses)}. --allow-mixed compares them "
            "all the same and marks what differs"
        )


def _describe(
    name: str, run: Run, metrics: Metrics, differences: tuple[Difference, ...]
) -> ComparedRun:
    return ComparedRun(
        name=name,
        predictor=metrics.predictor,
        backbone=run.predictor.card.backbone,
        input_size=run.predictor.card.input_size,
        split=metrics.split,
        signature=metrics.signature,
        protocol=metrics.protocol,
        differences=tuple(difference.words for difference in differences),
        inputs={"annotations": run.split.annotations} | run.predictor.inputs,
        options=run.predictor.options,
        counts=metrics.counts,
        curves=metrics.curves,
        pck_curves=() if metrics.pose3d is None else metrics.pose3d.curves,
        notes=metrics.notes,
    )


def _compare_metrics(
    runs: Sequence[dict[str, Metric]],
) -> dict[str, tuple[ComparedMetric | None, ...]]:
    """Return the metrics of all runs beside the first run's, in their usual order."""
    found = _in_order(runs)
    return {
        name: tuple(_beside(run.get(name), runs[0].get(name)) for run in runs)
        for name in in_usual_order(found)
    }


def _beside(here: Metric | None, first: Metric | None) -> ComparedMetric | None:
    if here is None:
        return None
    return ComparedMetric(
        here.value,
        here.n,
        here.higher_is_better,
        here.reason,
        here.unit,
        difference=_difference(here, first),
    )


def _difference(here: Metric | None, first: Metric | None) -> float | None:
    if here is None or first is None or here.value is None or first.value is None:
        return None
    return here.value - first.value


_Conditions = dict[str, ComparedCondition]
_Robustness = dict[str, dict[str, tuple[ComparedMetric | None, ...]]]


def _compare_conditions(
    names: Sequence[str], runs: Sequence[Metrics], main: str
) -> tuple[_Conditions, _Robustness, tuple[LeftOut, ...]]:
    """Return the conditions that two or more runs have by one rule, and what is left out.

    Where rules differ, that of the first run which has rows is the one to compare by.
    """
    conditions: _Conditions = {}
    robustness: _Robustness = {}
    left_out: list[LeftOut] = []
    for condition in _in_order([run.condition_facts for run in runs]):
        with_rows = [run for run in runs if run.conditions.get(condition)]
        rule = with_rows[0].condition_facts[condition].rule if with_rows else None
        reasons = [_reason(condition, run, rule) for run in runs]
        taken = [run if reason is None else None for run, reason in zip(runs, reasons, strict=True)]
        compared = [run for run in taken if run is not None]
        left_out += [
            LeftOut(
                condition, tuple(n for n, r in zip(names, reasons, strict=True) if r == why), why
            )
            for why in dict.fromkeys(reasons)
            if why is not None
        ]
        if len(compared) < 2:
            continue
        conditions[condition] = _compare_rows(condition, taken, compared, main)
        figures = [{} if run is None else run.robustness.get(condition, {}) for run in taken]
        if any(figures):
            robustness[condition] = _compare_metrics(figures)
    return conditions, robustness, tuple(left_out)


def _reason(condition: str, run: Metrics, rule: str | None) -> str | None:
    """Say why a run's rows of a condition can't be compared by `rule`; None if they can."""
    facts = run.condition_facts.get(condition)
    if facts is None:
        return "not evaluated"
    if not run.conditions.get(condition):
        return facts.reason or "no rows"
    return None if facts.rule == rule else f"another rule: {facts.rule} instead of {rule}"


def _compare_rows(
    condition: str, taken: Sequence[Metrics | None], compared: Sequence[Metrics], main: str
) -> ComparedCondition:
    facts = compared[0].condition_facts[condition]
    by_label = [
        {} if run is None else {row.label: row for row in run.conditions[condition]}
        for run in taken
    ]
    rows = []
    for label in _in_order(by_label):
        here = tuple(run.get(label) for run in by_label)
        found = [None if row is None else row.metrics.get(main) for row in here]
        rows.append(ComparedRow(label, here, tuple(_difference(m, found[0]) for m in found)))
    rows.sort(key=_place)  # a row that only later runs have is not where it belongs
    return ComparedCondition(
        title=facts.title,
        axis=facts.axis,
        rule=facts.rule,
        kind=facts.kind,
        selects=facts.selects,
        harder=facts.harder,
        rows=tuple(rows),
    )


def _place(row: ComparedRow) -> float:
    """Return the value that a row stands for; levels have none and stay as they are."""
    for run in row.runs:
        if run is not None and run.threshold is not msgspec.UNSET:
            return run.threshold
        if run is not None and run.low is not msgspec.UNSET:
            return float("-inf") if run.low is None else run.low
    return 0.0


def _notes(
    names: Sequence[str],
    protocols: Sequence[Protocol],
    differences: Sequence[tuple[Difference, ...]],
) -> list[str]:
    """Return what a reader must know before comparing, as sentences."""
    notes = [
        f"Not the protocol of {names[0]}: {clause}. Differences come from more than methods."
        for clause in differences_words(names, differences)
    ]
    from_files = [
        name
        for name, protocol in zip(names, protocols, strict=True)
        if protocol.scores == "given" and protocol.boxes in ("none", "predictions")
    ]
    if from_files:
        whose = "all runs" if len(from_files) == len(names) else join_names(from_files)
        notes.append(
            f"The poses of {whose} were read from files, which do not say what boxes they were "
            "made from: these may differ without showing here."
        )
    return notes


def _in_order(mappings: Sequence[dict[str, Any]]) -> list[str]:
    """Return the keys of all, each once, in the order in which they first occur."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))
