"""Deformable convolution: regular without offsets, equal to a loop with them; the compiled one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from predictors.networks import deformable
from predictors.networks.deformable import (
    deformable_convolution,
    regular_taps,
    sampled_convolution,
)


def problem(
    n: int = 2, groups: int = 3, channels: int = 2, height: int = 5, width: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    """Return maps, offsets of a pixel or so, of which many lead outside, and weights."""
    generator = torch.Generator().manual_seed(0)
    shapes = (
        (n, groups * channels, height, width),
        (n, groups * 18, height, width),
        (groups * channels, channels, 3, 3),
    )
    maps, offsets, weight = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    return maps, offsets * 1.5, weight


def by_hand(maps: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """Return what a loop over everything computes."""
    n, n_channels, height, width = maps.shape
    channels = weight.shape[1]
    out = torch.zeros(n, len(weight), height, width, dtype=maps.dtype)
    places = offsets.reshape(n, -1, 9, 2, height, width)

    def read(image: int, channel: int, y: float, x: float) -> float:
        total = 0.0
        top, left = int(y // 1), int(x // 1)
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            if 0 <= row < height and 0 <= column < width:
                share = (1 - abs(y - row)) * (1 - abs(x - column))
                total += share * float(maps[image, channel, row, column])
        return total

    for image in range(n):
        for target in range(len(weight)):
            group = target // (len(weight) // (n_channels // channels))
            for row in range(height):
                for column in range(width):
                    for tap in range(9):
                        dy, dx = places[image, group, tap, :, row, column].tolist()
                        y, x = row + tap // 3 - 1 + dy, column + tap % 3 - 1 + dx
                        for channel in range(channels):
                            out[image, target, row, column] += weight[
                                target, channel, tap // 3, tap % 3
                            ] * read(image, group * channels + channel, y, x)
    return out


def test_without_offsets_it_is_a_regular_convolution() -> None:
    maps, offsets, weight = problem(height=7, width=9)
    found = sampled_convolution(maps, torch.zeros_like(offsets), weight)
    assert torch.allclose(found, functional.conv2d(maps, weight, padding=1, groups=3), atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(5, 4), (1, 6), (3, 1), (1, 1)])
def test_it_reads_between_pixels_and_zeros_outside(height: int, width: int) -> None:
    case = problem(n=1, groups=2, height=height, width=width)
    wanted = by_hand(*case)
    assert wanted.abs().max() > 0.1
    assert torch.allclose(sampled_convolution(*case), wanted, atol=1e-12)


def test_offsets_are_y_then_x_of_each_tap() -> None:
    maps, offsets, weight = problem(n=1, groups=1, channels=1, height=8, width=8)
    offsets = torch.zeros_like(offsets).reshape(1, 9, 2, 8, 8)
    offsets[:, :, 0], offsets[:, :, 1] = 2, -1
    found = sampled_convolution(maps, offsets.flatten(1, 2), weight)
    regular = functional.conv2d(maps, weight, padding=1)
    assert torch.allclose(found[:, :, 1:5, 2:7], regular[:, :, 3:7, 1:6], atol=1e-12)


def test_all_three_inputs_have_gradients() -> None:
    case = tuple(t.requires_grad_() for t in problem(n=1, groups=2, height=3, width=3))
    assert torch.autograd.gradcheck(sampled_convolution, case)


def test_low_precision_has_places_of_full_precision() -> None:
    case = problem(groups=1, height=4, width=200)
    wanted = sampled_convolution(*(t.bfloat16().double() for t in case))
    found = sampled_convolution(*(t.bfloat16() for t in case))
    assert found.dtype == torch.bfloat16
    # Wrong by parts of a pixel, the values would be others altogether.
    assert (found.double() - wanted).abs().max() < 0.02 * wanted.abs().max()


def test_regular_taps_are_listed_row_by_row() -> None:
    assert regular_taps().dtype == torch.float32
    assert (3 * (regular_taps()[0] + 1) + regular_taps()[1] + 1).tolist() == list(range(9))


# --- the compiled operator ------------------------------------------------------------------------


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Stand for an installed torchvision."""
    module: Any = ModuleType("torchvision.ops")
    parent: Any = ModuleType("torchvision")
    parent.ops = module
    monkeypatch.setitem(sys.modules, "torchvision", parent)
    monkeypatch.setitem(sys.modules, "torchvision.ops", module)
    deformable._compiled.cache_clear()
    yield module
    deformable._compiled.cache_clear()


def test_a_compiled_operator_is_used_where_it_works(torchvision: Any) -> None:
    calls = []

    def operator(maps: Tensor, offsets: Tensor, weight: Tensor, *, padding: int) -> Tensor:
        calls.append(padding)
        return sampled_convolution(maps, offsets, weight)

    torchvision.deform_conv2d = operator
    case = problem()
    assert torch.equal(deformable_convolution(*case), sampled_convolution(*case))
    # Once to see whether it works, once to use it.
    assert calls == [1, 1]


def test_a_compiled_operator_that_fails_or_is_wrong_is_not_used(torchvision: Any) -> None:
    def failing(*_: Any, **__: Any) -> Tensor:
        raise NotImplementedError("Could not run 'torchvision::deform_conv2d'")

    def wrong(maps: Tensor, offsets: Tensor, weight: Tensor, **_: Any) -> Tensor:
        return sampled_convolution(maps, -offsets, weight)

    case = problem()
    for operator in (failing, wrong):
        torchvision.deform_conv2d = operator
        deformable._compiled.cache_clear()
        assert torch.equal(deformable_convolution(*case), sampled_convolution(*case))


def test_a_torchvision_without_the_operator_does_no_harm(torchvision: ModuleType) -> None:
    case = problem()
    assert torch.equal(deformable_convolution(*case), sampled_convolution(*case))


def test_an_installed_operator_gives_the_same() -> None:
    deformable._compiled.cache_clear()
    operator = deformable._compiled("cpu", torch.float64)
    if operator is None:
        pytest.skip("needs a torchvision that works with this torch")
    case = problem()
    assert torch.allclose(operator(*case), sampled_convolution(*case), atol=1e-10)
