"""Sentences that stand in every form of a comparison, plain text."""

from __future__ import annotations

from collections.abc import Sequence

from crowdbench.markup import one_line
from crowdbench.protocol_differences import join_names
from reports.footnotes import Footnotes
from reports.side_by_side_findings import legend_of_tests
from reports.side_by_side_record import ComparedRun, Comparison

ROBUSTNESS_LEGEND = (
    "In percent or percentage points; in brackets the difference to the first run. "
    "docs/robustness.md says how each is made."
)


def legend(comparison: Comparison) -> str:
    """Return what must be known to read the numbers."""
    units = {m.unit for found in comparison.metrics.values() for m in found if m is not None}
    shown, points = "In percent", "in points"
    if "mm" in units:
        shown, points = "In percent, metrics named _mm in millimetres", "in points or millimetres"
    where = "in brackets the difference"
    if tests_have_columns(comparison):
        where = "in brackets or in a column of its own the difference"
    return f"{shown}; {where} to the first run, {points}. {legend_of_tests(comparison.bootstrap)}"


def tests_have_columns(comparison: Comparison) -> bool:
    """Return whether the tests are columns of the table of metrics; else it has no room."""
    return comparison.bootstrap is not None and len(comparison.runs) == 2


def title(comparison: Comparison) -> str:
    """Return what stands above it all."""
    return f"{len(comparison.runs)} runs side by side on {one_line(comparison.runs[0].split)}"


def network_words(run: ComparedRun, runs: Sequence[ComparedRun]) -> str:
    """Return backbone and input size of one of the runs; nothing if no run has them."""
    if not any(other.backbone or other.input_size for other in runs):
        return ""
    unknown = "not recorded"
    return f"backbone {run.backbone or unknown}, input size {run.input_size or unknown}"


def left_out_lines(comparison: Comparison) -> list[str]:
    """Return what of the conditions is not compared, a line for each reason."""
    n_runs = len(comparison.runs)
    return [
        one_line(f"{left.condition} in {_which(left.runs, n_runs)}: {left.reason}")
        for left in comparison.left_out
    ]


def noticed_lines(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the notes of the runs, each once, behind the names of the runs that have it."""
    names: dict[str, list[str]] = {}
    for run in runs:
        for note in dict.fromkeys(run.notes):
            names.setdefault(note, []).append(run.name)
    return [one_line(f"{_which(of, len(runs))}: {note}") for note, of in names.items()]


def _which(names: Sequence[str], n_runs: int) -> str:
    return "all runs" if len(names) == n_runs else join_names(names)


def signature_lines(runs: Sequence[ComparedRun]) -> dict[str, str]:
    """Return by signature, in words, the runs that have it."""
    names: dict[str, list[str]] = {}
    for run in runs:
        names.setdefault(run.signature, []).append(run.name)
    return {line: _which(of, len(runs)) for line, of in names.items()}


def differs_words(run: ComparedRun) -> str:
    """Return where the run's protocol is another than the first run's, or nothing."""
    if not run.differences:
        return ""
    return f"Not the protocol of the first run: {', '.join(run.differences)}."


def headings_of(runs: Sequence[ComparedRun], footnotes: Footnotes) -> list[str]:
    """Return the names of the runs, with a mark where the protocol differs."""
    return [run.name + footnotes.mark(differs_words(run)) for run in runs]
