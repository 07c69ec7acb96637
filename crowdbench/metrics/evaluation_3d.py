"""The 3D metrics: averages of the errors of joints, formed in three ways and broken down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, get_args

import numpy as np

from crowdbench.metrics.joint_errors import Errors
from crowdbench.metrics.matching_2d import WITHIN_PX
from crowdbench.metrics.pose3d import THRESHOLDS_MM, WITHIN_MM, thresholds_below
from crowdbench.results import Average
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, GroundTruth

AVERAGES: tuple[Average, ...] = get_args(Average)
# What the official script's tables of visible and occluded joints take for a joint without a
# direction, mm: a miss.
_UNDEFINED_MM = 160.0
_NO_DIRECTION = "a predicted bone has length zero, so the error of its joint is undefined"


class Value(NamedTuple):
    """A number, averaged in every way; fractions or mm.

    Attributes:
        value: as papers print it; None where nothing takes part or an error is undefined.
        n: persons who take part.
        reason: why the value is None, or what else must be known about it.
        averages: in each way: the mean of the sequences' or frames' values, or over every person.
        average: which of these `value` is.
        by_sequence: by name, None where nothing of it takes part.
        by_group: by name, averaged as `value` is.
        by_joint: by name, likewise.
        frame_sums: (J,) float64, what the errors or hits of each image add up to; nothing takes
            part of images after the first J.
        frame_counts: (J,) float64, how many they are.
    """

    value: float | None
    n: int
    reason: str | None
    averages: dict[str, float | None]
    average: Average
    by_sequence: dict[str, float | None]
    by_group: dict[str, float | None]
    by_joint: dict[str, float | None]
    frame_sums: Array
    frame_counts: Array


class Curve(NamedTuple):
    """3DPCK at each of `THRESHOLDS_MM`, averaged as 3DPCK is; empty where nothing takes part."""

    metric: str
    values: Array


class Evaluation3D:
    """The errors of a split's persons, ready to be averaged over any part of them."""

    def __init__(self, truth: GroundTruth, errors: Errors, skeleton: Skeleton) -> None:
        """Sort the errors into thresholds, once for all parts."""
        assert truth.pose3d is not None
        self.errors = errors
        self._skeleton = skeleton
        self._names = truth.pose3d.sequences
        self.sequence = truth.pose3d.sequence_index[errors.image]
        scored = list(skeleton.scored)
        self._scored = _Columns(skeleton, scored)
        self._all = _Columns(skeleton, list(range(len(skeleton))))
        self._spaces = {
            "": errors.relative.take(scored, 1),
            "_abs": errors.absolute.take(scored, 1),
        }
        self._below = {space: thresholds_below(e) for space, e in self._spaces.items()}
        self._shares = {space: 1 - b / len(THRESHOLDS_MM) for space, b in self._below.items()}

    def values(self, persons: Array | None = None, joints: Array | None = None) -> dict[str, Value]:
        """Return every 3D metric of a part of the split.

        Args:
            persons: (N,) bool, those of the evaluated persons who take part; None for all.
            joints: (N, K) bool, which of their joints take part; None for all that are scored.
                Then, as in the official script's tables of visible and occluded joints, a joint at
                exactly 150 mm is right, and one without a direction is 160 mm off.
        """
        errors, scored = self.errors, list(self._skeleton.scored)
        n = len(errors.persons)
        chosen = np.ones(n, bool) if persons is None else persons
        taken = np.ones((n, len(self._skeleton)), bool) if joints is None else joints
        parts = {
            who: self._part(taken[:, scored] & part[:, None], self._scored)
            for who, part in (("all", chosen), ("matched", chosen & errors.is_matched))
        }
        has_persons = np.bincount(self.sequence[chosen], minlength=len(self._names)) > 0
        found: dict[str, Value] = {}
        for space, distance in self._spaces.items():
            right = self._below[space] < len(THRESHOLDS_MM)
            if joints is not None:
                right = distance <= WITHIN_MM
            for who, part in parts.items():
                found[f"3DPCK_{who}{space}"] = self._average(right, part, has_persons)
                found[f"AUC_{who}{space}"] = self._average(self._shares[space], part, has_persons)
            values = distance if joints is None else np.nan_to_num(distance, nan=_UNDEFINED_MM)
            found[f"MPJPE_mapped{space}_mm"] = self._average(values, parts["matched"], has_persons)
        paired = self._part(taken & (chosen & (errors.pair >= 0))[:, None], self._all)
        for name, values in (
            ("MPJPE_mm", errors.aligned_at_root),
            ("PA_MPJPE_rigid_mm", errors.aligned_rigidly),
            ("PA_MPJPE_mm", errors.aligned_with_scale),
        ):
            value = self._average(values, paired)
            if value.value is not None and paired.n < chosen.sum():
                value = value._replace(reason=_without_pose(paired.n, int(chosen.sum())))
            found[name] = value
        return found

    def curves(self) -> tuple[Curve, ...]:
        """Return 3DPCK over the thresholds, of every kind."""
        matched = self.errors.is_matched
        everybody = {"all": np.ones_like(matched), "matched": matched}
        return tuple(
            Curve(f"3DPCK_{who}{space}", self._curve(below, part))
            for space, below in self._below.items()
            for who, part in everybody.items()
        )

    def _curve(self, below: Array, persons: Array) -> Array:
        n, n_thresholds = len(self._names), len(THRESHOLDS_MM)
        places = self.sequence[persons, None] * (n_thresholds + 1) + below[persons]
        counts = np.bincount(places.ravel(), minlength=n * (n_thresholds + 1))
        by_sequence = counts.reshape(n, n_thresholds + 1)
        filled = by_sequence[by_sequence.any(1)]
        if not len(filled):
            return np.zeros(0)
        # `below` counts the thresholds at which a joint is wrong: it is right from there on.
        right = np.cumsum(filled, 1)[:, :n_thresholds]
        return np.asarray((right / filled.sum(1, keepdims=True)).mean(0))

    def _part(self, counts: Array, columns: _Columns) -> _Part:
        return _Part(counts, columns, self.sequence, len(self._names), self.errors.image)

    def _average(self, values: Array, part: _Part, has_persons: Array | None = None) -> Value:
        """Return the averages of what takes part.

        A mean is always over all joints that take part, of a sequence, of a frame or of the split;
        where all joints do, that is the mean over the groups, weighted by their joints, too.

        Args:
            values: (N, J) errors or hits.
            part: what takes part.
            has_persons: (S,) bool, the sequences with persons, for a number that papers print as
                the mean of the sequences; None for one that they average over the persons.
        """
        columns = part.columns
        average: Average = "person" if has_persons is None else "sequence"
        if not part.n:
            nothing = dict.fromkeys
            return Value(
                None,
                0,
                "no evaluated person" if not len(values) else "no person takes part",
                nothing(AVERAGES),
                average,
                nothing(self._names),
                nothing(columns.groups),
                nothing(columns.joints),
                np.zeros(0),
                np.zeros(0),
            )
        sums, by_frame = part.sums(values)
        of_sequences = _mean_of_means(sums, part.counts)
        of_persons = _ratio(sums.sum(0), part.counts.sum(0))
        # The first column is of all joints.
        means = {
            "sequence": of_sequences[0],
            "frame": _mean_of_means(by_frame, part.counts_by_frame),
            "person": of_persons[0],
        }
        value = _number(means[average])
        broken_down = of_persons if has_persons is None else of_sequences
        of_groups, of_joints = np.split(broken_down[1:], [len(columns.groups)])
        remark = None if has_persons is None else self._remark(part.is_filled, has_persons)
        return Value(
            value,
            part.n,
            _NO_DIRECTION if value is None else remark,
            _named(AVERAGES, means.values()),
            average,
            _named(self._names, _ratio(sums, part.counts)[:, 0]),
            _named(columns.groups, of_groups),
            _named(columns.joints, of_joints),
            by_frame,
            part.counts_by_frame,
        )

    def _remark(self, is_filled: Array, has_persons: Array) -> str | None:
        """Say which sequences have persons but none that takes part; the mean is without them."""
        empty = [self._names[i] for i in np.flatnonzero(has_persons & ~is_filled)]
        if not empty:
            return None
        n = int(is_filled.sum())
        sequences = "sequence" if n == 1 else "sequences"
        return f"mean over {n} {sequences}: nothing takes part of {', '.join(empty)}"


