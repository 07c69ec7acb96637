"""The columnar arrays that everything passes on.

One row per person, box or pose over the whole split, with an index into the images; never a list of
dicts. Coordinates are COCO's: pixels of the original image, the centre of the top-left pixel is
(0, 0). Boxes are xywh. What is absent is ``None``, never -1 or 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# No coordinate of a pose in space is that large, in pixels or mm, and squares of larger ones may
# overflow.
FARTHEST = 1e9


@dataclass(frozen=True)
class Truth3D:
    """The 3D joints of the annotated persons of a split, in the axes of the camera.

    x points right, y down, z away from the camera; all in millimetres.

    Attributes:
        joints_mm: (P, K, 3) float64, metric positions, which project onto the keypoints.
        universal_mm: (P, K, 3) float64, the same poses in a common body size, which the official
            script of MuPoTS-3D scores against; `joints_mm` itself where there are no others.
        sequences: names of the S sequences, in their order.
        sequence_index: (I,) int64, the sequence of each image.
    """

    joints_mm: Array
    universal_mm: Array
    sequences: tuple[str, ...]
    sequence_index: Array

    @property
    def has_universal(self) -> bool:
        """Whether there are poses in a common body size."""
        return self.universal_mm is not self.joints_mm

    def take_images(self, n_images: int, n_persons: int) -> Truth3D:
        """Return the first `n_persons` persons, who are those of the first `n_images` images."""
        index = self.sequence_index[:n_images]
        joints = self.joints_mm[:n_persons]
        return Truth3D(
            joints,
            self.universal_mm[:n_persons] if self.has_universal else joints,
            self.sequences[: int(index.max(initial=-1)) + 1],
            index,
        )


@dataclass(frozen=True)
class GroundTruth:
    """The annotated persons of a split.

    Attributes:
        image_ids: (I,) int64, strictly ascending.
        image_index: (P,) int64 into `image_ids`, ascending; persons of an image in file order.
        keypoints: (P, K, 3) float64: x, y in pixels; visibility 0 not labelled, 1 occluded,
            2 visible.
        boxes: (P, 4) float64 xywh, pixels.
        areas: (P,) float64 px², by the data set's area rule.
        is_crowd: (P,) bool, regions that may absorb any number of poses.
        is_ignored: (P,) bool, persons that are not evaluated (crowd regions among them).
        person_ids: (P,) int64 annotation ids.
        crowd_index: (I,) float64 CrowdPose's index per image, or None where the file has none.
        max_iou: (P,) float64 OCHuman's own MaxIoU, or None where the file has none.
        pose3d: the 3D joints, or None where the split is a 2D one.
    """

    image_ids: Array
    image_index: Array
    keypoints: Array
    boxes: Array
    areas: Array
    is_crowd: Array
    is_ignored: Array
    person_ids: Array
    crowd_index: Array | None = None
    max_iou: Array | None = None
    pose3d: Truth3D | None = None

    def take_images(self, n_images: int) -> GroundTruth:
        """Return the persons of the first `n_images` images."""
        n = int(np.searchsorted(self.image_index, n_images))
        return replace(
            self,
            image_ids=self.image_ids[:n_images],
            image_index=self.image_index[:n],
            keypoints=self.keypoints[:n],
            boxes=self.boxes[:n],
            areas=self.areas[:n],
            is_crowd=self.is_crowd[:n],
            is_ignored=self.is_ignored[:n],
            person_ids=self.person_ids[:n],
            crowd_index=None if self.crowd_index is None else self.crowd_index[:n_images],
            max_iou=None if self.max_iou is None else self.max_iou[:n],
            pose3d=None if self.pose3d is None else self.pose3d.take_images(n_images, n),
        )


@dataclass(frozen=True)
class Images:
    """The images of a split, by ascending id.

    Attributes:
        ids: (I,) int64, strictly ascending.
        file_names: I names relative to the image folder, as the annotation file gives them.
        sizes: (I, 2) int64 width and height in pixels; 0 where the file does not say.
        folder: where the image files are, or None when no image folder was found.
        intrinsics: (I, 4) float64 fx, fy, cx, cy of the camera in pixels, so that x = fx X / Z + cx
            and y = fy Y / Z + cy; a row of NaN where the camera is not known. None for 2D splits.
    """

    ids: Array
    file_names: Sequence[str]
    sizes: Array
    folder: Path | None = None
    intrinsics: Array | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_without_camera(self) -> int:
        """How many images there are of which the camera is not known."""
        if self.intrinsics is None:
            return len(self)
        return int(np.isnan(self.intrinsics).any(axis=1).sum())

    def take_images(self, n_images: int) -> Images:
        """Return the first `n_images` images."""
        return replace(
            self,
            ids=self.ids[:n_images],
            file_names=self.file_names[:n_images],
            sizes=self.sizes[:n_images],
            intrinsics=None if self.intrinsics is None else self.intrinsics[:n_images],
        )


@dataclass(frozen=True)
class Boxes:
    """Person boxes that a top-down predictor starts from.

    Attributes:
        image_index: (B,) int64, ascending.
        boxes: (B, 4) float64 xywh, pixels.
        scores: (B,) float64 detector confidence; 1 for ground truth.
        source: what they are, as the signature prints it, e.g. ``gt`` or ``file:56ap.json``.
        person_ids: (B,) int64 annotation ids of annotated boxes, or None.
        roots_mm: (B, 3) float64 mm in the axes of the camera, the root joint of the person in each
            box: of the truth for annotated boxes of a 3D split, or what RootNet's results file
            says, whose boxes are enlarged already; else None.
    """

    image_index: Array
    boxes: Array
    scores: Array
    source: str
    person_ids: Array | None = None
    roots_mm: Array | None = None

    def of_images(self, start: int, stop: int) -> Boxes:
        """Return the boxes of the images `start` to `stop` - 1."""
        first, last = np.searchsorted(self.image_index, (start, stop))
        return self.take(slice(int(first), int(last)))

    def take(self, rows: Array | slice) -> Boxes:
        """Return the boxes at `rows` (an index array, a boolean mask or a slice)."""
        return replace(
            self,
            image_index=self.image_index[rows],
            boxes=self.boxes[rows],
            scores=self.scores[rows],
            person_ids=None if self.person_ids is None else self.person_ids[rows],
            roots_mm=None if self.roots_mm is None else self.roots_mm[rows],
        )


@dataclass(frozen=True)
class Poses:
    """Poses of a split: candidates before merging, or final ones after it.

    Attributes:
        image_index: (D,) int64, ascending; poses of an image in the order they were given, which
            decides between equal scores.
        keypoints: (D, K, 2) float64 pixels.
        keypoint_scores: (D, K) float64 confidences.
        scores: (D,) float64, any real number.
        box_index: (D,) int64 row of the box each pose was made from, -1 for none.
        instance: (D,) int64, which person of its box, 0 for the one that the box belongs to (in
            MIPNet's released code that is lambda 1); 0 without boxes.
        boxes: (D, 4) float64 xywh of the box each pose came from, or None when there is none.
        box_scores: (D,) float64 confidence of that box, or None.
        areas: (D,) float64 px² that stand for the poses' sizes in merging, or None.
        joints_mm: (D, K, 3) float64 mm in the axes of the camera, see `Truth3D`; None for 2D poses.
        person_ids: (D,) int64 annotation id of the person that each pose was made for, -1 for none;
            None where nothing says so.
        ranks: (D,) float64, what merging chooses by where that is not the score; or None.
        base_joints_mm: (D, K, 3) float64 mm, the `joints_mm` that a refiner started from, or None.
        base_keypoints: (D, K, 2) float64 pixels, likewise the `keypoints`, or None.
    """

    image_index: Array
    keypoints: Array
    keypoint_scores: Array
    scores: Array
    box_index: Array
    instance: Array
    boxes: Array | None = None
    box_scores: Array | None = None
    areas: Array | None = None
    joints_mm: Array | None = None
    person_ids: Array | None = None
    ranks: Array | None = None
    base_joints_mm: Array | None = None
    base_keypoints: Array | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: Array | slice) -> Poses:
        """Return the poses at `rows` (an index array, a boolean mask or a slice)."""

        def chosen(values: Any) -> Any:
            return None if values is None else values[rows]

        return Poses(**{c.name: chosen(getattr(self, c.name)) for c in fields(self)})
