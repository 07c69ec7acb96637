"""Crowding: how a method holds up as people stand closer together."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.box_iou import image_means
from crowdbench.conditions.condition import (
    Condition,
    Cut,
    Subject,
    UnavailableError,
    Values,
    bin_rows,
)
from crowdbench.datasets.split import LEVEL_LIMITS
from crowdbench.structures import Array

_IOU_EDGES = (0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 1.0)
_AMONG_WORDS = {
    "annotated": "among all annotated boxes of the image",
    "evaluated": "among the boxes of evaluated persons of the image",
}


def _cut_person_iou(subject: Subject, edges: Values) -> Cut:
    rows = bin_rows(subject.person_iou, edges, "persons")
    words = _AMONG_WORDS[subject.iou_among]
    return Cut(rows, f"highest IoU of the person's box with another, {words}")


def _cut_image_iou(subject: Subject, edges: Values) -> Cut:
    """Cut the images by the mean of the persons' highest IoU.

    Source: PINet, section 4.4 and Figure 5, which follows OPEC-Net.
    """
    values, truth = subject.person_iou, subject.truth
    counted = ~np.isnan(values)
    means = image_means(values[counted], truth.image_index[counted], len(truth.image_ids))
    words = _AMONG_WORDS[subject.iou_among]
    return Cut(
        bin_rows(means, edges, "images"),
        f"mean over an image of the persons' highest box IoU, {words}",
    )


def _image_index(subject: Subject) -> tuple[Array, str, tuple[str, ...]]:
    """Return the crowd index of every image, what it is, and how file and rule differ.

    An index below 0, which only a file can have, counts as 0.
    """
    truth = subject.truth
    computed = subject.crowd_index
    if truth.crowd_index is None:
        return computed, "crowd index, computed from boxes and keypoints", ()
    words = "crowd index of the annotation file"
    # The file's decimals, so that 0.57 and 0.57 computed are equal.
    differing = np.flatnonzero(np.abs(computed - truth.crowd_index) > 1e-9)
    values = np.maximum(truth.crowd_index, 0)
    if not len(differing):
        return values, words, ()
    first = differing[0]
    note = (
        f"the crowd index of the file is not what boxes and keypoints give in {len(differing):,} "
        f"of {len(computed):,} images (the first: image {truth.image_ids[first]}, "
        f"{truth.crowd_index[first]:g} in the file, {computed[first]:g} computed); the file's is "
        "used"
    )
    return values, words, (note,)


def _cut_crowd_level(subject: Subject, edges: Values) -> Cut:
    values, words, notes = _image_index(subject)
    return Cut(bin_rows(values, edges, "images", ("easy", "medium", "hard")), words, notes)


def _cut_crowd_index(subject: Subject, edges: Values) -> Cut:
    values, words, _ = _image_index(subject)
    return Cut(bin_rows(values, edges, "images"), words)


def _cut_max_iou(subject: Subject, edges: Values) -> Cut:
    """Cut the persons by OCHuman's own MaxIoU, the measure of its moderate and hard parts."""
    values = subject.truth.max_iou
    if values is None:
        raise UnavailableError("the annotations have no max_iou")
    return Cut(bin_rows(values, edges, "persons"), "max_iou of the annotation file")


PERSON_IOU = Condition(
    name="person-iou",
    title="Overlap of persons",
    axis="highest IoU with another person's box",
    kind="bins",
    selects="persons",
    harder="up",
    usual=lambda _: _IOU_EDGES,
    cut=_cut_person_iou,
    uses_iou=True,
    spaces=("2d", "3d"),
)
IMAGE_IOU = Condition(
    name="image-iou",
    title="Overlap in images",
    axis="mean over the image of the persons' highest box IoU",
    kind="bins",
    selects="images",
    harder="up",
    usual=lambda _: _IOU_EDGES,
    cut=_cut_image_iou,
    uses_iou=True,
    spaces=("2d", "3d"),
)
CROWD_LEVEL = Condition(
    name="crowd-level",
    title="Crowd level",
    axis="level of CrowdPose's crowd index",
    kind="levels",
    selects="images",
    harder="up",
    usual=lambda _: (0.0, *LEVEL_LIMITS, None),
    cut=_cut_crowd_level,
    fixed=True,
)
CROWD_INDEX = Condition(
    name="crowd-index",
    title="Crowd index",
    axis="crowd index of the image",
    kind="bins",
    selects="images",
    harder="up",
    usual=lambda _: (*(k / 10 for k in range(11)), None),
    cut=_cut_crowd_index,
)
MAX_IOU = Condition(
    name="max-iou",
    title="OCHuman's MaxIoU",
    axis="MaxIoU of the person",
    kind="bins",
    selects="persons",
    harder="up",
    usual=lambda _: (0.0, 0.5, 0.75, 1.0),
    cut=_cut_max_iou,
)
