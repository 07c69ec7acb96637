"""The options of predictors: ``--option NAME=VALUE`` held against the predictor's card."""

from __future__ import annotations

from collections.abc import Sequence

from crowdbench.card import Card, Option
from crowdbench.errors import UnknownNameError, UsageError


def parse_options(card: Card, texts: Sequence[str]) -> dict[str, str]:
    """Return what a user chose, by the names on the card.

    Args:
        card: the predictor's.
        texts: ``NAME=VALUE`` each.

    Raises:
        UsageError: if a text is no such pair or has a comma in its value, a name is given twice, or
            the predictor has no options.
        UnknownNameError: if it has none of that name.

    >>> from crowdbench.card import Option
    >>> card = Card("pair", "", options=(Option("grouping", ("all", "single"), ""),))
    >>> parse_options(card, ["grouping=all"])
    {'grouping': 'all'}
    """
    chosen: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        # The signature has commas between options.
        if not (name and equals and value and "," not in value):
            raise UsageError(f"--option is {text!r}, expected NAME=VALUE, without a comma")
        known = [option.name for option in card.options]
        if not known:
            raise UsageError(f"{card.name} has no options: leave --option {text} out")
        if name not in known:
            raise UnknownNameError(f"option of {card.name}", name, known)
        if name in chosen:
            raise UsageError(f"--option {name} is given twice: {chosen[name]} and {value}")
        chosen[name] = value
    return chosen


def check_choice(option: Option, value: str) -> None:
    """Refuse a value that is none of an option's forms, where these are all of its values.

    Raises:
        UsageError: if it is not.
    """
    if value not in option.values:
        raise UsageError(
            f"--option {option.name}={value}: expected {', '.join(option.values[:-1])} or "
            f"{option.values[-1]}"
        )
