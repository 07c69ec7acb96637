"""What a prediction needs: data, boxes, images, weights; what is missing is said all at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from crowdbench.card import Card
from crowdbench.datasets import find_split, load_boxes, load_own, load_split
from crowdbench.datasets.boxes import box_file
from crowdbench.datasets.places import (
    SET_THE_ROOT,
    find_annotations,
    find_images,
    missing_images_folder,
)
from crowdbench.datasets.split import Split
from crowdbench.errors import MissingError, UsageError, WriteError
from crowdbench.predictor import Predictor
from crowdbench.refiner import composition_of
from crowdbench.running.progress import Progress
from crowdbench.skeletons import MUPOTS_17, Skeleton, load_skeleton
from crowdbench.structures import Boxes
from crowdbench.weights import Weights, find_weights

T = TypeVar("T")


class Asked(NamedTuple):
    """What a user names of what a prediction needs.

    Attributes:
        predictor: as typed.
        split: name of a split, or None for annotations of one's own.
        annotations: those, a file or a folder in the official layout of MuPoTS-3D; or None.
        skeleton: their keypoint layout; None for a folder, which implies it.
        images: folder of the image files, or None for the usual places.
        boxes: person boxes, or None for ``gt``.
        weights: a file, ``random``, or None for the usual place.
        base: the predictor that a refiner starts from, as typed; None for any other.
        base_weights: as `weights`, of the base.
        limit: only the first images by id.
        root: folder of the data sets.
        quiet: whether to say nothing while data are made.
    """

    predictor: str
    split: str | None
    annotations: Path | None
    skeleton: str | None
    images: Path | None
    boxes: str | None
    weights: str | None
    base: str | None
    base_weights: str | None
    limit: int | None
    root: Path
    quiet: bool = False


class Needs(NamedTuple):
    """What a prediction starts from.

    Attributes:
        split: the images and persons.
        boxes: where the predictor needs boxes, else None.
        weights: where it needs weights, else None.
        base_weights: likewise, of the base of a refiner.
    """

    split: Split
    boxes: Boxes | None
    weights: Weights | None
    base_weights: Weights | None = None


def gather(kind: type[Predictor], asked: Asked) -> Needs:
    """Return everything a predictor needs.

    A split that is not there and that crowdbench makes itself is made first, all of it.

    Raises:
        UsageError: if what is asked does not make sense, or the keypoints are not the predictor's.
        MissingError: naming everything that is missing, and where to get it.
        InputError: if a file is wrong.
    """
    card = kind.card
    own, base = wanted_weights(
        kind, (asked.predictor, asked.weights), (asked.base, asked.base_weights)
    )
    # Boxes are the base's, where there is one.
    _check_use(card.needs_boxes, (base or own).card.name, asked)
    _check_use_of_weights(own, base, asked)
    missing: list[str] = []

    def found(get: Callable[[], T]) -> T | None:
        try:
            return get()
        except MissingError as error:
            missing.append(str(error))
            return None

    # Before anything is loaded, which may mean that it is made.
    skeleton = _skeleton(asked).name
    if card.skeletons and skeleton not in card.skeletons:
        name = asked.split or Path(asked.annotations or "").stem
        raise UsageError(
            f"{card.name} gives {' or '.join(card.skeletons)}, {name} has {skeleton}: choose "
            "another predictor or split"
        )
    split = found(lambda: _load(asked))
    if card.needs_images or asked.images is not None:
        found(lambda: _check_images(asked, split))
    boxes = None
    if card.needs_boxes:
        source = asked.boxes or "gt"
        if split is not None:
            boxes = found(lambda: load_boxes(source, split, asked.root))
        elif source != "gt":
            found(lambda: _check_boxes(source, asked))
    weights = found(lambda: own.find(skeleton))
    base_weights = None if base is None else found(lambda: base.find(skeleton))
    if missing:
        raise MissingError(_listed(missing))
    assert split is not None
    return Needs(split, boxes, weights, base_weights)


def _check_use(needs_boxes: bool, name: str, asked: Asked) -> None:
    if (asked.split is None) == (asked.annotations is None):
        raise UsageError("give either --split NAME or --annotations FILE with --skeleton NAME")
    if asked.annotations is not None and asked.skeleton is None and not asked.annotations.is_dir():
        raise UsageError(
            "--annotations needs --skeleton NAME, e.g. --skeleton coco-17 (only a folder in "
            "MuPoTS-3D's layout does not)"
        )
    if asked.annotations is None and asked.skeleton is not None:
        raise UsageError("--skeleton goes with --annotations; a split brings its own")
    if asked.boxes is not None and not needs_boxes:
        raise UsageError(f"{name} takes no boxes: leave --boxes out")


class WantedWeights(NamedTuple):
    """The weights of a predictor, or of a refiner's base, as a user asks for them.

    Attributes:
        card: of the one that loads them.
        name: of that, as typed.
        asked: see `crowdbench.weights.find_weights`.
        flag: likewise.
    """

    card: Card
    name: str
    asked: str | None
    flag: str

    def find(self, skeleton: str) -> Weights | None:
        """Return them, or None where none are needed.

        Args:
            skeleton: the keypoint layout of the split.

        Raises:
            MissingError: if there is no such file.
        """
        if not self.card.needs_weights:
            return None
        return find_weights(self.card, skeleton, self.asked, self.name, self.flag)


def wanted_weights(
    kind: type[Predictor], own: tuple[str, str | None], base: tuple[str | None, str | None]
) -> tuple[WantedWeights, WantedWeights | None]:
    """Return the weights of a predictor, and those of its base, if it has one.

    Args:
        kind: the predictor.
        own: its name, as typed, and its ``--weights``.
        base: the name and the ``--base-weights`` of its base.
    """
    composition = composition_of(kind)
    # The card of a refiner with its base is about both.
    card = kind.card if composition is None else composition.refiner.card
    wanted = WantedWeights(card, *own, "--weights")
    if composition is None:
        return wanted, None
    name, asked = base
    return wanted, WantedWeights(composition.base.card, name or "", asked, "--base-weights")


def _check_use_of_weights(own: WantedWeights, base: WantedWeights | None, asked: Asked) -> None:
    if asked.base_weights is not None and base is None:
        raise UsageError("--base-weights goes with --base, which only a refiner has")
    for wanted in (own, base):
        if wanted is not None and wanted.asked is not None and not wanted.card.needs_weights:
            raise UsageError(f"{wanted.card.name} takes no weights: leave {wanted.flag} out")


def _load(asked: Asked) -> Split:
    if asked.annotations is not None:
        split = load_own(asked.annotations, _skeleton(asked), asked.limit)
    else:
        assert asked.split is not None
        _make_if_absent(asked.split, asked.root, asked.quiet)
        split = load_split(asked.split, asked.root, asked.limit)
    # A folder that is not there is told together with all else that is missing.
    return split if asked.images is None else split.with_images_in(asked.images)


def _make_if_absent(name: str, root: Path, quiet: bool) -> None:
    """Make a split that is not there, if it is one that crowdbench makes."""
    manifest, facts = find_split(name)
    if manifest.made_by is None or find_annotations(root, manifest, facts) is not None:
        return
    from crowdbench.datasets.synthcrowd.making import make_split

    folder = root / manifest.folders[0]
    if not quiet:
        print(
            f"note: {name} is not there yet: makes its {facts.counts.images:,} images in {folder}",
            file=sys.stderr,
        )
    try:
        with Progress(quiet) as progress:
            make_split(manifest, facts, folder, progress)
    except WriteError as error:
        raise MissingError(
            f"{name} is not there and can't be made: {error}\n{SET_THE_ROOT}"
        ) from None


def _skeleton(asked: Asked) -> Skeleton:
    if asked.split is not None:
        return load_skeleton(find_split(asked.split)[0].skeleton)
    # A folder says it by itself: MuPoTS-3D's layout is the only one that is a folder.
    return load_skeleton(asked.skeleton or MUPOTS_17.name)


def _check_images(asked: Asked, split: Split | None) -> None:
    if asked.images is not None:
        if not asked.images.is_dir():
            raise MissingError(
                f"--images: {asked.images} is no folder: give the one that has the images"
            )
    elif asked.split is None and (split is None or split.images.folder is None):
        raise MissingError(
            f"images of {asked.annotations}: give the folder that has them with --images DIR"
        )
    elif asked.split is not None:
        manifest, facts = find_split(asked.split)
        # A split that is there has looked already.
        folder = find_images(asked.root, manifest, facts) if split is None else split.images.folder
        if folder is None:
            raise missing_images_folder(asked.root, manifest, facts)


def _check_boxes(source: str, asked: Asked) -> None:
    path = box_file(source, asked.split, asked.root)
    if not path.is_file():
        raise MissingError(f"boxes not found at {path}: check the path")


def _listed(missing: list[str]) -> str:
    if len(missing) == 1:
        return missing[0]
    lines = [f"{len(missing)} things are missing:"]
    for text in missing:
        first, *more = text.split("\n")
        lines += [f"- {first}", *(f"  {line}" for line in more)]
    return "\n".join(lines)
