"""What scoring finds, as the record keeps it: every number, and the images to draw."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from crowdbench.protocol import Protocol


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number.

    Attributes:
        value: a fraction at full precision, or null when there is none.
        n: evaluated persons it rests on; for PCK and OKS_matched keypoints, for robustness figures
            rows.
        higher_is_better: its direction.
        reason: why the value is null, or what else must be known about it.
    """

    value: float | None
    n: int
    higher_is_better: bool
    reason: str | None


class SkippedImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image whose file could not be read and that therefore has no poses.

    Attributes:
        image_id: its id.
        reason: what was wrong.
    """

    image_id: int
    reason: str


class KeypointMetrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accuracy of one keypoint.

    Attributes:
        name: of the keypoint.
        n_labelled: labelled ones of evaluated persons.
        n_matched: those of persons matched at OKS 0.50.
        pck: share of the labelled ones that are close; null when there is none.
        oks: mean similarity of the matched ones; null when there is none.
    """

    name: str
    n_labelled: int
    n_matched: int
    pck: float | None
    oks: float | None


class ConditionRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The metrics under one condition: at one threshold, or in one bin.

    A field that does not belong to the condition is left out.

    Attributes:
        label: what tables and plots call it, e.g. ``>= 0.3``, ``0.1 - 0.3``, ``hard``.
        threshold: the least score of what takes part (rows that are thresholds).
        low: lower end of the bin, inclusive; null for none (rows that are bins).
        high: upper end of the bin, exclusive but for the last one; null for none.
        n_images: images that take part.
        n_persons: persons that are evaluated.
        n_boxes: boxes that take part, where the condition chooses boxes.
        n_poses: poses that take part, after merging and before the cut at 20 per image.
        metrics: the numbers, by name.
    """

    label: str
    n_images: int
    n_persons: int
    n_poses: int
    metrics: dict[str, Metric]
    threshold: float | UnsetType = UNSET
    low: float | UnsetType | None = UNSET
    high: float | UnsetType | None = UNSET
    n_boxes: int | UnsetType = UNSET


class ConditionDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a condition is.

    Attributes:
        title: its name in words, for headings, e.g. ``Detector confidence``.
        axis: what its rows range over, with the unit, for axes, e.g. ``least box score``.
        rule: what it does, in words and with every number.
        kind: ``threshold``, ``bins`` or ``levels`` (named bins).
        selects: ``poses``, ``persons`` or ``images``: what its rows choose.
        harder: ``up`` or ``down``: whether rows get harder as their values rise or fall.
    """

    title: str
    axis: str
    rule: str
    kind: Literal["threshold", "bins", "levels"]
    selects: Literal["poses", "persons", "images"]
    harder: Literal["up", "down"]


class ConditionFacts(ConditionDescription, frozen=True, forbid_unknown_fields=True):
    """What a condition is, and what it met in these data.

    Attributes:
        notes: what a reader should know, e.g. where values came from.
        reason: why it has no rows here; null when it has some.
    """

    notes: tuple[str, ...]
    reason: str | None


class PrecisionCurve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Interpolated precision at the recall levels 0, 0.01 ... 1.

    Attributes:
        oks: the threshold a match must reach.
        precision: 101 fractions; empty when no person is evaluated.
    """

    oks: float
    precision: tuple[float, ...]


class OksHistogram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How well the evaluated persons are found: the best OKS any pose reaches with each.

    Attributes:
        edges: B + 1 ends of the bins, ascending, 0 to 1.
        counts: B numbers of persons; the last bin includes its upper end.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``metrics.json``: every number with its n and direction; fractions.

    Attributes:
        schema_version: of the record.
        split: its name.
        predictor: its name.
        signature: the protocol in a line, with the conditions.
        protocol: the same as a value.
        metrics: the numbers on the whole split, by name.
        conditions: by condition, its rows in the order of their values; conditions without rows
            are left out.
        condition_facts: by condition, also of those without rows, what it is.
        robustness: by condition, figures that sum up its rows, see docs/robustness.md.
        curves: precision over recall at OKS 0.50 and 0.75.
        oks_histogram: how well persons are found; null without public ground truth.
        keypoints: accuracy by keypoint.
        counts: images, persons and poses by kind.
        skipped_images: those left out by ``--skip-bad-images``; their persons count as missed.
        notes: what a reader should know.
    """

    schema_version: int
    split: str
    predictor: str
    signature: str
    protocol: Protocol
    metrics: dict[str, Metric]
    conditions: dict[str, tuple[ConditionRow, ...]]
    condition_facts: dict[str, ConditionFacts]
    robustness: dict[str, dict[str, Metric]]
    curves: tuple[PrecisionCurve, ...]
    oks_histogram: OksHistogram | None
    keypoints: tuple[KeypointMetrics, ...]
    counts: dict[str, int]
    skipped_images: tuple[SkippedImage, ...]
    notes: tuple[str, ...]


class DrawnPerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An annotated person of an image that is shown.

    Attributes:
        keypoints: K of x, y in pixels, and visibility 0, 1, 2.
        box: xywh in pixels.
        is_evaluated: false for crowd regions and persons without counted keypoints.
        oks: the best OKS any pose reaches with the person; null when it is not evaluated.
    """

    keypoints: tuple[tuple[float, float, int], ...]
    box: tuple[float, float, float, float]
    is_evaluated: bool
    oks: float | None


class DrawnPose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pose of an image that is shown.

    Attributes:
        keypoints: K of x, y in pixels.
        score: of the pose.
        is_match: whether it is a true positive at OKS 0.50.
    """

    keypoints: tuple[tuple[float, float], ...]
    score: float
    is_match: bool


class DrawnImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image that is shown, with all that is drawn on it.

    Attributes:
        image_id: its id in the annotation file.
        file_name: as the annotation file gives it.
        size: width and height in pixels; 0 where the file does not say.
        mean_oks: over its evaluated persons, of the best OKS any pose reaches with each.
        persons: all annotated persons.
        poses: the poses that count, the best score first.
    """

    image_id: int
    file_name: str
    size: tuple[int, int]
    mean_oks: float
    persons: tuple[DrawnPerson, ...]
    poses: tuple[DrawnPose, ...]


class CrowdImages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Images that stand for the crowds of a split; annotations alone decide which.

    An image's overlap is the mean, over its evaluated persons, of the highest IoU of the person's
    box with that of another evaluated person.

    Attributes:
        n_overlapping: images whose overlap is not 0.
        n_crowded: those of them with the largest overlap, from which the images were taken.
        least_overlap: the smallest overlap of these.
        mean_oks: the mean of the mean OKS of these.
        images: at equal steps through them, the most crowded first.
    """

    n_overlapping: int
    n_crowded: int
    least_overlap: float
    mean_oks: float
    images: tuple[DrawnImage, ...]


class WorstImages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``worst_images.json``: the images that a report draws.

    Attributes:
        schema_version: of the record.
        images: those with the lowest mean OKS, the worst first.
        crowd: those that stand for the crowds of the split; null where no persons overlap.
    """

    schema_version: int
    images: tuple[DrawnImage, ...]
    crowd: CrowdImages | None
