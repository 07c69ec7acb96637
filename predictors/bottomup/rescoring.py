"""What DEKR's rescoring network is told about a pose, and the scores that come of it.

Source: DEKR's release (RESCORE).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from crowdbench.structures import Array

# Of the links whose mean length stands for the size of a pose. With coco-17 they are the sides of
# the torso. With crowdpose-14 they are the left thigh and shin, which the release's weights were
# trained with, though the torso's (7 and 8) may have been meant.
_OF_SIZE = (9, 11)


@dataclass(frozen=True)
class Links:
    """Pairs of joints, between which a pose is measured.

    Attributes:
        first: (L,) rows of the layout.
        second: (L,) likewise.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]

    @property
    def n_features(self) -> int:
        """How many numbers the network takes: x, y and length of each link, and joint scores."""
        return 3 * len(self.first) + max(*self.first, *self.second) + 1


def _links(text: str) -> Links:
    pairs = [tuple(map(int, pair.split("-"))) for pair in text.split()]
    return Links(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


# By the layout's name.
LINKS: Mapping[str, Links] = MappingProxyType(
    {
        "coco-17": _links(
            "0-1 0-2 1-2 1-3 2-4 3-5 4-6 5-6 5-7 5-11 6-8 6-12 7-9 8-10 11-12 11-13 12-14 13-15 "
            "14-16"
        ),
        "crowdpose-14": _links("12-13 13-0 13-1 0-2 1-3 2-4 3-5 0-6 1-7 6-8 7-9 8-10 9-11 6-7 0-1"),
    }
)


def features_of(keypoints: Array, keypoint_scores: Array, links: Links) -> Array:
    """Return (n, 3 L + J) float32: what the network takes.

    The vectors of the L links (first minus second joint; x and y of each), then their lengths, both
    by the pose's size; then the joint scores.

    Args:
        keypoints: (n, J, 2) x and y, pixels of the image.
        keypoint_scores: (n, J).
        links: of `LINKS`.

    >>> features_of(np.zeros((2, 17, 2)), np.zeros((2, 17)), LINKS["coco-17"]).shape
    (2, 74)
    """
    vectors = keypoints[:, links.first] - keypoints[:, links.second]
    lengths = np.linalg.norm(vectors, axis=2)
    sizes = np.maximum(lengths[:, _OF_SIZE].mean(axis=1), 1)[:, None]
    flat = vectors.reshape(len(vectors), 2 * len(links.first))
    parts = [flat / sizes, lengths / sizes, keypoint_scores]
    return np.concatenate(parts, axis=1).astype(np.float32)


def rescored(scores: Array, outputs: Array) -> Array:
    """Return (n,) float64: the scores times what the network gives, 0 where that is no number.

    >>> rescored(np.array([0.5, 0.5]), np.array([0.5, np.nan])).tolist()
    [0.25, 0.0]
    """
    products = scores.astype(np.float64) * outputs
    return np.where(np.isnan(products), 0, products)
