"""The people found in one image, before they are merged."""

from __future__ import annotations

from typing import NamedTuple

from crowdbench.structures import Array


class Found(NamedTuple):
    """The n people that a bottom-up method finds in one image, in the order of the official lists.

    Attributes:
        points: (n, J, 2) float64 x and y in pixels of the image resized for scale 1.
        keypoint_scores: (n, J) float64.
        scores: (n,) float64.
        ranks: (n,) float64, what merging chooses by; None where that is the score.
    """

    points: Array
    keypoint_scores: Array
    scores: Array
    ranks: Array | None = None
