"""From labelled keypoints to the record."""

from __future__ import annotations

from crowdbench.conditions.condition import Cut
from crowdbench.datasets.split import Split
from crowdbench.metrics.evaluation import Evaluation
from crowdbench.metrics.keypoint_errors import MATCH_OKS, labelled_poses
from crowdbench.results import ErrorCounts, KeypointErrors
from crowdbench.running.described import Cuts
from crowdbench.structures import Array, Poses

_OVERLAP = "person-iou"


def count_errors(split: Split, poses: Poses, result: Evaluation, cuts: Cuts) -> KeypointErrors:
    """Return what is wrong with the keypoints of the poses that found a person.

    Args:
        split: with ground truth.
        poses: those that were evaluated.
        result: their evaluation.
        cuts: the conditions; the rows of ``person-iou`` are what swaps are counted by.
    """
    assert split.truth is not None
    labelled = labelled_poses(split.truth, poses, split.skeleton, result.match_results)
    counts = labelled.counts()
    rows = [
        (row.label, row.persons)
        for condition, _, cut in cuts
        if condition.name == _OVERLAP and isinstance(cut, Cut)
        for row in cut.rows
    ]
    return KeypointErrors(
        "closest",
        MATCH_OKS,
        len(labelled.person),
        tuple(map(_row, split.skeleton.keypoints, counts)),
        tuple(_row(label, labelled.counts(persons).sum(0)) for label, persons in rows),
        None if counts.any() else f"no evaluated person was matched at OKS {MATCH_OKS:.2f}",
    )


def uncounted_errors(reason: str) -> KeypointErrors:
    """Return the record of a split whose keypoints can't be labelled."""
    return KeypointErrors("closest", MATCH_OKS, 0, None, (), reason)


def _row(name: str, counts: Array) -> ErrorCounts:
    return ErrorCounts(name, *counts.tolist())
