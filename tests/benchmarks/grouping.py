"""People out of HigherHRNet's maps, beside a direct loop over people and beside the network.

    python tests/benchmarks/grouping.py [--repeats N] [--people N]

Prints a Markdown table: joining resolutions, views and scales; grouping by tags; and, of the whole,
the share of the network's own time. The maps are made up, as of an image of 512 x 683 px, on which
a fifth of the joints is not seen. Both ways take turns, the best of the repeats counts, and their
people must be the same. One thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.ndimage import maximum_filter
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from crowdbench.skeletons import COCO_17
from predictors.bottomup.tag_grouping import JOINT_ORDER, group
from predictors.bottomup.tags import Tagged, join_resolutions, join_scales
from predictors.mirroring import flip_back
from predictors.networks import create

NETWORK = "higherhrnet-w32-512"
# 512 x 683 px, with the longer side rounded up to a multiple of 64.
SIZE = (512, 704)
MIRROR = COCO_17.partners


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--people", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network = create(NETWORK).eval()
    coarse, fine = crowd(arguments.people)

    def joined() -> Tagged:
        return join_scales({1.0: join_resolutions(coarse, fine, MIRROR)}, SIZE)

    with torch.inference_mode():
        maps = joined()
        images = torch.zeros(2, 3, *SIZE)
        ways: tuple[Callable[[], Any], ...] = (
            joined,
            lambda: group(*maps, JOINT_ORDER),
            lambda: direct(maps.heatmaps.numpy(), maps.tags.numpy()),
            lambda: network(images),
        )
        found, wanted = ways[1](), ways[2]()
        for ours, theirs in zip(found[:3], wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        seconds = [[_seconds(way) for way in ways] for _ in range(arguments.repeats)]
    joining, grouping, looping, running = np.min(seconds, axis=0)
    print(f"{arguments.people} people, {len(found.scores)} found, {SIZE[0]} x {SIZE[1]} px\n")
    print("| joined | grouped | by a loop | ratio | network | after it, share of its time |")
    print("|--:|--:|--:|--:|--:|--:|")
    print(
        f"| {joining:.3f} s | {grouping:.3f} s | {looping:.2f} s | {looping / grouping:.0f} "
        f"| {running:.2f} s | {(joining + grouping) / running:.0%} |"
    )


def _seconds(way: Callable[[], Any]) -> float:
    clock = time.perf_counter()
    way()
    return time.perf_counter() - clock


def crowd(n_people: int, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    """Return maps as of the network, of an image and its mirror image: coarse and fine ones.

    Joints are Gaussians, four fifths of them; tags are those of the person whose joint is nearest,
    with noise.
    """
    rng = np.random.default_rng(0)
    n_joints = len(COCO_17)
    centres = rng.uniform((40, 40), (size[1] - 40, size[0] - 40), (n_people, 1, 2))
    joints = centres + rng.normal(0, 30, (n_people, n_joints, 2))
    seen = rng.uniform(size=(n_people, n_joints)) < 0.8
    heights = np.where(seen, rng.uniform(0.3, 1, seen.shape), 0)
    labels = rng.permutation(n_people) * 0.8 - 0.4 * n_people

    def drawn(stride: int) -> tuple[np.ndarray, np.ndarray]:
        y, x = (np.arange(0, side, stride) for side in size)
        heatmaps = np.zeros((n_joints, len(y), len(x)))
        for person, of_joints in zip(joints, heights, strict=True):
            squared = (person[:, :1] - x)[:, None] ** 2 + (person[:, 1:] - y)[:, :, None] ** 2
            peaks = np.exp(-squared / (2 * (2 * stride) ** 2))
            np.maximum(heatmaps, of_joints[:, None, None] * peaks, out=heatmaps)
        nearest = np.empty_like(heatmaps)
        for joint, tagged in zip(joints.transpose(1, 2, 0), nearest, strict=True):
            squared = (joint[0] - x[:, None]) ** 2 + (joint[1] - y[:, None, None]) ** 2
            tagged[:] = labels[squared.argmin(axis=2)]
        return heatmaps + rng.normal(0, 0.02, heatmaps.shape), nearest

    def views(maps: np.ndarray) -> Tensor:
        direct = torch.from_numpy(maps).float()
        return torch.stack([direct, flip_back(direct, MIRROR, shift=False)])

    coarse, nearest = drawn(4)
    tags = nearest + rng.normal(0, 0.05, coarse.shape)
    return torch.cat([views(coarse), views(tags)], dim=1), views(drawn(2)[0])


def direct(
    heatmaps: np.ndarray, tags: np.ndarray, order: Sequence[int] = JOINT_ORDER
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points (n, J, 2), keypoint scores (n, J) and scores (n,) of people, one by one."""
    people: dict[float, dict[int, tuple[int, int]]] = {}
    tags_of: dict[float, list[np.ndarray]] = {}
    heatmaps, tags = heatmaps.astype(np.float64), tags.astype(np.float64)
    for joint in order:
        peaks = _peaks(heatmaps[joint])
        if not peaks:
            continue
        keys = list(people)[:30]
        cost, distances = np.zeros((2, len(peaks), len(keys)))
        for i, peak in enumerate(peaks):
            for j, key in enumerate(keys):
                gap = tags[joint][peak] - np.mean(tags_of[key], axis=0)
                distances[i, j] = np.sqrt((gap**2).sum())
                cost[i, j] = np.round(distances[i, j]) * 100 - heatmaps[joint][peak]
        partners = dict(zip(*(i.tolist() for i in linear_sum_assignment(cost)), strict=True))
        for i, peak in enumerate(peaks):
            partner = partners.get(i)
            if partner is not None and distances[i, partner] < 1:
                key = keys[partner]
                tags_of[key].append(tags[joint][peak])
            else:
                key = float(tags[joint][peak][0])
                tags_of[key] = [tags[joint][peak]]
            people.setdefault(key, {})[joint] = peak
    points, values = np.zeros((len(people), len(order), 2)), np.zeros((len(people), len(order)))
    scores = np.zeros(len(people))
    for i, person in enumerate(people.values()):
        mean = np.mean([tags[joint][person[joint]] for joint in sorted(person)], axis=0)
        for joint, peak in person.items():
            points[i, joint], values[i, joint] = (
                _moved(heatmaps[joint], peak),
                heatmaps[joint][peak],
            )
        scores[i] = values[i].mean()
        for joint in set(order) - set(person):
            distance = np.sqrt(((tags[joint] - mean) ** 2).sum(axis=2))
            fit = heatmaps[joint] - np.round(distance)
            row, column = (int(at) for at in np.unravel_index(fit.argmax(), fit.shape))
            if heatmaps[joint, row, column] > 0:
                points[i, joint] = _moved(heatmaps[joint], (row, column))
                values[i, joint] = heatmaps[joint, row, column]
    return points, values, scores


def _peaks(heatmap: np.ndarray) -> list[tuple[int, int]]:
    """Return row and column of the 30 highest peaks, the highest first."""
    is_peak = (heatmap == maximum_filter(heatmap, 5, mode="nearest")) & (heatmap > 0.1)
    pixels = [(int(row), int(column)) for row, column in zip(*np.nonzero(is_peak), strict=True)]
    return sorted(pixels, key=lambda pixel: -heatmap[pixel])[:30]


def _moved(heatmap: np.ndarray, pixel: tuple[int, int]) -> tuple[float, float]:
    """Return x and y of a pixel, moved towards its higher neighbours and by half a pixel."""
    row, column = pixel
    height, width = heatmap.shape
    x, y = column + 0.5, row + 0.5
    right, left = heatmap[row, min(column + 1, width - 1)], heatmap[row, max(column - 1, 0)]
    below, above = heatmap[min(row + 1, height - 1), column], heatmap[max(row - 1, 0), column]
    return x + (0.25 if right > left else -0.25), y + (0.25 if below > above else -0.25)


if __name__ == "__main__":
    main()
