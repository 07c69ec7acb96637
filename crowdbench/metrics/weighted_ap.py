"""Average precision and recall of many resamples at once, where every image has a weight.

An image that is drawn w times counts as w images with the same persons and poses: a pose in it
counts w times among the true or the false positives, a person w times in the recall. Matches never
cross images, so they stay what they are.

All sums over images are products of a sparse matrix of whole numbers with the weights, and so are
exact whatever their order. One resample is one column of all arrays: nothing that is computed of it
depends on those beside it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from crowdbench.metrics.average_precision import RECALL_LEVELS
from crowdbench.structures import Array

_EPS = np.spacing(1.0)
# Levels k / 100 that a recall of exactly k of 100 does not reach, as the reference's floating-point
# levels lie above the quotient.
_LATE = np.flatnonzero(np.arange(len(RECALL_LEVELS)) / 100 < RECALL_LEVELS)


class Rows(NamedTuple):
    """Running sums over poses by descending score, kept at some of the poses only.

    So that sums can run in few steps over long arrays, the rows are dealt out to `n_chunks` chunks
    of consecutive ones and stand one chunk beside the other: first the first row of each chunk,
    then the second of each, and so on. The last chunk is filled up with rows that add nothing.

    Attributes:
        added: (n_slots, I) sparse int32, what each image adds between the row before and this one.
        n_chunks: how many chunks.
    """

    added: csr_array
    n_chunks: int

    def sums(self, weights: Array) -> Array:
        """Return the running sums: (rows of a chunk, chunks, B) int32."""
        sums = (self.added @ weights).reshape(-1, self.n_chunks, weights.shape[1])
        return _accumulate(np.add, sums)


class Column(NamedTuple):
    """One OKS threshold of a curve, at the places where its precision may peak.

    Those are the true positives that no other follows before the next false positive: within a run
    of true positives the last one has the highest precision, whatever the weights.

    Attributes:
        found: the true positives.
        above: by slot of `found`, its slot in `Curve.counted`.
        spared: the poses that are neither true nor false positives although they are counted there,
            less the true positives that are not; kept only where that changes.
        spared_slot: by slot of `found`, its slot in `spared`.
    """

    found: Rows
    above: Array
    spared: Rows
    spared_slot: Array


class Curve(NamedTuple):
    """What precision and recall of one slice and area range are made of.

    Attributes:
        columns: by OKS threshold; None where there is no true positive.
        counted: the poses that are false positives unless they match. Those that are spared at all
            thresholds are left out.
        persons: (1, I) sparse int32, evaluated persons.
    """

    columns: list[Column | None]
    counted: Rows
    persons: csr_array


def make_curve(
    image: Array,
    counts: Array,
    place: Array,
    matched: Array,
    ignored: Array,
    n_persons: Array,
) -> Curve:
    """Return what can be weighted of the match results of one slice and area range.

    Args:
        image: (M,) image index of the poses, by descending score.
        counts: (M,) bool, those that are false positives unless they match.
        place: (N,) ascending, which of the poses each matched pair has.
        matched: (T, N) bool, where the pair matched.
        ignored: (N,) bool, whether its person is ignored.
        n_persons: (I,) evaluated persons of each image.
    """
    n_images = len(n_persons)
    above, counted = np.cumsum(counts)[place], counts[place]
    found, spared = matched & ~ignored, matched & (ignored == counted)
    ends = [
        place[_peaks(hits, above - np.cumsum(row & counted))]
        for hits, row in zip(found, matched, strict=True)
    ]
    kept = np.unique(np.concatenate(ends))
    always = spared[found.any(1)].all(0)
    amounts = np.where(counted, 1, -1)
    columns = [
        _column(
            place,
            image[place],
            np.flatnonzero(found[t]),
            np.flatnonzero(spared[t] & ~always),
            amounts,
            here,
            kept,
            n_images,
        )
        if len(here)
        else None
        for t, here in enumerate(ends)
    ]
    counts = counts.copy()
    counts[place[always]] = ~counted[always]
    poses = np.flatnonzero(counts[: kept[-1] + 1] if len(kept) else counts[:0])
    return Curve(
        columns,
        _rows(np.searchsorted(kept, poses), image[poses], None, len(kept), n_images),
        csr_array(n_persons[None].astype(np.int32)),
    )


def _peaks(true_positive: Array, false_before: Array) -> Array:
    """Return the last true positive of each run without a false positive."""
    hits = np.flatnonzero(true_positive)
    before = false_before[hits]
    is_last = np.ones(len(hits), bool)
    is_last[:-1] = before[1:] != before[:-1]
    return hits[is_last]


def _column(
    place: Array,
    image: Array,
    found: Array,
    spared: Array,
    amounts: Array,
    ends: Array,
    kept: Array,
    n_images: int,
) -> Column:
    """Return one OKS threshold.

    Args:
        place: (N,) ascending, place of the pose of each matched pair.
        image: (N,) its image.
        found: the pairs that are true positives.
        spared: the pairs that `Column.spared` is about.
        amounts: (N,) what each pair adds there.
        ends: (R,) places where precision may peak, R > 0.
        kept: those of all thresholds.
        n_images: how many there are.
    """
    row = np.searchsorted(ends, place[spared])
    spared, row = spared[row < len(ends)], row[row < len(ends)]
    changes = np.unique(row)
    # Row 0 stands for what comes before any change.
    n_rows = len(changes) + 1
    spared_row = np.searchsorted(changes, np.arange(len(ends)), side="right")
    order = _order(len(ends))
    return Column(
        _rows(np.searchsorted(ends, place[found]), image[found], None, len(ends), n_images),
        _slots(np.searchsorted(kept, ends), len(kept))[order],
        _rows(np.searchsorted(changes, row) + 1, image[spared], amounts[spared], n_rows, n_images),
        _slots(spared_row, n_rows)[order],
    )


def _rows(rows: Array, image: Array, amounts: Array | None, n_rows: int, n_images: int) -> Rows:
    """Return running sums of amounts (of ones, by default), given the row and image of each."""
    length, n_chunks = _shape(n_rows)
    data = np.ones(len(rows), np.int32) if amounts is None else amounts.astype(np.int32)
    at = _slots(rows, n_rows).astype(np.int32), image.astype(np.int32)
    return Rows(csr_array((data, at), shape=(length * n_chunks, n_images)), n_chunks)


def _shape(n_rows: int) -> tuple[int, int]:
    """Return how long a chunk is and how many there are; at least one row even for none."""
    length = max(1, math.isqrt(n_rows))
    return length, max(1, -(-n_rows // length))


def _slots(rows: Array, n_rows: int) -> Array:
    """Return where rows stand."""
    length, n_chunks = _shape(n_rows)
    slots: Array = rows % length * n_chunks + rows // length
    return slots


def _order(n_rows: int) -> Array:
    """Return the row that each slot holds; the last one where it is filled up."""
    length, n_chunks = _shape(n_rows)
    rows = np.arange(length)[:, None] + np.arange(n_chunks) * length
    order: Array = np.minimum(rows.ravel(), n_rows - 1)
    return order


def _accumulate(operation: np.ufunc, values: Array) -> Array:
    """Replace values (rows of a chunk, chunks, B) by the running result down the rows."""
    for i in range(1, len(values)):
        operation(values[i - 1], values[i], out=values[i])
    last = values[-1]
    for i in range(1, len(last)):
        operation(last[i - 1], last[i], out=last[i])
    operation(values[:-1, 1:], last[:-1], out=values[:-1, 1:])
    return values


def weigh(curve: Curve, weights: Array) -> tuple[Array, Array]:
    """Return average precision and recall of resamples by OKS threshold.

    Args:
        curve: of the slice and area range.
        weights: (I, B) int32, C order, how many times each image counts; B at least 2.

    Returns:
        Two (T, B) float64; NaN where no person is evaluated, 0 where none is found.

    Source: ``COCOeval.accumulate`` of pycocotools, see
    `crowdbench.metrics.average_precision.precision_recall`.
    """
    shape = len(curve.columns), weights.shape[1]
    precision, recall = np.zeros(shape), np.zeros(shape)
    n_persons = (curve.persons @ weights)[0]
    above = curve.counted.sums(weights).reshape(-1, shape[1])
    for t, column in enumerate(curve.columns):
        if column is not None:
            precision[t], recall[t] = _weigh(column, above, weights, np.maximum(n_persons, 1))
    precision[:, n_persons == 0] = recall[:, n_persons == 0] = np.nan
    return precision, recall


def _weigh(column: Column, above: Array, weights: Array, n_persons: Array) -> tuple[Array, Array]:
    found = column.found.sums(weights)
    spared = column.spared.sums(weights).reshape(-1, weights.shape[1])
    positives = above.take(column.above, axis=0)
    positives -= spared.take(column.spared_slot, axis=0)
    precision = np.add(positives.reshape(found.shape), _EPS)
    np.divide(found, precision, out=precision)
    _accumulate(np.maximum, precision[::-1, ::-1])
    # The first row stands for level 0, and each row for those that are reached from the one before
    # to it.
    total: Array = precision[0, 0].copy()
    precision *= _reached_anew(_reached(found, n_persons))
    total += precision.reshape(-1, len(total)).sum(0)
    return total / len(RECALL_LEVELS), found[-1, -1] / n_persons


def _reached(found: Array, n_persons: Array) -> Array:
    """Return how many recall levels beyond 0 are reached with so many true positives.

    Args:
        found: (..., B) int32.
        n_persons: (B,) at least 1.

    Returns:
        Whole numbers as float64. The half keeps a quotient of whole numbers off the next level's
        bound, where rounding could decide; at it the reference's own floating-point rule does.
    """
    levels: Array = found * (100 / n_persons)
    levels += 0.5 / n_persons
    np.floor(levels, out=levels)
    late = np.flatnonzero((n_persons[:, None] * _LATE % 100 == 0).any(1))
    if len(late):
        exact = found.take(late, axis=-1) * 100.0 == levels.take(late, axis=-1) * n_persons[late]
        *at, which = np.nonzero(exact)
        tied = *at, late[which]
        quotients = found[tied] / n_persons[tied[-1]]
        levels[tied] = np.searchsorted(RECALL_LEVELS, quotients, side="right") - 1
    return levels


def _reached_anew(levels: Array) -> Array:
    """Return by how much values (rows of a chunk, chunks, B) grow from each row to the next."""
    growth = np.empty_like(levels)
    np.subtract(levels[1:], levels[:-1], out=growth[1:])
    np.subtract(levels[0, 1:], levels[-1, :-1], out=growth[0, 1:])
    growth[0, 0] = levels[0, 0]
    return growth
