"""DEKR's heads beside its trunk; the blocks of all keypoints at once, and one after the other.

    python tests/benchmarks/deformable.py [--repeats N] [--device cpu] [--threads N]

Prints Markdown tables: seconds of a pass over one image, and of a training step. Weights are random
and kernels moved a little. All take turns, and the best of the repeats counts. The heads run as
many keypoints at once as suits the device; the official program runs one after the other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from predictors.networks import VARIANTS, create
from predictors.networks.dekr import DEKR, AdaptiveBlock, adaptive_blocks
from predictors.networks.hrnet import joined

PASSES = ("dekr-w32-512", "dekr-w48-640")
STEPS = ("dekr-tiny",)
BATCH = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"One image, {arguments.device}, {arguments.threads} threads, seconds\n")
    print("| network | trunk | heads | heads / trunk | blocks at once | one by one | difference |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name in PASSES:
        print(_pass(name, arguments.device, arguments.repeats))
    print(f"\nA training step with {BATCH} images, {arguments.device}, seconds\n")
    print("| network | trunk alone | all | all / trunk |")
    print("|---|--:|--:|--:|")
    for name in STEPS:
        print(_step(name, arguments.device, arguments.repeats))


@torch.inference_mode()
def _pass(name: str, device: str, repeats: int) -> str:
    """Return the row of a network that sees one image."""
    network = _made(name, device).eval()
    images = torch.randn(1, 3, *VARIANTS[name].input_size, device=device)
    features = joined(network.features(images))
    maps = network.transition_offset(features)
    layers = [cast("nn.Sequential", row) for row in network.offset_feature_layers]

    def together() -> Tensor:
        out = maps
        for blocks in zip(*layers, strict=True):
            out = adaptive_blocks(out, cast("tuple[AdaptiveBlock, ...]", blocks))
        return out

    def one_by_one() -> Tensor:
        found = []
        for part, row in zip(maps.chunk(len(layers), 1), layers, strict=True):
            out = part
            for block in cast("Iterable[AdaptiveBlock]", row):
                out = adaptive_blocks(out, [block])
            found.append(out)
        return torch.cat(found, 1)

    gap = float((together() - one_by_one()).abs().max())
    trunk, heads, at_once, single = _best(
        [
            lambda: joined(network.features(images)),
            lambda: network.heads(features),
            together,
            one_by_one,
        ],
        device,
        repeats,
    )
    blocks = f"{at_once:.2f} | {single:.2f}"
    return f"| {name} | {trunk:.2f} | {heads:.2f} | {heads / trunk:.2f} | {blocks} | {gap:.1e} |"


def _step(name: str, device: str, repeats: int) -> str:
    """Return the row of a network that is trained."""
    network = _made(name, device).train()
    images = torch.randn(BATCH, 3, *VARIANTS[name].input_size, device=device)

    def step(run: Callable[[Tensor], Iterable[Tensor]]) -> None:
        network.zero_grad()
        torch.stack([maps.square().mean() for maps in run(images)]).sum().backward()

    trunk, everything = _best(
        [lambda: step(network.features), lambda: step(network)], device, repeats
    )
    return f"| {name} | {trunk:.2f} | {everything:.2f} | {everything / trunk:.2f} |"


def _made(name: str, device: str) -> DEKR:
    """Return a network whose kernels are not regular."""
    torch.manual_seed(0)
    network = cast("DEKR", create(name))
    for block in network.modules():
        if isinstance(block, AdaptiveBlock):
            for layer in (block.transform_matrix_conv, block.translation_conv):
                nn.init.normal_(layer.weight, 0, 0.05)
    return network.to(device)


def _best(calls: list[Callable[[], object]], device: str, repeats: int) -> list[float]:
    """Return the least seconds of each; they take turns, after one turn that does not count."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats + 1):
        for times, call in zip(found, calls, strict=True):
            start = time.perf_counter()
            call()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return [min(times[1:]) for times in found]


if __name__ == "__main__":
    main()
