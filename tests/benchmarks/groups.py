"""Persons in groups: those of a length stacked, beside all padded to the longest and masked.

    python tests/benchmarks/groups.py [--repeats N] [--device cpu]

Prints a Markdown table. Both run the second stage of I2R-Net alone, on made-up features and random
weights; they take turns, and the best of the repeats counts. Padding is what the official program
does with a batch.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from predictors.networks import create
from predictors.networks.i2r import TwoStageI2RNet

NETWORK = "i2r-net-transpose-h-crowdpose-256x192"
MOST = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    network = cast("TwoStageI2RNet", create(NETWORK)).eval().to(arguments.device)
    crowds = np.random.default_rng(0).integers(1, MOST + 1, 12).tolist()
    cases = {
        "12 images with 1 to 10 persons": crowds,
        "one image with 40, 20 with one": [40, *[1] * 20],
        "16 images with 4": [4] * 16,
    }
    print(f"Second stage of {NETWORK}, {arguments.device}, seconds\n")
    print("| a batch of | stacked | padded and masked | ratio | largest difference |")
    print("|---|--:|--:|--:|--:|")
    for words, lengths in cases.items():
        features = torch.randn(sum(lengths), 96, 64, 48, device=arguments.device)
        with torch.inference_mode():
            ways: tuple[Callable[[], Tensor], ...] = (
                lambda f=features, n=lengths: network.inter(f, None, n),  # type: ignore[misc]
                lambda f=features, n=lengths: padded(network, f, n),  # type: ignore[misc]
            )
            found = [way() for way in ways]
            gap = float((found[0] - found[1]).abs().max())
            seconds = [[_seconds(way) for way in ways] for _ in range(arguments.repeats)]
        ours, theirs = np.min(seconds, axis=0)
        print(f"| {words} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} | {gap:.1e} |")


def _seconds(way: Callable[[], Tensor]) -> float:
    clock = time.perf_counter()
    # A number of it, so that an accelerator has finished.
    float(way()[0, 0, 0, 0])
    return time.perf_counter() - clock


def padded(network: TwoStageI2RNet, features: Tensor, lengths: Sequence[int]) -> Tensor:
    """Return the heatmaps by one sequence for each image, all as long as the longest."""
    maps, _ = network._tokens(features, None)
    n_tokens = maps.shape[2] * maps.shape[3]
    parts = maps.flatten(2).transpose(1, 2).split(list(lengths))
    longest = max(lengths) * n_tokens
    rows = [part.reshape(-1, maps.shape[1]) for part in parts]
    tokens = torch.stack([pad(row, (0, 0, 0, longest - len(row))) for row in rows])
    masked = torch.stack([torch.arange(longest, device=tokens.device) >= len(row) for row in rows])
    for layer in cast("Any", network.multi_global_encoder.layers):
        attended, _ = layer.self_attn(
            tokens, tokens, tokens, key_padding_mask=masked, need_weights=False
        )
        tokens = layer.norm1(tokens + attended)
        tokens = layer.norm2(tokens + layer.linear2(layer.linear1(tokens).relu()))
    related = tokens[~masked].reshape(-1, n_tokens, maps.shape[1]).transpose(1, 2)
    up = network._upsampled(related.reshape(maps.shape), features)
    return cast("Tensor", network.final_layer(up))


if __name__ == "__main__":
    main()
