"""Showing a baseline."""

from __future__ import annotations

from crowdbench.gate.baseline import Scored
from crowdbench.markup import one_line
from crowdbench.terminal import interval_cell, print_table, value_cells, value_header


def print_baseline(scored: Scored, size: int) -> None:
    """Print the numbers of a baseline and what they were made from.

    Args:
        scored: the baseline.
        size: of its file, in bytes.
    """
    summary = scored.summary
    values = value_header(metric.unit for metric in summary.metrics.values())
    print_table(
        ("metric", *values, "interval", "n", ""),
        [
            (
                name,
                *value_cells(metric, values),
                interval_cell(metric),
                f"{metric.n:,}",
                one_line(metric.reason or ""),
            )
            for name, metric in summary.metrics.items()
        ],
        numbers=(1, 1 + len(values), 2 + len(values)),
    )
    print(f"{summary.predictor} on {summary.split}")
    for role, file in summary.inputs.items():
        print(f"{role}: {one_line(file.name)}, {file.size:,} bytes, sha256 {file.sha256}")
    for name, value in summary.options.items():
        print(f"{name}: {one_line(value)}")
    for name, condition in summary.conditions.items():
        print(f"{name}: {', '.join(condition.rows)}")
    print(summary.signature)
    print(f"resampled by {scored.sample.units.kind}: {scored.sample.units.n:,}")
    print(f"baseline: {scored.name}, {size:,} bytes")
