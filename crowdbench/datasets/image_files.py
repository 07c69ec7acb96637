"""The image files of a split, found without ever leaving its image folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from crowdbench.errors import InputError, MissingError
from crowdbench.structures import Array, Images


def image_path(images: Images, row: int) -> Path:
    """Return the path of an image's file, which need not be there.

    Args:
        images: the images of a split.
        row: which one, as an index into `images`.

    Raises:
        MissingError: if the split's image folder is not known.
        InputError: if the name in the annotation file is empty, absolute or holds ``..``; such a
            name could reach any file of this machine. Windows' way of writing paths counts too.
    """
    name = images.file_names[row]
    if images.folder is None:
        raise MissingError(f"image {images.ids[row]}: no image folder, so {name!r} can't be found")
    kinds = (PurePosixPath(name), PureWindowsPath(name))
    if (
        not name.strip(". ")
        or "\0" in name
        or any(kind.anchor or ".." in kind.parts for kind in kinds)
    ):
        raise InputError(
            f"image {images.ids[row]}: file_name {name!r} is no file under the image folder: "
            "expected a relative name without '..'"
        )
    return images.folder / name


def missing_images(images: Images, rows: Iterable[int]) -> list[int]:
    """Return those of `rows` whose image file is not there.

    Raises:
        MissingError, InputError: as `image_path`.
    """
    return [row for row in rows if not os.path.isfile(image_path(images, row))]


def read_image(images: Images, row: int) -> Array:
    """Return an image, (H, W, 3) uint8 RGB, decoded by OpenCV; orientation tags are ignored.

    Raises:
        MissingError, InputError: as `image_path`; and if the file is not there, is no image, or
            lacks its end. The message names the file as the annotations do, without the folder.
    """
    # Imported here: most of crowdbench looks at no image.
    import cv2

    path, name = image_path(images, row), images.file_names[row]
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingError(f"{name}: no such file") from None
    except OSError as error:
        raise InputError(f"{name}: can't be read: {error.strerror}") from None
    if not data:
        raise InputError(f"{name}: the file is empty")
    if _is_cut_short(data):
        raise InputError(f"{name}: cut short after {len(data):,} bytes")
    try:
        found = cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error as error:
        raise InputError(f"{name}: can't be decoded: {error.err}") from None
    if found is None:
        raise InputError(f"{name}: no image that OpenCV can decode")
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)


def _is_cut_short(data: bytes) -> bool:
    """Return whether a JPEG file lacks its end, which OpenCV fills with grey without a word."""
    if not data.startswith(b"\xff\xd8"):
        return False
    at = 2
    # Segments (one may hold a whole thumbnail, with an end of its own) up to the start of the scan.
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(b"\xff\xd9", at) < 0
