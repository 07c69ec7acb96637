"""What is true about the people of a scene: joints and what hides them, silhouettes, boxes."""

from __future__ import annotations

import numpy as np

from crowdbench.datasets.synthcrowd.picture import Intrinsics, People
from crowdbench.datasets.synthcrowd.raster import Buffer, Covered, project
from crowdbench.datasets.synthcrowd.solids import Solids
from crowdbench.skeletons import COCO_17, CROWDPOSE_14
from crowdbench.structures import Array

# Names of MuPoTS' 17 joints, in the order of its files.
MUPOTS_JOINTS = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
    "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee",
    "left_ankle", "pelvis", "spine", "head",
)  # fmt: skip
# CrowdPose's head is the top of the head.
_CROWDPOSE = tuple("head_top" if name == "head" else name for name in CROWDPOSE_14.keypoints)
JOINTS = tuple(dict.fromkeys((*COCO_17.keypoints, *_CROWDPOSE, *MUPOTS_JOINTS)))
# How deep below the own surface a joint lies at most, mm: what is nearer than that hides it.
_DEPTHS = {
    "nose": 30, "eye": 25, "ear": 35, "shoulder": 110, "elbow": 80, "wrist": 60, "hip": 190,
    "knee": 110, "ankle": 80, "head_top": 130, "neck": 110, "pelvis": 210, "spine": 190,
    "head": 130,
}  # fmt: skip
_DEPTH = np.array(
    [
        _DEPTHS[n if n in _DEPTHS else n.removeprefix("left_").removeprefix("right_")]
        for n in JOINTS
    ],
    np.float32,
)
# How many pixels of the buffer, in each direction, make one of the image.
FINE = 2


def people_of(
    joints: Array,
    actions: tuple[str, ...],
    solids: Solids,
    covered: Covered,
    buffer: Buffer,
    camera: Intrinsics,
    width: int,
    height: int,
) -> People:
    """Return the truth about all persons, also those that lie outside the image.

    Args:
        joints: (P, J, 3) mm of `JOINTS` in camera axes.
        actions: P words.
        solids: of the scene.
        covered: what each solid covers in the buffer.
        buffer: the depth buffer.
        camera: in pixels of the image.
        width: of the image.
        height: of the image.
    """
    n = len(joints)
    wide, tall = FINE * width, FINE * height
    owners = np.full(wide * tall, -1, np.int16)
    owners[buffer.pixels] = solids.owners[covered.solids[buffer.samples]]
    points = project(joints, camera)
    visibility = _visibility(points, joints[..., 2], owners, buffer, width, height)
    points = np.where((visibility > 0)[..., None], points, 0)

    # One more for things and for what lies just outside of its solid.
    bodies = np.zeros((n + 1, tall, wide), bool)
    starts = np.where(solids.owners < 0, n, solids.owners).astype(np.int32) * np.int32(tall * wide)
    places = np.take(starts, covered.solids)
    places[np.isinf(covered.depths)] = n * tall * wide
    bodies.reshape(-1)[places + covered.pixels] = True
    bodies = bodies[:n]
    # Of the finer pixels of a pixel, two count.
    silhouettes = bodies[:, ::FINE, ::FINE] | bodies[:, 1::FINE, 1::FINE]
    shown = owners.astype(np.int8).reshape(tall, wide)
    both = shown[::FINE, ::FINE].copy(), shown[1::FINE, 1::FINE].copy()
    visible = np.stack([(both[0] == person) | (both[1] == person) for person in range(n)])
    areas, seen = (_counts(masks) for masks in (silhouettes, visible))

    def of(names: tuple[str, ...]) -> tuple[Array, Array]:
        rows = [JOINTS.index(name) for name in names]
        labels = visibility[:, rows]
        return np.concatenate([points[:, rows], labels[..., None]], axis=-1), labels

    mupots = [JOINTS.index(name) for name in MUPOTS_JOINTS]
    return People(
        keypoints=of(COCO_17.keypoints)[0],
        crowdpose=of(_CROWDPOSE)[0],
        joints_mm=joints[:, mupots],
        joint_visibility=visibility[:, mupots],
        boxes=boxes_around(silhouettes),
        areas=areas,
        silhouettes=silhouettes,
        visible=visible,
        visible_fractions=seen / np.maximum(areas, 1),
        actions=actions,
    )


def _visibility(
    points: Array, depths: Array, owners: Array, buffer: Buffer, width: int, height: int
) -> Array:
    """Return (P, J) int64: 2 visible, 1 occluded, 0 outside."""
    x, y = points[..., 0], points[..., 1]
    is_inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1) & (depths > 0)
    columns = np.rint(np.where(is_inside, x, 0) * FINE + (FINE - 1) / 2).astype(np.int64)
    rows = np.rint(np.where(is_inside, y, 0) * FINE + (FINE - 1) / 2).astype(np.int64)
    places = np.minimum(rows * (FINE * width) + columns, len(owners) - 1)
    found, surface = owners[places], buffer.depths[places]
    is_own = found == np.arange(len(points))[:, None]
    # Of the own body only what lies well before the joint hides it; of others, all that is nearer.
    hidden = np.where(is_own, surface < depths - _DEPTH, surface < depths)
    return np.where(is_inside, np.where(hidden, 1, 2), 0)


def _counts(masks: Array) -> Array:
    """Return (P,) float64: how many pixels each mask has."""
    return np.array([np.count_nonzero(mask) for mask in masks], float)


def boxes_around(masks: Array) -> Array:
    """Return (P, 4) float64 xywh around masks, (P, H, W) bool; zeros around empty ones."""
    columns: Array = np.logical_or.reduce(masks, axis=1)
    rows: Array = np.logical_or.reduce(masks, axis=2)
    x0, y0 = columns.argmax(axis=1), rows.argmax(axis=1)
    x1 = columns.shape[1] - columns[:, ::-1].argmax(axis=1)
    y1 = rows.shape[1] - rows[:, ::-1].argmax(axis=1)
    boxes = np.stack([x0, y0, x1 - x0, y1 - y0], axis=1).astype(float)
    return np.where(np.logical_or.reduce(columns, axis=1)[:, None], boxes, 0)
