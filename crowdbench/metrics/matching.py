"""Greedy matching of poses with persons, as COCO's evaluator does it, for many settings at once.

One matching is made for every pair of a *variant* (which persons are ignored) and an OKS threshold.
Up to 64 such columns are worked off together: each pair carries one bit per column.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.metrics.oks import Pairs
from crowdbench.structures import Array

MAX_POSES_PER_IMAGE = 20
_WORD = np.uint64
_WORD_BITS = 64


class Matches(NamedTuple):
    """Which pairs matched, for V variants and T thresholds.

    Attributes:
        pose: (N,) int64 row of the pose of each pair that matched at least once.
        person: (N,) int64 row of its person.
        columns: (N, V, T) bool, where the two matched.
    """

    pose: Array
    person: Array
    columns: Array


def rank_poses(scores: Array, image_index: Array, most: int | None = MAX_POSES_PER_IMAGE) -> Array:
    """Return the rows of the poses that count, by image and then by descending score.

    Of equal scores the one that comes first in the arrays is ranked first.

    Args:
        scores: (D,) float64.
        image_index: (D,) image of each pose.
        most: how many poses of an image to keep, or None for all.

    Source: the stable sort and the cut at ``maxDets`` of pycocotools.
    """
    order = np.lexsort((-scores, image_index))
    if most is None:
        return order
    sorted_image = image_index[order]
    first = np.searchsorted(sorted_image, sorted_image)
    return order[np.arange(len(order)) - first < most]


def match_greedy(
    pairs: Pairs, pose_image: Array, ignored: Array, is_crowd: Array, thresholds: Array
) -> Matches:
    """Return the greedy one-to-one matches for every variant and threshold.

    Poses take their turn in the order of their rows (which must be by image and rank). Each takes
    the best of the persons still free whose OKS reaches the threshold and that are not ignored; if
    there is none, the best ignored one. Of equal OKS the later person wins. Crowd regions are never
    used up.

    Args:
        pairs: pairs of poses and persons; those below the lowest threshold have no effect.
        pose_image: (D,) image index of each pose, ascending.
        ignored: (P, V) bool, the persons that each variant ignores; crowd regions must be ignored.
        is_crowd: (P,) bool.
        thresholds: (T,) float64 OKS thresholds, 1 to 64 of them.

    Source: ``COCOeval.evaluateImg`` of pycocotools. Deviation: a person whose annotation id is 0
    can be matched like any other (there the id 0 also means "no match").
    """
    n_variants, n_thresholds = ignored.shape[1], len(thresholds)
    limits = np.minimum(thresholds, 1 - 1e-10)
    keep = np.flatnonzero(pairs.oks >= limits.min())
    # Each pose's persons by falling OKS, the later person first among equals.
    pose, person, oks = (column[keep] for column in pairs)
    order = np.lexsort((-person, -oks, pose))
    pose, person, oks = pose[order], person[order], oks[order]
    turns = _turns(pose, pose_image)

    per_word = _WORD_BITS // n_thresholds
    words = [
        _match_word(pose, person, oks, turns, ignored[:, v : v + per_word], is_crowd, limits)
        for v in range(0, n_variants, per_word)
    ]
    hit = np.zeros(len(pose), bool)
    for word in words:
        hit |= word != 0
    rows = np.flatnonzero(hit)
    columns = np.empty((len(rows), n_variants, n_thresholds), bool)
    for v in range(n_variants):
        word = words[v // per_word][rows] >> _WORD((v % per_word) * n_thresholds)
        for t in range(n_thresholds):
            columns[:, v, t] = (word >> _WORD(t)) & _WORD(1)
    return Matches(pose[rows], person[rows], columns)


def _turns(pose: Array, pose_image: Array) -> list[list[Array]]:
    """Return the pair rows to work off together: by turn of the pose in its image, then preference.

    Within one such group every pose, and so every person, occurs at most once.
    """
    if not len(pose):
        return []
    new_pose = np.r_[True, pose[1:] != pose[:-1]]
    starts = np.flatnonzero(new_pose)
    serial = np.cumsum(new_pose) - 1
    preference = np.arange(len(pose)) - starts[serial]
    image = pose_image[pose[starts]]
    turn = (np.arange(len(starts)) - np.searchsorted(image, image))[serial]
    order = np.lexsort((preference, turn))
    turn, preference = turn[order], preference[order]
    cuts = np.flatnonzero((np.diff(turn) != 0) | (np.diff(preference) != 0)) + 1
    groups: list[list[Array]] = [[] for _ in range(int(turn[-1]) + 1)]
    for rows, first in zip(np.split(order, cuts), np.r_[0, cuts], strict=True):
        groups[turn[first]].append(rows)
    return groups


def _match_word(
    pose: Array,
    person: Array,
    oks: Array,
    turns: list[list[Array]],
    ignored: Array,
    is_crowd: Array,
    limits: Array,
) -> Array:
    """Return, for each pair, the bits of the (variant, threshold) columns in which it matched."""
    n_variants, n_thresholds = ignored.shape[1], len(limits)
    reached = np.zeros(len(oks), _WORD)
    for t, limit in enumerate(limits):
        reached |= (oks >= limit).astype(_WORD) << _WORD(t)
    every_threshold = _WORD((1 << n_thresholds) - 1)
    candidates = np.zeros(len(oks), _WORD)
    ignored_bits = np.zeros(len(ignored), _WORD)
    for v in range(n_variants):
        shift = _WORD(v * n_thresholds)
        candidates |= reached << shift
        ignored_bits |= (ignored[:, v] * every_threshold) << shift

    matched = np.zeros(len(oks), _WORD)
    pose_done = np.zeros(int(pose[-1]) + 1 if len(pose) else 0, _WORD)
    person_taken = np.zeros(len(is_crowd), _WORD)
    once = np.where(is_crowd, _WORD(0), ~_WORD(0))
    for groups in turns:
        for wants_ignored in (False, True):
            for rows in groups:
                d, g = pose[rows], person[rows]
                side = ignored_bits[g] if wants_ignored else ~ignored_bits[g]
                bits = candidates[rows] & side & ~pose_done[d] & ~person_taken[g]
                matched[rows] |= bits
                pose_done[d] |= bits
                person_taken[g] |= bits & once[g]
    return matched
