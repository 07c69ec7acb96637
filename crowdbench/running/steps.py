"""The commands' work: from what a user asked to a record on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from crowdbench.candidates import Candidates
from crowdbench.conditions.choice import resolve
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets import load_own, load_split
from crowdbench.datasets.manifest import data_root
from crowdbench.datasets.split import Split
from crowdbench.environment import describe_environment, now
from crowdbench.errors import MissingError, UsageError
from crowdbench.merging import AS_THEY_ARE
from crowdbench.metrics import RESAMPLES
from crowdbench.metrics.official import CheckResult, check_official
from crowdbench.metrics.sample import write_sample
from crowdbench.predictor import PRECISIONS, Predictor, Request
from crowdbench.predictor_options import parse_options
from crowdbench.record import Environment, Run, RunFolder
from crowdbench.refiner import Refiner, choose_predictor, composition_of, make
from crowdbench.registry import load_predictor
from crowdbench.results import Metrics
from crowdbench.running.attention import chosen_ids, rows_of_ids, save_attention
from crowdbench.running.check import Verdict, check_predictor, skeleton_of
from crowdbench.running.describe import describe_run
from crowdbench.running.machine import Machine, choose_machine
from crowdbench.running.needs import Asked, Needs, gather, wanted_weights
from crowdbench.running.predict import Means, Prediction
from crowdbench.running.progress import Progress
from crowdbench.running.score import check_same_data, read_candidates, score_candidates
from crowdbench.running.speed import describe_speed, measure_latency

# The predictor that ``--predictions`` is for.
_READS_A_FILE = "replay"


class Job(msgspec.Struct, frozen=True):
    """What a user asks of ``run`` or ``predict``; the fields are the command's options.

    `resamples` are those of ``--bootstrap``, 0 for none.
    """

    predictor: str
    split: str | None = None
    predictions: Path | None = None
    annotations: Path | None = None
    skeleton: str | None = None
    images: Path | None = None
    boxes: str | None = None
    weights: str | None = None
    base: str | None = None
    base_weights: str | None = None
    data_root: Path | None = None
    limit: int | None = None
    output: Path | None = None
    unknown_images: str = "error"
    skip_bad_images: bool = False
    device: str = "auto"
    batch_size: str = "auto"
    workers: str = "auto"
    precision: str = "fp32"
    option: tuple[str, ...] = ()
    save_attention: str | None = None
    resume: bool = True
    overwrite: bool = False
    quiet: bool = True
    conditions: ConditionSettings = ConditionSettings()
    resamples: int = RESAMPLES


class Material(NamedTuple):
    """What a job needs, which is the same for jobs that differ in ``--option`` and ``--output``.

    Attributes:
        predictor_class: the predictor.
        root: folder of the data sets.
        machine: what it runs on.
        needs: split, boxes and weights.
        conditions: to evaluate, resolved.
        shown: rows of the images whose attention is kept.
    """

    predictor_class: type[Predictor]
    root: Path
    machine: Machine
    needs: Needs
    conditions: ConditionSettings
    shown: list[int]


class Plan(NamedTuple):
    """What a job comes to; nothing of it has been done yet.

    Attributes:
        job: the job.
        material: what it needs.
        predictor: made, not loaded.
        run: the record of what is asked.
        folder: where it goes.
    """

    job: Job
    material: Material
    predictor: Predictor
    run: Run
    folder: RunFolder


class Prepared(NamedTuple):
    """A prediction that has been made: its folder, its record, its data."""

    folder: RunFolder
    run: Run
    split: Split


class Scoring(NamedTuple):
    """How a prediction is to be scored.

    Attributes:
        conditions: to evaluate, resolved.
        resamples: for intervals; 0 for none.
        progress: shows it.
    """

    conditions: ConditionSettings
    resamples: int
    progress: Progress


def run_job(job: Job) -> tuple[RunFolder, Metrics]:
    """Predict and score; return the run folder and the metrics."""
    return run_plan(plan_job(job, gather_job(job)))


def run_plan(plan: Plan) -> tuple[RunFolder, Metrics]:
    """Do what `run_job` does for a job that has been planned."""
    prepared, candidates = _predict(plan)
    run = prepared.run
    asked = Scoring(run.conditions, run.resamples, Progress(plan.job.quiet))
    return prepared.folder, _score(prepared, candidates, asked)


def predict_job(job: Job) -> tuple[Prepared, Candidates]:
    """Run the predictor over the split and leave its candidates in the run folder.

    Everything that can be wrong with the input is found before the folder is touched.
    """
    return _predict(plan_job(job, gather_job(job)))


def gather_job(job: Job) -> Material:
    """Return what a job needs; what is missing is said all at once."""
    predictor_class = choose_predictor(job.predictor, job.base)
    card = predictor_class.card
    _check_options(job, predictor_class)
    parse_options(card, job.option)
    shown_ids = chosen_ids(job.save_attention, card)
    root = data_root(job.data_root)
    machine = choose_machine(predictor_class, job.device, job.batch_size, job.workers)
    needs = gather(
        predictor_class,
        Asked(
            job.predictor, job.split, job.annotations, job.skeleton, job.images, job.boxes,
            job.weights, job.base, job.base_weights, job.limit, root, job.quiet,
        ),
    )  # fmt: skip
    split = needs.split
    conditions = resolve(job.conditions, split.skeleton)
    shown = rows_of_ids(split, shown_ids)
    return Material(predictor_class, root, machine, needs, conditions, shown)


def plan_job(job: Job, material: Material) -> Plan:
    """Return what a job comes to, from what it needs."""
    predictor_class, needs = material.predictor_class, material.needs
    split, base_weights = needs.split, needs.base_weights
    card = predictor_class.card
    predictor = make(
        predictor_class,
        Request(
            split,
            needs.boxes,
            job.predictions,
            job.unknown_images == "ignore",
            job.precision,
            parse_options(card, job.option),
            weights=None if needs.weights is None else needs.weights.path,
            base_weights=None if base_weights is None else base_weights.path,
        ),
    )
    if job.precision != "fp32" and predictor.settings.precision != job.precision:
        raise UsageError(f"{card.name} computes in one precision only: leave --precision out")
    if isinstance(predictor, Refiner):
        _check_settings(predictor.base, split)
    _check_settings(predictor, split)
    run = describe_run(
        split,
        predictor,
        needs,
        job.annotations is not None,
        {"unknown_images": job.unknown_images},
        material.conditions,
        job.resamples,
    )
    folder = job.output or Path("runs") / f"{short_name(job, predictor_class)}@{split.name}"
    return Plan(job, material, predictor, run, RunFolder(folder))


def _check_settings(predictor: Predictor, split: Split) -> None:
    """Refuse settings that are none for the split, or not all of them.

    Raises:
        UsageError: naming the predictor, what was found and what was expected.
    """
    card, settings = predictor.card, predictor.settings
    if split.skeleton.is_3d and settings.merging != AS_THEY_ARE:
        raise UsageError(
            f"predictor {card.name} asks for merging, which poses in space have none of: expected "
            "final poses, and settings without merging"
        )
    known = {option.name for option in card.options}
    if settings.options.keys() != known:
        said, expected = (", ".join(sorted(names)) or "none" for names in (settings.options, known))
        raise UsageError(
            f"predictor {card.name}: settings.options has {said}, expected every option of its "
            f"card: {expected}"
        )
    # A constant for a keypoint that there is not is found here, not after the prediction.
    settings.merging.sigmas_for(split.skeleton)


def _predict(plan: Plan) -> tuple[Prepared, Candidates]:
    started, clock = now(), time.perf_counter()
    job, (_, root, machine, needs, conditions, shown), predictor, run, folder = plan
    split, boxes, weights, base_weights = needs
    goes_on = folder.check_for(run, job.overwrite, job.resume)
    means = Means(machine.batch_size, machine.workers, job.skip_bad_images, Progress(job.quiet))
    prediction = Prediction(folder, split, predictor, boxes, conditions, means, anew=not goes_on)
    latency: list[float] = []
    prediction.check_images()
    if prediction.cost is not None:
        means.progress.note([prediction.cost])
    if not prediction.is_complete or shown:
        predictor.load(machine.device, None if weights is None else weights.path)
    if not goes_on:
        folder.clear()
        folder.write(run)
    has_weights = weights is not None or base_weights is not None
    if has_weights and not prediction.is_complete:
        latency = measure_latency(predictor, split, boxes)
    candidates = prediction.make()
    if job.save_attention is not None:
        means.progress.note(save_attention(folder.attention, predictor, split, boxes, shown))
    speed = describe_speed(predictor, machine, prediction.tally, latency)
    seconds = {"predict": time.perf_counter() - clock}
    folder.write(describe_environment(split, root, started, seconds, speed))
    return Prepared(folder, run, split), candidates


def check_job(
    name: str,
    weights: str | None,
    device: str,
    option: Sequence[str] = (),
    base: str | None = None,
    base_weights: str | None = None,
) -> Iterator[Verdict]:
    """Yield what `crowdbench.running.check` finds about the predictor `name`.

    A refiner refines what `base` gives, or without one poses that are read from a file.
    """
    if base is None and load_predictor(name).card.refines:
        base = _READS_A_FILE
    predictor_class = choose_predictor(name, base)
    card = predictor_class.card
    machine = choose_machine(predictor_class, device, "auto", "auto")
    skeleton = skeleton_of(card).name
    own, of_base = wanted_weights(predictor_class, (name, weights), (base, base_weights))
    found = own.find(skeleton), None if of_base is None else of_base.find(skeleton)
    yield from check_predictor(predictor_class, *found, machine.device, parse_options(card, option))


def _check_options(job: Job, predictor_class: type[Predictor]) -> None:
    """Refuse options that are none or don't go together."""
    for option, value, known in (
        ("--unknown-images", job.unknown_images, ("error", "ignore")),
        ("--precision", job.precision, PRECISIONS),
    ):
        if value not in known:
            raise UsageError(f"{option} is {value!r}, expected {' or '.join(known)}")
    composition = composition_of(predictor_class)
    reads = predictor_class if composition is None else composition.base
    if job.predictions is not None and reads.card.name != _READS_A_FILE:
        which = "--predictor" if composition is None else "--base"
        raise UsageError(f"--predictions goes with {which} {_READS_A_FILE}")


