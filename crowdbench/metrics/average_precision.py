"""Average precision and recall from match results, by COCO's rules."""

from __future__ import annotations

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
        scores: (V, T, 101) float64, the score of the pose at which each level is reached; 0 where
            it never is.
        recall: (V, T) float64, the final recall.
        n_persons: (V,) int64, evaluated persons. Where it is 0 the rows above are NaN.
    """

    precision: Array
    scores: Array
    recall: Array
    n_persons: Array


def precision_recall(
    true_positive: Array, false_positive: Array, scores: Array, n_persons: Array
) -> Curves:
    """Return the interpolated precision-recall curves.

    Args:
        true_positive: (V, T, D) bool, poses by descending score.
        false_positive: (V, T, D) bool; a pose that is neither is ignored.
        scores: (D,) float64 of those poses.
        n_persons: (V,) evaluated persons of each variant.

    Returns:
        The curves; NaN for a variant without evaluated persons, 0 for one without poses.

    Source: ``COCOeval.accumulate`` of pycocotools: precision tp / (tp + fp + 2^-52), made
    non-increasing from the right, taken at the first position whose recall reaches each level.
    Precision peaks and recall steps only at true positives, so only those are looked at.
    """
    n_variants, n_thresholds, _ = true_positive.shape
    precision = np.zeros((n_variants, n_thresholds, len(RECALL_LEVELS)))
    level_scores = np.zeros_like(precision)
    recall = np.zeros((n_variants, n_thresholds))
    for v, n in enumerate(n_persons):
        if n == 0:
            precision[v] = level_scores[v] = recall[v] = np.nan
            continue
        # The number of true positives at which each recall level is first reached.
        needed = np.searchsorted(np.arange(1, n + 1) / n, RECALL_LEVELS, side="left")
        for t in range(n_thresholds):
            hits = np.flatnonzero(true_positive[v, t])
            if not len(hits):
                continue
            fp = np.cumsum(false_positive[v, t], dtype=np.int64)[hits]
            tp = np.arange(1.0, len(hits) + 1)
            envelope = np.maximum.accumulate((tp / (fp + tp + _EPS))[::-1])[::-1]
            reached = needed < len(hits)
            precision[v, t, reached] = envelope[needed[reached]]
            level_scores[v, t, reached] = scores[hits[needed[reached]]]
            recall[v, t] = tp[-1] / n
        if len(scores):
            # The level 0 is reached by the very first pose, hit or not.
            level_scores[v, :, 0] = scores[0]
    return Curves(precision, level_scores, recall, np.asarray(n_persons))
