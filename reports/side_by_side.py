"""Runs side by side: what of them may be compared, and the numbers with their differences.

The result is one value, `Comparison`, the content of ``comparison.json``; tables, plots and pages
are made from it alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crowdbench.metrics.catalogue import in_usual_order, main_metric
from crowdbench.metrics.sample import Key
from crowdbench.protocol_differences import Difference, protocol_differences
from crowdbench.record import Run, RunFolder
from crowdbench.results import (
    ConditionRow,
    Metric,
    Metrics,
    Paired,
)
from reports.naming import run_names
from reports.side_by_side_pairing import Figures, Pairs, pair_runs
from reports.side_by_side_protocol import check_comparable, protocol_notes
from reports.side_by_side_record import (
    SCHEMA_VERSION,
    ComparedCondition,
    ComparedMetric,
    ComparedRow,
    ComparedRun,
    Comparison,
    LeftOut,
)


def compare_runs(
    paths: Sequence[Path],
    allow_mixed: bool = False,
    names: Sequence[str] | None = None,
    varied: Collection[str] = (),
) -> Comparison:
    """Return the runs side by side.

    Args:
        paths: two or more folders of scored runs; differences are to the first.
        allow_mixed: whether runs may differ in what the poses were made from.
        names: what to call them, all different; None for the ends of their paths.
        varied: fields of the protocol that the names tell, so that nothing else need say that the
            runs differ in them.

    Raises:
        UsageError: if there are fewer than two runs, one is given twice, or their protocols do not
            allow to compare them; the message names where they differ.
        MissingError: if a folder holds no scored run.
        InputError: if a record is broken, or its files do not belong together.
    """
    names = run_names(paths) if names is None else names
    folders = [RunFolder(path) for path in paths]
    records = [folder.read_scored() for folder in folders]
    protocols = [metrics.protocol for _, metrics in records]
    differences = [
        tuple(
            difference
            for difference in protocol_differences(protocol, protocols[0])
            if difference.comparable != "always" and difference.field not in varied
        )
        for protocol in protocols
    ]
    check_comparable(names, differences, allow_mixed)
    metrics = [found for _, found in records]
    main = main_metric(name for found in metrics for name in found.metrics)
    pairs = pair_runs(folders, names, metrics, main)
    conditions, figures, left_out = _compare_conditions(names, metrics, main)
    return Comparison(
        schema_version=SCHEMA_VERSION,
        runs=tuple(
            _describe(name, *record, found)
            for name, record, found in zip(names, records, differences, strict=True)
        ),
        main_metric=main,
        metrics=_compare_metrics([found.metrics for found in metrics], pairs),
        conditions=_pair_rows(conditions, main, pairs),
        left_out=left_out,
        robustness=_compare_figures(figures, conditions, main, pairs),
        notes=(*protocol_notes(names, protocols, differences), *pairs.notes),
        bootstrap=pairs.bootstrap,
    )


def _describe(
    name: str, run: Run, metrics: Metrics, differences: tuple[Difference, ...]
) -> ComparedRun:
    return ComparedRun(
        name=name,
        predictor=metrics.predictor,
        backbone=run.predictor.maker.backbone,
        input_size=run.predictor.maker.input_size,
        split=metrics.split,
        signature=metrics.signature,
        protocol=metrics.protocol,
        differences=tuple(difference.words for difference in differences),
        inputs={"annotations": run.split.annotations} | run.predictor.inputs,
        options=run.predictor.options,
        counts=metrics.counts,
        curves=metrics.curves,
        pck_curves=() if metrics.pose3d is None else metrics.pose3d.curves,
        keypoint_errors=metrics.keypoint_errors,
        notes=metrics.notes,
    )


_Tests = Mapping[Key, Paired]
_Found = dict[str, tuple[ComparedMetric | None, ...]]


def _compare_metrics(runs: Sequence[dict[str, Metric]], pairs: Pairs) -> _Found:
    """Return the metrics of all runs beside the first run's, in their usual order."""
    directions = [{Key(name): m.higher_is_better for name, m in run.items()} for run in runs]
    return _side_by_side(runs, [pairs.of_keys(i, d) for i, d in enumerate(directions)])


