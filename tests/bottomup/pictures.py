"""Pictures with nobody known in them, for predictors that need no boxes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from crowdbench.datasets import load_own
from crowdbench.datasets.split import Split
from crowdbench.running.feeding import feeding, parts_of
from crowdbench.running.returned import join_batches, predict_batch
from crowdbench.skeletons import load_skeleton
from crowdbench.structures import Array, Poses
from predictors.bottomup.predictor import BottomUp


def noise(height: int, width: int, seed: int = 5) -> Array:
    """Return (height, width, 3) uint8 RGB: soft coloured spots."""
    rng = np.random.default_rng([seed, height, width])
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    pixels: Array = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return pixels


def write_pictures(folder: Path, pictures: Sequence[Array], skeleton: str = "coco-17") -> Path:
    """Write images with one annotated person each; return the annotation file beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    n_keypoints = len(load_skeleton(skeleton))
    for i, pixels in enumerate(pictures, 1):
        height, width = pixels.shape[:2]
        cv2.imwrite(str(folder / f"{i}.png"), pixels[..., ::-1])
        images.append({"id": i, "file_name": f"{i}.png", "width": width, "height": height})
        points = np.random.default_rng(i).uniform(0, (width, height), (n_keypoints, 2))
        keypoints = np.column_stack([points, np.full(n_keypoints, 2)]).ravel().tolist()
        persons.append(
            {
                "id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "keypoints": keypoints,
                "bbox": [0, 0, width, height], "area": width * height,
                "num_keypoints": n_keypoints,
            }
        )  # fmt: skip
    path = folder / "annotations.json"
    categories = [{"id": 1, "name": "person"}]
    path.write_text(
        json.dumps({"images": images, "annotations": persons, "categories": categories})
    )
    return path


def split_of(folder: Path, pictures: Sequence[Array], skeleton: str = "coco-17") -> Split:
    """Return pictures, written into a folder, as a split."""
    path = write_pictures(folder, pictures, skeleton)
    return load_own(path, load_skeleton(skeleton)).with_images_in(folder)


def raise_points(predictor: BottomUp) -> None:
    """Let a network see people in noise, by the bias of its last layers of heatmaps."""
    for name, layer in predictor.network_there.named_modules():
        if name.endswith(("heatmap_head", "detkptmap_head", "head_heatmap.1")):
            assert layer.bias is not None
            torch.nn.init.constant_(layer.bias, 0.3)  # type: ignore[arg-type]


def poses_in(predictor: BottomUp, split: Split, size: int | None = None) -> Poses:
    parts = parts_of(0, len(split.images), None, size, whole_images=False)
    with feeding(predictor, split, None, parts, 0) as batches:
        n_keypoints = len(split.skeleton)
        return join_batches([predict_batch(predictor, fed) for fed in batches], n_keypoints)
