"""In words: where a run's settings differ from the published rows', or are not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from crowdbench.datasets.manifest import Counts, find_split
from crowdbench.errors import UnknownNameError
from crowdbench.record import Run
from crowdbench.results import Metrics
from reports.published import Entry

_NOT_RECORDED = (
    "Input size, backbone, training data and test scales of this run are not recorded, so whether "
    "they equal a row's is unknown."
)


def measured_boxes(run: Run) -> str:
    """Return the boxes of a run in the words of `Entry.boxes`, or the box file's name.

    Poses from a file without boxes say nothing about the method's boxes: ``unknown``.
    """
    from_file = run.protocol.scores == "given"
    return "unknown" if run.protocol.boxes == "none" and from_file else run.protocol.boxes


def differences(run: Run, metrics: Metrics, entries: Sequence[Entry]) -> list[str]:
    """Return what to know before a measured row is compared with published ones, as sentences."""
    boxes = (
        f"Boxes of this run: {_boxes_words(run)}. Boxes of the published rows: "
        f"{_boxes_counts(entries)}. Figures on different boxes are not comparable."
    )
    return [*filter(None, (_data_difference(run, metrics),)), boxes, _NOT_RECORDED]


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
