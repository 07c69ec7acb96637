"""Networks with the reference's deterministic weights."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from predictors.networks import create
from predictors.networks.deformable import regular_taps


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


def reference(shared: Path, name: str) -> dict[str, Any]:
    """Return a JSON file of the reference, called without its suffix."""
    content: dict[str, Any] = json.loads((shared / "reference" / f"{name}.json").read_text())
    return content


def entries_of(network: nn.Module) -> list[list[Any]]:
    """Return names, shapes and types as the reference files list them."""
    return [
        [name, list(tensor.shape), str(tensor.dtype).removeprefix("torch.")]
        for name, tensor in network.state_dict().items()
    ]


def error(output: torch.Tensor, golden: dict[str, Any]) -> float:
    """Return the largest difference of an output's statistics and samples from the reference's.

    The files of bottom-up methods call the samples otherwise, and give no type: it is float64.
    """
    values = output.numpy()
    prefix = "sample_" if "sample_values" in golden else ""
    samples = golden[f"{prefix}values"]
    assert list(values.shape) == golden["shape"]
    assert str(values.dtype) == golden.get("dtype", "float64")
    assert len(samples) == min(64, values.size)
    found = [values.mean(), values.std(), values.min(), values.max()]
    found += values.reshape(-1)[golden[f"{prefix}indices"]].tolist()
    wanted = [golden[name] for name in ("mean", "std", "min", "max")] + samples
    return float(np.abs(np.subtract(found, wanted)).max())


def restore_taps(network: nn.Module) -> None:
    """Give DEKR's blocks the regular taps, which the reference's weights overwrite."""
    for name, buffer in network.named_buffers():
        if name.endswith("regular_matrix"):
            buffer.copy_(regular_taps())


def lively(network: nn.Module) -> Any:
    """Return the network for evaluation, with batch-norms that keep the signal from dying out."""
    network.eval()
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.05, 0.1)
            nn.init.normal_(module.bias, 0, 0.5)
    return network
