"""What scoring finds, as the record keeps it: every number, and what reports draw."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from crowdbench.drawn_2d import CrowdImages, DrawnImage
from crowdbench.drawn_3d import DrawnPerson3D, DrawnScene3D
from crowdbench.protocol import Protocol
from crowdbench.refinement import Refinement

Breakdown = dict[str, float | None]
# Ways to average 3D metrics: over the values of sequences or frames, or over every person.
Average = Literal["sequence", "frame", "person"]
_FEW_UNITS = 30


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a number, or a difference of two, might be off because the split is a sample.

    Ends are in the number's own unit; see docs/intervals.md.

    Attributes:
        percentile: low and high end: quantiles of the numbers on resampled images. The interval to
            show and to judge by.
        bca: low and high end, corrected for bias and skewness; null where that is not defined. Of
            AP at one OKS threshold it holds less often than it should.
        standard_error: standard deviation of the numbers on resampled images.
    """

    percentile: tuple[float, float]
    bca: tuple[float, float] | None
    standard_error: float


class Paired(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the difference of two numbers is more than chance: both on the same resampled images.

    Attributes:
        interval: of the second number less the first.
        p_value: how likely a difference at least as far from 0 is where there is none, two-sided.
        p_adjusted: the same after Holm's correction for all numbers that are tested together.
        p_worse: share of resamples in which the second is worse than the first; ties count half.
        detectable: the least true difference that a test at 5 % would find 8 times of 10 on a split
            of this size.
    """

    interval: Interval
    p_value: float
    p_adjusted: float
    p_worse: float
    detectable: float


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number.

    3D metrics have breakdowns, in the same unit; 2D metrics leave them out.

    Attributes:
        value: a number at full precision, or null when there is none.
        n: evaluated persons it rests on; for PCK and OKS_matched keypoints, for robustness figures
            rows.
        higher_is_better: its direction.
        reason: why the value is null, or what else must be known about it.
        unit: ``fraction`` or ``mm``.
        averages: the value formed in each way: as the mean of ``sequence`` or ``frame`` values, or
            over every ``person``.
        average: in which of these ways `value` is formed: the one of the papers.
        by_sequence: of each sequence; null where it has nothing to average.
        by_group: of each group of joints, averaged as `value` is.
        by_joint: of each joint, likewise.
        interval: its 95 % interval; null where there is none, left out without resampling.
    """

    value: float | None
    n: int
    higher_is_better: bool
    reason: str | None
    unit: Literal["fraction", "mm"] = "fraction"
    averages: Breakdown | UnsetType = UNSET
    average: Average | UnsetType = UNSET
    by_sequence: Breakdown | UnsetType = UNSET
    by_group: Breakdown | UnsetType = UNSET
    by_joint: Breakdown | UnsetType = UNSET
    interval: Interval | UnsetType | None = UNSET


class SkippedImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image that could not be read, or that nothing could be made of, and so has no poses.

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


class ErrorCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many keypoints have each label; docs/metrics.md says what the labels are.

    Attributes:
        name: of the keypoint, or the label of the row.
        good: at the place where the person's keypoint is.
        jitter: near it.
        inversion: at the place of the same person's keypoint on the other side of the body.
        swap: at the place of another person's keypoint.
        miss: near nothing of these.
    """

    name: str
    good: int
    jitter: int
    inversion: int
    swap: int
    miss: int

    @property
    def n(self) -> int:
        """All of them."""
        return self.good + self.jitter + self.inversion + self.swap + self.miss


class KeypointErrors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with the labelled keypoints of the persons that were found.

    Attributes:
        rule: how a keypoint gets its label: by the ``closest`` of all points it could have meant.
        oks: persons that are matched at this OKS count as found.
        n_persons: how many of them have labelled keypoints.
        keypoints: by keypoint; null when there is no public ground truth.
        by_overlap: by row of the condition ``person-iou``, over all keypoints; empty where that has
            no rows.
        reason: why there are no keypoints to count; null when there are some.
    """

    rule: Literal["closest"]
    oks: float
    n_persons: int
    keypoints: tuple[ErrorCounts, ...] | None
    by_overlap: tuple[ErrorCounts, ...]
    reason: str | None

    @property
    def total(self) -> ErrorCounts:
        """The sums over all keypoints."""
        labels = ErrorCounts.__struct_fields__[1:]
        rows = self.keypoints or ()
        sums = [sum(getattr(row, label) for row in rows) for label in labels]
        return ErrorCounts("all keypoints", *sums)


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
        selects: ``poses``, ``persons``, ``images`` or ``joints``: what its rows choose.
        harder: ``up`` or ``down``: whether rows get harder as their values rise or fall.
    """

    title: str
    axis: str
    rule: str
    kind: Literal["threshold", "bins", "levels"]
    selects: Literal["poses", "persons", "images", "joints"]
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


class PckCurve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """3DPCK over the distance within which a joint is right.

    Attributes:
        metric: whose curve it is: the name of a 3DPCK.
        thresholds_mm: ascending.
        values: fractions, averaged as the metric is; empty when there is nothing to average.
    """

    metric: str
    thresholds_mm: tuple[float, ...]
    values: tuple[float, ...]


class SequenceFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sequence of frames.

    Attributes:
        name: of it.
        n_frames: its images.
        n_persons: evaluated persons of all frames.
        n_matched: those of them who were matched to a pose.
    """

    name: str
    n_frames: int
    n_persons: int
    n_matched: int


class Pose3DFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What only 3D poses have.

    Attributes:
        curves: of each kind of 3DPCK.
        sequences: of the split, in their order.
        refinement: what refinement changed; null where poses were not refined.
    """

    curves: tuple[PckCurve, ...]
    sequences: tuple[SequenceFacts, ...]
    refinement: Refinement | None = None


class Bootstrap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the intervals were made.

    Attributes:
        resamples: how many.
        seed: of the draws.
        level: how often the intervals are to hold.
        unit: what was drawn with replacement: ``image``, ``sequence``, or ``block`` of consecutive
            images.
        units: how many there are.
        images_per_unit: the most images that a unit has.
    """

    resamples: int
    seed: int
    level: float
    unit: Literal["image", "sequence", "block"]
    units: int
    images_per_unit: int

    @property
    def is_coarse(self) -> bool:
        """Whether intervals hang on what a few units happen to be, and are rather too narrow."""
        return self.units < _FEW_UNITS


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``metrics.json``: every number with its n, direction and unit.

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
        curves: precision over recall at OKS 0.50 and 0.75; empty for 3D poses.
        oks_histogram: how well persons are found; null without public ground truth or OKS.
        keypoints: accuracy by keypoint; empty for 3D poses, whose metrics have it themselves.
        counts: images, persons and poses by kind.
        skipped_images: those left out by ``--skip-bad-images``; their persons count as missed.
        notes: what a reader should know.
        pose3d: what only 3D poses have; null for 2D poses.
        bootstrap: how the intervals were made; null if there are none.
        keypoint_errors: what is wrong with keypoints; null for 3D poses.
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
    pose3d: Pose3DFacts | None = None
    bootstrap: Bootstrap | None = None
    keypoint_errors: KeypointErrors | None = None


class WorstImages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of ``worst_images.json``: the images that a report draws.

    Attributes:
        schema_version: of the record.
        images: those with the lowest mean OKS, the worst first.
        crowd: those that stand for the crowds of the split; null where no persons overlap.
        persons: of a 3D split, the matched persons with the largest error, the worst first.
        scenes: of refined poses in space, up to three images before and after refinement: the best,
            the median and the worst.
    """

    schema_version: int
    images: tuple[DrawnImage, ...]
    crowd: CrowdImages | None
    persons: tuple[DrawnPerson3D, ...] = ()
    scenes: tuple[DrawnScene3D, ...] = ()
