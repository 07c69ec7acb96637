"""A split: the images, the persons and the rules they are scored by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from crowdbench.files import FileDigest
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, GroundTruth, Images

# CrowdPose's limits of its crowd index, as the official tool has them.
LEVEL_LIMITS = (0.2, 0.8)


@dataclass(frozen=True)
class Split:
    """A named part of a data set, loaded.

    Attributes:
        name: e.g. ``crowdpose-val``.
        skeleton: the keypoint layout of the annotations.
        area: the area rule, ``annotation`` or ``0.53*box``.
        images: the images, ascending by id.
        truth: the persons, or None where the ground truth is not public.
        category_id: the id of the category "person" in the files.
        annotations: digest of the annotation file, or of all files of a folder.
        path: the annotation file, or the folder in the official layout of MuPoTS-3D.
        known_ids: (J,) int64 ids of all images of the file, also those that a limit left out.
        limit: how many images were asked for, or None for all.
        has_levels: whether easy/medium/hard by the crowd index belong to its metrics.
        official_tool: name of the evaluator whose numbers decide; ``mupots`` is the script that
            comes with MuPoTS-3D.
        converted: whether the annotation file is not in COCO's format and was converted.
        notes: what a reader of the results should know about the file.
    """

    name: str
    skeleton: Skeleton
    area: str
    images: Images
    truth: GroundTruth | None
    category_id: int
    annotations: FileDigest
    path: Path
    known_ids: Array
    limit: int | None = None
    has_levels: bool = False
    official_tool: str = "pycocotools"
    converted: bool = False
    notes: tuple[str, ...] = ()

    def with_images_in(self, folder: Path) -> Split:
        """Return the split with its image files in `folder`, which need not be there."""
        return replace(self, images=replace(self.images, folder=folder))

    def first_images(self, limit: int | None) -> Split:
        """Return the split cut to its first `limit` images by id (None: all of them)."""
        if limit is None:
            return self
        images = self.images.take_images(limit)
        truth = None if self.truth is None else self.truth.take_images(limit)
        return replace(self, images=images, truth=truth, limit=limit)
