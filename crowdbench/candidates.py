"""Candidates on disk: poses before merging, in shards of consecutive images."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crowdbench.errors import InputError, MissingError
from crowdbench.files import write_atomically
from crowdbench.structures import Poses


class Candidates(NamedTuple):
    """The candidates of a run.

    Attributes:
        poses: made from all boxes.
        sweep: by least box score, the poses made from the boxes that reach it; only of a predictor
            whose poses depend on the other boxes of the image.
    """

    poses: Poses
    sweep: Mapping[float, Poses] = {}


def shard_paths(folder: Path, n_images: int, images_per_shard: int) -> list[Path]:
    """Return the paths of all shards of a split with `n_images` images, in order."""
    n_shards = -(-n_images // images_per_shard)
    return [folder / f"{i:05d}.npz" for i in range(n_shards)]


def write_shard(path: Path, poses: Poses) -> None:
    """Write one shard, whole or not at all; equal poses give equal bytes."""
    arrays = {
        column.name: value
        for column in fields(Poses)
        if (value := getattr(poses, column.name)) is not None
    }
    write_atomically(path, lambda file: np.savez(file, **arrays))


def read_shard(path: Path) -> Poses:
    """Return the poses of a shard.

    Raises:
        MissingError: if it is not there.
        InputError: if it is no shard.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Poses(**{name: arrays[name] for name in arrays.files})
    except FileNotFoundError:
        raise MissingError(f"{path} is missing: run `crowdbench predict` again") from None
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no shard of candidates: {error}") from None


def join_poses(parts: list[Poses]) -> Poses:
    """Return the poses of consecutive shards as one.

    Boxes are kept only when every part that has poses has them.
    """
    filled = [part for part in parts if len(part)] or parts[:1]
    if len(filled) == 1:
        return filled[0]
    columns: dict[str, Any] = {}
    for column in fields(Poses):
        values = [getattr(part, column.name) for part in filled]
        columns[column.name] = (
            None if any(value is None for value in values) else np.concatenate(values)
        )
    return Poses(**columns)
