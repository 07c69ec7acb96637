"""Accuracy keypoint by keypoint, over the persons that were found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crowdbench.structures import Array, GroundTruth

PCK_SIZE_FRACTION = 0.1


class KeypointSums(NamedTuple):
    """What each image adds, summed over the keypoints; named as in `KeypointAccuracy`.

    Attributes:
        n_labelled: (I,) int64.
        n_matched: (I,) int64.
        n_close: (I,) int64.
        similarity: (I,) float64.
    """

    n_labelled: Array
    n_matched: Array
    n_close: Array
    similarity: Array


class KeypointAccuracy(NamedTuple):
    """Sums per keypoint; ratios of them are the metrics.

    Attributes:
        n_labelled: (K,) int64 labelled keypoints of the evaluated persons.
        n_matched: (K,) int64 those of them whose person was matched.
        n_close: (K,) int64 matched ones within the PCK distance.
        similarity: (K,) float64 sum of the matched ones' keypoint similarity.
        by_image: the same by image instead.
    """

    n_labelled: Array
    n_matched: Array
    n_close: Array
    similarity: Array
    by_image: KeypointSums


def keypoint_accuracy(
    pose_points: Array, pose: Array, person: Array, truth: GroundTruth, sigmas: Array
) -> KeypointAccuracy:
    """Return the keypoint accuracy of matched poses.

    A keypoint is close when it lies within `PCK_SIZE_FRACTION` times the longer side of the
    person's box. Its similarity is the term of OKS, ``exp(-d² / (2 (2 sigma)² area))``.

    Args:
        pose_points: (D, K, 2) pixels.
        pose: (M,) rows of the matched poses.
        person: (M,) rows of their persons, evaluated ones.
        truth: the persons; its areas stand in the similarity.
        sigmas: (K,).
    """
    evaluated = ~truth.is_ignored
    to_find = truth.keypoints[evaluated, :, 2] > 0
    keypoints = truth.keypoints[person]
    labelled = keypoints[..., 2] > 0
    squared = ((pose_points[pose] - keypoints[..., :2]) ** 2).sum(-1)
    limit = PCK_SIZE_FRACTION * truth.boxes[person, 2:].max(1, initial=0)
    spread = (2 * sigmas) ** 2 * (truth.areas[person, None] + np.spacing(1.0))
    similarity = np.where(labelled, np.exp(-squared / spread / 2), 0)
    close = labelled & (squared <= limit[:, None] ** 2)
    n_images, image = len(truth.image_ids), truth.image_index[person]

    def by_image(values: Array, image: Array, dtype: type = np.int64) -> Array:
        return np.bincount(image, values.sum(1), n_images).astype(dtype)

    return KeypointAccuracy(
        to_find.sum(0),
        labelled.sum(0),
        close.sum(0),
        similarity.sum(0),
        KeypointSums(
            by_image(to_find, truth.image_index[evaluated]),
            by_image(labelled, image),
            by_image(close, image),
            by_image(similarity, image, np.float64),
        ),
    )
