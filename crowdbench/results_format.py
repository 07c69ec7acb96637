"""Poses in COCO's results format: a JSON list with one entry per pose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from crowdbench.datasets.coco_format import index_of, number_rows, row_fault
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError
from crowdbench.files import MALFORMED, Id, collector_paused, decode_json, write_atomically
from crowdbench.structures import Array, Poses


class Result(msgspec.Struct, gc=False, omit_defaults=True):
    """One pose as it stands in a results file."""

    image_id: Id
    category_id: Id
    keypoints: list[float]
    score: float
    bbox: list[float] | None = None
    bbox_score: float | None = None


class Results(NamedTuple):
    """Poses of a file, and what was noticed on the way.

    Attributes:
        poses: those of the split's images.
        notes: oddities that were tolerated, in words.
    """

    poses: Poses
    notes: tuple[str, ...]


_DECODER = msgspec.json.Decoder(list[Result])
_RAW_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
# Entries are turned into arrays, and back, this many at a time: the Python objects of a block are
# gone before the next one needs memory, which halves time and memory on a large file.
_BLOCK = 256


@collector_paused()
def read_results(
    path: Path, content: bytes, split: Split, ignore_unknown_images: bool = False
) -> Results:
    """Return the poses of a COCO results file that belong to the split.

    Args:
        path: the file, for messages.
        content: its bytes.
        split: gives the images and the keypoint layout.
        ignore_unknown_images: leave out poses of images the split does not have instead of
            refusing the file.

    Raises:
        InputError: naming the entry and the field, what was found and what was expected.

    Source: the format of ``COCO.loadRes``. As there, the first entry decides whether the poses have
    boxes: then every entry needs one, otherwise later boxes have no effect. Entries of another
    category are left out.
    """
    notes: list[str] = []
    columns = _columns(path, content, split)
    has_boxes, has_box_scores = "bbox" in columns, "bbox_score" in columns
    if not has_boxes and columns["has_bbox"].any():
        notes.append("the first pose has no bbox, so those of later poses have no effect")
    rows = np.arange(len(columns["score"]))

    person = columns["category"] == split.category_id
    if not person.all():
        notes.append(f"{int((~person).sum())} poses of other categories left out")
    ids = columns["image_id"][person]
    _, known = index_of(split.known_ids, ids)
    if not known.all():
        unknown = np.unique(ids[~known])
        words = (
            f"{int((~known).sum())} poses are of {len(unknown)} images that {split.name} does not "
            f"have, the first are {', '.join(map(str, unknown[:3]))}"
        )
        if not ignore_unknown_images:
            raise InputError(
                f"{path}: {words}: predictions for another split? "
                "(--unknown-images ignore leaves them out)"
            )
        notes.append(words)
    rows = rows[person]
    image_index, wanted = index_of(split.images.ids, ids)
    rows, image_index = rows[wanted], image_index[wanted]
    order = np.argsort(image_index, kind="stable")
    rows, image_index = rows[order], image_index[order]

    scores = columns["score"][rows]
    if (scores < 0).any():
        notes.append(
            f"{int((scores < 0).sum())} poses have a negative score, the lowest is "
            f"{scores.min():g}: scores only rank the poses, so they are scored as they are"
        )
    # Each column makes room as soon as it is in order.
    poses = Poses(
        image_index=image_index,
        keypoints=columns.pop("keypoints")[rows],
        keypoint_scores=columns.pop("keypoint_scores")[rows],
        scores=scores,
        box_index=np.full(len(rows), -1),
        instance=np.zeros(len(rows), np.int64),
        boxes=columns["bbox"][rows] if has_boxes else None,
        box_scores=columns["bbox_score"][rows] if has_box_scores else None,
    )
    return Results(poses, tuple(notes))


def _columns(path: Path, content: bytes, split: Split) -> dict[str, Array]:
    """Return the entries' fields as arrays, in the order of the file.

    ``bbox`` and ``bbox_score`` are there only when the first entry has them; ``has_bbox`` tells
    which entries do.
    """
    try:
        raw = _RAW_DECODER.decode(content)
        first = _DECODER.decode(b"[" + b",".join(raw[:1]) + b"]")
        has_boxes = bool(first) and bool(first[0].bbox)
        has_box_scores = bool(first) and first[0].bbox_score is not None
        columns: dict[str, Array] = {}
        for start in range(0, max(len(raw), 1), _BLOCK):
            entries = _DECODER.decode(b"[" + b",".join(raw[start : start + _BLOCK]) + b"]")
            block = _block_columns(path, entries, start, split, has_boxes, has_box_scores)
            for name, values in block.items():
                if not start:
                    columns[name] = np.empty((len(raw), *values.shape[1:]), values.dtype)
                columns[name][start : start + len(values)] = values
    except MALFORMED:
        # Decoding the whole finds the same fault and names its place.
        decode_json(path, content, _DECODER, "predictions")
        raise
    return columns


def _block_columns(
    path: Path,
    entries: list[Result],
    start: int,
    split: Split,
    has_boxes: bool,
    has_box_scores: bool,
) -> dict[str, Array]:
    """Return the fields of consecutive entries, the first of which is number `start`."""
    k = len(split.skeleton)

    def numbers(rows: Sequence[Sequence[float]], width: int, field: str, expected: str) -> Array:
        fault = row_fault(lambda row: f"predictions[{start + row}].{field}", width, expected)
        return number_rows(path, rows, width, fault)

    keypoints = numbers(
        [e.keypoints for e in entries],
        3 * k,
        "keypoints",
        f"{3 * k} ({k} keypoints of {split.skeleton.name}, x, y and confidence each): "
        "predictions for another data set?",
    ).reshape(-1, k, 3)
    columns = {
        "image_id": np.array([e.image_id for e in entries], np.int64),
        "category": np.array([e.category_id for e in entries], np.int64),
        "has_bbox": np.array([bool(e.bbox) for e in entries], bool),
        "score": numbers([(e.score,) for e in entries], 1, "score", "a number")[:, 0],
        "keypoints": keypoints[..., :2],
        "keypoint_scores": keypoints[..., 2],
    }
    if has_boxes:
        columns["bbox"] = numbers(
            [e.bbox or () for e in entries],
            4,
            "bbox",
            "4 (x, y, width, height), as the first pose has a box",
        )
    if has_box_scores:
        columns["bbox_score"] = numbers(
            [() if e.bbox_score is None else (e.bbox_score,) for e in entries],
            1,
            "bbox_score",
            "1, as the first pose has one",
        )[:, 0]
    return columns


@collector_paused()
def write_results(path: Path, poses: Poses, image_ids: Array, category_id: int) -> None:
    """Write poses in COCO's results format, whole or not at all.

    Args:
        path: the file.
        poses: D poses, written in their order.
        image_ids: (I,) ids that the poses' image index points into.
        category_id: id of the category "person".
    """
    write_atomically(
        path, lambda file: file.writelines(_encoded_blocks(poses, image_ids, category_id))
    )


def _encoded_blocks(poses: Poses, image_ids: Array, category_id: int) -> Iterator[bytes]:
    """Yield the bytes of the JSON list, block by block."""
    yield b"["
    for start in range(0, len(poses), _BLOCK):
        block = poses.take(slice(start, start + _BLOCK))
        n = len(block)
        flat = np.concatenate([block.keypoints, block.keypoint_scores[..., None]], axis=2)
        entries = [
            Result(image_id, category_id, keypoints, score, box, box_score)
            for image_id, keypoints, score, box, box_score in zip(
                image_ids[block.image_index].tolist(),
                flat.reshape(n, -1).tolist(),
                block.scores.tolist(),
                [None] * n if block.boxes is None else block.boxes.tolist(),
                [None] * n if block.box_scores is None else block.box_scores.tolist(),
                strict=True,
            )
        ]
        yield (b"," if start else b"") + msgspec.json.encode(entries)[1:-1]
    yield b"]\n"
