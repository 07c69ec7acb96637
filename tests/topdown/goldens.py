"""The reference results of top-down post-processing, with their synthetic heatmaps made again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from crowdbench.datasets.split import Split
from crowdbench.skeletons import COCO_17, CROWDPOSE_14, Skeleton
from predictors.topdown.crop import Convention, Frames, frames_of
from predictors.topdown.merging import merging_of_i2r

INPUT = (256, 192)
HEATMAP = (64, 48)
IMAGE = (480, 640)


@dataclass(frozen=True)
class Golden:
    """One golden.json, and what it stands for."""

    content: dict[str, Any]
    convention: Convention
    skeleton: Skeleton
    sigmas: np.ndarray
    merges: bool

    @property
    def boxes(self) -> np.ndarray:
        return np.array([box["box_xywh"] for box in self.content["boxes"]["list"]])

    @property
    def frames(self) -> Frames:
        """Those of the boxes taken as detections."""
        return frames_of(self.boxes, INPUT, self.convention)

    def of_boxes(self, *keys: str) -> np.ndarray:
        """Return what is noted under these keys, of each box."""
        found = self.content["boxes"]["list"]
        for key in keys:
            found = [entry[key] for entry in found]
        return np.array(found)

    def heatmaps(self) -> torch.Tensor:
        """Return (6, K, 64, 48) float64, as ``heatmaps.how`` says."""
        seeds = re.findall(r"(?:PCG64|image_batch)\((\d+)", self.content["heatmaps"]["how"])
        drawn, noise = (np.random.Generator(np.random.PCG64(int(seed))) for seed in seeds)
        height, width = HEATMAP
        shape = (6, len(self.skeleton))
        cx = drawn.uniform(0, width - 1, shape)[..., None, None]
        cy = drawn.uniform(0, height - 1, shape)[..., None, None]
        amplitude = drawn.uniform(0.1, 1, shape)[..., None, None]
        grain = noise.standard_normal((*shape, height, width))
        squared = (np.arange(width) - cx) ** 2 + (np.arange(height)[:, None] - cy) ** 2
        maps = amplitude * np.exp(-squared / 8) + 0.01 * grain
        maps[0, 0] = -1 - np.abs(grain[0, 0])
        return torch.from_numpy(maps)


NAMES = ("hrnet-mipnet-coco", "mipnet-crowdpose", "i2r-crowdpose")


def read_golden(shared: Path, name: str) -> Golden:
    path = shared / "reference" / f"postprocess-{name}" / "golden.json"
    skeleton = COCO_17 if name == "hrnet-mipnet-coco" else CROWDPOSE_14
    sigmas = skeleton.sigma_array
    if name == "i2r-crowdpose":
        # Its constant for the head differs from the evaluator's.
        sigmas = merging_of_i2r(cast(Split, SimpleNamespace(skeleton=skeleton))).sigmas_for(
            skeleton
        )
    return Golden(
        content=json.loads(path.read_text()),
        convention="size-minus-one" if name == "i2r-crowdpose" else "classical",
        skeleton=skeleton,
        sigmas=sigmas,
        merges=name != "mipnet-crowdpose",
    )
