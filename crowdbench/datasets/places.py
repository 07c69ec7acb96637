"""Where a data set's files lie under the data root: several layouts are in use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from crowdbench.datasets.manifest import (
    DATA_ROOT_VARIABLE,
    BoxFile,
    Manifest,
    NativeSource,
    SplitManifest,
)
from crowdbench.datasets.mupots import official_folder
from crowdbench.errors import MissingError

SET_THE_ROOT = f"set the data root with --data-root or {DATA_ROOT_VARIABLE}"


class AnnotationFile(NamedTuple):
    """An annotation file that is there.

    Attributes:
        path: the file, or the folder in the official layout of MuPoTS-3D.
        native: how to make the split from it if it is OCHuman's native file, else None.
    """

    path: Path
    native: NativeSource | None


def find_annotations(root: Path, manifest: Manifest, split: SplitManifest) -> AnnotationFile | None:
    """Return the first known annotation file that is there, or None.

    Files in COCO format go before OCHuman's native file.
    """
    # os.path, here and below: Path.is_file stops at a folder without permission, this goes on.
    for path in _places(root, manifest, split.annotations):
        if os.path.isfile(path) or official_folder(path) == path:
            return AnnotationFile(path, None)
    for path in _places(root, manifest, split.native.files if split.native else ()):
        if os.path.isfile(path):
            return AnnotationFile(path, split.native)
    return None


def find_images(root: Path, manifest: Manifest, split: SplitManifest) -> Path | None:
    """Return the first known image folder that is there, or None."""
    return next(filter(os.path.isdir, _places(root, manifest, split.images)), None)


def find_boxes(root: Path, manifest: Manifest, boxes: BoxFile) -> Path | None:
    """Return the first known place at which the box file is there, or None."""
    return next(filter(os.path.isfile, _box_places(root, manifest, boxes)), None)


def missing_annotations(root: Path, manifest: Manifest, split: SplitManifest) -> MissingError:
    """Return the error that says what was looked for, where, and where to get it."""
    tried = _places(root, manifest, split.annotations)
    tried += _places(root, manifest, split.native.files if split.native else ())
    return _missing(f"{split.name}: annotations not found", root, tried, manifest.source(split))


def missing_boxes(
    root: Path, manifest: Manifest, split: SplitManifest, boxes: BoxFile
) -> MissingError:
    """Return the error that says which box file was looked for, where, and where to get it."""
    tried = _box_places(root, manifest, boxes)
    return _missing(f"{split.name}: boxes {boxes.name} not found", root, tried, boxes.get)


def missing_images_folder(root: Path, manifest: Manifest, split: SplitManifest) -> MissingError:
    """Return the error that says which image folder was looked for, where, and where to get it."""
    tried = _places(root, manifest, split.images)
    return _missing(f"{split.name}: images not found", root, tried, manifest.source(split))


def _places(root: Path, manifest: Manifest, names: Iterable[str]) -> list[Path]:
    names = tuple(names)
    return [root / folder / name for folder in manifest.folders for name in names]


def _box_places(root: Path, manifest: Manifest, boxes: BoxFile) -> list[Path]:
    return _places(root, manifest, (f"{folder}/{boxes.name}" for folder in boxes.folders))


def _missing(what: str, root: Path, tried: list[Path], get: str) -> MissingError:
    if not os.path.exists(root):
        why = f"the data root {root.absolute()} does not exist"
    elif not os.path.isdir(root):
        why = f"the data root {root.absolute()} is not a folder"
    elif not os.access(root, os.R_OK | os.X_OK):
        why = f"the data root {root.absolute()} can't be read (permissions)"
    else:
        first = tried[0].relative_to(root)
        more = f" and {len(tried) - 1} more" if tried[1:] else ""
        why = f"tried {first}{more} under the data root {root.absolute()}"
    return MissingError(f"{what}: {why}\n{SET_THE_ROOT}, or get them: {get}")
