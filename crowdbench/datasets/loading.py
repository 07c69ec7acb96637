"""From a split's name, or an annotation file of one's own, to the loaded split."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from crowdbench.datasets.coco_format import Annotations, read_annotations
from crowdbench.datasets.manifest import Counts, NativeSource, SplitManifest, find_split
from crowdbench.datasets.mupots import (
    folder_name,
    missing_sequences,
    numbered,
    official_folder,
    read_official,
    sequence_number,
)
from crowdbench.datasets.mupots_json import read_coco_style
from crowdbench.datasets.ochuman import read_ochuman
from crowdbench.datasets.places import find_annotations, find_images, missing_annotations
from crowdbench.datasets.split import Split
from crowdbench.datasets.synthcrowd.truth_3d import read_truth_3d
from crowdbench.errors import InputError, UsageError
from crowdbench.files import MALFORMED, FileDigest, digest_of, read_bytes
from crowdbench.skeletons import CROWDPOSE_14, MUPOTS_17, Skeleton, load_skeleton

# The evaluators whose numbers decide on annotations of one's own, by skeleton.
_OFFICIAL_TOOLS = {CROWDPOSE_14.name: "crowdposetools", MUPOTS_17.name: "mupots"}


def load_split(name: str, root: Path, limit: int | None = None) -> Split:
    """Return a known split.

    Args:
        name: e.g. ``crowdpose-val``.
        root: folder of the data sets, see `crowdbench.datasets.data_root`.
        limit: only the first so many images by id, None for all.

    Raises:
        UnknownNameError: if there is no split of that name.
        UsageError: if `limit` is below 1.
        MissingError: if its annotation file is not there; the message says where it was looked for
            and where to get it.
        InputError: if the file can't be read or is something else, e.g. another data set's.
    """
    manifest, facts = find_split(name)
    _check_limit(limit)
    found = find_annotations(root, manifest, facts)
    if found is None:
        raise missing_annotations(root, manifest, facts)
    path, native = found
    skeleton = load_skeleton(manifest.skeleton)
    if skeleton.is_3d:
        annotations, digest = (
            _read_mupots(path) if manifest.made_by is None else read_truth_3d(path, name)
        )
    elif native is None:
        annotations, digest = _read_coco(path, skeleton, manifest.area)
    else:
        annotations, digest = _read_native(path, native)
    if facts.has_truth and annotations.truth is None:
        raise InputError(
            f"{path}: annotations is missing: {name} needs the file with the ground truth"
        )
    images = annotations.images
    whole = Split(
        name=name,
        skeleton=skeleton,
        area=manifest.area,
        images=replace(images, folder=images.folder or find_images(root, manifest, facts)),
        truth=annotations.truth,
        category_id=annotations.category_id,
        annotations=digest,
        path=path,
        known_ids=images.ids,
        converted=native is not None,
        has_levels=manifest.has_levels,
        official_tool=manifest.official_tool,
        notes=annotations.notes
        + _fact_notes(annotations, facts, digest)
        + _lost_sequences(annotations, facts.sequences),
    )
    return whole.first_images(limit)


def load_own(annotations: Path, skeleton: Skeleton, limit: int | None = None) -> Split:
    """Return a split made from annotations of one's own, named after their file or folder.

    A file with crowdpose-14 keypoints is treated as CrowdPose is: levels by the crowd index and
    the rules of crowdposetools. One with mupots-17 joints, or a folder, is treated as MuPoTS-3D is.
    Any other is treated as COCO is. The image folder is known only if it is the folder given.

    Args:
        annotations: a file in COCO's keypoint format; with mupots-17 one like ``MuPoTS-3D.json``,
            or a folder in the official layout of MuPoTS-3D.
        skeleton: its keypoint layout, which also brings the area rule.
        limit: only the first so many images by id, None for all.

    Raises:
        UsageError: if `limit` is below 1, or the skeleton is not that of a folder.
        MissingError: if there is no such file.
        InputError: if it can't be read or is no such file.
    """
    _check_limit(limit)
    if skeleton == MUPOTS_17:
        found, digest = _read_mupots(annotations)
    elif official_folder(annotations) is not None:
        raise UsageError(
            f"annotations: {annotations} is MuPoTS-3D in its official layout, whose skeleton is "
            f"{MUPOTS_17.name}, not {skeleton.name}"
        )
    else:
        found, digest = _read_coco(annotations, skeleton, skeleton.area)
    if found.truth is None:
        raise InputError(f"{annotations}: annotations is missing, expected the list of persons")
    is_crowdpose = skeleton == CROWDPOSE_14
    whole = Split(
        name=_own_name(annotations),
        skeleton=skeleton,
        area=skeleton.area,
        images=found.images,
        truth=found.truth,
        category_id=found.category_id,
        annotations=digest,
        path=annotations,
        known_ids=found.images.ids,
        has_levels=is_crowdpose,
        official_tool=_OFFICIAL_TOOLS.get(skeleton.name, "pycocotools"),
        notes=found.notes + _lost_sequences(found, ()),
    )
    return whole.first_images(limit)


def found_counts(annotations: Annotations | Split) -> Counts:
    """Return how many images and persons there are; without ground truth only the images."""
    n_images = len(annotations.images)
    truth = annotations.truth
    if truth is None:
        return Counts(n_images)
    return Counts(n_images, len(truth.person_ids), int((~truth.is_ignored).sum()))


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}, expected 1 or more images")


def _fact_notes(
    annotations: Annotations, facts: SplitManifest, digest: FileDigest
) -> tuple[str, ...]:
    found, known = found_counts(annotations), facts.counts
    differing = [
        f"{getattr(found, field)} {field} instead of {expected}"
        for field in Counts.__struct_fields__
        if (expected := getattr(known, field)) not in (None, getattr(found, field))
    ]
    if facts.sha256 not in (None, digest.sha256):
        differing.append(f"sha256 {digest.sha256[:12]} instead of {str(facts.sha256)[:12]}")
    if not differing:
        return ()
    return (f"not the official {facts.name}: the file has {', '.join(differing)}",)


def _own_name(annotations: Path) -> str:
    if annotations.is_dir():
        return folder_name(annotations)
    return Path(annotations.name.removesuffix(".gz")).stem


def _lost_sequences(annotations: Annotations, expected: tuple[str, ...]) -> tuple[str, ...]:
    """Return a note on sequences that are missing.

    Args:
        annotations: of a 3D split, or of any other, which has none.
        expected: names of all sequences; where they are not known, those up to the highest number
            that is there.
    """
    pose3d = None if annotations.truth is None else annotations.truth.pose3d
    if pose3d is None:
        return ()
    numbers = [sequence_number(name) for name in pose3d.sequences]
    if not expected and None not in numbers:
        expected = numbered(max(filter(None, numbers), default=0))
    return missing_sequences(pose3d.sequences, expected)


def _read_mupots(path: Path) -> tuple[Annotations, FileDigest]:
    return read_official(path) if path.is_dir() else read_coco_style(path)


def _read_coco(path: Path, skeleton: Skeleton, area: str) -> tuple[Annotations, FileDigest]:
    content = read_bytes(path, "annotations")
    with _recognising_other_kinds(path, content, expect_native=False):
        return read_annotations(path, content, skeleton, area), digest_of(path, content)


def _read_native(path: Path, source: NativeSource) -> tuple[Annotations, FileDigest]:
    content = read_bytes(path, "annotations")
    with _recognising_other_kinds(path, content, expect_native=True):
        return read_ochuman(path, content, source), digest_of(path, content)


class _ImageKeys(msgspec.Struct):
    annotations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _FileKeys(msgspec.Struct):
    images: list[_ImageKeys] = []
    annotations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


@contextmanager
def _recognising_other_kinds(path: Path, content: bytes, expect_native: bool) -> Iterator[None]:
    """Say what kind of file it is, if it is of another kind than expected and can't be read."""
    try:
        yield
    except InputError:
        kind = _other_kind(content, expect_native)
        if kind is None:
            raise
        raise InputError(f"{path}: {kind}") from None


def _other_kind(content: bytes, expect_native: bool) -> str | None:
    if content.lstrip()[:1] == b"[":
        return (
            "a list, as files of results and of boxes are; expected annotations, an object with "
            "images"
        )
    try:
        file = msgspec.json.decode(content, type=_FileKeys)
    except MALFORMED:
        return None
    is_native = any(image.annotations is not msgspec.UNSET for image in file.images)
    if is_native and not expect_native:
        return (
            "OCHuman's native format, expected COCO's; to use it put it into the data root as "
            "ochuman/ochuman.json and give --split ochuman-val or ochuman-test"
        )
    if expect_native and not is_native and file.annotations is not msgspec.UNSET:
        return (
            "COCO's format, expected OCHuman's native one, whose images hold their annotations; "
            "is it a converted file under the native file's name?"
        )
    return None
