"""Poses in space to learn from: what an estimator gave for an image's persons, and the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from crowdbench.datasets.coco_format import index_of
from crowdbench.datasets.loading import load_split
from crowdbench.datasets.manifest import find_split
from crowdbench.errors import InputError, UsageError
from crowdbench.results_3d import read_poses_3d
from crowdbench.skeletons import Skeleton, load_skeleton
from crowdbench.structures import Array
from predictors.space.ordering import NEAR, sequences


class Scene(NamedTuple):
    """The N persons of an image of whom there is a pose to start from.

    Attributes:
        base_mm: (N, K, 3) float64 mm in the axes of the camera, as an estimator gave them.
        true_mm: (N, K, 3) float64 mm, as they are.
        centres: (N, 2) float64 pixels, the middles of the annotated boxes.
    """

    base_mm: Array
    true_mm: Array
    centres: Array


@dataclass(frozen=True)
class PoseScenes:
    """The images of a split that there are poses of, by number.

    Attributes:
        skeleton: the keypoint layout, with K joints.
        identity: the split, and the digests of its annotations and of the poses.
        persons: all persons, by image.
        starts: (I + 1,) int64: where each image begins among them, and where the last one ends.
    """

    skeleton: Skeleton
    identity: str
    persons: Scene
    starts: Array

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Scene:
        """Return the persons of an image, one at least."""
        start, stop = self.starts[index : index + 2]
        return Scene(*(part[start:stop] for part in self.persons))


def find_scenes(name: str, root: Path, poses: Path) -> PoseScenes:
    """Return the images of a 3D split that a results file has poses of.

    Poses and persons belong together by the ids of the annotations that the poses were made for.
    Left out are persons without a pose, poses that were made for nobody, and persons who are not
    evaluated.

    Args:
        name: of the split.
        root: folder of the data sets, see `crowdbench.datasets.data_root`.
        poses: the file, in any format of `crowdbench.results_3d.read_poses_3d`; it need not have
            all images.

    Raises:
        UnknownNameError: if there is no split of that name.
        UsageError: if its poses are not in space.
        MissingError: if annotations or poses are not there.
        InputError: if either can't be read, or no pose is left.
    """
    manifest, _ = find_split(name)
    if not load_skeleton(manifest.skeleton).is_3d:
        raise UsageError(f"{name} has poses in the image; this recipe learns from poses in space")
    split = load_split(name, root)
    truth = split.truth
    if truth is None or truth.pose3d is None:
        raise InputError(f"{name}: the ground truth is not public, so nothing can be learned")
    found, _, digests = read_poses_3d(poses, split)
    if found.person_ids is None:
        raise InputError(
            f"{poses}: no pose says for whom it was made, so there is no true pose to compare it "
            "with; expected an annotation_id for each, as a run on annotated boxes writes them"
        )
    # `read_poses_3d` has seen to it that nobody has two and that all are of the split.
    in_order = np.argsort(found.person_ids)
    places, has_pose = index_of(found.person_ids[in_order], truth.person_ids)
    rows = np.flatnonzero(has_pose & ~truth.is_ignored)
    if not len(rows):
        raise InputError(f"{poses}: no pose was made for a person of {name} who is evaluated")
    assert found.joints_mm is not None
    base = found.joints_mm[in_order[places[rows]]]
    boxes = truth.boxes[rows]
    _, starts = np.unique(truth.image_index[rows], return_index=True)
    read = ", ".join(digest.sha256[:12] for digest in digests.values())
    return PoseScenes(
        split.skeleton,
        f"{name}, annotations {split.annotations.sha256[:12]}, poses {read} of {len(rows):,} "
        "persons",
        Scene(base, truth.pose3d.joints_mm[rows], boxes[:, :2] + boxes[:, 2:] / 2),
        np.append(starts, len(rows)),
    )


class Passes(NamedTuple):
    """P passes through the network, of N persons each: the target, then the others, near to far.

    Attributes:
        base_mm: (P, N, K, 3) float32 mm, what goes into the network.
        true_mm: (P, N, K, 3) float32 mm, what it should answer.
    """

    base_mm: torch.Tensor
    true_mm: torch.Tensor


@dataclass(frozen=True)
class SceneSamples:
    """The passes of some images, one for each person.

    Attributes:
        passes: together those of equally many persons, by their number. Nothing is padded, so that
            all means and deviations are those of a test.
    """

    passes: tuple[Passes, ...]

    @property
    def n(self) -> int:
        """How many passes there are."""
        return sum(len(part.base_mm) for part in self.passes)

    def on(self, device: str) -> SceneSamples:
        """Return the same on a device."""
        moved = (
            Passes(*(part.to(device, non_blocking=True) for part in together))
            for together in self.passes
        )
        return SceneSamples(tuple(moved))


@dataclass(frozen=True)
class SceneSampling:
    """How the passes of an image are made: each person is the target of one.

    Source: PI-Net's program. Deviations: there a batch is padded with zeros to its longest pass,
    and these count in means, deviations, attention and loss; and of persons at exactly the same
    distance from the target only one remains.

    Attributes:
        seed: of the order of images and of what is drawn for them.
        mirrors: whether half of the images are mirrored, left and right of the bodies with them.
        doubles: whether somebody alone is paired with the same pose once more, as the official
            program has it in training, but not in tests.
    """

    seed: int = 0
    mirrors: bool = True
    doubles: bool = True

    @property
    def whole(self) -> bool:
        """Batches are whole images."""
        return True

    @property
    def plain(self) -> SceneSampling:
        """Passes as those of a test."""
        return replace(self, mirrors=False, doubles=False)

    def make(self, example: Scene, skeleton: Skeleton, rng: np.random.Generator) -> SceneSamples:
        """Return the passes of an image.

        Args:
            example: its persons.
            skeleton: the keypoint layout.
            rng: where the random numbers come from.
        """
        order = sequences(example.centres, NEAR, collapses=False, seed=0)
        if self.doubles and len(order) == 1:
            order = np.array([[0, 0]])
        parts = [example.base_mm[order], example.true_mm[order]]
        if self.mirrors and rng.random() < 0.5:
            parts = [mirrored(part, skeleton) for part in parts]
        return SceneSamples(
            (Passes(*(torch.from_numpy(part.astype(np.float32)) for part in parts)),)
        )

    def join(self, parts: list[SceneSamples]) -> SceneSamples:
        """Return several as one."""
        by_size: dict[int, list[Passes]] = {}
        for together in (together for part in parts for together in part.passes):
            by_size.setdefault(together.base_mm.shape[1], []).append(together)
        return SceneSamples(
            tuple(
                Passes(*map(torch.cat, zip(*by_size[size], strict=True)))
                for size in sorted(by_size)
            )
        )


def mirrored(joints_mm: Array, skeleton: Skeleton) -> Array:
    """Return (..., K, 3) poses as a mirror shows them: x becomes -x, left becomes right."""
    return joints_mm[..., skeleton.partners, :] * (-1, 1, 1)
