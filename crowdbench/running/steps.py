"""The commands' work: from what a user asked to a record on disk."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from crowdbench.candidates import Candidates
from crowdbench.conditions.choice import resolve
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets import load_boxes, load_own, load_split
from crowdbench.datasets.manifest import data_root
from crowdbench.datasets.split import Split
from crowdbench.environment import describe_environment, now
from crowdbench.errors import MissingError, UsageError
from crowdbench.metrics.official import CheckResult, check_official
from crowdbench.predictor import Request, load_predictor
from crowdbench.record import Environment, Run, RunFolder
from crowdbench.results import Metrics
from crowdbench.running.predict import check_skeleton, describe_run, predict_split
from crowdbench.running.score import check_same_data, read_candidates, score_candidates
from crowdbench.skeletons import load_skeleton


class Job(msgspec.Struct, frozen=True):
    """What a user asks of ``run`` or ``predict``; the fields are the command's options."""

    predictor: str
    split: str | None = None
    predictions: Path | None = None
    annotations: Path | None = None
    skeleton: str | None = None
    images: Path | None = None
    boxes: str | None = None
    data_root: Path | None = None
    limit: int | None = None
    output: Path | None = None
    unknown_images: str = "error"
    overwrite: bool = False
    conditions: ConditionSettings = ConditionSettings()


class Prepared(NamedTuple):
    """A prediction that has been made: its folder, its record, its data."""

    folder: RunFolder
    run: Run
    split: Split


def run_job(job: Job) -> tuple[RunFolder, Metrics]:
    """Predict and score; return the run folder and the metrics."""
    prepared, candidates = predict_job(job)
    return prepared.folder, _score(prepared, candidates, prepared.run.conditions)


def predict_job(job: Job) -> tuple[Prepared, Candidates]:
    """Run the predictor over the split and leave its candidates in the run folder.

    Everything that can be wrong with the input is found before the folder is touched.
    """
    started, clock = now(), time.perf_counter()
    if job.unknown_images not in ("error", "ignore"):
        raise UsageError(f"--unknown-images is {job.unknown_images!r}, expected error or ignore")
    predictor_class = load_predictor(job.predictor)
    card = predictor_class.card
    root = data_root(job.data_root)
    split = _with_images(_load_job_split(job, root), job.images)
    check_skeleton(card, split)
    conditions = resolve(job.conditions, split.skeleton)
    if job.boxes is not None and not card.needs_boxes:
        raise UsageError(f"{card.name} takes no boxes: leave --boxes out")
    if job.predictions is not None and card.name != "replay":
        raise UsageError("--predictions goes with --predictor replay")
    boxes = load_boxes(job.boxes or "gt", split, root) if card.needs_boxes else None
    predictor = predictor_class(
        Request(split, boxes, job.predictions, job.unknown_images == "ignore")
    )
    run = describe_run(
        split,
        predictor,
        job.annotations is not None,
        {"unknown_images": job.unknown_images},
        conditions,
    )
    folder = RunFolder(job.output or Path("runs") / f"{card.name}@{split.name}")
    if not folder.open_for(run, job.overwrite):
        folder.write(run)
    candidates = predict_split(folder, split, predictor, boxes, conditions)
    folder.write(
        describe_environment(split, root, started, {"predict": time.perf_counter() - clock})
    )
    return Prepared(folder, run, split), candidates


def _load_job_split(job: Job, root: Path) -> Split:
    if (job.split is None) == (job.annotations is None):
        raise UsageError("give either --split NAME or --annotations FILE with --skeleton NAME")
    if job.annotations is not None:
        if job.skeleton is None:
            raise UsageError("--annotations needs --skeleton NAME, e.g. --skeleton coco-17")
        return load_own(job.annotations, load_skeleton(job.skeleton), job.limit)
    if job.skeleton is not None:
        raise UsageError("--skeleton goes with --annotations; a split brings its own")
    assert job.split is not None
    return load_split(job.split, root, job.limit)


def _with_images(split: Split, folder: Path | None) -> Split:
    """Return the split with another image folder than the usual one, if one is given."""
    if folder is None:
        return split
    if not folder.is_dir():
        raise MissingError(f"--images: {folder} is no folder: give the one that has the images")
    return replace(split, images=replace(split.images, folder=folder))


def score_run(
    path: Path, root: Path | None = None, conditions: ConditionSettings | None = None
) -> tuple[RunFolder, Metrics]:
    """Score the candidates of a run folder, without the model; return folder and metrics.

    Args:
        path: the run folder.
        root: folder of the data sets, or None for where the run found them.
        conditions: the conditions to evaluate, or None for those the run was asked for.
    """
    folder = RunFolder(path)
    run = folder.read(Run)
    asked = run.conditions if conditions is None else resolve(conditions, run.split.skeleton)
    folder.sweep()
    split = load_run_split(folder, run, root)
    return folder, _score(Prepared(folder, run, split), read_candidates(folder, run), asked)


def load_run_split(folder: RunFolder, run: Run, root: Path | None) -> Split:
    """Return the split a run was made on, with the same annotations.

    Raises:
        MissingError: if they are no longer where they were.
        InputError: if they have changed.
    """
    environment = folder.read(Environment)
    if run.split.own:
        split = load_own(Path(environment.annotations), run.split.skeleton, run.split.limit)
    else:
        split = load_split(run.split.name, root or Path(environment.data_root), run.split.limit)
    check_same_data(run, split)
    return split


def check_run(folder: RunFolder, tool: str, root: Path | None = None) -> CheckResult:
    """Return an official tool's numbers on a scored run's predictions beside the recorded ones.

    Raises:
        MissingError: if the tool is not installed or broken, or the split has no ground truth.
    """
    run, metrics = folder.read(Run), folder.read(Metrics)
    split = load_run_split(folder, run, root)
    if split.truth is None:
        raise MissingError(f"{split.name} has no public ground truth to check against")
    return check_official(
        tool,
        split,
        folder.predictions,
        {name: metric.value for name, metric in metrics.metrics.items()},
    )


def _score(prepared: Prepared, candidates: Candidates, conditions: ConditionSettings) -> Metrics:
    folder, run, split = prepared
    clock = time.perf_counter()
    metrics, worst = score_candidates(folder, run, split, candidates, conditions)
    environment = folder.read(Environment)
    seconds = environment.seconds | {"score": round(time.perf_counter() - clock, 3)}
    folder.write(msgspec.structs.replace(environment, seconds=seconds))
    folder.write(worst)
    # Last: a folder with metrics.json holds a finished run.
    folder.write(metrics)
    return metrics
