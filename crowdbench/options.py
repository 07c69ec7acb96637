"""The options that several commands share, how commands show their help, and how they end."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, get_type_hints

import click
import typer
from typer.core import TyperCommand

from crowdbench.errors import CrowdbenchError, UsageError
from crowdbench.metrics import RESAMPLES

F = TypeVar("F", bound=Callable[..., Any])
# Fewer resamples say nothing about the ends of an interval; more do not fit the memory.
_LEAST_RESAMPLES, _MOST_RESAMPLES = 100, 20_000
_INTERRUPTED = 130


class Command(TyperCommand):
    """A command whose help is plain text."""

    def get_help(self, ctx: click.Context) -> str:
        """Return the help text, with brackets as they are."""
        # Typer escapes brackets for rich even where, as here, rich does not print the help.
        return super().get_help(ctx).replace("\\[", "[")


DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        help="Folder of the data sets. [default: $CROWDBENCH_DATA, then ./data]",
        show_default=False,
    ),
]
Export = Annotated[
    Path | None,
    typer.Option(
        "--export", help="Folder to write to. [default: in the data root]", show_default=False
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
        "--predictions",
        help="Results for the predictor (or base) `replay`: COCO results JSON; in 3D a folder with "
        "the two .mat files, or .npz or .json (docs/mupots.md).",
    ),
]
OwnAnnotations = Annotated[
    Path | None,
    typer.Option(
        "--annotations",
        help="Your own annotations, instead of --split: COCO's format, or MuPoTS-3D's folder "
        "or JSON.",
    ),
]
SkeletonName = Annotated[
    str | None,
    typer.Option("--skeleton", help="Keypoints of an --annotations file: a name or a YAML file."),
]
BoxSource = Annotated[
    str | None,
    typer.Option("--boxes", help="Person boxes: gt, a known box file's name, or a detector file."),
]
Limit = Annotated[int | None, typer.Option("--limit", help="Only the first N images by id.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", help="Run folder. [default: runs/PREDICTOR[+BASE]@SPLIT]", show_default=False
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
Bootstrap = Annotated[
    str,
    typer.Option(
        "--bootstrap", metavar="N|off", help="Resamples for 95 % intervals, or off: no intervals."
    ),
]
ImageFolder = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of the image files, where it is not a usual place."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print metrics.json instead of the table.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.", show_default=False)]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="A file of the network's weights, or random. "
        "[default: $CROWDBENCH_WEIGHTS/PREDICTOR, then the file that ships with it]",
        show_default=False,
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="Of a refiner: the predictor whose poses it refines, which gets --boxes and "
        "--predictions.",
        show_default=False,
    ),
]
BaseWeights = Annotated[
    str | None,
    typer.Option(
        "--base-weights", help="Of --base: a file, or random; see --weights.", show_default=False
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
BatchSize = Annotated[
    str, typer.Option("--batch-size", help="Boxes (images without boxes) at once: auto or N.")
]
Workers = Annotated[
    str, typer.Option("--workers", help="Processes that read and crop images: auto or N.")
]
Precision = Annotated[str, typer.Option("--precision", help="Of the network: fp32, bf16 or fp16.")]
PredictorOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="An option of the predictor, see `crowdbench ls predictors NAME`; may be repeated.",
        show_default=False,
    ),
]
SaveAttention = Annotated[
    str | None,
    typer.Option(
        "--save-attention",
        metavar="ID[,ID...]",
        help="Images whose attention between persons is kept, for the report.",
        show_default=False,
    ),
]
SkipBadImages = Annotated[
    bool,
    typer.Option("--skip-bad-images", help="Leave out images that can't be read, and list them."),
]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Go on with an unfinished run in the folder.")
]


class JobOptions:
    """The options of the commands that predict, as parameters with their defaults."""

    predictor: PredictorName
    split: SplitName = None
    predictions: Predictions = None
    annotations: OwnAnnotations = None
    skeleton: SkeletonName = None
    images: ImageFolder = None
    boxes: BoxSource = None
    weights: Weights = None
    base: Base = None
    base_weights: BaseWeights = None
    data_root: DataRoot = None
    limit: Limit = None
    output: Output = None
    unknown_images: UnknownImages = "error"
    skip_bad_images: SkipBadImages = False
    device: Device = "auto"
    batch_size: BatchSize = "auto"
    workers: Workers = "auto"
    precision: Precision = "fp32"
    option: PredictorOptions = None
    save_attention: SaveAttention = None
    resume: Resume = True
    overwrite: Overwrite = False
    bootstrap: Bootstrap = str(RESAMPLES)
    quiet: Quiet = False


class ConditionOptions:
    """The options for conditions."""

    conditions: Conditions = None
    thresholds: Thresholds = None
    bins: Bins = None
    iou_among: IouAmong = "annotated"


def resamples_of(text: str) -> int:
    """Return how many resamples ``--bootstrap`` asks for, 0 for off.

    Raises:
        UsageError: if it is neither ``off`` nor a number of resamples.

    >>> resamples_of("2000"), resamples_of("off")
    (2000, 0)
    """
    if text == "off":
        return 0
    if re.fullmatch("[0-9]{1,9}", text) and _LEAST_RESAMPLES <= int(text) <= _MOST_RESAMPLES:
        return int(text)
    raise UsageError(
        f"--bootstrap is {text!r}, expected off or a whole number of resamples from "
        f"{_LEAST_RESAMPLES} to {_MOST_RESAMPLES:,}, e.g. 1000"
    )


def takes(*groups: type) -> Callable[[F], F]:
    """Return a decorator that gives a command the options of `groups` besides its own.

    The command gets them as keywords, ``**asked``; typer reads options from signatures.
    """

    def decorate(function: F) -> F:
        own = inspect.signature(function).parameters.values()
        hints = get_type_hints(function, include_extras=True)
        shared = {
            name: (kind, vars(group).get(name, inspect.Parameter.empty))
            for group in groups
            for name, kind in get_type_hints(group, include_extras=True).items()
        }
        # Its own come last, as help shows them; an argument has its place among arguments only.
        shared |= {p.name: (hints[p.name], p.default) for p in own if p.name != "asked"}
        parameters = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
            for name, (kind, default) in shared.items()
        ]
        function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        function.__annotations__ = {p.name: p.annotation for p in parameters}
        return function

    return decorate


def run_app(app: typer.Typer, name: str, interrupted: str) -> NoReturn:
    """Run a command and exit with its code; errors end in one line, not in a traceback.

    Args:
        app: the command.
        name: what its messages begin with.
        interrupted: what to say after Ctrl-C.
    """
    try:
        code = app(standalone_mode=False)
        # Typer takes Ctrl-C for an exit with this code.
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
    except CrowdbenchError as error:
        if os.environ.get("CROWDBENCH_DEBUG"):
            raise
        typer.echo(f"{name}: {error}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        typer.echo(f"{name}: {interrupted}", err=True)
        code = _INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone; not an error. Keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    sys.exit(code)
