"""Making the variants of a family: a class for each, with its card."""

from __future__ import annotations

from typing import TypeVar

from crowdbench.card import Card
from crowdbench.weights import official_weights
from predictors.family import Family, reduced
from predictors.topdown.predictor import Method, TopDown

T = TypeVar("T", bound=TopDown)


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
        method: how its poses come about.
        published: its ids in the published tables.
        remark: what the description says besides family, backbone and size.
        skeletons: names of the keypoint layouts it gives.
    """
    size = "{}x{}".format(*method.input_size)
    # HRNet is its own backbone.
    name = "" if backbone.startswith(family.method) else family.method
    card = Card(
        name=method.network,
        description=", ".join(filter(None, (name, backbone, size, remark))),
        skeletons=skeletons,
        method=family.method,
        paper=family.paper,
        year=family.year,
        licence=family.licence,
        backbone=backbone,
        input_size=size,
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
        "__reduce__": reduced,
    }
    return type(card.name, (base,), members)
