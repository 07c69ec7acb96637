"""What the README shows is what the project does."""

from __future__ import annotations

import json
import re

import pytest

from tests.command import EXAMPLE, Crowdbench, replay

ROOT = EXAMPLE.parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_example_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    ap, missed = capsys.readouterr().out.split()
    assert 0.6 < float(ap) < 0.7
    assert missed == "7"


def test_the_demos_figures_are_those_shown(crowdbench: Crowdbench) -> None:
    done = crowdbench(*replay(EXAMPLE / "annotations.json", EXAMPLE / "predictions.json", "--json"))
    (shown,) = re.findall(r"```\n(metric .*?)```", README, re.DOTALL)
    for name, metric in json.loads(done.stdout)["metrics"].items():
        line = next((li for li in shown.splitlines() if li.split()[0] == name), None)
        if line is not None:
            assert line.split()[1:] == [f"{100 * metric['value']:.2f}", str(metric["n"])]
    assert json.loads(done.stdout)["signature"].startswith(
        next(li for li in shown.splitlines() if li.startswith("crowdbench=1")).removesuffix(" ...")
    )


def test_every_linked_page_and_command_exists(crowdbench: Crowdbench) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for command in set(
        re.findall(r"crowdbench (run|score|predict|report|doctor|ls|data)\b", README)
    ):
        assert crowdbench(command, "--help").returncode == 0, command
