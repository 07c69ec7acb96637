"""Greedy matching of poses with persons, as COCO's evaluator does it, for many settings at once.

One matching is made for every pair of a *variant* (which poses take part, which persons are
ignored) and an OKS threshold. All of these columns are worked off together: each pair carries one
bit per column.
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
        columns: (V, T, N) bool, where the two matched.
    """

    pose: Array
    person: Array
    columns: Array


class Wishes(NamedTuple):
    """The persons that each pose could match, by pose and then the best first.

    All that matching needs to know of OKS.

    Attributes:
        pose: (N,) int64 row of the pose, ascending.
        person: (N,) int64 row of the person; of equal OKS the later one first.
        reached: (N,) uint64, one bit for each OKS threshold that the two reach.
    """

    pose: Array
    person: Array
    reached: Array


def rank_poses(scores: Array, image_index: Array) -> Array:
    """Return the rows of the poses by image and then by descending score.

    Of equal scores the one that comes first in the arrays is ranked first.

    Args:
        scores: (D,) float64.
        image_index: (D,) image of each pose.

    Source: the stable sort of pycocotools.
    """
    return np.lexsort((-scores, image_index))


def first_in_image(taking_part: Array, image_index: Array) -> Array:
    """Return which of the ranked poses that take part count: the first 20 of each image.

    Args:
        taking_part: (D,) bool, of poses by image and rank.
        image_index: (D,) ascending.

    Source: the cut at ``maxDets`` of pycocotools, which comes after any choice of poses.
    """
    before = np.cumsum(taking_part) - taking_part
    starts = np.flatnonzero(np.r_[True, image_index[1:] != image_index[:-1]][: len(image_index)])
    sizes = np.diff(np.r_[starts, len(image_index)])
    counts: Array = taking_part & (before - np.repeat(before[starts], sizes) < MAX_POSES_PER_IMAGE)
    return counts


def match_greedy(
    pairs: Pairs,
    ignored: Array,
    is_crowd: Array,
    thresholds: Array,
    counted: Array | None = None,
    place: Array | None = None,
) -> Matches:
    """Return the greedy one-to-one matches for every variant and threshold.

    Poses take their turn in the order of their rows (which must be by image and rank). Each takes
    the best of the persons still free whose OKS reaches the threshold and that are not ignored; if
    there is none, the best ignored one. Of equal OKS the later person wins. Crowd regions are never
    used up.

    Args:
        pairs: pairs of poses and persons; those below the lowest threshold have no effect.
        ignored: (P, V) bool, the persons that each variant ignores; crowd regions must be ignored.
        is_crowd: (P,) bool.
        thresholds: (T,) float64 OKS thresholds, 1 to 64 of them.
        counted: (D, V) bool, the poses that take part in each variant, or None for all.
        place: (D,) numbers of the poses to order the matches by; None for the order of the rows.

    Source: ``COCOeval.evaluateImg`` of pycocotools. Deviation: a person whose annotation id is 0
    can be matched like any other (there the id 0 also means "no match").
    """
    wishes = find_wishes(pairs, thresholds)
    return match_wishes(wishes, len(thresholds), ignored, is_crowd, counted, place)


def find_wishes(pairs: Pairs, thresholds: Array) -> Wishes:
    """Return the persons that each pose could match.

    Args:
        pairs: pairs of poses and persons; those below the lowest threshold have no effect.
        thresholds: (T,) float64 OKS thresholds, 1 to 64 of them.
    """
    limits = np.minimum(thresholds, 1 - 1e-10)
    keep = np.flatnonzero(pairs.oks >= limits.min())
    pose, person, oks = (column[keep] for column in pairs)
    order = np.lexsort((-person, -oks, pose))
    pose, person, oks = pose[order], person[order], oks[order]
    reached = np.zeros(len(oks), _WORD)
    for t, limit in enumerate(limits):
        reached |= (oks >= limit).astype(_WORD) << _WORD(t)
    return Wishes(pose, person, reached)


def match_wishes(
    wishes: Wishes,
    n_thresholds: int,
    ignored: Array,
    is_crowd: Array,
    counted: Array | None = None,
    place: Array | None = None,
) -> Matches:
    """Return the matches that `match_greedy` makes, given the persons that each pose could match.

    Args:
        wishes: as `find_wishes` gives them.
        n_thresholds: how many OKS thresholds they know.
        ignored: as for `match_greedy`, and so on.
        is_crowd: likewise.
        counted: likewise.
        place: likewise.
    """
    n_variants = ignored.shape[1]
    pose, person, reached = wishes
    # Only the poses and persons of these pairs matter, so they are numbered anew.
    is_new = np.ones(len(pose), bool)
    is_new[1:] = pose[1:] != pose[:-1]
    poses, serial = pose[is_new], np.cumsum(is_new) - 1
    persons, owner = np.unique(person, return_inverse=True)
    per_word = _WORD_BITS // n_thresholds
    spread = np.array([_slots(n, n_thresholds) for n in _word_sizes(n_variants, per_word)], _WORD)
    # A product with ones in the slots' lowest bits puts the thresholds into every slot.
    candidates = reached[:, None] * spread
    if counted is not None:
        candidates &= _slot_bits(counted[poses], n_thresholds)[serial]
    matched = _match_words(
        serial,
        owner,
        candidates,
        _slot_bits(ignored[persons], n_thresholds),
        np.where(is_crowd[persons], _WORD(0), ~_WORD(0)),
        _groups(serial, owner, is_crowd[persons]),
    )

    rows = np.flatnonzero(matched.any(1))
    if place is not None:
        rows = rows[np.argsort(place[pose[rows]], kind="stable")]
    columns = _unpack(matched[rows])[:, : per_word * n_thresholds]
    columns = columns.reshape(len(spread) * per_word, n_thresholds, len(rows))[:n_variants]
    return Matches(pose[rows], person[rows], columns)


