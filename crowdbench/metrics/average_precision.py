"""Average precision and recall from match results, by COCO's rules."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from crowdbench.structures import Array

OKS_THRESHOLDS = np.linspace(0.5, 0.95, int(np.round((0.95 - 0.5) / 0.05)) + 1)
RECALL_LEVELS = np.linspace(0.0, 1.0, int(np.round(1.0 / 0.01)) + 1)
_EPS = np.spacing(1.0)


class Curves(NamedTuple):
    """Precision and recall of V variants at T thresholds.

    Attributes:
        precision: (V, T, 101) float64, interpolated precision at the recall levels 0, 0.01 ... 1.
        recall: (V, T) float64, the final recall.
        place: (V, T, 101) int64, place of the true positive with which each level is reached; -1
            where it never is.
        n_persons: (V,) int64, evaluated persons. Where it is 0 precision and recall are NaN.
    """

    precision: Array
    recall: Array
    place: Array
    n_persons: Array


def precision_recall(true_positive: Array, false_before: Array, n_persons: Array) -> Curves:
    """Return the interpolated precision-recall curves.

    Args:
        true_positive: (V, T, N) bool, at those poses, by descending score, that are a true
            positive anywhere; N may be smaller than the number of poses.
        false_before: (V, T, N) int, how many false positives have a higher rank than the pose. It
            is looked at for true positives only.
        n_persons: (V,) evaluated persons of each variant.

    Returns:
        The curves; NaN for a variant without evaluated persons, 0 for one without poses.

    Source: ``COCOeval.accumulate`` of pycocotools: precision tp / (tp + fp + 2^-52), made
    non-increasing from the right, taken at the first position whose recall reaches each level.
    Precision peaks and recall steps only at true positives, so only those are looked at.
    """
    n_variants, n_thresholds, n_places = true_positive.shape
    hits = np.flatnonzero(true_positive)
    # Columns, one per variant and threshold, stand one after the other in `hits`.
    bounds = np.searchsorted(hits, np.arange(n_variants * n_thresholds + 1) * n_places)
    starts, per_column = bounds[:-1], np.diff(bounds)
    tp = np.arange(1.0, len(hits) + 1) - np.repeat(starts, per_column)
    fp = false_before.reshape(-1)[hits]
    precisions = tp / (fp + tp + _EPS)

    needed = np.empty((n_variants, len(RECALL_LEVELS)), np.int64)
    for v, n in enumerate(n_persons):
        needed[v] = _needed(int(n))
    shape = n_variants, n_thresholds, len(RECALL_LEVELS)
    starts, per_column = starts.reshape(shape[:2]), per_column.reshape(shape[:2])
    reached = needed[:, None] < per_column[..., None]
    at = (starts[..., None] + needed[:, None])[reached]
    precision, place = np.zeros(shape), np.full(shape, -1)
    if len(at):
        # The best from each level to the next one (or to the column's end, as each column reaches
        # level 0 with its first true positive), and then the running maximum from the right.
        precision[reached] = np.maximum.reduceat(precisions, at)
        precision = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
        place[reached] = hits[at] % n_places
    recall = per_column / np.maximum(n_persons, 1)[:, None]
    precision[n_persons == 0], recall[n_persons == 0] = np.nan, np.nan
    return Curves(precision, recall, place, n_persons)


@lru_cache(maxsize=64)
def _needed(n_persons: int) -> Array:
    """Return how many true positives come before the one that first reaches each recall level."""
    recall = np.arange(1, n_persons + 1) / n_persons
    return np.searchsorted(recall, RECALL_LEVELS, side="left")


def level_scores(curves: Curves, scores: Array, highest: float) -> Array:
    """Return the score of the pose at which each recall level is reached: (V, T, 101) float64.

    Args:
        curves: the curves.
        scores: (N,) of the poses that `Curves.place` points to.
        highest: the highest score of any pose. With it the level 0 is reached, hit or not.

    Returns:
        0 where a level is never reached, NaN for a variant without evaluated persons.

    Source: ``scores`` of ``COCOeval.accumulate``.
    """
    found = np.zeros(curves.place.shape)
    reached = curves.place >= 0
    found[reached] = scores[curves.place[reached]]
    found[..., 0] = highest
    found[curves.n_persons == 0] = np.nan
    return found
