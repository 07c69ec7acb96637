"""The command ``crowdbench``: parses, calls, prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from typer.core import TyperCommand

from crowdbench import __version__
from crowdbench.errors import EXIT_FAILED, CrowdbenchError

if TYPE_CHECKING:
    from crowdbench.conditions.settings import ConditionSettings
    from crowdbench.record import Metrics
    from crowdbench.running.steps import Job


class _Command(TyperCommand):
    def get_help(self, ctx: click.Context) -> str:
        # Typer escapes brackets for rich even where, as here, rich does not print the help.
        return super().get_help(ctx).replace("\\[", "[")


app = typer.Typer(
    name="crowdbench",
    help="Benchmark human-pose estimators where people crowd and cover each other.",
    no_args_is_help=True,
    add_completion=False,
    suggest_commands=False,  # click suggests already
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Data sets: what is there and what is missing.", no_args_is_help=True)
ls_app = typer.Typer(
    help="List predictors, splits, metrics, conditions or runs.", no_args_is_help=True
)
app.add_typer(data_app, name="data")
app.add_typer(ls_app, name="ls")

DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        help="Folder of the data sets. [default: $CROWDBENCH_DATA, then ./data]",
        show_default=False,
    ),
]
PredictorName = Annotated[
    str, typer.Option("--predictor", help="See `crowdbench ls predictors`.", show_default=False)
]
SplitName = Annotated[
    str | None, typer.Option("--split", help="See `crowdbench ls splits`.", show_default=False)
]
Predictions = Annotated[
    Path | None,
    typer.Option(
        "--predictions", help="Results file for the predictor `replay`: COCO results JSON."
    ),
]
OwnAnnotations = Annotated[
    Path | None,
    typer.Option("--annotations", help="Your own COCO-format annotations, instead of --split."),
]
SkeletonName = Annotated[
    str | None,
    typer.Option("--skeleton", help="Keypoints of --annotations: a name or a YAML file."),
]
BoxSource = Annotated[
    str | None,
    typer.Option("--boxes", help="Person boxes: gt, a known box file's name, or a detector file."),
]
Limit = Annotated[int | None, typer.Option("--limit", help="Only the first N images by id.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", help="Run folder. [default: runs/PREDICTOR@SPLIT]", show_default=False
    ),
]
UnknownImages = Annotated[
    str,
    typer.Option("--unknown-images", help="Predictions for unknown images: error or ignore."),
]
Conditions = Annotated[
    str | None,
    typer.Option(
        "--conditions",
        help="Names with commas, all or none; see `crowdbench ls conditions`. [default: all]",
        show_default=False,
    ),
]
Thresholds = Annotated[
    str | None,
    typer.Option(
        "--thresholds",
        help="Of detector-confidence, with commas. [default: 0,0.1,...,0.9]",
        show_default=False,
    ),
]
Bins = Annotated[
    list[str] | None,
    typer.Option(
        "--bins",
        metavar="CONDITION=EDGES",
        help="Other bins, e.g. person-iou=0,0.5,1 (inf: no limit); may be repeated.",
        show_default=False,
    ),
]
IouAmong = Annotated[
    str, typer.Option("--iou-among", help="Whose boxes count in IoU: annotated or evaluated.")
]
ImageFolder = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of the image files, where it is not a usual place."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print metrics.json instead of the table.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.", show_default=False)]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    if version:
        typer.echo(f"crowdbench {__version__}")
        raise typer.Exit
    if debug:
        os.environ["CROWDBENCH_DEBUG"] = "1"


@app.command(cls=_Command)
def run(
    predictor: PredictorName,
    split: SplitName = None,
    predictions: Predictions = None,
    annotations: OwnAnnotations = None,
    skeleton: SkeletonName = None,
    images: ImageFolder = None,
    boxes: BoxSource = None,
    data_root: DataRoot = None,
    limit: Limit = None,
    output: Output = None,
    unknown_images: UnknownImages = "error",
    conditions: Conditions = None,
    thresholds: Thresholds = None,
    bins: Bins = None,
    iou_among: IouAmong = "annotated",
    overwrite: Overwrite = False,
    report: Annotated[bool, typer.Option(help="Write the report.")] = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Predict, score and report.

    \b
    crowdbench run --predictor replay --predictions poses.json --split crowdpose-val
    crowdbench run --predictor replay --predictions poses.json \\
        --annotations my.json --skeleton coco-17
    """
    asked = locals()
    from crowdbench.running.steps import run_job

    folder, metrics = run_job(_job(asked))
    if report:
        from reports.writing import write_report

        path = write_report(folder)
    _print_metrics(folder.path, metrics, as_json, quiet)
    if report and not (as_json or quiet):
        typer.echo(f"report: {path}")


