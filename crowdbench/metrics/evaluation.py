"""All 2D metrics of a set of poses: the official numbers, per keypoint, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crowdbench.errors import InputError
from crowdbench.metrics.average_precision import Curves, level_scores
from crowdbench.metrics.catalogue import LEVEL_METRICS
from crowdbench.metrics.per_keypoint import KeypointAccuracy, keypoint_accuracy
from crowdbench.metrics.slices import Matched, Slice, match_slices, slice_curves
from crowdbench.structures import Array, GroundTruth, Poses

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


class SliceValues(NamedTuple):
    """What the evaluation of a slice gives.

    Attributes:
        values: the metrics by name.
        n_images: images that take part.
        n_persons: evaluated persons.
        n_poses: poses that take part, before the cut at 20 per image.
    """

    values: dict[str, Value]
    n_images: int
    n_persons: int
    n_poses: int


class Evaluation(NamedTuple):
    """What one evaluation gives.

    Attributes:
        values: the metrics by name.
        keypoints: the accuracy per keypoint.
        counts: images, persons and poses by kind.
        rows: (M,) rows of the poses that counted, by image and rank.
        matched: (M,) bool, which of them are true positives at OKS 0.50.
        evaluated: (P,) bool, the persons that are evaluated.
        person_oks: (P,) float64, the best OKS that any of these poses reaches with each person; 0
            for none.
        curves: precision and recall per area range (all, medium, large) and threshold.
        level_scores: the scores at which the recall levels are reached, likewise.
        slices: of every further slice, in the order they were given.
        match_results: what all of it was made from; its first slice is the whole split.
    """

    values: dict[str, Value]
    keypoints: KeypointAccuracy
    counts: dict[str, int]
    rows: Array
    matched: Array
    evaluated: Array
    person_oks: Array
    curves: Curves
    level_scores: Array
    slices: tuple[SliceValues, ...]
    match_results: Matched


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
    *,
    final: Array | None = None,
    slices: Sequence[Slice] = (),
) -> Evaluation:
    """Return the metrics of the poses against the persons.

    Args:
        truth: the persons; their `areas` enter OKS and the size classes.
        poses: D poses.
        sigmas: (K,) constants of OKS.
        level_limits: limits of the crowd index between easy, medium and hard, or None to leave
            these levels out.
        final: (D,) bool, the poses that are left after merging; None for all.
        slices: further parts of the split to evaluate, all in the same pass. Where a slice does not
            choose poses, the final ones take part.

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
    whole = Slice(final)
    parts = [
        whole,
        *(part._replace(poses=final) if part.poses is None else part for part in slices),
    ]
    matched = match_slices(truth, poses, pose_areas(poses), sigmas, parts)
    level = None
    if level_limits is not None and truth.crowd_index is not None:
        level = np.digitize(truth.crowd_index, level_limits)
    results = []
    for number, part in enumerate(parts):
        curves = slice_curves(matched, truth, number)
        n_images = len(truth.image_ids) if part.images is None else int(part.images.sum())
        n_poses = _count_poses(poses, part)
        values = _coco_values(curves, n_poses)
        if level_limits is not None and part.images is None and part.persons is None:
            values |= _level_values(matched, truth, number, level)
        if number == 0:
            whole_curves = curves
        results.append(SliceValues(values, n_images, int(curves.n_persons[_ALL]), n_poses))
    return _whole(truth, poses, sigmas, matched, whole_curves, results)


def _count_poses(poses: Poses, part: Slice) -> int:
    if part.poses is None and part.images is None:
        return len(poses)
    masks = [] if part.poses is None else [part.poses]
    if part.images is not None:
        masks.append(part.images[poses.image_index])
    return int(np.count_nonzero(np.logical_and.reduce(masks)))


def _whole(
    truth: GroundTruth,
    poses: Poses,
    sigmas: Array,
    matched: Matched,
    curves: Curves,
    results: list[SliceValues],
) -> Evaluation:
    """Return the evaluation of the whole split, the first slice, with all that goes with it."""
    whole = results[0]
    selection, variant = matched.choice[0]
    at_place = np.flatnonzero(matched.counted[selection])
    counted = np.sort(matched.order[at_place])
    rows = matched.rows[counted]
    at_50 = matched.matches.columns[_ALL, variant, _AT_50]
    found = at_50 & ~matched.ignored[_ALL, variant, matched.matches.person]
    person, pose = matched.matches.person[found], matched.matches.pose[found]
    keypoints = keypoint_accuracy(poses.keypoints, matched.rows[pose], person, truth, sigmas)
    n_true, n_matched = int(found.sum()), int(at_50.sum())
    # Every pose has an area in the range of all areas, unless it is beyond any image.
    n_inside = int(np.count_nonzero(matched.inside[_ALL, at_place]))
    n_outside_matched = int(np.count_nonzero(~matched.inside[_ALL, matched.place[at_50]]))
    counts = {
        "images": whole.n_images,
        "images_without_poses": whole.n_images - len(np.unique(matched.image[counted])),
        "persons": len(truth.person_ids),
        "persons_evaluated": whole.n_persons,
        "persons_crowd": int(truth.is_crowd.sum()),
        "poses": whole.n_poses,
        "poses_counted": len(rows),
        "true_positives_at_50": n_true,
        "false_positives_at_50": n_inside - (n_matched - n_outside_matched),
        "missed_at_50": whole.n_persons - n_true,
    }
    person_oks = np.zeros(len(truth.person_ids))
    pairs = matched.pairs
    is_counted, is_match = (np.zeros(len(matched.rows), bool) for _ in range(2))
    is_counted[counted], is_match[pose] = True, True
    here = is_counted[pairs.pose]
    np.maximum.at(person_oks, pairs.person[here], pairs.oks[here])
    scores = matched.scores
    return Evaluation(
        values=whole.values | _keypoint_values(keypoints),
        keypoints=keypoints,
        counts=counts,
        rows=rows,
        matched=is_match[counted],
        evaluated=~matched.ignored[_ALL, variant],
        person_oks=person_oks,
        curves=curves,
        level_scores=level_scores(
            curves,
            scores[matched.matches.pose],
            float(scores[counted].max()) if len(counted) else 0.0,
        ),
        slices=tuple(results[1:]),
        match_results=matched,
    )


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
    matched: Matched, truth: GroundTruth, number: int, level: Array | None
) -> dict[str, Value]:
    """Return AP on the images of each crowding level; `level` is one number per image."""
    if level is None:
        return dict.fromkeys(LEVEL_METRICS, Value(None, 0, "the annotations have no crowdIndex"))
    selection, _ = matched.choice[number]
    counts = matched.counted[selection]
    values = {}
    for i, name in enumerate(LEVEL_METRICS):
        images = level == i
        curves = slice_curves(matched, truth, number, images, n_ranges=1)
        n = int(curves.n_persons[_ALL])
        if n == 0:
            reason = (
                "no evaluated person in its images" if images.any() else "no image of this level"
            )
            values[name] = Value(None, 0, reason)
            continue
        has_poses = (counts & images[matched.image[matched.order]]).any()
        note = None if has_poses else "no predictions in its images"
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
