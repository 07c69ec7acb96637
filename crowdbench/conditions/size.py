"""Size: how a method holds up as persons get smaller."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.condition import Condition, Cut, Subject, Values, bin_rows


def _cut(subject: Subject, edges: Values) -> Cut:
    """Cut the persons by the square root of their area.

    The limits 32 and 96 are COCO's. Unlike its medium and large numbers, in which an unmatched pose
    of another size is no false positive, every unmatched pose counts here, as in all conditions.
    """
    side = np.sqrt(np.maximum(subject.truth.areas, 0))
    return Cut(bin_rows(side, edges, "persons"), "square root of the person's area in px")


SIZE = Condition(
    name="size",
    title="Size of persons",
    axis="square root of the person's area, px",
    kind="bins",
    selects="persons",
    harder="down",
    usual=lambda _: (0.0, 32.0, 96.0, 192.0, None),
    spaces=("2d", "3d"),
    cut=_cut,
)
