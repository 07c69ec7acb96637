"""Mistakes that a gate must catch, planted into `mipnet-tiny`; the signature stays its own.

``crowdbench run --predictor tests/gate/planted.py:HalfPixelOff --weights mipnet-tiny.safetensors``
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from crowdbench.predictor import Batch
from crowdbench.structures import Poses
from predictors.mipnet import Tiny
from predictors.topdown.predictor import Found, Persons


class LeftRightSwap(Tiny):
    """Takes left for right in 5 % of the boxes."""

    def predict(self, batch: Batch) -> Poses:
        poses = super().predict(batch)
        assert poses.boxes is not None
        # By its box alone: the choice must not depend on the batch.
        mix = poses.image_index * 7919 + np.round(poses.boxes * 100).astype(np.int64).sum(1)
        swapped = np.flatnonzero(mix % 20 == 0)
        mirror = self.skeleton.partners
        keypoints = poses.keypoints.copy()
        keypoints[swapped] = keypoints[swapped][:, mirror]
        return replace(poses, keypoints=keypoints)


class HalfPixelOff(Tiny):
    """Finds every keypoint half a pixel of the heatmap too far to the right and too low."""

    def find(self, persons: Persons) -> Found:
        found = super().find(persons)
        return found._replace(points=found.points + 0.5)


def write_int8_weights(source: Path, target: Path) -> None:
    """Write weights rounded to 255 levels, carelessly: one scale for all layers."""
    from safetensors.numpy import load_file, save_file

    weights = load_file(source)
    layers = {name: values for name, values in weights.items() if values.ndim > 1}
    step = max(float(np.abs(values).max()) for values in layers.values()) / 127
    rounded = {name: (np.round(v / step) * step).astype(v.dtype) for name, v in layers.items()}
    save_file(weights | rounded, target)
