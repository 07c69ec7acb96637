"""3D predictions in a JSON annotation file: a pose beside each annotation it was made for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from crowdbench.datasets.split import Split
from crowdbench.errors import InputError
from crowdbench.files import Id, collector_paused, decode_json
from crowdbench.results_3d.file_poses import (
    FilePoses,
    first_fault,
    note_unknown,
    person_rows,
    rows_by_name,
)
from crowdbench.results_3d.json_list import Point2D, Point3D, points_of
from crowdbench.structures import Array


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: str
    intrinsic: tuple[float, float, float, float] | None = None


class _Annotation(msgspec.Struct, gc=False):
    id: Id
    image_id: Id
    keypoints_cam: list[Point3D] | None = None
    keypoints_cam_posenet: list[Point3D] | None = None
    keypoints_img_posenet: list[Point2D] | None = None


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]


class _Entry(NamedTuple):
    """An annotation with a pose: its place in the file, itself and its image."""

    place: int
    annotation: _Annotation
    image: _Image


_DECODER = msgspec.json.Decoder(_File)
# Between the same person in two annotation files: what rounding can make.
_SAME_MM = 1.0


@collector_paused()
def read_annotated(path: Path, content: bytes, split: Split, ignore_unknown: bool) -> FilePoses:
    """Return the poses that stand beside annotations as ``keypoints_cam_posenet``.

    Each is made for its annotation. Keypoints in the image are ``keypoints_img_posenet`` if that is
    there, else projections of the pose with the ``intrinsic`` [fx, fy, cx, cy] of its image.

    Args:
        path: the file, for messages.
        content: its bytes.
        split: gives the images, found by their names; the annotations, by their ids; the joints.
        ignore_unknown: leave out poses of images that the split does not have.

    Raises:
        InputError: naming the annotation and the field, what was found and what was expected.

    Source: 3DMPPE's annotation file, to which PI-Net adds the poses of 3DMPPE's network.
    """
    entries = _entries(path, decode_json(path, content, _DECODER, "predictions"))
    known = {name: row for row, name in enumerate(split.images.file_names)}
    names = [entry.image.file_name for entry in entries]
    image_index = rows_by_name(split, known, names)
    notes = note_unknown(path, split, image_index, names, ignore_unknown)
    joints = _points(path, entries, "keypoints_cam_posenet", 3, split)
    ids = np.array([entry.annotation.id for entry in entries], np.int64)
    here = np.flatnonzero(image_index >= 0)
    persons = person_rows(path, split, ids[here], image_index[here])
    _check_same_persons(path, [entries[row] for row in here.tolist()], persons, split)
    keypoints, more = _keypoints(path, entries, joints, split)
    return FilePoses(image_index, keypoints, joints, person_ids=ids, notes=notes + more)


def _entries(path: Path, file: _File) -> list[_Entry]:
    images = {image.id: image for image in file.images}
    entries = []
    for place, annotation in enumerate(file.annotations):
        if annotation.keypoints_cam_posenet is None:
            continue
        if annotation.image_id not in images:
            raise InputError(
                f"{path}: predictions.annotations[{place}].image_id is {annotation.image_id}, "
                "which the file's images lack"
            )
        entries.append(_Entry(place, annotation, images[annotation.image_id]))
    if not entries:
        raise InputError(
            f"{path}: no annotation has keypoints_cam_posenet: expected a list of poses, or an "
            "annotation file with a pose in that field of the annotations"
        )
    return entries


def _points(path: Path, entries: list[_Entry], field: str, width: int, split: Split) -> Array:
    return points_of(
        path,
        [getattr(entry.annotation, field) for entry in entries],
        lambda row: f"predictions.annotations[{entries[row].place}].{field}",
        width,
        split,
    )


def _check_same_persons(path: Path, entries: list[_Entry], persons: Array, split: Split) -> None:
    """Refuse annotations that are other persons than the split's of the same ids.

    Args:
        path: the file, for messages.
        entries: N annotations.
        persons: (N,) int64 rows of the split's persons of their ids, negative for none.
        split: with 3D ground truth.
    """
    assert split.truth is not None
    assert split.truth.pose3d is not None
    compared = [
        row
        for row, entry in enumerate(entries)
        if persons[row] >= 0 and entry.annotation.keypoints_cam is not None
    ]
    chosen = [entries[row] for row in compared]
    here = _points(path, chosen, "keypoints_cam", 3, split)
    there = split.truth.pose3d.joints_mm[persons[compared]]
    differs = (np.abs(here - there) > _SAME_MM).any((1, 2))
    if differs.any():
        raise InputError(
            f"{path}: annotation {chosen[differs.argmax()].annotation.id} has other keypoints_cam "
            f"than in {split.name}: give the annotation file that the poses were made for"
        )


def _keypoints(
    path: Path, entries: list[_Entry], joints: Array, split: Split
) -> tuple[Array, tuple[str, ...]]:
    """Return the keypoints in the image, (N, K, 2) pixels, and how they came about.

    Args:
        path: the file, for messages.
        entries: N annotations.
        joints: (N, K, 3) mm, their poses.
        split: gives the joints.
    """
    keypoints = np.zeros((*joints.shape[:2], 2))
    notes = []
    given, projected = [], []
    for row, entry in enumerate(entries):
        if entry.annotation.keypoints_img_posenet is not None:
            given.append(row)
        elif entry.image.intrinsic is not None:
            projected.append(row)
    chosen = [entries[row] for row in given]
    keypoints[given] = _points(path, chosen, "keypoints_img_posenet", 2, split)
    if projected:
        chosen = [entries[row] for row in projected]
        keypoints[projected] = _projected(path, chosen, joints[projected])
        words = "keypoints_cam_posenet projected with the file's intrinsic"
        notes.append(f"the 2D keypoints of {len(projected)} poses are {words}")
    n_without = len(entries) - len(given) - len(projected)
    if n_without:
        notes.append(f"{n_without} poses have no 2D keypoints, so 3DPCK takes them for nobody's")
    return keypoints, tuple(notes)


def _projected(path: Path, entries: list[_Entry], joints: Array) -> Array:
    """Return the images of (N, K, 3) joints of N annotations, (N, K, 2) pixels.

    Raises:
        InputError: for a joint in the plane of the camera, which has no image.
    """
    cameras = np.array([entry.image.intrinsic for entry in entries])[:, None]
    with np.errstate(all="ignore"):
        keypoints: Array = joints[..., :2] / joints[..., 2:] * cameras[..., :2] + cameras[..., 2:]
    fault = first_fault(keypoints)
    if fault is not None:
        row, joint, _ = fault
        raise InputError(
            f"{path}: predictions.annotations[{entries[row].place}].keypoints_cam_posenet[{joint}] "
            f"has the depth {joints[row, joint, 2]:g} mm and no image: expected positions in the "
            "axes of the camera"
        )
    return keypoints
