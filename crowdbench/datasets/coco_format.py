"""Annotation files in COCO's keypoint format, as COCO, CrowdPose and OCHuman distribute them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from crowdbench.errors import InputError
from crowdbench.files import Id, collector_paused, decode_json
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, GroundTruth, Images

_Side = Annotated[float, msgspec.Meta(ge=0, le=2**31)]


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: str = ""
    width: _Side = 0
    height: _Side = 0
    crowd_index: float | None = msgspec.field(default=None, name="crowdIndex")


class _Annotation(msgspec.Struct, gc=False):
    id: Id
    image_id: Id
    bbox: list[float]
    keypoints: list[float]
    category_id: Id | None = None
    area: float | None = None
    iscrowd: int | bool = 0
    num_keypoints: float | None = None
    max_iou: float | None = None


class _Category(msgspec.Struct):
    id: Id
    name: str = ""
    keypoints: list[str] | None = None


class _CocoFile(msgspec.Struct):
    """The parts of a COCO annotation file that scoring needs."""

    images: list[_Image]
    annotations: list[_Annotation] | None = None
    categories: list[_Category] = []


class Annotations(NamedTuple):
    """What an annotation file holds, as arrays.

    Attributes:
        images: the images, ascending by id.
        truth: the persons, or None when the file has no ``annotations``.
        category_id: id of the category "person".
        notes: oddities that were tolerated, in words.
    """

    images: Images
    truth: GroundTruth | None
    category_id: int
    notes: tuple[str, ...]


_DECODER = msgspec.json.Decoder(_CocoFile)


@collector_paused()
def read_annotations(path: Path, content: bytes, skeleton: Skeleton, area: str) -> Annotations:
    """Return the images and persons of a COCO-format annotation file.

    Args:
        path: the file, for messages.
        content: its bytes.
        skeleton: the expected keypoint layout.
        area: ``annotation`` (the field ``area``) or ``0.53*box``.

    Raises:
        InputError: if the file is not such a file; the message names the field and the image.

    Source: fields and defaults as pycocotools reads them. A missing ``iscrowd`` is 0 and a missing
    ``num_keypoints`` is counted, as xtcocotools does; pycocotools stops there. A field ``ignore``
    has no effect, as there.
    """
    file = decode_json(path, content, _DECODER, "annotation file")
    notes: list[str] = []
    images, crowd_index = _images(path, file.images)
    category = _person_category(path, file, skeleton)
    if file.annotations is None:
        return Annotations(images, None, category, ())
    persons = [a for a in file.annotations if a.category_id in (None, category)]
    if len(persons) < len(file.annotations):
        notes.append(
            f"{len(file.annotations) - len(persons)} annotations of other categories left out"
        )

    image_ids = np.array([a.image_id for a in persons], np.int64)
    image_index, known = index_of(images.ids, image_ids)
    if not known.all():
        # As in the official tools: subsets are often made by cutting the list of images only.
        n_lost = int((~known).sum())
        notes.append(f"{n_lost} annotations of images that the file does not list left out")
        persons = [a for a, is_known in zip(persons, known, strict=True) if is_known]
        image_index = image_index[known]
    order = np.argsort(image_index, kind="stable")
    persons = [persons[i] for i in order]
    truth = _ground_truth(path, persons, images.ids, image_index[order], skeleton, area)
    return Annotations(images, replace(truth, crowd_index=crowd_index), category, tuple(notes))


def index_of(ids: Array, wanted: Array) -> tuple[Array, Array]:
    """Return where each of `wanted` stands in the ascending `ids`, and whether it is there at all.

    >>> index_of(np.array([3, 5, 9]), np.array([9, 4]))
    (array([2, 1]), array([ True, False]))
    """
    position = np.searchsorted(ids, wanted)
    found = np.zeros(len(wanted), bool)
    inside = position < len(ids)
    found[inside] = ids[position[inside]] == wanted[inside]
    return position, found


def _images(path: Path, found: list[_Image]) -> tuple[Images, Array | None]:
    if not found:
        raise InputError(f"{path}: images is empty, expected the list of the split's images")
    ids, first = np.unique(np.array([i.id for i in found], np.int64), return_index=True)
    listed = [found[i] for i in first]
    sizes = np.array([(i.width, i.height) for i in listed], np.int64).reshape(-1, 2)
    images = Images(ids, [i.file_name for i in listed], sizes)
    if any(i.crowd_index is None for i in listed):
        return images, None
    return images, np.array([i.crowd_index for i in listed], float)


def _person_category(path: Path, file: _CocoFile, skeleton: Skeleton) -> int:
    candidates = [c for c in file.categories if c.name == "person"] or [
        c for c in file.categories if c.keypoints
    ]
    if not candidates:
        if len(file.categories) <= 1:
            return file.categories[0].id if file.categories else 1
        raise InputError(f"{path}: none of the {len(file.categories)} categories is 'person'")
    names = candidates[0].keypoints
    if names and len(names) != len(skeleton):
        raise InputError(
            f"{path}: category 'person' has {len(names)} keypoints, {skeleton.name} has "
            f"{len(skeleton)}: an annotation file of another data set?"
        )
    return candidates[0].id


def number_rows(
    path: Path,
    rows: Sequence[Sequence[float]],
    width: int,
    describe: Callable[[int, int], str],
) -> Array:
    """Return equally long lists of numbers as an (N, width) float64 array.

    Args:
        path: the file, for messages.
        rows: N lists.
        width: how many numbers each must have.
        describe: returns what is wrong, from the index and the length of a wrong row; of the
            right length it is wrong because a number is not finite.

    Raises:
        InputError: for a list of another length or a number that is not finite.
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    wrong = np.flatnonzero(lengths != width)
    if not len(wrong):
        table = np.array(rows, float).reshape(-1, width)
        wrong = np.flatnonzero(~np.isfinite(table).all(1))
        if not len(wrong):
            return table
    first = int(wrong[0])
    raise InputError(f"{path}: {describe(first, int(lengths[first]))}")


