"""People out of DEKR's and PINet's maps, beside a direct loop over people and beside the network.

    python tests/benchmarks/regression.py [--repeats N] [--people N]

Prints a Markdown table of seconds: everything after the network (joining the views, peaks, poses,
scores, merging), the same person by person on enlarged heatmaps as the official programs do it, and
the network itself, for an image of 512 x 683 px. The maps are made up; both ways must find the same
people. They take turns, and the best of the repeats counts. One thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crowdbench.merging import Merging, final_poses
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, Poses
from predictors.bottomup import parts, regression
from predictors.bottomup.found import Found
from predictors.networks import create

# Of maps; the image is 512 x 704, the longer side rounded up to a multiple of 64.
HEIGHT, WIDTH = 128, 176
MIRROR = COCO_17.partners
K = len(MIRROR)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--people", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| method | candidates | poses | all at once | in a loop | network | share | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    with torch.inference_mode():
        dekr, pinet = Merging("near-joints"), Merging("oks-fusion", 0.7)
        for row in (
            ("DEKR", 1, dekr, find_dekr, floored, "dekr-w32-512"),
            ("PINet", 3, pinet, find_pinet, bilinear, "pinet-w32-ochuman-512"),
        ):
            measure(*row, arguments.people, arguments.repeats)


def measure(
    name: str,
    n_parts: int,
    merging: Merging,
    find: Callable[[Tensor, Tensor, Tensor], Found],
    read: Callable[[Tensor, float, float], float],
    variant: str,
    n_people: int,
    repeats: int,
) -> None:
    """Print a row."""
    maps = crowd(n_people, n_parts)
    network, images = create(variant).eval(), torch.zeros(2, 3, HEIGHT * 4, WIDTH * 4)

    def at_once() -> tuple[Found, Poses]:
        found = find(*maps)
        return found, final_poses(poses_of(found), merging, COCO_17.sigma_array)

    ways: tuple[Callable[[], Any], ...] = (
        at_once,
        lambda: in_a_loop(*maps, read),
        lambda: network(images),
    )
    best = [np.inf] * len(ways)
    for _ in range(repeats):
        results = []
        for i, way in enumerate(ways):
            started = time.perf_counter()
            results.append(way())
            best[i] = min(best[i], time.perf_counter() - started)
    (found, final), wanted, _ = results
    ours = np.concatenate([found.points, found.keypoint_scores[..., None]], axis=2)
    np.testing.assert_allclose(ours, wanted, atol=1e-5)
    once, loop, net = best
    print(
        f"| {name} | {len(ours)} | {len(final)} | {once:.4f} | {loop:.3f} | {net:.2f} | "
        f"{100 * once / net:.1f} % | {loop / once:.0f} |"
    )


def crowd(n: int, n_parts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return heatmaps (2, K, h, w), maps of points (2, S, h, w) and offsets of a made-up image.

    The mirror images of all maps stand in their second view, so that both agree.
    """
    rng = np.random.default_rng(0)
    heat, points = torch.zeros(K, HEIGHT, WIDTH), torch.zeros(n_parts, HEIGHT, WIDTH)
    offsets = torch.from_numpy(rng.normal(0, 8, (n_parts, K, 2, HEIGHT, WIDTH))).float()
    rows, columns = np.indices((HEIGHT, WIDTH))
    for _ in range(n):
        middle = rng.uniform((20, 20), (HEIGHT - 20, WIDTH - 20))
        for maps in (heat, points):
            for each in maps:
                at = middle + rng.normal(0, 8, 2)
                squares = (rows - at[0]) ** 2 + (columns - at[1]) ** 2
                gaussian = rng.uniform(0.5, 1) * np.exp(-squares / 8)
                np.maximum(each.numpy(), gaussian, out=each.numpy(), casting="unsafe")
    mirrored = offsets.flip(-1)[:, MIRROR].clone()
    mirrored[:, :, 0] *= -1
    both = torch.stack([offsets, mirrored]).reshape(2, -1, HEIGHT, WIDTH)
    return (
        torch.stack([heat, heat[MIRROR].flip(-1)]),
        torch.stack([points, points.flip(-1)]),
        both,
    )


