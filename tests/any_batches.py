"""Whole runs that must not depend on how their work is cut into batches."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crowdbench.record import RunFolder
from crowdbench.running.steps import Job, run_job
from tests.command import contents


def run_in_any_batches(job: Job, folder: Path) -> RunFolder:
    """Run a job in small batches, and in one with workers; return the folder of the second run.

    All that they write must be equal, but for what may differ between equal runs.
    """
    found: list[dict[str, bytes]] = []
    for i, size in enumerate(("1", "64")):
        asked = msgspec.structs.replace(
            job, output=folder / f"r{i}", batch_size=size, workers=str(2 * i)
        )
        run, _ = run_job(asked)
        content = contents(run.path)
        content.pop("environment.json")
        found.append(content)
    assert found[0] == found[1]
    return run
