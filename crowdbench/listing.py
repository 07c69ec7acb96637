"""The commands ``ls`` and ``data``: what there is and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crowdbench.errors import EXIT_FAILED
from crowdbench.options import Command, DataRoot, Export

data_app = typer.Typer(
    help="Data sets: what is there, what is missing, and making SynthCrowd.", no_args_is_help=True
)
ls_app = typer.Typer(
    help="List predictors, splits, metrics, conditions or runs.", no_args_is_help=True
)


@ls_app.command("predictors", cls=Command)
def ls_predictors(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Show one of them, with its options.", show_default=False
        ),
    ] = None,
) -> None:
    """List the predictors that --predictor takes, or show one."""
    from crowdbench.registry import load_predictor, predictor_names
    from crowdbench.terminal import print_card, print_table

    if name is not None:
        print_card(load_predictor(name).card)
        return
    cards = {name: load_predictor(name).card for name in predictor_names()}
    print_table(
        ("predictor", "keypoints", "boxes", "what it does"),
        [
            (
                name,
                ", ".join(card.skeletons) or "any",
                "of its base" if card.refines else "needed" if card.needs_boxes else "",
                card.description if name == card.name else f"short for {card.name}",
            )
            for name, card in cards.items()
        ],
    )


@ls_app.command("splits", cls=Command)
def ls_splits() -> None:
    """List the splits that --split takes."""
    from crowdbench.datasets.manifest import load_manifests
    from crowdbench.terminal import print_table

    print_table(
        ("split", "data set", "keypoints", "what it is"),
        [
            (split.name, manifest.title, manifest.skeleton, split.description)
            for manifest in load_manifests().values()
            for split in manifest.splits
        ],
    )


@ls_app.command("metrics", cls=Command)
def ls_metrics() -> None:
    """List the metrics in metrics.json."""
    from crowdbench.metrics.catalogue import METRICS
    from crowdbench.terminal import print_table

    print_table(
        ("metric", "better", "what it is", "by"),
        [
            (m.name, "higher" if m.higher_is_better else "lower", m.description, m.source)
            for m in METRICS.values()
        ],
    )


@ls_app.command("conditions", cls=Command)
def ls_conditions() -> None:
    """List the conditions that --conditions takes."""
    from crowdbench.conditions import CONDITIONS
    from crowdbench.terminal import print_table

    print_table(
        ("condition", "chooses", "by"),
        [(c.name, c.selects, c.axis) for c in CONDITIONS.values()],
    )


@ls_app.command("runs", cls=Command)
def ls_runs(
    folder: Annotated[Path, typer.Argument(help="Where the run folders are.")] = Path("runs"),
) -> None:
    """List the run folders below a folder."""
    from crowdbench.metrics.catalogue import main_metric
    from crowdbench.record import Run, find_runs
    from crowdbench.results import Metrics
    from crowdbench.terminal import number, print_table

    rows = []
    for found in find_runs(folder):
        facts = found.read(Run)
        metrics = found.read(Metrics).metrics if found.has(Metrics) else {}
        shown = ("", "not scored")
        if (main := main_metric(metrics)) in metrics:
            shown = (main, number(metrics[main].value, metrics[main].unit))
        rows.append((found.path.name, facts.predictor.name, facts.split.name, *shown))
    print_table(("run", "predictor", "split", "metric", "%"), rows)


@data_app.command("ls", cls=Command)
def data_ls(data_root: DataRoot = None) -> None:
    """List all splits and whether their files are there."""
    from crowdbench.datasets.manifest import data_root as resolve
    from crowdbench.datasets.verify import list_splits
    from crowdbench.terminal import print_splits

    root = resolve(data_root)
    print_splits(list_splits(root), root)


@data_app.command("show", cls=Command)
def data_show(name: Annotated[str, typer.Argument()], data_root: DataRoot = None) -> None:
    """Show a data set or split: files, counts, licence, citation, where to get it."""
    from crowdbench.datasets.manifest import data_root as resolve
    from crowdbench.datasets.verify import show
    from crowdbench.terminal import print_facts

    root = resolve(data_root)
    print_facts(show(name, root), root)


@data_app.command("verify", cls=Command)
def data_verify(name: Annotated[str, typer.Argument()], data_root: DataRoot = None) -> None:
    """Read the files of a data set or split and compare the counts with the known ones."""
    from crowdbench.datasets.manifest import data_root as resolve
    from crowdbench.datasets.verify import verify
    from crowdbench.terminal import print_verification

    checks = verify(name, resolve(data_root))
    print_verification(checks)
    if any(check.passes is False for check in checks):
        raise typer.Exit(EXIT_FAILED)


@data_app.command("make", cls=Command)
def data_make(
    name: Annotated[str, typer.Argument()], export: Export = None, data_root: DataRoot = None
) -> None:
    """Make a data set that is rendered here: images, annotations, detector boxes.

    \b
    crowdbench data make synthcrowd           # val and test
    crowdbench data make synthcrowd-train     # 20,000 images
    crowdbench data make synthcrowd-test --export folder

    What was interrupted goes on; what is there stays as it is.
    """
    from crowdbench.datasets.manifest import data_root as resolve
    from crowdbench.datasets.synthcrowd.making import make_split, splits_to_make
    from crowdbench.running.progress import Progress
    from crowdbench.terminal import print_made

    manifest, splits = splits_to_make(name)
    folder = resolve(data_root) / manifest.folders[0] if export is None else export
    for split in splits:
        with Progress(quiet=False) as progress:
            made = make_split(manifest, split, folder, progress)
        print_made(split.name, made)
