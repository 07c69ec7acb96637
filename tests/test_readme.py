"""What the README shows is what the project does."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.command import EXAMPLE, Crowdbench

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


def test_the_demos_figures_are_those_of_the_shipped_weights() -> None:
    """The figures on the card are those of the whole split; CI runs a part of it."""
    card = yaml.safe_load((ROOT / "predictors/weights/mipnet-tiny.yaml").read_text())
    (shown,) = re.findall(r"```\n(metric .*?)```", README, re.DOTALL)
    lines = {line.split()[0]: line.split()[1:] for line in shown.partition("AP by")[0].splitlines()}
    scores = card["scores"]["gt"]
    assert {"AP", "AP50", "AP75", "AR", "AP_easy", "AP_medium", "AP_hard"} <= lines.keys()
    for name, value in scores.items():
        assert lines[name][0] == f"{100 * value:.2f}", name


def test_the_figures_with_detected_boxes_are_those_of_the_shipped_weights() -> None:
    for name in ("hrnet-tiny", "mipnet-tiny", "i2r-net-tiny"):
        card = yaml.safe_load((ROOT / f"predictors/weights/{name}.yaml").read_text())
        (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", README, re.MULTILINE)
        figures = [card["scores"]["gt"]["AP"], *card["scores"]["detected"].values()]
        assert row.split(" | ") == [f"{100 * value:.1f}" for value in figures]


def test_the_figures_without_boxes_are_those_of_the_shipped_weights() -> None:
    for name in ("pinet-tiny", "dekr-tiny", "grm-tiny"):
        card = yaml.safe_load((ROOT / f"predictors/weights/{name}.yaml").read_text())
        (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", README, re.MULTILINE)
        scores = card["scores"]["without boxes"]
        figures = [scores[f"AP{part}"] for part in ("", "_easy", "_medium", "_hard")]
        assert row.split(" | ")[:4] == [f"{100 * value:.1f}" for value in figures]


def test_every_linked_page_and_command_exists(crowdbench: Crowdbench) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for command in set(
        re.findall(
            r"crowdbench (run|score|predict|report|compare|ablate|gate|baseline|doctor|ls|data)\b",
            README,
        )
    ):
        assert crowdbench(command, "--help").returncode == 0, command
