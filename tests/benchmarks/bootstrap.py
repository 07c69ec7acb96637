"""What intervals cost: all metrics on 1,000 resamples, beside evaluating each resample.

    python tests/benchmarks/bootstrap.py [--crowdpose ANNOTATIONS PREDICTIONS] [--repeats N]

Prints a Markdown table of seconds of processor time, the best of the repeats; one thread works.
"Resamples" are those that BCa intervals take: 1,000 drawn ones, 200 with a group of images left
out, and the split itself. The loop evaluates a few of them on copied images and is extrapolated;
copying is not counted. Sizes are those of ``matches.npz`` as it is and compressed.
"""

from __future__ import annotations

import argparse
import lzma
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from copied_images import copy_images
from problems_2d import add_crowdpose_option, made_problems

from crowdbench.conditions.choice import cut_split, resolve
from crowdbench.conditions.condition import Cut, Subject
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets import Split, load_own
from crowdbench.datasets.split import LEVEL_LIMITS
from crowdbench.metrics import RESAMPLES
from crowdbench.metrics.bootstrap import SEED, bootstrap
from crowdbench.metrics.evaluation import Evaluation, evaluate
from crowdbench.metrics.sample import draw, sample_bytes
from crowdbench.metrics.sample_2d import Group, Name, Sample2D, sample_2d
from crowdbench.metrics.slices import Slice
from crowdbench.results_format import read_results
from crowdbench.skeletons import load_skeleton
from crowdbench.structures import Poses

COPIED = 3
T = TypeVar("T")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_crowdpose_option(parser)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(
        "| | one evaluation | resamples, whole split | ratio | loop | with all conditions | rows "
        "| numbers | matches.npz | compressed |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    with made_problems(arguments.crowdpose) as problems:
        for name, annotations, predictions, skeleton in problems:
            split = load_own(annotations, load_skeleton(skeleton))
            poses = read_results(predictions, predictions.read_bytes(), split).poses
            print(f"| {name} | {' | '.join(_cells(split, poses, arguments.repeats))} |")


def _cells(split: Split, poses: Poses, repeats: int) -> list[str]:
    assert split.truth is not None
    truth, sigmas = split.truth, split.skeleton.sigma_array
    limits, level = None, None
    if split.has_levels:
        limits = LEVEL_LIMITS
        level = np.digitize(truth.crowd_index, limits)
    names, slices = _rows(split, poses)

    def resample(result: Evaluation, names: list[Name | None]) -> Sample2D:
        sample = sample_2d(truth, [Group(result, names)], level)
        bootstrap(sample, sample.keys)
        return sample

    plain, result = _best(lambda: evaluate(truth, poses, sigmas, limits), repeats)
    whole, _ = _best(lambda: resample(result, [(None, None)]), repeats)
    sliced = evaluate(truth, poses, sigmas, limits, slices=slices)
    more, sample = _best(lambda: resample(sliced, [(None, None), *names]), 1)
    weights = draw(len(truth.image_ids), RESAMPLES, SEED)
    loop = 0.0
    for b in range(COPIED):
        copied = copy_images(truth, poses, weights[:, b])
        seconds, _ = _best(lambda copied=copied: evaluate(*copied[:2], sigmas, limits), 1)
        loop += seconds / COPIED * RESAMPLES
    content = sample_bytes(sample)
    return [
        f"{plain * 1000:.0f} ms",
        f"{whole:.2f} s",
        f"{whole / plain:.1f}",
        f"{loop:.0f} s ({loop / whole:.0f})",
        f"{more:.1f} s",
        str(len(slices)),
        str(len(sample.keys)),
        f"{len(content) / 1000:.0f} kB",
        f"{len(lzma.compress(content)) / 1000:.0f} kB",
    ]


def _rows(split: Split, poses: Poses) -> tuple[list[Name | None], list[Slice]]:
    """Return names and slices of the rows of all conditions."""
    assert split.truth is not None
    settings = resolve(ConditionSettings(), split.skeleton)
    rows = [
        (condition.name, row)
        for condition, _, cut in cut_split(settings, Subject(split.truth, split.skeleton, poses))
        if isinstance(cut, Cut)
        for row in cut.rows
    ]
    names: list[Name | None] = [(name, row.label) for name, row in rows]
    return names, [Slice(row.poses, row.persons, row.images) for _, row in rows]


def _best(work: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Return the least seconds of processor time, and what the work returns."""
    least = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        least = min(least, time.process_time() - start)
    return least, result


if __name__ == "__main__":
    main()