def _unpack(words: Array) -> Array:
    """Return the bits of (N, W) words as (W, 64, N) bool, the lowest first.

    Byte by byte, which is several times as fast as `numpy.unpackbits`.
    """
    n, n_words = words.shape
    octets = np.ascontiguousarray(words.astype("<u8").view(np.uint8).T)
    bits = np.empty((len(octets), 8, n), bool)
    for i in range(8):
        np.not_equal(octets & np.uint8(1 << i), 0, out=bits[:, i])
    return bits.reshape(n_words, _WORD_BITS, n)


def _word_sizes(n_variants: int, per_word: int) -> list[int]:
    """Return how many variants each word holds."""
    return [min(per_word, n_variants - v) for v in range(0, n_variants, per_word)]


def _slots(n: int, n_thresholds: int) -> int:
    """Return the word with the lowest bit of its first `n` slots set."""
    return sum(1 << (v * n_thresholds) for v in range(n))


def _slot_bits(flags: Array, n_thresholds: int) -> Array:
    """Return words whose slots are filled with ones where the variant's flag is set.

    Args:
        flags: (N, V) bool.
        n_thresholds: bits of a slot.

    Returns:
        (N, W) uint64.
    """
    per_word = _WORD_BITS // n_thresholds
    every_threshold = _WORD((1 << n_thresholds) - 1)
    sizes = _word_sizes(flags.shape[1], per_word)
    words = np.zeros((len(sizes), len(flags)), _WORD)
    for v, flag in enumerate(np.ascontiguousarray(flags.T)):
        words[v // per_word] |= (flag * every_threshold) << _WORD(v % per_word * n_thresholds)
    return words.T


def _groups(pose: Array, person: Array, is_crowd: Array) -> list[list[Array]]:
    """Return the pair rows to work off together: by turn of the pose, then by its preference.

    A pose's turn comes after those of all better ranked poses that want one of the same persons;
    crowd regions are there for everybody. Within one group every pose, and every person that can be
    taken, occurs at most once.

    Args:
        pose: (N,) serial number of each pair's pose, ascending.
        person: (N,) serial number of its person, the preferred ones of a pose first.
        is_crowd: by serial number of the persons.
    """
    if not len(pose):
        return []
    n_poses = int(pose[-1]) + 1
    wanted = np.flatnonzero(~is_crowd[person])
    wanted = wanted[np.argsort(person[wanted], kind="stable")]
    follows = person[wanted][1:] == person[wanted][:-1]
    before, after = pose[wanted][:-1][follows], pose[wanted][1:][follows]
    turn = np.zeros(n_poses, np.int64)
    active = np.arange(len(before))
    while len(active):
        earliest = turn[before[active]] + 1
        late = earliest > turn[after[active]]
        active = active[late]
        np.maximum.at(turn, after[active], earliest[late])
        moved = np.zeros(n_poses, bool)
        moved[after[active]] = True
        # Only what comes after a pose that has moved can be too early now.
        active = np.flatnonzero(moved[before])
    first = np.searchsorted(pose, np.arange(n_poses))
    preference = np.arange(len(pose)) - first[pose]
    order = np.lexsort((preference, turn[pose]))
    turns, preference = turn[pose][order], preference[order]
    cuts = np.flatnonzero((np.diff(turns) != 0) | (np.diff(preference) != 0)) + 1
    groups: list[list[Array]] = [[] for _ in range(int(turns[-1]) + 1)]
    for rows, start in zip(np.split(order, cuts), np.r_[0, cuts], strict=True):
        groups[turns[start]].append(rows)
    return groups


def _match_words(
    pose: Array,
    person: Array,
    candidates: Array,
    ignored: Array,
    once: Array,
    groups: list[list[Array]],
) -> Array:
    """Return, for each pair, the bits of the (variant, threshold) columns in which it matched.

    Args:
        pose: (N,) serial number of each pair's pose.
        person: (N,) serial number of its person.
        candidates: (N, W) uint64, the columns in which the pair may match.
        ignored: (P, W) uint64, the columns in which the person is ignored.
        once: (P,) uint64, all bits where the person can be taken only once, none for crowd regions.
        groups: pair rows by turn and preference.
    """
    matched = np.zeros_like(candidates)
    pose_done = np.zeros((int(pose[-1]) + 1 if len(pose) else 0, candidates.shape[1]), _WORD)
    person_taken = np.zeros_like(ignored)
    for turn in groups:
        for wants_ignored in (False, True):
            for rows in turn:
                d, g = pose[rows], person[rows]
                side = ignored[g] if wants_ignored else ~ignored[g]
                bits = candidates[rows] & side & ~(pose_done[d] | person_taken[g])
                matched[rows] |= bits
                pose_done[d] |= bits
                person_taken[g] |= bits & once[g, None]
    return matched
