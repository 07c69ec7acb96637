"""3D predictions in an .npz file: by frame, or one pose for each of some annotations."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from crowdbench.datasets.split import Split
from crowdbench.errors import InputError
from crowdbench.results_3d.file_poses import (
    FilePoses,
    first_fault,
    frame_rows,
    note_unknown,
    person_rows,
    rows_by_id,
    rows_by_name,
)
from crowdbench.structures import Array

# How an archive begins, also one without members.
_ARCHIVE = (b"PK\x03\x04", b"PK\x05\x06")
# Kinds of numpy's types.
_INTEGERS, _NUMBERS = "iu", "fiu"


def read_npz(path: Path, content: bytes, split: Split, ignore_unknown: bool) -> FilePoses:
    """Return the poses of an .npz file.

    By annotation, if there is ``annotation_id`` (N,): ``pred_cam`` (N, K, 3) and, optionally,
    ``pred_img`` (N, K, 2). Else by frame: ``pred_count`` (F,), and the frames' poses one after the
    other in ``pred_2d`` (N, K, 2) and ``pred_3d`` (N, K, 3). Frames are named by ``image_id`` (F,),
    or by ``frame_sequence`` (F,), the k or the name of TSk, and ``frame_index`` (F,). Optionally in
    both: ``pred_score`` (N,), ``pred_box`` (N, 4) xywh, ``pred_box_score`` (N,). Pixels and mm.
    Other keys have no effect.

    Args:
        path: the file, for messages.
        content: its bytes.
        split: gives the images, the annotations and the joints.
        ignore_unknown: leave out poses of images that the split does not have.

    Raises:
        InputError: naming the key, what was found and what was expected.
    """
    arrays = _Arrays(path, content)
    return (
        _by_annotation(arrays, split)
        if "annotation_id" in arrays
        else _by_frame(arrays, split, ignore_unknown)
    )


class _Arrays:
    """The arrays of an .npz file, read as they are asked for."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        if not content.startswith(_ARCHIVE):
            raise InputError(f"{path}: no .npz file, which is an archive of named arrays")
        try:
            self._file = np.load(io.BytesIO(content), allow_pickle=False)
        except Exception as error:
            raise self._damaged(error, f"{len(content):,} bytes") from None

    def __contains__(self, name: str) -> bool:
        return name in self._file.files

    def get(self, name: str, shape: tuple[int | str, ...], kinds: str) -> Array:
        """Return an array.

        Args:
            name: of it.
            shape: what it must have; letters stand for any number.
            kinds: of numpy's types, one of which it must be.

        Raises:
            InputError: if it is not there, can't be read or is another.
        """
        if name not in self:
            there = ", ".join(self._file.files) or "nothing"
            raise InputError(f"{self.path}: {name} is missing; the file has {there}")
        try:
            array: Array = self._file[name]
        except Exception as error:
            raise self._damaged(error, name) from None
        fits = array.ndim == len(shape) and all(
            isinstance(size, str) or found == size
            for found, size in zip(array.shape, shape, strict=True)
        )
        if not fits:
            raise InputError(
                f"{self.path}: {name} has the shape {_shape_words(array.shape)}, expected "
                f"{_shape_words(shape)}"
            )
        if array.dtype.kind not in kinds:
            expected = "integers" if kinds == _INTEGERS else "numbers"
            raise InputError(f"{self.path}: {name} is of type {array.dtype}, expected {expected}")
        return array

    def points(self, name: str, n: int, width: int, split: Split) -> Array:
        """Return the joints of `n` poses, (n, K, width) float64."""
        points = self.get(name, (n, len(split.skeleton), width), _NUMBERS).astype(np.float64)
        fault = first_fault(points)
        if fault is not None:
            row, joint, words = fault
            raise InputError(
                f"{self.path}: {name}[{row}]: {split.skeleton.keypoints[joint]} {words}"
            )
        return points

    def optional(self, name: str, shape: tuple[int, ...]) -> Array | None:
        """Return numbers of all poses as float64, all finite; None where there are none."""
        if name not in self:
            return None
        values = self.get(name, shape, _NUMBERS).astype(np.float64)
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            raise InputError(f"{self.path}: {name}[{wrong[0, 0]}] is not finite")
        return values

    def poses(
        self,
        image_index: Array,
        keypoints: Array,
        joints_mm: Array,
        person_ids: Array | None = None,
        notes: tuple[str, ...] = (),
    ) -> FilePoses:
        """Return poses with what the file has beside their joints."""
        n = len(joints_mm)
        return FilePoses(
            image_index,
            keypoints,
            joints_mm,
            self.optional("pred_score", (n,)),
            self.optional("pred_box", (n, 4)),
            self.optional("pred_box_score", (n,)),
            person_ids,
            notes,
        )

    def _damaged(self, error: Exception, where: str) -> InputError:
        # What numpy and zipfile raise for a damaged file depends on where the damage is.
        words = " ".join(str(error).split()) or type(error).__name__
        return InputError(f"{self.path}: damaged or truncated .npz file ({where}: {words})")


def _shape_words(shape: tuple[int | str, ...]) -> str:
    """Return a shape in words.

    >>> _shape_words(("N", 17)), _shape_words(())
    ('N x 17', 'of a single value')
    """
    return " x ".join(map(str, shape)) or "of a single value"


def _by_annotation(arrays: _Arrays, split: Split) -> FilePoses:
    ids = arrays.get("annotation_id", ("N",), _INTEGERS).astype(np.int64)
    n, k = len(ids), len(split.skeleton)
    joints = arrays.points("pred_cam", n, 3, split)
    given = "pred_img" in arrays
    keypoints = arrays.points("pred_img", n, 2, split) if given else np.zeros((n, k, 2))
    persons = person_rows(arrays.path, split, ids)
    assert split.truth is not None
    image_index = persons.copy()
    image_index[persons >= 0] = split.truth.image_index[persons[persons >= 0]]
    return arrays.poses(image_index, keypoints, joints, ids)


def _by_frame(arrays: _Arrays, split: Split, ignore_unknown: bool) -> FilePoses:
    path = arrays.path
    counts = arrays.get("pred_count", ("F",), _INTEGERS).astype(np.int64)
    if (counts < 0).any():
        raise InputError(f"{path}: pred_count[{(counts < 0).argmax()}] is negative")
    n = int(counts.sum())
    keypoints, joints = arrays.points("pred_2d", n, 2, split), arrays.points("pred_3d", n, 3, split)
    rows, names = _frames(arrays, len(counts), split)
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise InputError(f"{path}: frame {twice} occurs twice, expected every frame once")
    frame = np.repeat(np.arange(len(counts)), counts)
    image_index = rows[frame]
    of_poses = [names[i] for i in frame]
    notes = note_unknown(path, split, image_index, of_poses, ignore_unknown)
    return arrays.poses(image_index, keypoints, joints, notes=notes)


def _frames(arrays: _Arrays, n: int, split: Split) -> tuple[Array, list[str | int]]:
    """Return the rows of the images of `n` frames, and what the file calls them."""
    if "image_id" in arrays:
        ids = arrays.get("image_id", (n,), _INTEGERS).astype(np.int64)
        return rows_by_id(split, ids), ids.tolist()
    sequences = arrays.get("frame_sequence", (n,), _INTEGERS + "U").tolist()
    indices = arrays.get("frame_index", (n,), _INTEGERS).tolist()
    names = [
        f"{f'TS{sequence}' if isinstance(sequence, int) else sequence}_img_{index:06d}"
        for sequence, index in zip(sequences, indices, strict=True)
    ]
    return rows_by_name(split, frame_rows(split), names), list(names)
