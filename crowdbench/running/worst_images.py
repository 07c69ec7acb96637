"""The images a method does worst on, with all that a drawing of them needs."""

from __future__ import annotations

import numpy as np

from crowdbench.conditions.box_iou import image_means
from crowdbench.datasets.split import Split
from crowdbench.metrics.evaluation import Evaluation
from crowdbench.record import SCHEMA_VERSION
from crowdbench.results import DrawnImage, DrawnPerson, DrawnPose, WorstImages
from crowdbench.structures import Poses

N_WORST = 12


def worst_images(split: Split, candidates: Poses, result: Evaluation) -> WorstImages:
    """Return the images with the lowest mean OKS, the worst first.

    The mean is over an image's evaluated persons, of the best OKS that any pose that counts reaches
    with each. Of equal means the image with more persons comes first, then the lower id. Images
    without any pose come after all others: there is little to see on them.

    Args:
        split: with ground truth.
        candidates: the poses that were evaluated.
        result: their evaluation.
    """
    truth = split.truth
    assert truth is not None
    n_images = len(split.images)
    persons = np.flatnonzero(result.evaluated)
    image = truth.image_index[persons]
    means = image_means(result.person_oks[persons], image, n_images)
    n_persons = np.bincount(image, minlength=n_images)
    has_poses = np.zeros(n_images, bool)
    has_poses[candidates.image_index[result.rows]] = True
    order = np.lexsort((-n_persons, means, ~has_poses))
    worst = [i for i in order[:N_WORST].tolist() if n_persons[i]]
    return WorstImages(
        SCHEMA_VERSION,
        tuple(_drawn(split, candidates, result, i, float(means[i])) for i in worst),
    )


def _drawn(
    split: Split, candidates: Poses, result: Evaluation, image: int, mean_oks: float
) -> DrawnImage:
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
