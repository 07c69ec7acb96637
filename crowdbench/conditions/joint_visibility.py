"""Visibility of joints: how much worse a method is where it has to guess."""

from __future__ import annotations

from crowdbench.conditions.condition import Condition, Cut, Row, Subject, Values

_OCCLUDED, _VISIBLE = 1, 2


def _cut(subject: Subject, _: Values) -> Cut:
    """Cut the joints by their label.

    Source: the official script of MuPoTS-3D prints the same two tables for its visible and occluded
    joints. Persons are matched by all joints, whatever their labels.
    """
    labels = subject.truth.keypoints[..., 2]
    rows = tuple(
        Row(name, bounds=bounds, joints=labels == label)
        for name, label, bounds in (
            ("visible", _VISIBLE, (0.0, 1.0)),
            ("occluded", _OCCLUDED, (1.0, None)),
        )
    )
    return Cut(rows, "joints labelled as occluded, 0 or 1")


JOINT_VISIBILITY = Condition(
    name="joint-visibility",
    title="Visible and occluded joints",
    axis="label of the joint",
    kind="levels",
    selects="joints",
    harder="up",
    usual=lambda _: (0.0, 1.0, None),
    cut=_cut,
    fixed=True,
    spaces=("3d",),
)
