"""In words: where a run's settings differ from the published rows', or are not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from crowdbench.datasets.manifest import Counts, find_split
from crowdbench.errors import UnknownNameError
from crowdbench.metrics.catalogue import main_metric
from crowdbench.record import Run
from crowdbench.results import Metrics
from reports.published import Entry
from reports.same_setting import (
    has_random_weights,
    is_same_setting,
    likeness,
    measured_boxes,
    weights_of,
)

_NOT_RECORDED = (
    "Input size, backbone, training data and test scales of this run are not recorded, so whether "
    "they equal a row's is unknown."
)


def differences(run: Run, metrics: Metrics, entries: Sequence[Entry]) -> list[str]:
    """Return what to know before a measured row is compared with published ones, as sentences."""
    found, maker = obstacles(run, metrics), run.predictor.maker
    boxes = (
        f"Boxes of this run: {_boxes_words(run)}. Boxes of the published rows: "
        f"{_boxes_counts(entries)}. Figures on different boxes are not comparable."
    )
    if not maker.backbone and not maker.input_size:
        return [*found, boxes, _NOT_RECORDED]
    network = _network_words(run, entries)
    main = main_metric(metrics.metrics)
    same = _same_words(run, entries, main, not found)
    return [*found, boxes, network, *filter(None, (same, _weights_words(run)))]


def obstacles(run: Run, metrics: Metrics) -> list[str]:
    """Return what keeps every figure of a run from being compared with papers', as sentences."""
    random = (
        "The weights of this run are random: none of its figures is comparable."
        if has_random_weights(run)
        else None
    )
    n_skipped = len(metrics.skipped_images)
    skipped = (
        f"{n_skipped:,} of {run.split.images:,} images could not be used and have no poses, so the "
        "figures are not comparable."
        if n_skipped
        else None
    )
    return list(filter(None, (random, _data_difference(run, metrics), skipped)))


def _data_difference(run: Run, metrics: Metrics) -> str | None:
    """Say whether the run covers another set of images or persons than the papers' figures."""
    split, known = run.split, _known_counts(run.split.name)
    whole = known.images is not None and split.images >= known.images
    if split.limit is not None and split.limit == split.images and not whole:
        return (
            f"This run covers only the first {split.images:,} images (--limit); the papers used "
            "the whole split, so the figures are not comparable."
        )
    found = {"images": (split.images, known.images)}
    if "persons" in metrics.counts:
        found["persons"] = (metrics.counts["persons"], known.persons)
    wrong = [
        f"{here:,} {what} instead of {there:,}"
        for what, (here, there) in found.items()
        if there is not None and here != there
    ]
    if not wrong:
        return None
    return (
        f"The annotation file is not the official one ({', '.join(wrong)}), so the figures are "
        "not comparable."
    )


def _known_counts(split: str) -> Counts:
    try:
        return find_split(split)[1].counts
    except UnknownNameError:  # a split that this version no longer knows
        return Counts()


def _boxes_words(run: Run) -> str:
    boxes = measured_boxes(run)
    known = {
        "gt": "ground truth (gt)",
        "none": "none, the method needs none",
        "predictions": "they came with the poses, what made them is not recorded",
        "unknown": "unknown, the file of poses has none",
    }
    return known.get(boxes, f"{boxes}; papers name a detector, not a file: theirs may be others")


def _boxes_counts(entries: Sequence[Entry]) -> str:
    """Return e.g. ``gt (8), faster-rcnn (2), yolov3 (1)``."""
    counts = Counter(entry.boxes for entry in entries)
    return ", ".join(f"{boxes} ({n})" for boxes, n in counts.items())


def _network_words(run: Run, entries: Sequence[Entry]) -> str:
    """Say what the network is, and which rows are of the same, or may be."""
    maker = run.predictor.maker
    same, maybe = (
        _row_words([entry for entry in entries if likeness(run, entry) == degree])
        for degree in ("same", "maybe")
    )
    words = (
        f"Backbone of this run: {maker.backbone or 'not recorded'}; input size: "
        f"{maker.input_size or 'not recorded'}. "
        "Published rows of the same method, backbone, input size, test scales and options: "
        f"{same or 'none'}."
    )
    return (
        f"{words} Rows that may be, as not all is stated or their training data are others: "
        f"{maybe}."
        if maybe
        else words
    )


def _row_words(entries: Sequence[Entry]) -> str:
    """Return e.g. ``HRNet (mipnet, Table 4; boxes gt), SBL (pinet, Table 4; boxes gt; 3 rows)``."""
    counts = Counter((entry.name, str(entry.source), entry.boxes) for entry in entries)
    return ", ".join(
        f"{name} ({source}; boxes {boxes}{f'; {n} rows' if n > 1 else ''})"
        for (name, source, boxes), n in counts.items()
    )


def _same_words(run: Run, entries: Sequence[Entry], main: str, comparable: bool) -> str | None:
    """Say what is marked in the table; None if nothing is."""
    if not any(is_same_setting(run, entry) for entry in entries):
        return None
    return 'Rows marked "same setting" have the same boxes, too. ' + (
        f"{main} difference, where both have {'an ' if main == 'AP' else ''}{main}: this run's "
        "minus the row's, in percentage points."
        if comparable
        else "No difference is shown, as the figures are not comparable."
    )


def _weights_words(run: Run) -> str | None:
    """Say what the weights are, as far as is known; None for random ones."""
    if has_random_weights(run):
        return None
    file = weights_of(run)
    if file is None:
        return "What the network of this run was trained on is not recorded."
    trained_on = next(
        (
            official.trained_on
            for official in run.predictor.card.weights
            if official.file == file.name and official.skeleton == run.split.skeleton.name
        ),
        None,
    )
    known = (
        "what they were trained on is not recorded"
        if trained_on is None
        else f"the official file of that name is trained on {trained_on}; its content was not "
        "checked"
    )
    return f"Weights of this run: {file.name}; {known}."
