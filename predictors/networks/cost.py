"""What a network costs: its parameters, and the multiply-adds of a pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from crowdbench.predictor import Cost


def cost_of(build: Callable[[], nn.Module], run: Callable[[nn.Module], object]) -> Cost:
    """Return what a network costs, without running it.

    Args:
        build: makes the network.
        run: makes the inputs and passes them through the network it is given.

    Both are called under ``torch.device("meta")``: tensors they make have shapes only, so neither
    memory nor time is spent. The network is in evaluation mode.

    Counted are convolutions, transposed convolutions, matrix products and attention. Not counted is
    what costs few operations or none per value: batch-norm, biases, activations, pooling, sums,
    up-sampling, reading between pixels, and the products of modulation blocks. So a deformable
    convolution counts as a regular one and what makes its offsets.

    The ``gflops`` are those of the tables of SimpleBaseline, HRNet and their followers, which
    differ from the multiply-adds in two ways:

    * The unit is 2^30, not 10^9: HRNet-W32 at 256x192 needs 7.65 10^9 multiply-adds and has 7.1.
    * A transposed convolution is counted as if each *output* value took the whole kernel. With
      stride 2 three quarters of that never happen: SimpleBaseline R-50 at 256x192 needs 5.43 10^9
      and has 8.9.

    Source: inferred from the ten rows of the official tables. HRNet's are met to the digit they
    give; SimpleBaseline's are met within 1.2 %, and where that comes from was not found. The table
    of PINet has the second difference but not the first: its unit is 10^9 (and it leaves out pose
    refinement, as it does from the parameters). HigherHRNet, DEKR, SPM and PINet are met within
    0.6 %.

    >>> cost_of(lambda: nn.Linear(3, 2), lambda network: network(torch.zeros(10, 3))).multiply_adds
    60
    """
    # What the tables count on top, by operation.
    more: list[int] = []

    def convolution(
        image: Sequence[int],
        weight: Sequence[int],
        _bias: object,
        _stride: object,
        _padding: object,
        _dilation: object,
        transposed: bool,
        *_: object,
        out_shape: Sequence[int],
        **__: object,
    ) -> int:
        by_input, by_output = (
            2 * shape[0] * math.prod(shape[2:]) * math.prod(weight) for shape in (image, out_shape)
        )
        more.append(by_output - by_input if transposed else 0)
        return by_input if transposed else by_output

    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution: convolution}
    )
    with torch.device("meta"), torch.no_grad():
        network = build().eval()
        with counter:
            run(network)
    # The counter calls a multiply-add two operations.
    flops = int(counter.get_total_flops())
    return Cost(n_parameters(network), flops // 2, (flops + sum(more)) / 2 / 2**30)


def n_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
