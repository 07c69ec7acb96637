"""Everything that is shown of a judgement says the same as its exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, TestSuite
from markdown_it import MarkdownIt

from crowdbench.gate.documents import (
    append_markdown,
    cells,
    github_commands,
    junit,
    markdown,
    remarks,
)
from crowdbench.gate.judgement import Finding, Judgement

NUMBER = st.none() | st.floats(0, 1)
# Rules and words hold names of files, so anything that XML can hold.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=30)
FINDING = st.builds(
    Finding,
    rule=TEXT,
    verdict=st.sampled_from(["pass", "fail", "undecided", "cannot judge"]),
    words=TEXT,
    unit=st.sampled_from(["fraction", "mm"]),
    is_change=st.booleans(),
    baseline=NUMBER,
    run=NUMBER,
    interval=st.none() | st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
JUDGEMENT = st.builds(
    Judgement,
    run=TEXT,
    baseline=TEXT,
    undecided=st.sampled_from(["pass", "fail"]),
    level=st.just(0.95),
    resamples=st.just(4000),
    images=st.none() | st.just("500 images"),
    findings=st.lists(FINDING, min_size=1, max_size=4).map(tuple),
)


def finding(verdict: str, rule: str = "AP: drop <= 0.5") -> Finding:
    return Finding(rule, verdict, "AP changed", "fraction", True, 0.5, 0.49, (-0.02, 0.003))  # type: ignore[arg-type]


def judgement(*findings: Finding, **changes: object) -> Judgement:
    given = {"run": "runs/a", "baseline": "base.json", "undecided": "pass", "level": 0.95}
    return Judgement(
        **{**given, "resamples": 4000, "images": "500 images", **changes}, findings=findings
    )  # type: ignore[arg-type]


@given(JUDGEMENT)
def test_all_that_is_shown_agrees_with_the_exit_code(found: Judgement) -> None:
    counted = [found.counts_as(f) for f in found.findings]
    word = {0: "pass", 1: "fail", 3: "cannot judge"}[found.exit_code]
    # The exit code is that of the rules.
    assert (found.exit_code == 1) == ("fail" in counted)
    assert (found.exit_code == 0) == (set(counted) == {"pass"})
    # So are the sentence, the table, the Markdown, JSON, JUnit and the annotations.
    assert found.sentence.startswith(f"{word.upper()}: of {len(counted)} rule")
    shown = [cells(found, f)[-1] for f in found.findings]
    verdicts = [cell.partition(", counts as ")[2] or cell for cell in shown]
    assert verdicts == counted
    text = markdown(found)
    assert text.startswith(f"### crowdbench gate: {word}\n\n**{word.upper()}**: ")
    bold = [line.rstrip(" |").endswith("**") for line in text.splitlines() if line[:1] == "|"][2:]
    assert bold == [c != "pass" for c in counted]
    as_json = json.loads(json.dumps(found.as_json()))
    assert (as_json["outcome"], as_json["exit_code"]) == (word, found.exit_code)
    assert as_json["sentence"] == found.sentence
    assert [entry["counts_as"] for entry in as_json["findings"]] == counted
    xml = JUnitXml.fromstring(junit(found))
    assert (xml.tests, xml.failures, xml.errors) == (
        len(counted), counted.count("fail"), counted.count("cannot judge"),
    )  # fmt: skip
    lines = list(github_commands(found))
    assert sum(line.startswith("::error ") for line in lines) == len(counted) - counted.count(
        "pass"
    )
    assert all(line.isprintable() or "\n" not in line for line in lines)


def test_junit_has_a_case_for_each_rule() -> None:
    found = judgement(*map(finding, ("pass", "fail", "undecided", "cannot judge")))
    (suite,) = JUnitXml.fromstring(junit(found))
    assert isinstance(suite, TestSuite)
    assert (suite.name, suite.tests, suite.failures, suite.errors) == ("crowdbench gate", 4, 1, 1)
    cases = list(suite)
    assert [case.name for case in cases] == ["AP: drop <= 0.5"] * 4
    assert [type(r) for case in cases for r in case.result] == [Failure, Error]
    assert [case.is_passed for case in cases] == [True, False, True, False]
    assert cases[2].system_out == "undecided: AP changed"
    assert {p.name: p.value for p in suite.properties()}["outcome"] == "fail"
    as_failure = JUnitXml.fromstring(junit(judgement(finding("undecided"), undecided="fail")))
    assert as_failure.failures == 1


def test_markdown_shows_the_table() -> None:
    found = judgement(finding("fail"), finding("undecided", "a|b <script>"))
    html = MarkdownIt("commonmark").enable("table").render(markdown(found))
    rows = re.findall(r"<tr>\n(.*?)</tr>", html, re.DOTALL)
    cells_of = [[re.sub("<.*?>", "", c) for c in row.splitlines()] for row in rows]
    assert cells_of == [
        ["rule", "baseline", "run", "change", "interval", "verdict"],
        [
            "AP: drop &lt;= 0.5", "50.00 %", "49.00 %", "-1.00 points", "-2.00 to +0.30 points",
            "fail",
        ],
        [
            "a|b &lt;script&gt;", "50.00 %", "49.00 %", "-1.00 points", "-2.00 to +0.30 points",
            "undecided, counts as pass",
        ],
    ]  # fmt: skip
    assert "<script>" not in html
    assert "Intervals: 97.5 % each" not in html  # the level is the judgement's
    assert "Intervals: 95 % each, so that all hold together with 95 %" in html


def test_annotations_are_errors_and_warnings() -> None:
    lines = list(github_commands(judgement(*map(finding, ("pass", "fail", "undecided")))))
    assert lines == [
        "::error title=crowdbench gate%3A fail::AP: drop <= 0.5: AP changed",
        "::warning title=crowdbench gate%3A undecided::AP: drop <= 0.5: AP changed",
    ]
    (line,) = github_commands(judgement(finding("cannot judge"), problem="50 %\nof it"))
    assert line == "::error title=crowdbench gate%3A cannot judge::50 %25%0Aof it"


def test_a_problem_is_said_once() -> None:
    found = judgement(finding("cannot judge"), finding("cannot judge"), problem="another split")
    assert found.sentence == "CANNOT JUDGE: another split"
    assert markdown(found).count("another split") == 1
    assert remarks(judgement(finding("cannot judge"), problem="x", images=None)) == []


def test_a_summary_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    append_markdown(path, judgement(finding("pass")))
    assert path.read_text().startswith("before\n### crowdbench gate: pass\n")
