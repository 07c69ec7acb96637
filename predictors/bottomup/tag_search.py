"""The pixel at which a joint of a person most likely lies, by its heatmap and the person's tags."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crowdbench.structures import Array

# Side in pixels of the squares that a map is cut into.
_SIDE = 8
# The most promising squares, which show what the others have to reach. More of them cost more where
# heatmaps have clear peaks, and save time where they have none.
_FIRST = 32
# Squares to look into at once, which bounds the memory.
_AT_ONCE = 4096


class Search:
    """A search over the maps of an image, for many people at once, that skips most of the pixels.

    No pixel of a square is better than the square's highest height minus the rounded distance to
    the range of its tags. So only those squares need to be looked into whose bound reaches the best
    pixel of the few most promising ones. The bound holds to the last bit, as every operation that
    leads to it is monotonic also when rounded.
    """

    def __init__(self, heatmaps: Tensor, tags: Tensor) -> None:
        """Cut the maps.

        Args:
            heatmaps: (J, H, W), floating.
            tags: (J, H, W, 2), floating.
        """
        self._maps = [_cut(maps) for maps in (heatmaps, *tags.unbind(-1))]
        self._n_across = self._maps[0].shape[3]
        heights, *of_tags = self._maps
        # Dimension by dimension, which is ten times as fast as both at once.
        self._highest = float64_of(heights.amax(2).amax(3).flatten(1))
        self._lows = [float64_of(maps.amin(2).amin(3).flatten(1)) for maps in of_tags]
        self._highs = [float64_of(maps.amax(2).amax(3).flatten(1)) for maps in of_tags]

    def best_pixels(self, joints: Array, means: Array) -> Array:
        """Return where height minus rounded distance of the tags is highest.

        Args:
            joints: (N,) int64 whose map to look at.
            means: (N, 2) float64 tags that the distance is from.

        Returns:
            (N, 2) int64 column and row; of equal pixels the first, row by row.
        """
        found = np.empty((len(joints), 2), np.int64)
        for joint in np.unique(joints):
            rows = np.flatnonzero(joints == joint)
            found[rows] = self._best_of_joint(int(joint), means[rows])
        return found

    def _best_of_joint(self, joint: int, means: Array) -> Array:
        """Return (n, 2) int64: column and row of the best pixel of a joint for each mean tag."""
        bounds = self._bounds(joint, means)
        n, n_squares = bounds.shape
        n_first = min(_FIRST, n_squares)
        first = np.argpartition(bounds, n_squares - n_first, axis=1)[:, n_squares - n_first :]
        tried, _, _ = self._look(joint, first.ravel(), means.repeat(n_first, axis=0))
        queries, squares = np.nonzero(bounds >= tried.reshape(n, n_first).max(axis=1)[:, None])
        parts = [slice(start, start + _AT_ONCE) for start in range(0, len(queries), _AT_ONCE)]
        looks = [self._look(joint, squares[part], means[queries[part]]) for part in parts]
        scores, rows, columns = (np.concatenate(column) for column in zip(*looks, strict=True))
        ranked = np.lexsort((columns, rows, -scores, queries))
        _, best = np.unique(queries[ranked], return_index=True)
        return np.stack([columns, rows], axis=-1)[ranked[best]]

    def _bounds(self, joint: int, means: Array) -> Array:
        """Return (n, S) float64: what no pixel of each square exceeds, for each mean tag."""
        gaps = [
            np.maximum(np.maximum(lows[joint] - mean, mean - highs[joint]), 0)
            for lows, highs, mean in zip(self._lows, self._highs, np.hsplit(means, 2), strict=True)
        ]
        bounds: Array = self._highest[joint] - _rounded(*gaps)
        return bounds

    def _look(self, joint: int, squares: Array, means: Array) -> tuple[Array, Array, Array]:
        """Return the best pixel of each square: (n,) scores, rows and columns.

        Args:
            joint: whose map to look at.
            squares: (n,) int64.
            means: (n, 2) the mean tag of each.
        """
        down, across = np.divmod(squares, self._n_across)
        at = [torch.from_numpy(i).to(self._maps[0].device) for i in (down, across)]
        heights, *tags = (
            float64_of(maps[joint][at[0], :, at[1]].flatten(1)) for maps in self._maps
        )
        distances = _rounded(*(t - mean for t, mean in zip(tags, np.hsplit(means, 2), strict=True)))
        scores = heights - distances
        best = scores.argmax(axis=1)
        rows, columns = np.divmod(best, _SIDE)
        return scores[np.arange(len(best)), best], down * _SIDE + rows, across * _SIDE + columns


def _cut(maps: Tensor) -> Tensor:
    """Return (J, H, W) maps as (J, n, side, m, side): n x m squares; the border is repeated.

    A repeated pixel lies behind the one it repeats, which therefore goes first.
    """
    down, right = (-size % _SIDE for size in maps.shape[1:])
    if down or right:
        maps = functional.pad(maps[None], (0, right, 0, down), mode="replicate")[0]
    n_joints, height, width = maps.shape
    return maps.reshape(n_joints, height // _SIDE, _SIDE, width // _SIDE, _SIDE)


def _rounded(first: Array, second: Array) -> Array:
    """Return the lengths of differences of tags, rounded half to even."""
    rounded: Array = np.rint(np.sqrt(first**2 + second**2))
    return rounded


def float64_of(values: Tensor) -> Array:
    """Return a tensor as a float64 array; some devices have no such numbers."""
    return values.cpu().double().numpy()