def _side_by_side(
    runs: Sequence[dict[str, Metric]], tests: Sequence[_Tests], condition: str | None = None
) -> _Found:
    return {
        name: tuple(
            _beside(run.get(name), runs[0].get(name), found.get(Key(name, condition)))
            for run, found in zip(runs, tests, strict=True)
        )
        for name in in_usual_order(_in_order(runs))
    }


def _beside(
    here: Metric | None, first: Metric | None, paired: Paired | None
) -> ComparedMetric | None:
    if here is None:
        return None
    return ComparedMetric(
        here.value,
        here.n,
        here.higher_is_better,
        here.reason,
        here.unit,
        interval=here.interval,
        difference=_difference(here, first),
        paired=paired,
    )


def _difference(here: Metric | None, first: Metric | None) -> float | None:
    if here is None or first is None or here.value is None or first.value is None:
        return None
    return here.value - first.value


_Conditions = dict[str, ComparedCondition]
# By condition, the figures of every run; none of a run that is not compared there.
_Figures = dict[str, list[dict[str, Metric]]]


def _compare_conditions(
    names: Sequence[str], runs: Sequence[Metrics], main: str
) -> tuple[_Conditions, _Figures, tuple[LeftOut, ...]]:
    """Return the conditions that two or more runs have by one rule, and what is left out.

    No difference of their rows is tested yet.

    Where rules differ, the one that most runs have is the one to compare by; of two that as many
    have, that of the earlier run.
    """
    conditions: _Conditions = {}
    figures: _Figures = {}
    left_out: list[LeftOut] = []
    for condition in _in_order([run.condition_facts for run in runs]):
        with_rows = [run for run in runs if run.conditions.get(condition)]
        rules = Counter(run.condition_facts[condition].rule for run in with_rows)
        rule = rules.most_common(1)[0][0] if rules else None
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
        found = [{} if run is None else run.robustness.get(condition, {}) for run in taken]
        if any(found):
            figures[condition] = found
    return conditions, figures, tuple(left_out)


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
        differences = tuple(_difference(m, found[0]) for m in found)
        rows.append(ComparedRow(label, here, differences, (None,) * len(here)))
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


def _pair_rows(conditions: _Conditions, main: str, pairs: Pairs) -> _Conditions:
    """Return the conditions with the tests of their rows: one family for each run."""
    tests = []
    for i in range(len(pairs.numbers)):
        directions = {
            Key(main, name, row.label): here.metrics[main].higher_is_better
            for name, condition in conditions.items()
            for row in condition.rows
            if (here := row.runs[i]) is not None and row.differences[i] is not None
        }
        tests.append(pairs.of_keys(i, directions))
    return {
        name: msgspec.structs.replace(
            condition,
            rows=tuple(
                msgspec.structs.replace(
                    row, paired=tuple(found.get(Key(main, name, row.label)) for found in tests)
                )
                for row in condition.rows
            ),
        )
        for name, condition in conditions.items()
    }


def _compare_figures(
    figures: _Figures, conditions: _Conditions, main: str, pairs: Pairs
) -> dict[str, _Found]:
    """Return the figures that sum up conditions beside the first run's."""
    tests = []
    for i in range(len(pairs.numbers)):
        to_test = {
            name: Figures(
                conditions[name],
                _rows_of(conditions[name], 0),
                _rows_of(conditions[name], i),
                {figure: metric.higher_is_better for figure, metric in found[i].items()},
            )
            for name, found in figures.items()
        }
        tests.append(pairs.of_figures(i, main, to_test))
    return {name: _side_by_side(found, tests, name) for name, found in figures.items()}


def _rows_of(condition: ComparedCondition, run: int) -> list[ConditionRow]:
    return [row for compared in condition.rows if (row := compared.runs[run]) is not None]


def _place(row: ComparedRow) -> float:
    """Return the value that a row stands for; levels have none and stay as they are."""
    for run in row.runs:
        if run is not None and run.threshold is not msgspec.UNSET:
            return run.threshold
        if run is not None and run.low is not msgspec.UNSET:
            return float("-inf") if run.low is None else run.low
    return 0.0


def _in_order(mappings: Sequence[dict[str, Any]]) -> list[str]:
    """Return the keys of all, each once, in the order in which they first occur."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))
