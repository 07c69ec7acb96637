"""The reference results of bottom-up post-processing, and plain versions of its rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crowdbench.skeletons import CROWDPOSE_14
from crowdbench.structures import Poses
from predictors.bottomup.found import Found
from predictors.bottomup.resize import to_image_points

MIRROR = torch.tensor(CROWDPOSE_14.partners)
IMAGE, RESIZED = (240, 290), (256, 320)


def read_golden(shared: Path, name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return golden.json and, as float64, the maps of the post-processing of that name."""
    folder = shared / "reference" / f"postprocess-{name}"
    with np.load(folder / "inputs.npz") as maps:
        inputs = {key: torch.from_numpy(maps[key]).double() for key in maps.files}
    return json.loads((folder / "golden.json").read_text()), inputs


def poses_of(found: Found) -> Poses:
    """Return the people found as candidates of one image, in pixels of the goldens' image."""
    n = len(found.scores)
    points = to_image_points(found.points, IMAGE, RESIZED)
    return Poses(
        image_index=np.zeros(n, np.int64),
        keypoints=points,
        keypoint_scores=found.keypoint_scores,
        scores=found.scores,
        box_index=np.full(n, -1),
        instance=np.zeros(n, np.int64),
        areas=np.ptp(points, axis=1).prod(axis=1),
        ranks=found.ranks,
    )


def joined_with_scores(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return (n, J, 3) x, y, score, as the goldens list them."""
    return np.concatenate([points, scores[..., None]], axis=-1)


def difference(values: np.ndarray | torch.Tensor, golden: dict[str, Any]) -> float:
    """Return how far statistics and samples of an array are from those noted."""
    found = np.asarray(values)
    assert list(found.shape) == golden["shape"]
    ours = [found.mean(), found.std(), found.min(), found.max()]
    ours += found.reshape(-1)[golden["indices"]].tolist()
    theirs = [golden[key] for key in ("mean", "std", "min", "max")] + golden["values"]
    return float(np.abs(np.subtract(ours, theirs)).max())


def people(n: int, height: int, width: int, n_channels: int, seed: int = 0) -> torch.Tensor:
    """Return (n_channels, height, width) float64 maps, each with n bumps at random places."""
    drawn = np.random.default_rng(seed)
    x, y = drawn.uniform(0, (width, height), (n_channels, n, 2)).transpose(2, 0, 1)[..., None, None]
    squared = (np.arange(width) - x) ** 2 + (np.arange(height)[:, None] - y) ** 2
    bumps = drawn.uniform(0.1, 1, (n_channels, n, 1, 1)) * np.exp(-squared / 8)
    return torch.from_numpy(bumps.max(axis=1))
