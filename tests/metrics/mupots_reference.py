"""The reference sets of MuPoTS-3D: synthetic poses and the official evaluation's numbers."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crowdbench.datasets import load_own
from crowdbench.results_3d import read_poses_3d
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array, GroundTruth, Poses, Truth3D

SETS = ("main", "edge")
# Which of the files that hold a set is read: the annotations of the official layout or of 3DMPPE,
# with 3DMPPE's two .mat files of predictions; or both from the reference's own data.npz.
SOURCES = {"mat": "MultiPersonTestSet", "json": "MuPoTS-3D.json.gz", "npz": "data.npz"}
# The official code's names of the groups, by those that papers and crowdbench use.
GROUPS = {
    "Hd.": "Head", "Nck.": "Neck", "Sho.": "Shou", "Elb.": "Elbow", "Wri.": "Wrist",
    "Hip": "Hip", "Kn.": "Knee", "Ank.": "Ankle",
}  # fmt: skip


class Reference(NamedTuple):
    """A reference set.

    Attributes:
        truth: with both kinds of 3D joints; person ids are the annotation ids of the JSON file.
        poses: those to be matched.
        expected: the content of ``expected.json``.
        folder: where its files are.
    """

    truth: GroundTruth
    poses: Poses
    expected: dict[str, Any]
    folder: Path

    @property
    def sequences(self) -> tuple[str, ...]:
        assert self.truth.pose3d is not None
        return self.truth.pose3d.sequences


@functools.cache
def load_reference(shared: Path, name: str, source: str = "npz") -> Reference:
    """Return the set ``main`` or ``edge``, from one of `SOURCES`."""
    folder = shared / "reference" / "mupots" / name
    expected = json.loads((folder / "expected.json").read_text())
    if source == "npz":
        return Reference(*_from_npz(folder / SOURCES[source]), expected, folder)
    split = load_own(folder / SOURCES[source], MUPOTS_17)
    assert split.truth is not None
    return Reference(split.truth, read_poses_3d(folder, split).poses, expected, folder)


def _from_npz(path: Path) -> tuple[GroundTruth, Poses]:
    """Return what the reference's own file holds, read without crowdbench's readers."""
    with np.load(path) as data:
        arrays = {key: data[key] for key in data.files}
    n_frames, n_slots = arrays["isValidFrame"].shape
    # Columns beyond the persons of a sequence are padding.
    is_person = np.arange(n_slots) < arrays["person_slots"][:, None]
    image = np.nonzero(is_person)[0]
    n = len(image)

    def of_persons(key: str) -> Array:
        return arrays[key][is_person].astype(np.float64)

    visibility = 2 - of_persons("occlusion")
    truth = GroundTruth(
        image_ids=np.arange(n_frames),
        image_index=image,
        keypoints=np.concatenate([of_persons("annot2"), visibility[..., None]], 2),
        boxes=np.zeros((n, 4)),
        areas=np.zeros(n),
        is_crowd=np.zeros(n, bool),
        is_ignored=of_persons("isValidFrame") == 0,
        person_ids=np.arange(n),
        pose3d=Truth3D(
            of_persons("annot3"),
            of_persons("univ_annot3"),
            tuple(f"TS{i + 1}" for i in range(int(arrays["frame_sequence"].max()))),
            arrays["frame_sequence"].astype(np.int64) - 1,
        ),
    )
    frame = np.repeat(np.arange(n_frames), arrays["pred_count"])
    return truth, poses_in_space(arrays["pred_2d"], arrays["pred_3d"], frame)


def poses_in_space(
    keypoints: Array, joints_mm: Array, image_index: Array, person_ids: Array | None = None
) -> Poses:
    """Return poses of which nothing matters but where their joints are."""
    n = len(image_index)
    return Poses(
        image_index=np.asarray(image_index),
        keypoints=np.asarray(keypoints, np.float64),
        keypoint_scores=np.ones((n, 17)),
        scores=np.ones(n),
        box_index=np.full(n, -1),
        instance=np.zeros(n, np.int64),
        joints_mm=np.asarray(joints_mm, np.float64),
        person_ids=person_ids,
    )


def load_paired(reference: Reference) -> Poses:
    """Return the poses of ``paired.npz``, each made for one annotation of the set ``main``."""
    with np.load(reference.folder / "paired.npz") as data:
        ids, joints = data["annotation_id"].astype(np.int64), data["pred_cam"]
    return poses_in_space(
        np.zeros((len(ids), 17, 2)), joints, reference.truth.image_index[ids], ids
    )


def of_frames(values: Array, truth: GroundTruth, persons: Array) -> dict[str, list[Any]]:
    """Return values of persons as ``expected.json`` lists them: by sequence and frame.

    A frame without an evaluated person has None.

    Args:
        values: (N,) of the evaluated persons.
        truth: the split.
        persons: (N,) their rows.
    """
    assert truth.pose3d is not None
    found: dict[str, list[Any]] = {name: [] for name in truth.pose3d.sequences}
    for image, sequence in enumerate(truth.pose3d.sequence_index):
        here = values[truth.image_index[persons] == image].tolist()
        found[truth.pose3d.sequences[sequence]].append(here or None)
    return found
