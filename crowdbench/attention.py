"""What the poses of one image were made with: how much of which person each keypoint looked at.

A run folder keeps it for the images that a user chose, in ``attention/<image id>.npz``.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crowdbench.errors import InputError
from crowdbench.files import read_bytes, write_atomically
from crowdbench.structures import FARTHEST, Array

# The weights of a query sum to 1, but for the rounding of half precision.
_SUM_TOLERANCE = 0.01
_LEAST_EXTENT = 0.001  # of a crop, pixels


@dataclass(frozen=True)
class Attention:
    """The attention between the persons of one image.

    Attributes:
        boxes: (P, 4) float64 xywh, pixels: the boxes of the persons that have a pose.
        crops: (P, 4) float64 xywh, pixels: the part of the image that the h x w cells of each
            person's weights cover evenly.
        keypoints: (P, K, 2) float64 pixels, the poses.
        before: (P, K, 2) float64 pixels, the poses before the persons were related to each other;
            None where the network gives none.
        weights: (L, P, K, P, h, w) float32: how much, in each of L layers, the cell in which a
            person's keypoint was found attends to the cells of all persons. They sum to 1 over the
            last three axes; persons that were not in the same group have zeros.
    """

    boxes: Array
    crops: Array
    keypoints: Array
    before: Array | None
    weights: Array


@dataclass(frozen=True)
class ImageAttention:
    """The attention between the persons of an image, and which image it is.

    Attributes:
        image_id: its id in the annotation file.
        file_name: as the annotation file gives it.
        size: width and height in pixels; 0 where the file does not say.
        attention: between its persons.
    """

    image_id: int
    file_name: str
    size: tuple[int, int]
    attention: Attention


def attention_path(folder: Path, image_id: int) -> Path:
    """Return the file of an image."""
    return folder / f"{image_id}.npz"


def attention_paths(folder: Path) -> list[Path]:
    """Return the files of all images that are there, by ascending id."""
    names = {path.stem: path for path in folder.glob("*.npz")}
    return [names[name] for name in sorted(filter(_is_id, names), key=int)]


def attention_fault(attention: Attention, n_keypoints: int) -> str | None:
    """Return what is wrong with the arrays, and what would be right; None if nothing is.

    Args:
        attention: as `Attention` describes it.
        n_keypoints: K, of the split's skeleton.
    """
    shape = np.shape(attention.weights)
    if len(shape) != 6 or 0 in shape:
        return f"weights of shape {shape}, expected (L, P, K, P, h, w) without a 0"
    p = shape[1]
    expected: dict[str, tuple[int, ...]] = {
        "weights": (shape[0], p, n_keypoints, p, *shape[4:]),
        "boxes": (p, 4),
        "crops": (p, 4),
        "keypoints": (p, n_keypoints, 2),
        "before": (p, n_keypoints, 2),
    }
    for name, right in expected.items():
        values = getattr(attention, name)
        if values is None and name == "before":
            continue
        if np.shape(values) != right:
            return f"{name} of shape {np.shape(values)}, expected {right}"
        kind = np.asarray(values).dtype
        if kind.kind != "f":
            return f"{name} of type {kind}, expected floating-point numbers"
        if not (np.abs(values) < FARTHEST).all():
            return f"{name} with numbers that are not finite or beyond {FARTHEST:g}"
    if (attention.crops[:, 2:] < _LEAST_EXTENT).any():
        return f"crops without an extent, expected widths and heights of {_LEAST_EXTENT:g} or more"
    sums = attention.weights.sum((3, 4, 5), dtype=np.float64)
    if (attention.weights < 0).any() or (np.abs(sums - 1) > _SUM_TOLERANCE).any():
        return "weights that are no shares, expected numbers from 0 that sum to 1 for each keypoint"
    return None


def write_attention(folder: Path, found: ImageAttention) -> None:
    """Write the file of an image, whole or not at all; equal attention gives equal bytes.

    The weights are kept in half precision, which has three digits: float16, not compressed.
    """
    attention = found.attention
    arrays: dict[str, Any] = {
        "file_name": np.array(found.file_name, np.str_),
        "size": np.array(found.size, np.int64),
        "boxes": attention.boxes.astype(np.float64),
        "crops": attention.crops.astype(np.float64),
        "keypoints": attention.keypoints.astype(np.float64),
        "weights": attention.weights.astype(np.float16),
    }
    if attention.before is not None:
        arrays["before"] = attention.before.astype(np.float64)
    path = attention_path(folder, found.image_id)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def read_attention(path: Path, n_keypoints: int) -> ImageAttention:
    """Return what a file holds.

    Args:
        path: of a file that `attention_paths` found.
        n_keypoints: of the run's skeleton.

    Raises:
        MissingError: if it is not there.
        InputError: if it is not what `write_attention` writes.
    """
    content = read_bytes(path, "attention")
    try:
        found = _decoded(path, content)
        fault = attention_fault(found.attention, n_keypoints)
    except Exception as error:  # numpy raises anything for bytes that are no archive of arrays
        fault = f"{type(error).__name__}: {error}"
    if fault is not None:
        raise InputError(
            f"{path}: not the attention that this crowdbench writes ({fault}): remove the file, or "
            "predict again with --save-attention"
        )
    return found


def _decoded(path: Path, content: bytes) -> ImageAttention:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # Nothing is compressed, so that a small file can't fill the memory.
        if sum(member.file_size for member in archive.infolist()) > len(content):
            raise ValueError("compressed arrays")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    name, size = arrays["file_name"], arrays["size"]
    if name.shape or name.dtype.kind != "U" or size.shape != (2,) or size.dtype.kind != "i":
        raise ValueError("no file_name and size of an image")
    width, height = size.tolist()
    attention = Attention(
        arrays["boxes"],
        arrays["crops"],
        arrays["keypoints"],
        arrays.get("before"),
        arrays["weights"].astype(np.float32),
    )
    return ImageAttention(int(path.stem), str(name), (width, height), attention)


def _is_id(name: str) -> bool:
    return name.removeprefix("-").isdecimal() and str(int(name)) == name
