"""The run folder: what is written, read and hashed.

Same inputs give the same bytes in everything but ``environment.json``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from crowdbench.conditions.settings import ConditionSettings
from crowdbench.errors import InputError, MissingError, UsageError
from crowdbench.files import TEMPORARY, FileDigest, decode_json, read_bytes, write_json
from crowdbench.merging import Merging
from crowdbench.protocol import Protocol
from crowdbench.skeletons import Skeleton

SCHEMA_VERSION = 2


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
        name: of the predictor.
        description: what it does.
        images_per_shard: images in each file of candidates.
        boxes_independent: whether each of its poses depends on its own box alone.
        merging: how its candidates become final poses.
        inputs: the files it read, by role.
        options: what it was asked for, every default resolved.
    """

    name: str
    description: str
    images_per_shard: int
    boxes_independent: bool
    merging: Merging
    inputs: dict[str, FileDigest]
    options: dict[str, str]


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``run.json``: what was asked, every default resolved."""

    schema_version: int
    split: SplitFacts
    predictor: PredictorFacts
    protocol: Protocol
    signature: str
    conditions: ConditionSettings
    notes: tuple[str, ...]


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number.

    Attributes:
        value: a fraction at full precision, or null when there is none.
        n: evaluated persons it rests on; for PCK and OKS_matched keypoints, for robustness figures
            rows.
        higher_is_better: its direction.
        reason: why the value is null, or what else must be known about it.
    """

    value: float | None
    n: int
    higher_is_better: bool
    reason: str | None


class KeypointMetrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accuracy of one keypoint.

    Attributes:
        name: of the keypoint.
        n_labelled: labelled ones of evaluated persons.
        n_matched: those of persons matched at OKS 0.50.
        pck: share of the labelled ones that are close; null when there is none.
        oks: mean similarity of the matched ones; null when there is none.
    """

    name: str
    n_labelled: int
    n_matched: int
    pck: float | None
    oks: float | None


class ConditionRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The metrics under one condition: at one threshold, or in one bin.

    A field that does not belong to the condition is left out.

    Attributes:
        label: what tables and plots call it, e.g. ``>= 0.3``, ``0.1 - 0.3``, ``hard``.
        threshold: the least score of what takes part (rows that are thresholds).
        low: lower end of the bin, inclusive; null for none (rows that are bins).
        high: upper end of the bin, exclusive but for the last one; null for none.
        n_images: images that take part.
        n_persons: persons that are evaluated.
        n_boxes: boxes that take part, where the condition chooses boxes.
        n_poses: poses that take part, after merging and before the cut at 20 per image.
        metrics: the numbers, by name.
    """

    label: str
    n_images: int
    n_persons: int
    n_poses: int
    metrics: dict[str, Metric]
    threshold: float | UnsetType = UNSET
    low: float | UnsetType | None = UNSET
    high: float | UnsetType | None = UNSET
    n_boxes: int | UnsetType = UNSET


class ConditionFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a condition is.

    Attributes:
        title: its name in words, for headings, e.g. ``Detector confidence``.
        axis: what its rows range over, with the unit, for axes, e.g. ``least box score``.
        rule: what it does, with every parameter, as the signature prints it.
        kind: ``threshold``, ``bins`` or ``levels`` (named bins).
        selects: ``poses``, ``persons`` or ``images``: what its rows choose.
        harder: ``up`` or ``down``: whether rows get harder as their values rise or fall.
        notes: what a reader should know, e.g. where values came from.
        reason: why it has no rows here; null when it has some.
    """

    title: str
    axis: str
    rule: str
    kind: Literal["threshold", "bins", "levels"]
    selects: Literal["poses", "persons", "images"]
    harder: Literal["up", "down"]
    notes: tuple[str, ...]
    reason: str | None


class PrecisionCurve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Interpolated precision at the recall levels 0, 0.01 ... 1.

    Attributes:
        oks: the threshold a match must reach.
        precision: 101 fractions; empty when no person is evaluated.
    """

    oks: float
    precision: tuple[float, ...]


