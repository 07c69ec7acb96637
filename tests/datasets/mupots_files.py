"""MuPoTS-3D's official layout and its COCO-style file, made small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array

K = len(MUPOTS_17)
Person = dict[str, Any]


def person(number: float, is_valid: float = 1, **changes: Any) -> Person:
    """Return a cell of annot.mat; all coordinates depend on `number`."""
    joints = number + 100.0 * np.arange(3 * K).reshape(3, K) ** 1.5 + 1000
    cell = {
        "annot2": number + np.arange(2.0 * K).reshape(2, K),
        "annot3": joints,
        "univ_annot3": joints * 1.25,
        "isValidFrame": np.float64(is_valid),
    }
    return cell | changes


def cells(rows: list[list[Any]]) -> Array:
    """Return a cell array of frames x persons."""
    table = np.empty((len(rows), len(rows[0])), object)
    for frame, row in enumerate(rows):
        for place, value in enumerate(row):
            table[frame, place] = value
    return table


def write_sequence(
    folder: Path, name: str, persons: list[list[Any]], labels: list[list[Any]] | None = None
) -> Path:
    """Write a sequence; return the path of its annot.mat. Without `labels` nothing is occluded."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    savemat(place / "annot.mat", {"annotations": cells(persons)})
    none = [[np.zeros((1, K)) for _ in row] for row in persons]
    savemat(place / "occlusion.mat", {"occlusion_labels": cells(labels or none)})
    return place / "annot.mat"


def coco_style(folder_cells: dict[str, list[list[Person]]]) -> dict[str, Any]:
    """Return the content of MuPoTS-3D.json for the persons of `write_sequence`, by sequence."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, rows in folder_cells.items():
        for frame, row in enumerate(rows):
            image = {"id": len(images), "file_name": f"{name}/img_{frame:06d}.jpg"}
            images.append(image | {"width": 1920, "height": 1080, "intrinsic": [1, 1, 0, 0]})
            annotations += [
                {
                    "id": len(annotations) + place,
                    "image_id": image["id"],
                    "bbox": [1, 2, 3, 4],
                    "keypoints_img": cell["annot2"].T.tolist(),
                    "keypoints_cam": cell["annot3"].T.tolist(),
                    "keypoints_vis": [1] * K,
                    "is_valid": int(cell["isValidFrame"]),
                }
                for place, cell in enumerate(row)
            ]
    return {"images": images, "annotations": annotations}
