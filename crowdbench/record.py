"""The run folder: what is written, read and hashed.

Same inputs give the same bytes in everything but ``environment.json``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from crowdbench.card import Card
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.errors import InputError, MissingError, UsageError
from crowdbench.files import TEMPORARY, FileDigest, decode_json, read_bytes, write_json
from crowdbench.merging import Merging
from crowdbench.protocol import Protocol
from crowdbench.results import Metrics, WorstImages
from crowdbench.skeletons import Skeleton

SCHEMA_VERSION = 9


class SplitFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data a run was made on.

    Attributes:
        name: name of the split.
        own: whether it is the user's own annotation file rather than a known split.
        annotations: digest of the annotation file.
        images: how many images the run covers.
        limit: how many were asked for, or null for all.
        skeleton: the keypoint layout.
    """

    name: str
    own: bool
    annotations: FileDigest
    images: int
    limit: int | None
    skeleton: Skeleton


class PredictorFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predictor of a run.

    Attributes:
        card: its facts.
        merging: how its candidates become final poses.
        inputs: the files it read, by role.
        options: what it was asked for, every default resolved; those of the card among them.
        boxes_independent: whether a pose depends on its own box alone.
        base: the facts of the predictor whose poses a refiner started from, or null. What a refiner
            needs and what options it has stands on `card` for both.
    """

    card: Card
    merging: Merging
    inputs: dict[str, FileDigest]
    options: dict[str, str]
    boxes_independent: bool = True
    base: Card | None = None

    @property
    def name(self) -> str:
        """The predictor's name, of a refiner with its base's, e.g. ``pi-net+3dmppe``."""
        return self.card.name if self.base is None else f"{self.card.name}+{self.base.name}"

    @property
    def maker(self) -> Card:
        """The card of who makes the poses: of a refiner its base's, whose network sees the images.

        Backbone and input size of a run stand here, whether its poses are refined or not.
        """
        return self.card if self.base is None else self.base


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``run.json``: what was asked, every default resolved.

    Attributes:
        schema_version: of the record.
        split: the data.
        predictor: with its options.
        protocol: everything that decides whether two numbers may be compared.
        signature: the same in a line.
        conditions: to evaluate besides the whole split.
        notes: what a reader should know.
        resamples: for intervals; 0 for none.
    """

    schema_version: int
    split: SplitFacts
    predictor: PredictorFacts
    protocol: Protocol
    signature: str
    conditions: ConditionSettings
    notes: tuple[str, ...]
    resamples: int = 0


class Speed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a predictor was, and on what.

    Attributes:
        device: what the network ran on, e.g. ``cuda: NVIDIA H100``.
        batch_size: boxes (or images, without boxes) in a batch.
        workers: processes that read images.
        threads: of the network on a CPU, or null.
        images: how many were predicted in this go; the others had been before.
        persons: how many boxes were, or poses where there are no boxes.
        seconds: for all of that, from the first batch asked for to the last shard written.
        network_seconds: of them in `Predictor.predict`.
        images_per_second: images / seconds, or null when nothing was predicted.
        persons_per_second: persons / seconds, or null.
        latency_ms: median time of `Predictor.predict` for one box (or image), with all that belongs
            to it, after warming up; or null.
        latency_runs: how many times it was taken.
        parameters: of the network, trainable; of a refiner, its own and its base's together, as are
            the next two; null where not known.
        multiply_adds: see `crowdbench.predictor.Cost`; null where not known.
        gflops: likewise.
    """

    device: str
    batch_size: int | None
    workers: int
    threads: int | None
    images: int
    persons: int
    seconds: float
    network_seconds: float
    images_per_second: float | None
    persons_per_second: float | None
    latency_ms: float | None = None
    latency_runs: int = 0
    parameters: int | None = None
    multiply_adds: int | None = None
    gflops: float | None = None


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``environment.json``: the only file in which equal runs may differ.

    Attributes:
        crowdbench: its version.
        python: version.
        platform: operating system and processor.
        packages: versions of the packages that touch a number.
        git: commit of the current folder's repository and whether it was clean, or null.
        annotations: where the annotation file was.
        data_root: the folder of the data sets.
        images: the folder of the image files, or null when none was found.
        started: UTC, ISO 8601.
        seconds: duration of each step.
        speed: of the predictor.
    """

    crowdbench: str
    python: str
    platform: str
    packages: dict[str, str]
    git: dict[str, str | bool] | None
    annotations: str
    data_root: str
    images: str | None
    started: str
    seconds: dict[str, float]
    speed: Speed


def _are_of_one_run(run: Run, metrics: Metrics) -> bool:
    """Return whether metrics are those of a run.

    Scores can be made again under other conditions, and which images can't be read is found on the
    way; all else of the protocol is the run's.
    """
    asked = msgspec.structs.replace(
        metrics.protocol, conditions=run.protocol.conditions, skipped=run.protocol.skipped
    )
    return asked == run.protocol


