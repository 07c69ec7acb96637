"""What is there of the known data sets, and whether it is what it should be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crowdbench.datasets.image_files import image_path
from crowdbench.datasets.loading import found_counts, load_split
from crowdbench.datasets.manifest import (
    Counts,
    Manifest,
    SplitManifest,
    find_split,
    load_manifests,
    split_names,
)
from crowdbench.datasets.mupots import missing_sequences
from crowdbench.datasets.places import (
    find_annotations,
    find_boxes,
    find_images,
    missing_annotations,
)
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class SplitFiles:
    """What of a split is there.

    Attributes:
        name: the split.
        dataset: name of its data set.
        description: what it is, in one line.
        path: its annotation file, or None when missing.
        is_native: whether that is OCHuman's native file, to be converted on loading.
        images: its image folder, or None when missing.
        boxes: path of each usual box file, None where missing.
        get: the page to get the data set from, or the command that makes the split.
        can_be_made: whether such a command makes it.
    """

    name: str
    dataset: str
    description: str
    path: Path | None
    is_native: bool
    images: Path | None
    boxes: dict[str, Path | None]
    get: str
    can_be_made: bool = False

    @property
    def is_present(self) -> bool:
        """Whether the split can be used: its annotation file is there."""
        return self.path is not None


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a data set, and what of it is there.

    Attributes:
        manifest: licence, citation, where to get it and all other facts.
        splits: facts of the splits asked for.
        files: what of them is there, in the same order.
    """

    manifest: Manifest
    splits: tuple[SplitManifest, ...]
    files: tuple[SplitFiles, ...]


@dataclass(frozen=True)
class CountCheck:
    """A count beside the known one.

    Attributes:
        what: ``images``, ``persons`` or ``evaluated`` (persons that enter the metrics).
        found: in the file.
        expected: what is known, or None.
        is_certain: False for what papers state but nobody has confirmed.
    """

    what: str
    found: int | None
    expected: int | None
    is_certain: bool = True

    @property
    def state(self) -> Literal["ok", "differs", "unknown"]:
        """``unknown`` where there is nothing to compare."""
        if self.expected is None or self.found is None:
            return "unknown"
        return "ok" if self.found == self.expected else "differs"


@dataclass(frozen=True)
class ImageCheck:
    """How many of a split's image files are there.

    Attributes:
        n_listed: images in the annotation file.
        n_present: those of them whose file is in the image folder.
    """

    n_listed: int
    n_present: int


@dataclass(frozen=True)
class SplitCheck:
    """Whether a split's files are what they should be.

    Attributes:
        files: what is there.
        counts: the counts, certain ones first; empty if the file is missing or wrong.
        sha256: hex digest of the annotation file, or None.
        expected_sha256: the one that is known to be right, or None.
        images: the image files, or None without an image folder.
        problem: why the annotations can't be used, or which sequences they lack, in words; or
            None.
    """

    files: SplitFiles
    counts: tuple[CountCheck, ...] = ()
    sha256: str | None = None
    expected_sha256: str | None = None
    images: ImageCheck | None = None
    problem: str | None = None

    @property
    def passes(self) -> bool | None:
        """Whether nothing is wrong; None for a split that is not there.

        Missing images and a difference from an unconfirmed count are no failure.
        """
        if not self.files.is_present:
            return None
        wrong = any(check.is_certain and check.state == "differs" for check in self.counts)
        wrong |= self.expected_sha256 not in (None, self.sha256)
        return self.problem is None and not wrong


def list_splits(root: Path) -> list[SplitFiles]:
    """Return what is there of every known split; reads no file."""
    return [
        _files(root, manifest, split)
        for manifest in load_manifests().values()
        for split in manifest.splits
    ]


def show(name: str, root: Path) -> DatasetFacts:
    """Return the facts of a data set, or of one split and its data set; reads no data file.

    Raises:
        UnknownNameError: if `name` is neither a data set nor a split.
    """
    manifest, splits = named(name)
    return DatasetFacts(manifest, splits, tuple(_files(root, manifest, split) for split in splits))


def verify(name: str, root: Path) -> tuple[SplitCheck, ...]:
    """Return whether the files of a data set, or of one split, are what they should be.

    Splits of a data set that are not there are listed but do not fail.

    Raises:
        UnknownNameError: if `name` is neither a data set nor a split.
        MissingError: if nothing of it is there.
    """
    manifest, splits = named(name)
    checks = tuple(_check(root, manifest, split) for split in splits)
    if not any(check.files.is_present for check in checks):
        raise missing_annotations(root, manifest, splits[0])
    return checks


def named(name: str) -> tuple[Manifest, tuple[SplitManifest, ...]]:
    """Return the facts of a data set with all its splits, or of one split and its data set.

    Raises:
        UnknownNameError: if `name` is neither a data set nor a split.
    """
    manifests = load_manifests()
    if name in manifests:
        return manifests[name], manifests[name].splits
    if name not in split_names():
        raise UnknownNameError("data set or split", name, [*manifests, *split_names()])
    manifest, split = find_split(name)
    return manifest, (split,)


def _files(root: Path, manifest: Manifest, split: SplitManifest) -> SplitFiles:
    found = find_annotations(root, manifest, split)
    return SplitFiles(
        name=split.name,
        dataset=manifest.name,
        description=split.description,
        path=found.path if found else None,
        is_native=found is not None and found.native is not None,
        images=find_images(root, manifest, split),
        boxes={boxes.name: find_boxes(root, manifest, boxes) for boxes in split.boxes},
        get=manifest.source(split),
        can_be_made=manifest.made_by is not None,
    )


def _check(root: Path, manifest: Manifest, facts: SplitManifest) -> SplitCheck:
    files = _files(root, manifest, facts)
    if not files.is_present:
        return SplitCheck(files)
    try:
        split = load_split(facts.name, root)
        images = _check_images(split)
    except InputError as error:
        return SplitCheck(files, problem=str(error))
    counts = _check_counts(found_counts(split), facts)
    return SplitCheck(
        files, counts, split.annotations.sha256, facts.sha256, images, _lost(split, facts)
    )


def _lost(split: Split, facts: SplitManifest) -> str | None:
    if split.truth is None or split.truth.pose3d is None:
        return None
    return next(iter(missing_sequences(split.truth.pose3d.sequences, facts.sequences)), None)


def _check_counts(found: Counts, facts: SplitManifest) -> tuple[CountCheck, ...]:
    fields = Counts.__struct_fields__
    certain = [CountCheck(f, getattr(found, f), getattr(facts.counts, f)) for f in fields]
    stated = [
        CountCheck(f, getattr(found, f), expected, is_certain=False)
        for f in fields
        if (expected := getattr(facts.published_counts, f)) is not None
    ]
    return (*certain, *stated)


def _check_images(split: Split) -> ImageCheck | None:
    if split.images.folder is None:
        return None
    n_images = len(split.images)
    present = (os.path.isfile(image_path(split.images, row)) for row in range(n_images))
    return ImageCheck(n_images, sum(present))
