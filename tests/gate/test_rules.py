from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.conditions import CONDITIONS
from crowdbench.errors import UsageError
from crowdbench.gate.rules import find_row, parse_rule
from crowdbench.metrics.catalogue import METRICS


def refusal(text: str) -> list[str]:
    """Return the lines of the message: problem, rule, place, nearest valid form."""
    with pytest.raises(UsageError) as refused:
        parse_rule(text, "--rule 2")
    lines = str(refused.value).split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("--rule 2: ")
    return lines


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("AP: drop <= 0.5", ("AP", None, None, "drop", 0.005)),
        ("  ap_HARD:drop<=1 ", ("AP_hard", None, None, "drop", 0.01)),
        ("mpjpe_mm: rise <= 1.5", ("MPJPE_mm", None, None, "rise", 1.5)),
        ("MPJPE_mm: <= 80", ("MPJPE_mm", None, None, "<=", 80.0)),
        ("AP: >= 0.68", ("AP", None, None, ">=", 0.68)),
        (
            "AP@detector-confidence=0.9: drop <= 1.0",
            ("AP", "detector-confidence", "0.9", "drop", 0.01),
        ),
        (
            "AP @ Person-IoU = 0.6 - 0.8 : DROP <= .5",
            ("AP", "person-iou", "0.6 - 0.8", "drop", 0.005),
        ),
        ("AR: drop <= 1e-1", ("AR", None, None, "drop", 0.001)),
    ],
)
def test_rules_parse(text: str, found: tuple[object, ...]) -> None:
    rule = parse_rule(text, "")
    assert (rule.metric, rule.condition, rule.row, rule.kind, rule.allowed) == pytest.approx(found)


@pytest.mark.parametrize(
    ("text", "at", "problem", "nearest"),
    [
        ("AP drop <= 0.5", " drop", "expected ':' or '@'", "AP: drop <= 0.5"),
        ("AP: rise <= 1", "rise", "AP is better the higher", "AP: drop <= 1"),
        ("AP: <= 0.5", "<=", "AP is better the higher", "AP: >= 0.5"),
        ("MPJPE_mm: drop <= 1", "drop", "better the lower", "MPJPE_mm: rise <= 1"),
        ("AP: >= 68", "68", "68 is more than 1", "AP: >= 0.68"),
        ("AP: drop <= 500", "500", "500 is more than 100", "AP: drop <= 5"),
        ("AP: drop <= 0.5%", "0.5%", "without a unit", "AP: drop <= 0.5"),
        ("AP: drop <= 0.5 points", "points", "expected the end", "AP: drop <= 0.5"),
        ("AP: drop <= -1", "-1", "a number of 0 or more", "AP: drop <= 1"),
        ("AP: drop <= nan", "nan", "a number of 0 or more", "AP: drop <= 0.5"),
        ("AP: drop < 0,5", "<", "expected '<='", "AP: drop <= 0.5"),
        ("AP: 0.5", "0.5", "expected 'drop <=' or '>='", "AP: drop <= 0.5"),
        ("APP: drop <= 2", "APP", "unknown metric 'APP'; did you mean AP?", "AP: drop <= 2"),
        ("sigma drop", "sigma", "unknown metric 'sigma'", "AP: drop <= 0.5"),
        (
            "AP@detector-confidense=0.9: drop <= 1",
            "detector-conf",
            "unknown condition 'detector-confidense'; did you mean detector-confidence?",
            "AP@detector-confidence=0.9: drop <= 1",
        ),
        (
            "AP@person-iou 0.6 - 0.8: drop <= 1",
            "person-iou",
            "unknown condition",
            "AP@person-iou=0.6 - 0.8: drop <= 1",
        ),
        ("AP@size: drop <= 1", ": drop", "expected '=' and one of its", "AP@size=ROW: drop <= 1"),
        ("AP_drop@size: drop <= 1", "AP_drop", "unknown metric", "AP_hard@size=ROW: drop <= 1"),
        ("AP@crowd-level=hard drop <= 1", "", "expected ':'", "AP@crowd-level=hard: drop <= 1"),
        ("AP: drop <= 1e999", "1e999", "the number is too large", "AP: drop <= 0.5"),
    ],
)
def test_what_does_not_parse_is_refused_with_the_place_and_the_nearest_form(
    text: str, at: str, problem: str, nearest: str
) -> None:
    lines = refusal(text)
    assert problem in lines[0]
    assert lines[1] == f"    {text}"
    column = text.index(at) if at else len(text)
    assert lines[2] == f"    {' ' * column}^"
    assert lines[3] == f"nearest valid form: {nearest}"


@given(st.text() | st.from_regex(r"\w+[@=: ]+[a-z-]* ?(drop|rise|[<>=]+)? ?[-0-9.,e%]+"))
def test_any_text_is_a_rule_or_is_refused_with_a_rule(text: str) -> None:
    try:
        rule = parse_rule(text, "here")
    except UsageError as error:
        nearest = str(error).rpartition("nearest valid form: ")[2]
        assert parse_rule(nearest, "here").text == nearest
    else:
        assert rule.metric in METRICS
        assert rule.allowed >= 0
        assert rule.condition is None or rule.condition in CONDITIONS


ROWS = {
    "detector-confidence": (">= 0", ">= 0.3", ">= 0.9"),
    "person-iou": ("0 - 0.1", "0.6 - 0.8", "0.8 - 1"),
    "crowd-level": ("easy", "medium", "hard"),
    "people": ("1", "2 - 5", "6 and more"),
}


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ("detector-confidence=0.9", ">= 0.9"),
        ("detector-confidence=.90", ">= 0.9"),
        ("detector-confidence=>= 0.3", ">= 0.3"),
        ("detector-confidence=0", ">= 0"),
        ("person-iou=0.6-0.8", "0.6 - 0.8"),
        ("person-iou=0.60 - 0.8", "0.6 - 0.8"),
        ("crowd-level=Hard", "hard"),
        ("people=6 and more", "6 and more"),
        ("people=2-5", "2 - 5"),
    ],
)
def test_rows_are_found(place: str, label: str) -> None:
    rule = parse_rule(f"AP@{place}: drop <= 1", "")
    assert find_row(rule, ROWS[rule.condition or ""]) == label


def test_a_row_there_is_none_of_is_refused_with_the_nearest() -> None:
    rule = parse_rule("AP@detector-confidence=0.95: drop <= 1", "--rule 1")
    with pytest.raises(UsageError) as refused:
        find_row(rule, ROWS["detector-confidence"])
    assert str(refused.value).split("\n") == [
        "--rule 1: detector-confidence has no row '0.95'; it has: 0, 0.3, 0.9",
        "    AP@detector-confidence=0.95: drop <= 1",
        "                           ^",
        "nearest valid form: AP@detector-confidence=0.9: drop <= 1",
    ]
