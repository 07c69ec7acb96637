"""Networks with the reference's deterministic weights, saved as official checkpoints are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import torch

from predictors.networks import create


def load_fill(shared: Path) -> ModuleType:
    """Return the reference's module ``fill``."""
    spec = importlib.util.spec_from_file_location("fill", shared / "reference/fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_checkpoint(shared: Path, folder: Path, variant: str, num_joints: int = 17) -> Path:
    """Write a checkpoint of a network that tells images and persons apart; return its path."""
    network = load_fill(shared).fill(create(variant, num_joints=num_joints)).float()
    path = folder / f"{variant}-{num_joints}.pth"
    torch.save(network.state_dict(), path)
    return path
