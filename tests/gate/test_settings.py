from __future__ import annotations

from pathlib import Path

import pytest

from crowdbench.errors import CrowdbenchError, InputError, MissingError, UsageError
from crowdbench.gate.settings import Settings, gather_settings


def gathered(
    folder: Path, *rules: str, file: str | None = None, undecided: str | None = None
) -> Settings:
    path = None
    if file is not None:
        path = folder / "rules.yaml"
        path.write_text(file)
    return gather_settings(rules, path, undecided, folder)


def texts(settings: Settings) -> list[str]:
    return [rule.text for rule in settings.rules]


YAML = """\
rules:
  - AP: drop <= 0.5
  - AP@detector-confidence=0.9: drop <= 1.0
  - "AP: >= 0.68"
undecided: fail
"""


def test_rules_come_from_options_a_file_or_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.crowdbench.gate]\nrules = ["AR: drop <= 2"]\nundecided = "fail"\n'
    )
    found = gathered(tmp_path)
    assert (texts(found), found.undecided) == (["AR: drop <= 2"], "fail")
    found = gathered(tmp_path, "AP: drop <= 1")
    assert (texts(found), found.undecided) == (["AP: drop <= 1"], "pass")
    found = gathered(tmp_path, "AP75: drop <= 1", file=YAML)
    assert texts(found) == [
        "AP75: drop <= 1",
        "AP: drop <= 0.5",
        "AP@detector-confidence=0.9: drop <= 1.0",
        "AP: >= 0.68",
    ]
    assert found.undecided == "fail"
    assert gathered(tmp_path, file=YAML, undecided="pass").undecided == "pass"


def test_without_rules_an_example_is_shown(tmp_path: Path) -> None:
    for content in (None, "[project]\nname = 'x'\n", "[tool.crowdbench.gate]\nrules = []\n"):
        if content is not None:
            (tmp_path / "pyproject.toml").write_text(content)
        with pytest.raises(UsageError, match=r"no rules to judge by.*--rule 'AP: drop <= 0\.5'"):
            gathered(tmp_path)
    with pytest.raises(UsageError, match=r"rules\.yaml has none"):
        gathered(tmp_path, file="rules: []\n")


@pytest.mark.parametrize(
    ("file", "kind", "words"),
    [
        ("", InputError, "expected"),
        ("rules:\n  - AP: >= 0.68\n", InputError, "needs quotes: - 'AP: >= 0.68'"),
        ("rules:\n  - AP: 0.5\n", InputError, "rules[0]"),
        ("rules:\n  - {AP: drop <= 1, AR: drop <= 1}\n", InputError, "rules[0] has 2 rules"),
        ("rulez: []\n", InputError, "rulez"),
        ("rules: []\nundecided: maybe\n", InputError, "undecided"),
        ("rules:\n  - 'AP drop <= 1'\n", UsageError, "rules.yaml: rules[0]: expected ':'"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(
    file: str, kind: type[CrowdbenchError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as refused:
        gathered(tmp_path, file=file)
    assert "rules.yaml" in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[tool.crowdbench.gate\n", "not valid TOML"),
        ("[tool.crowdbench.gate]\nrule = 'AP: drop <= 1'\n", "unknown field rule"),
        ("[tool.crowdbench.gate]\nrules = [1]\n", "tool.crowdbench.gate.rules[0]"),
        ("[tool.crowdbench]\ngate = 3\n", "Expected object, got int"),
    ],
)
def test_a_wrong_pyproject_is_refused_with_the_place(toml: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(toml)
    with pytest.raises(InputError, match=r"pyproject\.toml: ") as refused:
        gathered(tmp_path)
    assert words in str(refused.value)


def test_missing_file_and_unknown_word(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none\.yaml"):
        gather_settings((), tmp_path / "none.yaml", None, tmp_path)
    with pytest.raises(UsageError, match="--undecided is 'maybe', expected pass or fail"):
        gathered(tmp_path, "AP: drop <= 1", undecided="maybe")