@app.command(cls=_Command)
def predict(
    predictor: PredictorName,
    split: SplitName = None,
    predictions: Predictions = None,
    annotations: OwnAnnotations = None,
    skeleton: SkeletonName = None,
    images: ImageFolder = None,
    boxes: BoxSource = None,
    data_root: DataRoot = None,
    limit: Limit = None,
    output: Output = None,
    unknown_images: UnknownImages = "error",
    conditions: Conditions = None,
    thresholds: Thresholds = None,
    bins: Bins = None,
    iou_among: IouAmong = "annotated",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Run a predictor and keep its candidates."""
    asked = locals()
    from crowdbench.running.steps import predict_job

    prepared, candidates = predict_job(_job(asked))
    if not quiet:
        _print_notes(prepared.run.notes)
        typer.echo(f"{len(candidates.poses):,} candidates in {prepared.folder.path}")


@app.command(cls=_Command)
def score(
    run: RunPath,
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            help="Also run pycocotools, xtcocotools or faster-coco-eval and compare.",
        ),
    ] = None,
    data_root: DataRoot = None,
    conditions: Conditions = None,
    thresholds: Thresholds = None,
    bins: Bins = None,
    iou_among: IouAmong = "annotated",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compute the metrics of a run, without the model.

    Without options for conditions it evaluates those that the run was asked for.
    """
    asked = locals()
    from crowdbench.metrics.official import import_tool
    from crowdbench.running.steps import check_run, score_run

    if check:
        import_tool(check)  # a tool that is missing is said before any work is done
    folder, metrics = score_run(run, data_root, _conditions(asked))
    _print_metrics(folder.path, metrics, as_json, quiet)
    if check:
        from crowdbench.terminal import print_check

        result = check_run(folder, check, data_root)
        if not quiet:
            print_check(result, to_stderr=as_json)
        if not result.agrees:
            raise typer.Exit(EXIT_FAILED)


@app.command(cls=_Command)
def report(run: RunPath, quiet: Quiet = False) -> None:
    """Write the report of a scored run."""
    from crowdbench.record import RunFolder
    from reports.writing import write_report

    path = write_report(RunFolder(run))
    if not quiet:
        typer.echo(f"report: {path}")


@app.command(cls=_Command)
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN [RUN...]",
            help="Folders of scored runs; differences are to the first.",
            show_default=False,
        ),
    ],
    allow_mixed: Annotated[
        bool,
        typer.Option(
            "--allow-mixed",
            help="Compare runs with other boxes, scores, merging or images, and mark them.",
        ),
    ] = False,
    output: Annotated[Path, typer.Option("--output", help="Folder of the comparison.")] = Path(
        "runs/comparison"
    ),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print comparison.json instead of the tables.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Set runs of one split side by side: tables, plots and a page.

    \b
    crowdbench compare runs/mipnet@ochuman-test runs/hrnet@ochuman-test
    """
    from reports.side_by_side import compare_runs
    from reports.side_by_side_tables import print_comparison
    from reports.side_by_side_wording import noticed_lines
    from reports.side_by_side_writing import RECORD, write_comparison

    comparison = compare_runs(runs, allow_mixed)
    path = write_comparison(comparison, output)
    if as_json:
        typer.echo((output / RECORD).read_text(encoding="utf-8"), nl=False)
    elif not quiet:
        _print_notes((*comparison.notes, *noticed_lines(comparison.runs)))
        print_comparison(comparison, path)


@app.command(cls=_Command)
def doctor(data_root: DataRoot = None) -> None:
    """Tell what works here and what is missing."""
    from crowdbench.doctor import examine
    from crowdbench.terminal import print_doctor

    print_doctor(examine(data_root))


@app.command(cls=_Command)
def schema(
    file: Annotated[
        str,
        typer.Argument(help="metrics, run, environment, worst_images or comparison."),
    ] = "metrics",
) -> None:
    """Print the JSON Schema of a file that crowdbench writes."""
    import json

    from crowdbench.errors import UnknownNameError
    from crowdbench.record import SCHEMAS, json_schema
    from reports.side_by_side import Comparison

    kinds = {**SCHEMAS, "comparison": Comparison}
    if file not in kinds:
        raise UnknownNameError("record file", file, kinds)
    typer.echo(json.dumps(json_schema(kinds[file], f"{file}.json"), indent=2))


@ls_app.command("predictors", cls=_Command)
def ls_predictors() -> None:
    """List the predictors that --predictor takes."""
    from crowdbench.predictor import load_predictor, predictor_names
    from crowdbench.terminal import print_table

    cards = [load_predictor(name).card for name in predictor_names()]
    print_table(
        ("predictor", "keypoints", "boxes", "what it does"),
        [
            (
                card.name,
                ", ".join(card.skeletons) or "any",
                "needed" if card.needs_boxes else "",
                card.description,
            )
            for card in cards
        ],
    )


@ls_app.command("splits", cls=_Command)
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


@ls_app.command("metrics", cls=_Command)
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


@ls_app.command("conditions", cls=_Command)
def ls_conditions() -> None:
    """List the conditions that --conditions takes."""
    from crowdbench.conditions import CONDITIONS
    from crowdbench.terminal import print_table

    print_table(
        ("condition", "chooses", "by"),
        [(c.name, c.selects, c.axis) for c in CONDITIONS.values()],
    )


@ls_app.command("runs", cls=_Command)
def ls_runs(
    folder: Annotated[Path, typer.Argument(help="Where the run folders are.")] = Path("runs"),
) -> None:
    """List the run folders below a folder."""
    from crowdbench.record import Metrics, Run, find_runs
    from crowdbench.terminal import percent, print_table

    rows = []
    for found in find_runs(folder):
        facts = found.read(Run)
        scored = found.read(Metrics).metrics.get("AP") if found.has(Metrics) else None
        ap = percent(scored.value) if scored else "not scored"
        rows.append((found.path.name, facts.predictor.name, facts.split.name, ap))
    print_table(("run", "predictor", "split", "AP %"), rows)


@data_app.command("ls", cls=_Command)
def data_ls(data_root: DataRoot = None) -> None:
    """List all splits and whether their files are there."""
    from crowdbench.datasets.manifest import data_root as resolve
    from crowdbench.datasets.verify import list_splits
    from crowdbench.terminal import print_splits

    root = resolve(data_root)
    print_splits(list_splits(root), root)


@data_app.command("show", cls=_Command)
def data_show(name: Annotated[str, typer.Argument()], data_root: DataRoot = None) -> None:
    """Show a data set or split: files, counts, licence, citation, where to get it."""
    from crowdbench.datasets.manifest import data_root as resolve
    from crowdbench.datasets.verify import show
    from crowdbench.terminal import print_facts

    root = resolve(data_root)
    print_facts(show(name, root), root)


@data_app.command("verify", cls=_Command)
def data_verify(name: Annotated[str, typer.Argument()], data_root: DataRoot = None) -> None:
    """Read the files of a data set or split and compare the counts with the known ones."""
    from crowdbench.datasets.manifest import data_root as resolve
    from crowdbench.datasets.verify import verify
    from crowdbench.terminal import print_verification

    checks = verify(name, resolve(data_root))
    print_verification(checks)
    if any(check.passes is False for check in checks):
        raise typer.Exit(EXIT_FAILED)


def _job(asked: dict[str, Any]) -> Job:
    """Return what `run` or `predict` was asked, from the options that both have."""
    from crowdbench.conditions.settings import ConditionSettings
    from crowdbench.running.steps import Job

    conditions = _conditions(asked) or ConditionSettings()
    return Job(
        conditions=conditions,
        **{name: asked[name] for name in Job.__struct_fields__ if name != "conditions"},
    )


def _conditions(asked: dict[str, Any]) -> ConditionSettings | None:
    """Return the settings that the options for conditions ask for; None when none is given."""
    from crowdbench.conditions.settings import parse_settings

    names, thresholds, bins = (asked[name] for name in ("conditions", "thresholds", "bins"))
    if names is None and thresholds is None and not bins and asked["iou_among"] == "annotated":
        return None
    return parse_settings(names, thresholds, bins or (), asked["iou_among"])


def _print_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def _print_metrics(path: Path, metrics: Metrics, as_json: bool, quiet: bool) -> None:
    from crowdbench.terminal import print_metrics

    if as_json:
        typer.echo((path / "metrics.json").read_text(), nl=False)
    elif not quiet:
        _print_notes(metrics.notes)
        print_metrics(metrics, path)


def main() -> None:
    """Run the command and exit with its code; errors end in one line, not in a traceback."""
    try:
        code = app(standalone_mode=False)
    except CrowdbenchError as error:
        if os.environ.get("CROWDBENCH_DEBUG"):
            raise
        typer.echo(f"crowdbench: {error}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        typer.echo("crowdbench: interrupted; the same command goes on where it stopped", err=True)
        code = 130
    except BrokenPipeError:
        # The reader (`| head`) has gone; not an error. Keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    sys.exit(code)
