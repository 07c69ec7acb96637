"""MuPoTS-3D as the COCO-style file ``MuPoTS-3D.json`` that 3DMPPE and PI-Net read."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from crowdbench.datasets.coco_format import Annotations, index_of, number_rows, row_fault
from crowdbench.datasets.mupots import (
    PERSON,
    check_millimetres,
    extents,
    official_folder,
    read_official,
)
from crowdbench.errors import InputError
from crowdbench.files import (
    FileDigest,
    Id,
    collector_paused,
    decode_json,
    digest_of,
    digest_of_several,
    read_bytes,
)
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import FARTHEST, Array, GroundTruth, Images, Truth3D

_GZIP = b"\x1f\x8b"
_K = len(MUPOTS_17)
_Side = Annotated[float, msgspec.Meta(ge=0, le=2**31)]
# How far, in pixels, a keypoint of the official files may be from the same one of this file.
_SAME_PX = 1.0


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: str
    width: _Side = 0
    height: _Side = 0
    intrinsic: list[float] | None = None


class _Annotation(msgspec.Struct, gc=False):
    id: Id
    image_id: Id
    keypoints_img: list[list[float]]
    keypoints_cam: list[list[float]]
    keypoints_vis: list[float | bool] | None = None
    bbox: list[float] | None = None
    is_valid: float | bool = 1


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]


_DECODER = msgspec.json.Decoder(_File)


@collector_paused()
def read_coco_style(path: Path) -> tuple[Annotations, FileDigest]:
    """Return the images and persons of a file like ``MuPoTS-3D.json``, and what identifies them.

    ``keypoints_vis`` 0 is an occluded joint, ``is_valid`` 0 a person that is ignored; areas are
    those of boxes. An image's sequence is the first folder of its ``file_name``, its camera the
    ``intrinsic`` [fx, fy, cx, cy], where it has one. The file has no poses in a common body size.
    Where the official files are beside it, theirs are taken, person by person in the same order,
    and so is their image folder; a note says whether they were. The digest covers all files read.

    Args:
        path: the file, gzipped or not.

    Raises:
        MissingError: if there is no such file.
        InputError: if it can't be read or is something else; the message names the field and the
            image.
    """
    content = read_bytes(path, "annotations")
    digest = digest_of(path, content)
    file = decode_json(path, _unpacked(path, content), _DECODER, "annotation file")
    images, sequences, sequence_index = _images(path, file.images)
    persons, image_index, notes = _sorted_persons(file.annotations, images.ids)
    truth = _ground_truth(path, persons, images.ids, image_index)
    joints = _points(path, persons, "keypoints_cam", 3)
    check_millimetres(path, joints[~truth.is_ignored], "keypoints_cam")
    truth = replace(truth, pose3d=Truth3D(joints, joints, sequences, sequence_index))
    return _with_universal(path, Annotations(images, truth, PERSON, notes), digest)


def _unpacked(path: Path, content: bytes) -> bytes:
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be unpacked: {error}: truncated or damaged?") from None


def _images(path: Path, found: list[_Image]) -> tuple[Images, tuple[str, ...], Array]:
    """Return the images by id, the names of the sequences, and the sequence of each image."""
    if not found:
        raise InputError(f"{path}: images is empty, expected the list of the split's images")
    ids, first = np.unique(np.array([image.id for image in found], np.int64), return_index=True)
    listed = [found[i] for i in first]
    folders = [image.file_name.partition("/") for image in listed]
    for image, (_, slash, _) in zip(listed, folders, strict=True):
        if not slash:
            raise InputError(
                f"{path}: image {image.id}: file_name {image.file_name!r} has no folder, expected "
                "that of its sequence, as in TS1/img_000000.jpg"
            )
    names = [folder for folder, _, _ in folders]
    sequences = sorted(set(names), key=_natural)
    rows = {name: row for row, name in enumerate(sequences)}
    sizes = np.array([(i.width, i.height) for i in listed], np.int64).reshape(-1, 2)
    return (
        Images(
            ids,
            [image.file_name for image in listed],
            sizes,
            intrinsics=_intrinsics(path, listed),
        ),
        tuple(sequences),
        np.array([rows[name] for name in names], np.int64),
    )


def _intrinsics(path: Path, images: list[_Image]) -> Array:
    """Return `Images.intrinsics`."""
    rows = [i for i, image in enumerate(images) if image.intrinsic is not None]
    fault = row_fault(
        lambda row: f"image {images[rows[row]].id}: intrinsic", 4, "4: fx, fy, cx, cy"
    )
    known = number_rows(path, [images[i].intrinsic or [] for i in rows], 4, fault)
    is_right = (known[:, :2] > 0).all(1) & (np.abs(known) < FARTHEST).all(1)
    if not is_right.all():
        image = images[rows[int(np.argmin(is_right))]]
        raise InputError(
            f"{path}: image {image.id}: intrinsic is {image.intrinsic}, expected fx, fy, cx, cy in "
            "pixels, fx and fy above 0"
        )
    table = np.full((len(images), 4), np.nan)
    table[rows] = known
    return table


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts TS2 before TS10."""
    return [
        (int(part), "") if part.isascii() and part.isdigit() else (-1, part)
        for part in re.split(r"([0-9]+)", name)
    ]


