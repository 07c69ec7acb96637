"""Whether a published row was made in the setting of a run, as far as both are known."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from crowdbench.files import FileDigest
from crowdbench.protocol import BASE
from crowdbench.record import Run
from reports.published import Entry

Likeness = Literal["same", "maybe", "other"]
# Boxes that are the same ones wherever they are used; the name of a detector does not tell its
# boxes.
_CERTAIN_BOXES = ("gt", "none")
# Of all multi-scale tests in the papers.
_MULTI_SCALE = "0.5+1+2"
# Data that tables call by two names.
_DATA = {"coco": "coco-train"}


def measured_boxes(run: Run) -> str:
    """Return the boxes of a run in the words of `Entry.boxes`, or the box file's name.

    Poses from a file without boxes say nothing about the method's boxes: ``unknown``.
    """
    from_file = run.protocol.scores == "given"
    return "unknown" if run.protocol.boxes == "none" and from_file else run.protocol.boxes


def weights_of(run: Run) -> FileDigest | None:
    """Return the file of the network's weights; None for random ones, or without a network."""
    return run.predictor.inputs.get("weights")


def has_random_weights(run: Run) -> bool:
    """Return whether the run's network was trained on nothing, or that of its base."""
    facts = run.predictor
    base_is_random = (
        facts.base is not None and facts.base.needs_weights and "base weights" not in facts.inputs
    )
    return base_is_random or (facts.card.needs_weights and weights_of(run) is None)


def scales_of(run: Run) -> str:
    """Return the scales at which the run's network saw the images; ``1`` where it has no choice."""
    return run.predictor.options.get("scales", "1")


def roots_of(run: Run) -> str:
    """Return from where the roots of poses in space come, of the run or of its base; or ``""``."""
    options = run.predictor.options
    return options.get("roots") or options.get(f"{BASE}roots", "")


def _is_refined_alike(run: Run, entry: Entry) -> bool:
    """Return whether a run's poses were refined as the row's, or neither were.

    Poses read from a file may be of any method; those of a base that is in no paper are of none.
    """
    base, there = run.predictor.base, entry.settings.get("refinement")
    if base is None or not there:
        return base is None and not there
    is_of_paper = bool(base.published) and there == f"on {base.method} poses"
    return not base.method or is_of_paper


def _is_as_published(run: Run) -> bool:
    """Return whether the options of a run's predictor are as in papers."""
    return all(
        any(
            fnmatchcase(run.predictor.options.get(option.name, ""), pattern)
            for pattern in option.published
        )
        for option in run.predictor.card.options
        if option.published
    )


def likeness(run: Run, entry: Entry) -> Likeness:
    """Return whether a row is of the run's method, backbone, input size, test scales and options.

    ``maybe`` where card or paper leave one of them open, where it was concluded from other figures,
    or where the official weights were trained on other data than the row's. Poses refined from
    those of another method, or of none, are another method, and so are options that make another of
    the run's; from where the roots of poses in space come is like an input size. Backbone and input
    size of refined poses are those of the network that made them.
    """
    settings, card = entry.settings, run.predictor.card
    has_several = settings.get("test") == "multi-scale"
    if (
        entry.method not in card.published
        or not _is_refined_alike(run, entry)
        or scales_of(run) != (_MULTI_SCALE if has_several else "1")
        or not _is_as_published(run)
    ):
        return "other"
    found: Likeness = "maybe" if "method" in entry.inferred else "same"
    base, maker = run.predictor.base, run.predictor.maker
    facts = [("backbone", maker.backbone), ("input_size", maker.input_size)]
    if base is not None and not base.method:
        found = "maybe"
    if run.split.skeleton.is_3d:
        facts.append(("roots", roots_of(run)))
    for key, here in facts:
        there = str(settings.get(key, ""))
        if here and there and here != there:
            return "other"
        if not (here and there) or f"settings.{key}" in entry.inferred:
            found = "maybe"
    skeleton = run.split.skeleton.name
    known = {file.trained_on for file in card.weights if file.skeleton == skeleton} - {None}
    there = str(settings.get("trained_on", ""))
    if there and known and _DATA.get(there, there) not in known:
        found = "maybe"
    return found


def is_same_setting(run: Run, entry: Entry) -> bool:
    """Return whether a row is certainly of a run's setting, its boxes included.

    Only what is certain counts: no row is, of which a setting was inferred or is in doubt, and no
    row on a detector's boxes. Random weights are no setting of a paper.
    """
    return (
        likeness(run, entry) == "same"
        and measured_boxes(run) == entry.boxes
        and entry.boxes in _CERTAIN_BOXES
        and not entry.inferred
        and not entry.doubtful_settings
        and not has_random_weights(run)
    )
