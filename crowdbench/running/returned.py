"""What a predictor returned for a batch: checked, counted over the split, and in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crowdbench.candidates import join_poses, no_poses
from crowdbench.errors import UsageError
from crowdbench.merging import Merging
from crowdbench.predictor import Batch, Predictor
from crowdbench.running.feeding import Fed
from crowdbench.structures import FARTHEST, Poses


def predict_batch(predictor: Predictor, fed: Fed) -> Poses:
    """Return the candidates of a batch, with `box_index` counted over all boxes.

    Raises:
        UsageError: see `predict_checked`.
    """
    poses = predict_checked(predictor, fed.batch)
    return (
        poses if fed.box_rows is None else replace(poses, box_index=fed.box_rows[poses.box_index])
    )


def predict_checked(predictor: Predictor, batch: Batch) -> Poses:
    """Return the candidates of a batch as the predictor gives them.

    Raises:
        UsageError: if the predictor returns no such poses as `Predictor.predict` promises; it names
            the predictor, what was found and what was expected.
    """
    poses = predictor.predict(batch)
    fault = _fault(poses, batch) or _fault_of_merging(poses, predictor.settings.merging)
    if fault is not None:
        found, expected = fault
        raise UsageError(
            f"predictor {predictor.card.name}: predict returned {found}, expected {expected}"
        )
    return poses


def join_batches(parts: Sequence[Poses], n_keypoints: int) -> Poses:
    """Return the poses of batches in the order in which they are stored, whatever the batches were.

    By image; within an image by instance, the last first, and then by box.
    """
    poses = join_poses([no_poses(n_keypoints), *parts])
    return poses.take(np.lexsort((poses.box_index, -poses.instance, poses.image_index)))


def _fault(poses: Any, batch: Batch) -> tuple[str, str] | None:
    """Return what is wrong with the poses of a batch and what would be right, or None."""
    if not isinstance(poses, Poses):
        return type(poses).__name__, "crowdbench.structures.Poses"
    n, k = len(poses.scores), len(batch.split.skeleton)
    shapes = {
        "keypoints": (n, k, 2),
        "keypoint_scores": (n, k),
        "scores": (n,),
        "image_index": (n,),
        "box_index": (n,),
        "instance": (n,),
        "boxes": (n, 4),
        "box_scores": (n,),
        "areas": (n,),
        "joints_mm": (n, k, 3),
        "person_ids": (n,),
        "ranks": (n,),
        "base_joints_mm": (n, k, 3),
        "base_keypoints": (n, k, 2),
    }
    if batch.split.skeleton.is_3d and poses.joints_mm is None:
        return "no joints_mm", f"joints in space, as {batch.split.skeleton.name} has them"
    for name, shape in shapes.items():
        value = getattr(poses, name)
        if value is not None and value.shape != shape:
            return f"{name} of shape {value.shape}", f"{shape}"
        if value is not None and not np.isfinite(value).all():
            return f"{name} that are not finite", "finite numbers"
    if poses.joints_mm is not None and not (np.abs(poses.joints_mm) < FARTHEST).all():
        return f"joints_mm beyond {FARTHEST:g}", "millimetres"
    if not np.isin(poses.image_index, batch.images).all():
        return "poses of images that were not asked for", "image_index among batch.images"
    boxes = batch.boxes
    if boxes is None:
        return None
    if ((poses.box_index < 0) | (poses.box_index >= len(boxes.scores))).any():
        return "box_index without a box", f"rows of the {len(boxes.scores)} boxes"
    if (boxes.image_index[poses.box_index] != poses.image_index).any():
        return "poses of another image than their box", "image_index of the box"
    return None


def _fault_of_merging(poses: Poses, merging: Merging) -> tuple[str, str] | None:
    """Return what the rule of merging cannot be applied to and what would be right, or None."""
    if merging.needs_areas and poses.areas is None and len(poses):
        return "no areas", f"areas, which merging {merging} compares poses with"
    if poses.box_scores is not None and not merging.is_by_choice:
        return "box_scores", f"none with merging {merging}, which is for poses without boxes"
    return None
