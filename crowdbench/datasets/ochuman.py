"""OCHuman's native annotation file, converted as the official API converts it to COCO's format."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from crowdbench.datasets.coco_format import Annotations, number_rows, row_fault
from crowdbench.datasets.manifest import NativeSource
from crowdbench.errors import InputError
from crowdbench.files import Id, collector_paused, decode_json
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, GroundTruth, Images

N_VAL_IMAGES = 2500
# What COCO's visibility is for each of the native file's words.
_COCO_VISIBILITY = {"missing": 0, "vis": 2, "self_occluded": 2, "others_occluded": 1}


class _Person(msgspec.Struct, gc=False):
    bbox: list[float]
    max_iou: float
    keypoints: list[float] | None = None
    # Only whether there is a mask matters; its polygons are left undecoded.
    segms: dict[str, msgspec.Raw] | list[msgspec.Raw] | None = None


class _Image(msgspec.Struct):
    file_name: str
    width: Id
    height: Id
    annotations: list[_Person]


class _NativeFile(msgspec.Struct):
    images: list[_Image]
    keypoint_names: list[str]
    keypoint_visible: dict[str, int]


_DECODER = msgspec.json.Decoder(_NativeFile)


@collector_paused()
def read_ochuman(path: Path, content: bytes, source: NativeSource) -> Annotations:
    """Return the images and persons of one part of OCHuman's native file, in the COCO layout.

    Only persons with both keypoints and a mask count, and only images with such a person. The
    first 2500 of these images, in the order of the file, are the part ``val``, the others ``test``.
    Of the part, persons with ``low <= max_iou < high`` stay, and images that keep one. Images and
    persons are numbered from 1, so ids fit only files made for the same part and range.

    Args:
        path: the file, for messages.
        content: its bytes.
        source: the part and the range of max_iou.

    Returns:
        Annotations with 17 COCO keypoints (head and neck are dropped), visibility 2 for visible or
        occluded by oneself, 1 for occluded by others and 0 for missing, ``areas`` of the whole box
        in px², ``max_iou``, and category 1.

    Raises:
        InputError: if the file is not such a file (the message names the field and the image), or
            no person is left.

    Source: the conversion of the official OCHuman API; equal to it, its loss of persons with a
    max_iou of exactly 1 under the default range included.
    """
    file = decode_json(path, content, _DECODER, "OCHuman file")
    order = _coco_order(path, file.keypoint_names)
    visibility = _visibility_table(path, file.keypoint_visible)

    usable = [
        (image, persons)
        for image in file.images
        if (persons := [p for p in image.annotations if p.keypoints and p.segms])
    ]
    part = usable[:N_VAL_IMAGES] if source.part == "val" else usable[N_VAL_IMAGES:]
    n_part = sum(len(persons) for _, persons in part)
    part = [
        (image, kept)
        for image, persons in part
        if (kept := [p for p in persons if source.low <= p.max_iou < source.high])
    ]
    if not part:
        raise InputError(
            f"{path}: no person of part {source.part} has {source.low:g} <= max_iou < "
            f"{source.high:g}: of {len(file.images)} images {len(usable)} have persons with "
            f"keypoints and mask, the first {N_VAL_IMAGES} of which are val, the others test"
        )

    images = [image for image, _ in part]
    persons = [person for _, kept in part for person in kept]
    image_index = np.repeat(np.arange(len(part)), [len(kept) for _, kept in part])
    names = [images[i].file_name for i in image_index]
    keypoints = _keypoints(path, persons, names, len(file.keypoint_names), visibility)[:, order]
    corners = _rows(path, [p.bbox for p in persons], names, 4, "bbox", "4 numbers x1, y1, x2, y2")
    extent = corners[:, 2:] - corners[:, :2]
    ids = np.arange(1, len(part) + 1)
    truth = GroundTruth(
        image_ids=ids,
        image_index=image_index,
        keypoints=keypoints,
        boxes=np.hstack((corners[:, :2], extent)),
        areas=extent[:, 0] * extent[:, 1],
        is_crowd=np.zeros(len(persons), bool),
        is_ignored=(keypoints[:, :, 2] > 0).sum(1) == 0,
        person_ids=np.arange(1, len(persons) + 1),
        max_iou=np.array([p.max_iou for p in persons]),
    )
    return Annotations(
        Images(
            ids=ids,
            file_names=[image.file_name for image in images],
            sizes=np.array([(image.width, image.height) for image in images], np.int64),
        ),
        truth,
        category_id=1,
        notes=_notes(source, n_part - len(persons)),
    )


def _notes(source: NativeSource, n_lost: int) -> tuple[str, ...]:
    made = (
        f"made from OCHuman's native file as the official API does: part {source.part}, "
        f"{source.low:g} <= max_iou < {source.high:g}"
    )
    return (f"{made}; persons outside this range left out: {n_lost}" if n_lost else made,)


def _coco_order(path: Path, names: list[str]) -> list[int]:
    """Return where each of COCO's keypoints stands among the native ones."""
    absent = [name for name in COCO_17.keypoints if name not in names]
    if absent:
        raise InputError(f"{path}: keypoint_names lacks {', '.join(absent)}")
    return [names.index(name) for name in COCO_17.keypoints]


def _visibility_table(path: Path, codes: dict[str, int]) -> dict[int, int]:
    """Return COCO's visibility of each native code."""
    if set(codes) != set(_COCO_VISIBILITY):
        raise InputError(
            f"{path}: keypoint_visible names {', '.join(codes) or 'nothing'}, "
            f"expected {', '.join(_COCO_VISIBILITY)}"
        )
    return {code: _COCO_VISIBILITY[word] for word, code in codes.items()}


def _keypoints(
    path: Path, persons: list[_Person], names: list[str], n_keypoints: int, table: dict[int, int]
) -> Array:
    """Return (P, n_keypoints, 3) in the native order, with COCO's visibility."""
    keypoints = _rows(
        path,
        [p.keypoints or [] for p in persons],
        names,
        3 * n_keypoints,
        "keypoints",
        f"{3 * n_keypoints} numbers ({n_keypoints} keypoints)",
    ).reshape(-1, n_keypoints, 3)
    codes = keypoints[:, :, 2]
    known = np.isin(codes, list(table))
    if not known.all():
        row, joint = np.argwhere(~known)[0]
        raise InputError(
            f"{path}: image {names[row]}: keypoint {joint} has visibility "
            f"{codes[row, joint]:g}, expected one of {', '.join(map(str, sorted(table)))}"
        )
    converted = np.select([codes == code for code in table], list(table.values()))
    return np.concatenate((keypoints[:, :, :2], converted[:, :, None]), axis=2)


def _rows(
    path: Path, rows: list[list[float]], names: list[str], width: int, field: str, expected: str
) -> Array:
    """Return equally long rows as an array; a wrong one is named by its image."""
    fault = row_fault(lambda row: f"image {names[row]}: {field}", width, expected)
    return number_rows(path, rows, width, fault)
