"""The command ``gate`` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from junitparser import JUnitXml

from tests.cli.in_process import run_in
from tests.command import Crowdbench, contents
from tests.gate.crowds import score, write_crowd

DROP = "AP: drop <= 1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with scored runs of a small crowd and a baseline of one of them."""
    folder = tmp_path_factory.mktemp("gate")
    crowdbench = run_in(folder)
    write_crowd(folder)
    for name in ("good", "slightly", "bad"):
        score(crowdbench, folder, name)
    assert crowdbench("baseline", "save", "good", "base.json").returncode == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Return the folder that the commands run in, with a copy of all that."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def crowdbench(folder: Path) -> Crowdbench:
    return run_in(folder)


@pytest.mark.parametrize(
    ("run", "more", "code", "verdict"),
    [
        ("good", (), 0, "pass"),
        ("bad", (), 1, "fail"),
        ("slightly", (), 0, "undecided, counts as pass"),
        ("slightly", ("--undecided", "fail"), 1, "undecided, counts as fail"),
    ],
)
def test_each_verdict_has_its_exit_code(
    run: str, more: tuple[str, ...], code: int, verdict: str, crowdbench: Crowdbench, folder: Path
) -> None:
    before = contents(folder)
    done = crowdbench("gate", run, "--baseline", "base.json", "--rule", DROP, *more)
    assert (done.returncode, done.stderr) == (code, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["rule", "baseline", "run", "change", "interval", "verdict"]
    assert lines[1].startswith(DROP)
    assert lines[1].rstrip().endswith(verdict)
    assert lines[-1].startswith(f"{'FAIL' if code else 'PASS'}: of 1 rule, 1 ")
    # The baseline as a run folder gives the same numbers.
    again = crowdbench("gate", run, "--baseline", "good", "--rule", DROP, *more)
    assert (again.returncode, again.stdout) == (code, done.stdout)
    quiet = crowdbench("gate", run, "--baseline", "good", "--rule", DROP, *more, "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (code, "", "")
    assert contents(folder) == before


def test_documents_and_json_say_the_same(crowdbench: Crowdbench, folder: Path) -> None:
    rules = (DROP, "AP@detector-confidence=0.5: drop <= 1", "AR: drop <= 90", "AP: >= 0.01")
    arguments = ["gate", "bad", "--baseline", "base.json"]
    arguments += [word for rule in rules for word in ("--rule", rule)]
    done = crowdbench(*arguments, "--json", "--markdown", "out/gate.md", "--junit", "out/gate.xml")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert (found["outcome"], found["exit_code"]) == ("fail", 1)
    verdicts = [entry["verdict"] for entry in found["findings"]]
    assert verdicts == ["fail", "fail", "pass", "pass"]
    metrics = {
        name: json.loads((folder / name / "metrics.json").read_text()) for name in ("good", "bad")
    }
    first = found["findings"][0]
    assert first["run"] == metrics["bad"]["metrics"]["AP"]["value"]
    assert first["baseline"] == metrics["good"]["metrics"]["AP"]["value"]
    assert first["interval"][0] < first["run"] - first["baseline"] < first["interval"][1] < -0.01
    xml = JUnitXml.fromfile(str(folder / "out/gate.xml"))
    assert (xml.tests, xml.failures, xml.errors) == (4, 2, 0)
    assert [case.name for suite in xml for case in suite] == list(rules)
    text = (folder / "out/gate.md").read_text()
    assert "### crowdbench gate: fail" in text
    assert text.count("**fail**") == 2
    # The same runs give the same bytes.
    before = contents(folder / "out")
    again = crowdbench(*arguments, "--json", "--markdown", "out/gate.md", "--junit", "out/gate.xml")
    assert again.stdout == done.stdout
    assert contents(folder / "out") == before


def test_on_github_it_annotates_and_writes_the_summary(
    crowdbench: Crowdbench, folder: Path
) -> None:
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    arguments = ["gate", "bad", "--baseline", "base.json", "--rule", DROP]
    done = crowdbench(*arguments, env=env)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("::error title=crowdbench gate%3A fail::AP: ")
    assert "### crowdbench gate: fail" in (folder / "summary.md").read_text()
    as_json = crowdbench(*arguments, "--json", env=env)
    assert json.loads(as_json.stdout)["exit_code"] == 1
    assert as_json.stderr.startswith("::error ")
    arguments[1] = "slightly"
    assert "\n::warning title=" in crowdbench(*arguments, env=env).stdout
    assert (folder / "summary.md").read_text().count("### crowdbench gate: ") == 3
    assert "::" not in crowdbench(*arguments, env={"GITHUB_ACTIONS": "false"}).stdout


def test_rules_come_from_pyproject_or_a_file(crowdbench: Crowdbench, folder: Path) -> None:
    (folder / "pyproject.toml").write_text(f'[tool.crowdbench.gate]\nrules = ["{DROP}"]\n')
    done = crowdbench("gate", "bad", "--baseline", "base.json")
    assert (done.returncode, done.stdout.splitlines()[1].startswith(DROP)) == (1, True)
    (folder / "rules.yaml").write_text("rules:\n  - AR: drop <= 90\n")
    done = crowdbench("gate", "bad", "--baseline", "base.json", "--rules", "rules.yaml")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("AR: drop <= 90 ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("good", "--rule", "AP drop <= 1"), "nearest valid form: AP: drop <= 1"),
        (("good", "--rule", "AP: >= 68"), "nearest valid form: AP: >= 0.68"),
        (("good", "--rule", "AQ: drop <= 1"), "unknown metric 'AQ'; did you mean"),
        (
            ("good", "--rule", "AP@detector-confidence=0.95: drop <= 1"),
            "nearest valid form: AP@detector-confidence=0.9: drop <= 1",
        ),
        (("good",), "no rules to judge by"),
        (("good", "--rule", DROP, "--undecided", "no"), "expected pass or fail"),
        (("good", "--rule", DROP, "--bootstrap", "3"), "100<=x<=20000"),
        (("good", "--rule", DROP, "--baseline", "empty.json"), "empty.json is empty"),
        (
            ("good", "--rule", DROP, "--baseline", "truth.json"),
            "truth.json: baseline: object contains unknown field",
        ),
        (("good", "--rule", DROP, "--baseline", "."), ". is no run folder"),
        (("truth.json", "--rule", DROP), "truth.json is no run folder"),
    ],
)
def test_wrong_use_is_exit_code_2_and_leaves_nothing(
    arguments: tuple[str, ...], words: str, crowdbench: Crowdbench, folder: Path
) -> None:
    (folder / "empty.json").write_text("")
    before = contents(folder)
    baseline = () if "--baseline" in arguments else ("--baseline", "base.json")
    done = crowdbench("gate", *arguments, *baseline, "--junit", "gate.xml", "--markdown", "gate.md")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("split", "it has another split ("),
        ("boxes", "it has other boxes ("),
        ("annotations", "other annotations ("),
        ("no baseline", "no baseline at none.json"),
        ("no matches", "matches.npz is missing"),
        ("no run", "none: no such run folder"),
        ("metric", "base.json has no AP (detector-confidence >= 0.5): it was not evaluated"),
    ],
)
def test_what_can_not_be_judged_is_exit_code_3_and_written_all_the_same(
    case: str, words: str, crowdbench: Crowdbench, folder: Path
) -> None:
    run, baseline, rule = "good", "base.json", DROP
    if case in ("split", "boxes", "annotations"):
        content = json.loads((folder / baseline).read_text())
        content["run"]["protocol"][case] = "another"
        (folder / baseline).write_text(json.dumps(content))
    elif case == "no baseline":
        baseline = "none.json"
    elif case == "no matches":
        (folder / "good/matches.npz").unlink()
    elif case == "no run":
        run = "none"
    else:
        content = json.loads((folder / baseline).read_text())
        content["run"]["conditions"] = {}
        (folder / baseline).write_text(json.dumps(content))
        rule = "AP@detector-confidence=0.5: drop <= 1"
    arguments = ("gate", run, "--baseline", baseline, "--rule", rule)
    done = crowdbench(*arguments, "--junit", "gate.xml", "--markdown", "gate.md")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.splitlines()[-1].startswith("CANNOT JUDGE: ")
    assert words in done.stdout
    xml = JUnitXml.fromfile(str(folder / "gate.xml"))
    assert (xml.tests, xml.failures, xml.errors) == (1, 0, 1)
    assert words in next(iter(next(iter(xml)))).result[0].message
    assert "### crowdbench gate: cannot judge" in (folder / "gate.md").read_text()
    found = json.loads(crowdbench(*arguments, "--json").stdout)
    assert (found["outcome"], found["exit_code"]) == ("cannot judge", 3)


def test_a_document_that_can_not_be_written_is_said(crowdbench: Crowdbench, folder: Path) -> None:
    done = crowdbench(
        "gate", "good", "--baseline", "base.json", "--rule", DROP, "--junit", "truth.json/gate.xml"
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "truth.json/gate.xml can't be written" in done.stderr
