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


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, by its path there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
