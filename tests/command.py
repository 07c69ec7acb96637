"""What tests of the command share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

EXAMPLE = Path(__file__).with_name("example")
Crowdbench = Callable[..., "subprocess.CompletedProcess[str]"]


def replay(
    annotations: Path,
    predictions: Path,
    *more: str | Path,
    command: str = "run",
    report: bool = False,
) -> list[str | Path]:
    """Return the arguments that score `predictions` on a COCO-style annotation file.

    Without a report unless asked for: its plots take seconds.
    """
    arguments: list[str | Path] = [
        command, "--predictor", "replay", "--predictions", predictions,
        "--annotations", annotations, "--skeleton", "coco-17", *more,
    ]  # fmt: skip
    return arguments if report or command != "run" else [*arguments, "--no-report"]
