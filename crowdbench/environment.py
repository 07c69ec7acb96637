"""Where a run was made: machine, versions, state of the code."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crowdbench import __version__
from crowdbench.datasets.split import Split
from crowdbench.record import Environment, Speed

# Packages whose version can move a number.
_PACKAGES = ("numpy", "scipy", "msgspec", "torch", "opencv-python-headless")


def describe_environment(
    split: Split,
    data_root: Path,
    started: datetime,
    seconds: dict[str, float],
    speed: Speed,
) -> Environment:
    """Return the facts that may differ between equal runs.

    Args:
        split: what was read.
        data_root: the folder of the data sets.
        started: when the run began, UTC.
        seconds: duration of each step.
        speed: of the predictor.
    """
    return Environment(
        crowdbench=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: found for name in _PACKAGES if (found := package_version(name))},
        git=_git_state(),
        annotations=str(split.path.resolve()),
        data_root=str(data_root.resolve()),
        images=None if split.images.folder is None else str(split.images.folder.resolve()),
        started=started.isoformat(timespec="seconds"),
        seconds={step: round(duration, 3) for step, duration in seconds.items()},
        speed=speed,
    )


def now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)


def package_version(name: str) -> str | None:
    """Return the installed version of a package without importing it, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_state() -> dict[str, str | bool] | None:
    if not any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents)):
        return None
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.stdout.strip(), "clean": not status.stdout.strip()}
