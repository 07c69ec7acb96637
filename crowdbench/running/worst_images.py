"""The images a method does worst on."""

from __future__ import annotations

import numpy as np

from crowdbench.datasets.split import Split
from crowdbench.drawn_2d import DrawnImage
from crowdbench.metrics.evaluation import Evaluation
from crowdbench.running.drawn_image import drawn_image, image_oks
from crowdbench.structures import Poses

N_WORST = 12


def worst_images(split: Split, candidates: Poses, result: Evaluation) -> tuple[DrawnImage, ...]:
    """Return the images with the lowest mean OKS (see `image_oks`), the worst first.

    Of equal means the image with more persons comes first, then the lower id. Images without any
    pose come after all others: there is little to see on them.

    Args:
        split: with ground truth.
        candidates: the poses that were evaluated.
        result: their evaluation.
    """
    truth = split.truth
    assert truth is not None
    n_images = len(split.images)
    means = image_oks(split, result)
    n_persons = np.bincount(truth.image_index[result.evaluated], minlength=n_images)
    has_poses = np.zeros(n_images, bool)
    has_poses[candidates.image_index[result.rows]] = True
    order = np.lexsort((-n_persons, means, ~has_poses))
    worst = [i for i in order[:N_WORST].tolist() if n_persons[i]]
    return tuple(drawn_image(split, candidates, result, i, float(means[i])) for i in worst)
