"""Running the command as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[1] / "example"
Crowdbench = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def crowdbench(tmp_path: Path) -> Crowdbench:
    """Run ``crowdbench ARGUMENTS`` in an empty folder; return the finished process."""

    def run(
        *arguments: str | Path, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != "CROWDBENCH_DATA"}
        return subprocess.run(
            [sys.executable, "-m", "crowdbench", *map(str, arguments)],
            cwd=tmp_path,
            env=environment | {"COLUMNS": "200"} | (env or {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture
def example() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Annotations and predictions of the small example, to be changed at will."""
    return (
        json.loads((EXAMPLE / "annotations.json").read_text()),
        json.loads((EXAMPLE / "predictions.json").read_text()),
    )


def replay(annotations: Path, predictions: Path, *more: str | Path) -> list[str | Path]:
    """Return the arguments that score `predictions` on a COCO-style annotation file."""
    return [
        "run", "--predictor", "replay", "--predictions", predictions,
        "--annotations", annotations, "--skeleton", "coco-17", *more,
    ]  # fmt: skip
