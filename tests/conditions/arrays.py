"""Small arrays made by hand for the tests of conditions."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.condition import Subject
from crowdbench.skeletons import COCO_17
from crowdbench.structures import GroundTruth, Poses


def truth_of(
    boxes: list[list[float]],
    images: list[int] | None = None,
    n_images: int = 1,
    keypoints: np.ndarray | None = None,
    ignored: list[bool] | None = None,
) -> GroundTruth:
    """Return persons with these boxes, by image; all keypoints at the centre unless given."""
    table = np.array(boxes, float).reshape(-1, 4)
    n = len(table)
    if keypoints is None:
        centre = table[:, None, :2] + table[:, None, 2:] / 2
        keypoints = np.concatenate(
            [np.repeat(centre, 17, 1), np.full((n, 17, 1), 2.0)], axis=2
        ).reshape(n, 17, 3)
    is_ignored = np.array(ignored if ignored is not None else [False] * n, bool)
    return GroundTruth(
        image_ids=np.arange(n_images) + 100,
        image_index=np.array(images if images is not None else [0] * n, np.int64),
        keypoints=keypoints,
        boxes=table,
        areas=table[:, 2] * table[:, 3],
        is_crowd=np.zeros(n, bool),
        is_ignored=is_ignored,
        person_ids=np.arange(n) + 1,
    )


def poses_of(
    points: np.ndarray,
    scores: list[float],
    images: list[int] | None = None,
    *,
    boxes: list[list[float]] | None = None,
    box_scores: list[float] | None = None,
    box_index: list[int] | None = None,
    areas: list[float] | None = None,
) -> Poses:
    """Return poses with these points, (D, K, 2)."""
    n = len(scores)
    return Poses(
        image_index=np.array(images if images is not None else [0] * n, np.int64),
        keypoints=np.asarray(points, float),
        keypoint_scores=np.ones(np.shape(points)[:2]),
        scores=np.array(scores, float),
        box_index=np.array(box_index if box_index is not None else [-1] * n, np.int64),
        instance=np.zeros(n, np.int64),
        boxes=None if boxes is None else np.array(boxes, float).reshape(-1, 4),
        box_scores=None if box_scores is None else np.array(box_scores, float),
        areas=None if areas is None else np.array(areas, float),
    )


def subject_of(truth: GroundTruth, poses: Poses | None = None, **changes: object) -> Subject:
    """Return what conditions look at; without poses there is none."""
    if poses is None:
        poses = poses_of(np.zeros((0, 17, 2)), [])
    return Subject(truth, COCO_17, poses, **changes)  # type: ignore[arg-type]
