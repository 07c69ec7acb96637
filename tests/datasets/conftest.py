"""Small annotation files to load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]

# The native order of OCHuman's keypoints.
NATIVE_KEYPOINTS = [
    "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head", "neck",
    "right_ear", "left_ear", "nose", "right_eye", "left_eye",
]  # fmt: skip


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Function that writes a value as JSON to a place under the data root `tmp_path`."""

    def write(place: str, value: Any) -> Path:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
        return path

    return write


@pytest.fixture
def coco() -> Callable[..., Json]:
    """Function that makes a COCO-format file: two persons, a crowd and an unlabelled one.

    Images 7, 8 and 9; nobody in the last. Person 3 comes before person 1 of the same image.
    """

    def make(k: int = 17, **images: Any) -> Json:
        def person(n: int, image: int, labelled: int, crowd: int = 0) -> Json:
            return {
                "id": n,
                "image_id": image,
                "category_id": 1,
                "bbox": [n, n, 20, 30],
                "area": 300,
                "iscrowd": crowd,
                "keypoints": [n, n, 2] * labelled + [0, 0, 0] * (k - labelled),
                "num_keypoints": labelled,
            }

        return {
            "images": [
                {"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} | images
                for i in (8, 7, 9)
            ],
            "annotations": [
                person(2, 8, 4),
                person(3, 7, k),
                person(1, 7, k),
                person(4, 7, 0),
                person(5, 8, 0, crowd=1),
            ],
            "categories": [{"id": 1, "name": "person", "keypoints": [str(i) for i in range(k)]}],
        }

    return make


@pytest.fixture
def native_person() -> Callable[..., Json]:
    """Function that makes a person of OCHuman's native file; joint i is at (i, 100 + i)."""

    def make(**changes: Any) -> Json:
        keypoints = [value for i in range(19) for value in (i, 100 + i, 1 + i % 3)]
        person = {"bbox": [10, 20, 40, 80], "keypoints": keypoints, "segms": {"outer": [[1, 2]]}}
        return person | {"max_iou": 0.6} | changes

    return make


@pytest.fixture
def native() -> Callable[..., Json]:
    """Function that makes OCHuman's native file from the lists of persons of its images."""

    def make(*persons: list[Json], **changes: Any) -> Json:
        return {
            "keypoint_names": NATIVE_KEYPOINTS,
            "keypoint_visible": {"missing": 0, "vis": 1, "self_occluded": 2, "others_occluded": 3},
            "images": [
                {
                    "image_id": f"{i:06}",
                    "file_name": f"{i:06}.jpg",
                    "width": 640,
                    "height": 480,
                    "annotations": list(some),
                }
                for i, some in enumerate(persons, 1)
            ],
        } | changes

    return make