def _sorted_persons(
    found: list[_Annotation], image_ids: Array
) -> tuple[list[_Annotation], Array, tuple[str, ...]]:
    """Return the persons by image, in the file's order within one, and the image of each."""
    image_index, known = index_of(image_ids, np.array([a.image_id for a in found], np.int64))
    rows = np.flatnonzero(known)
    rows = rows[np.argsort(image_index[rows], kind="stable")]
    n_lost = len(found) - len(rows)
    notes = () if not n_lost else (
        f"{n_lost} annotations of images that the file does not list left out",
    )  # fmt: skip
    return [found[i] for i in rows], image_index[rows], notes


def _ground_truth(
    path: Path, persons: list[_Annotation], image_ids: Array, image_index: Array
) -> GroundTruth:
    person_ids = np.array([a.id for a in persons], np.int64)
    unique, counts = np.unique(person_ids, return_counts=True)
    if len(unique) < len(person_ids):
        raise InputError(
            f"{path}: annotation id {unique[counts > 1][0]} occurs more than once: every "
            "annotation needs an id of its own"
        )
    points = _points(path, persons, "keypoints_img", 2)
    # A visible joint is 2 and an occluded one 1.
    visible: list[float | bool] = [1.0] * _K
    labels = [visible if a.keypoints_vis is None else a.keypoints_vis for a in persons]
    visibility = 1.0 + (_table(path, persons, labels, "keypoints_vis", _K) != 0)
    boxes = extents(points)
    given = [row for row, a in enumerate(persons) if a.bbox is not None]
    holders = [persons[row] for row in given]
    boxes[given] = _table(path, holders, [a.bbox or [] for a in holders], "bbox", 4)
    return GroundTruth(
        image_ids=image_ids,
        image_index=image_index,
        keypoints=np.concatenate([points, visibility[..., None]], axis=-1),
        boxes=boxes,
        areas=boxes[:, 2] * boxes[:, 3],
        is_crowd=np.zeros(len(persons), bool),
        is_ignored=np.array([not a.is_valid for a in persons], bool),
        person_ids=person_ids,
    )


def _points(path: Path, persons: list[_Annotation], field: str, width: int) -> Array:
    """Return a field as (P, K, width) float64."""
    rows = [getattr(a, field) for a in persons]
    for person, points in zip(persons, rows, strict=True):
        lengths = {len(point) for point in points}
        if len(points) != _K or lengths != {width}:
            held = " and ".join(map(str, sorted(lengths))) or "no"
            raise InputError(
                f"{path}: annotation {person.id} (image {person.image_id}): {field} has "
                f"{len(points)} joints of {held} numbers, expected {_K} of {width} "
                f"({MUPOTS_17.name})"
            )
    table = np.array(rows, float).reshape(-1, _K, width)
    is_right = (np.abs(table) < FARTHEST).all(axis=(1, 2))
    if not is_right.all():
        person = persons[int(np.argmin(is_right))]
        raise InputError(
            f"{path}: annotation {person.id} (image {person.image_id}): {field} has a coordinate "
            f"beyond {FARTHEST:g}"
        )
    return table


