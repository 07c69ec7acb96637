"""What the commands print: tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from crowdbench.doctor import Finding
    from crowdbench.metrics.official import CheckResult
    from crowdbench.record import Metrics


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction as percent, ``-`` for none.

    >>> percent(0.49577)
    '49.58'
    """
    return "-" if value is None else f"{100 * value:.{digits}f}"


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int] = (),
    to_stderr: bool = False,
) -> None:
    """Print a table; `numbers` are the columns to align to the right."""
    console = Console(stderr=to_stderr, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        table.add_column(Text(name), justify="right" if i in numbers else "left", overflow="fold")
    for row in rows:
        # Text, not markup: names from files may hold brackets.
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def print_metrics(metrics: Metrics, folder: Path) -> None:
    """Print the metrics, the signature and where the record is."""
    print_table(
        ("metric", "%", "n", ""),
        [
            (name, percent(metric.value), f"{metric.n:,}", metric.reason or "")
            for name, metric in metrics.metrics.items()
        ],
        numbers=(1, 2),
    )
    counts = metrics.counts
    print(
        f"{metrics.predictor} on {metrics.split}: "
        + ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items())
    )
    print(metrics.signature)
    print(f"run: {folder}")


def print_check(result: CheckResult, to_stderr: bool = False) -> None:
    """Print an official tool's numbers beside ours."""

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.12f}"

    print_table(
        ("metric", "crowdbench", result.tool, "difference", ""),
        [
            (
                check.metric,
                number(check.ours),
                number(check.theirs),
                "-"
                if check.ours is None or check.theirs is None
                else f"{check.ours - check.theirs:.1e}",
                "equal" if check.agrees else "DIFFERS",
            )
            for check in result.checks
        ],
        numbers=(1, 2, 3),
        to_stderr=to_stderr,
    )
    console = Console(stderr=to_stderr, highlight=False, markup=False)
    for remark in result.remarks:
        console.print(f"known: {remark}")


def print_doctor(findings: Sequence[Finding]) -> None:
    """Print what works and what does not."""
    print_table(
        ("", "what", ""),
        [("ok" if f.works else "MISSING", f.what, f.detail) for f in findings],
    )
