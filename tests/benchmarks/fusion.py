"""Merging by fusion and by near joints, for all images at once, beside a loop over the candidates.

    python tests/benchmarks/fusion.py [--repeats N] [--images N]

Prints a Markdown table: one image with a crowd, and many such images. The loop takes candidate by
candidate of an image, as the official programs do, and compares each with all that are left in one
go. Both give the same poses, which is checked; they take turns, and the best of the repeats counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from crowdbench.merging import Merging, final_poses
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, Poses

N_PERSONS = 30
SIGMAS = COCO_17.sigma_array
Loop = Callable[[Poses, Merging], Array]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    rules: dict[str, tuple[Merging, Loop]] = {
        "oks-fusion": (Merging("oks-fusion", 0.7), fused_in_a_loop),
        "near-joints": (Merging("near-joints", most=0), near_in_a_loop),
    }
    print(f"{N_PERSONS} persons with 3 or 4 candidates each in an image, seconds\n")
    print("| rule | images | candidates | final poses | all at once | loop | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for n_images in (1, arguments.images):
        poses = crowds(n_images)
        for name, (rule, loop) in rules.items():
            seconds = np.empty((arguments.repeats, 2))
            for repeat in range(arguments.repeats):
                clock = time.perf_counter()
                final = final_poses(poses, rule, SIGMAS)
                seconds[repeat, 0] = time.perf_counter() - clock
                clock = time.perf_counter()
                expected = loop(poses, rule)
                seconds[repeat, 1] = time.perf_counter() - clock
            assert np.array_equal(final.keypoints, expected), f"{name}: other poses"
            ours, theirs = seconds.min(0)
            print(
                f"| {name} | {n_images:,} | {len(poses):,} | {len(final):,} | {ours:.4f} | "
                f"{theirs:.4f} | {theirs / ours:.1f} |"
            )


def crowds(n_images: int) -> Poses:
    """Return candidates of images with a crowd each, those of a person close to each other."""
    rng = np.random.default_rng(0)
    counts = rng.integers(3, 5, n_images * N_PERSONS)
    person = np.repeat(np.arange(len(counts)), counts)
    persons = rng.uniform(0, 1900, (len(counts), 1, 2)) + rng.uniform(0, 120, (len(counts), 17, 2))
    points = persons[person] + rng.normal(0, 2, (len(person), 17, 2))
    image = person // N_PERSONS
    shuffled = np.lexsort((rng.random(len(person)), image))
    keypoint_scores = rng.random((len(person), 17))
    return Poses(
        image_index=image,
        keypoints=points[shuffled],
        keypoint_scores=keypoint_scores,
        scores=keypoint_scores.mean(1),
        box_index=np.full(len(person), -1),
        instance=np.zeros(len(person), np.int64),
        areas=np.ptp(points[shuffled], axis=1).prod(-1),
    )


def fused_in_a_loop(poses: Poses, rule: Merging) -> Array:
    """Return the keypoints of the fused poses, image by image and group by group."""
    assert poses.areas is not None
    found, variances = [], (2 * SIGMAS) ** 2
    for rows in _images(poses):
        left, fused = rows[np.argsort(-poses.scores[rows], kind="stable")], {}
        while len(left):
            best, left = int(left[0]), left[1:]
            squared = ((poses.keypoints[left] - poses.keypoints[best]) ** 2).sum(-1) / variances
            area = (poses.areas[left] + poses.areas[best]) / 2
            alike = np.exp(-squared / area[:, None] / 2).mean(1) > rule.oks
            points, scores = poses.keypoints[best].copy(), poses.keypoint_scores[best].copy()
            for row in left[alike]:
                better = poses.keypoint_scores[row] > scores
                points[better] = poses.keypoints[row, better]
                scores[better] = poses.keypoint_scores[row, better]
            fused[best], left = points, left[~alike]
        found += [fused[row] for row in sorted(fused)]
    return np.array(found)


def near_in_a_loop(poses: Poses, rule: Merging) -> Array:
    """Return the keypoints of the poses that stay, image by image and candidate by candidate."""
    kept = []
    for rows in _images(poses):
        ignored: set[int] = set()
        for row in rows.tolist():
            if row in ignored:
                continue
            limit = rule.share * np.hypot(*np.ptp(poses.keypoints[row], axis=0))
            distances = np.sqrt(((poses.keypoints[rows] - poses.keypoints[row]) ** 2).sum(-1))
            near = rows[((distances < limit).sum(1) > rule.joints) | (rows == row)]
            chosen = int(near[np.argmax(poses.scores[near])])
            if chosen not in ignored:
                kept.append(chosen)
                ignored.update(near.tolist())
    return poses.keypoints[np.sort(kept)]


def _images(poses: Poses) -> list[Array]:
    starts = np.flatnonzero(np.diff(poses.image_index)) + 1
    return np.split(np.arange(len(poses)), starts)


if __name__ == "__main__":
    main()
