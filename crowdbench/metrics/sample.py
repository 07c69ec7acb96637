"""A scored split that can be drawn again: what every image adds to the metrics.

From it all metrics follow for any choice of images, each taken any number of times, without the
poses or the annotations. Intervals, paired tests and the gate are made from it, and ``matches.npz``
of a run folder holds it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from crowdbench.errors import InputError, MissingError
from crowdbench.files import read_bytes, write_atomically
from crowdbench.structures import Array

UnitKind = Literal["image", "sequence", "block"]
_FACTS = "facts"


class Key(NamedTuple):
    """Which number: a metric, on the whole split or in a row of a condition.

    Attributes:
        metric: its name.
        condition: name of the condition; None for the whole split.
        row: label of its row.
    """

    metric: str
    condition: str | None = None
    row: str | None = None


class Units(NamedTuple):
    """What is drawn: images, or sequences or blocks of images, which depend on each other.

    Attributes:
        kind: what they are.
        of_image: (I,) int64, the unit that each image belongs to.
        n: how many units there are.
    """

    kind: UnitKind
    of_image: Array
    n: int


class Sample(Protocol):
    """A scored split that can be drawn again."""

    @property
    def units(self) -> Units:
        """What is drawn."""

    @property
    def keys(self) -> Sequence[Key]:
        """The numbers there are."""

    def replicate(self, weights: Array, keys: Sequence[Key]) -> Array:
        """Return numbers on resampled splits.

        Args:
            weights: (n units, B) int32, how many times each unit is taken into each resample.
            keys: which numbers.

        Returns:
            (K, B) float64, NaN where a resample has no such number. With weights of 1 they are the
            recorded metrics, up to the order of summation.
        """

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that `write_sample` keeps."""

    def facts(self) -> dict[str, Any]:
        """Return what else it keeps, as JSON has it; ``kind`` is ``2d`` or ``3d``."""


def draw(n_units: int, resamples: int, seed: int) -> Array:
    """Return how many times each unit is drawn into each resample: (n units, B) int32.

    The same numbers everywhere: the raw stream of PCG64, which numpy never changes, scaled to the
    number of units. So runs on the same images, resampled with one seed, are resampled alike.

    >>> draw(3, 4, seed=0).sum(0).tolist()
    [3, 3, 3, 3]
    """
    raw = np.random.PCG64(seed).random_raw(n_units * resamples)
    # 32 bits are enough: a unit is preferred by less than n / 2^32.
    drawn = ((raw >> np.uint64(32)) * np.uint64(n_units)) >> np.uint64(32)
    places = drawn.astype(np.int64).reshape(resamples, n_units)
    places += np.arange(resamples)[:, None] * n_units
    counts = np.bincount(places.ravel(), minlength=n_units * resamples)
    return np.ascontiguousarray(counts.reshape(resamples, n_units).T.astype(np.int32))


def leave_out(n_units: int, most_groups: int) -> Array:
    """Return the weights that leave out one group of units after the other: (n units, G) int32.

    Every unit is a group of its own where there are at most `most_groups`.

    >>> leave_out(3, 200).tolist()
    [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """
    n_groups = min(n_units, most_groups)
    stays = np.arange(n_units)[:, None] % n_groups != np.arange(n_groups)
    return np.asarray(stays, np.int32)


def sample_bytes(sample: Sample) -> bytes:
    """Return a sample as the content of a ``.npz`` file; equal samples give equal bytes."""
    content = io.BytesIO()
    facts = np.frombuffer(json.dumps(sample.facts()).encode(), np.uint8)
    arrays: dict[str, Any] = {_FACTS: facts, **sample.arrays()}
    np.savez(content, **arrays)
    return content.getvalue()


def write_sample(path: Path, sample: Sample) -> None:
    """Write a sample, whole or not at all."""
    content = sample_bytes(sample)
    write_atomically(path, lambda file: file.write(content))


def read_sample(path: Path) -> Sample:
    """Return the sample of a run folder.

    Raises:
        MissingError: if it is not there.
        InputError: if the file is not what this version writes.
    """
    if not path.is_file():
        raise MissingError(
            f"{path} is missing: `crowdbench score {path.parent}` writes it (--bootstrap off does "
            "not)"
        )
    return sample_from(read_bytes(path), str(path))


def sample_from(content: bytes, name: str) -> Sample:
    """Return the sample that `sample_bytes` made bytes of.

    Raises:
        InputError: if it is not what this version writes; `name` is where it came from.
    """
    # Each of them imports this module.
    from crowdbench.metrics.sample_2d import Sample2D
    from crowdbench.metrics.sample_3d import Sample3D

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        facts = json.loads(arrays.pop(_FACTS).tobytes())
        if facts["kind"] == "2d":
            return Sample2D.restore(arrays, facts)
        if facts["kind"] == "3d":
            return Sample3D.restore(arrays, facts)
        raise ValueError(f"kind is {facts['kind']!r}, expected 2d or 3d")
    except (OSError, ValueError, TypeError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{name}: not the matches that this crowdbench writes ({error}): score the run again"
        ) from None
