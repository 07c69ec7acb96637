"""MuPoTS-3D in its official layout: a folder of sequences, two MATLAB files in each."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crowdbench.datasets.coco_format import Annotations
from crowdbench.errors import InputError
from crowdbench.files import FileDigest, digest_of, digest_of_several, read_bytes
from crowdbench.mat_files import read_mat
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import FARTHEST, Array, GroundTruth, Images, Truth3D

# What the folder of the sequences is called where it is unpacked.
FOLDER = "MultiPersonTestSet"
# The id of the category "person" in files of predictions; the official files have no categories.
PERSON = 1
_K = len(MUPOTS_17)
_TRUTH, _LABELS = "annot.mat", "occlusion.mat"
# Fields of a person that hold coordinates, one column per joint, with their shapes.
_POINTS = {"annot2": (2, _K), "annot3": (3, _K), "univ_annot3": (3, _K)}
_VALID = "isValidFrame"
# Bones of people are centimetres long at least: what is shorter is in another unit.
_LEAST_BONE_MM = 10.0
# The last sequence that was filmed indoors, the last one at all, and the sizes of their images.
_LAST_INDOORS, _LAST = 5, 20
_INDOORS, _OUTDOORS, _UNKNOWN = (2048, 2048), (1920, 1080), (0, 0)
# A camera that leaves more between projections and annotated keypoints is none.
_MOST_RESIDUAL_PX = 1.0
# Joints that are so many times the median distance off are annotated wrong.
_FAR_OFF = 3.0
# Joints that are nearer don't tell anything about a camera.
_NEAREST_MM = 1.0


class _Sequence(NamedTuple):
    """A sequence of F frames with S places for persons each.

    Attributes:
        points: arrays of `_POINTS` by name, (F, S, K, 2 or 3) float64; zeros where there are none.
        is_valid: (F, S) bool.
        is_occluded: (F, S, K) bool, or None without the file that says so.
        digests: of the files, by their names relative to the folder.
    """

    points: dict[str, Array]
    is_valid: Array
    is_occluded: Array | None
    digests: dict[str, FileDigest]


def official_folder(path: Path) -> Path | None:
    """Return the folder with the sequences: `path` or ``MultiPersonTestSet`` in it, or None."""
    for folder in (path, path / FOLDER):
        if any(os.path.isfile(folder / name / _TRUTH) for name in _sequence_names(folder)):
            return folder
    return None


def read_official(path: Path) -> tuple[Annotations, FileDigest]:
    """Return the images and persons of a folder in the official layout, and what identifies them.

    Images are numbered from 0 through all sequences in the order of their numbers. So are persons,
    frame by frame, those that are not valid included; these are ignored, and zeros where their
    entries are empty or broken. Boxes are the extent of the 17 keypoints, areas those of boxes. The
    files do not tell the camera: that of each sequence, or else of each frame, is the one that
    takes annot3 of valid persons to annot2, by least squares; it is not known where the root mean
    square of what is left is above 1 px. The image folder is known if the first frame of a sequence
    is there. The digest covers all files that are read.

    Args:
        path: the folder that has ``TS1/annot.mat``, ``TS1/occlusion.mat`` and so on, or the one
            that ``MultiPersonTestSet`` is in.

    Raises:
        InputError: if there is no such folder in it, or a file is missing, can't be read or is
            something else; the message names file, frame and person.
    """
    folder = official_folder(path)
    if folder is None:
        raise InputError(
            f"{path} is a folder without TS1/{_TRUTH}, TS2/{_TRUTH}, ...: expected the official "
            "layout of MuPoTS-3D, or a file of annotations"
        )
    names = _sequence_names(folder)
    found = [_read_sequence(folder, name) for name in names]
    unlabelled = [name for name, s in zip(names, found, strict=True) if s.is_occluded is None]
    notes = () if not unlabelled else (
        f"{_LABELS} is missing in {', '.join(unlabelled)}: all joints count as visible there",
    )  # fmt: skip
    digests = {name: digest for sequence in found for name, digest in sequence.digests.items()}
    lengths = [len(sequence.is_valid) for sequence in found]
    images = _images(folder, names, lengths)
    truth = _truth(names, found, images.ids)
    assert truth.pose3d is not None
    check_millimetres(folder, truth.pose3d.joints_mm[~truth.is_ignored], "annot3")
    check_millimetres(folder, truth.pose3d.universal_mm[~truth.is_ignored], "univ_annot3")
    images = replace(images, intrinsics=np.concatenate([_fitted_cameras(s) for s in found]))
    digest = digest_of_several(folder_name(folder), digests)
    return Annotations(images, truth, PERSON, notes), digest


def folder_name(folder: Path) -> str:
    """Return the name of a folder, that of ``.`` and of ``..`` included; links are not followed."""
    return os.path.basename(os.path.abspath(folder))


def frame_name(sequence: str, frame: int) -> str:
    """Return the name of a frame's image file.

    >>> frame_name("TS1", 12)
    'TS1/img_000012.jpg'
    """
    return f"{sequence}/img_{frame:06d}.jpg"


def extents(keypoints: Array) -> Array:
    """Return (P, 4) float64 xywh, the tight boxes around all of (P, K, 2) keypoints."""
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    return np.concatenate([low, high - low], axis=1)


def check_millimetres(path: Path, joints: Array, field: str) -> None:
    """Refuse joints, (P, K, 3), that look like metres.

    Raises:
        InputError: if the median length of the bones is below 10.
    """
    with np.errstate(over="ignore"):
        bones = np.linalg.norm(joints - joints[:, list(MUPOTS_17.parents)], axis=-1)
    bones = bones[bones > 0]
    if len(bones) and (median := float(np.median(bones))) < _LEAST_BONE_MM:
        raise InputError(
            f"{path}: the median length of the bones in {field} is {median:.3g}, so they look like "
            "metres: expected millimetres, multiply them by 1000"
        )


def numbered(last: int) -> tuple[str, ...]:
    """Return the names of the sequences 1 to `last`.

    >>> numbered(3)
    ('TS1', 'TS2', 'TS3')
    """
    return tuple(f"TS{number}" for number in range(1, last + 1))


def sequence_number(name: str) -> int | None:
    """Return the number of a sequence, or None for a name that is none of MuPoTS-3D.

    >>> sequence_number("TS12"), sequence_number("walk")
    (12, None)
    """
    found = re.fullmatch(r"TS(\d{1,3})", name, re.ASCII)
    return int(found[1]) if found else None


def missing_sequences(found: Sequence[str], expected: Sequence[str]) -> tuple[str, ...]:
    """Return what to say about sequences that are not there: nothing or one sentence."""
    lost = [name for name in expected if name not in found]
    if not lost:
        return ()
    what = f"sequence {lost[0]} is" if len(lost) == 1 else f"sequences {', '.join(lost)} are"
    return (f"{what} missing: averages over sequences are over the {len(found)} that are there",)


def _sequence_names(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    numbers = {name: number for name in names if (number := sequence_number(name)) is not None}
    return sorted(
        (name for name in numbers if os.path.isdir(folder / name)), key=numbers.__getitem__
    )


def _images(folder: Path, names: Sequence[str], lengths: Sequence[int]) -> Images:
    files = [frame_name(name, i) for name, n in zip(names, lengths, strict=True) for i in range(n)]
    sizes = np.repeat([_size_of(name) for name in names], lengths, axis=0).astype(np.int64)
    has_images = any(os.path.isfile(folder / frame_name(name, 0)) for name in names)
    return Images(np.arange(len(files)), files, sizes, folder if has_images else None)


def _fitted_cameras(sequence: _Sequence) -> Array:
    """Return the intrinsics (F, 4) float64 that take annot3 to annot2, NaN where none do.

    One camera for the whole sequence; where there is none, as it moved or zoomed, one for each
    frame.
    """
    joints, points = (sequence.points[field] for field in ("annot3", "annot2"))
    camera = _fitted_camera(joints[sequence.is_valid], points[sequence.is_valid])
    if not np.isnan(camera).any():
        return np.tile(camera, (len(joints), 1))
    return np.stack(
        [
            _fitted_camera(joints[frame][is_valid], points[frame][is_valid])
            for frame, is_valid in enumerate(sequence.is_valid)
        ]
    )


def _fitted_camera(joints: Array, points: Array) -> Array:
    """Return the intrinsics (4,) float64 that take joints (P, K, 3) to points (P, K, 2), or NaN.

    x = fx X / Z + cx is linear in fx and cx, and so is y; both are fitted to all joints in front of
    the camera, and once more without those that are far from where the first camera puts them: a
    single person annotated wrong outweighs thousands.
    """
    joints, points = joints.reshape(-1, 3), points.reshape(-1, 2)
    is_seen = joints[:, 2] >= _NEAREST_MM
    rays, points = joints[is_seen, :2] / joints[is_seen, 2:], points[is_seen]
    if not len(rays):
        return np.full(4, np.nan)
    _, left = _fit(rays, points)
    is_near = left <= max(_FAR_OFF * float(np.median(left)), _MOST_RESIDUAL_PX)
    camera, left = _fit(rays[is_near], points[is_near])
    fits = np.sqrt(np.mean(left**2)) <= _MOST_RESIDUAL_PX
    return camera if fits else np.full(4, np.nan)


def _fit(rays: Array, points: Array) -> tuple[Array, Array]:
    """Return the camera (4,) that takes rays (N, 2) to points (N, 2), and what is left, (N,) px.

    The camera is NaN where the rays don't tell one.
    """
    camera, left = np.full(4, np.nan), np.zeros_like(points)
    for axis in (0, 1):
        terms = np.stack([rays[:, axis], np.ones(len(rays))], axis=1)
        found, _, rank, _ = np.linalg.lstsq(terms, points[:, axis], rcond=None)
        left[:, axis] = points[:, axis] - terms @ found
        if rank == 2 and found[0] > 0:
            camera[[axis, axis + 2]] = found
    known = camera if not np.isnan(camera).any() else np.full(4, np.nan)
    return known, np.linalg.norm(left, axis=1)


def _size_of(name: str) -> tuple[int, int]:
    number = sequence_number(name)
    if number is None or not 1 <= number <= _LAST:
        return _UNKNOWN
    return _INDOORS if number <= _LAST_INDOORS else _OUTDOORS


def _truth(names: Sequence[str], found: Sequence[_Sequence], image_ids: Array) -> GroundTruth:
    def joined(field: str) -> Array:
        return np.concatenate([s.points[field].reshape(-1, *_POINTS[field][::-1]) for s in found])

    # A visible joint is 2 and an occluded one 1.
    visibility = np.concatenate(
        [
            2.0 - (0 if s.is_occluded is None else s.is_occluded) * np.ones((*s.is_valid.shape, _K))
            for s in found
        ],
        axis=None,
    ).reshape(-1, _K)
    is_valid = np.concatenate([s.is_valid for s in found], axis=None)
    lengths = [len(s.is_valid) for s in found]
    places = np.repeat([s.is_valid.shape[1] for s in found], lengths)
    points = joined("annot2")
    boxes = extents(points)
    return GroundTruth(
        image_ids=image_ids,
        image_index=np.repeat(np.arange(len(image_ids)), places),
        keypoints=np.concatenate([points, visibility[..., None]], axis=-1),
        boxes=boxes,
        areas=boxes[:, 2] * boxes[:, 3],
        is_crowd=np.zeros(len(is_valid), bool),
        is_ignored=~is_valid,
        person_ids=np.arange(len(is_valid)),
        pose3d=Truth3D(
            joints_mm=joined("annot3"),
            universal_mm=joined("univ_annot3"),
            sequences=tuple(names),
            sequence_index=np.repeat(np.arange(len(found)), lengths),
        ),
    )


def _read_sequence(folder: Path, name: str) -> _Sequence:
    truth, labels = folder / name / _TRUTH, folder / name / _LABELS
    if not os.path.isfile(truth):
        raise InputError(
            f"{truth} is missing: every folder of a sequence needs one; without the truth about "
            f"{name} move its folder away"
        )
    content = read_bytes(truth)
    digests = {f"{name}/{_TRUTH}": digest_of(truth, content)}
    cells = _cells(truth, content, "annotations")
    points, is_valid = _persons(truth, name, cells)
    is_occluded = None
    if os.path.isfile(labels):
        content = read_bytes(labels)
        digests[f"{name}/{_LABELS}"] = digest_of(labels, content)
        is_occluded = _occlusion(
            labels, name, _cells(labels, content, "occlusion_labels"), is_valid
        )
    return _Sequence(points, is_valid, is_occluded, digests)


def _cells(path: Path, content: bytes, variable: str) -> Array:
    """Return a variable of frames x persons, none of which are 0."""
    variables = read_mat(path, content)
    if variable not in variables:
        names = ", ".join(variables) or "none"
        raise InputError(f"{path}: the variable {variable} is missing, found: {names}")
    cells = variables[variable]
    if cells.ndim != 2 or not cells.size or not (cells.dtype == object or cells.dtype.names):
        raise InputError(
            f"{path}: {variable} is {_size_words(cells)} of {cells.dtype.name}, expected a cell "
            "array, frames x persons"
        )
    return cells


def _persons(path: Path, name: str, cells: Array) -> tuple[dict[str, Array], Array]:
    """Return `_Sequence.points` and `_Sequence.is_valid`."""
    points = {field: np.zeros((*cells.shape, *shape)) for field, shape in _POINTS.items()}
    is_valid = np.zeros(cells.shape, bool)
    for place in np.ndindex(cells.shape):
        cell = cells[place]
        if not cell.size:
            continue
        lacking = [f for f in (*_POINTS, _VALID) if f not in (cell.dtype.names or ())]
        if lacking:
            raise InputError(
                f"{path}: {_where(name, place, cells)}: no field {lacking[0]}, expected a struct "
                f"with {', '.join(_POINTS)} and {_VALID}"
            )
        flag = np.asarray(_inner(cell[_VALID]))
        is_valid[place] = flag.size > 0 and bool(flag.flat[0])
        for field, table in points.items():
            fault = _fault(value := _inner(cell[field]), _POINTS[field])
            if not fault:
                table[place] = value
            elif is_valid[place]:
                raise InputError(f"{path}: {_where(name, place, cells)}: {field} {fault}")
    return {field: table.swapaxes(-1, -2) for field, table in points.items()}, is_valid


def _occlusion(path: Path, name: str, cells: Array, is_valid: Array) -> Array:
    """Return `_Sequence.is_occluded`."""
    if cells.shape != is_valid.shape:
        raise InputError(
            f"{path}: occlusion_labels is {_size_words(cells)}, but annotations in {_TRUTH} is "
            f"{_size_words(is_valid)}: frames x persons of both must be the same"
        )
    is_occluded = np.zeros((*cells.shape, _K), bool)
    for place in np.ndindex(cells.shape):
        labels = np.atleast_2d(_inner(cells[place]))
        fault = _fault(labels, (1, _K))
        if not fault:
            is_occluded[place] = labels[0] != 0
        elif is_valid[place]:
            raise InputError(f"{path}: {_where(name, place, cells)}: the label {fault}")
    return is_occluded


def _inner(value: Any) -> Any:
    """Return what is in a cell or a field, which scipy nests in arrays of one object."""
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.item()
    return value


def _fault(value: Any, shape: tuple[int, int]) -> str:
    """Return what is wrong with numbers that should have that shape and be finite, or ''."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        return f"has no numbers, expected {shape[0]} x {shape[1]}"
    if value.shape != shape:
        return f"is {_size_words(value)}, expected {shape[0]} x {shape[1]}"
    # Comparing with NaN gives false, too.
    is_right = (np.abs(value.astype(float)) < FARTHEST).all(axis=0)
    if is_right.all():
        return ""
    joint = int(np.argmin(is_right))
    found = f"is beyond {FARTHEST:g}" if np.isfinite(value[:, joint]).all() else "is not finite"
    return f"{found} at joint {joint + 1} of {_K} ({MUPOTS_17.keypoints[joint]})"


def _where(name: str, place: tuple[int, ...], cells: Array) -> str:
    frame, person = place
    return f"{frame_name(name, frame)}, person {person + 1} of {cells.shape[1]}"


def _size_words(value: Array) -> str:
    return " x ".join(map(str, value.shape))
