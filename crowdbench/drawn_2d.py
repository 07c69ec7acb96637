"""The images that reports draw poses on, as the record keeps them."""

from __future__ import annotations

import msgspec


class DrawnPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An annotated person of an image that is shown.

    Attributes:
        keypoints: K of x, y in pixels, and visibility 0, 1, 2.
        box: xywh in pixels.
        is_evaluated: false for crowd regions and persons without counted keypoints.
        oks: the best OKS any pose reaches with the person; null when it is not evaluated.
    """

    keypoints: tuple[tuple[float, float, int], ...]
    box: tuple[float, float, float, float]
    is_evaluated: bool
    oks: float | None


class DrawnPose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pose of an image that is shown.

    Attributes:
        keypoints: K of x, y in pixels.
        score: of the pose.
        is_match: whether it is a true positive at OKS 0.50.
    """

    keypoints: tuple[tuple[float, float], ...]
    score: float
    is_match: bool


class DrawnImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image that is shown, with all that is drawn on it.

    Attributes:
        image_id: its id in the annotation file.
        file_name: as the annotation file gives it.
        size: width and height in pixels; 0 where the file does not say.
        mean_oks: over its evaluated persons, of the best OKS any pose reaches with each.
        persons: all annotated persons.
        poses: the poses that count, the best score first.
    """

    image_id: int
    file_name: str
    size: tuple[int, int]
    mean_oks: float
    persons: tuple[DrawnPerson, ...]
    poses: tuple[DrawnPose, ...]


class CrowdImages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Images that stand for the crowds of a split; annotations alone decide which.

    An image's overlap is the mean, over its evaluated persons, of the highest IoU of the person's
    box with that of another evaluated person.

    Attributes:
        n_overlapping: images whose overlap is not 0.
        n_crowded: those of them with the largest overlap, from which the images were taken.
        least_overlap: the smallest overlap of these.
        mean_oks: the mean of the mean OKS of these.
        images: at equal steps through them, the most crowded first.
    """

    n_overlapping: int
    n_crowded: int
    least_overlap: float
    mean_oks: float
    images: tuple[DrawnImage, ...]
