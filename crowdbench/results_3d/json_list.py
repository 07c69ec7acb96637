"""3D predictions as a JSON list with one entry per pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from crowdbench.datasets.split import Split
from crowdbench.errors import InputError
from crowdbench.files import Id, collector_paused, decode_json
from crowdbench.results_3d.file_poses import (
    NOBODY,
    FilePoses,
    first_fault,
    note_unknown,
    person_rows,
    rows_by_id,
    rows_by_name,
)
from crowdbench.structures import Array

Point2D = tuple[float, float]
Point3D = tuple[float, float, float]
Box = tuple[float, float, float, float]


class Result3D(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """One pose as it stands in a list of poses.

    Attributes:
        image_id: id of the image in the annotation file.
        file_name: its name there; where it is given, it decides, as ids differ between the forms in
            which MuPoTS-3D is spread.
        keypoints_img: of each joint x, y in pixels.
        keypoints_cam: of each joint x, y, z in millimetres, in the axes of the camera.
        score: of the pose.
        bbox: x, y, width, height of the box it was made from, pixels.
        bbox_score: of that box.
        annotation_id: of the person it was made for.
    """

    image_id: Id | None = None
    file_name: str | None = None
    keypoints_img: list[Point2D]
    keypoints_cam: list[Point3D]
    score: float | None = None
    bbox: Box | None = None
    bbox_score: float | None = None
    annotation_id: Id | None = None


_DECODER = msgspec.json.Decoder(list[Result3D])


@collector_paused()
def read_list(path: Path, content: bytes, split: Split, ignore_unknown: bool) -> FilePoses:
    """Return the poses of a JSON list, see `Result3D`.

    Args:
        path: the file, for messages.
        content: its bytes.
        split: gives the images, the annotations and the joints.
        ignore_unknown: leave out poses of images that the split does not have.

    Raises:
        InputError: naming the entry and the field, what was found and what was expected.
    """
    entries = decode_json(path, content, _DECODER, "predictions")
    for i, entry in enumerate(entries):
        if entry.file_name is None and entry.image_id is None:
            raise InputError(f"{path}: predictions[{i}] has neither image_id nor file_name")
    known = {name: row for row, name in enumerate(split.images.file_names)}
    by_id = rows_by_id(split, np.array([e.image_id or 0 for e in entries], np.int64))
    by_name = rows_by_name(split, known, [e.file_name or "" for e in entries])
    has_name = np.array([e.file_name is not None for e in entries], bool)
    image_index = np.where(has_name, by_name, by_id)
    names = [str(e.image_id if e.file_name is None else e.file_name) for e in entries]
    notes = note_unknown(path, split, image_index, names, ignore_unknown)

    def points(field: str, width: int) -> Array:
        rows = [getattr(e, field) for e in entries]
        return points_of(path, rows, lambda row: f"predictions[{row}].{field}", width, split)

    keypoints, joints = points("keypoints_img", 2), points("keypoints_cam", 3)
    person_ids, partly = _made_for(path, [e.annotation_id for e in entries], image_index, split)
    scores, boxes, box_scores = (
        _of_all(path, [getattr(e, field) for e in entries], field)
        for field in ("score", "bbox", "bbox_score")
    )
    return FilePoses(
        image_index, keypoints, joints, scores, boxes, box_scores, person_ids, notes + partly
    )


def points_of(
    path: Path,
    rows: Sequence[Sequence[tuple[float, ...]]],
    name: Callable[[int], str],
    width: int,
    split: Split,
) -> Array:
    """Return the points of N poses, (N, K, width) float64.

    Args:
        path: the file, for messages.
        rows: N lists of points.
        name: returns what to call one of them, from its index.
        width: coordinates of a point.
        split: gives the joints.

    Raises:
        InputError: for another number of joints, and for a point that can't be one.
    """
    k = len(split.skeleton)
    for i, row in enumerate(rows):
        if len(row) != k:
            raise InputError(
                f"{path}: {name(i)} has {len(row)} joints, expected {k} ({split.skeleton.name}): "
                "predictions for another data set?"
            )
    points = np.array(rows, np.float64).reshape(-1, k, width)
    fault = first_fault(points)
    if fault is not None:
        i, joint, words = fault
        raise InputError(f"{path}: {name(i)}[{joint}] {words}")
    return points


def _of_all(path: Path, values: Sequence[object], field: str) -> Array | None:
    """Return an optional field of all entries as float64, or None where no entry has it."""
    lacking = [i for i, value in enumerate(values) if value is None]
    if len(lacking) == len(values):
        return None
    if lacking:
        raise InputError(
            f"{path}: predictions[{lacking[0]}].{field} is missing, which other poses have: give "
            "it for all or for none"
        )
    return np.array(values, np.float64)


def _made_for(
    path: Path, annotation_ids: Sequence[int | None], image_index: Array, split: Split
) -> tuple[Array | None, tuple[str, ...]]:
    """Return `FilePoses.person_ids` of a list's entries, and a note if only some have one."""
    given = np.array([id_ is not None for id_ in annotation_ids], bool)
    if not given.any():
        return None, ()
    ids = np.array([NOBODY if id_ is None else id_ for id_ in annotation_ids], np.int64)
    taken = given & (image_index >= 0)
    person_rows(path, split, ids[taken], image_index[taken])
    if given.all():
        return ids, ()
    n = int((~given).sum())
    return ids, (f"{n} of {len(ids)} poses have no annotation_id: MPJPE leaves them out",)