class _Columns:
    """What sums are kept of: all joints together, every group, and every joint.

    Attributes:
        groups: names of the groups.
        joints: names of the joints.
    """

    def __init__(self, skeleton: Skeleton, joints: Sequence[int]) -> None:
        """Take these joints of the layout, among them all that are in groups."""
        self.groups = tuple(name for name, _ in skeleton.groups)
        self.joints = tuple(skeleton.keypoints[joint] for joint in joints)
        members = [list(range(len(joints)))]
        members += [[joints.index(joint) for joint in group] for _, group in skeleton.groups]
        members += [[place] for place in range(len(joints))]
        self._members = np.concatenate(members)
        self._first = np.cumsum([0, *map(len, members[:-1])])

    def of(self, by_joint: Array) -> Array:
        """Return (S, 1 + groups + joints) sums from (S, J)."""
        return np.add.reduceat(by_joint[:, self._members], self._first, 1)


class _Part:
    """The joints of the persons that take part in a number.

    Attributes:
        columns: what its sums are kept of.
        n: persons with any of the joints.
        counts: (S, 1 + groups + joints) how many joints, by sequence.
        counts_by_frame: (I,) how many joints, by image.
    """

    def __init__(
        self, takes_part: Array, columns: _Columns, sequence: Array, n_sequences: int, image: Array
    ) -> None:
        """Count (N, J) joints, given the sequence and the image of each of the N persons."""
        n_joints = takes_part.shape[1]
        self.columns = columns
        self._takes_part, self._image, self._shape = takes_part, image, (n_sequences, n_joints)
        self._places = (sequence[:, None] * n_joints + np.arange(n_joints)).ravel()
        by_person = np.einsum("nj->n", takes_part, dtype=np.float64)
        self.n = int((by_person > 0).sum())
        self.counts = columns.of(self._by_sequence(takes_part))
        self.counts_by_frame = np.bincount(image, by_person)

    @property
    def is_filled(self) -> Array:
        """(S,) bool, which sequences have anything that takes part."""
        return self.counts[:, 0] > 0

    def sums(self, values: Array) -> tuple[Array, Array]:
        """Return what (N, J) values add up to, by sequence and by image as the counts are."""
        taken = np.where(self._takes_part, values, 0.0)
        by_frame = np.bincount(self._image, np.einsum("nj->n", taken))
        return self.columns.of(self._by_sequence(taken)), by_frame

    def _by_sequence(self, values: Array) -> Array:
        n_sequences, n_joints = self._shape
        sums = np.bincount(self._places, values.ravel(), n_sequences * n_joints)
        return sums.reshape(self._shape)