def row_fault(name: Callable[[int], str], width: int, expected: str) -> Callable[[int, int], str]:
    """Return the usual `describe` of `number_rows`.

    Args:
        name: returns what to call a row, from its index.
        width: how many numbers a row must have.
        expected: what is expected, in words.
    """

    def describe(row: int, length: int) -> str:
        if length == width:
            return f"{name(row)} is not finite"
        return f"{name(row)} has {length} numbers, expected {expected}"

    return describe


def _ground_truth(
    path: Path,
    persons: list[_Annotation],
    image_ids: Array,
    image_index: Array,
    skeleton: Skeleton,
    area: str,
) -> GroundTruth:
    k = len(skeleton)
    person_ids = np.array([a.id for a in persons], np.int64)
    unique, counts = np.unique(person_ids, return_counts=True)
    if len(unique) < len(person_ids):
        twice = unique[counts > 1]
        raise InputError(
            f"{path}: {len(twice)} annotation ids occur more than once, the first is {twice[0]}: "
            "every annotation needs an id of its own"
        )

    def named(rows: Sequence[Sequence[float]], width: int, field: str, expected: str) -> Array:
        def describe(row: int, length: int) -> str:
            # Its ids name the annotation: the arrays are no longer in the file's order.
            where = f"annotation {person_ids[row]} (image {image_ids[image_index[row]]})"
            not_finite = " of which not all are finite" if length == width else ""
            return f"{where}: {field} must be {expected}, found {length} numbers{not_finite}"

        return number_rows(path, rows, width, describe)

    keypoints = named(
        [a.keypoints for a in persons],
        3 * k,
        "keypoints",
        f"{3 * k} numbers ({k} keypoints of {skeleton.name})",
    ).reshape(-1, k, 3)
    boxes = named([a.bbox for a in persons], 4, "bbox", "4 numbers x, y, width, height")
    if area == "annotation":
        areas = named(
            [[np.nan if a.area is None else a.area] for a in persons],
            1,
            "area",
            "a number (for data without areas choose a skeleton with `area: 0.53*box`)",
        )[:, 0]
    else:
        areas = boxes[:, 2] * boxes[:, 3] * 0.53
    is_crowd = np.array([a.iscrowd for a in persons], bool)
    recount = (keypoints[:, : skeleton.counted, 2] > 0).sum(1)
    labelled = np.array(
        [
            n if a.num_keypoints is None else a.num_keypoints
            for a, n in zip(persons, recount, strict=True)
        ],
        float,
    )
    has_iou = bool(persons) and all(a.max_iou is not None for a in persons)
    return GroundTruth(
        image_ids=image_ids,
        image_index=image_index,
        keypoints=keypoints,
        boxes=boxes,
        areas=areas,
        is_crowd=is_crowd,
        is_ignored=is_crowd | (labelled == 0),
        person_ids=person_ids,
        max_iou=np.array([a.max_iou for a in persons], float) if has_iou else None,
    )


def to_coco(
    images: Images, truth: GroundTruth, skeleton: Skeleton, category_id: int = 1
) -> dict[str, Any]:
    """Return images and persons as the content of a COCO annotation file, fit for `json.dump`."""
    labelled = (truth.keypoints[:, : skeleton.counted, 2] > 0).sum(1)
    return {
        "images": [
            {"id": id_, "file_name": name, "width": width, "height": height}
            for id_, name, (width, height) in zip(
                images.ids.tolist(), images.file_names, images.sizes.tolist(), strict=True
            )
        ],
        "annotations": [
            {
                "id": id_,
                "image_id": image_id,
                "category_id": category_id,
                "bbox": box,
                "area": area,
                "iscrowd": int(is_crowd),
                "num_keypoints": n,
                "keypoints": keypoints,
            }
            for id_, image_id, box, area, is_crowd, n, keypoints in zip(
                truth.person_ids.tolist(),
                truth.image_ids[truth.image_index].tolist(),
                truth.boxes.tolist(),
                truth.areas.tolist(),
                truth.is_crowd.tolist(),
                labelled.tolist(),
                truth.keypoints.reshape(len(truth.keypoints), -1).tolist(),
                strict=True,
            )
        ],
        "categories": [
            {"id": category_id, "name": "person", "keypoints": list(skeleton.keypoints)}
        ],
    }
