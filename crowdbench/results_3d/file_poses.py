"""Poses as they stand in a file, and finding the images and persons that the file names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crowdbench.datasets.coco_format import index_of
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError
from crowdbench.structures import FARTHEST, Array

# Instead of the row of an image: it is left out by a limit; the split does not have it.
LEFT_OUT, UNKNOWN = -1, -2
# Instead of an annotation's id: the pose was made for nobody in particular.
NOBODY = -1
# What the files of a frame are called in MuPoTS-3D; the frame's name is TS1_img_000000.
_FRAME_FILE = re.compile(r"(?:.*/)?(TS\d+)/(img_\d{6})\.\w+")
# Names that a message about many shows.
_SHOWN = 3


@dataclass(frozen=True)
class FilePoses:
    """N poses in the order of their file.

    Attributes:
        image_index: (N,) int64 rows of the split's images; negative for poses to leave out.
        keypoints: (N, K, 2) float64 pixels; 0 where the file has none.
        joints_mm: (N, K, 3) float64.
        scores: (N,) float64, or None where the file has none.
        boxes: (N, 4) float64 xywh, or None.
        box_scores: (N,) float64, or None.
        person_ids: (N,) int64, `NOBODY` for poses made for nobody in particular; None if all are.
        notes: oddities that were tolerated, in words.
    """

    image_index: Array
    keypoints: Array
    joints_mm: Array
    scores: Array | None = None
    boxes: Array | None = None
    box_scores: Array | None = None
    person_ids: Array | None = None
    notes: tuple[str, ...] = ()


def frame_name(file_name: str) -> str | None:
    """Return how predictions of MuPoTS-3D name the frame of an image file, None for other files.

    >>> frame_name("TS1/img_000012.jpg"), frame_name("000012.jpg")
    ('TS1_img_000012', None)
    """
    match = _FRAME_FILE.fullmatch(file_name)
    return f"{match[1]}_{match[2]}" if match else None


def frame_rows(split: Split) -> dict[str, int]:
    """Return the row of every image that is a frame of MuPoTS-3D, by the frame's name."""
    names = map(frame_name, split.images.file_names)
    return {name: row for row, name in enumerate(names) if name is not None}


def is_limited(split: Split) -> bool:
    """Whether the split lacks images of its file: a name of one of them is then not known."""
    return len(split.images) < len(split.known_ids)


def rows_by_id(split: Split, ids: Array) -> Array:
    """Return the rows of images by their (N,) int64 ids, `LEFT_OUT` or `UNKNOWN` for others."""
    rows, is_here = index_of(split.images.ids, ids)
    _, is_known = index_of(split.known_ids, ids)
    return np.where(is_here, rows, np.where(is_known, LEFT_OUT, UNKNOWN))


def rows_by_name(split: Split, known: dict[str, int], names: Sequence[str]) -> Array:
    """Return the rows of images by their names, (N,) int64.

    Args:
        split: of the images.
        known: rows by name; names of images that a limit left out are not there.
        names: N names.
    """
    other = LEFT_OUT if is_limited(split) else UNKNOWN
    return np.array([known.get(name, other) for name in names], np.int64)


def note_unknown(
    path: Path,
    split: Split,
    rows: Array,
    names: Sequence[str | int],
    ignore: bool,
    what: str = "poses",
) -> tuple[str, ...]:
    """Return a note about what belongs to images that the split does not have, if anything does.

    Args:
        path: the file, for messages.
        split: of the images.
        rows: (N,) int64 rows of images.
        names: of the N images, as the file has them.
        ignore: whether that may be.
        what: what belongs to them.

    Raises:
        InputError: if it may not be.
    """
    unknown = np.flatnonzero(rows == UNKNOWN)
    if not len(unknown):
        return ()
    images = list(dict.fromkeys(names[i] for i in unknown.tolist()))
    words = (
        f"{len(unknown)} {what} are of {len(images)} images that {split.name} does not have, the "
        f"first are {', '.join(map(str, images[:_SHOWN]))}"
    )
    if ignore:
        return (words,)
    raise InputError(
        f"{path}: {words}: predictions for another split? (--unknown-images ignore leaves them out)"
    )


def person_rows(
    path: Path, split: Split, person_ids: Array, image_index: Array | None = None
) -> Array:
    """Return the rows of the persons that poses were made for, (N,) int64.

    Args:
        path: the file, for messages.
        split: with ground truth.
        person_ids: (N,) int64 ids of annotations.
        image_index: (N,) int64, the images that the file puts the poses into, negative for any;
            None where it says nothing about images.

    Returns:
        `LEFT_OUT` for persons whom a limit left out.

    Raises:
        InputError: for a person with two poses, for one that the split does not have, and for one
            in another image.
    """
    truth = split.truth
    assert truth is not None
    ids, counts = np.unique(person_ids, return_counts=True)
    if (counts > 1).any():
        twice = ids[counts > 1]
        raise InputError(
            f"{path}: {len(twice)} annotations have more than one pose, the first is "
            f"{twice[0]}: expected at most one pose made for each"
        )
    order = np.argsort(truth.person_ids)
    place, is_known = index_of(truth.person_ids[order], person_ids)
    rows = np.full(len(person_ids), LEFT_OUT, np.int64)
    rows[is_known] = order[place[is_known]]
    if not is_known.all() and not is_limited(split):
        unknown = person_ids[~is_known]
        raise InputError(
            f"{path}: {len(unknown)} poses are of annotations that {split.name} does not have, "
            f"the first are {', '.join(map(str, unknown[:_SHOWN]))}: made for another annotation "
            "file?"
        )
    if image_index is not None:
        compared = np.flatnonzero(is_known & (image_index >= 0))
        wrong = compared[truth.image_index[rows[compared]] != image_index[compared]]
        if len(wrong):
            first = wrong[0]
            images = split.images.file_names
            raise InputError(
                f"{path}: annotation {person_ids[first]} is of {images[image_index[first]]} here, "
                f"of {images[truth.image_index[rows[first]]]} in {split.name}: made for another "
                "annotation file?"
            )
    return rows


def first_fault(points: Array) -> tuple[int, int, str] | None:
    """Return the first of (N, K, D) points that can't be one: its row, its joint and why."""
    # Comparing with NaN gives false, too.
    is_right = (np.abs(points) < FARTHEST).all(2)
    if is_right.all():
        return None
    row, joint = np.argwhere(~is_right)[0].tolist()
    if np.isfinite(points[row, joint]).all():
        return row, joint, f"has a coordinate beyond {FARTHEST:g}"
    return row, joint, "is not finite"
