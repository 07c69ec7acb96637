"""CrowdPose's crowd index, for any data set."""

from __future__ import annotations

import numpy as np

from crowdbench.metrics.oks import pair_rows
from crowdbench.structures import Array, GroundTruth

# Persons with fewer labelled keypoints do not count in the average.
_LEAST_KEYPOINTS = 4


def crowd_index(truth: GroundTruth, counted: int) -> Array:
    """Return the crowd index of every image.

    It is the mean, over the persons with more than three labelled keypoints, of the number of other
    persons' labelled keypoints in the person's box over the number of its own, rounded to two
    decimals; 0 for an image without such a person. It can exceed 1.

    Args:
        truth: the persons.
        counted: how many leading keypoints decide whether a person has more than three (CrowdPose:
            12 of 14, without head and neck).

    Returns:
        (I,) float64, at least 0.

    Source: the CrowdPose paper's definition, with the details that reproduce the stored index of
    all 2,000 images of its validation set: keypoints of all other annotations count, crowd regions
    among them; the box's border belongs to it; a person's own keypoints count wherever they are.
    """
    n_images = len(truth.image_ids)
    labelled = truth.keypoints[..., 2] > 0
    n_own = labelled.sum(1)
    rows = np.flatnonzero(labelled[:, :counted].sum(1) >= _LEAST_KEYPOINTS)

    # Infinite where not labelled, and so in no box.
    x, y = (np.where(labelled, truth.keypoints[..., i], np.inf) for i in (0, 1))
    left, top, width, height = (np.ascontiguousarray(column) for column in truth.boxes.T)
    right, bottom = left + width, top + height
    person, other = pair_rows(truth.image_index[rows], truth.image_index, n_images)
    owner = rows[person]
    # Most pairs are far apart: only where the leftmost keypoint of the other is not right of the
    # box, and so on, is a closer look needed.
    near = owner != other
    near &= x.min(1)[other] <= right[owner]
    near &= y.min(1)[other] <= bottom[owner]
    for values, low in ((x, left), (y, top)):
        near &= np.where(labelled, values, -np.inf).max(1)[other] >= low[owner]
    person, owner, other = person[near], owner[near], other[near]
    inside = np.ones((len(person), labelled.shape[1]), bool)
    for values, low, high in ((x, left, right), (y, top, bottom)):
        points = values[other]
        inside &= (points >= low[owner, None]) & (points <= high[owner, None])
    n_others = np.bincount(person, weights=inside.sum(1), minlength=len(rows))

    images = truth.image_index[rows]
    counts = np.bincount(images, minlength=n_images)
    sums = np.bincount(images, weights=n_others / n_own[rows], minlength=n_images)
    index: Array = np.round(sums / np.maximum(counts, 1), 2)
    return index
