"""People: how a method holds up as more of them are in the image."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.condition import (
    Condition,
    Cut,
    Subject,
    Values,
    bin_rows,
    bounds_of,
    whole_number_label,
)


def _cut(subject: Subject, edges: Values) -> Cut:
    truth = subject.truth
    images = truth.image_index[~truth.is_ignored]
    n_persons = np.bincount(images, minlength=len(truth.image_ids)).astype(float)
    labels = [whole_number_label(*bounds) for bounds in bounds_of(edges)]
    return Cut(bin_rows(n_persons, edges, "images", labels), "evaluated persons of the image")


PEOPLE = Condition(
    name="people",
    title="People in the image",
    axis="evaluated persons of the image",
    kind="bins",
    selects="images",
    harder="up",
    usual=lambda _: (1.0, 2.0, 3.0, 4.0, 6.0, 11.0, None),
    cut=_cut,
    spaces=("3d",),
)
