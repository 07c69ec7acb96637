"""What a refiner changed, as the record keeps it: in numbers, and the scenes to draw."""

from __future__ import annotations

from typing import Literal

import msgspec

Point3D = tuple[float, float, float]
# Which scene of all: by how much refinement changed the mean error of its persons.
Rank = Literal["best", "median", "worst"]


class RefinedMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number before refinement, and for how many persons it changed.

    Attributes:
        before: the value for the poses that the refiner started from, averaged as the metric's
            `value` is, which is the one after it; null when there is none.
        n_better: persons whose mean error refinement made smaller.
        n_worse: persons whose mean error it made larger.
    """

    before: float | None
    n_better: int
    n_worse: int


class Refinement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What refinement changed over the whole split.

    Attributes:
        metrics: by name, those that compare each person with one pose; all in mm.
        n_scenes: images with two or more evaluated persons who have a pose.
    """

    metrics: dict[str, RefinedMetric]
    n_scenes: int


class DrawnInScene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person of a scene, before and after refinement.

    Joints are in millimetres in the axes of the camera: x right, y down, z away from it.

    Attributes:
        person_id: id of the annotation.
        root_px: x and y of the annotated root in the image.
        before_mm: mean distance of all joints, roots together, as MPJPE_mm takes it, of the pose
            that the refiner started from.
        after_mm: of the refined pose.
        truth: K annotated joints.
        before: K joints that the refiner started from.
        after: K refined ones.
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
        persons: the evaluated ones with a pose, from left to right by their annotated roots.
    """

    rank: Rank
    image_id: int
    file_name: str
    size: tuple[int, int]
    before_mm: float
    after_mm: float
    persons: tuple[DrawnInScene, ...]
