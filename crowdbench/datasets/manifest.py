"""The facts of the known data sets, read from the YAML files in ``data_manifests/datasets/``."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import msgspec

from crowdbench.errors import UnknownNameError
from crowdbench.files import read_yaml

DATA_ROOT_VARIABLE = "CROWDBENCH_DATA"


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many images and persons a split has, each None where it is not known.

    Attributes:
        images: images listed in the annotation file.
        persons: person annotations, crowd regions and unlabelled persons among them.
        evaluated: persons that enter the metrics: with labelled keypoints and no crowd region.
    """

    images: int | None = None
    persons: int | None = None
    evaluated: int | None = None


class BoxFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of person boxes that published results start from.

    Attributes:
        name: the file's name, which is also what users type.
        description: what made the boxes.
        folders: where it usually lies, relative to each of the manifest's `folders`.
        get: where to get it.
    """

    name: str
    description: str
    folders: tuple[str, ...]
    get: str


class NativeSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a split is made from OCHuman's native file when its file in COCO format is absent.

    Attributes:
        files: known places of the native file, relative to each of the manifest's `folders`.
        part: ``val``, the first 2500 usable images, or ``test``, the others.
        low: smallest max_iou of a person that stays.
        high: max_iou below which a person stays.
    """

    files: tuple[str, ...]
    part: Literal["val", "test"]
    low: float
    high: float


class SplitManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts of a split.

    Attributes:
        name: what users type, e.g. ``coco-val2017``.
        description: what it is, in one line.
        annotations: known places of the annotation file, or of the folder in the official layout of
            MuPoTS-3D, best first, relative to each of the manifest's `folders`.
        images: known places of the image folder, likewise.
        boxes: the usual box files.
        native: how to make the split from OCHuman's native file, or None.
        has_truth: whether the ground truth is public.
        counts: what the annotation file is known to hold; another count is an error of the file.
        published_counts: what papers state but nobody has confirmed; another count is a remark.
        sha256: hex digest of the annotation file, where there is only one right file.
        sequences: names of the sequences of a 3D split, all of which belong to it; empty where
            they are not known.
    """

    name: str
    description: str
    annotations: tuple[str, ...]
    images: tuple[str, ...]
    boxes: tuple[BoxFile, ...] = ()
    native: NativeSource | None = None
    has_truth: bool = True
    counts: Counts = Counts()
    published_counts: Counts = Counts()
    sha256: str | None = None
    sequences: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts of a data set.

    Attributes:
        name: e.g. ``coco``.
        title: its name in running text.
        description: what it is, in one line.
        licence: of annotations and images, as far as known.
        get: how to get it, in words.
        citation: BibTeX.
        skeleton: name of the keypoint layout.
        area: the person area that OKS uses, the field ``area`` or 0.53 of the box.
        official_tool: name of the evaluator whose numbers decide; ``mupots`` is the script that
            comes with MuPoTS-3D.
        folders: folders under the data root that the data set may lie in, best first.
        splits: its splits.
        url: the page to get it from; None for one that is made here.
        has_levels: whether easy, medium and hard by the crowd index belong to its metrics.
        made_by: what makes it here, or None for one that has to be got.
        version: of the data, where there are several.
    """

    name: str
    title: str
    description: str
    licence: str
    get: str
    citation: str
    skeleton: str
    area: Literal["annotation", "0.53*box"]
    official_tool: Literal["pycocotools", "crowdposetools", "mupots"]
    folders: tuple[str, ...]
    splits: tuple[SplitManifest, ...]
    url: str | None = None
    has_levels: bool = False
    made_by: Literal["synthcrowd"] | None = None
    version: str | None = None

    def source(self, split: SplitManifest) -> str:
        """Return where a split is to be had: the page, or the command that makes it."""
        return self.url or f"crowdbench data make {split.name}"


@cache
def _manifests() -> dict[str, Manifest]:
    folder = files("data_manifests") / "datasets"
    found = []
    # By name without the ending, before which `-` would come.
    for entry in sorted(folder.iterdir(), key=lambda entry: Path(entry.name).stem):
        if entry.name.endswith(".yaml"):
            with as_file(entry) as path:
                found.append(read_yaml(path, Manifest))
    return {manifest.name: manifest for manifest in found}


def load_manifests() -> dict[str, Manifest]:
    """Return the facts of every known data set, by name.

    >>> sorted(load_manifests())
    ['coco', 'crowdpose', 'mupots', 'ochuman', 'synthcrowd', 'synthcrowd-3d']
    """
    return dict(_manifests())


def split_names() -> list[str]:
    """Return the names of all splits, data set by data set.

    >>> split_names()[:2]
    ['coco-train2017', 'coco-val2017']
    """
    return [split.name for manifest in _manifests().values() for split in manifest.splits]


def find_split(name: str) -> tuple[Manifest, SplitManifest]:
    """Return the facts of a split and of its data set.

    Raises:
        UnknownNameError: if there is no split of that name; it suggests the nearest.

    >>> find_split("crowdpose-val")[1].counts.images
    2000
    """
    for manifest in _manifests().values():
        for split in manifest.splits:
            if split.name == name:
                return manifest, split
    raise UnknownNameError("split", name, split_names())


def data_root(option: Path | None = None) -> Path:
    """Return the folder of the data sets: `option`, else CROWDBENCH_DATA, else ``data``."""
    return option or Path(os.environ.get(DATA_ROOT_VARIABLE) or "data")
