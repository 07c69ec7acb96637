"""Fixtures that all tests share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.command import EXAMPLE, Crowdbench

ROOT = Path(__file__).parents[1]

# Of several processes that test at once, each has a processor: threads that wait for each other on
# the same ones make small networks many times slower. Before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Hypothesis draws the same examples on every run of a CI machine.
settings.register_profile(
    "here",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the reference data, which lies beside the project; a user's clone has none.

    With ``CROWDBENCH_REQUIRE_REFERENCE=1`` its absence is a failure instead of a skip.
    """
    folder = ROOT.parent / "shared"
    if not (folder / "reference").is_dir():
        if os.environ.get("CROWDBENCH_REQUIRE_REFERENCE") == "1":
            pytest.fail("the reference data are required here and absent")
        pytest.skip("needs the reference data in ../shared, which a clone does not have")
    return folder


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
