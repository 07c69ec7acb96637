"""Person boxes that top-down predictors start from: annotated ones or a detector's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from crowdbench.datasets.coco_format import index_of, number_rows, row_fault
from crowdbench.datasets.manifest import find_split, split_names
from crowdbench.datasets.places import find_boxes, missing_boxes
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, MissingError, UnknownNameError
from crowdbench.files import Id, collector_paused, decode_json, digest_of, read_bytes
from crowdbench.skeletons import Skeleton
from crowdbench.structures import FARTHEST, Array, Boxes, GroundTruth

# Roots of people are metres away: what is nearer is in another unit.
_LEAST_DEPTH_MM = 100.0


class _Box(msgspec.Struct, gc=False):
    image_id: Id
    bbox: list[float]
    score: float
    category_id: Id | None = None
    root_cam: list[float] | None = None


_DECODER = msgspec.json.Decoder(list[_Box])


def load_boxes(source: str | Path, split: Split, root: Path) -> Boxes:
    """Return the person boxes of a split's images, per image in the order of the file.

    Args:
        source: ``gt``; the name of one of the split's usual box files; or the path of a detector
            file, a JSON list of ``{image_id, category_id, bbox: [x, y, w, h], score}``, or of
            RootNet's results, whose entries have ``root_cam: [X, Y, Z]``, too.
        split: the split, maybe cut by a limit.
        root: folder of the data sets, in which the usual box files lie.

    Returns:
        ``gt``: the annotated box, exactly as in the file and with score 1, of every person with
        a labelled keypoint that is no crowd region. In CrowdPose these are more than the evaluated
        persons: those with only head or neck labelled have boxes, too. In 3D these are the
        evaluated persons.
        Else the file's boxes as they are, unsorted, without threshold and without NMS; boxes of
        other categories and of images that the limit left out are dropped.
        Both have roots, in 3D the annotated boxes, and those of a file of RootNet's results.
        ``source`` is ``gt`` or ``file:<name>#<first 12 hex digits of its sha256>``.

    Raises:
        UnknownNameError: if `source` is a bare word that names nothing.
        MissingError: if the file is not there, or the ground truth is not public.
        InputError: if the file is no such list, has boxes of images that the split does not have,
            a negative width or height, or no person at all; if only some of its entries have a
            ``root_cam``, one is behind the camera, or they look like metres.

    Source: the same files and entries as the data pipeline of SimpleBaseline and HRNet. It also
    clips annotated boxes to the image and drops those left without area; how a box becomes a crop
    is for the predictor to say, so that is left to it.
    """
    if source == "gt":
        if split.truth is None:
            raise MissingError(
                f"{split.name} has no public ground truth, so no boxes `gt`: give a detector file"
            )
        return _annotated(split.truth, split.skeleton)
    path = box_file(source, split.name, root)
    return _detected(path, read_bytes(path, "boxes"), split)


def _annotated(truth: GroundTruth, skeleton: Skeleton) -> Boxes:
    # In 3D all keypoints are labelled, also those of persons that are not evaluated.
    has_labels = (
        (truth.keypoints[:, :, 2] > 0).any(1) if truth.pose3d is None else ~truth.is_ignored
    )
    rows = ~truth.is_crowd & has_labels
    return Boxes(
        truth.image_index[rows],
        truth.boxes[rows],
        np.ones(int(rows.sum())),
        "gt",
        truth.person_ids[rows],
        None if truth.pose3d is None else truth.pose3d.joints_mm[rows, skeleton.root],
    )


def box_file(source: str | Path, split: str | None, root: Path) -> Path:
    """Return the path of a detector file, which need not be there.

    Args:
        source: the name of one of the split's usual box files, or a path.
        split: name of the split; None, or a name that is not known, if it has no usual ones.
        root: folder of the data sets.

    Raises:
        UnknownNameError: if `source` is a bare word that names nothing.
        MissingError: if it is a usual file and not there.
    """
    path = Path(source)
    usual: list[str] = []
    if split in split_names():
        manifest, facts = find_split(split)
        usual = [boxes.name for boxes in facts.boxes]
        if str(source) in usual and not os.path.isfile(path):
            boxes = facts.boxes[usual.index(str(source))]
            found = find_boxes(root, manifest, boxes)
            if found is None:
                raise missing_boxes(root, manifest, facts, boxes)
            return found
    if path.name == str(source) and not path.suffix and not os.path.exists(path):
        raise UnknownNameError("box source", str(source), ["gt", *usual], "(or give a file)")
    return path


@collector_paused()
def _detected(path: Path, content: bytes, split: Split) -> Boxes:
    digest = digest_of(path, content)
    entries = decode_json(path, content, _DECODER, "boxes")
    persons = [i for i, e in enumerate(entries) if e.category_id in (None, split.category_id)]
    if not persons:
        raise InputError(
            f"{path}: none of {len(entries)} boxes is a person (category_id {split.category_id})"
        )
    image_ids = np.array([entries[i].image_id for i in persons], np.int64)
    _, known = index_of(split.known_ids, image_ids)
    if not known.all():
        first = persons[int(np.argmin(known))]
        raise InputError(
            f"{path}: {int((~known).sum())} of {len(persons)} boxes are of images that "
            f"{split.name} does not have, the first is boxes[{first}] of image "
            f"{entries[first].image_id}: boxes of another split?"
        )
    # All entries, so that a message counts as the file does.
    fault = row_fault(lambda row: f"boxes[{row}].bbox", 4, "4: x, y, w, h")
    rows = number_rows(path, [e.bbox for e in entries], 4, fault)
    negative = np.flatnonzero((rows[:, 2:] < 0).any(1))
    if len(negative):
        raise InputError(
            f"{path}: boxes[{negative[0]}].bbox has a negative width or height; expected x, y, w, h"
        )
    roots = _roots(path, entries)
    image_index, kept = index_of(split.images.ids, image_ids)
    chosen = np.array(persons)[kept]
    image_index = image_index[kept]
    order = np.argsort(image_index, kind="stable")
    chosen = chosen[order]
    scores = np.array([entry.score for entry in entries])[chosen]
    source = f"file:{digest.name}#{digest.sha256[:12]}"
    return Boxes(
        image_index[order],
        rows[chosen],
        scores,
        source,
        roots_mm=None if roots is None else roots[chosen],
    )


def _roots(path: Path, entries: Sequence[_Box]) -> Array | None:
    """Return ``root_cam`` of all entries, (B, 3) float64 mm, or None if no entry has one."""
    has_root = np.array([entry.root_cam is not None for entry in entries], bool)
    if not has_root.any():
        return None
    if not has_root.all():
        raise InputError(
            f"{path}: boxes[{int(np.argmin(has_root))}] has no root_cam, boxes"
            f"[{int(np.argmax(has_root))}] has one: expected it in all entries or in none"
        )
    fault = row_fault(lambda row: f"boxes[{row}].root_cam", 3, "3: X, Y, Z in mm")
    roots = number_rows(path, [entry.root_cam or [] for entry in entries], 3, fault)
    depths = roots[:, 2]
    wrong = np.flatnonzero(~((depths > 0) & (np.abs(roots) < FARTHEST).all(1)))
    if len(wrong):
        raise InputError(
            f"{path}: boxes[{wrong[0]}].root_cam is {entries[wrong[0]].root_cam}, expected X, Y, Z "
            "in mm, in front of the camera: Z above 0"
        )
    if (median := float(np.median(depths))) < _LEAST_DEPTH_MM:
        raise InputError(
            f"{path}: the median depth of root_cam is {median:.3g}, so they look like metres: "
            "expected millimetres, multiply them by 1000"
        )
    return roots
