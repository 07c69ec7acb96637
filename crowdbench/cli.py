"""The command ``crowdbench``: parses, calls, prints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crowdbench import __version__
from crowdbench.errors import EXIT_FAILED
from crowdbench.gate_commands import baseline_app, gate
from crowdbench.listing import data_app, ls_app
from crowdbench.options import (
    AsJson,
    Base,
    BaseWeights,
    Command,
    ConditionOptions,
    DataRoot,
    Device,
    JobOptions,
    PredictorOptions,
    Quiet,
    RunPath,
    Weights,
    resamples_of,
    run_app,
    takes,
)

if TYPE_CHECKING:
    from crowdbench.conditions.settings import ConditionSettings
    from crowdbench.record import RunFolder
    from crowdbench.results import Metrics
    from crowdbench.running.steps import Job
    from reports.side_by_side_record import Comparison


ComparisonAsJson = Annotated[
    bool, typer.Option("--json", help="Print comparison.json instead of the tables.")
]
app = typer.Typer(
    name="crowdbench",
    help="Benchmark human-pose estimators where people crowd and cover each other.",
    no_args_is_help=True,
    add_completion=False,
    suggest_commands=False,  # click suggests already
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.add_typer(ls_app, name="ls")
app.add_typer(baseline_app, name="baseline")


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


@app.command(cls=Command)
@takes(JobOptions, ConditionOptions)
def run(
    report: Annotated[bool, typer.Option(help="Write the report.")] = True,
    as_json: AsJson = False,
    **asked: Any,
) -> None:
    """Predict, score and report.

    \b
    crowdbench run --predictor mipnet --split ochuman-test
    crowdbench run --predictor replay --predictions poses.json --split crowdpose-val
    crowdbench run --predictor pi-net --base 3dmppe --split mupots
    crowdbench run --predictor replay --predictions poses.json \\
        --annotations my.json --skeleton coco-17
    """
    from crowdbench.running.steps import run_job

    folder, metrics = run_job(_job(asked))
    if report:
        from reports.writing import write_report

        path = write_report(folder)
    _print_metrics(folder.path, metrics, as_json, asked["quiet"])
    if not (as_json or asked["quiet"]):
        _print_speed(folder)
        if report:
            typer.echo(f"report: {path}")


@app.command(cls=Command)
@takes(JobOptions, ConditionOptions)
def predict(**asked: Any) -> None:
    """Run a predictor and keep its candidates."""
    from crowdbench.running.steps import predict_job

    prepared, candidates = predict_job(_job(asked))
    if not asked["quiet"]:
        _print_notes(prepared.run.notes)
        _print_speed(prepared.folder)
        typer.echo(f"{len(candidates.poses):,} candidates in {prepared.folder.path}")


@app.command(cls=Command)
@takes(ConditionOptions)
def score(
    run: RunPath,
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            help="Also run pycocotools, xtcocotools or faster-coco-eval and compare.",
        ),
    ] = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(
            "--bootstrap",
            metavar="N|off",
            help="Resamples for 95 % intervals, or off: no intervals. [default: as the run]",
            show_default=False,
        ),
    ] = None,
    data_root: DataRoot = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **asked: Any,
) -> None:
    """Compute the metrics of a run, without the model.

    Without options for conditions or intervals it does what the run was asked for.
    """
    from crowdbench.metrics.official import import_tool
    from crowdbench.running.steps import check_run, score_run

    if check:
        import_tool(check)  # a tool that is missing is said before any work is done
    resamples = None if bootstrap is None else resamples_of(bootstrap)
    folder, metrics = score_run(run, data_root, _conditions(asked), resamples, quiet)
    _print_metrics(folder.path, metrics, as_json, quiet)
    if check:
        from crowdbench.terminal import print_check

        result = check_run(folder, check, data_root)
        if not quiet:
            print_check(result, to_stderr=as_json)
        if not result.agrees:
            raise typer.Exit(EXIT_FAILED)


@app.command(cls=Command)
def report(run: RunPath, quiet: Quiet = False) -> None:
    """Write the report of a scored run."""
    from crowdbench.record import RunFolder
    from reports.writing import write_report

    path = write_report(RunFolder(run))
    if not quiet:
        typer.echo(f"report: {path}")


@app.command(cls=Command)
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
    as_json: ComparisonAsJson = False,
    quiet: Quiet = False,
) -> None:
    """Set runs of one split side by side: tables, plots and a page.

    \b
    crowdbench compare runs/mipnet@ochuman-test runs/hrnet@ochuman-test
    """
    from reports.side_by_side import compare_runs

    _write_comparison(compare_runs(runs, allow_mixed), output, as_json, quiet)


@app.command(cls=Command)
@takes(JobOptions, ConditionOptions)
def ablate(
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            metavar="NAME[=V1,V2,...]",
            help="Option of the predictor, and the values to compare; differences are to the "
            "first. Several: all of their values together. [default values: those that "
            "`crowdbench ls predictors NAME` shows]",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="Folder of the runs and the comparison. [default: runs/PREDICTOR@SPLIT-by-NAME]",
            show_default=False,
        ),
    ] = None,
    report: Annotated[bool, typer.Option(help="Write the report of every run, too.")] = False,
    as_json: ComparisonAsJson = False,
    **asked: Any,
) -> None:
    """Run a predictor with each value of one of its options, and compare.

    \b
    crowdbench ablate --predictor i2r-net-tiny --split synthcrowd-test --vary grouping
    crowdbench ablate --predictor pinet-tiny --split synthcrowd-test --vary refinement \\
        --vary merging
    crowdbench ablate --predictor i2r-net-tiny --split synthcrowd-test \\
        --vary grouping=single,window:2,all --limit 200

    Runs that are finished already are used as they are.
    """
    from crowdbench.running.ablating import ablate_job
    from reports.side_by_side import compare_runs

    ablation = ablate_job(_job({**asked, "output": output}), vary)
    comparison = compare_runs(
        ablation.folders, allow_mixed=True, names=ablation.names, varied=("options",)
    )
    if report:
        from crowdbench.record import RunFolder
        from reports.writing import write_report

        for folder in ablation.folders:
            write_report(RunFolder(folder))
    _write_comparison(comparison, ablation.comparison, as_json, asked["quiet"])


app.command(cls=Command)(gate)


@app.command(cls=Command)
def check(
    predictor: Annotated[
        str,
        typer.Argument(
            metavar="PREDICTOR",
            help="See `crowdbench ls predictors`; or FILE.py:CLASS.",
            show_default=False,
        ),
    ],
    weights: Weights = "random",
    base: Base = None,
    base_weights: BaseWeights = "random",
    device: Device = "cpu",
    option: PredictorOptions = None,
    quiet: Quiet = False,
) -> None:
    """Check that a predictor keeps the contract, on images made for it.

    \b
    crowdbench check my_predictor.py:MyPredictor

    A refiner is checked on poses from a file, or on those of --base.
    """
    from crowdbench.running.steps import check_job
    from crowdbench.terminal import print_verdict

    passes = True
    for verdict in check_job(predictor, weights, device, option or (), base, base_weights):
        passes &= verdict.passes
        if not quiet:
            print_verdict(verdict)
    if not passes:
        raise typer.Exit(EXIT_FAILED)


@app.command(cls=Command)
def doctor(data_root: DataRoot = None) -> None:
    """Tell what works here and what is missing."""
    from crowdbench.doctor import examine
    from crowdbench.terminal import print_doctor

    print_doctor(examine(data_root))


@app.command(cls=Command)
def schema(
    file: Annotated[
        str,
        typer.Argument(help="metrics, run, environment, worst_images, comparison or baseline."),
    ] = "metrics",
) -> None:
    """Print the JSON Schema of a file that crowdbench writes."""
    import json

    from crowdbench.errors import UnknownNameError
    from crowdbench.gate.baseline import Baseline
    from crowdbench.record import SCHEMAS, json_schema
    from reports.side_by_side_record import Comparison

    kinds = {**SCHEMAS, "comparison": Comparison, "baseline": Baseline}
    if file not in kinds:
        raise UnknownNameError("record file", file, kinds)
    typer.echo(json.dumps(json_schema(kinds[file], f"{file}.json"), indent=2))


def _job(asked: dict[str, Any]) -> Job:
    """Return what `run` or `predict` was asked, from the options that both have."""
    from crowdbench.conditions.settings import ConditionSettings
    from crowdbench.running.steps import Job

    parsed: dict[str, Any] = {
        "conditions": _conditions(asked) or ConditionSettings(),
        "resamples": resamples_of(asked["bootstrap"]),
        "option": tuple(asked["option"] or ()),
    }
    as_they_are = {name: asked[name] for name in Job.__struct_fields__ if name not in parsed}
    return Job(**parsed, **as_they_are)


def _conditions(asked: dict[str, Any]) -> ConditionSettings | None:
    """Return the settings that the options for conditions ask for; None when none is given."""
    from crowdbench.conditions.settings import parse_settings

    names, thresholds, bins = (asked[name] for name in ("conditions", "thresholds", "bins"))
    if names is None and thresholds is None and not bins and asked["iou_among"] == "annotated":
        return None
    return parse_settings(names, thresholds, bins or (), asked["iou_among"])


def _write_comparison(comparison: Comparison, folder: Path, as_json: bool, quiet: bool) -> None:
    """Write the comparison and print it."""
    from reports.side_by_side_tables import print_comparison
    from reports.side_by_side_wording import noticed_lines
    from reports.side_by_side_writing import RECORD, write_comparison

    path = write_comparison(comparison, folder)
    if as_json:
        typer.echo((folder / RECORD).read_text(encoding="utf-8"), nl=False)
    elif not quiet:
        _print_notes((*comparison.notes, *noticed_lines(comparison.runs)))
        print_comparison(comparison, path)


def _print_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def _print_speed(folder: RunFolder) -> None:
    from crowdbench.record import Environment
    from crowdbench.terminal import speed_words

    if words := speed_words(folder.read(Environment).speed):
        typer.echo(f"speed: {words}")


def _print_metrics(path: Path, metrics: Metrics, as_json: bool, quiet: bool) -> None:
    from crowdbench.terminal import print_metrics

    if as_json:
        typer.echo((path / "metrics.json").read_text(), nl=False)
    elif not quiet:
        _print_notes(metrics.notes)
        print_metrics(metrics, path)


def main() -> None:
    """Run the command and exit with its code; errors end in one line, not in a traceback."""
    run_app(app, "crowdbench", "interrupted; the same command goes on where it stopped")