def short_name(job: Job, predictor_class: type[Predictor]) -> str:
    """Return what the run folder is called: the names that were typed, if they are names."""
    composition = composition_of(predictor_class)
    parts = [(job.predictor, predictor_class)]
    if composition is not None and job.base is not None:
        parts.append((job.base, composition.base))
    return "+".join(kind.card.name if ":" in typed else typed for typed, kind in parts)


def score_run(
    path: Path,
    root: Path | None = None,
    conditions: ConditionSettings | None = None,
    resamples: int | None = None,
    quiet: bool = True,
) -> tuple[RunFolder, Metrics]:
    """Score the candidates of a run folder, without the model; return folder and metrics.

    Args:
        path: the run folder.
        root: folder of the data sets, or None for where the run found them.
        conditions: the conditions to evaluate, or None for those the run was asked for.
        resamples: for intervals, 0 for none; or None for as many as the run was asked for.
        quiet: whether to show no progress.
    """
    folder = RunFolder(path)
    run = folder.read(Run)
    asked = Scoring(
        run.conditions if conditions is None else resolve(conditions, run.split.skeleton),
        run.resamples if resamples is None else resamples,
        Progress(quiet),
    )
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
    if run.split.skeleton.is_3d:
        raise UsageError("--check compares OKS: the official script for poses in space is MATLAB")
    split = load_run_split(folder, run, root)
    if split.truth is None:
        raise MissingError(f"{split.name} has no public ground truth to check against")
    return check_official(
        tool,
        split,
        folder.predictions,
        {name: metric.value for name, metric in metrics.metrics.items()},
    )


def _score(prepared: Prepared, candidates: Candidates, asked: Scoring) -> Metrics:
    folder, run, split = prepared
    clock = time.perf_counter()
    metrics, worst, sample = score_candidates(
        folder, run, split, candidates, asked.conditions, with_sample=asked.resamples > 0
    )
    if sample is None:
        folder.matches.unlink(missing_ok=True)
    else:
        # It needs scipy, which takes longer to import than a small split to score.
        from crowdbench.running.resample import with_intervals

        with asked.progress.working(f"{asked.resamples:,} resamples"):
            metrics = with_intervals(metrics, sample, asked.resamples)
        write_sample(folder.matches, sample)
    environment = folder.read(Environment)
    seconds = environment.seconds | {"score": round(time.perf_counter() - clock, 3)}
    folder.write(msgspec.structs.replace(environment, seconds=seconds))
    folder.write(worst)
    # Last: a folder with metrics.json holds a finished run.
    folder.write(metrics)
    return metrics