class OksHistogram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How well the evaluated persons are found: the best OKS any pose reaches with each.

    Attributes:
        edges: B + 1 ends of the bins, ascending, 0 to 1.
        counts: B numbers of persons; the last bin includes its upper end.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``metrics.json``: every number with its n and direction; fractions.

    Attributes:
        schema_version: of the record.
        split: its name.
        predictor: its name.
        signature: the protocol in a line, with the conditions.
        protocol: the same as a value.
        metrics: the numbers on the whole split, by name.
        conditions: by condition, its rows in the order of their values; conditions without rows
            are left out.
        condition_facts: by condition, also of those without rows, what it is.
        robustness: by condition, figures that sum up its rows, see docs/robustness.md.
        curves: precision over recall at OKS 0.50 and 0.75.
        oks_histogram: how well persons are found; null without public ground truth.
        keypoints: accuracy by keypoint.
        counts: images, persons and poses by kind.
        notes: what a reader should know.
    """

    schema_version: int
    split: str
    predictor: str
    signature: str
    protocol: Protocol
    metrics: dict[str, Metric]
    conditions: dict[str, tuple[ConditionRow, ...]]
    condition_facts: dict[str, ConditionFacts]
    robustness: dict[str, dict[str, Metric]]
    curves: tuple[PrecisionCurve, ...]
    oks_histogram: OksHistogram | None
    keypoints: tuple[KeypointMetrics, ...]
    counts: dict[str, int]
    notes: tuple[str, ...]


class DrawnPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An annotated person of an image that is shown.

    Attributes:
        keypoints: K of x, y in pixels, and visibility 0, 1, 2.
        box: xywh in pixels.
        is_evaluated: false for crowd regions and persons without counted keypoints.
        oks: the best OKS any pose reaches with the person; null when it is not evaluated.
    """

    keypoints: tuple[tuple[float, float, int], ...]
    box: tuple[float, float, float, float]
    is_evaluated: bool
    oks: float | None


class DrawnPose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pose of an image that is shown.

    Attributes:
        keypoints: K of x, y in pixels.
        score: of the pose.
        is_match: whether it is a true positive at OKS 0.50.
    """

    keypoints: tuple[tuple[float, float], ...]
    score: float
    is_match: bool


class DrawnImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image that is shown, with all that is drawn on it.

    Attributes:
        image_id: its id in the annotation file.
        file_name: as the annotation file gives it.
        size: width and height in pixels; 0 where the file does not say.
        mean_oks: over its evaluated persons, of the best OKS any pose reaches with each.
        persons: all annotated persons.
        poses: the poses that count, the best score first.
    """

    image_id: int
    file_name: str
    size: tuple[int, int]
    mean_oks: float
    persons: tuple[DrawnPerson, ...]
    poses: tuple[DrawnPose, ...]


class WorstImages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``worst_images.json``: the images with the lowest mean OKS, the worst first."""

    schema_version: int
    images: tuple[DrawnImage, ...]


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
    "predictions.json",
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
    def predictions(self) -> Path:
        """File of the final poses, COCO results format."""
        return self.path / "predictions.json"

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

    def write(self, record: Record) -> None:
        """Write the record's file, whole or not at all."""
        write_json(self.path / _FILES[type(record)], record)

    def open_for(self, run: Run, overwrite: bool) -> bool:
        """Make the folder ready for `run` and return whether it continues an unfinished one.

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
            self._clear()
            return False
        if self.has(Metrics) or self.read(Run) != run:
            raise UsageError(
                f"{self.path} already holds a run: --overwrite replaces it, --output DIR chooses "
                "another folder"
            )
        return True

    def sweep(self) -> None:
        """Remove what killed processes left of files they had not finished."""
        for leftover in self.path.rglob(f".*{TEMPORARY}"):
            leftover.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove what a run consists of; other files stay."""
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
