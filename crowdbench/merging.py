"""Merging: candidates become final poses by dropping those that repeat a better one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np

from crowdbench.errors import InputError, UsageError
from crowdbench.metrics.matching import rank_poses
from crowdbench.metrics.oks import pairs_within
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, Poses

_EPS = np.spacing(1.0)
# Pairs per block, so that every temporary array stays small: of those that are compared at once,
# and of those of whole images that are held at once.
_BLOCK = 4096
_PAIRS = 1 << 20


class Merging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How candidates become final poses, as data.

    Attributes:
        rule: ``none``: they are final as they are; ``oks-nms``: a candidate is dropped when a
            better one of its image that stays is too similar.
        oks: the similarity above which it is dropped.
        sigmas: constants of OKS that merging has other than the evaluation, by keypoint.
    """

    rule: Literal["none", "oks-nms"] = "none"
    oks: float = 0.9
    sigmas: dict[str, float] = {}

    def __str__(self) -> str:
        if self.rule == "none":
            return "none"
        others = "".join(f",{name}={sigma:g}" for name, sigma in sorted(self.sigmas.items()))
        return f"{self.rule}({self.oks:g}{others})"

    def sigmas_for(self, skeleton: Skeleton) -> Array:
        """Return (K,) float64: the constants of OKS that merging has.

        Raises:
            UsageError: if one is of a keypoint that the layout does not have, or not positive.
        """
        sigmas = skeleton.sigma_array
        for name, sigma in self.sigmas.items():
            if name not in skeleton.keypoints or not 0 < sigma < float("inf"):
                raise UsageError(
                    f"merging has the constant {sigma:g} for {name!r}, expected a positive one for "
                    f"a keypoint of {skeleton.name}"
                )
            sigmas[skeleton.keypoints.index(name)] = sigma
        return sigmas


AS_THEY_ARE = Merging()


def merge(poses: Poses, taking_part: Array, merging: Merging, sigmas: Array) -> Array:
    """Return which candidates stay, for many choices of candidates at once.

    Args:
        poses: D candidates; for ``oks-nms`` with their `areas`.
        taking_part: (D, V) bool, the candidates of each choice.
        merging: the rule.
        sigmas: (K,) constants of OKS, see `Merging.sigmas_for`.

    Returns:
        (D, V) bool.

    Raises:
        InputError: if ``oks-nms`` is asked for and the candidates have no areas.

    Source: ``oks_nms`` of SimpleBaseline and HRNet: by falling score, OKS over all keypoints
    whatever their confidence, with the mean of the two areas; what is at most `oks` stays.
    Deviation: of equal scores the earlier candidate wins, while there the order of equal scores is
    arbitrary.
    """
    if merging.rule == "none":
        return taking_part
    if poses.areas is None:
        raise InputError("oks-nms needs the areas of the candidates, which this predictor left out")
    order = rank_poses(poses.scores, poses.image_index)
    ranked, stays = poses.take(order), taking_part[order]
    for rows in _blocks_of_images(ranked.image_index):
        stays[rows] = _merge_block(ranked.take(rows), stays[rows], merging.oks, sigmas)
    kept = np.empty_like(stays)
    kept[order] = stays
    return kept


def _blocks_of_images(image_index: Array) -> Iterator[slice]:
    """Yield the rows of consecutive images that together have not too many pairs."""
    _, first, n = np.unique(image_index, return_index=True, return_counts=True)
    block = (n * (n - 1) // 2).cumsum() // _PAIRS
    starts = first[np.flatnonzero(np.diff(block, prepend=-1))].tolist()
    for start, stop in itertools.pairwise([*starts, len(image_index)]):
        yield slice(start, stop)


def _merge_block(ranked: Poses, stays: Array, limit: float, sigmas: Array) -> Array:
    """Return which of the candidates stay, (D, V) bool; in each image the best comes first."""
    better, worse = _similar_pairs(ranked, limit, sigmas)
    # A turn for each rank of the better candidate in its image: all images at once, and nothing
    # within a turn depends on another pair of the same turn.
    image = ranked.image_index
    rank = better - np.searchsorted(image, image[better])
    by_turn = np.argsort(rank, kind="stable")
    bounds = np.searchsorted(rank[by_turn], np.arange(int(rank.max(initial=-1)) + 2))
    stays = stays.copy()
    for start, stop in itertools.pairwise(bounds.tolist()):
        pairs = by_turn[start:stop]
        stays[worse[pairs]] &= ~stays[better[pairs]]
    return stays


def _similar_pairs(poses: Poses, limit: float, sigmas: Array) -> tuple[Array, Array]:
    """Return the rows of all pairs of an image whose OKS is above the limit, the better first."""
    assert poses.areas is not None
    first, second = pairs_within(poses.image_index)
    similar = np.zeros(len(first), bool)
    variances = (sigmas * 2) ** 2
    for start in range(0, len(first), _BLOCK):
        rows = slice(start, start + _BLOCK)
        a, b = first[rows], second[rows]
        squared = ((poses.keypoints[a] - poses.keypoints[b]) ** 2).sum(-1) / variances
        squared /= ((poses.areas[a] + poses.areas[b]) / 2 + _EPS)[:, None] * 2
        similar[rows] = np.exp(-squared).mean(1) > limit
    return first[similar], second[similar]
