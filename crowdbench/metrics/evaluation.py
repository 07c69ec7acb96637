"""All 2D metrics of a set of poses: the official numbers, per keypoint, and counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.errors import InputError
from crowdbench.metrics.average_precision import OKS_THRESHOLDS, Curves, precision_recall
from crowdbench.metrics.catalogue import LEVEL_METRICS
from crowdbench.metrics.matching import Matches, match_greedy, rank_poses
from crowdbench.metrics.oks import Pairs, oks_pairs
from crowdbench.metrics.per_keypoint import KeypointAccuracy, keypoint_accuracy
from crowdbench.structures import Array, GroundTruth, Poses

AREA_RANGES = {"all": (0.0, 1e5**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2)}
_ALL, _MEDIUM, _LARGE = range(3)
_AT_50, _AT_75 = 0, 5


class Value(NamedTuple):
    """A number, or the reason why there is none.

    Attributes:
        value: a fraction in [0, 1], or None.
        n: evaluated persons, or keypoints, it rests on.
        reason: why the value is None, or what else must be known about it.
    """

    value: float | None
    n: int
    reason: str | None = None


class Evaluation(NamedTuple):
    """What one evaluation gives.

    Attributes:
        values: the metrics by name.
        keypoints: the accuracy per keypoint.
        counts: images, persons and poses by kind.
        rows: (M,) rows of the poses that counted, by image and rank.
        pairs: OKS of all pairs; its pose rows point into `rows`.
        matches: matches per area range (all, medium, large) and threshold; likewise.
        curves: precision and recall per area range and threshold.
    """

    values: dict[str, Value]
    keypoints: KeypointAccuracy
    counts: dict[str, int]
    rows: Array
    pairs: Pairs
    matches: Matches
    curves: Curves


def pose_areas(poses: Poses) -> Array:
    """Return the areas (D,) in px² that decide the size class of an unmatched pose.

    That of the pose's box where poses carry boxes, otherwise of the extent of all its joints.

    Source: ``COCO.loadRes``. It affects the medium and large numbers only.
    """
    if poses.boxes is not None:
        sides = poses.boxes[:, 2:]
    else:
        sides = poses.keypoints.max(1) - poses.keypoints.min(1)
    areas: Array = sides[:, 0] * sides[:, 1]
    return areas


# Numbers near the limits of float64 become infinite, as in the official tools, and OKS 0.
@np.errstate(over="ignore", invalid="ignore")
def evaluate(
    truth: GroundTruth,
    poses: Poses,
    sigmas: Array,
    level_limits: tuple[float, float] | None = None,
) -> Evaluation:
    """Return the metrics of the poses against the persons.

    Args:
        truth: the persons; their `areas` enter OKS and the size classes.
        poses: final poses, after any merging.
        sigmas: (K,) constants of OKS.
        level_limits: limits of the crowd index between easy, medium and hard, or None to leave
            these levels out.

    Returns:
        Metrics equal to the official evaluator's. Where that prints -1 the value is None and the
        reason says why.

    Raises:
        InputError: if the poses and the persons have different numbers of keypoints.

    Source: pycocotools (COCO, OCHuman), crowdposetools (CrowdPose, with areas of 0.53 of the box).
    Deviations: annotation id 0 is matched like any other; the levels are not rounded to four
    decimals. CrowdPose's tool has no medium and large numbers; they are made by the same rules.
    """
    if poses.keypoints.shape[1] != len(sigmas) or truth.keypoints.shape[1] != len(sigmas):
        raise InputError(
            f"poses have {poses.keypoints.shape[1]} keypoints, persons {truth.keypoints.shape[1]}, "
            f"expected {len(sigmas)}"
        )
    rows = rank_poses(poses.scores, poses.image_index)
    image, points, scores = poses.image_index[rows], poses.keypoints[rows], poses.scores[rows]
    pairs = oks_pairs(points, image, truth, truth.areas, sigmas)
    lower, upper = np.array(list(AREA_RANGES.values())).T
    areas = truth.areas[:, None]
    ignored = truth.is_ignored[:, None] | (areas < lower) | (areas > upper)
    matches = match_greedy(pairs, image, ignored, truth.is_crowd, OKS_THRESHOLDS)

    pose_area = pose_areas(poses)[rows]
    order = np.argsort(-scores, kind="stable")
    true_positive, false_positive = _outcomes(
        matches, ignored, (pose_area < lower[:, None]) | (pose_area > upper[:, None]), order
    )
    n_persons = (~ignored).sum(0)
    curves = precision_recall(true_positive, false_positive, scores[order], n_persons)
    values = _coco_values(curves, len(poses))
    if level_limits is not None:
        values |= _level_values(
            truth,
            level_limits,
            true_positive[_ALL],
            false_positive[_ALL],
            scores[order],
            image[order],
        )

    found = matches.columns[:, _ALL, _AT_50] & ~ignored[matches.person, _ALL]
    keypoints = keypoint_accuracy(points, matches.pose[found], matches.person[found], truth, sigmas)
    values |= _keypoint_values(keypoints)
    n_true = int(found.sum())
    counts = {
        "images": len(truth.image_ids),
        "images_without_poses": len(truth.image_ids) - len(np.unique(image)),
        "persons": len(truth.person_ids),
        "persons_evaluated": int(n_persons[_ALL]),
        "persons_crowd": int(truth.is_crowd.sum()),
        "poses": len(poses),
        "poses_counted": len(rows),
        "true_positives_at_50": n_true,
        "false_positives_at_50": int(false_positive[_ALL, _AT_50].sum()),
        "missed_at_50": int(n_persons[_ALL]) - n_true,
    }
    return Evaluation(values, keypoints, counts, rows, pairs, matches, curves)


def _outcomes(
    matches: Matches, ignored: Array, outside: Array, order: Array
) -> tuple[Array, Array]:
    """Return which poses, in the given order, are true and false positives: two (V, T, D) bool.

    A pose matched with an ignored person is neither, nor is an unmatched one whose own area is
    outside the variant's range (`outside`, (V, D)).
    """
    n_variants, n_thresholds = matches.columns.shape[1:]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    matched_place = place[matches.pose]
    true_positive = np.zeros((n_variants, n_thresholds, len(order)), bool)
    false_positive = np.empty_like(true_positive)
    false_positive[:] = ~outside[:, None, order]
    for v in range(n_variants):
        person_ignored = ignored[matches.person, v]
        for t in range(n_thresholds):
            matched = matches.columns[:, v, t]
            false_positive[v, t, matched_place[matched]] = False
            true_positive[v, t, matched_place[matched & ~person_ignored]] = True
    return true_positive, false_positive


def _coco_values(curves: Curves, n_poses: int) -> dict[str, Value]:
    def value(numbers: Array, variant: int, size: str) -> Value:
        n = int(curves.n_persons[variant])
        if n == 0:
            return Value(None, 0, f"no evaluated person{size}")
        return Value(float(np.mean(numbers)), n, None if n_poses else "no predictions")

    precision, recall = curves.precision, curves.recall
    medium, large = " of medium size", " of large size"
    return {
        "AP": value(precision[_ALL], _ALL, ""),
        "AP50": value(precision[_ALL, _AT_50], _ALL, ""),
        "AP75": value(precision[_ALL, _AT_75], _ALL, ""),
        "AP_M": value(precision[_MEDIUM], _MEDIUM, medium),
        "AP_L": value(precision[_LARGE], _LARGE, large),
        "AR": value(recall[_ALL], _ALL, ""),
        "AR50": value(recall[_ALL, _AT_50], _ALL, ""),
        "AR75": value(recall[_ALL, _AT_75], _ALL, ""),
        "AR_M": value(recall[_MEDIUM], _MEDIUM, medium),
        "AR_L": value(recall[_LARGE], _LARGE, large),
    }


def _level_values(
    truth: GroundTruth,
    limits: tuple[float, float],
    true_positive: Array,
    false_positive: Array,
    scores: Array,
    image: Array,
) -> dict[str, Value]:
    """Return AP on the images of each crowding level; poses and images by descending score."""
    if truth.crowd_index is None:
        return dict.fromkeys(LEVEL_METRICS, Value(None, 0, "the annotations have no crowdIndex"))
    level = np.digitize(truth.crowd_index, limits)
    values = {}
    for i, name in enumerate(LEVEL_METRICS):
        persons = ~truth.is_ignored & (level[truth.image_index] == i)
        # Persons outside the widest area range are never evaluated.
        lower, upper = AREA_RANGES["all"]
        persons &= (truth.areas >= lower) & (truth.areas <= upper)
        n = int(persons.sum())
        if n == 0:
            n_images = int((level == i).sum())
            reason = "no evaluated person in its images" if n_images else "no image of this level"
            values[name] = Value(None, 0, reason)
            continue
        here = level[image] == i
        curves = precision_recall(
            true_positive[None][..., here],
            false_positive[None][..., here],
            scores[here],
            np.array([n]),
        )
        note = None if here.any() else "no predictions in its images"
        values[name] = Value(float(np.mean(curves.precision)), n, note)
    return values


def _keypoint_values(keypoints: KeypointAccuracy) -> dict[str, Value]:
    n_labelled, n_matched = int(keypoints.n_labelled.sum()), int(keypoints.n_matched.sum())
    pck = Value(None, 0, "no evaluated person")
    if n_labelled:
        pck = Value(float(keypoints.n_close.sum() / n_labelled), n_labelled)
    oks = Value(None, 0, "no person was matched at OKS 0.50")
    if n_matched:
        oks = Value(float(keypoints.similarity.sum() / n_matched), n_matched)
    return {"PCK": pck, "OKS_matched": oks}
