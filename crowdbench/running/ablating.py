"""An ablation: a run for each value of options of a predictor, to be set side by side."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from crowdbench.card import Card
from crowdbench.errors import CrowdbenchError, UnknownNameError, UsageError
from crowdbench.markup import one_line
from crowdbench.record import Run, RunFolder
from crowdbench.refiner import choose_predictor
from crowdbench.results import Metrics
from crowdbench.running.progress import Progress
from crowdbench.running.steps import (
    Job,
    Material,
    gather_job,
    plan_job,
    run_plan,
    score_run,
    short_name,
)


class Varied(NamedTuple):
    """An option that an ablation varies.

    Attributes:
        option: its name.
        values: two or more, the one that differences are to first.
    """

    option: str
    values: tuple[str, ...]


class Ablation(NamedTuple):
    """The runs of an ablation.

    Attributes:
        names: of the runs, e.g. ``grouping=window:4``.
        folders: of the runs.
        comparison: folder for the comparison.
    """

    names: tuple[str, ...]
    folders: tuple[Path, ...]
    comparison: Path


class _Part(NamedTuple):
    """One of the runs: what it is called, what to do, and whether it is there already."""

    name: str
    job: Job
    folder: RunFolder
    is_finished: bool


def parse_vary(card: Card, text: str, options: Sequence[str] = ()) -> Varied:
    """Return what ``--vary`` asks for.

    Args:
        card: of the predictor.
        text: ``NAME``, for the values that the card names, or ``NAME=V1,V2,...``.
        options: those of ``--option``.

    Raises:
        UsageError: if the predictor has no options, there are fewer than two values, two of them
            would go into one folder, or the option is among `options`.
        UnknownNameError: if it has none of that name.

    >>> from crowdbench.card import Option
    >>> card = Card("pair", "", options=(Option("grouping", ("all", "window:N"), ""),))
    >>> parse_vary(card, "grouping=all,window:2")
    Varied(option='grouping', values=('all', 'window:2'))
    """
    name, equals, listed = text.partition("=")
    if not card.options:
        raise UsageError(f"{card.name} has no options, so there is nothing to vary (--vary {text})")
    known = {option.name: option for option in card.options}
    if name not in known:
        raise UnknownNameError(f"option of {card.name}", name, known)
    if any(option.partition("=")[0] == name for option in options):
        raise UsageError(f"--option {name} and --vary {name} do not go together: leave one out")
    values = tuple(listed.split(",")) if equals else known[name].study
    if len(values) < 2 or not all(values):
        raise UsageError(
            f"--vary {text}: expected two or more values with commas between, --vary "
            f"{name}=V1,V2,...; {name} may be {', '.join(known[name].values)}"
        )
    places: dict[str, str] = {}
    for value in values:
        # Some file systems know no difference between a and A.
        place = _folder_name(name, value).casefold()
        if place in places:
            raise UsageError(
                f"--vary {name}: {value} is given twice"
                if places[place] == value
                else f"--vary {name}: {places[place]} and {value} would both go into the folder "
                f"{place}: give one of them"
            )
        places[place] = value
    return Varied(name, values)


def _folder_name(option: str, value: str) -> str:
    """Return the name of a run's folder, safe on all file systems.

    >>> _folder_name("grouping", "window:4")
    'grouping=window-4'
    """
    return "=".join(re.sub(r"[^A-Za-z0-9_.+]+", "-", part).strip("-.") for part in (option, value))


def ablate_job(job: Job, vary: Sequence[str]) -> Ablation:
    """Predict and score with each value of an option; return where the runs are.

    Of several options, every value of the first is run with every one of the others. A finished run
    of the same request is used as it is, an unfinished one goes on. What is wrong with any of the
    values is found before the first is run.

    Args:
        job: what to do; `Job.output` is the folder that gets the folders of the runs.
        vary: the options, see `parse_vary`.

    Raises:
        UsageError: if one of them is given twice; see `parse_vary`, too.
    """
    predictor_class = choose_predictor(job.predictor, job.base)
    card = predictor_class.card
    varied = [parse_vary(card, text, job.option) for text in vary]
    names = [each.option for each in varied]
    if again := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--vary {again} is given twice: give all its values at once")
    material = gather_job(job)
    split = material.needs.split.name
    folder = f"{short_name(job, predictor_class)}@{split}-by-{'-'.join(names)}"
    root = job.output or Path("runs") / folder
    if root.exists() and (not root.is_dir() or RunFolder(root).has(Run)):
        what = "a run folder" if root.is_dir() else "a file"
        raise UsageError(f"{root} is {what}: choose a folder for all runs with --output")
    parts = _parts(job, material, root, varied)
    progress = Progress(job.quiet)
    for i, part in enumerate(parts, 1):
        where = f"{part.name} ({i} of {len(parts)}): {part.folder.path}"
        with _naming(part.name):
            if not part.is_finished:
                progress.note([where])
                # Planned anew: a network that has been loaded is not kept for all runs.
                run_plan(plan_job(part.job, material))
                continue
            not_kept = "" if job.save_attention is None else ", without new attention"
            progress.note([f"{where} is finished and is used as it is{not_kept}"])
            if not _is_scored_as_asked(part.folder):
                score_run(part.folder.path, material.root, quiet=job.quiet)
    return Ablation(
        tuple(part.name for part in parts),
        tuple(part.folder.path for part in parts),
        root / "comparison",
    )


def _parts(job: Job, material: Material, root: Path, varied: Sequence[Varied]) -> list[_Part]:
    """Return the runs; nothing is done yet."""
    parts: list[_Part] = []
    runs: dict[str, Run] = {}
    for values in itertools.product(*(each.values for each in varied)):
        pairs = [(each.option, value) for each, value in zip(varied, values, strict=True)]
        choices = [f"{option}={value}" for option, value in pairs]
        name = one_line(" ".join(choices))
        place = "_".join(itertools.starmap(_folder_name, pairs))
        own = replace(job, option=(*job.option, *choices), output=root / place)
        with _naming(name):
            plan = plan_job(own, material)
            is_finished = (
                not job.overwrite and plan.folder.has(Metrics) and plan.folder.read(Run) == plan.run
            )
            if not is_finished:
                plan.folder.check_for(plan.run, job.overwrite, job.resume)
            if same := [other for other, run in runs.items() if run == plan.run]:
                raise UsageError(f"it comes to the same as {same[0]}: give one of them")
        runs[name] = plan.run
        parts.append(_Part(name, own, plan.folder, is_finished))
    return parts


def _is_scored_as_asked(folder: RunFolder) -> bool:
    """Return whether a run's numbers are of the conditions and resamples that it was asked for."""
    run, metrics = folder.read_scored()
    resamples = 0 if metrics.bootstrap is None else metrics.bootstrap.resamples
    return metrics.protocol.conditions == run.protocol.conditions and resamples == run.resamples


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say of which run an error is."""
    try:
        yield
    except CrowdbenchError as error:
        error.args = (f"{name}: {error}",)
        raise
