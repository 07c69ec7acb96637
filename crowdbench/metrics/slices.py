"""Many evaluations of one split at once: each of a slice of its poses, persons and images.

The OKS of all pairs is computed once, and one matching serves all slices: slices that choose poses
or persons are further variants of it, slices that choose images only count other rows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crowdbench.metrics.average_precision import OKS_THRESHOLDS, Curves, precision_recall
from crowdbench.metrics.matching import Matches, first_in_image, match_greedy, rank_poses
from crowdbench.metrics.oks import Pairs, oks_pairs
from crowdbench.structures import Array, GroundTruth, Poses

AREA_RANGES = {"all": (0.0, 1e5**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2)}
_LOWER, _UPPER = np.array(list(AREA_RANGES.values())).T
N_RANGES = len(AREA_RANGES)


class Slice(NamedTuple):
    """A part of a split to evaluate; None stands for all.

    Attributes:
        poses: (D,) bool, the poses that take part.
        persons: (P,) bool, the persons that are evaluated; the others are ignored, as crowd
            regions are: a pose matched with one of them is neither true nor false.
        images: (I,) bool, the images that take part.
    """

    poses: Array | None = None
    persons: Array | None = None
    images: Array | None = None


class Matched(NamedTuple):
    """The poses of all slices, matched with the persons.

    Attributes:
        slices: as they were given.
        rows: (M,) rows of the poses that count in any slice, by image and rank.
        image: (M,) image index of those poses.
        scores: (M,) their scores.
        order: (M,) which of them stands at each place by descending score over the whole split.
        place: (N,) the places of the matched poses, ascending.
        inside: (3, M) bool, whether the own area of the pose at each place is in each area range.
        counted: (C, M) bool, whether the pose at each place counts in each choice of poses.
        ignored: (3, W, P) bool, the persons that each choice of poses and persons ignores, by area
            range.
        choice: by slice, its rows of `counted` and of `ignored`.
        pairs: the OKS of all pairs; its pose rows point into `rows`.
        matches: the matches per variant, W of each area range, and threshold; likewise. Ordered by
            place.
    """

    slices: Sequence[Slice]
    rows: Array
    image: Array
    scores: Array
    order: Array
    place: Array
    inside: Array
    counted: Array
    ignored: Array
    choice: Sequence[tuple[int, int]]
    pairs: Pairs
    matches: Matches


def match_slices(
    truth: GroundTruth, poses: Poses, areas: Array, sigmas: Array, slices: Sequence[Slice]
) -> Matched:
    """Return the matches of every slice, at all OKS thresholds and in all area ranges.

    Args:
        truth: the persons; their `areas` enter OKS and the area ranges.
        poses: D poses, those that no slice lets take part among them.
        areas: (D,) the poses' own areas in px².
        sigmas: (K,) constants of OKS.
        slices: what to evaluate.
    """
    rows = rank_poses(poses.scores, poses.image_index)
    image = poses.image_index[rows]
    selections: dict[int, int] = {}
    variants: dict[tuple[int, int], int] = {}
    counted: list[Array] = []
    columns: list[tuple[int, Array | None]] = []
    choice: list[tuple[int, int]] = []
    for part in slices:
        selection = selections.setdefault(id(part.poses), len(selections))
        if selection == len(counted):
            takes_part = np.ones(len(rows), bool) if part.poses is None else part.poses[rows]
            counted.append(first_in_image(takes_part, image))
        variant = variants.setdefault((selection, id(part.persons)), len(variants))
        if variant == len(columns):
            columns.append((selection, part.persons))
        choice.append((selection, variant))
    table = np.array(counted).reshape(len(counted), len(rows))
    used = np.flatnonzero(table.any(0))
    rows, image, table = rows[used], image[used], table[:, used]

    by_range = ignored_by_range(truth)
    ignored = np.empty((N_RANGES, len(columns), len(truth.areas)), bool)
    for variant, (_, persons) in enumerate(columns):
        ignored[:, variant] = by_range if persons is None else by_range | ~persons

    scores = poses.scores[rows]
    order = np.argsort(-scores, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    pairs = oks_pairs(poses.keypoints[rows], image, truth, truth.areas, sigmas)
    taking_part = table[[selection for selection, _ in columns]]
    matches = match_greedy(
        pairs,
        ignored.reshape(N_RANGES * len(columns), len(truth.areas)).T,
        truth.is_crowd,
        OKS_THRESHOLDS,
        None if table.all() else np.tile(taking_part, (N_RANGES, 1)).T,
        place,
    )
    by_area = areas[rows][order]
    by_variant = N_RANGES, len(columns), len(OKS_THRESHOLDS), len(matches.pose)
    return Matched(
        slices=slices,
        rows=rows,
        image=image,
        scores=scores,
        order=order,
        place=place[matches.pose],
        inside=~((by_area < _LOWER[:, None]) | (by_area > _UPPER[:, None])),
        counted=table[:, order],
        ignored=ignored,
        choice=choice,
        pairs=pairs,
        matches=matches._replace(columns=matches.columns.reshape(by_variant)),
    )


def ignored_by_range(truth: GroundTruth) -> Array:
    """Return the persons that each area range ignores where no slice chooses: (3, P) bool."""
    out_of_range = (truth.areas < _LOWER[:, None]) | (truth.areas > _UPPER[:, None])
    ignored: Array = truth.is_ignored | out_of_range
    return ignored


def slice_curves(
    matched: Matched,
    truth: GroundTruth,
    number: int,
    images: Array | None = None,
    n_ranges: int = N_RANGES,
) -> Curves:
    """Return precision and recall of one slice per area range and OKS threshold.

    Args:
        matched: all slices.
        truth: the persons they were matched with.
        number: which slice.
        images: (I,) bool, only these images; instead of the slice's own.
        n_ranges: 1 for all areas only, 3 for medium and large ones as well.
    """
    selection, variant = matched.choice[number]
    images = matched.slices[number].images if images is None else images
    counted, ignored = matched.counted[selection], matched.ignored[:n_ranges, variant]
    place, person = matched.place, matched.matches.person
    columns = matched.matches.columns[:n_ranges, variant]
    evaluated = ~ignored
    if images is not None:
        in_images = images[matched.image[matched.order]]
        counted = counted & in_images
        here = np.flatnonzero(in_images[place])
        place, person, columns = place[here], person[here], columns[..., here]
        evaluated = evaluated & images[truth.image_index]

    # False positives above a pose are all poses above it less those that matched. A pose outside
    # the area range counts as neither unless it matched an evaluated person.
    inside = matched.inside[:n_ranges]
    above = np.cumsum(counted & inside, axis=1, dtype=np.int32).take(place, axis=1)
    matched_inside = columns & inside.take(place, axis=1)[:, None]
    false_before = above[:, None] - np.cumsum(matched_inside, axis=2, dtype=np.int32)
    true_positive = columns & ~ignored.take(person, axis=1)[:, None]
    return precision_recall(true_positive, false_before, evaluated.sum(1))
