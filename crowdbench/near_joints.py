"""Suppression by near joints: of candidates whose joints lie close together one stays."""

from __future__ import annotations

import numpy as np

from crowdbench.metrics.matching import rank_poses
from crowdbench.pose_pairs import BLOCK, blocks_of_images, close_pairs, place_in_image, turns
from crowdbench.structures import Array, Poses


def drop_near(poses: Poses, share: float, joints: int, most: int) -> Array:
    """Return which candidates stay.

    A candidate is near another if more than `joints` of their joints are closer together than
    `share` of the diagonal of the other's extent; it is near itself in any case. Candidates are
    visited in their order. One that is not ignored yet chooses, of those near it, the one of the
    highest rank (`Poses.ranks`, or else their scores). Unless that one is ignored already, it stays
    and all those near the visited one are ignored from then on; otherwise nothing happens.

    Args:
        poses: D candidates.
        share: of the diagonal of the box around all joints of the visited one.
        joints: how many joints may be close without the two being near.
        most: how many stay in an image, the best by rank; 0 for no limit.

    Returns:
        (D,) bool.

    Source: ``pose_nms`` of DEKR's release. Distances and extents may be in pixels of the image, as
    both grow alike with its size.
    Deviation: of equal ranks the earlier candidate wins, while there any may.
    """
    ranks = poses.scores if poses.ranks is None else poses.ranks
    stays = np.zeros(len(poses), bool)
    for rows in blocks_of_images(poses.image_index):
        one, other = _near_pairs(poses.keypoints[rows], poses.image_index[rows], share, joints)
        stays[rows] = _chosen(poses.image_index[rows], ranks[rows], one, other)
    if most:
        left = np.flatnonzero(stays)
        left = left[rank_poses(ranks[left], poses.image_index[left])]
        stays[left] = place_in_image(poses.image_index[left]) < most
    return stays


# Numbers near the limits of float64 become infinite, and such poses are near no other.
@np.errstate(over="ignore", invalid="ignore")
def _near_pairs(
    points: Array, image_index: Array, share: float, joints: int
) -> tuple[Array, Array]:
    """Return the rows of candidates and of those near each, itself among them: (M,) int64 each.

    They are ordered by the first and then by the second.
    """
    limits = share * np.hypot(*np.ptp(points, axis=1).T)
    first, second = close_pairs(image_index, points, limits)
    near = np.zeros((2, len(first)), bool)
    for start in range(0, len(first), BLOCK):
        rows = slice(start, start + BLOCK)
        a, b = first[rows], second[rows]
        distances = np.sqrt(((points[a] - points[b]) ** 2).sum(-1))
        for side, of in enumerate((a, b)):
            near[side, rows] = (distances < limits[of, None]).sum(1) > joints
    itself = np.arange(len(points))
    one = np.concatenate([itself, first[near[0]], second[near[1]]])
    other = np.concatenate([itself, second[near[0]], first[near[1]]])
    order = np.lexsort((other, one))
    return one[order], other[order]


def _chosen(image_index: Array, ranks: Array, one: Array, other: Array) -> Array:
    """Return which candidates stay, given those near each: (D,) bool."""
    n = len(ranks)
    by_rank = np.lexsort((other, -ranks[other], one))
    choice = other[by_rank][np.searchsorted(one, np.arange(n))]
    stays, ignored = np.zeros(n, bool), np.zeros(n, bool)
    # A turn for each place in the image: all images at once, and in each of them one is visited.
    for pairs in turns(place_in_image(image_index)[one]):
        visited = one[pairs]
        counts = pairs[~(ignored[visited] | ignored[choice[visited]])]
        stays[choice[one[counts]]] = True
        ignored[other[counts]] = True
    return stays
