"""What a report shows of the attention on an image: a few keypoints, and shares of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crowdbench.attention import Attention, ImageAttention
from crowdbench.structures import Array

# Keypoints that are shown of an image, each of another person; and most arrows of one.
_MOST_QUERIES, MOST_TARGETS = 2, 3
# A cell that an arrow points to has at least so many times the weight of an even spread.
TARGET_FACTOR = 2


class Target(NamedTuple):
    """The cell of another person that a keypoint attends to most.

    Attributes:
        person: whose it is.
        place: (2,) pixels, its centre.
    """

    person: int
    place: Array


@dataclass(frozen=True)
class Query:
    """A keypoint of a person, and what it attends to in the last layer.

    Attributes:
        person: row of the person.
        keypoint: which one.
        moved: how far it moved when the persons were related, in parts of the square root of the
            area of the person's box; None where there are no poses before that.
        heat: (P, h, w) the weights.
        shares: (P,) their sum over the cells of each person.
        even: what others' share of the group would be if the weights were even.
        targets: on other persons, the highest first.
    """

    person: int
    keypoint: int
    moved: float | None
    heat: Array
    shares: Array
    even: float
    targets: tuple[Target, ...]

    @property
    def others(self) -> float:
        """Share of the other persons."""
        return float(self.shares.sum() - self.shares[self.person])


@dataclass(frozen=True)
class ShownAttention:
    """What is shown of an image.

    Attributes:
        image_id: its id in the annotation file.
        file_name: as the annotation file gives it.
        size: width and height in pixels; 0 where the file does not say.
        boxes: (P, 4) xywh, pixels.
        crops: (P, 4) xywh, pixels: what the cells of each person cover evenly.
        keypoints: (P, K, 2) pixels.
        before: the same before the persons were related; None where the network gives none.
        n_others: (P,) how many other persons are in each one's group.
        layers: (L,) share of attention on other persons, mean over all persons and keypoints.
        even: what that would be if all weights were even.
        queries: the keypoints to show.
    """

    image_id: int
    file_name: str
    size: tuple[int, int]
    boxes: Array
    crops: Array
    keypoints: Array
    before: Array | None
    n_others: Array
    layers: Array
    even: float
    queries: tuple[Query, ...]


def shown_attention(image: ImageAttention) -> ShownAttention:
    """Return what is shown of an image.

    Of two persons, the keypoints that moved most when the persons were related, for the size of the
    person's box; where that is not known, those that attend most to other persons. Keypoints
    outside of the image are not chosen, nor are persons without others in their group, unless all
    are.
    """
    found = image.attention
    shares = found.weights.sum((4, 5), dtype=np.float64)  # (L, P, K, P)
    n_persons = len(found.boxes)
    in_group = (shares > 0).any((0, 2)) | np.eye(n_persons, dtype=bool)
    n_others = in_group.sum(1) - 1
    on_self = shares[:, np.arange(n_persons), :, np.arange(n_persons)]  # (P, L, K)
    others = 1 - on_self / shares.sum(3).transpose(1, 0, 2)
    moved = _moved(found)
    rank = (others[:, -1] if moved is None else moved).copy()
    rank[(n_others == 0) & (n_others > 0).any()] = -1
    rank[~_inside(found, image.size)] = -2
    best = rank.max(1)
    order = np.argsort(-best, kind="stable")
    # Where none may be chosen, the first of all stands for them.
    chosen = order[best[order] >= 0][: _MOST_QUERIES if n_others.any() else 1]
    chosen = chosen if len(chosen) else order[:1]
    return ShownAttention(
        image.image_id,
        image.file_name,
        image.size,
        found.boxes,
        found.crops,
        found.keypoints,
        found.before,
        n_others,
        others.mean((0, 2)),
        float((n_others / (n_others + 1)).mean()),
        tuple(
            _query(found, person, int(rank[person].argmax()), moved, shares, n_others)
            for person in chosen.tolist()
        ),
    )


def _moved(found: Attention) -> Array | None:
    """Return (P, K) how far keypoints moved, in parts of the square root of the box's area."""
    if found.before is None:
        return None
    sides = np.sqrt(np.maximum(found.boxes[:, 2] * found.boxes[:, 3], 1))
    distances: Array = np.linalg.norm(found.keypoints - found.before, axis=-1) / sides[:, None]
    return distances


def _inside(found: Attention, size: tuple[int, int]) -> Array:
    """Return (P, K) whether keypoints lie in the image, before and after."""
    limits = np.array(size, float) if 0 not in size else np.full(2, np.inf)
    inside = np.ones(found.keypoints.shape[:2], bool)
    for points in (found.keypoints, found.before):
        if points is not None:
            inside &= ((points >= -0.5) & (points <= limits - 0.5)).all(-1)
    return inside


def _query(
    found: Attention,
    person: int,
    keypoint: int,
    moved: Array | None,
    shares: Array,
    n_others: Array,
) -> Query:
    # A copy, so that the weights of all other keypoints need not be kept.
    heat = found.weights[-1, person, keypoint].copy()
    n_cells = (n_others[person] + 1) * heat[0].size
    highest = heat.reshape(len(heat), -1).max(1)
    highest[person] = 0
    targets = [
        Target(i, _place(heat[i], found.crops[i]))
        for i in np.argsort(-highest, kind="stable")[:MOST_TARGETS].tolist()
        if highest[i] * n_cells >= TARGET_FACTOR
    ]
    return Query(
        person,
        keypoint,
        None if moved is None else float(moved[person, keypoint]),
        heat,
        shares[-1, person, keypoint],
        float(n_others[person] / (n_others[person] + 1)),
        tuple(targets),
    )


def _place(heat: Array, crop: Array) -> Array:
    """Return the centre of the cell with the highest weight, in pixels."""
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    cell = np.array((column + 0.5, row + 0.5)) / heat.shape[::-1]
    place: Array = crop[:2] + cell * crop[2:]
    return place
