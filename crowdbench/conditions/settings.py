"""Which conditions are evaluated and with which parameters: as a value, from a user's words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import msgspec

from crowdbench.errors import UsageError

Among = Literal["annotated", "evaluated"]
AMONG: tuple[Among, ...] = ("annotated", "evaluated")


class ConditionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user asks of the conditions.

    Attributes:
        names: the conditions, by name; null for every one that the data allow.
        values: by condition, its thresholds or the edges of its bins where they are not the usual
            ones; null as the last edge stands for no limit.
        iou_among: whose boxes count in the IoU of persons: all ``annotated`` ones, crowd regions
            and persons that are not evaluated among them, or those of ``evaluated`` persons.
    """

    names: tuple[str, ...] | None = None
    values: dict[str, tuple[float | None, ...]] = {}
    iou_among: Among = "annotated"


def parse_settings(
    conditions: str | None, thresholds: str | None, bins: Sequence[str], iou_among: str
) -> ConditionSettings:
    """Return the settings that the options of the command line ask for.

    Args:
        conditions: names with commas between them, ``all`` or ``none``; None means ``all``.
        thresholds: numbers with commas between them, for ``detector-confidence``.
        bins: ``CONDITION=EDGE,EDGE,...`` each; ``inf`` as last edge stands for no limit.
        iou_among: ``annotated`` or ``evaluated``.

    Raises:
        UsageError: naming the option, what it was given and what was expected.

    >>> parse_settings("size", None, ["size=0,32,inf"], "annotated").values
    {'size': (0.0, 32.0, None)}
    """
    if iou_among not in AMONG:
        raise UsageError(f"--iou-among is {iou_among!r}, expected {' or '.join(AMONG)}")
    names: tuple[str, ...] | None = None
    if conditions not in (None, "all"):
        assert conditions is not None
        found = [] if conditions == "none" else [name.strip() for name in conditions.split(",")]
        names = tuple(dict.fromkeys(found))
    values: dict[str, tuple[float | None, ...]] = {}
    if thresholds is not None:
        values["detector-confidence"] = _numbers("--thresholds", thresholds, 1)
    for text in bins:
        name, sign, edges = text.partition("=")
        if not sign:
            raise UsageError(f"--bins is {text!r}, expected CONDITION=EDGE,EDGE,...")
        if name in values:
            raise UsageError(f"--bins: {name} is given more than once")
        values[name] = _numbers("--bins", edges, 2)
    return ConditionSettings(names, values, iou_among)


def _numbers(option: str, text: str, least: int) -> tuple[float | None, ...]:
    """Return ascending numbers; infinity, which only the last may be, as None."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is not numbers with commas between them, e.g. 0,0.3,0.5"
        ) from None
    if any(a >= b for a, b in itertools.pairwise(numbers)) or any(
        number != number for number in numbers
    ):
        raise UsageError(f"{option}: {text!r} must rise from number to number")
    if len({f"{number:g}" for number in numbers}) < len(numbers):
        # Rows are called by six digits.
        raise UsageError(f"{option}: {text!r} has numbers that differ after the sixth digit only")
    if len(numbers) < least or numbers[0] == float("-inf"):
        raise UsageError(f"{option}: {text!r} must be {least} or more finite numbers")
    if least == 1 and numbers[-1] == float("inf"):
        raise UsageError(f"{option}: {text!r}: a threshold must be finite")
    # + 0.0: no negative zero, which would print as another number.
    return tuple(None if n == float("inf") else n + 0.0 for n in numbers)
