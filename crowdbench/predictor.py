"""The contract of a predictor, its card, and the registry.

A predictor is a class with a `card`, a constructor from a `Request`, and `predict`. It is found by
its entry point in the group ``crowdbench.predictors``; crowdbench's own predictors are registered
exactly as anybody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import ClassVar, Protocol

from crowdbench.datasets.split import Split
from crowdbench.errors import MissingError, UnknownNameError, UsageError
from crowdbench.files import FileDigest
from crowdbench.merging import Merging
from crowdbench.structures import Boxes, Poses

ENTRY_POINTS = "crowdbench.predictors"


@dataclass(frozen=True)
class Card:
    """A predictor's facts.

    Attributes:
        name: what users type.
        description: what it does, in one line.
        skeletons: names of the keypoint layouts it gives; empty for any.
        needs_images: whether it looks at image files.
        needs_boxes: whether it starts from person boxes.
        boxes_independent: whether a pose depends on its own box alone. Where it does not, a sweep
            over detector confidence predicts anew for every threshold.
        images_per_shard: how many images are predicted before their candidates are written: what
            is lost at most when a run is interrupted.
        paper: what to cite, or empty.
        licence: of the method's weights or code, or empty.
    """

    name: str
    description: str
    skeletons: tuple[str, ...] = ()
    needs_images: bool = True
    needs_boxes: bool = True
    boxes_independent: bool = True
    images_per_shard: int = 200
    paper: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Request:
    """What a predictor is made from.

    Attributes:
        split: the split it will be run on.
        boxes: person boxes of the whole split, where the predictor needs boxes.
        predictions: the results file given by ``--predictions``, or None.
        ignore_unknown_images: leave out poses of images the split does not have.
    """

    split: Split
    boxes: Boxes | None = None
    predictions: Path | None = None
    ignore_unknown_images: bool = False


@dataclass(frozen=True)
class Batch:
    """Consecutive images to predict.

    Attributes:
        split: the split.
        start: index of the first image.
        stop: index after the last one.
        boxes: the person boxes of these images, where the predictor needs boxes.
    """

    split: Split
    start: int
    stop: int
    boxes: Boxes | None = None


@dataclass(frozen=True)
class Settings:
    """How a predictor's poses come about: its part of the protocol and of the record.

    Attributes:
        boxes: where its boxes come from, as the signature prints it.
        scores: how a pose's score is made.
        merging: how candidates become final poses, as data; crowdbench merges, the predictor does
            not.
        pose_area: ``box`` or ``joints``; see `crowdbench.protocol.Protocol`.
        inputs: the files it reads, by role.
        notes: what a reader of the results should know.
    """

    boxes: str
    scores: str
    merging: Merging
    pose_area: str
    inputs: Mapping[str, FileDigest] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Predictor(Protocol):
    """What every predictor offers."""

    card: ClassVar[Card]
    settings: Settings

    def __init__(self, request: Request) -> None:
        """Get ready: read weights or files. Wrong input fails here, before anything is written."""

    def predict(self, batch: Batch) -> Poses:
        """Return the candidates of the batch's images, `image_index` counted over the split."""


def predictor_names() -> list[str]:
    """Return the names of all registered predictors, sorted; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINTS)})


def load_predictor(name: str) -> type[Predictor]:
    """Return the class registered under `name`.

    Raises:
        UnknownNameError: if there is none; suggests the nearest.
        UsageError: if two packages claim the name.
        MissingError: if its module can't be imported.
    """
    found: list[EntryPoint] = [e for e in entry_points(group=ENTRY_POINTS) if e.name == name]
    if not found:
        raise UnknownNameError("predictor", name, predictor_names())
    targets = sorted({entry.value for entry in found})
    if len(targets) > 1:
        raise UsageError(
            f"predictor {name!r} is registered by {' and '.join(targets)}: uninstall one of them"
        )
    try:
        loaded: type[Predictor] = found[0].load()
    except (ImportError, AttributeError) as error:
        raise MissingError(
            f"predictor {name!r} can't be loaded from {targets[0]}: {error}"
        ) from None
    return loaded
