"""Small crowds made by chance, to score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.command import Crowdbench, replay


def write_crowd(folder: Path, n_images: int = 60) -> None:
    """Write ``truth.json`` and poses of its persons, in ``good.json`` and two that are worse."""
    rng = np.random.default_rng(0)
    persons: list[dict[str, Any]] = []
    poses: dict[str, list[dict[str, Any]]] = {"good": [], "slightly": [], "bad": []}
    for image_id in range(1, n_images + 1):
        for _ in range(rng.integers(2, 6)):
            joints = rng.uniform(0, 100, (17, 2)) + rng.uniform(0, 200, 2)
            low, size = joints.min(0), np.ptp(joints, axis=0)
            box = [*low.tolist(), *size.tolist()]
            about = {"image_id": image_id, "category_id": 1, "bbox": box}
            persons.append(
                {
                    **about,
                    "id": len(persons) + 1,
                    "iscrowd": 0,
                    "area": float(size.prod()),
                    "num_keypoints": 17,
                    "keypoints": np.c_[joints, np.full(17, 2)].ravel().tolist(),
                }
            )
            error = rng.normal(0, rng.gamma(2, 2), (17, 2))
            other = rng.normal(0, 1, (17, 2))
            score = float(rng.uniform(0.1, 1))
            for name, moved in (
                ("good", joints + error),
                ("slightly", joints + error + other),
                ("bad", joints + 2 * error),
            ):
                keypoints = np.c_[moved, np.ones(17)].ravel().tolist()
                poses[name].append({**about, "keypoints": keypoints, "score": score})
    images = [
        {"id": i, "file_name": f"{i}.jpg", "width": 320, "height": 320}
        for i in range(1, n_images + 1)
    ]
    categories = [{"id": 1, "name": "person"}]
    truth = {"images": images, "annotations": persons, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(truth))
    for name, found in poses.items():
        (folder / f"{name}.json").write_text(json.dumps(found))


def score(crowdbench: Crowdbench, folder: Path, name: str, *more: str, output: str = "") -> None:
    """Score one of these poses into a folder of its name."""
    arguments = replay(
        folder / "truth.json", folder / f"{name}.json", "--output", output or name,
        "--conditions", "detector-confidence", "--bootstrap", "100", "-q", *more,
    )  # fmt: skip
    done = crowdbench(*arguments)
    assert done.returncode == 0, done.stderr
