"""Do the intervals hold what they promise, and what does the gate find? On simulated splits.

    python tests/benchmarks/intervals.py [--splits 300] [--only coverage|gate]

Prints Markdown tables. Coverage: how often the 95 % interval of a metric contains the metric's true
value, that of a split without end, which is the mean over many large simulated ones. Gate: how
often the rule of a gate passes, fails or stays undecided when the second model is as good as the
first (every fail is a false alarm), 1 point of AP worse, or 2.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from simulated import simulate
from tabulate import tabulate

from crowdbench.gate import RESAMPLES as GATE_RESAMPLES
from crowdbench.gate.judging import verdict_of
from crowdbench.metrics import RESAMPLES
from crowdbench.metrics.bootstrap import bootstrap, intervals
from crowdbench.metrics.evaluation import evaluate
from crowdbench.metrics.sample import Key
from crowdbench.metrics.sample_2d import Group, Sample2D, sample_2d
from crowdbench.skeletons import COCO_17
from crowdbench.structures import GroundTruth, Poses

METRICS = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "PCK")
KEYS = tuple(map(Key, METRICS))
SIZES = (500, 2_500)
DROPS = (0.0, 1.0, 2.0)
LIMITS = (0.0, 0.5)
N_LARGE, LARGE = 20, 20_000
# Seeds of the splits that are tested start here; the large ones have the seeds below.
FIRST_SEED = 1_000


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=300)
    parser.add_argument("--only", choices=("coverage", "gate"))
    asked = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        if asked.only != "gate":
            print(coverage(pool, asked.splits), end="\n\n")
        if asked.only != "coverage":
            print(power(pool, asked.splits))


def coverage(pool: ProcessPoolExecutor, n_splits: int) -> str:
    """Return how often intervals contain the true values, as Markdown."""
    true = np.mean(list(pool.map(partial(_numbers, LARGE), range(N_LARGE))), 0)
    rows = []
    for size in SIZES:
        seeds = range(FIRST_SEED, FIRST_SEED + n_splits)
        found = np.array(list(pool.map(partial(_ends, size), seeds, chunksize=5)))
        low, high = found[:, :, 0], found[:, :, 1]
        holds = (low <= true[:, None]) & (true[:, None] <= high)
        widths = (high - low)[:, :, 1].mean(0) / 2
        for i, metric in enumerate(METRICS):
            percentile, bca = 100 * holds[:, i].mean(0)
            rows.append(
                (f"{size:,}", metric, f"{100 * true[i]:.1f}", f"{100 * widths[i]:.1f}",
                 f"{percentile:.1f}", f"{bca:.1f}")
            )  # fmt: skip
    header = ("images", "metric", "true %", "half width", "percentile holds %", "BCa holds %")
    return tabulate(rows, header, "pipe", disable_numparse=True, colalign=_aligned(header))


def power(pool: ProcessPoolExecutor, n_splits: int) -> str:
    """Return what the gate says of models that are equally good, and of worse ones, as Markdown."""
    rows = []
    for drop, size in itertools.product(DROPS, SIZES):
        shift = _shift_for(pool, drop)
        seeds = range(FIRST_SEED, FIRST_SEED + n_splits)
        found = list(pool.map(partial(_verdicts, size, shift), seeds, chunksize=5))
        for i, limit in enumerate(LIMITS):
            here = [verdicts[i] for verdicts in found]
            shares = [100 * here.count(v) / n_splits for v in ("pass", "undecided", "fail")]
            rows.append(
                (f"{drop:g}", f"{size:,}", f"AP: drop <= {limit:g}", *(f"{s:.1f}" for s in shares))
            )
    header = ("true drop of AP", "images", "rule", "pass %", "undecided %", "fail %")
    return tabulate(rows, header, "pipe", disable_numparse=True, colalign=_aligned(header))


def _aligned(header: Iterable[str]) -> list[str]:
    return ["left" if name in ("metric", "rule") else "right" for name in header]


def _sample(truth: GroundTruth, poses: Poses) -> Sample2D:
    evaluation = evaluate(truth, poses, COCO_17.sigma_array)
    return sample_2d(truth, [Group(evaluation, [(None, None)])], None)


def _numbers(size: int, seed: int) -> list[float]:
    simulated = simulate(size, seed)
    values = evaluate(simulated.truth, simulated.first, COCO_17.sigma_array).values
    return [values[metric].value or 0.0 for metric in METRICS]


def _ends(size: int, seed: int) -> list[list[tuple[float, ...]]]:
    """Return by metric the low ends of both intervals, and the high ends."""
    simulated = simulate(size, seed)
    replicates = bootstrap(_sample(simulated.truth, simulated.first), KEYS, RESAMPLES)
    found = [interval for interval in intervals(replicates) if interval is not None]
    return [list(zip(i.percentile, i.bca or i.percentile, strict=True)) for i in found]


def _shift_for(pool: ProcessPoolExecutor, drop: float) -> float:
    """Return the shift of the second model that makes its true AP lower by `drop` points."""
    if drop == 0:
        return 0.0
    low, high = 0.0, 0.16
    for _ in range(7):
        middle = (low + high) / 2
        found = np.mean(list(pool.map(partial(_drop, middle), range(N_LARGE // 2))))
        low, high = (middle, high) if found < drop else (low, middle)
    return (low + high) / 2


def _drop(shift: float, seed: int) -> float:
    simulated = simulate(LARGE, seed, shift)
    first, second = (
        evaluate(simulated.truth, poses, COCO_17.sigma_array).values["AP"].value or 0.0
        for poses in (simulated.first, simulated.second)
    )
    return 100 * (first - second)


def _verdicts(size: int, shift: float, seed: int) -> list[str]:
    """Return the gate's verdict for each of the limits."""
    simulated = simulate(size, seed, shift)
    first, second = (
        bootstrap(_sample(simulated.truth, poses), KEYS[:1], GATE_RESAMPLES)
        for poses in (simulated.first, simulated.second)
    )
    (interval,) = intervals(second - first)
    assert interval is not None
    return [verdict_of(interval, -limit / 100, higher_is_better=True) for limit in LIMITS]


if __name__ == "__main__":
    main()
