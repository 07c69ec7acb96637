"""People by associative embedding: candidates of each joint, grouped by their tags.

Source: HigherHRNet, ``HeatmapParser``: suppression, matching by tag, adjustment, refinement.
Deviations: numbers are float64, where the release keeps those of people in float32; and where
several assignments cost the same, as they often do (distances are rounded), scipy's choice stands
for that of the release, which depends on rounding and on the version of its library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from crowdbench.structures import Array
from predictors.bottomup.found import Found
from predictors.bottomup.peaks import find_peaks
from predictors.bottomup.tag_search import Search, float64_of

# COCO's joints from the head down to the legs. With fewer joints the release takes as many entries
# from the front, whatever they mean there.
JOINT_ORDER = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
_WINDOW = 5
# Candidates of a joint, and persons that they are matched with.
_MOST = 30
_LEAST = 0.1
# Candidates whose tags are nearer than this to a person's belong to it.
_NEAR = 1.0


class Candidates(NamedTuple):
    """The pixels that may be joints, joint by joint in ascending order, highest first.

    Attributes:
        joints: (N,) int64.
        pixels: (N, 2) int64 column and row.
        values: (N,) float64 heights of the heatmaps.
        tags: (N, 2) float64.
    """

    joints: Array
    pixels: Array
    values: Array
    tags: Array


def group(heatmaps: Tensor, tags: Tensor, order: Sequence[int]) -> Found:
    """Return the people of an image.

    Args:
        heatmaps: (J, H, W), floating.
        tags: (J, H, W, 2), floating.
        order: the J joints in the order in which candidates join people, as ``JOINT_ORDER[:J]``.

    Returns:
        People in the order in which they were started; points in pixels of the heatmaps, moved by
        half a pixel and a quarter towards the higher neighbour. Scores: the mean of the heights at
        the candidates, 0 for a joint without one. Joints without a candidate lie where `refine`
        finds them, which the scores don't know of; (0, 0) and 0 where it does not.
    """
    candidates = find_candidates(heatmaps, tags)
    people = match(candidates, order)
    points, values = placed(heatmaps, candidates, people)
    scores = values.mean(axis=1)
    refine(heatmaps, tags, mean_tags(candidates, people), points, values)
    return Found(points, values, scores, None)


def find_candidates(heatmaps: Tensor, tags: Tensor) -> Candidates:
    """Return the 30 highest peaks of each heatmap (J, H, W) above 0.1, with their tags."""
    peaks = find_peaks(heatmaps, _WINDOW, _MOST, _LEAST)
    joints, rows, columns = peaks.channels, peaks.rows, peaks.columns
    return Candidates(
        joints.cpu().numpy(),
        torch.stack([columns, rows], dim=-1).cpu().numpy(),
        float64_of(peaks.values),
        float64_of(tags[joints, rows, columns]),
    )


def match(candidates: Candidates, order: Sequence[int]) -> Array:
    """Return people: (P, J) int64 rows of candidates, -1 for a joint that has none.

    The candidates of the first joint that has any each start a person. Those of every other joint
    are assigned to the first 30 people, at the lowest cost: distance between the candidate's tags
    and the mean of the person's, rounded (half to even), times 100, minus the candidate's value.
    Those assigned at a distance from 1 on, or to nobody, start people. A person goes by the first
    tag of the candidate that started it: another that has the same starts that person anew, with
    the joints found so far.
    """
    n = len(candidates.joints)
    people = np.full((n, len(order)), -1, np.int64)
    sums, counts = np.zeros((n, candidates.tags.shape[1])), np.zeros((n, 1))
    by_tag: dict[float, int] = {}
    for joint in order:
        first, last = np.searchsorted(candidates.joints, (joint, joint + 1))
        values, tags = candidates.values[first:last], candidates.tags[first:last]
        n_people = min(len(by_tag), _MOST)
        means = sums[:n_people] / counts[:n_people]
        for row, assigned in enumerate(_assigned(values, tags, means).tolist()):
            person = assigned
            if person < 0:
                person = by_tag.setdefault(float(tags[row, 0]), len(by_tag))
                sums[person] = counts[person] = 0
            people[person, joint] = first + row
            sums[person] += tags[row]
            counts[person] += 1
    return people[: len(by_tag)]


def _assigned(values: Array, tags: Array, means: Array) -> Array:
    """Return which person each candidate of a joint belongs to: (n,) int64, -1 for a new one."""
    # scipy is imported where it is needed: it takes long.
    from scipy.optimize import linear_sum_assignment

    distances = np.sqrt(((tags[:, None] - means) ** 2).sum(axis=2))
    rows, people = linear_sum_assignment(np.rint(distances) * 100 - values[:, None])
    near = distances[rows, people] < _NEAR
    assigned = np.full(len(values), -1, np.int64)
    assigned[rows[near]] = people[near]
    return assigned


def mean_tags(candidates: Candidates, people: Array) -> Array:
    """Return (P, 2) float64: the mean of the tags of each person's candidates."""
    has = (people >= 0)[..., None]
    means: Array = np.where(has, candidates.tags[people], 0).sum(axis=1) / has.sum(axis=1)
    return means


def placed(heatmaps: Tensor, candidates: Candidates, people: Array) -> tuple[Array, Array]:
    """Return the points and the values of people's candidates.

    Returns:
        (P, J, 2) float64 pixels of the heatmaps and (P, J) float64; zeros without a candidate.
    """
    has = people >= 0
    points, values = np.zeros((*people.shape, 2)), np.zeros(people.shape)
    rows = people[has]
    points[has], _ = adjusted(heatmaps, candidates.joints[rows], candidates.pixels[rows])
    values[has] = candidates.values[rows]
    return points, values


def adjusted(heatmaps: Tensor, joints: Array, pixels: Array) -> tuple[Array, Array]:
    """Return the points that stand for pixels, and the heights of the heatmaps there.

    A point moves 0.25 px along each axis, towards the higher of the two neighbours (left and up if
    they are equal; at the border the pixel is its own neighbour), and then 0.5 px right and down.

    Args:
        heatmaps: (J, H, W).
        joints: (N,) int64.
        pixels: (N, 2) int64 column and row.

    Returns:
        (N, 2) and (N,) float64.
    """
    height, width = heatmaps.shape[1:]
    columns, rows = pixels.T[..., None] + np.array([[[0, 1, -1, 0, 0]], [[0, 0, 0, 1, -1]]])
    index = joints[:, None], rows.clip(0, height - 1), columns.clip(0, width - 1)
    heights = float64_of(heatmaps[tuple(torch.from_numpy(i).to(heatmaps.device) for i in index)])
    is_up = heights[:, [1, 3]] > heights[:, [2, 4]]
    return pixels + np.where(is_up, 0.75, 0.25), heights[:, 0]


def refine(heatmaps: Tensor, tags: Tensor, means: Array, points: Array, values: Array) -> None:
    """Fill in joints without a value, in place.

    Each lies where its heatmap is highest minus the rounded distance of the tags to the person's
    mean, and is adjusted; where the heatmap is not positive there, the joint stays as it is.

    Args:
        heatmaps: (J, H, W).
        tags: (J, H, W, 2).
        means: (P, 2) the people's mean tags.
        points: (P, J, 2) pixels of the heatmaps.
        values: (P, J), 0 where a joint is missing.
    """
    people, joints = np.nonzero(values == 0)
    if not len(people):
        return
    pixels = Search(heatmaps, tags).best_pixels(joints, means[people])
    found, heights = adjusted(heatmaps, joints, pixels)
    there = heights > 0
    points[people[there], joints[there]] = found[there]
    values[people[there], joints[there]] = heights[there]
