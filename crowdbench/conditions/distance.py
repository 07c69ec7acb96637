"""Distance: how a method holds up as persons stand farther from the camera."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.condition import Condition, Cut, Subject, Values, bin_rows


def _cut(subject: Subject, edges: Values) -> Cut:
    space = subject.truth.pose3d
    assert space is not None
    root = space.joints_mm[:, subject.skeleton.root]
    rule = "distance of the person's root from the camera in m"
    return Cut(bin_rows(np.linalg.norm(root, axis=1) / 1000, edges, "persons"), rule)


DISTANCE = Condition(
    name="distance",
    title="Distance from the camera",
    axis="distance of the person's root, m",
    kind="bins",
    selects="persons",
    harder="up",
    usual=lambda _: (0.0, 3.0, 4.0, 5.0, 6.0, 8.0, None),
    cut=_cut,
    spaces=("3d",),
)
