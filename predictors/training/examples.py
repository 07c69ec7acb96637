"""What networks learn from: images with the persons in them, from a split or rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from crowdbench.datasets.image_files import read_image
from crowdbench.datasets.loading import load_split
from crowdbench.datasets.manifest import find_split
from crowdbench.datasets.places import find_annotations, missing_images_folder
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, UsageError
from crowdbench.skeletons import COCO_17, Skeleton, load_skeleton
from crowdbench.structures import Array
from predictors.topdown.crop import Convention, clip_annotated, frames_of, has_map
from predictors.training.stream import Examples

_RENDERED = "synthcrowd-"
# Any shape of crop: whether a box can be cropped at all does not depend on it.
_ANY_SIZE = (4, 3)


@dataclass(frozen=True)
class Example:
    """An image and the persons that can be learned from it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        keypoints: (P, K, 3) float64 x, y in pixels of the image; 0 not labelled, 1 occluded, 2
            visible. Each person has one labelled keypoint at least.
        boxes: (P, 4) float64 xywh, pixels; clipped to the image where persons are cropped, else as
            annotated.
        areas: (P,) float64 px² as annotated.
        joints_mm: (P, K, 3) float64 mm in the axes of the camera, of a split whose poses are in
            space; else None.
        camera: (4,) float64 fx, fy, cx, cy in pixels, NaN where it is not known, likewise.
    """

    image: Array
    keypoints: Array
    boxes: Array
    areas: Array
    joints_mm: Array | None = None
    camera: Array | None = None

    def persons(self, rows: Array) -> Example:
        """Return the image with some of its persons, given by number or as a mask."""
        return replace(
            self,
            keypoints=self.keypoints[rows],
            boxes=self.boxes[rows],
            areas=self.areas[rows],
            joints_mm=None if self.joints_mm is None else self.joints_mm[rows],
        )


class Source(Examples, Protocol):
    """Images with persons, by their number."""

    def __getitem__(self, index: int) -> Example: ...


@dataclass(frozen=True)
class SplitSource:
    """The images of a split.

    Source: HRNet, the loading of COCO annotations: crowds, persons without labelled keypoints,
    without area or with a box beside the image are left out, and boxes clipped. Where poses are in
    space, persons who are not evaluated are left out, too (3DMPPE).

    Attributes:
        split: with ground truth and images.
        convention: of crops, by which boxes are clipped; None of whole images.
    """

    split: Split
    convention: Convention | None = "classical"

    @property
    def skeleton(self) -> Skeleton:
        """The split's keypoint layout."""
        return self.split.skeleton

    @property
    def identity(self) -> str:
        """The split and the digest of its annotations."""
        return f"{self.split.name}, annotations {self.split.annotations.sha256[:12]}"

    def __len__(self) -> int:
        return len(self.split.images)

    def __getitem__(self, index: int) -> Example:
        """Return an image and its persons, perhaps none.

        Raises:
            MissingError, InputError: if its file is not there or can't be read.
        """
        truth = self.split.truth
        assert truth is not None
        start, stop = np.searchsorted(truth.image_index, (index, index + 1))
        rows = np.arange(start, stop)
        left_out = truth.is_crowd if truth.pose3d is None else truth.is_ignored
        rows = rows[~left_out[rows] & (truth.areas[rows] > 0)]
        images = self.split.images
        example = Example(
            read_image(images, index), truth.keypoints[rows], truth.boxes[rows], truth.areas[rows]
        )
        if truth.pose3d is not None:
            camera = np.full(4, np.nan) if images.intrinsics is None else images.intrinsics[index]
            example = replace(example, joints_mm=truth.pose3d.joints_mm[rows], camera=camera)
        return learnable(example, self.convention)


@dataclass(frozen=True)
class RenderedSource:
    """Images of SynthCrowd, rendered when they are asked for; nothing is read or written.

    The examples are those of the split's files: persons of whom too little can be seen are not
    labelled, numbers have two decimals.

    Attributes:
        part: ``train``, ``val`` or ``test``.
        n_images: how many images there are.
        convention: of crops, by which boxes are clipped; None of whole images.
    """

    part: str
    n_images: int
    convention: Convention | None = "classical"

    @property
    def skeleton(self) -> Skeleton:
        """COCO's keypoints."""
        return COCO_17

    @property
    def identity(self) -> str:
        """The split and the version of the data."""
        from crowdbench.datasets.synthcrowd.scenes import DATA_VERSION

        return f"{_RENDERED}{self.part}, version {DATA_VERSION}"

    def __len__(self) -> int:
        return self.n_images

    def __getitem__(self, index: int) -> Example:
        """Return an image and its persons."""
        # Imported here, as it brings the whole renderer.
        from crowdbench.datasets.synthcrowd.annotations import labelled
        from crowdbench.datasets.synthcrowd.scenes import render

        picture = render(self.part, index)
        people = picture.people
        keypoints = labelled(people.keypoints, people)
        example = Example(picture.pixels, keypoints, np.round(people.boxes, 2), people.areas)
        return learnable(example, self.convention)


def learnable(example: Example, convention: Convention | None) -> Example:
    """Return an example with those of its persons that can be learned from.

    Args:
        example: with boxes as annotated.
        convention: of crops; None of whole images.

    Returns:
        The persons who have a labelled keypoint. With a convention also their boxes are clipped,
        and those left out that can't be cropped.
    """
    labelled = np.any(example.keypoints[:, :, 2] > 0, axis=1)
    if convention is None:
        return example.persons(labelled)
    height, width = example.image.shape[:2]
    clipped, keeps = clip_annotated(example.boxes, width, height, convention)
    keeps &= labelled & has_map(frames_of(clipped, _ANY_SIZE, convention), convention)
    return replace(example, boxes=clipped).persons(keeps)


def find_source(
    name: str,
    root: Path,
    convention: Convention | None = "classical",
    *,
    in_space: bool = False,
) -> Source:
    """Return the images of a split; SynthCrowd's are rendered where there are no files of them.

    Those of a split with poses in space are not: they need their files.

    Args:
        name: of the split, e.g. ``coco-train2017``.
        root: folder of the data sets, see `crowdbench.datasets.data_root`.
        convention: of crops, by which boxes are clipped; None of whole images.
        in_space: whether poses in space are wanted, and joints of them.

    Raises:
        UnknownNameError: if there is no split of that name.
        UsageError: if its poses are in space and should not be, or the other way round.
        MissingError: if its annotations or its image folder are not there.
        InputError: if the annotations can't be read, or are without persons.
    """
    manifest, facts = find_split(name)
    places = ("in the image", "in space")
    has_space = load_skeleton(manifest.skeleton).is_3d
    if has_space != in_space:
        raise UsageError(
            f"{name} has poses {places[has_space]}; these recipes train for poses "
            f"{places[in_space]}: choose a split of another data set"
        )
    is_made = manifest.made_by is not None and not in_space
    if is_made and find_annotations(root, manifest, facts) is None:
        assert facts.counts.images is not None
        return RenderedSource(name.removeprefix(_RENDERED), facts.counts.images, convention)
    split = load_split(name, root)
    if split.truth is None:
        raise InputError(f"{name}: the ground truth is not public, so nothing can be learned")
    if split.images.folder is None:
        raise missing_images_folder(root, manifest, facts)
    return SplitSource(split, convention)
