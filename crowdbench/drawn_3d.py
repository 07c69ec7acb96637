"""The persons and scenes that reports draw in space, as the record keeps them."""

from __future__ import annotations

from typing import Literal

import msgspec

Point3D = tuple[float, float, float]
# Which scene of all: by how much refinement changed the mean error of its persons.
Rank = Literal["best", "median", "worst"]


class DrawnPerson3D(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person whose pose in space is shown beside the annotated one.

    Joints are in millimetres from the person's own root, in the axes of the camera: x right, y
    down, z away from it.

    Attributes:
        person_id: id of the annotation.
        image_id: id of the image.
        file_name: of the image, as the annotation file gives it.
        sequence: that the image belongs to.
        error_mm: mean distance of the scored joints, as MPJPE_mm takes it.
        truth: K annotated joints.
        predicted: K predicted joints.
        is_occluded: K, whether each joint is labelled as occluded.
    """

    person_id: int
    image_id: int
    file_name: str
    sequence: str
    error_mm: float
    truth: tuple[Point3D, ...]
    predicted: tuple[Point3D, ...]
    is_occluded: tuple[bool, ...]


class DrawnInScene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person of a scene, before and after refinement.

    Joints are in millimetres in the axes of the camera: x right, y down, z away from it.

    Attributes:
        person_id: id of the annotation.
        root_px: x and y of the annotated root in the image.
        before_mm: mean distance of all joints, roots together, as MPJPE_mm takes it, of the pose
            that was the person's before refinement.
        after_mm: of the one that is after it.
        truth: K annotated joints.
        before: K joints of the pose that was the person's before refinement.
        after: K of the one that is after it.
    """

    person_id: int
    root_px: tuple[float, float]
    before_mm: float
    after_mm: float
    truth: tuple[Point3D, ...]
    before: tuple[Point3D, ...]
    after: tuple[Point3D, ...]


class DrawnScene3D(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image whose persons are shown together in space, before and after refinement.

    Attributes:
        rank: among all such images, by how much the mean error changed: ``best`` is where it fell
            most, ``worst`` where it rose most or, if it fell everywhere, fell least.
        image_id: its id in the annotation file.
        file_name: as the annotation file gives it.
        size: width and height in pixels; 0 where the file does not say.
        before_mm: mean over the persons.
        after_mm: likewise.
        persons: the evaluated ones with a pose before and after it, from left to right by their
            annotated roots.
    """

    rank: Rank
    image_id: int
    file_name: str
    size: tuple[int, int]
    before_mm: float
    after_mm: float
    persons: tuple[DrawnInScene, ...]
