"""SynthCrowd's annotation files read as 3D ones: MuPoTS' joints instead of COCO's keypoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from crowdbench.datasets.coco_format import Annotations, read_annotations
from crowdbench.errors import InputError
from crowdbench.files import (
    FileDigest,
    Id,
    collector_paused,
    decode_json,
    digest_of,
    read_bytes,
)
from crowdbench.skeletons import COCO_17, MUPOTS_17
from crowdbench.structures import Truth3D

_K = len(MUPOTS_17)


class _Camera(msgspec.Struct):
    focal: float
    centre_x: float
    centre_y: float


class _Image(msgspec.Struct):
    id: Id
    intrinsics: _Camera


class _Person(msgspec.Struct, gc=False):
    id: Id
    joints_mm: list[list[float]]
    joint_visibility: list[int]


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Person]


_DECODER = msgspec.json.Decoder(_File)


@collector_paused()
def read_truth_3d(path: Path, sequence: str) -> tuple[Annotations, FileDigest]:
    """Return the images and persons of an annotation file of SynthCrowd, with their 3D joints.

    Keypoints are the projections of all 17 joints: 2 visible, 1 not, be it that something covers
    the joint or that it lies outside of the image. All else is as in the 2D split of the same file;
    who is not labelled there is ignored here.

    Args:
        path: the file.
        sequence: what to call the one sequence that all images make.

    Raises:
        MissingError: if there is no such file.
        InputError: if it can't be read or is no file of SynthCrowd.
    """
    content = read_bytes(path, "annotations")
    found = read_annotations(path, content, COCO_17, COCO_17.area)
    truth = found.truth
    if truth is None:
        raise InputError(f"{path}: annotations is missing, expected the list of persons")
    file = decode_json(path, content, _DECODER, "annotation file")
    persons = {person.id: person for person in file.annotations}
    chosen = [persons[id_] for id_ in truth.person_ids.tolist()]
    for person in chosen:
        lengths = [len(person.joint_visibility), len(person.joints_mm), *map(len, person.joints_mm)]
        if lengths != [_K, _K] + [3] * _K:
            raise InputError(
                f"{path}: annotation {person.id}: joints_mm must be {_K} x 3 and joint_visibility "
                f"{_K} numbers"
            )
    joints = np.array([person.joints_mm for person in chosen], float).reshape(-1, _K, 3)
    is_visible = np.array([p.joint_visibility for p in chosen], np.int64).reshape(-1, _K) == 2
    cameras = {image.id: image.intrinsics for image in file.images}
    values = np.array(
        [msgspec.structs.astuple(cameras[id_]) for id_ in found.images.ids.tolist()], float
    ).reshape(-1, 3)
    # The focal length is that of both axes.
    intrinsics = values[:, [0, 0, 1, 2]]
    of_person = intrinsics[truth.image_index, None]
    points = joints[..., :2] * of_person[..., :2] / joints[..., 2:] + of_person[..., 2:]
    in_space = replace(
        truth,
        keypoints=np.concatenate([points, 1.0 + is_visible[..., None]], axis=-1),
        pose3d=Truth3D(joints, joints, (sequence,), np.zeros(len(found.images), np.int64)),
    )
    images = replace(found.images, intrinsics=intrinsics)
    return found._replace(images=images, truth=in_space), digest_of(path, content)
