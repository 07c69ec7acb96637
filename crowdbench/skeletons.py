"""Keypoint layouts: names, OKS constants, mirror pairs, limbs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from crowdbench.errors import InputError, UnknownNameError
from crowdbench.files import read_yaml
from crowdbench.structures import Array

AREA_RULES = ("annotation", "0.53*box")


@dataclass(frozen=True)
class Skeleton:
    """A keypoint layout.

    Attributes:
        name: e.g. ``coco-17``.
        keypoints: K names, in the order of the arrays.
        sigmas: K constants of OKS, the standard deviation of human annotators in units of the
            square root of the person's area.
        mirror: pairs of indices that swap when the image is flipped.
        limbs: pairs of indices joined by a line in drawings.
        counted: how many leading keypoints make a person count as labelled when the annotation
            file has no ``num_keypoints`` (CrowdPose leaves head and neck out).
        area: the usual area rule of this layout's data: ``annotation`` (the field) or ``0.53*box``.
        parents: K indices of a 3D layout, what each joint hangs on; the root hangs on itself. Empty
            for a 2D layout.
        groups: names of groups of joints, with their indices; the joints of a 3D layout that are
            scored.
    """

    name: str
    keypoints: tuple[str, ...]
    sigmas: tuple[float, ...]
    mirror: tuple[tuple[int, int], ...] = ()
    limbs: tuple[tuple[int, int], ...] = ()
    counted: int = 0
    area: str = "annotation"
    parents: tuple[int, ...] = ()
    groups: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def is_3d(self) -> bool:
        """Whether poses of this layout have joints in space."""
        return bool(self.parents)

    @property
    def root(self) -> int:
        """The joint that hangs on itself, of a 3D layout."""
        return next(i for i, parent in enumerate(self.parents) if i == parent)

    @property
    def scored(self) -> tuple[int, ...]:
        """The joints of all groups, ascending."""
        return tuple(sorted(joint for _, joints in self.groups for joint in joints))

    @property
    def partners(self) -> list[int]:
        """For each keypoint the one on the other side of the body, or itself.

        In a mirror image it takes the keypoint's place.

        >>> CROWDPOSE_14.partners
        [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13]
        """
        partners = list(range(len(self)))
        for a, b in self.mirror:
            partners[a], partners[b] = b, a
        return partners

    @property
    def sigma_array(self) -> Array:
        """(K,) float64."""
        return np.array(self.sigmas)


def _tenths(*values: float) -> tuple[float, ...]:
    # pycocotools writes the constants as .26 / 10 ..., which differs from .026 in the last bit.
    return tuple((np.array(values) / 10.0).tolist())


COCO_17 = Skeleton(
    name="coco-17",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder",
        "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    sigmas=_tenths(
        0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87,
        0.89, 0.89,
    ),
    mirror=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    limbs=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
        (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    counted=17,
)  # fmt: skip

CROWDPOSE_14 = Skeleton(
    name="crowdpose-14",
    keypoints=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
        "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle", "head", "neck",
    ),
    sigmas=_tenths(
        0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79
    ),
    mirror=((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)),
    limbs=(
        (10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 1), (0, 2), (1, 3), (2, 4),
        (3, 5), (12, 13), (13, 0), (13, 1),
    ),
    counted=12,
    area="0.53*box",
)  # fmt: skip

# Names as in the official code of MuPoTS-3D; OKS constants do not exist for it. The groups are
# named as papers name them.
MUPOTS_17 = Skeleton(
    name="mupots-17",
    keypoints=(
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
        "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip",
        "left_knee", "left_ankle", "pelvis", "spine", "head",
    ),
    sigmas=(),
    mirror=((5, 2), (6, 3), (7, 4), (11, 8), (12, 9), (13, 10)),
    limbs=(
        (0, 16), (16, 1), (1, 15), (15, 14), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7),
        (14, 8), (8, 9), (9, 10), (14, 11), (11, 12), (12, 13),
    ),
    counted=17,
    parents=(1, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, 14, 14, 1),
    groups=(
        ("Hd.", (0,)), ("Nck.", (1,)), ("Sho.", (2, 5)), ("Elb.", (3, 6)), ("Wri.", (4, 7)),
        ("Hip", (8, 11)), ("Kn.", (9, 12)), ("Ank.", (10, 13)),
    ),
)  # fmt: skip

SKELETONS = {skeleton.name: skeleton for skeleton in (COCO_17, CROWDPOSE_14, MUPOTS_17)}


class _SkeletonFile(msgspec.Struct, forbid_unknown_fields=True):
    """What a user's YAML skeleton may hold; pairs name keypoints."""

    name: str
    keypoints: list[str]
    sigmas: list[float]
    mirror: list[tuple[str, str]] = []
    limbs: list[tuple[str, str]] = []
    counted: int | None = None
    area: str = "annotation"


def load_skeleton(name_or_file: str) -> Skeleton:
    """Return the built-in skeleton of that name, or the one described in a YAML file.

    A file holds ``name``, ``keypoints`` (names), ``sigmas`` and, optionally, ``mirror`` and
    ``limbs`` (pairs of keypoint names), ``counted`` and ``area``, as in `Skeleton`.

    Raises:
        UnknownNameError: if there is neither such a name nor such a file.
        InputError: if the file does not describe a skeleton.

    >>> len(load_skeleton("crowdpose-14"))
    14
    """
    if name_or_file in SKELETONS:
        return SKELETONS[name_or_file]
    path = Path(name_or_file)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        raise UnknownNameError(
            "skeleton", name_or_file, SKELETONS, "(or give a YAML file with names and sigmas)"
        )
    found = read_yaml(path, _SkeletonFile)
    k = len(found.keypoints)
    if not k or len(set(found.keypoints)) != k:
        raise InputError(f"{path}: keypoints must be one or more different names")
    if len(found.sigmas) != k or not all(0 < s < float("inf") for s in found.sigmas):
        raise InputError(
            f"{path}: sigmas must be {k} positive numbers, one per keypoint; "
            f"found {len(found.sigmas)}"
        )
    if found.area not in AREA_RULES:
        raise InputError(f"{path}: area is {found.area!r}, expected {' or '.join(AREA_RULES)}")
    if found.counted is not None and not 0 < found.counted <= k:
        raise InputError(f"{path}: counted is {found.counted}, expected 1 to {k}")
    index = {name: i for i, name in enumerate(found.keypoints)}
    for field, pairs in (("mirror", found.mirror), ("limbs", found.limbs)):
        for name in (name for pair in pairs for name in pair):
            if name not in index:
                raise InputError(f"{path}: {field} names {name!r}, which is no keypoint")
    return Skeleton(
        name=found.name,
        keypoints=tuple(found.keypoints),
        sigmas=tuple(found.sigmas),
        mirror=tuple((index[a], index[b]) for a, b in found.mirror),
        limbs=tuple((index[a], index[b]) for a, b in found.limbs),
        counted=found.counted or k,
        area=found.area,
    )
