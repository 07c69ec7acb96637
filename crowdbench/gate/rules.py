"""Rules of the gate: what a metric may lose, or must reach.

METRIC[@CONDITION=ROW]: drop <= NUMBER     of a metric that is better the higher, in points
METRIC[@CONDITION=ROW]: rise <= NUMBER     of one that is better the lower, in mm
METRIC[@CONDITION=ROW]: >= NUMBER          or <=: the number itself, as metrics.json has it
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from crowdbench.conditions import CONDITIONS
from crowdbench.errors import UsageError
from crowdbench.markup import one_line
from crowdbench.metrics.catalogue import METRICS, Metric

Kind = Literal["drop", "rise", ">=", "<="]
_EXAMPLE = "AP: drop <= 0.5"
_POINTS = 100
_LONGEST = 200

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\S)")
# Whatever might have been meant by a rule that does not parse.
_LOOSE = re.compile(
    r"(?P<metric>\w+)\s*"
    r"(?:@\s*(?P<condition>[\w-]+)(?:\s*[=\s]\s*(?!drop|rise)(?P<row>[^\s:].*?))?)?[\s:]*"
    r"(?:\b(?P<word>[A-Za-z]+)\b)?\s*(?P<sign>[<>=≤≥]*)\s*"
    r"(?P<number>[-+]?\d*[.,]?\d+(?:[eE][-+]?\d+)?)\W*$"
)


class Rule(msgspec.Struct, frozen=True):
    """A rule.

    Attributes:
        text: as it was written, on one line.
        where: it was found, for messages.
        metric: name of the metric.
        condition: name of the condition; None for the whole split.
        row: what was written for the row.
        kind: ``drop`` or ``rise`` against the baseline, or a limit of the number itself.
        limit: the number: points or mm of a drop or rise, else in the metric's own unit.
    """

    text: str
    where: str
    metric: str
    condition: str | None
    row: str | None
    kind: Kind
    limit: float

    @property
    def is_change(self) -> bool:
        """Whether it limits the change from the baseline, and not the number itself."""
        return self.kind in ("drop", "rise")

    @property
    def allowed(self) -> float:
        """The limit in the metric's own unit: points are hundredths of a fraction."""
        in_points = self.is_change and METRICS[self.metric].unit == "fraction"
        return self.limit / _POINTS if in_points else self.limit


def parse_rule(text: str, where: str) -> Rule:
    """Return the rule that a text is.

    Args:
        text: of the rule.
        where: it was found, for messages.

    Raises:
        UsageError: if it is none, with the place and the nearest valid form.

    >>> rule = parse_rule("ap@Detector-Confidence=0.9: drop <= 1.0", "--rule")
    >>> rule.metric, rule.condition, rule.row, rule.kind, rule.allowed
    ('AP', 'detector-confidence', '0.9', 'drop', 0.01)
    """
    text = one_line(text)
    try:
        return _parse(text, where)
    except _NotARuleError as error:
        message = _message(text, where, error.column, error.problem, _nearest(text))
        raise UsageError(message) from None


def find_row(rule: Rule, known: Iterable[str]) -> str:
    """Return the label of the row that a rule means.

    Args:
        rule: with a condition.
        known: labels of the rows that its condition has in the run or in the baseline.

    Raises:
        UsageError: if none of them is meant, with the nearest.
    """
    assert rule.row is not None
    by_name = {_row_key(label): label for label in known}
    if (found := by_name.get(_row_key(rule.row))) is not None:
        return found
    before, at, after = rule.text.partition("=")
    target = after[: len(after) - len(after.partition(":")[2])]
    near = difflib.get_close_matches(_row_key(rule.row), by_name, n=1, cutoff=0)
    row = by_name[near[0]].removeprefix(">= ") if near else "ROW"
    nearest = f"{before}{at}{row}:{after[len(target) :]}"
    rows = ", ".join(by_name)
    problem = f"{rule.condition} has no row {rule.row!r}; it has: {rows or 'none'}"
    raise UsageError(_message(rule.text, rule.where, len(before) + 1, problem, nearest))


def _row_key(label: str) -> str:
    """Return what a row is found by: without blanks and ``>=``, numbers in their shortest form.

    >>> _row_key(">= 0.90"), _row_key("0.6 - 0.8"), _row_key("Hard")
    ('0.9', '0.6-0.8', 'hard')
    """
    short = re.sub(r"\d+\.\d*|\.\d+", lambda number: f"{float(number[0]):g}", label.lower())
    return "".join(short.split()).removeprefix(">=")


class _NotARuleError(Exception):
    def __init__(self, column: int, problem: str) -> None:
        super().__init__(problem)
        self.column = column
        self.problem = problem


def _parse(text: str, where: str) -> Rule:
    target, colon, demand = text.partition(":")
    metric_text, at, place = target.partition("@")
    name = metric_text.strip()
    if not re.fullmatch(r"\w+", name):
        word = re.match(r"\w*", name)
        assert word is not None
        if not word[0]:
            raise _NotARuleError(0, f"expected the name of a metric, as in '{_EXAMPLE}'")
        _metric(word[0])
        raise _NotARuleError(word.end(), f"expected ':' or '@' after the metric '{word[0]}'")
    metric = _metric(name)
    condition = row = None
    if at:
        condition, row = _place(place, len(metric_text) + 1)
    if not colon:
        raise _NotARuleError(len(text), "expected ':' and what is demanded, as in ': drop <= 0.5'")
    kind, limit = _demand(demand, len(target) + 1, metric)
    return Rule(text, where, metric.name, condition, row, kind, limit)


