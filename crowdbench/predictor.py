"""The contract of a predictor: what it is made from, what it is given, what it gives back.

A predictor is a subclass of `Predictor` with a `card`, found by its entry point
(`crowdbench.registry`) or in a file of one's own. docs/predictors.md has a complete small one, and
``crowdbench check`` tells whether a predictor keeps the contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from crowdbench.attention import Attention
from crowdbench.card import Card
from crowdbench.datasets.split import Split
from crowdbench.files import FileDigest
from crowdbench.merging import AS_THEY_ARE, Merging
from crowdbench.structures import Array, Boxes, Poses

PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Request:
    """What a predictor is made from.

    Attributes:
        split: the split it will be run on.
        boxes: person boxes of the whole split, where the predictor needs boxes.
        predictions: the results file given by ``--predictions``, or None.
        ignore_unknown_images: leave out poses of images the split does not have.
        precision: ``fp32``, ``bf16`` or ``fp16``, what a network is to compute in.
        options: what the user chose by ``--option``, of the options on the card; their values are
            the predictor's to check.
        weights: the file that `Predictor.load` will be given; None for random ones or none.
        base: of a refiner, the predictor whose poses it starts from, made and not loaded.
        base_weights: likewise, of `base`.
    """

    split: Split
    boxes: Boxes | None = None
    predictions: Path | None = None
    ignore_unknown_images: bool = False
    precision: str = "fp32"
    options: Mapping[str, str] = field(default_factory=dict)
    weights: Path | None = None
    base: Predictor | None = None
    base_weights: Path | None = None


@dataclass(frozen=True)
class Batch:
    """Images to predict.

    Attributes:
        split: the split.
        images: (n,) int64 rows of ``split.images``, ascending. With boxes: those that have any.
        boxes: the person boxes to predict, of these images, where the predictor needs boxes. Unless
            all boxes of an image have to come together, some may be in another batch.
        inputs: for each of `images` what `Predictor.prepare` made of it; empty where the predictor
            needs no images.
    """

    split: Split
    images: Array
    boxes: Boxes | None = None
    inputs: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How a predictor's poses come about: its part of the protocol and of the record.

    Attributes:
        boxes: where its boxes come from, as the signature prints it.
        scores: how a pose's score is made.
        merging: how candidates become final poses, as data; crowdbench merges, the predictor does
            not.
        pose_area: ``box`` or ``joints``; see `crowdbench.protocol.Protocol`.
        crops: how boxes become what the network sees; see `crowdbench.protocol.Protocol`.
        flip_test: whether the mirrored image is predicted as well, and how the two are joined.
        decoding: how keypoints come out of what the network gives.
        precision: what the network computes in; ``none`` if nothing depends on the request's.
        pairing: how MPJPE finds the pose of a person in 3D: ``annotation`` if poses say for whom
            they were made (`Poses.person_ids`), else ``2d``, by keypoints in the image.
        boxes_independent: whether a pose depends on its own box alone. Where it does not, all boxes
            of an image come in one batch, and a sweep over detector confidence predicts again, for
            every threshold, the images that lose a box.
        options: every option of the card with its value, defaults resolved.
        inputs: the files it reads, by role.
        notes: what a reader of the results should know.
    """

    boxes: str
    scores: str
    merging: Merging = AS_THEY_ARE
    pose_area: str = "joints"
    crops: str = "none"
    flip_test: str = "none"
    decoding: str = "given"
    precision: str = "none"
    pairing: Literal["annotation", "2d"] = "2d"
    boxes_independent: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, FileDigest] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Cost(NamedTuple):
    """What a network costs.

    Attributes:
        parameters: trainable ones.
        multiply_adds: of one pass over one input, all instances of a box together and without flip
            test.
        gflops: the same as the papers of this field count it and print it as GFLOPs.
    """

    parameters: int
    multiply_adds: int
    gflops: float

    def and_more(self, other: Cost) -> Cost:
        """Return what both networks cost together."""
        return Cost(
            self.parameters + other.parameters,
            self.multiply_adds + other.multiply_adds,
            self.gflops + other.gflops,
        )


