"""What is wrong with keypoints: tables and words, of one run and of runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crowdbench.markup import one_line
from crowdbench.metrics.keypoint_errors import GOOD_SIMILARITY, LABELS, MATCH_OKS, NEAR_SIMILARITY
from crowdbench.results import ErrorCounts, KeypointErrors, Metrics
from crowdbench.terminal import percent
from reports.footnotes import Footnotes
from reports.side_by_side_record import Comparison
from reports.side_by_side_wording import headings_of
from reports.tables import Table

TITLE = "Keypoint errors"
OVERLAP_TITLE = "By overlap with other persons"
_SHARES = tuple(f"{label} %" for label in LABELS)
_SORTED_BY = {"keypoints": "keypoints"} | {
    shown: f"{label}_share" for shown, label in zip(_SHARES, LABELS, strict=True)
}
_COLUMNS = ("keypoints", *LABELS, *(f"{label}_share" for label in LABELS))
OVERLAP_LEGEND = (
    "All keypoints of the same persons, by the highest IoU of a person's box with another: in the "
    "bins of the condition person-iou."
)
COMPARED_REMARK = (
    "Each run has the keypoints of the persons that it found: a run that finds fewer persons, and "
    "the easy ones of them, may have fewer errors."
)


def errors_table(metrics: Metrics) -> Table:
    """Return the share of each label, by keypoint; the last row is all of them, with counts.

    Without rows if no keypoint has a label.
    """
    errors = metrics.keypoint_errors
    rows: list[ErrorCounts] = []
    if errors is not None and errors.keypoints is not None and errors.total.n:
        rows = [*errors.keypoints, errors.total]
    last = len(rows) - 1
    return Table(
        name="keypoint-errors",
        data=_data("keypoint", rows),
        header=("keypoint", *_SHARES, "keypoints"),
        cells=tuple(
            (one_line(row.name), *_share_cells(row, with_counts=i == last), f"{row.n:,}")
            for i, row in enumerate(rows)
        ),
        numbers=frozenset((*_SHARES, "keypoints")),
        bold=frozenset((last,)) if rows else frozenset(),
        sorted_by=_SORTED_BY,
    )


def overlap_table(metrics: Metrics) -> Table:
    """Return the shares over all keypoints, by how much persons overlap; likewise."""
    errors = metrics.keypoint_errors
    rows = () if errors is None or not errors.total.n else errors.by_overlap
    return Table(
        name="keypoint-errors-by-overlap",
        data=_data("highest_iou", rows),
        header=("highest IoU", *_SHARES, "keypoints"),
        cells=tuple((one_line(row.name), *_share_cells(row), f"{row.n:,}") for row in rows),
        numbers=frozenset((*_SHARES, "keypoints")),
        sorted_by=_SORTED_BY,
    )


def compared_errors_table(comparison: Comparison) -> Table:
    """Return the shares over all keypoints, a row per run; without rows if no run has any."""
    footnotes = Footnotes()
    headings = headings_of(comparison.runs, footnotes)
    has_any = any(run.keypoint_errors and run.keypoint_errors.total.n for run in comparison.runs)
    cells, data = [], []
    for run, heading in zip(comparison.runs, headings, strict=True):
        errors = run.keypoint_errors
        if errors is None or not has_any:
            continue
        total, mark = errors.total, footnotes.mark(errors.reason)
        cells.append(
            (heading + mark, *_share_cells(total), f"{total.n:,}", f"{errors.n_persons:,}")
        )
        data.append((run.name, *_numbers(total), errors.n_persons))
    return Table(
        name="keypoint-errors",
        data=pd.DataFrame(data, columns=["run", *_COLUMNS, "persons"]),
        header=("run", *_SHARES, "keypoints", "persons"),
        cells=tuple(cells),
        numbers=frozenset((*_SHARES, "keypoints", "persons")),
        footnotes=footnotes.texts,
    )


def headline(errors: KeypointErrors) -> str:
    """Return how many keypoints were given to the wrong person, or why that is not known.

    >>> row = ErrorCounts("nose", good=90, jitter=5, inversion=0, swap=3, miss=2)
    >>> headline(KeypointErrors("closest", 0.1, 100, (row,), (), None))
    '3 of 100 keypoints (3.0 %) were given to the wrong person.'
    """
    total = errors.total
    if not total.n:
        return f"Not counted: {errors.reason}."
    share = percent(total.swap / total.n, 1)
    return f"{total.swap:,} of {total.n:,} keypoints ({share} %) were given to the wrong person."


def errors_legend(n_persons: int | None = None) -> str:
    """Return what the labels are, and by which rule a keypoint gets one.

    Args:
        n_persons: whose keypoints are labelled; None for those of several runs.
    """
    who = "the evaluated persons" if n_persons is None else f"the {n_persons:,} evaluated persons"
    good, near = f"{GOOD_SIMILARITY:.2f}", f"{NEAR_SIMILARITY:.2f}"
    return (
        f"Of the labelled keypoints of {who} that were matched at OKS {MATCH_OKS:.2f}. Similarity "
        "is the term of OKS for one keypoint, taken to the same keypoint of all annotated persons "
        "of the image and to its partner on the other side of their bodies; the closest of these "
        f"gives the label (rule closest). Good: the person's own, similarity {good} or more; "
        f"jitter: the person's own, {near} to {good}; inversion: the person's partner, {near} or "
        f"more; swap: another person's, {near} or more; miss: none reaches {near}."
    )


def _data(first: str, rows: Sequence[ErrorCounts]) -> pd.DataFrame:
    return pd.DataFrame([(row.name, *_numbers(row)) for row in rows], columns=[first, *_COLUMNS])


def _numbers(row: ErrorCounts) -> tuple[float | None, ...]:
    counts = [getattr(row, label) for label in LABELS]
    return (row.n, *counts, *_shares(row))


def _shares(row: ErrorCounts) -> list[float | None]:
    """Return the share of each label; None where there are no keypoints."""
    return [getattr(row, label) / row.n if row.n else None for label in LABELS]


def _share_cells(row: ErrorCounts, with_counts: bool = False) -> list[str]:
    """Return the shares in percent, the counts behind them if asked for."""
    return [
        percent(share) + (f" ({getattr(row, label):,})" if with_counts else "")
        for label, share in zip(LABELS, _shares(row), strict=True)
    ]
