"""In which order a method gets to see the persons of an image.

Source: PI-Net's released loader and its paper (section 3.2, Table 4). Each person is refined by a
pass of its own, in which it comes first and the others follow by their distance from it.
"""

from __future__ import annotations

import numpy as np

from crowdbench.card import Option
from crowdbench.datasets.coco_format import index_of
from crowdbench.datasets.split import Split
from crowdbench.structures import Array, Poses

NEAR, FAR, RANDOM = "near-to-far", "far-to-near", "random"
BOXES, ROOTS = "boxes", "roots"
# What stands in a sequence where persons were dropped.
NOBODY = -1

ORDER = Option(
    "order",
    (NEAR, FAR, RANDOM),
    "In which order the others follow the person to refine; random is the same for the same image "
    "id. Default, as published: near-to-far",
    (RANDOM, FAR, NEAR),
    published=(NEAR,),
)
DISTANCE = Option(
    "distance",
    (BOXES, ROOTS),
    "Who is near: by box centres in the image, as the released code has it and by default, or by "
    "roots in space, as the paper has it",
    (ROOTS, BOXES),
)


def sequences(points: Array, order: str, *, collapses: bool, seed: int) -> Array:
    """Return for each person of an image who follows whom when it is refined.

    Args:
        points: (N, D) float64: where each person is, in any unit.
        order: of the others, a value of `ORDER`.
        collapses: whether of others at exactly the same distance only the last is kept, as in the
            released code, where distances are the keys of a dictionary; ``random`` goes by no
            distance and keeps all.
        seed: of ``random``: any integer.

    Returns:
        (N, N) int64: row n has n and then the others, each once; who was dropped is not in it, and
        the row ends with as many times `NOBODY`. Of others at the same distance the earlier comes
        first.

    >>> sequences(np.array([[0.0], [5.0], [1.0]]), "near-to-far", collapses=True, seed=0).tolist()
    [[0, 2, 1], [1, 2, 0], [2, 0, 1]]
    """
    n = len(points)
    if order == RANDOM:
        keys = np.random.default_rng(seed % 2**64).random((n, n))
    else:
        distances = np.sqrt(((points[:, None] - points) ** 2).sum(-1))
        keys = distances if order == NEAR else -distances
    # Whoever is to be refined comes first, even where somebody else is in the same place.
    np.fill_diagonal(keys, -np.inf)
    rows = np.argsort(keys, axis=1, kind="stable")
    if order == RANDOM or not collapses:
        return rows
    in_order = np.take_along_axis(keys, rows, axis=1)
    is_dropped = np.zeros((n, n), bool)
    is_dropped[:, :-1] = in_order[:, :-1] == in_order[:, 1:]
    kept_first = np.argsort(is_dropped, axis=1, kind="stable")
    return np.take_along_axis(np.where(is_dropped, NOBODY, rows), kept_first, axis=1)


def as_annotated(split: Split, poses: Poses) -> Array:
    """Return the rows of poses by image, and there in the order of the annotations.

    Whose person isn't known comes last, in the order given. So it is the annotation file that says
    who is earlier, as in the released code, and not the file or predictor the poses came from.
    """
    persons, is_known = _persons(split, poses)
    return np.lexsort((np.where(is_known, persons, 0), ~is_known, poses.image_index))


def points_of(split: Split, poses: Poses, distance: str) -> Array:
    """Return where the person of each pose is, to tell who is near.

    Args:
        split: the split.
        poses: with `Poses.joints_mm`.
        distance: a value of `DISTANCE`.

    Returns:
        For ``boxes`` (D, 2) float64 pixels: the centre of the annotated box, as the file has it, if
        the person is known, else of the box that the pose was made from, else of the box around its
        keypoints. For ``roots`` (D, 3) float64 mm: the root joint of the pose.
    """
    if distance == ROOTS:
        assert poses.joints_mm is not None
        return poses.joints_mm[:, split.skeleton.root]
    if poses.boxes is not None:
        boxes = poses.boxes.copy()
    else:
        corners = poses.keypoints.min(1)
        boxes = np.concatenate([corners, poses.keypoints.max(1) - corners], axis=1)
    persons, is_known = _persons(split, poses)
    if split.truth is not None:
        boxes[is_known] = split.truth.boxes[persons[is_known]]
    return boxes[:, :2] + boxes[:, 2:] / 2


def _persons(split: Split, poses: Poses) -> tuple[Array, Array]:
    """Return which annotated person each pose was made for, (D,) int64, and (D,) whether any."""
    none = np.zeros(len(poses), np.int64)
    if split.truth is None or poses.person_ids is None or not len(split.truth.person_ids):
        return none, np.zeros(len(poses), bool)
    by_id = np.argsort(split.truth.person_ids)
    places, is_known = index_of(split.truth.person_ids[by_id], poses.person_ids)
    return by_id[np.where(is_known, places, 0)], is_known
