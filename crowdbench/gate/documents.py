"""A judgement as people and CI systems read it: table, Markdown, JUnit XML, GitHub's commands."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from crowdbench.errors import WriteError
from crowdbench.files import write_atomically, write_text
from crowdbench.gate.judgement import Finding, Judgement
from crowdbench.markup import markdown_code, markdown_text, one_line
from crowdbench.terminal import DIFFERENCE_UNITS, UNIT_SIGNS, difference, number

HEADER = ("rule", "baseline", "run", "change", "interval", "verdict")
NUMBER_COLUMNS = (1, 2, 3, 4)
_NAME = "crowdbench gate"


def cells(judgement: Judgement, finding: Finding) -> tuple[str, ...]:
    """Return a rule's row of the table, under `HEADER`."""
    unit = finding.unit
    sign, points = UNIT_SIGNS[unit], DIFFERENCE_UNITS[unit]
    interval = "-"
    if finding.interval is not None:
        show, of = (difference, points) if finding.is_change else (number, sign)
        low, high = (show(end, unit) for end in finding.interval)
        interval = f"{low} to {high} {of}"
    verdict: str = finding.verdict
    if verdict == "undecided":
        verdict += f", counts as {judgement.counts_as(finding)}"
    change = "-" if finding.change is None else f"{difference(finding.change, unit)} {points}"
    values = (
        "-" if value is None else f"{number(value, unit)} {sign}"
        for value in (finding.baseline, finding.run)
    )
    return (finding.rule, *values, change, interval, verdict)


def markdown(judgement: Judgement) -> str:
    """Return the judgement for a comment on a pull request or a step summary."""
    rows = [HEADER, ("---", *["--:"] * len(NUMBER_COLUMNS), "---")]
    for finding in judgement.findings:
        shown = [markdown_text(cell) for cell in cells(judgement, finding)]
        if judgement.counts_as(finding) != "pass":
            shown[-1] = f"**{shown[-1]}**"
        rows.append(tuple(shown))
    outcome, _, rest = judgement.sentence.partition(":")
    parts = [
        f"### {_NAME}: {judgement.outcome}",
        f"**{outcome}**:{markdown_text(rest) if not rest else ' ' + markdown_text(rest)}",
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
    ]
    if judgement.problem is None:
        parts.append(
            "\n".join(f"- {markdown_text(finding.words)}" for finding in judgement.findings)
        )
    parts.append(
        f"Run {markdown_code(judgement.run)}, baseline {markdown_code(judgement.baseline)}. "
        + markdown_text(how(judgement))
    )
    return "\n\n".join(parts) + "\n"


def remarks(judgement: Judgement) -> list[str]:
    """Return what the table leaves out: why a rule has no pass, and how the intervals were made."""
    found = []
    if judgement.problem is None:
        found = [f"{f.rule}: {f.words}" for f in judgement.findings if f.verdict != "pass"]
    return [one_line(line) for line in (*found, how(judgement)) if line]


def how(judgement: Judgement) -> str:
    """Return how the intervals were made, in a sentence; nothing where there are none.

    >>> how(Judgement("a", "b", "pass", 0.975, 4000, "500 images", ()))
    'Intervals: 97.5 % each, so that all hold together with 95 %; 4,000 resamples of 500 images.'
    """
    if judgement.images is None:
        return ""
    level = f"{100 * judgement.level:.4g} %"
    if len(judgement.findings) != 1:
        level += " each, so that all hold together with 95 %"
    return f"Intervals: {level}; {judgement.resamples:,} resamples of {judgement.images}."


def write_markdown(path: Path, judgement: Judgement) -> None:
    """Write the Markdown, whole or not at all."""
    write_text(path, markdown(judgement))


def append_markdown(path: Path, judgement: Judgement) -> None:
    """Append the Markdown to a file that others write to as well.

    Raises:
        WriteError: if it can't be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown(judgement))
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}") from None


def junit(judgement: Judgement) -> bytes:
    """Return JUnit XML: a suite with a test case for each rule."""
    suite = TestSuite(_NAME)
    for name, value in (
        ("run", judgement.run),
        ("baseline", judgement.baseline),
        ("outcome", judgement.outcome),
        ("sentence", judgement.sentence),
    ):
        suite.add_property(name, one_line(value))
    for finding in judgement.findings:
        case = TestCase(one_line(finding.rule), classname=_NAME.replace(" ", "."))
        words = one_line(finding.words)
        counts_as = judgement.counts_as(finding)
        if counts_as == "fail":
            case.result = [Failure(words, finding.verdict)]
        elif counts_as == "cannot judge":
            case.result = [Error(words, finding.verdict)]
        case.system_out = f"{finding.verdict}: {words}"
        suite.add_testcase(case)
    xml = JUnitXml(_NAME)
    xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    content = io.BytesIO()
    xml.write(content, pretty=True)
    return content.getvalue()


def write_junit(path: Path, judgement: Judgement) -> None:
    """Write the JUnit XML, whole or not at all."""
    content = junit(judgement)
    write_atomically(path, lambda file: file.write(content))


def github_commands(judgement: Judgement) -> Iterator[str]:
    """Yield GitHub's workflow commands: errors for what fails the gate, warnings for the undecided.

    Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    if judgement.problem is not None:
        yield _command("error", judgement.outcome, judgement.problem)
        return
    for finding in judgement.findings:
        if judgement.counts_as(finding) != "pass":
            yield _command("error", finding.verdict, f"{finding.rule}: {finding.words}")
        elif finding.verdict == "undecided":
            yield _command("warning", finding.verdict, f"{finding.rule}: {finding.words}")


def _command(kind: str, title: str, message: str) -> str:
    r"""Return a workflow command, escaped.

    >>> _command("error", "a: b, c", "50 %\nof ::it")
    '::error title=crowdbench gate%3A a%3A b%2C c::50 %25%0Aof ::it'
    """
    title = _escaped(f"{_NAME}: {title}").replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={title}::{_escaped(message)}"


def _escaped(text: str) -> str:
    # Percent signs first: the others bring their own.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