def _ratio(sums: Array, counts: Array) -> Array:
    """Return means, NaN where nothing takes part."""
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)


def _mean_of_means(sums: Array, counts: Array) -> Array:
    """Return the mean over the rows of which something takes part, of every column."""
    is_filled = counts > 0
    means = np.where(is_filled, _ratio(sums, counts), 0.0)
    return _ratio(means.sum(0), is_filled.sum(0))


def _named(names: Iterable[str], values: Iterable[float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in zip(names, values, strict=True)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _without_pose(n: int, n_chosen: int) -> str:
    return f"{n_chosen - n:,} of {n_chosen:,} persons have no pose and are left out"


def rules(truth: GroundTruth, pairing: str) -> str:
    """Return how 3D poses are scored, as the signature prints it.

    Args:
        truth: with 3D joints.
        pairing: how MPJPE finds the pose of a person: ``2d`` or ``annotation``.
    """
    assert truth.pose3d is not None
    yardstick = "universal" if truth.pose3d.has_universal else "camera"
    return (
        f"pck={yardstick},bones=truth,match=2d<{WITHIN_PX:g}px,<{WITHIN_MM:g}mm,"
        f"auc=0:5:{THRESHOLDS_MM[-1]:g}mm,mean=sequence;mpjpe=camera,pairs={pairing},mean=person"
    )
