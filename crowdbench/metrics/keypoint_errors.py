"""What is wrong with the keypoints of the persons that were found: each gets one of five labels.

Source: the error analysis of Ronchi and Perona (ICCV 2017) by the rule of its program coco-analyze:
the closest of all points that a keypoint could have meant gives the label (rule ``closest``). Their
paper, unlike the program, also asks of inversions and swaps that the keypoint be far from its own
place. Deviations: a similarity of exactly 0.85, to which the program gives no label, is good; all
evaluated persons take part, there only those of 32² to 100,000² px².
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.metrics.matching import match_greedy
from crowdbench.metrics.oks import pair_rows
from crowdbench.metrics.slices import Matched
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, GroundTruth, Poses

LABELS = ("good", "jitter", "inversion", "swap", "miss")
_GOOD, _JITTER, _INVERSION, _SWAP, _MISS = range(len(LABELS))
UNLABELLED = -1
MATCH_OKS = 0.1
GOOD_SIMILARITY = 0.85
NEAR_SIMILARITY = 0.5
_ALL_AREAS = 0
# Pairs per block: with 17 keypoints every temporary array stays in the processor's cache.
_BLOCK = 1024


class LabelledPoses(NamedTuple):
    """The keypoints of the poses that found a person, labelled.

    Attributes:
        pose: (M,) int64 rows of the poses.
        person: (M,) int64 rows of their persons, which are evaluated and have labelled keypoints.
        labels: (M, K) int8 places in `LABELS`; `UNLABELLED` where the person's keypoint has no
            label in the annotations.
    """

    pose: Array
    person: Array
    labels: Array

    def counts(self, persons: Array | None = None) -> Array:
        """Return how many keypoints have each label: (K, 5) int64.

        Args:
            persons: (P,) bool, count those of these persons only; None for all.
        """
        labels = self.labels if persons is None else self.labels[persons[self.person]]
        return np.stack([(labels == label).sum(0) for label in range(len(LABELS))], 1)


def labelled_poses(
    truth: GroundTruth, poses: Poses, skeleton: Skeleton, matched: Matched
) -> LabelledPoses:
    """Return the keypoints of all poses that found a person of the whole split, labelled.

    Poses and persons are matched once, greedily and at OKS 0.1, as COCO's evaluator does it: the
    poses that count (the first 20 of an image by score) take their turn.

    Args:
        truth: the persons.
        poses: D poses.
        skeleton: their keypoint layout.
        matched: of these persons and poses; its first slice is the whole split.
    """
    pose, person = _found(truth, matched)
    has_labels = (truth.keypoints[person, :, 2] > 0).any(1)
    pose, person = pose[has_labels], person[has_labels]
    return LabelledPoses(
        pose, person, label_keypoints(poses.keypoints[pose], person, truth, skeleton)
    )


def _found(truth: GroundTruth, matched: Matched) -> tuple[Array, Array]:
    """Return the rows of the poses that found an evaluated person, and of their persons."""
    selection, variant = matched.choice[0]
    ignored = matched.ignored[_ALL_AREAS, variant]
    counted = np.zeros(len(matched.rows), bool)
    counted[matched.order] = matched.counted[selection]
    matches = match_greedy(
        matched.pairs,
        ignored[:, None],
        truth.is_crowd,
        np.array([MATCH_OKS]),
        counted[:, None],
    )
    is_evaluated = ~ignored[matches.person]
    return matched.rows[matches.pose[is_evaluated]], matches.person[is_evaluated]


# Numbers near the limits of float64 become infinite, and similarities of them 0.
@np.errstate(over="ignore", invalid="ignore")
def label_keypoints(points: Array, person: Array, truth: GroundTruth, skeleton: Skeleton) -> Array:
    """Return the label of every keypoint of matched poses.

    Candidates are the skeletons of all annotated persons of the image, each as it is and with left
    and right exchanged. A keypoint's similarity to a candidate is the term of OKS,
    ``exp(-d² / (2 (2 sigma)² area))``, with the candidate's own area and the keypoint's sigma. The
    candidate of the highest similarity decides; of equal ones the matched person comes first, then
    the others, then the matched person with left and right exchanged, then the others so.

    * good: the matched person, similarity at least 0.85;
    * jitter: the matched person, at least 0.5;
    * inversion: the matched person with left and right exchanged, at least 0.5;
    * swap: another person, either way, at least 0.5;
    * miss: no candidate reaches 0.5.

    Args:
        points: (M, K, 2) px, the matched poses.
        person: (M,) rows of their persons.
        truth: all annotated persons, crowd regions and those that are not evaluated among them.
        skeleton: the keypoint layout; its sigmas and its mirror table count.

    Returns:
        (M, K) int8 places in `LABELS`, `UNLABELLED` where the matched person's keypoint has no
        label.
    """
    partner = np.array(skeleton.partners)
    own = _similarity(points, truth, person, skeleton.sigma_array, None)
    inverted = _similarity(points, truth, person, skeleton.sigma_array, partner)
    others = np.full((2, *own.shape), -1.0)
    row, other = _other_persons(person, truth)
    for start in range(0, len(row), _BLOCK):
        r, g = row[start : start + _BLOCK], other[start : start + _BLOCK]
        first = np.flatnonzero(np.r_[True, r[1:] != r[:-1]])
        poses = r[first]
        for best, mirror in zip(others, (None, partner), strict=True):
            found = _similarity(points[r], truth, g, skeleton.sigma_array, mirror)
            # The persons of a pose may go on in the next block.
            best[poses] = np.maximum(best[poses], np.maximum.reduceat(found, first))

    highest = np.maximum(np.maximum(own, inverted), others.max(0))
    labels = np.full(own.shape, _SWAP, np.int8)
    labels[(inverted == highest) & (others[0] < highest)] = _INVERSION
    labels[own == highest] = _JITTER
    labels[highest < NEAR_SIMILARITY] = _MISS
    labels[(own == highest) & (highest >= GOOD_SIMILARITY)] = _GOOD
    labels[truth.keypoints[person, :, 2] <= 0] = UNLABELLED
    return labels


def _other_persons(person: Array, truth: GroundTruth) -> tuple[Array, Array]:
    """Return the places in `person` and the rows of the other persons of the same image.

    Two (N,) int64 arrays, by place; persons without labelled keypoints are left out.
    """
    with_labels = np.flatnonzero((truth.keypoints[..., 2] > 0).any(1))
    image = truth.image_index
    row, place = pair_rows(image[person], image[with_labels], len(truth.image_ids))
    other = with_labels[place]
    is_other = other != person[row]
    return row[is_other], other[is_other]


def _similarity(
    points: Array, truth: GroundTruth, person: Array, sigmas: Array, partner: Array | None
) -> Array:
    """Return the similarity of each keypoint to that of a person: (N, K), -1 where it has no label.

    Args:
        points: (N, K, 2) px.
        truth: the persons.
        person: (N,) rows of them.
        sigmas: (K,).
        partner: (K,) which of the person's keypoints stands for each; None for each itself.
    """
    keypoints = truth.keypoints[person]
    if partner is not None:
        keypoints = keypoints[:, partner]
    squared = ((points - keypoints[..., :2]) ** 2).sum(-1)
    spread = (2 * sigmas) ** 2 * (truth.areas[person, None] + np.spacing(1.0))
    return np.where(keypoints[..., 2] > 0, np.exp(-squared / spread / 2), -1.0)
