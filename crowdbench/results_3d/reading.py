"""3D poses from files of all kinds that are known, put onto a split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crowdbench.datasets.split import Split
from crowdbench.errors import InputError
from crowdbench.files import FileDigest, digest_of, read_bytes
from crowdbench.results_3d.file_poses import FilePoses
from crowdbench.results_3d.json_annotations import read_annotated
from crowdbench.results_3d.json_list import read_list
from crowdbench.results_3d.mat_files import is_of_pair, read_pair
from crowdbench.results_3d.npz_files import read_npz
from crowdbench.structures import Array, Poses

# Bones of people are centimetres long at least: what is shorter is in another unit.
_LEAST_BONE_MM = 10.0


class Results3D(NamedTuple):
    """Poses of a file, what was noticed on the way, and what was read.

    Attributes:
        poses: those of the split's images.
        notes: oddities that were tolerated, in words.
        digests: of the files, by role.
    """

    poses: Poses
    notes: tuple[str, ...]
    digests: Mapping[str, FileDigest]


def read_poses_3d(path: Path, split: Split, ignore_unknown: bool = False) -> Results3D:
    """Return the poses of 3D predictions that belong to the split.

    By what the path is: a folder with 3DMPPE's two .mat files, or one of these
    (`crowdbench.results_3d.mat_files`); an .npz file (`crowdbench.results_3d.npz_files`); any other
    is read as JSON, a list (`crowdbench.results_3d.json_list`) or an object
    (`crowdbench.results_3d.json_annotations`).

    Args:
        path: the file or folder.
        split: a 3D split.
        ignore_unknown: leave out poses of images that the split does not have instead of refusing
            the file.

    Returns:
        Poses by image, those of an image in the file's order. Where the file has no scores they
        are 1.

    Raises:
        MissingError: if the file is not there.
        InputError: naming the place, what was found and what was expected.
    """
    digests: Mapping[str, FileDigest]
    if is_of_pair(path):
        found, digests = read_pair(path, split, ignore_unknown)
    else:
        content = read_bytes(path, "predictions")
        read = read_list
        if path.suffix == ".npz":
            read = read_npz
        elif content.lstrip()[:1] == b"{":
            read = read_annotated
        found = read(path, content, split, ignore_unknown)
        digests = {"predictions": digest_of(path, content)}
    poses = _poses(found)
    _check_units(path, poses, split)
    return Results3D(poses, found.notes + _notes_on_missing(poses.image_index, split), digests)


def _poses(found: FilePoses) -> Poses:
    """Return the poses that are not left out, by image."""
    order = np.argsort(found.image_index, kind="stable")
    rows = order[found.image_index[order] >= 0]

    def taken(values: Array | None) -> Array | None:
        return None if values is None else values[rows]

    n, k = len(rows), found.keypoints.shape[1]
    return Poses(
        image_index=found.image_index[rows],
        keypoints=found.keypoints[rows],
        keypoint_scores=np.ones((n, k)),
        scores=np.ones(n) if found.scores is None else found.scores[rows],
        box_index=np.full(n, -1),
        instance=np.zeros(n, np.int64),
        boxes=taken(found.boxes),
        box_scores=taken(found.box_scores),
        joints_mm=found.joints_mm[rows],
        person_ids=taken(found.person_ids),
    )


def _check_units(path: Path, poses: Poses, split: Split) -> None:
    """Refuse joints in metres, and keypoints as fractions of the image."""
    joints, keypoints = poses.joints_mm, poses.keypoints
    assert joints is not None
    with np.errstate(over="ignore"):
        bones = joints - joints[:, list(split.skeleton.parents)]
        lengths = np.sqrt((bones**2).sum(2))
    lengths = lengths[lengths > 0]
    if len(lengths) and (median := float(np.median(lengths))) < _LEAST_BONE_MM:
        raise InputError(
            f"{path}: the median length of the predicted bones is {median:.3g}, so the poses look "
            "like metres: expected millimetres, multiply them by 1000"
        )
    if keypoints.any() and keypoints.min() >= 0 and keypoints.max() <= 1:
        raise InputError(
            f"{path}: all 2D keypoints lie between 0 and 1, so they look like fractions of the "
            "image: expected pixels, multiply them by its width and height"
        )


def _notes_on_missing(image_index: Array, split: Split) -> tuple[str, ...]:
    """Return notes on sequences and images without poses."""
    has_poses = np.bincount(image_index, minlength=len(split.images)) > 0
    notes = []
    if split.truth is not None and split.truth.pose3d is not None:
        space = split.truth.pose3d
        n = np.bincount(space.sequence_index, minlength=len(space.sequences))
        n_filled = np.bincount(space.sequence_index[has_poses], minlength=len(space.sequences))
        missing = np.flatnonzero((n > 0) & (n_filled == 0))
        if len(missing):
            named = ", ".join(f"{space.sequences[i]} ({n[i]} frames)" for i in missing)
            notes.append(
                f"no predictions for {named}: the persons there count as missed in `all`; "
                "`matched` has no value there and is averaged over the other sequences"
            )
    if not has_poses.all():
        notes.append(f"{int((~has_poses).sum())} of {len(has_poses)} images have no predictions")
    return tuple(notes)
