"""People: how a method holds up as more of them are in the image."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.condition import Condition, Cut, Subject, Values, count_rows


def _cut(subject: Subject, edges: Values) -> Cut:
    truth = subject.truth
    images = truth.image_index[~truth.is_ignored]
    n_persons = np.bincount(images, minlength=len(truth.image_ids))
    return Cut(count_rows(n_persons, edges, "images"), "evaluated persons of the image")


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
