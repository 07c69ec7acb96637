"""The image files of a split, found without ever leaving its image folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from crowdbench.errors import InputError, MissingError
from crowdbench.structures import Images


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
