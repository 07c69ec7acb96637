"""``python -m predictors.training RECIPE`` trains a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crowdbench.datasets.manifest import data_root
from crowdbench.errors import MissingError, UsageError
from crowdbench.options import Command, DataRoot, run_app

if TYPE_CHECKING:
    from predictors.training.recipe import Recipe
    from predictors.training.stream import Examples

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(cls=Command)
def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="See docs/training.md.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="Folder. [default: runs/training/RECIPE]", show_default=False
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that make samples, besides this one.")
    ] = 1,
    precision: Annotated[
        str,
        typer.Option(
            "--precision", help="Of the network's layers: fp32, or bf16 where it is fast."
        ),
    ] = "fp32",
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs",
            help="Passes over the images; the learning rate falls in proportion. "
            "[default: the recipe's]",
            show_default=False,
        ),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option("--start-from", help="File of the first weights, instead of the recipe's."),
    ] = None,
    poses: Annotated[
        Path | None,
        typer.Option(
            "--poses",
            help="For recipes that refine poses: results file of an estimator on the split that "
            "is learned from.",
            show_default=False,
        ),
    ] = None,
    held_out_poses: Annotated[
        Path | None,
        typer.Option(
            "--held-out-poses", help="The same of the held-out split.", show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training in the folder.")
    ] = False,
    data_root_option: DataRoot = None,
) -> None:
    """Train a network by a recipe.

    \b
    python -m predictors.training mipnet-tiny
    python -m predictors.training mipnet-hrnet-w32-256x192 --device cuda --workers 8
    python -m predictors.training pi-net-synthcrowd --poses train.json --held-out-poses val.json
    """
    from predictors.training.recipes import find_recipe

    chosen = find_recipe(recipe)
    if epochs is not None:
        if not 0 < epochs < float("inf"):
            raise UsageError(f"--epochs is {epochs:g}, expected a positive number")
        factor = epochs / chosen.epochs
        chosen = replace(chosen, epochs=epochs, falls=tuple(fall * factor for fall in chosen.falls))
    if precision not in ("fp32", "bf16"):
        raise UsageError(f"--precision is {precision!r}, expected fp32 or bf16")
    # Imported here: they bring torch.
    from predictors.training.loop import Pace, train
    from predictors.training.start import begin_network, first_weights

    root = data_root(data_root_option)
    source, held_out = _find_examples(chosen, root, poses, held_out_poses)
    weights = first_weights(chosen, source.skeleton.name, start_from)
    network = begin_network(chosen, len(source.skeleton), weights, typer.echo)
    folder = output or Path("runs/training") / chosen.name
    pace = Pace(_find_device(device), precision, workers)
    digest = train(chosen, network, source, held_out, folder, pace, typer.echo, resume=resume)
    typer.echo(f"weights: {folder / digest.name} ({digest.size:,} bytes, sha256 {digest.sha256})")


def _find_examples(
    recipe: Recipe, root: Path, poses: Path | None, held_out_poses: Path | None
) -> tuple[Examples, Examples]:
    """Return what a recipe learns from and what is looked at meanwhile."""
    from predictors.training.examples import find_source
    from predictors.training.pose_recipes import PoseRecipe
    from predictors.training.pose_scenes import find_scenes
    from predictors.training.space_recipes import SpaceRecipe

    if isinstance(recipe, PoseRecipe):
        if poses is None or held_out_poses is None:
            missing = "--poses" if poses is None else "--held-out-poses"
            split = recipe.data if poses is None else recipe.held_out
            raise UsageError(
                f"{recipe.name} refines poses: give {missing} FILE, e.g. the predictions.json of "
                f"crowdbench run --predictor 3dmppe-tiny --split {split}"
            )
        return (
            find_scenes(recipe.data, root, poses),
            find_scenes(recipe.held_out, root, held_out_poses),
        )
    for option, file in (("--poses", poses), ("--held-out-poses", held_out_poses)):
        if file is not None:
            raise UsageError(f"{option} is {file}, but {recipe.name} learns from images alone")
    in_space = isinstance(recipe, SpaceRecipe)
    return (
        find_source(recipe.data, root, recipe.boxes, in_space=in_space),
        find_source(recipe.held_out, root, recipe.boxes, in_space=in_space),
    )


def _find_device(name: str) -> str:
    """Return the device of that name; ``auto`` is a GPU if there is one."""
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device is {name!r}, expected auto, cpu or cuda")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise MissingError("--device cuda: PyTorch finds no GPU here")
    return name if name != "auto" else "cuda" if found else "cpu"


def main() -> None:
    """Run the command and exit with its code; errors end in one line, not in a traceback."""
    run_app(app, "training", "interrupted; --resume goes on from the last checkpoint")


if __name__ == "__main__":
    main()
