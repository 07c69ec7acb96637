"""What works on this machine, what is missing, and how to get it."""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path
from typing import NamedTuple

from crowdbench import __version__
from crowdbench.datasets.manifest import data_root
from crowdbench.datasets.verify import list_splits
from crowdbench.environment import package_version
from crowdbench.errors import CrowdbenchError
from crowdbench.metrics.official import TOOLS, import_tool
from crowdbench.registry import load_predictor, predictor_names

_PACKAGES = {
    "numpy": "numpy",
    "msgspec": "msgspec",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "opencv-python-headless": "cv2",
    "safetensors": "safetensors",
    "torch": "torch",
}


class Finding(NamedTuple):
    """One thing that was examined.

    Attributes:
        what: its name.
        works: whether it can be used.
        detail: version or place; for what does not work, what to do.
    """

    what: str
    works: bool
    detail: str


def examine(root: Path | None) -> list[Finding]:
    """Return what works and what does not; imports everything, so it takes seconds.

    Args:
        root: folder of the data sets as the user gave it, or None.
    """
    findings = [
        Finding("crowdbench", True, __version__),
        Finding("python", True, f"{platform.python_version()} at {sys.executable}"),
    ]
    findings += [_package(name, module) for name, module in _PACKAGES.items()]
    findings.append(_accelerator())
    for tool in TOOLS:
        try:
            import_tool(tool)
            findings.append(Finding(f"--check {tool}", True, package_version(tool) or ""))
        except CrowdbenchError as error:
            findings.append(Finding(f"--check {tool}", False, str(error)))
    for name in predictor_names():
        try:
            card = load_predictor(name).card
            findings.append(Finding(f"predictor {name}", True, card.description))
        except CrowdbenchError as error:
            findings.append(Finding(f"predictor {name}", False, str(error)))
    folder = data_root(root)
    splits = list_splits(folder)
    present = [split.name for split in splits if split.path is not None]
    makeable = [split.name for split in splits if split.can_be_made and split.path is None]
    to_make = f"; made here when asked for: {', '.join(makeable)}" if makeable else ""
    findings.append(
        Finding(
            f"data in {folder}",
            bool(present),
            (
                ", ".join(present)
                or "no split found: `crowdbench data show NAME` says where to get each and put it"
            )
            + to_make,
        )
    )
    return findings


def _package(name: str, module: str) -> Finding:
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken binary raises anything
        return Finding(name, False, f"{error}: pip install {name}")
    return Finding(name, True, package_version(name) or "")


def _accelerator() -> Finding:
    try:
        import torch
    except Exception:
        return Finding("accelerator", False, "torch does not work")
    if torch.cuda.is_available():
        return Finding("accelerator", True, f"cuda: {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Finding("accelerator", True, "mps")
    return Finding("accelerator", True, f"none; cpu with {torch.get_num_threads()} threads")
