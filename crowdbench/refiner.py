"""Refiners: predictors that start from the poses of another one, their base.

A refiner is a subclass of `Refiner` whose card says ``refines=True``. Poses in, poses out: it
composes with any predictor that gives the keypoints it takes, ``--predictor REFINER --base NAME``,
and what comes of it is a predictor like any other. docs/predictors.md has a complete small one.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np

from crowdbench.card import Card, Option
from crowdbench.datasets.split import Split
from crowdbench.errors import UsageError
from crowdbench.files import FileDigest
from crowdbench.merging import AS_THEY_ARE, final_poses
from crowdbench.predictor import Batch, Cost, Predictor, Request
from crowdbench.protocol import BASE, options_of_base
from crowdbench.registry import load_predictor, predictor_names
from crowdbench.running.returned import join_batches, predict_checked
from crowdbench.structures import Array, Boxes, Poses

# What says which pose is which.
_IDENTITY = ("image_index", "box_index", "instance", "person_ids")


class Composition(NamedTuple):
    """What a predictor was composed of.

    Attributes:
        refiner: the refiner, without a base.
        base: the predictor whose poses it refines.
    """

    refiner: type[Refiner]
    base: type[Predictor]


class Refiner(Predictor):
    """A predictor that refines the poses of its base.

    Attributes:
        composition: what the class was made of by `compose`; None before that.
        base: the base, made; it is loaded by `load`.
    """

    composition: ClassVar[Composition | None] = None
    base: Predictor

    def __init__(
        self,
        request: Request,
        *,
        options: Mapping[str, str] | None = None,
        precision: str = "none",
        inputs: Mapping[str, FileDigest] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Take the settings over from the base, and add what is the refiner's own.

        The poses of an image are refined together, so they depend on all its boxes. Box scores of a
        base without boxes are not kept: no condition can choose among poses that saw each other.

        Args:
            request: with the base, and with the refiner's own options alone.
            options: every own option of the card with its value, defaults resolved.
            precision: what an own network computes in; ``none`` without one.
            inputs: the files the refiner reads, by role.
            notes: what a reader of the results should know, besides the base's.
        """
        assert request.base is not None, "a refiner is made by crowdbench.refiner.make"
        self.base, self._base_weights = request.base, request.base_weights
        base = self.base.settings
        self.settings = replace(
            base,
            merging=AS_THEY_ARE,
            precision=" and ".join(sorted({base.precision, precision} - {"none"})) or "none",
            boxes_independent=request.boxes is None,
            options={**(options or {}), **{BASE + k: v for k, v in base.options.items()}},
            inputs={**(inputs or {}), **{f"base {k}": v for k, v in base.inputs.items()}},
            notes=(*base.notes, *notes),
        )

    def load(self, device: str, weights: Path | None) -> None:
        """Load the base; a subclass with weights calls this and loads its own.

        Args:
            device: a torch device, the same for both.
            weights: the refiner's own.
        """
        self.base.load(device, self._base_weights)

    def prepare(self, image: Array, boxes: Boxes | None) -> Any:
        """Return what the base makes of an image: the refiner sees none."""
        return self.base.prepare(image, boxes)

    def base_poses(self, batch: Batch) -> Poses:
        """Return the final poses of the base, in the order in which its own run stores them.

        Raises:
            UsageError: if the base does not keep the contract.
        """
        skeleton, found = batch.split.skeleton, predict_checked(self.base, batch)
        if not len(found):
            return found
        candidates = join_batches([found], len(skeleton))
        merging = self.base.settings.merging
        poses = final_poses(candidates, merging, merging.sigmas_for(skeleton))
        return poses if batch.boxes is not None else replace(poses, box_scores=None)

    def predict(self, batch: Batch) -> Poses:
        """Return the refined poses of a batch, with what their joints and keypoints were before.

        Raises:
            UsageError: if `refine` does not give back the poses it was given.
        """
        poses = self.base_poses(batch)
        if not len(poses):
            return poses
        # A copy, so that what `refine` writes into its arrays leaves those before alone.
        refined = self.refine(batch.split, poses.take(np.arange(len(poses))))
        if (found := _fault(refined, poses)) is not None:
            raise UsageError(
                f"predictor {self.card.name}: refine returned {found}, expected one pose for each "
                f"of the {len(poses):,} it was given, in their order"
            )
        return replace(refined, base_joints_mm=poses.joints_mm, base_keypoints=poses.keypoints)

    def cost(self) -> Cost | None:
        """Return what a pose costs: the base's network and the refiner's own together.

        A base without weights has no network. None where one of the two is not known.
        """
        own, base = self.own_cost(), self.base.cost()
        if own is None or not self.base.card.needs_weights:
            return own
        return None if base is None else own.and_more(base)

    def own_cost(self) -> Cost | None:
        """Return what the refiner's own network costs, or None where that is not known."""
        return None

    @abstractmethod
    def refine(self, split: Split, poses: Poses) -> Poses:
        """Return one pose for each of `poses`, in their order.

        The poses of an image must not depend on which other images there are.

        Args:
            split: the split.
            poses: at least one; final ones of all images of a batch, ascending by image. Arrays of
                its own, which it may write into.
        """


