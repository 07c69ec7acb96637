"""Making the variants of a bottom-up family: a class for each, with its card."""

from __future__ import annotations

from typing import TypeVar

from crowdbench.card import Card, Option
from crowdbench.weights import official_weights
from predictors.bottomup.predictor import SCALES, BottomUp, Method
from predictors.family import Family, reduced

T = TypeVar("T", bound=BottomUp)


def make_variant(
    base: type[T],
    family: Family,
    backbone: str,
    method: Method,
    published: tuple[str, ...],
    options: tuple[Option, ...] = (),
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
        options: those besides the scales.
        remark: what the description says besides family, backbone and size.
        skeletons: names of the keypoint layouts it gives.
    """
    size = str(method.short_side)
    card = Card(
        name=method.network,
        description=", ".join(filter(None, (family.method, backbone, size, remark, "bottom-up"))),
        skeletons=skeletons,
        needs_boxes=False,
        images_per_shard=50,
        method=family.method,
        paper=family.paper,
        year=family.year,
        licence=family.licence,
        backbone=backbone,
        input_size=size,
        published=published,
        needs_weights=True,
        weights=official_weights(method.network),
        options=(SCALES, *options),
    )
    members = {
        "card": card,
        "method": method,
        "__doc__": card.description,
        "__reduce__": reduced,
    }
    return type(card.name, (base,), members)
