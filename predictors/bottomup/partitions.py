"""How PINet parts a body: each part's centre is a point from which the whole pose is regressed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from crowdbench.errors import UnknownNameError
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array

_HEAD = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head", "neck")
_TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_LEGS = ("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")
_ARMS = (
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
)
_LIMBS = (*_ARMS, *_LEGS)


@dataclass(frozen=True)
class Partition:
    """Parts of a body, as data.

    Attributes:
        name: what users type.
        parts: the names of the keypoints of each part, in the order of the network's channels, over
            all layouts; a layout has those of its own keypoints.
    """

    name: str
    parts: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.parts)

    def mirror(self) -> list[int]:
        """Return for each part the one that takes its place in a mirror image.

        >>> find_partition("part-large").mirror(), find_partition("part-small").mirror()
        ([0, 1, 2], [0, 1, 3, 2, 5, 4])
        """
        swapped = [{_swap(name) for name in part} for part in self.parts]
        return [swapped.index(set(part)) for part in self.parts]

    def centres(self, joints: Array, skeleton: Skeleton) -> Array:
        """Return (P, C, 3) float64: the centre of each part of P persons, and whether it has one.

        Args:
            joints: (P, K, 3) x, y, and whether labelled (> 0).
            skeleton: the keypoint layout.

        Returns:
            The plain mean of the labelled keypoints of the part and 1; zeros if none is labelled.

        Source: PINet, the annotations of part centres.
        """
        weights = np.array(
            [[name in part for name in skeleton.keypoints] for part in self.parts],
            np.float64,
        )
        labelled = (joints[:, :, 2] > 0).astype(np.float64)
        n = labelled @ weights.T
        sums = np.einsum("ck,pk,pkd->pcd", weights, labelled, joints[:, :, :2])
        means = sums / np.maximum(n, 1)[:, :, None]
        return np.concatenate([means, (n > 0)[:, :, None]], axis=2)


def _swap(name: str) -> str:
    """Return the name of a keypoint's mirror image."""
    side, _, rest = name.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)


# Figure 3 of the paper, of which the text names the first two, part-large (with the parts of the
# released code) and the number of parts of the last, 13. What the parts of part-small are can't be
# told from the text: here head, torso, and the outer two joints of each limb.
PARTITIONS: Mapping[str, Partition] = MappingProxyType(
    {
        partition.name: partition
        for partition in (
            Partition("center", ((*_HEAD, *_LIMBS),)),
            Partition("head", (_HEAD,)),
            Partition("part-large", (_HEAD, _TORSO, _LEGS)),
            Partition(
                "part-small",
                (
                    _HEAD,
                    _TORSO,
                    *(
                        (f"{side}_{inner}", f"{side}_{outer}")
                        for inner, outer in (("elbow", "wrist"), ("knee", "ankle"))
                        for side in ("left", "right")
                    ),
                ),
            ),
            Partition("keypoint", (_HEAD, *((name,) for name in _LIMBS))),
        )
    }
)


def find_partition(name: str) -> Partition:
    """Return the partition of that name.

    Raises:
        UnknownNameError: if there is none.

    >>> [len(find_partition(name)) for name in PARTITIONS]
    [1, 1, 3, 6, 13]
    """
    if name not in PARTITIONS:
        raise UnknownNameError("partition", name, PARTITIONS)
    return PARTITIONS[name]