def _fault(refined: Any, poses: Poses) -> str | None:
    """Return what is wrong with refined poses as those of `poses`, or None."""
    if not isinstance(refined, Poses):
        return type(refined).__name__
    if len(refined) != len(poses):
        return f"{len(refined):,} poses"
    for name in _IDENTITY:
        here, there = getattr(refined, name), getattr(poses, name)
        if (here is None) != (there is None) or not np.array_equal(here, there):
            return f"another {name}"
    return None


def choose_predictor(name: str, base: str | None) -> type[Predictor]:
    """Return the class of a predictor, composed with its base if it is a refiner.

    Args:
        name: of ``--predictor``.
        base: of ``--base``, or None.

    Raises:
        UsageError: if a refiner lacks its base or another predictor has one; see `compose`, too.
        UnknownNameError, MissingError, InputError: see `crowdbench.registry.load_predictor`.
    """
    kind = load_predictor(name)
    if kind.card.refines != issubclass(kind, Refiner):
        raise UsageError(
            f"predictor {name}: card.refines is {kind.card.refines}, expected True of subclasses "
            "of crowdbench.refiner.Refiner, and of no others (see docs/predictors.md)"
        )
    if issubclass(kind, Refiner):
        if base is None:
            raise UsageError(
                f"{kind.card.name} refines the poses of another predictor: name it with --base, "
                "e.g. --base replay --predictions FILE (`crowdbench ls predictors` lists)"
            )
        return compose(kind, load_predictor(base))
    if base is not None:
        raise UsageError(f"{kind.card.name} makes its poses by itself: leave --base {base} out")
    return kind


def compose(refiner: type[Refiner], base: type[Predictor]) -> type[Refiner]:
    """Return a predictor that is the refiner on poses of the base.

    Its card is the refiner's, with the base's needs of images and boxes, and with the base's
    options as ``base.NAME``. The weights on it are the refiner's own.

    Raises:
        UsageError: if the base is a refiner itself, or the two have no keypoint layout in common.
    """
    own, other = refiner.card, base.card
    if other.refines:
        raise UsageError(
            f"--base {other.name}: it refines poses itself, expected a predictor that makes them"
        )
    card = msgspec.structs.replace(
        own,
        skeletons=_common_skeletons(own, other),
        needs_images=other.needs_images,
        needs_boxes=other.needs_boxes,
        images_per_shard=min(own.images_per_shard, other.images_per_shard),
        options=(*own.options, *(_of_base(option, other.name) for option in other.options)),
    )
    members = {
        "card": card,
        "composition": Composition(refiner, base),
        "__doc__": refiner.__doc__,
        "__reduce__": _reduced,
    }
    return type(refiner.__name__, (refiner,), members)


def _common_skeletons(own: Card, other: Card) -> tuple[str, ...]:
    if not own.skeletons or not other.skeletons:
        return own.skeletons or other.skeletons
    common = tuple(name for name in own.skeletons if name in other.skeletons)
    if not common:
        raise UsageError(
            f"{own.name} refines poses with {' or '.join(own.skeletons)}, {other.name} gives "
            f"{' or '.join(other.skeletons)}: choose another --base"
        )
    return common


def _of_base(option: Option, base: str) -> Option:
    return msgspec.structs.replace(
        option, name=BASE + option.name, help=f"Of the base {base}: {option.help}"
    )


def composition_of(kind: type[Predictor]) -> Composition | None:
    """Return what a predictor was composed of, or None if it is no refiner with a base."""
    return kind.composition if issubclass(kind, Refiner) else None


def make(kind: type[Predictor], request: Request) -> Predictor:
    """Return a predictor made from a request, and its base before it, if it has one.

    Args:
        kind: the class, as `choose_predictor` gives it.
        request: without base; the base's options among the others.

    Raises:
        UsageError: if either can't be made of it; of the base, with its options as they are typed.
    """
    composition = composition_of(kind)
    if composition is None:
        return kind(request)
    chosen = request.options
    own = {k: v for k, v in chosen.items() if not k.startswith(BASE)}
    asked = replace(
        request,
        options=options_of_base(chosen),
        weights=request.base_weights,
        base_weights=None,
    )
    try:
        base = composition.base(asked)
    except UsageError as error:
        raise UsageError(_said_of_base(composition.base.card, str(error))) from None
    return kind(replace(request, options=own, predictions=None, base=base))


def _said_of_base(card: Card, message: str) -> str:
    """Return a message of the base's, whose options are given as ``base.NAME``."""
    for option in card.options:
        said = rf"--option {re.escape(option.name)}(?![\w.-])"
        message = re.sub(said, f"--option {BASE}{option.name}", message)
    return f"--base {card.name}: {message}"


def _reduced(
    predictor: Refiner,
) -> tuple[Callable[..., Predictor], tuple[str | type[Predictor], ...], Any]:
    """Return what a composed predictor is made of again in another process; its ``__reduce__``.

    Its class is made by a call and has no name in a module, by which pickle would look for it.
    """
    assert predictor.composition is not None
    return _blank, tuple(map(_reference, predictor.composition)), predictor.__getstate__()


def _reference(kind: type[Predictor]) -> str | type[Predictor]:
    """Return the name a class is registered by; or the class, which then has one in a module."""
    name = kind.card.name
    return name if name in predictor_names() and load_predictor(name) is kind else kind


def _blank(*references: str | type[Predictor]) -> Predictor:
    refiner, base = (load_predictor(r) if isinstance(r, str) else r for r in references)
    assert issubclass(refiner, Refiner)
    kind = compose(refiner, base)
    return kind.__new__(kind)
