"""The problems that 2D scoring is measured on: one of COCO val2017's size, and CrowdPose val."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_DATA = Path(__file__).parents[3] / "shared" / "data"


class Problem(NamedTuple):
    """One benchmark problem."""

    name: str
    annotations: Path
    predictions: Path
    skeleton: str


def add_crowdpose_option(parser: argparse.ArgumentParser) -> None:
    """Let users say where CrowdPose val is."""
    parser.add_argument(
        "--crowdpose",
        nargs=2,
        type=Path,
        metavar=("ANNOTATIONS", "PREDICTIONS"),
        default=(
            _DATA / "crowdpose" / "crowdpose_val.json",
            _DATA / "predictions" / "crowdpose_val_A.json",
        ),
    )


@contextmanager
def made_problems(crowdpose: tuple[Path, Path]) -> Iterator[list[Problem]]:
    """Make the large problem in a temporary folder; CrowdPose val is left out where it is not."""
    with tempfile.TemporaryDirectory() as folder:
        # In another process: the peak memory of a child counts from that of its parent.
        generator = Path(__file__).with_name("problem.py")
        subprocess.run([sys.executable, generator, folder], check=True)
        paths = Path(folder) / "annotations.json", Path(folder) / "predictions.json"
        problems = [Problem("COCO-val-sized", *paths, "coco-17")]
        if all(path.is_file() for path in crowdpose):
            problems.append(Problem("crowdpose-val", *crowdpose, "crowdpose-14"))
        else:
            print("crowdpose-val left out: no such files", file=sys.stderr)
        yield problems
