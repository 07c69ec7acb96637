"""Fusion: the candidates of one person become one pose, each keypoint from the surest of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crowdbench.metrics.matching import rank_poses
from crowdbench.pose_pairs import blocks_of_images, place_in_image, similar_pairs, turns
from crowdbench.structures import Array, Poses


def drop_similar(poses: Poses, taking_part: Array, limit: float, sigmas: Array) -> Array:
    """Return which candidates no better one that stays is too similar to.

    Args:
        poses: D candidates with their `areas`.
        taking_part: (D, V) bool, the candidates of each of V choices.
        limit: the OKS above which two are too similar.
        sigmas: (K,) constants of OKS.

    Returns:
        (D, V) bool.

    Source: ``oks_nms`` of SimpleBaseline and HRNet: by falling score.
    Deviation: of equal scores the earlier candidate wins, while there the order of equal scores is
    arbitrary.
    """
    order = rank_poses(poses.scores, poses.image_index)
    ranked, stays = poses.take(order), taking_part[order]
    for rows in blocks_of_images(ranked.image_index):
        block = ranked.take(rows)
        stays[rows] = _staying(block, stays[rows], *similar_pairs(block, limit, sigmas))
    kept = np.empty_like(stays)
    kept[order] = stays
    return kept


def fuse_similar(poses: Poses, limit: float, sigmas: Array) -> Poses:
    """Return one pose for each group of similar candidates.

    The best candidate of an image takes all those that are similar to it into its group; then the
    best of the others does, and so on. Of a group each keypoint, place and score, is that of the
    candidate with the highest score for it; of equal ones that of the better candidate. The score
    of the pose is the mean of these keypoint scores; all else is the best candidate's, but for
    `areas` and `ranks`, which a pose from several candidates has not.

    Args:
        poses: D candidates with their `areas`.
        limit: the OKS above which two are similar.
        sigmas: (K,) constants of OKS.

    Returns:
        The poses in the order of the candidates that are the best of their groups.

    Source: OKS suppression and pose fusion of PINet's release.
    Deviation: of equal scores the earlier candidate is the better one, while there the order of
    equal scores is arbitrary.
    """
    order = rank_poses(poses.scores, poses.image_index)
    ranked = poses.take(order)
    best = np.arange(len(ranked))
    for rows in blocks_of_images(ranked.image_index):
        block = ranked.take(rows)
        better, worse = similar_pairs(block, limit, sigmas)
        stays = _staying(block, np.ones((len(block), 1), bool), better, worse)[:, 0]
        takes = np.flatnonzero(stays[better])[::-1]
        # Of the values given to one place the last one holds, here that of the best candidate.
        best[rows][worse[takes]] = better[takes] + rows.start
    seeds, keypoints, scores = _surest_keypoints(ranked, best)
    fused = replace(
        ranked.take(seeds),
        keypoints=keypoints,
        keypoint_scores=scores,
        scores=scores.mean(1),
        areas=None,
        ranks=None,
    )
    return fused.take(np.argsort(order[seeds], kind="stable"))


def _staying(ranked: Poses, stays: Array, better: Array, worse: Array) -> Array:
    """Return which of the candidates stay, (D, V) bool; in each image the best comes first."""
    # A turn for each rank of the better candidate in its image: all images at once, and nothing
    # within a turn depends on another pair of the same turn.
    stays = stays.copy()
    for pairs in turns(place_in_image(ranked.image_index)[better]):
        stays[worse[pairs]] &= ~stays[better[pairs]]
    return stays


def _surest_keypoints(ranked: Poses, best: Array) -> tuple[Array, Array, Array]:
    """Return the G best candidates of the groups, and the groups' keypoints and their scores.

    Args:
        ranked: D candidates, the better ones of an image first.
        best: (D,) int64, the row of the best candidate of each one's group.

    Returns:
        (G,) int64 rows, ascending; (G, K, 2); (G, K).
    """
    members = np.argsort(best, kind="stable")
    seeds, starts, sizes = np.unique(best[members], return_index=True, return_counts=True)
    scores = ranked.keypoint_scores[members]
    highest = np.maximum.reduceat(scores, starts, axis=0)
    is_highest = scores == np.repeat(highest, sizes, axis=0)
    place = np.where(is_highest, np.arange(len(members))[:, None], len(members))
    source = members[np.minimum.reduceat(place, starts, axis=0)]
    return seeds, ranked.keypoints[source, np.arange(scores.shape[1])], highest