class Predictor(ABC):
    """What every predictor is a subclass of.

    The order of calls: the class's `card` is looked at, an instance is made, `load` is called
    once, then `prepare` for every image (in worker processes, if there are any) and `predict` for
    every batch.
    """

    card: ClassVar[Card]
    settings: Settings

    @abstractmethod
    def __init__(self, request: Request) -> None:
        """Resolve the settings, from small files at most; wrong input fails here."""

    def load(self, device: str, weights: Path | None) -> None:  # noqa: B027 - need not do anything
        """Get ready to predict.

        Args:
            device: a torch device, e.g. ``cpu`` or ``cuda``.
            weights: the file of weights; None for random ones from a fixed seed, or for a predictor
                that needs none.
        """

    def prepare(self, image: Array, boxes: Boxes | None) -> Any:
        """Return what `predict` is to get of an image.

        It may run in another process than `load` and `predict`, so it uses nothing they made.

        Args:
            image: (H, W, 3) uint8 RGB, orientation tags ignored.
            boxes: the boxes of this image in the batch, where the predictor needs boxes.

        Returns:
            The image itself, unless a subclass makes something else: arrays, and dicts, lists and
            tuples of arrays, are handed over without a copy.

        Raises:
            InputError: if nothing can be made of it; it then counts as one that can't be read.
        """
        return image

    @abstractmethod
    def predict(self, batch: Batch) -> Poses:
        """Return the candidates of a batch.

        The poses of an image must not depend on which other images are in the batch. `image_index`
        counts over the split; `box_index` over the batch's boxes; `crowdbench.predictor.poses_of`
        fills both in. Poses of an image may come in any order; they are stored by instance, the
        last first, and then by box.
        """

    def attention(self, batch: Batch) -> Attention | None:
        """Return what the poses of an image were made with, where they are made from several boxes.

        It is asked for after `load`, for images that a user chose, if the card `shows_attention`.

        Args:
            batch: one image with all its boxes.

        Returns:
            None if the image has no pose.
        """
        return None

    def cost(self) -> Cost | None:
        """Return what the network costs, or None where that is not known."""
        return None


def poses_of(
    boxes: Boxes,
    keypoints: Array,
    keypoint_scores: Array,
    scores: Array,
    *,
    rows: Array | None = None,
    instance: int = 0,
    areas: Array | None = None,
    joints_mm: Array | None = None,
) -> Poses:
    """Return poses that were each made from a box.

    Poses in space that were made from annotated boxes are made for these persons, which MPJPE goes
    by (`Settings.pairing`).

    Args:
        boxes: the boxes of a batch.
        keypoints: (D, K, 2) pixels of the original image.
        keypoint_scores: (D, K).
        scores: (D,).
        rows: (D,) which box each pose was made from; by default one pose for every box, in order.
        instance: which person of its box, 0 for the one that the box belongs to.
        areas: (D,) px² that stand for the poses' sizes in merging, where it needs them.
        joints_mm: (D, K, 3) mm in the axes of the camera, of poses in space.
    """
    if rows is None:
        rows = np.arange(len(boxes.scores))
    person_ids = None if joints_mm is None else boxes.person_ids
    return Poses(
        image_index=boxes.image_index[rows],
        keypoints=np.asarray(keypoints, np.float64),
        keypoint_scores=np.asarray(keypoint_scores, np.float64),
        scores=np.asarray(scores, np.float64),
        box_index=rows,
        instance=np.full(len(rows), instance, np.int64),
        boxes=boxes.boxes[rows],
        box_scores=boxes.scores[rows],
        areas=areas,
        joints_mm=None if joints_mm is None else np.asarray(joints_mm, np.float64),
        person_ids=None if person_ids is None else person_ids[rows],
    )
