"""The commands ``gate`` and ``baseline``: does a run keep the rules, and against what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from crowdbench.gate import RESAMPLES
from crowdbench.options import Command, Quiet, RunPath

baseline_app = typer.Typer(
    help="Baselines: files to commit that `crowdbench gate` compares runs with.",
    no_args_is_help=True,
)
BaselineFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="Baseline file.", show_default=False)
]


def gate(
    run: RunPath,
    baseline: Annotated[
        Path,
        typer.Option(
            "--baseline",
            help="File of `crowdbench baseline save`, or a run folder.",
            show_default=False,
        ),
    ],
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            help="E.g. 'AP: drop <= 0.5' or 'AP@crowd-level=hard: >= 0.6'; may be repeated. "
            "[default: [tool.crowdbench.gate] of pyproject.toml]",
            show_default=False,
        ),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="YAML file of rules.", show_default=False)
    ] = None,
    undecided: Annotated[
        str | None,
        typer.Option(
            "--undecided",
            help="What a rule counts as that noise leaves open: pass or fail. [default: pass]",
            show_default=False,
        ),
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option("--bootstrap", min=100, max=20_000, help="Resamples for the intervals."),
    ] = RESAMPLES,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write the result as Markdown.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the result as JUnit XML.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON instead of the table.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Judge a run by rules, against a baseline and beyond noise.

    \b
    crowdbench gate runs/mine@ochuman-val --baseline baseline.json \\
        --rule 'AP: drop <= 0.5' --rule 'AP@detector-confidence=0.9: drop <= 1'

    Exit code: 0 pass, 1 fail, 2 wrong use, 3 cannot judge.
    """
    import json

    from crowdbench.gate import documents
    from crowdbench.gate.judging import judge
    from crowdbench.gate.settings import gather_settings
    from crowdbench.terminal import print_table

    settings = gather_settings(rule or (), rules, undecided, Path())
    judgement = judge(run, baseline, settings, bootstrap)
    if markdown is not None:
        documents.write_markdown(markdown, judgement)
    if junit is not None:
        documents.write_junit(junit, judgement)
    on_github = os.environ.get("GITHUB_ACTIONS") == "true"
    if on_github and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
        documents.append_markdown(Path(summary), judgement)
    if as_json:
        typer.echo(json.dumps(judgement.as_json(), indent=2))
    elif not quiet:
        rows = [documents.cells(judgement, finding) for finding in judgement.findings]
        print_table(documents.HEADER, rows, documents.NUMBER_COLUMNS)
        for line in documents.remarks(judgement):
            typer.echo(line)
        typer.echo(judgement.sentence)
    if on_github:
        for line in documents.github_commands(judgement):
            typer.echo(line, err=as_json or quiet)
    raise typer.Exit(judgement.exit_code)


@baseline_app.command("save", cls=Command)
def baseline_save(run: RunPath, file: BaselineFile, quiet: Quiet = False) -> None:
    """Write the baseline file of a run."""
    from crowdbench.gate.baseline import save_baseline

    save_baseline(run, file)
    if not quiet:
        typer.echo(f"baseline: {file}, {file.stat().st_size:,} bytes")


@baseline_app.command("show", cls=Command)
def baseline_show(file: BaselineFile) -> None:
    """Show the numbers of a baseline file and what they were made from."""
    from crowdbench.gate.baseline import read_scored
    from crowdbench.gate.show import print_baseline

    print_baseline(read_scored(file), file.stat().st_size)


@baseline_app.command("update", cls=Command)
def baseline_update(run: RunPath, file: BaselineFile, quiet: Quiet = False) -> None:
    """Say what changes when a run becomes the baseline, and replace the file."""
    from crowdbench.gate.update import find_changes, print_update, write_update

    update = find_changes(run, file)
    if update.is_same:
        if not quiet:
            typer.echo(f"baseline: {file} stays as it is: it is of this run")
        return
    if not quiet:
        print_update(update)
    write_update(file, update)
    if not quiet:
        typer.echo(f"baseline: {file}, {file.stat().st_size:,} bytes")
