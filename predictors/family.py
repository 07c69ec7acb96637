"""Making the variants of a method: a class for each, with its card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from crowdbench.card import Card, Option
from crowdbench.predictor import Predictor
from crowdbench.registry import load_predictor
from crowdbench.weights import official_weights
from predictors.network_predictor import NetworkPredictor

T = TypeVar("T", bound=NetworkPredictor)


class Method(Protocol):
    """How a variant's poses come about; see those of top-down and of bottom-up predictors."""

    @property
    def network(self) -> str:
        """Name of the network's variant, and so of the predictor."""

    @property
    def size(self) -> str:
        """Of the network's input, in the words of the published tables."""


@dataclass(frozen=True)
class Family:
    """What the variants of a method share on their cards; see `crowdbench.card.Card`."""

    method: str
    paper: str
    year: int
    licence: str = ""
    options: tuple[Option, ...] = ()
    shows_attention: bool = False


def make_variant(
    base: type[T],
    family: Family,
    backbone: str,
    method: Method,
    published: tuple[str, ...],
    remark: str = "",
    skeletons: tuple[str, ...] = ("coco-17", "crowdpose-14"),
) -> type[T]:
    """Return a predictor class, named as its network is.

    Args:
        base: the family's class.
        family: the family's facts.
        backbone: in the words of the published tables.
        method: how the variant's poses come about.
        published: its ids in the published tables.
        remark: what the description says besides family, backbone and size.
        skeletons: names of the keypoint layouts it gives.
    """
    # HRNet is its own backbone.
    name = "" if backbone.startswith(family.method) else family.method
    words = (name, backbone, method.size, remark, "" if base.needs_boxes else "bottom-up")
    card = Card(
        name=method.network,
        description=", ".join(filter(None, words)),
        skeletons=skeletons,
        needs_boxes=base.needs_boxes,
        images_per_shard=base.images_per_shard,
        method=family.method,
        paper=family.paper,
        year=family.year,
        licence=family.licence,
        backbone=backbone,
        input_size=method.size,
        published=published,
        needs_weights=True,
        weights=official_weights(method.network),
        options=family.options,
        shows_attention=family.shows_attention,
    )
    members = {
        "card": card,
        "method": method,
        "__doc__": card.description,
        "__reduce__": _reduced,
    }
    return type(card.name, (base,), members)


def _reduced(predictor: Predictor) -> tuple[Callable[[str], Predictor], tuple[str], Any]:
    """Return what a predictor is made of again in another process; its ``__reduce__``.

    The classes of variants are made by a call and have no name in a module, by which pickle would
    look for them: they are found by the name on their card.
    """
    return _blank, (predictor.card.name,), predictor.__getstate__()


def _blank(name: str) -> Predictor:
    kind = load_predictor(name)
    return kind.__new__(kind)
