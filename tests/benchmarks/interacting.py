"""PI-Net's passes over an image as one batch, beside the same passes one by one.

    python tests/benchmarks/interacting.py [--repeats N] [--device DEVICE]

Prints a Markdown table: for images of so many persons the milliseconds of an image, in which each
person has a pass of its own; both ways must find the same poses. They take turns, and the best of
the repeats counts. On a CPU one thread computes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from predictors.networks import create
from predictors.space.ordering import NEAR, sequences

COUNTS = (1, 2, 3, 5, 10, 20)
VARIANTS = ("pi-net", "pi-net-lstm-4", "pi-net-gcn")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | persons | one batch, ms | one by one, ms | ratio |")
    print("|---|--:|--:|--:|--:|")
    with torch.inference_mode():
        for variant in VARIANTS:
            torch.manual_seed(0)
            network = create(variant).eval().to(arguments.device)

            def first_of(poses: Tensor, network: torch.nn.Module = network) -> Tensor:
                found: Tensor = network(poses, first_only=True)
                return found[:, 0].cpu()

            for n in COUNTS:
                measure(variant, first_of, passes_of(n).to(arguments.device), arguments.repeats)


def passes_of(n: int) -> Tensor:
    """Return (n, n, 17, 3) mm: the passes of an image of n persons."""
    rng = np.random.default_rng(n)
    middles = rng.uniform((-3000, -300, 4000), (3000, 300, 9000), (n, 1, 3))
    joints = (middles + rng.normal(0, 300, (n, 17, 3))).astype(np.float32)
    rows = sequences(middles[:, 0].astype(np.float64), NEAR, collapses=False, seed=0)
    return torch.from_numpy(joints[rows])


def measure(
    variant: str, first_of: Callable[[Tensor], Tensor], passes: Tensor, repeats: int
) -> None:
    """Print a row."""
    ways: tuple[Callable[[], Tensor], ...] = (
        lambda: first_of(passes),
        lambda: torch.cat([first_of(passes[i : i + 1]) for i in range(len(passes))]),
    )
    best = [np.inf] * len(ways)
    for _ in range(repeats):
        results = []
        for i, way in enumerate(ways):
            started = time.perf_counter()
            results.append(way())
            best[i] = min(best[i], time.perf_counter() - started)
        torch.testing.assert_close(*results, rtol=0, atol=0.1)
    batch, single = (1000 * seconds for seconds in best)
    print(f"| {variant} | {len(passes)} | {batch:.2f} | {single:.2f} | {single / batch:.1f} |")


if __name__ == "__main__":
    main()
