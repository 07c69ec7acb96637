"""What a network costs: its parameters, and the multiply-adds of a pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def n_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def multiply_adds(build: Callable[[], nn.Module], run: Callable[[nn.Module], object]) -> int:
    """Return the multiply-adds of one pass; most papers of this field call them FLOPs.

    Args:
        build: makes the network.
        run: makes the inputs and passes them through the network it is given.

    Both are called under ``torch.device("meta")``: tensors they make have shapes only, so neither
    memory nor time is spent. The network is in evaluation mode.

    Counted are convolutions, transposed convolutions, matrix products and attention. Not counted is
    what costs one operation or none per value: batch-norm, biases, activations, pooling, sums,
    up-sampling, and the products of modulation blocks.

    >>> multiply_adds(lambda: nn.Linear(3, 2), lambda network: network(torch.zeros(10, 3)))
    60
    """
    return _counted(build, run, {})


def published_gflops(build: Callable[[], nn.Module], run: Callable[[nn.Module], object]) -> float:
    """Return the "GFLOPs" that the tables of SimpleBaseline, HRNet and their followers give.

    Args:
        build: makes the network.
        run: makes the inputs and passes them through the network it is given.

    They differ from `multiply_adds` in two ways:

    * The unit is 2^30, not 10^9: HRNet-W32 at 256x192 needs 7.65 10^9 multiply-adds and has 7.1.
    * A transposed convolution is counted as if each *output* value took the whole kernel. With
      stride 2 three quarters of that never happen: SimpleBaseline R-50 at 256x192 needs 5.43 10^9
      and has 8.9.

    Source: inferred from the ten rows of the official tables. HRNet's are met to the digit they
    give; SimpleBaseline's are met within 1.2 %, and where that comes from was not found.
    """
    return _counted(build, run, {torch.ops.aten.convolution: _flops_by_output}) / 2**30


def _counted(
    build: Callable[[], nn.Module], run: Callable[[nn.Module], object], formulas: dict[Any, Any]
) -> int:
    """Return the multiply-adds, counting some operations by other formulas than torch's."""
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    with torch.device("meta"), torch.no_grad():
        network = build().eval()
        with counter:
            run(network)
    # The counter calls a multiply-add two operations.
    return int(counter.get_total_flops()) // 2


def _flops_by_output(
    image: Sequence[int],
    weight: Sequence[int],
    *_: object,
    out_shape: Sequence[int],
    **__: object,
) -> int:
    """Return two operations for each weight and position of the output."""
    batch, _channels, *size = out_shape
    return 2 * batch * math.prod(size) * math.prod(weight)
