"""The images with the lowest mean OKS, with what is annotated and what was predicted on them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crowdbench.drawn_2d import DrawnImage, DrawnPerson, DrawnPose
from crowdbench.results import WorstImages
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from reports.picture import jpeg, read_picture

# Pixels of the longer side of a picture in the page, and its JPEG quality.
_LONGEST, _QUALITY = 800, 80
# Coordinates are drawn at most so many image sides away: what is further is not seen anyway.
_FARTHEST = 3.0
# About the largest size of an image on the page, in its pixels, and that of a label.
_SHOWN_WIDTH, _SHOWN_HEIGHT, _LABEL = 440, 576, 12.5
# Width and height of a label in units of its font size.
_LABEL_WIDTH, _LABEL_HEIGHT = 5.2, 1.25

View = tuple[float, float, float, float]


@dataclass(frozen=True)
class Figure:
    """A person or a pose as lines and points, in the notation of SVG paths.

    Attributes:
        limbs: lines between joints.
        points: a dot for each joint.
        hidden: a dot for each joint that is labelled as not visible.
        box: x, y, width and height; None for a pose.
        label: stands at the box.
        label_at: x and y of the label.
        kind: ``evaluated`` or ``ignored`` for a person, ``match`` or ``wrong`` for a pose.
    """

    limbs: str
    points: str
    hidden: str
    box: tuple[float, ...] | None
    label: str
    label_at: tuple[float, float]
    kind: str


@dataclass(frozen=True)
class Drawing:
    """An image of the page.

    Attributes:
        image: the record it is made from.
        view: left, top, width and height of what is shown, in pixels of the image.
        picture: data address of the picture; None if the file is not there.
        persons: the annotated ones.
        poses: the predicted ones, the worst first, so that the best are drawn on top.
        font: size of labels in pixels of the image.
        remark: why there is no picture, or what is wrong with it.
    """

    image: DrawnImage
    view: View
    picture: str | None
    persons: tuple[Figure, ...]
    poses: tuple[Figure, ...]
    font: float
    remark: str


def drawings(worst: WorstImages, skeleton: Skeleton, folder: Path | None) -> list[Drawing]:
    """Return the images as the page draws them.

    Args:
        worst: the images, the worst first.
        skeleton: says which joints a line connects.
        folder: of the image files; None if it is not known.
    """
    return [_drawing(image, skeleton, folder) for image in worst.images]


def _drawing(image: DrawnImage, skeleton: Skeleton, folder: Path | None) -> Drawing:
    picture = read_picture(image, folder)
    view = _view(image, picture.size)
    font = _LABEL * max(view[2] / _SHOWN_WIDTH, view[3] / _SHOWN_HEIGHT)
    return Drawing(
        image=image,
        view=view,
        picture=None if picture.pixels is None else _embedded(picture.pixels),
        persons=_persons(image.persons, skeleton, view, font),
        poses=tuple(_pose(pose, skeleton, view) for pose in reversed(image.poses)),
        font=round(font, 2),
        remark=picture.remark,
    )


def _embedded(pixels: Array) -> str:
    """Return the pixels, made smaller, as a data address."""
    import cv2

    height, width = pixels.shape[:2]
    if (scale := _LONGEST / max(width, height)) < 1:
        smaller = (max(round(width * scale), 1), max(round(height * scale), 1))
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(pixels, _QUALITY)).decode()}"


def _view(image: DrawnImage, size: tuple[int, int]) -> View:
    """Return what is shown: the whole image, or without its size all that is drawn."""
    if 0 not in size:
        # The centre of the first pixel is (0, 0).
        return -0.5, -0.5, float(size[0]), float(size[1])
    points = [(x, y) for p in image.persons for x, y, visible in p.keypoints if visible]
    points += [(p.box[0] + w, p.box[1] + h) for p in image.persons for w, h in ((0, 0), p.box[2:])]
    points = points or [point for pose in image.poses for point in pose.keypoints] or [(0, 0)]
    low, high = np.clip((np.min(points, 0), np.max(points, 0)), -1e6, 1e6)
    margin = 0.05 * max(*(high - low), 20.0)
    left, top = (low - margin).tolist()
    width, height = (high - low + 2 * margin).tolist()
    return round(left, 1), round(top, 1), round(width, 1), round(height, 1)


def _persons(
    persons: Sequence[DrawnPerson], skeleton: Skeleton, view: View, font: float
) -> tuple[Figure, ...]:
    """Return the persons, each with a label at its box that covers no other label."""
    found: list[Figure] = []
    for person in persons:
        x, y, width, height = person.box
        left, top = _inside(x, y, view)
        right, bottom = _inside(x + max(width, 0), y + max(height, 0), view)
        label_left = min(max(left, view[0]), view[0] + view[2] - _LABEL_WIDTH * font)
        label_top = max(top, view[1] + _LABEL_HEIGHT * font)
        while any(
            abs(label_left - other[0]) < _LABEL_WIDTH * font
            and abs(label_top - other[1]) < 0.99 * _LABEL_HEIGHT * font
            for other in (figure.label_at for figure in found)
        ):
            label_top += _LABEL_HEIGHT * font
        points = [(x, y) if visible else None for x, y, visible in person.keypoints]
        hidden = [(x, y) if visible == 1 else None for x, y, visible in person.keypoints]
        found.append(
            Figure(
                limbs=_lines(points, skeleton, view),
                points=_dots(points, view),
                hidden=_dots(hidden, view),
                box=tuple(round(v, 1) for v in (left, top, right - left, bottom - top)),
                label="not evaluated" if person.oks is None else f"OKS {person.oks:.2f}",
                label_at=(round(label_left, 1), round(label_top, 1)),
                kind="evaluated" if person.is_evaluated else "ignored",
            )
        )
    return tuple(found)


def _pose(pose: DrawnPose, skeleton: Skeleton, view: View) -> Figure:
    return Figure(
        limbs=_lines(pose.keypoints, skeleton, view),
        points=_dots(pose.keypoints, view),
        hidden="",
        box=None,
        label="",
        label_at=(0.0, 0.0),
        kind="match" if pose.is_match else "wrong",
    )


def _lines(
    points: Sequence[tuple[float, float] | None],
    skeleton: Skeleton,
    view: View,
) -> str:
    pairs = (
        (points[a], points[b]) for a, b in skeleton.limbs if max(a, b) < len(points)
    )  # limbs of a skeleton that is not this record's are left out
    return "".join(
        f"M{_place(a, view)}L{_place(b, view)}" for a, b in pairs if a is not None and b is not None
    )


def _dots(points: Sequence[tuple[float, float] | None], view: View) -> str:
    return "".join(f"M{_place(point, view)}h0" for point in points if point is not None)


def _place(point: tuple[float, float], view: View) -> str:
    x, y = _inside(*point, view)
    return f"{round(x, 1):g} {round(y, 1):g}"


def _inside(x: float, y: float, view: View) -> tuple[float, float]:
    """Return the point, brought near if it is far outside of what is shown."""
    left, top, width, height = view
    return (
        min(max(x, left - _FARTHEST * width), left + (1 + _FARTHEST) * width),
        min(max(y, top - _FARTHEST * height), top + (1 + _FARTHEST) * height),
    )
