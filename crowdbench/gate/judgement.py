"""What the gate finds. Everything that is printed or written is made from it, and the exit code."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crowdbench.errors import EXIT_FAILED, EXIT_MISSING
from crowdbench.gate.settings import Undecided

Verdict = Literal["pass", "fail", "undecided", "cannot judge"]
Outcome = Literal["pass", "fail", "cannot judge"]
_EXIT_CODES: dict[Outcome, int] = {"pass": 0, "fail": EXIT_FAILED, "cannot judge": EXIT_MISSING}


class Finding(msgspec.Struct, frozen=True):
    """What the gate finds about a rule.

    Attributes:
        rule: as it was written.
        verdict: ``pass`` and ``fail`` are beyond noise, ``undecided`` is not.
        words: why.
        unit: of the metric: ``fraction`` or ``mm``.
        is_change: whether the rule limits the change from the baseline.
        baseline: the number there; null if there is none.
        run: the number of the run; null if there is none.
        interval: of run less baseline, or of the run's number where the rule limits that; at the
            level of the judgement, in the metric's own unit; null if there is none.
    """

    rule: str
    verdict: Verdict
    words: str
    unit: Literal["fraction", "mm"]
    is_change: bool
    baseline: float | None = None
    run: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def change(self) -> float | None:
        """Run less baseline, in the metric's own unit; None if one of them is missing."""
        if self.run is None or self.baseline is None:
            return None
        return self.run - self.baseline


class Judgement(msgspec.Struct, frozen=True):
    """What the gate finds about a run.

    Attributes:
        run: where it is.
        baseline: where it is.
        undecided: what undecided rules count as.
        level: of each interval, so that all of them hold together with 95 %.
        resamples: from which they are made.
        images: what was drawn, e.g. ``500 images``; null when it did not come to that.
        findings: one for each rule, in their order.
        problem: why nothing can be judged; null otherwise.
    """

    run: str
    baseline: str
    undecided: Undecided
    level: float
    resamples: int
    images: str | None
    findings: tuple[Finding, ...]
    problem: str | None = None

    def counts_as(self, finding: Finding) -> Outcome:
        """Return what a rule's verdict counts as."""
        return self.undecided if finding.verdict == "undecided" else finding.verdict

    @property
    def outcome(self) -> Outcome:
        """The verdict on the run. A rule that fails is a fact, whatever can't be judged besides."""
        found = {self.counts_as(finding) for finding in self.findings}
        if "fail" in found:
            return "fail"
        return "cannot judge" if "cannot judge" in found or self.problem is not None else "pass"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 cannot judge."""
        return _EXIT_CODES[self.outcome]

    @property
    def sentence(self) -> str:
        """The outcome in a sentence.

        >>> finding = Finding("AP: drop <= 1", "undecided", "", "fraction", True)
        >>> Judgement("a", "b", "pass", 0.95, 4000, None, (finding,)).sentence
        'PASS: of 1 rule, 1 is undecided, which counts as pass'
        """
        if self.problem is not None:
            return f"{self.outcome.upper()}: {self.problem}"
        total = len(self.findings)
        words = []
        for verdict, one, more in (
            ("fail", "fails", "fail"),
            ("cannot judge", "can't be judged", "can't be judged"),
            ("undecided", "is undecided", "are undecided"),
            ("pass", "passes", "pass"),
        ):
            rules = [f.rule for f in self.findings if f.verdict == verdict]
            if not rules:
                continue
            text = f"{len(rules)} {one if len(rules) == 1 else more}"
            if verdict == "undecided":
                text += f", which counts as {self.undecided}"
            counts_as = self.undecided if verdict == "undecided" else verdict
            if counts_as != "pass":
                text += f" ({'; '.join(rules)})"
            words.append(text)
        rules_words = f"{total} rule{'' if total == 1 else 's'}"
        return f"{self.outcome.upper()}: of {rules_words}, {', '.join(words)}"

    def as_json(self) -> dict[str, Any]:
        """Return all of it, as ``--json`` prints it."""
        head = {"outcome": self.outcome, "exit_code": self.exit_code, "sentence": self.sentence}
        found: dict[str, Any] = msgspec.to_builtins(self)
        for entry, finding in zip(found["findings"], self.findings, strict=True):
            entry["change"] = finding.change
            entry["counts_as"] = self.counts_as(finding)
        return head | found
