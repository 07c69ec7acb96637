"""A picture by hand, and SynthCrowd cut to a few images."""

from __future__ import annotations

import numpy as np
import pytest

from crowdbench.datasets.manifest import Manifest
from crowdbench.datasets.synthcrowd.picture import Intrinsics, People, Picture
from tests.datasets.synthcrowd.small import cut


@pytest.fixture
def picture() -> Picture:
    """Three rectangles: one whole, one that it covers by half, one covered but for a sliver.

    All keypoints of a person are in the middle of its box; the last three are outside of the image.
    """
    rectangles = [(40, 20, 40, 100), (60, 20, 40, 100), (140, 50, 20, 100)]
    silhouettes = np.zeros((3, 160, 200), bool)
    for mask, (x, y, w, h) in zip(silhouettes, rectangles, strict=True):
        mask[y : y + h, x : x + w] = True
    visible = silhouettes.copy()
    visible[1] &= ~silhouettes[0]
    visible[2, :, :159] = False
    boxes = np.array(rectangles, float)
    keypoints = np.full((3, 17, 3), 2.0)
    keypoints[:, :, :2] = (boxes[:, :2] + boxes[:, 2:] / 2 + 1 / 3)[:, None]
    keypoints[:, -3:] = 0
    areas = silhouettes.sum((1, 2)).astype(float)
    people = People(
        keypoints=keypoints,
        crowdpose=keypoints[:, :14].copy(),
        joints_mm=np.full((3, 17, 3), 1234.5678),
        joint_visibility=np.full((3, 17), 2),
        boxes=boxes,
        areas=areas,
        silhouettes=silhouettes,
        visible=visible,
        visible_fractions=visible.sum((1, 2)) / areas,
        actions=("walking", "sitting", "waving"),
    )
    return Picture(np.zeros((160, 200, 3), np.uint8), people, Intrinsics(280.123456, 99.5, 79.5))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """SynthCrowd's facts with four images in each split, for this test the only ones known."""
    return cut(monkeypatch, 4)
