"""A small 3D split of three sequences, and poses for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from crowdbench.datasets.split import Split
from crowdbench.files import FileDigest
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array, GroundTruth, Images, Poses, Truth3D

K = len(MUPOTS_17)
# Ids are not rows, and files not in the order of their names.
IDS = np.array([10, 11, 20, 30])
FRAMES = ("TS1_img_000000", "TS1_img_000001", "TS2_img_000000", "TS10_img_000000")
FILES = tuple(f"{name.replace('_', '/', 1)}.jpg" for name in FRAMES)
# Two persons in each image, the ids of whom are not ascending.
PERSON_IDS = np.array([107, 106, 105, 104, 103, 102, 101, 100])
CAMERA = (1500.0, 1400.0, 960.0, 540.0)


def people(n: int, seed: int = 0) -> tuple[Array, Array]:
    """Return (n, K, 2) keypoints and (n, K, 3) joints, mm, of the size of people."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform((-500, -500, 3500), (500, 500, 4500), (n, K, 3))
    return project(joints), joints


def project(joints: Array) -> Array:
    fx, fy, cx, cy = CAMERA
    x, y, z = np.moveaxis(joints, -1, 0)
    return np.stack([x / z * fx + cx, y / z * fy + cy], -1)


def split(limit: int | None = None) -> Split:
    keypoints, joints = people(len(PERSON_IDS))
    image_index = np.repeat(np.arange(len(IDS)), 2)
    n = len(image_index)
    truth = GroundTruth(
        IDS,
        image_index,
        np.concatenate([keypoints, np.full((n, K, 1), 2.0)], 2),
        np.tile([0.0, 0, 100, 100], (n, 1)),
        np.full(n, 1e4),
        np.zeros(n, bool),
        np.zeros(n, bool),
        PERSON_IDS,
        pose3d=Truth3D(joints, joints, ("TS1", "TS2", "TS10"), np.array([0, 0, 1, 2])),
    )
    whole = Split(
        "small",
        MUPOTS_17,
        "annotation",
        Images(IDS, FILES, np.zeros((len(IDS), 2), np.int64)),
        truth,
        1,
        FileDigest("truth.json", "0" * 64, 1),
        Path("truth.json"),
        IDS,
    )
    return whole.first_images(limit)


def poses(image_index: list[int], person_ids: list[int] | None = None) -> Poses:
    """Return poses of people, in the given images."""
    n = len(image_index)
    keypoints, joints = people(n, seed=1)
    return Poses(
        np.array(image_index, np.int64),
        keypoints,
        np.ones((n, K)),
        np.linspace(0.5, 1, n),
        np.full(n, -1),
        np.zeros(n, np.int64),
        joints_mm=joints,
        person_ids=None if person_ids is None else np.array(person_ids),
    )


def entries(n: int = 4) -> list[dict[str, Any]]:
    """Return `n` poses as a JSON list has them, all of the first image."""
    keypoints, joints = people(n)
    return [
        {
            "image_id": 10,
            "keypoints_img": keypoints[i].tolist(),
            "keypoints_cam": joints[i].tolist(),
        }
        for i in range(n)
    ]


def annotated() -> dict[str, Any]:
    """Return an annotation file with a pose beside each of the split's persons, in its order."""
    truth = split().truth
    assert truth is not None
    assert truth.pose3d is not None
    _, joints = people(len(PERSON_IDS), seed=1)
    return {
        "images": [
            # Ids of its own.
            {"id": 1000 + row, "file_name": file, "intrinsic": CAMERA}
            for row, file in enumerate(FILES)
        ],
        "annotations": [
            {
                "id": int(PERSON_IDS[i]),
                "image_id": 1000 + int(truth.image_index[i]),
                "keypoints_cam": truth.pose3d.joints_mm[i].tolist(),
                "keypoints_cam_posenet": joints[i].tolist(),
            }
            for i in range(len(PERSON_IDS))
        ],
    }


def annotations() -> dict[str, Any]:
    """Return the split as a file like ``MuPoTS-3D.json``."""
    truth = split().truth
    assert truth is not None
    assert truth.pose3d is not None
    return {
        "images": [
            {"id": int(id_), "file_name": file, "width": 1920, "height": 1080}
            for id_, file in zip(IDS, FILES, strict=True)
        ],
        "annotations": [
            {
                "id": int(PERSON_IDS[i]),
                "image_id": int(IDS[truth.image_index[i]]),
                "bbox": truth.boxes[i].tolist(),
                "keypoints_img": truth.keypoints[i, :, :2].tolist(),
                "keypoints_cam": truth.pose3d.joints_mm[i].tolist(),
                "keypoints_vis": [1] * K,
                "is_valid": 1,
            }
            for i in range(len(PERSON_IDS))
        ],
    }


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def frames(counts: dict[str, int]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the variables of the two .mat files, with so many people in each frame."""
    found: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for seed, (name, n) in enumerate(counts.items()):
        found[0][name], found[1][name] = people(n, seed)
    return found


def write_pair(folder: Path, in_2d: dict[str, Any], in_3d: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    scipy.io.savemat(folder / "preds_2d_kpt_mupots.mat", in_2d)
    scipy.io.savemat(folder / "preds_3d_kpt_mupots.mat", in_3d)
    return folder


def write_npz(path: Path, counts: dict[int | str, int] | None = None, **changes: Any) -> Path:
    """Write poses by frame, of the images with these ids; None as a change removes the key."""
    counts = {10: 2, 30: 1, 11: 0} if counts is None else counts
    keypoints, joints = people(sum(counts.values()))
    arrays = {
        "image_id": np.array(list(counts)),
        "pred_count": np.array(list(counts.values())),
        "pred_2d": keypoints,
        "pred_3d": joints,
    } | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def write_paired_npz(path: Path, **changes: Any) -> Path:
    """Write a pose for each of three annotations; None as a change removes the key."""
    keypoints, joints = people(3)
    arrays = {
        "annotation_id": np.array([100, 107, 105]),
        "pred_cam": joints,
        "pred_img": keypoints,
    } | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path
