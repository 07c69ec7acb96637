"""Options of predictors: what is written on the command line, held against the card."""

from __future__ import annotations

import pytest

from crowdbench.card import Card, Option
from crowdbench.errors import UnknownNameError, UsageError
from crowdbench.predictor_options import parse_options

CARD = Card("pair", "", options=(Option("grouping", ("all",), ""), Option("order", ("near",), "")))


def test_names_and_values_are_taken_apart_at_the_first_sign() -> None:
    assert parse_options(CARD, []) == {}
    found = parse_options(CARD, ["order=a=b", "grouping=window:4"])
    assert found == {"order": "a=b", "grouping": "window:4"}


@pytest.mark.parametrize("text", ["grouping", "grouping=", "=all", "", "order=a,grouping=b"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected NAME=VALUE"):
        parse_options(CARD, [text])


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="option of pair 'groping'; did you mean grouping"):
        parse_options(CARD, ["groping=all"])


def test_a_name_given_twice_and_a_predictor_without_options_are_told() -> None:
    with pytest.raises(UsageError, match="--option order is given twice: near and far"):
        parse_options(CARD, ["order=near", "order=far"])
    with pytest.raises(UsageError, match="plain has no options: leave --option order=near out"):
        parse_options(Card("plain", ""), ["order=near"])
