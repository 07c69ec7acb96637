"""The truth about SynthCrowd's images as the entries of annotation and box files in COCO format.

Every number is rounded and every entry has its keys in a fixed order, so that equal scenes give
equal bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from crowdbench.conditions.box_iou import highest_iou
from crowdbench.conditions.crowd_index import crowd_index
from crowdbench.datasets.synthcrowd.detector import Detections, Targets, detect
from crowdbench.datasets.synthcrowd.picture import People, Picture
from crowdbench.datasets.synthcrowd.scenes import DATA_VERSION
from crowdbench.datasets.synthcrowd.truth import boxes_around
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, GroundTruth

# Persons of whom less can be seen count as not labelled, as annotators would leave them.
MIN_VISIBLE = 0.1
# Ids of an image's persons are its id times this, plus 1, 2, ...: they depend on no other image.
_IDS_PER_IMAGE = 100
_PERSON = 1


class ImageEntry(msgspec.Struct):
    """An image in an annotation file."""

    id: int
    file_name: str
    width: int
    height: int
    crowd_index: float = msgspec.field(name="crowdIndex")
    intrinsics: dict[str, float]


class PersonEntry(msgspec.Struct):
    """A person in an annotation file.

    The first nine fields are COCO's, ``visible_mask`` is named as in COCOA, an amodal data set.
    """

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int
    num_keypoints: int
    keypoints: list[float | int]
    segmentation: dict[str, Any]
    visible_mask: dict[str, Any]
    visible_fraction: float
    max_iou: float
    keypoints_crowdpose: list[float | int]
    joints_mm: list[list[float]]
    joint_visibility: list[int]
    action: str


class BoxEntry(msgspec.Struct):
    """A detector's box in a box file."""

    image_id: int
    category_id: int
    bbox: list[float]
    score: float


class Entries(msgspec.Struct):
    """All entries of one image.

    Attributes:
        image: itself.
        persons: its persons.
        boxes: what the simulated detector found on it.
    """

    image: ImageEntry
    persons: list[PersonEntry]
    boxes: list[BoxEntry]


def file_name(index: int) -> str:
    """Return the name of an image's file, relative to the image folder.

    >>> file_name(17)
    '000017.png'
    """
    return f"{index:06d}.png"


def describe(picture: Picture, part: str, index: int) -> Entries:
    """Return the entries of an image.

    Args:
        picture: the image and the truth about it.
        part: ``train``, ``val`` or ``test``.
        index: the image's place in the part, from 0; its id is one more.
    """
    height, width = picture.pixels.shape[:2]
    people, image_id = picture.people, index + 1
    keypoints, crowdpose = (labelled(p, people) for p in (people.keypoints, people.crowdpose))
    n_labelled = (keypoints[:, :, 2] > 0).sum(1)
    boxes = np.round(people.boxes, 2)
    rows = np.zeros(len(people), np.int64)
    truth = GroundTruth(
        image_ids=np.array([image_id]),
        image_index=rows,
        keypoints=keypoints,
        boxes=boxes,
        areas=people.areas,
        is_crowd=rows.astype(bool),
        is_ignored=n_labelled == 0,
        person_ids=np.arange(len(people)),
    )
    ious = np.round(highest_iou(boxes, rows), 4)
    image = ImageEntry(
        id=image_id,
        file_name=file_name(index),
        width=width,
        height=height,
        crowd_index=float(crowd_index(truth, COCO_17.counted)[0]),
        intrinsics={
            name: round(float(getattr(picture.intrinsics, name)), 4)
            for name in ("focal", "centre_x", "centre_y")
        },
    )
    persons = [
        PersonEntry(
            id=image_id * _IDS_PER_IMAGE + row + 1,
            image_id=image_id,
            category_id=_PERSON,
            bbox=boxes[row].tolist(),
            area=float(people.areas[row]),
            iscrowd=0,
            num_keypoints=int(n_labelled[row]),
            keypoints=_triples(keypoints[row]),
            segmentation=_run_lengths(people.silhouettes[row]),
            visible_mask=_run_lengths(people.visible[row]),
            visible_fraction=round(float(people.visible_fractions[row]), 4),
            max_iou=float(ious[row]),
            keypoints_crowdpose=_triples(crowdpose[row]),
            # + 0.0: what rounds to zero has no sign.
            joints_mm=(np.round(people.joints_mm[row], 1) + 0.0).tolist(),
            joint_visibility=people.joint_visibility[row].tolist(),
            action=people.actions[row],
        )
        for row in range(len(people))
    ]
    return Entries(image, persons, _detected(picture, part, index))


def file_head(part: str) -> dict[str, Any]:
    """Return the fields of an annotation file that come before its images."""
    return {
        "info": {
            "description": f"SynthCrowd {part}",
            "version": DATA_VERSION,
            "split": f"synthcrowd-{part}",
        },
        "categories": [
            {
                "id": _PERSON,
                "name": "person",
                "keypoints": list(COCO_17.keypoints),
                # COCO counts them from 1.
                "skeleton": [[first + 1, second + 1] for first, second in COCO_17.limbs],
            }
        ],
    }


def _detected(picture: Picture, part: str, index: int) -> list[BoxEntry]:
    people = picture.people
    height, width = picture.pixels.shape[:2]
    targets = Targets(people.boxes, boxes_around(people.visible), people.visible_fractions)
    found: Detections = detect(targets, (width, height), (*part.encode(), index))
    return [
        BoxEntry(index + 1, _PERSON, box, score)
        for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)
    ]


def labelled(keypoints: Array, people: People) -> Array:
    """Return (P, K, 3) keypoints as files have them: two decimals, all 0 where not labelled.

    Args:
        keypoints: (P, K, 3) of `people`, those of COCO or of CrowdPose.
        people: of whom those that can hardly be seen are not labelled.
    """
    is_seen = people.visible_fractions >= MIN_VISIBLE
    is_labelled = (keypoints[..., 2:] > 0) & is_seen[:, None, None]
    return np.where(is_labelled, np.round(keypoints, 2) + 0.0, 0.0)


def _triples(keypoints: Array) -> list[float | int]:
    """Return a person's keypoints as COCO lists them: x, y, visibility, x, y, ..."""
    return [
        value for x, y, v in keypoints.tolist() for value in ((x, y, int(v)) if v else (0, 0, 0))
    ]


def _run_lengths(mask: Array) -> dict[str, Any]:
    """Return a mask in COCO's compressed run lengths."""
    # Imported here: of this package only the making of data needs it.
    from pycocotools import mask as coco_mask

    found = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}
