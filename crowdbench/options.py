"""The options that several commands share, and how commands show their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
import typer
from typer.core import TyperCommand


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
