"""Predictions for MuPoTS-3D in 3DMPPE's layout: two .mat files with one variable per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, MissingError
from crowdbench.files import FileDigest, digest_of, read_bytes
from crowdbench.mat_files import read_mat
from crowdbench.results_3d.file_poses import (
    FilePoses,
    first_fault,
    frame_rows,
    note_unknown,
    rows_by_name,
)
from crowdbench.structures import Array

NAME_2D, NAME_3D = "preds_2d_kpt_mupots.mat", "preds_3d_kpt_mupots.mat"


def is_of_pair(path: Path) -> bool:
    """Whether the path is the folder of the two files, or one of them."""
    return path.is_dir() or path.suffix == ".mat"


def read_pair(
    path: Path, split: Split, ignore_unknown: bool
) -> tuple[FilePoses, dict[str, FileDigest]]:
    """Return the poses of the two files and the files' digests by role.

    A frame without a variable has no poses: 3DMPPE and PI-Net write none for it.

    Args:
        path: the files' folder, or one of the files.
        split: gives the images, which are found by their names, and the joints.
        ignore_unknown: leave out variables that are no frames of the split.

    Raises:
        MissingError: if a file is not there.
        InputError: naming the variable, what was found and what was expected.
    """
    path_2d, path_3d = _paths(path)
    (in_2d, digest_2d), (in_3d, digest_3d) = map(_read, (path_2d, path_3d))
    digests = {"predictions 2d": digest_2d, "predictions 3d": digest_3d}
    _check_same_names(path_2d, path_3d, in_2d, in_3d)
    names = list(in_3d)
    rows = rows_by_name(split, frame_rows(split), names)
    notes = note_unknown(path_3d, split, rows, names, ignore_unknown, "variables")
    here = [(name, row) for name, row in zip(names, rows.tolist(), strict=True) if row >= 0]
    keypoints = [_people(path_2d, name, in_2d[name], split, 2) for name, _ in here]
    joints = [_people(path_3d, name, in_3d[name], split, 3) for name, _ in here]
    for (name, _), a, b in zip(here, keypoints, joints, strict=True):
        if len(a) != len(b):
            raise InputError(
                f"{path_3d}: variable {name} has {len(b)} people, in {path_2d.name} it has "
                f"{len(a)}: expected the same people in both"
            )
    k = len(split.skeleton)
    counts = [len(people) for people in joints]
    poses = FilePoses(
        image_index=np.repeat(np.array([row for _, row in here], np.int64), counts),
        keypoints=np.concatenate([np.zeros((0, k, 2)), *keypoints]),
        joints_mm=np.concatenate([np.zeros((0, k, 3)), *joints]),
        notes=notes,
    )
    for file, points in ((path_2d, poses.keypoints), (path_3d, poses.joints_mm)):
        _check_points(file, points, [name for name, _ in here], counts, split)
    return poses, digests


def _paths(path: Path) -> tuple[Path, Path]:
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and path.name not in (NAME_2D, NAME_3D):
        raise InputError(
            f"{path}: expected {NAME_2D} or {NAME_3D}, side by side, or the folder that has both"
        )
    pair = folder / NAME_2D, folder / NAME_3D
    missing = [file.name for file in pair if not file.is_file()]
    if missing:
        raise MissingError(
            f"{folder} has no {' and no '.join(missing)}: expected {NAME_2D} and {NAME_3D}; "
            "predictions in an .npz or JSON file are given by the file's path"
        )
    return pair


def _read(path: Path) -> tuple[dict[str, Array], FileDigest]:
    content = read_bytes(path, "predictions")
    return read_mat(path, content), digest_of(path, content)


def _check_same_names(
    path_2d: Path, path_3d: Path, in_2d: dict[str, Array], in_3d: dict[str, Array]
) -> None:
    for path, other, lacking in (
        (path_2d, path_3d, in_3d.keys() - in_2d.keys()),
        (path_3d, path_2d, in_2d.keys() - in_3d.keys()),
    ):
        if lacking:
            raise InputError(
                f"{path}: {len(lacking)} variables of {other.name} are missing, the first is "
                f"{min(lacking)}: expected the same in both; a truncated file?"
            )


def _people(path: Path, name: str, value: Array | str, split: Split, width: int) -> Array:
    """Return the (N, K, width) float64 poses of a frame."""
    k = len(split.skeleton)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: variable {name} holds no numbers, expected people x {k} x {width}"
        )
    if not value.size:
        return np.zeros((0, k, width))
    # MATLAB has no arrays of one person only: its first dimension may be gone.
    people = value[None] if value.ndim == 2 else value
    if people.ndim == 3 and people.shape[1] != k and people.shape[2] == width:
        raise InputError(
            f"{path}: variable {name} has {people.shape[1]} joints, expected {k} "
            f"({split.skeleton.name}): predictions for another data set?"
        )
    if people.shape[1:] != (k, width):
        found = " x ".join(map(str, value.shape))
        raise InputError(f"{path}: variable {name} is {found}, expected people x {k} x {width}")
    return people.astype(np.float64)


def _check_points(
    path: Path, points: Array, names: list[str], counts: list[int], split: Split
) -> None:
    fault = first_fault(points)
    if fault is None:
        return
    row, joint, words = fault
    ends = np.cumsum(counts)
    frame = int(np.searchsorted(ends, row, "right"))
    person = row - int(ends[frame]) + counts[frame]
    raise InputError(
        f"{path}: variable {names[frame]}: {split.skeleton.keypoints[joint]} of person "
        f"{person + 1} of {counts[frame]} {words}"
    )
