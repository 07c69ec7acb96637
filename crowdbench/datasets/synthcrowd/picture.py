"""What one scene gives: the image and the truth about its people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crowdbench.structures import Array


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera: x = focal * X / Z + centre_x, and y likewise, in pixels."""

    focal: float
    centre_x: float
    centre_y: float


@dataclass(frozen=True)
class People:
    """The truth about the P persons of an image, from its geometry and its depth buffer.

    A person's silhouette is all of the body that lies inside the image, also where something is in
    front of it; keypoints are labelled wherever they lie in the image.

    Attributes:
        keypoints: (P, 17, 3) float64 COCO's keypoints: x, y in pixels of the image; 2 visible, 1
            occluded (by anything, the own body too), 0 outside of the image (x and y are 0 then).
        crowdpose: (P, 14, 3) float64 CrowdPose's keypoints, likewise.
        joints_mm: (P, 17, 3) float64 MuPoTS' joints in millimetres, camera axes: x right, y down,
            z forward.
        joint_visibility: (P, 17) int64 0, 1 or 2 of those joints, as for keypoints.
        boxes: (P, 4) float64 xywh around the silhouettes, pixels.
        areas: (P,) float64 px² of the silhouettes.
        silhouettes: (P, H, W) bool.
        visible: (P, H, W) bool the visible part of each silhouette.
        visible_fractions: (P,) float64 visible part of the silhouette.
        actions: P words, e.g. ``walking``.
    """

    keypoints: Array
    crowdpose: Array
    joints_mm: Array
    joint_visibility: Array
    boxes: Array
    areas: Array
    silhouettes: Array
    visible: Array
    visible_fractions: Array
    actions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: Array) -> People:
        """Return the persons at `rows`."""
        return People(
            self.keypoints[rows],
            self.crowdpose[rows],
            self.joints_mm[rows],
            self.joint_visibility[rows],
            self.boxes[rows],
            self.areas[rows],
            self.silhouettes[rows],
            self.visible[rows],
            self.visible_fractions[rows],
            tuple(self.actions[row] for row in np.arange(len(self))[rows]),
        )


@dataclass(frozen=True)
class Picture:
    """An image and the truth about it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        people: the persons; at least one.
        intrinsics: of the camera.
    """

    pixels: Array
    people: People
    intrinsics: Intrinsics
