"""Which persons of an image go through a network together.

Source: I2R-Net's official code. With annotated boxes all persons of an image form one group; of
detected boxes each is a group of its own, so that the published results on detected boxes contain
no interaction between persons. The paper describes windows; they are in the code, as is a mode that
takes every person with its nearest neighbours, but no published result uses either. Assumed: that a
person counts among its nearest, and that these are told by the corners as in training.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np

from crowdbench.card import Option
from crowdbench.errors import UsageError
from crowdbench.structures import Array
from predictors.topdown.nearest import nearest

Rule = Literal["all", "window", "nearest", "single"]
GROUPING = Option(
    "grouping",
    ("all", "window:N", "nearest:N", "single"),
    "Which persons of an image are related to each other: all, consecutive N, everyone with the "
    "nearest to make N, or none. Default, as published: all with annotated boxes, single with "
    "detected ones",
    ("single", "window:2", "window:4", "window:6", "all"),
    published=("all", "single"),
)
_FORM = re.compile(r"(all|single)|(window|nearest):([1-9][0-9]{0,5})")


@dataclass(frozen=True)
class Grouping:
    """A rule.

    Attributes:
        rule: ``all``: the persons of an image are one group; ``window``: consecutive ones are, in
            the order of their boxes; ``nearest``: every person is the main one of a group, with
            those whose boxes' top left corners are nearest to its own; ``single``: each is one.
        size: how many persons a group has at most; None for ``all``, 1 for ``single``.
    """

    rule: Rule
    size: int | None = None

    def __str__(self) -> str:
        return f"{self.rule}:{self.size}" if self.rule in ("window", "nearest") else self.rule


class Group(NamedTuple):
    """Persons that go through the network together.

    Attributes:
        members: (n,) int64 rows of the persons, ascending.
        kept: (m,) int64 places in `members` of those whose poses come from this group.
    """

    members: Array
    kept: Array


def parse_grouping(text: str) -> Grouping:
    """Return the rule that a user wrote; groups of one are ``single``.

    Raises:
        UsageError: if it is none.

    >>> parse_grouping("window:4")
    Grouping(rule='window', size=4)
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise UsageError(
            f"grouping is {text!r}, expected all, window:N, nearest:N or single, with N from 1 on"
        )
    alone, rule, size = form.groups()
    if alone:
        return Grouping(cast(Rule, alone), None if alone == "all" else 1)
    # Whichever the rule, everybody is alone: one name for it.
    return Grouping(cast(Rule, rule), int(size)) if int(size) > 1 else Grouping("single", 1)


def groups_of(images: Array, boxes: Array, grouping: Grouping) -> Iterator[Group]:
    """Yield the groups of persons; each person's pose is kept from exactly one.

    Args:
        images: (N,) int64 image of each person, ascending.
        boxes: (N, 4) float64 xywh, pixels.
        grouping: the rule.

    >>> images = np.array([0, 0, 0, 4])
    >>> [g.members.tolist() for g in groups_of(images, np.zeros((4, 4)), Grouping("window", 2))]
    [[0, 1], [2], [3]]
    """
    _, first, counts = np.unique(images, return_index=True, return_counts=True)
    for start, n in zip(first.tolist(), counts.tolist(), strict=True):
        size = min(grouping.size or n, n)
        if grouping.rule == "nearest":
            groups = np.sort(nearest(boxes[start : start + n, :2], size), axis=1)
            for person, members in enumerate(groups):
                yield Group(start + members, np.flatnonzero(members == person))
        else:
            for begin in range(start, start + n, size):
                members = np.arange(begin, min(begin + size, start + n))
                yield Group(members, np.arange(len(members)))
