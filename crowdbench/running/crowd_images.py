"""Images that stand for the crowds of a split, whatever a method does on them."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.box_iou import highest_iou, image_means
from crowdbench.datasets.split import Split
from crowdbench.drawn_2d import CrowdImages
from crowdbench.metrics.evaluation import Evaluation
from crowdbench.running.drawn_image import drawn_image, image_oks
from crowdbench.structures import Poses

N_CROWD = 6
# The crowded images are one in so many of those in which persons overlap.
_ONE_IN = 10


def crowd_images(split: Split, candidates: Poses, result: Evaluation) -> CrowdImages | None:
    """Return images at equal steps through the crowded ones, the most crowded first.

    An image's overlap is the mean, over its evaluated persons, of the highest IoU of the person's
    box with that of another evaluated person. The crowded images are the tenth with the largest, of
    those in which it is not 0, and at least `N_CROWD` of them; of equal ones the lower id comes
    first. They are cut into `N_CROWD` parts of equal numbers, and the middle one of each is taken.
    So poses play no part, and all methods are shown on the same images.

    Args:
        split: with ground truth.
        candidates: the poses that were evaluated.
        result: their evaluation.

    Returns:
        At most `N_CROWD` images with what they were chosen from; None if no persons overlap.
    """
    truth = split.truth
    assert truth is not None
    persons = np.flatnonzero(result.evaluated)
    image = truth.image_index[persons]
    # Boxes near the limits of float64 have infinite areas and no IoU.
    with np.errstate(over="ignore", invalid="ignore"):
        highest = np.nan_to_num(highest_iou(truth.boxes[persons], image))
    overlap = image_means(highest, image, len(split.images))
    overlapping = np.flatnonzero(overlap > 0)
    if not len(overlapping):
        return None
    by_overlap = overlapping[np.argsort(-overlap[overlapping], kind="stable")]
    crowded = by_overlap[: max(-(-len(by_overlap) // _ONE_IN), N_CROWD)]
    n_parts = min(N_CROWD, len(crowded))
    shown = crowded[(2 * np.arange(n_parts) + 1) * len(crowded) // (2 * n_parts)]
    means = image_oks(split, result)
    return CrowdImages(
        n_overlapping=len(overlapping),
        n_crowded=len(crowded),
        least_overlap=float(overlap[crowded[-1]]),
        mean_oks=float(means[crowded].mean()),
        images=tuple(
            drawn_image(split, candidates, result, i, float(means[i])) for i in shown.tolist()
        ),
    )