Record = Run | Metrics | WorstImages | Environment
T = TypeVar("T", Run, Metrics, WorstImages, Environment)
_FILES: dict[type, str] = {
    Run: "run.json",
    Metrics: "metrics.json",
    WorstImages: "worst_images.json",
    Environment: "environment.json",
}
_HINTS: dict[type, str] = {
    Run: "is it a run folder?",
    Metrics: "run `crowdbench score` first",
    WorstImages: "run `crowdbench score` first",
    Environment: "the prediction was interrupted; the same command goes on",
}
# What a run consists of, in the order of removal: the results go first, what makes it a run last.
_CONTENT = (
    "metrics.json",
    "worst_images.json",
    "report",
    "matches.npz",
    "predictions.json",
    "preds_2d_kpt_mupots.mat",
    "preds_3d_kpt_mupots.mat",
    "attention",
    "candidates",
    "environment.json",
    "run.json",
)


class RunFolder:
    """A run folder and the typed access to its files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def candidates(self) -> Path:
        """Folder of the shards."""
        return self.path / "candidates"

    def candidates_from(self, least_score: float) -> Path:
        """Folder of the shards made from the boxes of at least that score alone."""
        return self.candidates / f"box-score-{least_score!r}"

    @property
    def attention(self) -> Path:
        """Folder of what chosen images' poses were made with, see `crowdbench.attention`."""
        return self.path / "attention"

    @property
    def predictions(self) -> Path:
        """File of the final poses, COCO results format."""
        return self.path / "predictions.json"

    @property
    def matches(self) -> Path:
        """File of what every image adds to the metrics, see `crowdbench.metrics.sample`."""
        return self.path / "matches.npz"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.path / "report"

    def has(self, kind: type[T]) -> bool:
        """Return whether the file of that kind is there."""
        return (self.path / _FILES[kind]).is_file()

    def read(self, kind: type[T]) -> T:
        """Return the content of the record's file of that kind.

        Raises:
            MissingError: if the folder or the file is not there.
            InputError: if the file is not what this version writes.
        """
        path = self.path / _FILES[kind]
        if not path.is_file():
            if not self.path.is_dir():
                raise MissingError(f"{self.path}: no such run folder (`crowdbench ls runs` lists)")
            raise MissingError(f"{self.path} has no {path.name}: {_HINTS[kind]}")
        content = read_bytes(path)
        version = decode_json(path, content, _VERSION_DECODER, path.name).schema_version
        if version not in (None, SCHEMA_VERSION):
            raise InputError(
                f"{path}: schema_version is {version}, this crowdbench reads {SCHEMA_VERSION}"
            )
        return decode_json(path, content, msgspec.json.Decoder(kind), path.name)

    def read_scored(self) -> tuple[Run, Metrics]:
        """Return what was asked of a scored run, and its numbers.

        Raises:
            MissingError: if the folder holds no scored run.
            InputError: if a record is broken, or the two do not belong together.
        """
        run, metrics = self.read(Run), self.read(Metrics)
        if not _are_of_one_run(run, metrics):
            raise InputError(
                f"{self.path}: metrics.json has another protocol than run.json, so its numbers are "
                f"of another run: run `crowdbench score {self.path}`"
            )
        return run, metrics

    def write(self, record: Record) -> None:
        """Write the record's file, whole or not at all."""
        write_json(self.path / _FILES[type(record)], record)

    def check_for(self, run: Run, overwrite: bool, resume: bool) -> bool:
        """Return whether the folder holds the unfinished beginning of `run`.

        Nothing is changed, but for what killed processes left of files they had not finished.

        Args:
            run: what is to be put into the folder.
            overwrite: whether it may replace any other run.
            resume: whether an unfinished beginning is to be gone on with.

        Raises:
            UsageError: if the folder holds another or a finished run and `overwrite` is false, or
                something that is no run at all.
        """
        self.sweep()
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return False
        if not self.path.is_dir() or not self.has(Run):
            raise UsageError(f"{self.path} is no run folder: choose another with --output")
        if overwrite:
            return False
        if self.has(Metrics) or self.read(Run) != run:
            raise UsageError(
                f"{self.path} already holds a run: --overwrite replaces it, --output DIR chooses "
                "another folder"
            )
        return resume

    def sweep(self) -> None:
        """Remove what killed processes left of files they had not finished."""
        for leftover in self.path.rglob(f".*{TEMPORARY}"):
            leftover.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what a run consists of; other files stay, and the folder need not be there."""
        if not self.path.is_dir():
            return
        for name in _CONTENT:
            entry = self.path / name
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)


class _Version(msgspec.Struct):
    schema_version: int | None = None


_VERSION_DECODER = msgspec.json.Decoder(_Version)


def find_runs(root: Path) -> Iterator[RunFolder]:
    """Yield the run folders directly below `root`, by name."""
    if root.is_dir():
        for path in sorted(root.iterdir()):
            if (folder := RunFolder(path)).has(Run):
                yield folder


# What `crowdbench schema` knows, by the file's name without its ending.
SCHEMAS: dict[str, type[Record]] = {
    name.removesuffix(".json"): kind for kind, name in _FILES.items()
}


def json_schema(kind: type[msgspec.Struct], file: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a file.

    Args:
        kind: the type of its content.
        file: its name.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": file,
    } | msgspec.json.schema(kind)
