"""An image with all that a drawing of it needs."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.box_iou import image_means
from crowdbench.datasets.split import Split
from crowdbench.drawn_2d import DrawnImage, DrawnPerson, DrawnPose
from crowdbench.metrics.evaluation import Evaluation
from crowdbench.structures import Array, Poses


def image_oks(split: Split, result: Evaluation) -> Array:
    """Return the mean OKS of every image.

    The mean is over an image's evaluated persons, of the best OKS that any pose that counts reaches
    with each.

    Args:
        split: with ground truth.
        result: of the evaluation of poses.

    Returns:
        (I,) float64, NaN for an image without evaluated persons.
    """
    truth = split.truth
    assert truth is not None
    persons = np.flatnonzero(result.evaluated)
    return image_means(result.person_oks[persons], truth.image_index[persons], len(split.images))


def drawn_image(
    split: Split, candidates: Poses, result: Evaluation, image: int, mean_oks: float
) -> DrawnImage:
    """Return what is recorded of an image to draw it.

    Args:
        split: with ground truth.
        candidates: the poses that were evaluated.
        result: their evaluation.
        image: its row in the split.
        mean_oks: of the image.
    """
    truth = split.truth
    assert truth is not None
    first, last = np.searchsorted(truth.image_index, (image, image + 1)).tolist()
    start, stop = np.searchsorted(candidates.image_index[result.rows], (image, image + 1)).tolist()
    width, height = split.images.sizes[image].tolist()
    return DrawnImage(
        image_id=int(split.images.ids[image]),
        file_name=split.images.file_names[image],
        size=(width, height),
        mean_oks=mean_oks,
        persons=tuple(
            DrawnPerson(
                keypoints=tuple((x, y, int(v)) for x, y, v in truth.keypoints[person].tolist()),
                box=tuple(truth.boxes[person].tolist()),
                is_evaluated=bool(result.evaluated[person]),
                oks=float(result.person_oks[person]) if result.evaluated[person] else None,
            )
            for person in range(first, last)
        ),
        poses=tuple(
            DrawnPose(
                keypoints=tuple((x, y) for x, y in candidates.keypoints[row].tolist()),
                score=float(candidates.scores[row]),
                is_match=bool(result.matched[place]),
            )
            for place, row in enumerate(result.rows[start:stop].tolist(), start)
        ),
    )