def _metric(name: str) -> Metric:
    known = {metric.name.lower(): metric for metric in METRICS.values()}
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    advice = f"did you mean {known[near[0]].name}?" if near else "see `crowdbench ls metrics`"
    raise _NotARuleError(0, f"unknown metric {name!r}; {advice}")


def _place(place: str, column: int) -> tuple[str, str]:
    """Return the condition and the row that stand behind ``@``."""
    name, equals, row = place.partition("=")
    names = {known.lower(): known for known in CONDITIONS}
    if name.strip().lower() not in names:
        near = difflib.get_close_matches(name.strip().lower(), names, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(CONDITIONS)}"
        raise _NotARuleError(column, f"unknown condition {name.strip()!r}; {advice}")
    if not equals or not row.strip():
        end = column + len(place.rstrip())
        raise _NotARuleError(end, "expected '=' and one of its rows, as in '=0.9' or '=hard'")
    return names[name.strip().lower()], row.strip()


def _demand(demand: str, column: int, metric: Metric) -> tuple[Kind, float]:
    """Return what stands behind the colon, which ends before `column`."""
    column += len(demand) - len(demand.lstrip())
    demand = demand.lstrip()
    word = re.match(r"(drop|rise)\b", demand, re.IGNORECASE)
    better = f"{metric.name} is better the {'higher' if metric.higher_is_better else 'lower'}"
    worse: Kind = "drop" if metric.higher_is_better else "rise"
    floor: Kind = ">=" if metric.higher_is_better else "<="
    kind: Kind
    if word:
        kind = worse
        if word[0].lower() != worse:
            raise _NotARuleError(column, f"{better}: what it may do is {worse}")
        rest = demand[word.end() :]
        column += word.end() + len(rest) - len(rest.lstrip())
        if not rest.lstrip().startswith("<="):
            raise _NotARuleError(column, f"expected '<=' after '{word[0]}'")
        rest = rest.lstrip()[2:]
    else:
        kind = floor
        if not demand.startswith((">=", "<=")):
            raise _NotARuleError(column, f"expected '{worse} <=' or '{floor}'")
        if not demand.startswith(floor):
            raise _NotARuleError(column, f"{better}: what it must keep is '{floor}'")
        rest = demand[2:]
    column += 2 + len(rest) - len(rest.lstrip())
    limit = _limit(rest.strip(), column)
    if metric.unit == "fraction" and limit > (most := _POINTS if word else 1):
        unit = "points, 0 to 100" if word else "a fraction in [0, 1], as in metrics.json"
        raise _NotARuleError(column, f"{limit:g} is more than {most}: the number is {unit}")
    return kind, limit


def _limit(text: str, column: int) -> float:
    found = _NUMBER.match(text)
    if found is None:
        raise _NotARuleError(column, "expected a number of 0 or more without a unit, as in 0.5")
    if found.end() < len(text):
        raise _NotARuleError(column + found.end() + 1, "expected the end of the rule")
    limit = float(text)
    if limit == float("inf"):
        raise _NotARuleError(column, "the number is too large")
    return limit


def _nearest(text: str) -> str:
    """Return the valid rule that a text comes nearest to.

    >>> _nearest("AP@person-iou 0.6 - 0.8 drop < 1,5%"), _nearest("mpjpe may not grow")
    ('AP@person-iou=0.6 - 0.8: drop <= 1.5', 'MPJPE_mm: rise <= 1')
    """
    # What is longer than any rule is like none.
    loose = _LOOSE.match(text) if len(text) < _LONGEST else None
    number = (
        float("inf") if loose is None else float(loose["number"].replace(",", ".").lstrip("+-"))
    )
    word = re.search(r"\w+", text) if loose is None else re.match(r"\w+", loose["metric"])
    known = {metric.name.lower(): metric for metric in METRICS.values()}
    near = difflib.get_close_matches(word[0].lower(), known, n=1, cutoff=0.5) if word else []
    metric = known[near[0]] if near else METRICS["AP"]
    worse, floor = ("drop", ">=") if metric.higher_is_better else ("rise", "<=")
    if loose is None or not near or number == float("inf"):
        return f"{metric.name}: {worse} <= {'0.5' if metric.unit == 'fraction' else '1'}"
    target = metric.name
    if loose["condition"] is not None:
        condition = difflib.get_close_matches(loose["condition"].lower(), CONDITIONS, n=1, cutoff=0)
        target += f"@{condition[0]}={(loose['row'] or 'ROW').strip()}"
    is_floor = loose["word"] is None and bool(loose["sign"])
    while metric.unit == "fraction" and number > (1 if is_floor else _POINTS):
        number /= _POINTS
    demand = floor if is_floor else f"{worse} <="
    return f"{target}: {demand} {number:g}"


def _message(text: str, where: str, column: int, problem: str, nearest: str) -> str:
    return f"{where}: {problem}\n    {text}\n    {' ' * column}^\nnearest valid form: {nearest}"
