"""Judging a run: every rule against an interval from resampled images, run and baseline alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crowdbench.errors import MissingError
from crowdbench.gate import RESAMPLES
from crowdbench.gate.baseline import Scored, read_run, read_scored
from crowdbench.gate.judgement import Finding, Judgement, Verdict
from crowdbench.gate.pairing import CannotJudgeError, check_comparable
from crowdbench.gate.rules import Rule, find_row
from crowdbench.gate.settings import Settings
from crowdbench.metrics.bootstrap import (
    LEVEL,
    OtherNumberError,
    Replicates,
    bootstrap_recorded,
    intervals,
)
from crowdbench.metrics.catalogue import METRICS
from crowdbench.metrics.paired import detectable
from crowdbench.metrics.sample import Key
from crowdbench.results import Interval
from crowdbench.terminal import DIFFERENCE_UNITS, UNIT_SIGNS, difference, number

# Resamples of fewer images, sequences or blocks say too little of how far a number might be off.
_FEWEST_UNITS = 10
# What the order of a summation may change.
_ROUNDING = 1e-9
_PLURALS = {"image": "images", "sequence": "sequences", "block": "blocks of images"}


def judge(run: Path, baseline: Path, settings: Settings, resamples: int = RESAMPLES) -> Judgement:
    """Return what the gate finds about a run.

    What is missing, and a baseline of something else, is in the judgement too.

    Args:
        run: folder of the run.
        baseline: file of a baseline, or folder of a run.
        settings: the rules.
        resamples: how many to draw.

    Raises:
        UsageError: if `run` is no run folder, or a rule names a row that there is none of.
        InputError: if a file is not what this version writes.
    """
    rules = settings.rules
    level = 1 - (1 - LEVEL) / len(rules)
    images = problem = None
    try:
        sides = read_run(run), read_scored(baseline)
        keys = [_key(rule, *sides) for rule in rules]
        check_comparable(*sides)
        changes = [key for rule, key in zip(rules, keys, strict=True) if rule.is_change]
        drawn = _resampled(sides[0], keys, resamples), _resampled(sides[1], changes, resamples)
    except MissingError as error:
        problem = str(error)
        findings = tuple(_unjudged(rule, problem) for rule in rules)
    else:
        images = _count(sides[0])
        findings = tuple(
            _judge_rule(rule, key, sides, drawn, level)
            for rule, key in zip(rules, keys, strict=True)
        )
    return Judgement(
        str(run), str(baseline), settings.undecided, level, resamples, images, findings, problem
    )


def _unjudged(
    rule: Rule, words: str, baseline: float | None = None, run: float | None = None
) -> Finding:
    unit = METRICS[rule.metric].unit
    return Finding(rule.text, "cannot judge", words, unit, rule.is_change, baseline, run)


def _key(rule: Rule, run: Scored, baseline: Scored) -> Key:
    """Return which number a rule is about; with the row as written where nobody has any row."""
    if rule.condition is None:
        return Key(rule.metric)
    rows = {label: None for side in (run, baseline) for label in side.summary.rows(rule.condition)}
    return Key(rule.metric, rule.condition, find_row(rule, rows) if rows else rule.row)


def _resampled(side: Scored, keys: Sequence[Key], resamples: int) -> dict[Key, Replicates]:
    """Return the numbers that a side has on its resamples, by key.

    Raises:
        CannotJudgeError: if its matches are of other numbers than its metrics.
    """
    recorded = {key: side.summary.value(key) for key in keys}
    try:
        return bootstrap_recorded(side.sample, recorded, resamples)
    except OtherNumberError as error:
        raise CannotJudgeError(
            f"{side.name}: {_name(error.key)} is {error.recorded} as recorded and {error.found} "
            "from what every image adds: score the run again"
        ) from None


def _judge_rule(
    rule: Rule,
    key: Key,
    sides: tuple[Scored, Scored],
    drawn: tuple[dict[Key, Replicates], dict[Key, Replicates]],
    level: float,
) -> Finding:
    run, baseline = (side.summary.value(key) for side in sides)
    problems = [_missing(key, side) for side in (sides if rule.is_change else sides[:1])]
    if rule.is_change:
        problems.append(_another_rule(key, *sides))
    if words := next(filter(None, problems), None):
        return _unjudged(rule, words, baseline, run)
    assert run is not None
    interval = None
    if all(key in side for side in (drawn if rule.is_change else drawn[:1])):
        n_units = sides[0].sample.units.n
        if rule.is_change:
            interval = _interval_of_change(drawn[0][key] - drawn[1][key], n_units, level)
        else:
            interval = _interval(drawn[0][key], n_units, level)
    value = run - baseline if rule.is_change and baseline is not None else run
    metric = METRICS[rule.metric]
    limit = rule.allowed
    if rule.is_change:
        limit = -rule.allowed if metric.higher_is_better else rule.allowed
    verdict = verdict_of(interval, limit, metric.higher_is_better)
    return Finding(
        rule=rule.text,
        verdict=verdict,
        words=_words(rule, key, verdict, value, limit, interval, sides[0], level),
        unit=metric.unit,
        is_change=rule.is_change,
        baseline=baseline,
        run=run,
        interval=None if interval is None else interval.percentile,
    )


def verdict_of(interval: Interval | None, limit: float, higher_is_better: bool) -> Verdict:
    """Return what an interval says of a limit: all of it is as good, or worse, or neither.

    >>> verdict_of(Interval((-0.02, -0.01), None, 0.003), -0.005, higher_is_better=True)
    'fail'
    """
    if interval is None:
        return "undecided"
    sign = 1 if higher_is_better else -1
    # How much worse than the limit it is, at the least and at the most.
    least, most = sorted(sign * (limit - end) for end in interval.percentile)
    if least > _ROUNDING:
        return "fail"
    return "pass" if most <= _ROUNDING else "undecided"


def _interval_of_change(change: Replicates, n_units: int, level: float) -> Interval | None:
    """Return the interval of a difference; one that is 0 whatever is drawn is certain."""
    if change.plain[0] == 0 and not np.any(np.nan_to_num(change.drawn)):
        return Interval((0.0, 0.0), None, 0.0)
    return _interval(change, n_units, level)


def _interval(replicates: Replicates, n_units: int, level: float) -> Interval | None:
    """Return the interval of a number; None where so few units say nothing."""
    return intervals(replicates, level)[0] if n_units >= _FEWEST_UNITS else None


def _count(side: Scored) -> str:
    """Return what is drawn, e.g. ``500 images``."""
    units = side.sample.units
    return f"{units.n:,} {_PLURALS[units.kind] if units.n != 1 else units.kind}"


def _missing(key: Key, side: Scored) -> str | None:
    """Return why a side has no such number; None if it has."""
    if side.summary.value(key) is not None:
        return None
    if not side.summary.has(key):
        return f"{side.name} has no {_name(key)}: it was not evaluated"
    reason = side.summary.metrics[key.metric].reason if key.condition is None else None
    return f"{_name(key)} has no value in {side.name}{f': {reason}' if reason else ''}"


def _another_rule(key: Key, run: Scored, baseline: Scored) -> str | None:
    """Return how a condition differs between the sides; None if it does not."""
    if key.condition is None:
        return None
    here, there = (side.summary.conditions.get(key.condition) for side in (run, baseline))
    if here is None or there is None or here.rule == there.rule:
        return None
    return (
        f"{run.name} has {key.condition} by another rule than {baseline.name}: {here.rule} instead "
        f"of {there.rule}"
    )


def _name(key: Key) -> str:
    """Return what a number is called, e.g. ``AP (person-iou 0.6 - 0.8)``."""
    return key.metric if key.condition is None else f"{key.metric} ({key.condition} {key.row})"


def _words(
    rule: Rule,
    key: Key,
    verdict: Verdict,
    value: float,
    limit: float,
    interval: Interval | None,
    run: Scored,
    level: float,
) -> str:
    """Return why a rule has its verdict."""
    unit = METRICS[rule.metric].unit
    show = difference if rule.is_change else number
    sign = (DIFFERENCE_UNITS if rule.is_change else UNIT_SIGNS)[unit]
    what = f"{_name(key)} {'changed by' if rule.is_change else 'is'} {show(value, unit)} {sign}"
    if interval is None:
        return (
            f"{what}, but that has no interval: {_count(run)} say too little, or too "
            "many resamples of them lack the number"
        )
    low, high = (show(end, unit) for end in interval.percentile)
    what += f" (interval {low} to {high})"
    bound = f"{show(limit, unit)} {sign}"
    if verdict == "pass":
        return f"{what}: no worse than {bound}, beyond noise"
    if verdict == "fail":
        return f"{what}: worse than {bound}, beyond noise"
    # What is this much worse than the limit is found to be worse 8 times of 10.
    beyond = detectable(interval.standard_error, run.sample.units.n - 1, level)
    worse = limit - beyond if METRICS[rule.metric].higher_is_better else limit + beyond
    true = "change" if rule.is_change else "value"
    return (
        f"{what}: the interval spans the limit of {bound}. On {_count(run)} a true {true} of "
        f"{show(worse, unit)} {sign} or worse would fail 8 times of 10"
    )