def _table(
    path: Path,
    persons: list[_Annotation],
    rows: Sequence[Sequence[float]],
    field: str,
    width: int,
) -> Array:
    """Return a field as (P, width) float64."""
    for person, row in zip(persons, rows, strict=True):
        if len(row) != width:
            raise InputError(
                f"{path}: annotation {person.id} (image {person.image_id}): {field} has "
                f"{len(row)} numbers, expected {width}"
            )
    return np.array(rows, float).reshape(-1, width)


def _with_universal(
    path: Path, found: Annotations, digest: FileDigest
) -> tuple[Annotations, FileDigest]:
    """Add the poses in a common body size from the official files beside `path`, and a note."""
    folder = official_folder(path.parent)
    if folder is None:
        why = "the file has no univ_annot3: give the folder with TS1/annot.mat"
        return _noting(found, _measured_against_camera(why)), digest
    official, its_digest = read_official(folder)
    found = found._replace(images=replace(found.images, folder=official.images.folder))
    rows, why = _same_persons(found, official)
    if rows is None:
        return _noting(found, _measured_against_camera(f"{folder.name} beside it {why}")), digest
    truth, others = found.truth, official.truth
    assert truth is not None
    assert truth.pose3d is not None
    assert others is not None
    assert others.pose3d is not None
    pose3d = replace(truth.pose3d, universal_mm=others.pose3d.universal_mm[rows])
    found = found._replace(truth=replace(truth, pose3d=pose3d))
    both = {path.name: digest, f"{folder.name}/": its_digest}
    return (
        _noting(found, f"univ_annot3 is from {folder.name} beside {path.name}"),
        digest_of_several(path.name, both),
    )


def _same_persons(found: Annotations, official: Annotations) -> tuple[Array | None, str]:
    """Return which persons of `official` those of `found` are, or None and what is different."""
    persons, others = found.truth, official.truth
    assert persons is not None
    assert others is not None
    places = {name: row for row, name in enumerate(official.images.file_names)}
    images = np.array([places.get(name, -1) for name in found.images.file_names], np.int64)
    if (images < 0).any():
        return None, f"has no {found.images.file_names[int(np.argmin(images))]}"

    def counts(truth: GroundTruth) -> Array:
        return np.bincount(truth.image_index, minlength=len(truth.image_ids))

    here, there = counts(persons), counts(others)[images]
    if (here != there).any():
        image = int(np.argmax(here != there))
        name = found.images.file_names[image]
        return None, f"has {there[image]} persons in {name}, the file {here[image]}"
    starts = np.searchsorted(others.image_index, images) - np.searchsorted(
        persons.image_index, np.arange(len(images))
    )
    rows = np.arange(len(persons.image_index)) + starts[persons.image_index]
    away = np.abs(persons.keypoints[..., :2] - others.keypoints[rows, :, :2]).max(axis=(1, 2))
    differs = ~persons.is_ignored & ((away > _SAME_PX) | others.is_ignored[rows])
    if differs.any():
        person = int(np.argmax(differs))
        name = found.images.file_names[persons.image_index[person]]
        return None, f"has other persons in {name} (annotation {persons.person_ids[person]})"
    return rows, ""


def _noting(found: Annotations, note: str) -> Annotations:
    return found._replace(notes=(*found.notes, note))


def _measured_against_camera(why: str) -> str:
    return (
        "3DPCK and AUC are measured against keypoints_cam, not against univ_annot3 as the official "
        f"script does, so they are not the official numbers: {why}"
    )
