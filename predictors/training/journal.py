"""What a training leaves in its folder: log, curve, weights, and the recipe with their digest."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
import yaml
from torch import nn

from crowdbench import __version__
from crowdbench.files import FileDigest, digest_of_file, write_atomically, write_text
from predictors.training.recipe import Recipe

LOG = "log.csv"
CURVE = "curve.png"
WEIGHTS = "weights.safetensors"
RECIPE = "recipe.yaml"


class Row(NamedTuple):
    """A line of the log.

    Attributes:
        step: how many steps were made.
        images: how many images they took.
        epoch: the same, in passes over all images.
        learning_rate: of the last step.
        loss: mean since the line before.
        accuracy: share of joints found in the last batch.
        held_out_loss: of the held-out images after the step, or None where they were not looked at.
        held_out_accuracy: likewise.
        samples_per_second: since the line before; crops, or what else a sample is.
    """

    step: int
    images: int
    epoch: float
    learning_rate: float
    loss: float
    accuracy: float
    held_out_loss: float | None
    held_out_accuracy: float | None
    samples_per_second: float


def write_log(folder: Path, rows: list[Row]) -> None:
    """Write `rows` as log.csv; numbers with six digits, empty where there is none."""
    lines = [",".join(Row._fields)]
    lines += [",".join("" if value is None else _number(value) for value in row) for row in rows]
    write_text(folder / LOG, "\n".join(lines) + "\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def draw_curve(folder: Path, rows: list[Row], recipe: Recipe) -> None:
    """Draw loss and accuracy over the epochs as curve.png."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    losses, accuracies = figure.subplots(1, 2)
    held_out = [row for row in rows if row.held_out_loss is not None]
    for axes, name in ((losses, "loss"), (accuracies, "accuracy")):
        for part, prefix, label, style in (
            (rows, "", recipe.data, {"linewidth": 1, "alpha": 0.6}),
            (held_out, "held_out_", f"{recipe.held_out}, held out", {"marker": "o", "ms": 3}),
        ):
            values = [getattr(row, prefix + name) for row in part]
            axes.plot([row.epoch for row in part], values, label=label, **style)
        for fall in recipe.falls:
            if rows and fall <= rows[-1].epoch:
                axes.axvline(fall, color="grey", linewidth=0.8, linestyle=":")
        axes.set_xlabel("epochs")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    losses.set_yscale("log")
    accuracies.set_ylim(0, 1)
    losses.legend()
    figure.suptitle(recipe.name)
    write_atomically(folder / CURVE, lambda file: figure.savefig(file, format="png", dpi=120))


def write_weights(
    folder: Path, network: nn.Module, recipe: Recipe, row: Row, facts: dict[str, Any]
) -> FileDigest:
    """Write the weights and the recipe that made them; return the weights' digest.

    Args:
        folder: of the training.
        network: on any device.
        recipe: what decided the result; it says in which type weights are written.
        row: the last line of the log.
        facts: what else a reader should know, e.g. the number of parameters.
    """
    said = {
        "recipe": _plain(asdict(recipe)),
        "steps": row.step,
        "images": row.images,
        **facts,
        "crowdbench": __version__,
    }
    stored = torch.float16 if recipe.stored == "float16" else torch.float32
    tensors = {
        name: (value.to(stored) if value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    # One entry: several would be written in any order, and the digest would differ each time.
    content = safetensors.torch.save(tensors, {"training": json.dumps(said, sort_keys=True)})
    write_atomically(folder / WEIGHTS, lambda file: file.write(content))
    digest = digest_of_file(folder / WEIGHTS)
    said["held_out_loss"], said["held_out_accuracy"] = row.held_out_loss, row.held_out_accuracy
    said["weights"] = {"file": digest.name, "sha256": digest.sha256, "bytes": digest.size}
    write_text(folder / RECIPE, yaml.safe_dump(said, sort_keys=False))
    return digest


def _plain(value: Any) -> Any:
    """Return a value with lists for tuples, as JSON and YAML have them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
