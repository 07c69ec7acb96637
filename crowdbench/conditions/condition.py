"""What a condition is: a rule that cuts one split into harder and harder parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from crowdbench.conditions.box_iou import highest_iou
from crowdbench.conditions.crowd_index import crowd_index
from crowdbench.conditions.settings import Among
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, GroundTruth, Poses

# Thresholds, or the edges of bins; None as the last edge stands for no limit.
Values = tuple[float | None, ...]


@dataclass(frozen=True)
class Subject:
    """What conditions look at.

    Attributes:
        truth: the persons of the split.
        skeleton: their keypoint layout.
        candidates: the poses before merging, where they come with box scores; else final ones.
        sweep: for a predictor whose poses depend on the other boxes of the image, the candidates it
            made from the boxes of at least each score; None for all others.
        iou_among: whose boxes count in the IoU of persons.
        has_boxes: whether the predictor starts from boxes, so that its poses have box scores; of no
            poses at all, nothing else tells.
    """

    truth: GroundTruth
    skeleton: Skeleton
    candidates: Poses
    sweep: Mapping[float, Poses] | None = None
    iou_among: Among = "annotated"
    has_boxes: bool = False

    @cached_property
    def person_iou(self) -> Array:
        """(P,) float64, each person's highest box IoU; NaN for those that are not compared."""
        truth = self.truth
        if self.iou_among == "annotated":
            return highest_iou(truth.boxes, truth.image_index)
        rows = ~truth.is_ignored
        values = np.full(len(truth.boxes), np.nan)
        values[rows] = highest_iou(truth.boxes[rows], truth.image_index[rows])
        return values

    @cached_property
    def crowd_index(self) -> Array:
        """(I,) float64, the crowd index of every image, computed from boxes and keypoints."""
        return crowd_index(self.truth, self.skeleton.counted)


class Row(NamedTuple):
    """One row of a condition: what takes part, as masks; None stands for all.

    Attributes:
        label: what tables and plots call it.
        threshold: of a threshold's row.
        bounds: low and high end of a bin's row.
        poses: (D,) bool, the candidates that take part; they are merged anew unless they are final.
        persons: (P,) bool, the persons that are evaluated; the others are ignored, not deleted, so
            that a pose of theirs is no false positive.
        images: (I,) bool, the images that take part; the others are left out with their poses.
        joints: (P, K) bool, the joints of the persons that take part; of 3D splits.
        n_boxes: boxes that take part, where the rule chooses boxes.
        candidates: poses of the row's own, which are evaluated instead of the subject's.
    """

    label: str
    threshold: float | None = None
    bounds: tuple[float, float | None] | None = None
    poses: Array | None = None
    persons: Array | None = None
    images: Array | None = None
    joints: Array | None = None
    n_boxes: int | None = None
    candidates: Poses | None = None


class Cut(NamedTuple):
    """A split as a condition cuts it.

    Attributes:
        rows: in the order of their values.
        rule: what they choose by, in words and without the numbers.
        notes: what a reader should know.
        axis: what the rows range over, where these data have something else than the condition.
    """

    rows: tuple[Row, ...]
    rule: str
    notes: tuple[str, ...] = ()
    axis: str | None = None


class UnavailableError(Exception):
    """Why these data do not allow a condition; the message is for the report."""


@dataclass(frozen=True)
class Condition:
    """A condition.

    Attributes:
        name: what users type; key in ``metrics.json``.
        title: its name in words.
        axis: what its rows range over, with the unit.
        kind: ``threshold``, ``bins`` or ``levels`` (bins with names).
        selects: what a row chooses: ``poses``, ``persons``, ``images`` or ``joints``.
        harder: whether rows get harder as their values rise (``up``) or fall (``down``).
        usual: the usual thresholds or edges, for a keypoint layout.
        cut: makes the rows for a subject and the thresholds or edges.
            Raises `UnavailableError` with the reason when the data do not allow it.
        fixed: whether the edges belong to the definition, so that nobody may give others.
        uses_iou: whether it looks at the IoU of boxes, so that `Subject.iou_among` matters.
        spaces: whether it cuts splits of poses in the image (``2d``), in space (``3d``) or both.
    """

    name: str
    title: str
    axis: str
    kind: Literal["threshold", "bins", "levels"]
    selects: Literal["poses", "persons", "images", "joints"]
    harder: Literal["up", "down"]
    usual: Callable[[Skeleton], Values]
    cut: Callable[[Subject, Values], Cut]
    fixed: bool = False
    uses_iou: bool = False
    spaces: tuple[Literal["2d", "3d"], ...] = ("2d",)


def bins_of(values: Array, edges: Values) -> list[Array]:
    """Return, for each bin, which values lie in it: (N,) bool each.

    A bin holds its lower edge but not its upper one, except that the last bin holds both. NaN is in
    no bin.

    Args:
        values: (N,) float64.
        edges: B + 1 rising edges; None as the last is no limit.

    >>> import numpy as np
    >>> [b.tolist() for b in bins_of(np.array([0.0, 0.5, 1.0, np.nan]), (0.0, 0.5, 1.0))]
    [[True, False, False, False], [False, True, True, False]]
    """
    found = []
    for low, high in bounds_of(edges):
        inside = values >= low
        if high is not None:
            inside &= values <= high if high == edges[-1] else values < high
        found.append(inside)
    return found


def bounds_of(edges: Values) -> list[tuple[float, float | None]]:
    """Return the bins' ends.

    >>> bounds_of((0.0, 32.0, None))
    [(0.0, 32.0), (32.0, None)]
    """
    return [(low, high) for low, high in itertools.pairwise(edges) if low is not None]


def bin_label(low: float, high: float | None) -> str:
    """Return what tables call a bin.

    >>> bin_label(0.1, 0.3), bin_label(96, None)
    ('0.1 - 0.3', '96 and more')
    """
    return f"{low:g} and more" if high is None else f"{low:g} - {high:g}"


def _whole_number_label(low: float, high: float | None) -> str:
    """Return what tables call a bin of whole numbers.

    >>> _whole_number_label(1, 6), _whole_number_label(2, 3), _whole_number_label(11, None)
    ('1 - 5', '2', '11 and more')
    """
    if high is None:
        return f"{low:g} and more"
    return f"{low:g} - {high - 1:g}" if low < high - 1 else f"{low:g}"


def bin_rows(
    values: Array, edges: Values, of: Literal["persons", "images"], labels: Sequence[str] = ()
) -> tuple[Row, ...]:
    """Return a row per bin.

    Args:
        values: one per person or image; NaN for those that are in no bin.
        edges: of the bins.
        of: whether the values are of ``persons`` or ``images``.
        labels: names of the bins; without them their ends are the labels.
    """
    rows = []
    for i, (bounds, inside) in enumerate(
        zip(bounds_of(edges), bins_of(values, edges), strict=True)
    ):
        label = labels[i] if labels else bin_label(*bounds)
        persons, images = (inside, None) if of == "persons" else (None, inside)
        rows.append(Row(label, bounds=bounds, persons=persons, images=images))
    return tuple(rows)


def count_rows(counts: Array, edges: Values, of: Literal["persons", "images"]) -> tuple[Row, ...]:
    """Return a row per bin of whole numbers, see `bin_rows`."""
    labels = [_whole_number_label(*bounds) for bounds in bounds_of(edges)]
    return bin_rows(counts.astype(float), edges, of, labels)
