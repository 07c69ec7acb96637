"""A small 3D split with its predictions, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from crowdbench.structures import Array

# A person that stands: mm from the pelvis, x right, y down, z away.
STANDING = np.array(
    [
        [0, -700, 0], [0, -450, 0], [-180, -450, 0], [-200, -200, 0], [-200, 50, 0],
        [180, -450, 0], [200, -200, 0], [200, 50, 0], [-100, 0, 0], [-110, 400, 0],
        [-110, 800, 0], [100, 0, 0], [110, 400, 0], [110, 800, 0], [0, 0, 0], [0, -220, 0],
        [0, -600, 0],
    ],
    float,
)  # fmt: skip
_FOCAL, _CENTRE = 1000.0, 960.0
# Sequence and frame of each image, and where its persons stand, mm.
FRAMES = (
    ("TS1", 0, ((-600, 0, 3500), (600, 0, 4500))),
    ("TS1", 1, ((-600, 0, 3500),)),
    ("TS2", 0, ((0, 0, 7000),)),
)
OCCLUDED = 4  # of every first person, by joint


def project(joints: Array) -> Array:
    """Return (..., 2) pixels."""
    return joints[..., :2] / joints[..., 2:] * _FOCAL + _CENTRE


def write_annotations(folder: Path) -> Path:
    """Write a file like MuPoTS-3D.json, whose persons are not there in a common body size."""
    images: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    for image, (sequence, frame, roots) in enumerate(FRAMES):
        name = f"{sequence}/img_{frame:06d}.jpg"
        images.append({"id": image, "file_name": name, "width": 1920, "height": 1920})
        for place, root in enumerate(roots):
            joints = STANDING + np.array(root, float)
            visible = [0 if place == 0 and joint == OCCLUDED else 1 for joint in range(17)]
            persons.append(
                {
                    "id": len(persons), "image_id": image, "is_valid": 1,
                    "keypoints_cam": joints.tolist(), "keypoints_img": project(joints).tolist(),
                    "keypoints_vis": visible,
                }
            )  # fmt: skip
    path = folder / "MuPoTS-3D.json"
    path.write_text(json.dumps({"images": images, "annotations": persons}))
    return path


def exact_poses() -> list[dict[str, Any]]:
    """Return a pose equal to the truth for every person, with boxes of scores 0.9, 0.8 ..."""
    found: list[dict[str, Any]] = []
    for image, (_, _, roots) in enumerate(FRAMES):
        for root in roots:
            joints = STANDING + np.array(root, float)
            points = project(joints)
            low, high = points.min(0), points.max(0)
            found.append(
                {
                    "image_id": image, "keypoints_cam": joints.tolist(),
                    "keypoints_img": points.tolist(), "bbox": [*low, *(high - low)],
                    "bbox_score": round(0.9 - 0.1 * len(found), 1),
                }
            )  # fmt: skip
    return found


def write_poses(path: Path, poses: list[dict[str, Any]]) -> Path:
    """Write predictions in crowdbench's own JSON."""
    path.write_text(json.dumps(poses))
    return path
