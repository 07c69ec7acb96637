"""What the tests of a comparison say, as plain sentences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from crowdbench.markup import one_line
from crowdbench.protocol_differences import join_names
from crowdbench.results import Bootstrap
from crowdbench.terminal import DIFFERENCE_UNITS, number
from reports.intervals import (
    ALPHA,
    STAR,
    UNIT_WORDS,
    coarse_words,
    difference_interval_text,
    difference_text,
    is_real,
    level_text,
    p_value_text,
    resamples_words,
)
from reports.side_by_side_record import ComparedCondition, ComparedMetric, ComparedRun, Comparison


def legend_of_tests(bootstrap: Bootstrap | None) -> str:
    """Return how to read the tests."""
    if bootstrap is None:
        return "Whether a difference is more than chance is not tested here."
    few = coarse_words(bootstrap)
    return (
        f"{STAR}: more than chance, p < {ALPHA:g} after Holm's correction over all metrics of a "
        "run, or all rows of its conditions, or all their figures. The runs were evaluated on the "
        f"same {resamples_words(bootstrap)}, which the {level_text(bootstrap)} intervals of the "
        "differences and the p-values are from. P(worse): share of these resamples in which the "
        "run is worse than the first. Detectable: the least true difference that a test of one "
        "number finds 8 times of 10. docs/compare.md says how to read them."
        f"{few}{' P-values are then rough.' if few else ''}"
    )


def main_findings(comparison: Comparison) -> list[str]:
    """Return what is found of the main metric, and what the split can show at all."""
    main = comparison.main_metric
    tested = [
        (run, metric)
        for run, metric in zip(comparison.runs, comparison.metrics.get(main, ()), strict=False)
        if metric is not None and metric.paired is not None
    ]
    sentences = [_main_finding(comparison, run.name, metric) for run, metric in tested]
    return [*sentences, *_detectable(tested, main)]


def _main_finding(comparison: Comparison, name: str, metric: ComparedMetric) -> str:
    first, paired, sampled = comparison.runs[0].name, metric.paired, comparison.bootstrap
    assert paired is not None
    assert sampled is not None
    change = metric.difference or 0.0
    if change == paired.interval.standard_error == 0:
        return one_line(f"{comparison.main_metric} of {name} is that of {first} on every resample.")
    is_better = (change > 0) == metric.higher_is_better
    verdict = (
        f"is {'better' if is_better else 'worse'} than that of {first}"
        if is_real(paired)
        else f"differs from that of {first} by no more than chance can explain"
    )
    unit = DIFFERENCE_UNITS[metric.unit]
    shown = difference_text(change, metric.unit, None)
    return one_line(
        f"{comparison.main_metric} of {name} {verdict}: {shown} {unit}, "
        f"{level_text(sampled)} interval "
        f"{difference_interval_text(paired, metric.unit)}, p (Holm) {_equals(paired.p_adjusted)}."
    )


def _equals(p: float) -> str:
    text = p_value_text(p)
    return text if text.startswith("<") else f"= {text}"


def _detectable(tested: Sequence[tuple[ComparedRun, ComparedMetric]], main: str) -> list[str]:
    """Return what the split can show, as one sentence; none without a test."""
    sizes = {
        run.name: f"{number(metric.paired.detectable, metric.unit)} {DIFFERENCE_UNITS[metric.unit]}"
        for run, metric in tested
        if metric.paired is not None and metric.paired.interval.standard_error > 0
    }
    if not sizes:
        return []
    shown = f"{next(iter(sizes.values()))} of {main}"
    if len(set(sizes.values())) > 1:
        shown = " or ".join(f"{size} of {main} ({name})" for name, size in sizes.items())
    return [one_line(f"On this split a true difference of {shown} would be found 8 times of 10.")]


def row_findings(comparison: Comparison, condition: ComparedCondition) -> list[str]:
    """Return in which rows of a condition runs differ from the first, a sentence for each run."""
    found = [_row_finding(comparison, condition, i) for i in range(len(comparison.runs))]
    return [one_line(sentence) for sentence in found if sentence is not None]


def _row_finding(comparison: Comparison, condition: ComparedCondition, run: int) -> str | None:
    first, name = comparison.runs[0].name, comparison.runs[run].name
    # Of every row with a difference; None where it could not be tested.
    signs: list[tuple[str, int | None]] = []
    for row in condition.rows:
        paired, change = row.paired[run], row.differences[run]
        if change is not None:
            # The main metric is better the higher it is.
            sign = 0 if not is_real(paired) else 1 if change > 0 else -1
            signs.append((row.label, None if paired is None else sign))
    found = {sign for _, sign in signs}
    if found <= {None} or comparison.bootstrap is None:
        return None
    units = UNIT_WORDS[comparison.bootstrap.unit]
    rest = f" Too few {units} to test {_rows(signs, None)}." if None in found else ""
    if found <= {0, None}:
        return f"{name}: no {'tested row' if rest else 'row'} shows a difference to {first}.{rest}"
    words = {-1: "worse", 1: "better"}
    if len(found) == 1:
        return f"{name} is {words[found.pop() or 0]} than {first} in all rows."
    parts = [
        f"{word} than {first} in {_rows(signs, sign)}"
        for sign, word in words.items()
        if sign in found
    ]
    only = " only" if 0 in found else ""
    return f"{name} is {', and '.join(parts)}{only}.{rest}"


def _rows(signs: Sequence[tuple[str, int | None]], wanted: int | None) -> str:
    """Return the rows of a sign by their labels, of more than two in a row the first and last."""
    names = []
    for sign, group in itertools.groupby(signs, lambda labelled: labelled[1]):
        quoted = [f'"{label}"' for label, _ in group]
        if sign == wanted:
            names += quoted if len(quoted) < 3 else [f"{quoted[0]} to {quoted[-1]}"]
    several = sum(sign == wanted for _, sign in signs) > 1
    return f"the {'rows' if several else 'row'} {join_names(names)}"
