"""What networks cost: by hand, and beside the official tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from predictors.networks import VARIANTS, create
from predictors.networks.cost import cost_of, n_parameters
from predictors.networks.dekr import AdaptiveBlock, adaptive_blocks
from predictors.networks.mipnet import selectors
from predictors.networks.transformer import Encoder

PUBLISHED = {
    "simplebaseline-r50-256x192": 8.9,
    "simplebaseline-r50-384x288": 20.0,
    "simplebaseline-r101-256x192": 12.4,
    "simplebaseline-r101-384x288": 27.9,
    "simplebaseline-r152-256x192": 15.7,
    "simplebaseline-r152-384x288": 35.3,
    "hrnet-w32-256x192": 7.1,
    "hrnet-w32-384x288": 16.0,
    "hrnet-w48-256x192": 14.6,
    "hrnet-w48-384x288": 32.9,
}


def one_crop(variant: str) -> Callable[[nn.Module], object]:
    return lambda network: network(torch.zeros(1, 3, *VARIANTS[variant].input_size))


@pytest.mark.parametrize("variant", PUBLISHED)
def test_gflops_are_near_the_published_ones(variant: str) -> None:
    found = cost_of(lambda: create(variant), one_crop(variant)).gflops
    assert found == pytest.approx(PUBLISHED[variant], rel=0.015)
    if variant.startswith("hrnet"):
        assert round(found, 1) == PUBLISHED[variant]


# Table 3 of PINet, at 512x512: millions of parameters, and 10^9 multiply-adds.
BOTTOM_UP = {
    "spm-w32-512": (29.3, 41.8),
    "higherhrnet-w32-512": (28.6, 47.7),
    "dekr-w32-512": (29.6, 45.4),
    "pinet-w32-ochuman-512": (29.4, 42.4),
}


@pytest.mark.parametrize("variant", BOTTOM_UP)
def test_costs_of_bottom_up_networks_are_near_the_published_ones(variant: str) -> None:
    found = cost_of(lambda: create(variant), one_crop(variant))
    parameters, operations = BOTTOM_UP[variant]
    assert found.gflops * 2**30 / 1e9 == pytest.approx(operations, rel=0.006)
    refinement = 2_332_163 if variant.startswith("pinet") else 0
    assert round((found.parameters - refinement) / 1e6, 1) == parameters


def test_deformable_convolutions_cost_a_regular_one_and_their_offsets() -> None:
    def build() -> nn.Module:
        return nn.ModuleList(AdaptiveBlock(5) for _ in range(3))

    found = cost_of(build, lambda blocks: adaptive_blocks(torch.zeros(2, 15, 8, 6), [*blocks]))
    # Matrix and translation, offsets of them, the kernel.
    each = 9 * 5 * 6 + 18 * 6 + 9 * 5 * 5
    assert found.multiply_adds == 2 * 8 * 6 * 3 * each


def test_a_convolution_costs_its_kernel_at_each_output() -> None:
    def run(network: nn.Module) -> object:
        return network(torch.zeros(2, 3, 8, 6))

    def plain() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU())

    def transposed() -> nn.Module:
        return nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1)

    assert cost_of(plain, run).multiply_adds == 2 * (4 * 3) * (3 * 4 * 9)
    assert cost_of(plain, run).gflops * 2**30 == 2 * (4 * 3) * (3 * 4 * 9)
    # Each input value meets the whole kernel once; the tables count each output value.
    assert cost_of(transposed, run).multiply_adds == 2 * (8 * 6) * (3 * 4 * 16)
    assert cost_of(transposed, run).gflops * 2**30 == 2 * (16 * 12) * (3 * 4 * 16)
    assert cost_of(transposed, run).parameters == 3 * 4 * 16 + 4


def test_a_second_instance_costs_less_than_a_second_pass() -> None:
    def passes(n: int) -> Callable[[Any], object]:
        return lambda network: network.forward_instances(
            torch.zeros(1, 3, 256, 192), selectors(2)[:n]
        )

    def build() -> nn.Module:
        return create("mipnet-hrnet-w32-256x192")

    one, two = (cost_of(build, passes(n)).multiply_adds for n in (1, 2))
    assert one == pytest.approx(7.645e9, rel=1e-3)
    assert 1.3 < two / one < 1.5


@pytest.mark.parametrize("n", [1, 3])
def test_attention_costs_what_its_matrix_products_do(n: int) -> None:
    tokens, width, hidden, layers = 50, 24, 48, 2
    found = cost_of(
        lambda: Encoder(width, layers, hidden),
        lambda network: network(torch.zeros(n, tokens, width), torch.zeros(1, tokens, width)),
    )
    linear = tokens * (4 * width**2 + 2 * width * hidden)
    assert found.multiply_adds == n * layers * (linear + 2 * tokens**2 * width)


def test_only_trainable_parameters_are_counted() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    assert n_parameters(network) == 6 + 2 + 2 + 2
    network[0].requires_grad_(False)
    assert n_parameters(network) == 4
