"""Networks with the reference's deterministic weights."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from predictors.networks import create


@cache
def filler(shared: Path) -> ModuleType:
    """Return the reference's fill.py."""
    spec = importlib.util.spec_from_file_location("fill", shared / "reference/fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_meta(variant: str, **overrides: Any) -> nn.Module:
    """Return a network that has shapes only."""
    with torch.device("meta"):
        return create(variant, **overrides)


def filled(shared: Path, variant: str, **overrides: Any) -> nn.Module:
    """Return a float64 network with the reference's weights."""
    # Its values are overwritten, so that none need be drawn.
    network: nn.Module = filler(shared).fill(on_meta(variant, **overrides).to_empty(device="cpu"))
    return network


def write_checkpoint(shared: Path, folder: Path, variant: str, num_joints: int = 17) -> Path:
    """Write a checkpoint of a network that tells images and persons apart; return its path."""
    path = folder / f"{variant}-{num_joints}.pth"
    torch.save(filled(shared, variant, num_joints=num_joints).float().state_dict(), path)
    return path
