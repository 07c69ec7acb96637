"""What docs/gate.md shows is valid."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from crowdbench.gate.rules import parse_rule
from crowdbench.gate.settings import gather_settings
from tests.conftest import ROOT

PAGE = (ROOT / "docs/gate.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_its_rules_are_rules(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(blocks("toml")[0])
    (tmp_path / "rules.yaml").write_text(blocks("yaml")[0])
    assert len(gather_settings((), None, None, tmp_path).rules) == 3
    found = gather_settings((), tmp_path / "rules.yaml", None, tmp_path)
    assert (len(found.rules), found.undecided) == (2, "fail")
    in_table = re.findall(r"^\| `(\w[^`]*[<>]=[^`]*)` \|", PAGE, re.MULTILINE)
    assert len(in_table) == 7
    for rule in in_table:
        parse_rule(rule, "docs/gate.md")


def test_its_workflow_gives_the_action_what_it_takes() -> None:
    workflow = yaml.safe_load(blocks("yaml")[1])
    steps = workflow["jobs"]["gate"]["steps"]
    (gate,) = (step for step in steps if step.get("uses", "").startswith("OWNER/crowdbench@"))
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    required = {name for name, facts in action["inputs"].items() if facts.get("required")}
    assert required <= set(gate["with"]) <= set(action["inputs"])
    for rule in gate["with"]["rules"].splitlines():
        parse_rule(rule, "docs/gate.md")
