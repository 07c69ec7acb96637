"""The pixels of an image that a report draws on, where its file is still there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from crowdbench.datasets.image_files import image_path
from crowdbench.errors import CrowdbenchError
from crowdbench.structures import Array, Images


class ImageFacts(Protocol):
    """Which image a record is about."""

    @property
    def image_id(self) -> int:
        """Its id in the annotation file."""

    @property
    def file_name(self) -> str:
        """Its name as the annotation file gives it."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; 0 where the annotation file does not say."""


class Picture(NamedTuple):
    """The pixels of an image.

    Attributes:
        pixels: (H, W, 3) uint8 BGR as OpenCV has it; None if there are none.
        size: width and height in pixels, of the file if it could be read; 0 where not known.
        remark: why there are no pixels, or what is wrong with them; empty if nothing is.
    """

    pixels: Array | None
    size: tuple[int, int]
    remark: str


def read_picture(image: ImageFacts, folder: Path | None) -> Picture:
    """Return the pixels of an image; whatever is wrong with its file is no error.

    Args:
        image: which one.
        folder: of the image files; None if it is not known.
    """
    if folder is None:
        return Picture(None, image.size, "")
    names = Images(np.array([image.image_id]), (image.file_name,), np.array([image.size]), folder)
    try:
        path = image_path(names, 0)
        content = path.read_bytes() if path.is_file() else None
    except CrowdbenchError:
        return Picture(
            None, image.size, "The file name in the annotations is not one below a folder."
        )
    except (OSError, ValueError):
        content = None
    if content is None:
        return Picture(None, image.size, "The image file was not found.")
    return _decoded(image, content)


def _decoded(image: ImageFacts, content: bytes) -> Picture:
    import cv2

    # Annotations are in the coordinates of the file as stored, whatever its orientation tag says.
    how = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), how)
    except cv2.error:
        pixels = None
    if pixels is None:
        return Picture(None, image.size, "The image file can't be decoded.")
    height, width = pixels.shape[:2]
    fits = 0 in image.size or image.size == (width, height)
    remark = (
        ""
        if fits
        else f"The file has {width} x {height} pixels, the annotations say "
        f"{image.size[0]} x {image.size[1]}: is it the right one?"
    )
    return Picture(pixels, (width, height), remark)


def jpeg(pixels: Array, quality: int) -> bytes:
    """Return pixels as OpenCV has them as a JPEG file of a quality of 0 to 100."""
    import cv2

    _, content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return content.tobytes()
