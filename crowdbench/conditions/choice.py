"""From what a user asks of the conditions to the cuts of a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from crowdbench.conditions import CONDITIONS, Condition
from crowdbench.conditions.condition import Cut, Subject, UnavailableError, Values
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.errors import UnknownNameError, UsageError
from crowdbench.skeletons import Skeleton


def resolve(settings: ConditionSettings, skeleton: Skeleton) -> ConditionSettings:
    """Return the settings with every default written out: the names, and values for each.

    The names are in the order of `CONDITIONS`, in whichever order they were given.

    Raises:
        UnknownNameError: if there is no condition of a name; suggests the nearest.
        UsageError: if values are given for a condition that has fixed ones or is not evaluated, or
            a condition is not one of the poses' space.
    """
    for name in (*(settings.names or ()), *settings.values):
        if name not in CONDITIONS:
            raise UnknownNameError("condition", name, CONDITIONS)
    space: Literal["2d", "3d"] = "3d" if skeleton.is_3d else "2d"
    usual_names = tuple(n for n, condition in CONDITIONS.items() if space in condition.spaces)
    for name in (*(settings.names or ()), *settings.values):
        if name not in usual_names:
            raise UsageError(
                f"condition {name} is not one of {space.upper()} poses; choose from "
                f"{', '.join(usual_names)}"
            )
    names = tuple(n for n in usual_names if settings.names is None or n in settings.names)
    values: dict[str, Values] = {}
    for name in names:
        condition = CONDITIONS[name]
        given = settings.values.get(name)
        usual = condition.usual(skeleton)
        if given is not None and condition.fixed and given != usual:
            raise UsageError(f"--bins: the limits of {name} are part of its definition")
        if given is not None and condition.kind == "threshold" and None in given:
            raise UsageError(f"--bins: {name} has thresholds, which must be finite")
        values[name] = usual if given is None else given
    unused = next((name for name in settings.values if name not in values), None)
    if unused is not None:
        option = "--thresholds" if CONDITIONS[unused].kind == "threshold" else "--bins"
        raise UsageError(f"{option}: {unused} is not among the conditions asked for")
    return ConditionSettings(names, values, settings.iou_among)


def describe(settings: ConditionSettings) -> str:
    """Return resolved settings as the signature prints them.

    >>> describe(ConditionSettings(("size",), {"size": (0.0, 32.0, None)}))
    'size(0,32,inf)'
    """
    words = []
    for name in settings.names or ():
        numbers = _numbers(settings.values[name])
        among = f"{settings.iou_among}:" if CONDITIONS[name].uses_iou else ""
        words.append(f"{name}({among}{numbers})")
    return ";".join(words) or "none"


def _numbers(values: Values) -> str:
    # At full precision: 0.1 is not 0.10000000001.
    return ",".join("inf" if v is None else repr(v).removesuffix(".0") for v in values)


def rule_words(cut: Cut, values: Values) -> str:
    """Return what a condition does, with every number."""
    return f"{cut.rule}: {_numbers(values).replace(',', ', ')}"


def cut_split(
    settings: ConditionSettings, subject: Subject
) -> Iterator[tuple[Condition, Values, Cut | str]]:
    """Yield each condition with its values and its cut, or the reason why there is none.

    Args:
        settings: resolved.
        subject: what is cut.
    """
    for name in settings.names or ():
        condition, values = CONDITIONS[name], settings.values[name]
        try:
            # Numbers near the limits of float64 become infinite; what follows from them is no bin.
            with np.errstate(over="ignore", invalid="ignore"):
                cut = condition.cut(subject, values)
            yield condition, values, cut
        except UnavailableError as error:
            yield condition, values, str(error)