def find_dekr(heat: Tensor, points: Tensor, offsets: Tensor) -> Found:
    """Return what DEKR finds."""
    maps = regression.ScaleMaps(1.0, torch.cat([heat, points], dim=1), offsets)
    return regression.find([maps], torch.tensor(MIRROR))[0]


def find_pinet(heat: Tensor, points: Tensor, offsets: Tensor) -> Found:
    """Return what PINet finds, without its refinement, which is part of the network."""
    maps = parts.PartMaps(1.0, heat, heat, points, offsets)
    return parts.find([maps], torch.tensor(MIRROR), torch.arange(points.shape[1]))


def poses_of(found: Found) -> Poses:
    """Return people as candidates of an image."""
    n = len(found.points)
    none = np.zeros(n, np.int64)
    return Poses(
        none, found.points, found.keypoint_scores, found.scores, none - 1, none,
        areas=np.ptp(found.points, axis=1).prod(axis=1), ranks=found.ranks,
    )  # fmt: skip


def in_a_loop(
    heat: Tensor,
    points: Tensor,
    offsets: Tensor,
    read: Callable[[Tensor, float, float], float],
) -> Array:
    """Return (n, K, 3): x, y and score of all candidates, joint by joint on enlarged heatmaps."""
    maps = (heat[0] + heat[1][MIRROR].flip(-1)) / 2
    size = 4 * (HEIGHT - 1) + 1, 4 * (WIDTH - 1) + 1
    large = torch.nn.functional.interpolate(maps[None], size, mode="bilinear", align_corners=True)
    large = torch.nn.functional.pad(large, (0, 3, 0, 3), mode="replicate")[0].double()
    centres = (points[0] + points[1].flip(-1)) / 2
    highest = torch.nn.functional.max_pool2d(centres[None], 3, 1, 1)[0]
    people = []
    for part, (centre, top) in enumerate(zip(centres, highest, strict=True)):
        values, places = torch.where(centre == top, centre, 0).flatten().topk(30)
        for value, place in zip(values.tolist(), places.tolist(), strict=True):
            if value <= 0.01:
                continue
            row, column = divmod(place, WIDTH)
            pose = np.zeros((K, 3))
            for joint in range(K):
                channel, other = (2 * (part * K + k) for k in (joint, MIRROR[joint]))
                back = WIDTH - 1 - column
                x = column - float(offsets[0, channel, row, column])
                y = row - float(offsets[0, channel + 1, row, column])
                mx = WIDTH - 1 - (back - float(offsets[1, other, row, back]))
                my = row - float(offsets[1, other + 1, row, back])
                x, y = 4 * (x + mx) / 2, 4 * (y + my) / 2
                pose[joint] = x, y, value * read(large[joint], x, y)
            people.append(pose)
    return np.array(people)


def floored(large: Tensor, x: float, y: float) -> float:
    """Return DEKR's reading of a heatmap."""
    column = min(max(int(np.floor(x)), 0), large.shape[1] - 1)
    return float(large[min(max(int(np.floor(y)), 0), large.shape[0] - 1), column])


def bilinear(large: Tensor, x: float, y: float) -> float:
    """Return PINet's reading of a heatmap."""
    left, upper = int(x), int(y)
    if not (0 <= left < large.shape[1] - 1 and 0 <= upper < large.shape[0] - 1):
        return 0.0
    if x <= -1 or y <= -1:
        return 0.0
    (a, b), (c, d) = large[upper : upper + 2, left : left + 2].tolist()
    across, down = x - left, y - upper
    above, below = a + (b - a) * across, c + (d - c) * across
    return float(above + (below - above) * down)


if __name__ == "__main__":
    main()
