"""Visibility: how a method holds up as less of a person can be seen."""

from __future__ import annotations

from crowdbench.conditions.condition import Condition, Cut, Subject, Values, count_rows
from crowdbench.skeletons import Skeleton


def _usual(skeleton: Skeleton) -> Values:
    return (*(low for low in (1.0, 6.0, 11.0, 16.0) if low <= len(skeleton)), None)


def _cut(subject: Subject, edges: Values) -> Cut:
    n_labelled = (subject.truth.keypoints[..., 2] > 0).sum(1)
    rule = "number of labelled keypoints of the person"
    return Cut(count_rows(n_labelled, edges, "persons"), rule)


VISIBILITY = Condition(
    name="visibility",
    title="Labelled keypoints",
    axis="labelled keypoints of the person",
    kind="bins",
    selects="persons",
    harder="down",
    usual=_usual,
    cut=_cut,
)
