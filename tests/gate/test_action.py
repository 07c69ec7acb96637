"""``action.yml``: its shell steps, run as a runner would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]
# Stands for `python`: notes what it is called with, and ends as it is told.
FAKE = """\
#!/usr/bin/env bash
printf '%s\\n' "$@" >>"$CALLED"
printf 'end of call\\n' >>"$CALLED"
if [[ $1 == -c ]]; then exit "$IMPORTS"; fi
exit "$CODE"
"""


def run_step(
    step: dict[str, Any], folder: Path, code: int = 0, imports: int = 0, **inputs: str
) -> tuple[int, list[list[str]]]:
    """Run a step; return its exit code and the calls of Python."""
    fake, called = folder / "python", folder / "called"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    called.write_text("")
    given = {name: facts.get("default", "") for name, facts in ACTION["inputs"].items()}
    given |= {"python": str(fake), **{name.replace("_", "-"): v for name, v in inputs.items()}}
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for name, value in step["env"].items()
    }
    assert "${{" not in step["run"]
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"], "CALLED": str(called), "CODE": str(code),
            "IMPORTS": str(imports), "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_ACTION_PATH": "/the/action", **env,
        },
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    calls = called.read_text().split("\nend of call\n")[:-1]
    return done.returncode, [call.split("\n") for call in calls]


def test_every_input_is_used_and_no_script_holds_one() -> None:
    assert ACTION["runs"]["using"] == "composite"
    given = " ".join(value for step in STEPS for value in step["env"].values())
    assert set(re.findall(r"inputs\.([\w-]+)", given)) == set(ACTION["inputs"])
    assert all(step["shell"] == "bash" for step in STEPS)


def test_it_installs_only_where_crowdbench_is_missing(tmp_path: Path) -> None:
    assert run_step(STEPS[0], tmp_path, imports=0)[1] == [["-c", "import crowdbench.gate"]]
    code, calls = run_step(STEPS[0], tmp_path, imports=1)
    assert code == 0
    assert calls[1] == ["-m", "pip", "install", "-c", "/the/action/constraints.txt", "/the/action"]
    assert run_step(STEPS[0], tmp_path, imports=1, code=4)[0] == 4


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, "pass"), (1, "fail"), (2, "wrong use"), (3, "cannot judge")]
)
def test_it_ends_as_the_gate_does_and_says_so(code: int, verdict: str, tmp_path: Path) -> None:
    ended, _ = run_step(STEPS[1], tmp_path, code, run="r", baseline="b.json")
    assert ended == code
    assert (tmp_path / "output").read_text() == f"verdict={verdict}\nexit-code={code}\n"


def test_inputs_become_arguments_and_nothing_else(tmp_path: Path) -> None:
    rules = "AP: drop <= 0.5\n\n  AP@person-iou=0.6 - 0.8: drop <= 1\n$(touch hacked); `id`\n"
    _, (call,) = run_step(
        STEPS[1], tmp_path, run="-run of mine", baseline="base line.json", rules=rules,
        rules_file="r.yaml", undecided="fail", bootstrap="500", markdown="a.md", junit="a.xml",
    )  # fmt: skip
    assert call == [
        "-m", "crowdbench", "gate", "--baseline=base line.json", "--markdown=a.md",
        "--junit=a.xml", "--rule=AP: drop <= 0.5", "--rule=  AP@person-iou=0.6 - 0.8: drop <= 1",
        "--rule=$(touch hacked); `id`", "--rules=r.yaml", "--undecided=fail", "--bootstrap=500",
        "--", "-run of mine",
    ]  # fmt: skip
    assert not (tmp_path / "hacked").exists()


def test_the_real_command_takes_these_arguments(tmp_path: Path) -> None:
    step = {**STEPS[1], "env": {**STEPS[1]["env"], "PYTHON": sys.executable}}
    code, _ = run_step(step, tmp_path, run="none", baseline="none.json", rules="AP: drop <= 1")
    assert code == 3
    assert (tmp_path / "output").read_text() == "verdict=cannot judge\nexit-code=3\n"
    assert "none: no such run folder" in (tmp_path / "crowdbench-gate.md").read_text()
    assert (tmp_path / "crowdbench-gate.xml").is_file()
