"""The protocol: everything that decides whether two numbers may be compared, as one value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

# What options of a refiner's base begin with.
BASE = "base."


def options_of_base(options: Mapping[str, str]) -> dict[str, str]:
    """Return a base's options, by its own names, among those of a refiner.

    >>> options_of_base({"order": "random", "base.roots": "gt"})
    {'roots': 'gt'}
    """
    return {k.removeprefix(BASE): v for k, v in options.items() if k.startswith(BASE)}


class Protocol(msgspec.Struct, frozen=True):
    """How a number was made. Two numbers with different signatures are never compared silently.

    Attributes:
        split: name of the split; ``own`` for annotations of one's own, whatever the file's name.
        annotations: first 12 hex digits of the annotation file's sha256.
        images: how many images were scored.
        skeleton: keypoint layout.
        sigmas: first 8 hex digits of the sha256 of the OKS constants (float64 bytes).
        area: what stands for a person's size: ``annotation`` or ``0.53*box``.
        pose_area: what decides the size class of an unmatched pose (medium and large numbers
            only): ``box`` or ``joints``.
        oks: the OKS thresholds.
        max_poses: poses per image that count.
        levels: limits of the crowd index, or ``none``.
        boxes: where the boxes come from: ``gt``, a detector file, ``predictions``, ``none``.
        scores: how a pose's score is made; ``given`` for poses read from a file.
        merging: how candidates become final poses; ``none`` when they are final as they are. Of a
            refiner's base, whose final poses are refined.
        crops: how person boxes become crops: ``classical`` (coordinates are sizes) or
            ``size-minus-one`` (they are distances between pixel centres), with ``masks`` if the
            network is told where in the image the box is; ``none`` without crops.
        flip_test: how the mirrored image is used: ``shifted`` (averaged, after a shift by one
            pixel), ``plain`` (averaged) or ``none``.
        decoding: how keypoints come out of heatmaps; ``given`` for poses read from a file.
        precision: what the network computed in; ``none`` without one.
        base: the predictor whose poses were refined, or ``none``.
        options: what else the predictor was asked for, defaults resolved, e.g. ``grouping=all``,
            of a refiner's base as ``base.NAME=VALUE``; or ``none``.
        skipped: images without poses because their files could not be read: how many, and a digest
            of their ids; or ``none``.
        pose3d: how 3D poses are scored, see `crowdbench.metrics.evaluation_3d.rules`; ``none`` for
            2D poses. What belongs to OKS is ``none``, and `max_poses` 0 for no limit, in 3D.
        conditions: the conditions evaluated besides the whole split, with their parameters. Two
            protocols that differ in nothing else give the same numbers on the whole split.
        version: raised whenever a change of crowdbench changes a number.
    """

    split: str
    annotations: str
    images: int
    skeleton: str
    sigmas: str
    area: str
    pose_area: str
    boxes: str
    scores: str
    merging: str
    crops: str = "none"
    flip_test: str = "none"
    decoding: str = "given"
    precision: str = "none"
    base: str = "none"
    options: str = "none"
    skipped: str = "none"
    levels: str = "none"
    oks: str = "0.50:0.05:0.95"
    max_poses: int = 20
    pose3d: str = "none"
    conditions: str = "none"
    version: int = 1

    @property
    def signature(self) -> str:
        """The protocol in one line, ending in a digest of it.

        >>> p = Protocol("demo", "0123456789ab", 2, "coco-17", "89abcdef", "annotation", "joints",
        ...              "none", "given", "none")
        >>> p.signature.split()[0], p.signature.split()[2]
        ('crowdbench=1', 'annotations=0123456789ab')
        """
        values = msgspec.structs.asdict(self)
        version = values.pop("version")
        line = " ".join(
            [f"crowdbench={version}"]
            + [f"{key}={'_'.join(str(value).split())}" for key, value in values.items()]
        )
        return f"{line} id={hashlib.sha256(line.encode()).hexdigest()[:12]}"
