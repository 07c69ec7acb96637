"""3D poses written as JSON, and for MuPoTS-3D as 3DMPPE's pair of .mat files, too."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from crowdbench.datasets.split import Split
from crowdbench.files import collector_paused, write_atomically
from crowdbench.results_3d.file_poses import NOBODY, frame_name
from crowdbench.results_3d.json_list import Result3D
from crowdbench.results_3d.mat_files import NAME_2D, NAME_3D
from crowdbench.structures import Array, Poses

NAME_JSON = "predictions.json"
# Entries are turned into JSON this many at a time, so that few Python objects exist at once.
_BLOCK = 256
# The first bytes of a .mat file are a text, in which scipy puts the time.
_HEADER = b"MATLAB 5.0 MAT-file, written by crowdbench".ljust(116)


@collector_paused()
def write_poses_3d(folder: Path, poses: Poses, split: Split) -> None:
    """Write 3D poses: same poses, same bytes; every file whole or not at all.

    ``predictions.json`` has one entry per pose, in their order. Where all images are frames of
    MuPoTS-3D, ``preds_2d_kpt_mupots.mat`` and ``preds_3d_kpt_mupots.mat`` hold the same in 3DMPPE's
    layout, with a variable for every frame of the split, of 0 people where there are no poses: the
    official script stops at a frame without one.

    Args:
        folder: gets the files.
        poses: with 3D joints, or none at all.
        split: what they are of.
    """
    write_atomically(
        folder / NAME_JSON, lambda file: file.writelines(_encoded_blocks(poses, split))
    )
    frames = [name for name in map(frame_name, split.images.file_names) if name is not None]
    if len(frames) < len(split.images):
        return
    joints = _joints(poses)
    ends = np.searchsorted(poses.image_index, np.arange(len(frames)), "right")[:-1]
    for name, values in ((NAME_2D, poses.keypoints), (NAME_3D, joints)):
        write_mat(folder / name, dict(zip(frames, np.split(values, ends), strict=True)))


def _joints(poses: Poses) -> Array:
    if poses.joints_mm is not None:
        return poses.joints_mm
    assert not len(poses)
    return np.zeros((0, poses.keypoints.shape[1], 3))


def _encoded_blocks(poses: Poses, split: Split) -> Iterator[bytes]:
    """Yield the bytes of the JSON list, block by block."""
    yield b"["
    for start in range(0, len(poses), _BLOCK):
        block = poses.take(slice(start, start + _BLOCK))
        nothing = [None] * len(block)
        ids = nothing if block.person_ids is None else block.person_ids.tolist()
        entries = [
            Result3D(
                image_id=int(split.images.ids[row]),
                file_name=split.images.file_names[row],
                keypoints_img=keypoints,
                keypoints_cam=joints,
                score=score,
                bbox=box,
                bbox_score=box_score,
                annotation_id=None if person_id == NOBODY else person_id,
            )
            for row, keypoints, joints, score, box, box_score, person_id in zip(
                block.image_index.tolist(),
                block.keypoints.tolist(),
                _joints(block).tolist(),
                block.scores.tolist(),
                nothing if block.boxes is None else block.boxes.tolist(),
                nothing if block.box_scores is None else block.box_scores.tolist(),
                ids,
                strict=True,
            )
        ]
        yield (b"," if start else b"") + msgspec.json.encode(entries)[1:-1]
    yield b"]\n"


def write_mat(path: Path, variables: dict[str, Array]) -> None:
    """Write a .mat file of version 5 whose bytes depend on the variables alone."""
    from scipy.io import savemat

    content = io.BytesIO()
    savemat(content, variables, do_compression=True)  # type: ignore[arg-type]
    write_atomically(path, lambda file: file.write(_HEADER + content.getvalue()[len(_HEADER) :]))
