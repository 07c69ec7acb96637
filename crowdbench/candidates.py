"""Candidates on disk: poses before merging, in shards of consecutive images."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crowdbench.errors import InputError, MissingError
from crowdbench.files import write_atomically
from crowdbench.results import SkippedImage
from crowdbench.structures import Poses


class Candidates(NamedTuple):
    """The candidates of a run.

    Attributes:
        poses: made from all boxes.
        sweep: by least box score, the poses made from the boxes that reach it; only of a predictor
            whose poses depend on the other boxes of the image.
        skipped: images without poses because they could not be used.
    """

    poses: Poses
    sweep: Mapping[float, Poses] = {}
    skipped: tuple[SkippedImage, ...] = ()


class Shard(NamedTuple):
    """What one file holds.

    Attributes:
        poses: the candidates of its images.
        skipped: those of its images that could not be used.
    """

    poses: Poses
    skipped: tuple[SkippedImage, ...] = ()


def shard_paths(folder: Path, n_images: int, images_per_shard: int) -> list[Path]:
    """Return the paths of all shards of a split with `n_images` images, in order."""
    n_shards = -(-n_images // images_per_shard)
    return [folder / f"{i:05d}.npz" for i in range(n_shards)]


def write_shard(path: Path, shard: Shard) -> None:
    """Write one shard, whole or not at all; equal poses give equal bytes."""
    arrays = {
        column.name: value
        for column in fields(Poses)
        if (value := getattr(shard.poses, column.name)) is not None
    }
    if shard.skipped:
        arrays["skipped_ids"] = np.array([image.image_id for image in shard.skipped], np.int64)
        arrays["skipped_reasons"] = np.array([image.reason for image in shard.skipped], np.str_)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def read_shard(path: Path) -> Shard:
    """Return the content of a shard.

    Raises:
        MissingError: if it is not there.
        InputError: if it is no shard.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
            ids, reasons = columns.pop("skipped_ids", ()), columns.pop("skipped_reasons", ())
            skipped = zip(map(int, ids), map(str, reasons), strict=True)
            return Shard(Poses(**columns), tuple(itertools.starmap(SkippedImage, skipped)))
    except FileNotFoundError:
        raise MissingError(f"{path} is missing: run `crowdbench predict` again") from None
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no shard of candidates: {error}") from None


def read_shards(folder: Path, n_images: int, images_per_shard: int) -> Shard:
    """Return the shards of a whole split as one.

    Raises:
        MissingError: if one is not there.
        InputError: if a file is no shard.
    """
    paths = shard_paths(folder, n_images, images_per_shard)
    return join_shards([read_shard(path) for path in paths])


def join_shards(parts: Sequence[Shard]) -> Shard:
    """Return consecutive shards as one."""
    skipped = itertools.chain.from_iterable(part.skipped for part in parts)
    return Shard(join_poses([part.poses for part in parts]), tuple(skipped))


def no_poses(n_keypoints: int) -> Poses:
    """Return the poses of images that have none."""
    none = np.zeros(0, np.int64)
    return Poses(
        none, np.zeros((0, n_keypoints, 2)), np.zeros((0, n_keypoints)), np.zeros(0), none, none
    )


def join_poses(parts: Sequence[Poses]) -> Poses:
    """Return poses of consecutive images as one.

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
