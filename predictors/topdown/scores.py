"""Pose scores of top-down predictors."""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array


def pose_scores(box_scores: Array, keypoint_scores: Array, threshold: float = 0.2) -> Array:
    """Return (N,) float64: box score times the mean score of the keypoints that were found.

    Args:
        box_scores: (N,) confidences of the boxes; 1 for annotated ones.
        keypoint_scores: (N, K) heights of the heatmaps.
        threshold: keypoints strictly above it count; without any, the score is 0.

    Source: HRNet, ``evaluate`` with ``IN_VIS_THRE``, and likewise MIPNet and I2R-Net.

    >>> pose_scores(np.array([0.5, 1.0]), np.array([[0.2, 0.4, 0.8], [0.1, 0.2, -1.0]])).tolist()
    [0.30000000000000004, 0.0]
    """
    scores = keypoint_scores.astype(np.float64)
    found = scores > threshold
    sums = np.where(found, scores, 0).sum(axis=1)
    means: Array = sums / np.maximum(found.sum(axis=1), 1)
    return box_scores * means
