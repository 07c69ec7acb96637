"""Deformable convolution: each tap of the kernel reads where an offset of its own moves it.

Dai et al., Deformable Convolutional Networks, ICCV 2017: 3x3 taps, stride 1, unmodulated, in groups
of channels that each have offsets and weights of their own.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

N_TAPS = 9
_Operator = Callable[[Tensor, Tensor, Tensor], Tensor]


def regular_taps() -> Tensor:
    """Return (2, 9) float32: y, then x of the taps of a regular kernel, relative to its centre.

    >>> regular_taps().int().tolist()
    [[-1, -1, -1, 0, 0, 0, 1, 1, 1], [-1, 0, 1, -1, 0, 1, -1, 0, 1]]
    """
    # In numpy: on torch's meta device the first such operation takes seconds.
    return torch.tensor(np.indices((3, 3), np.float32).reshape(2, N_TAPS) - 1)


def deformable_convolution(maps: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """Return a deformable 3x3 convolution of maps; at offsets of 0 it is the regular one.

    Args:
        maps: (N, G * C, h, w), G groups of C channels.
        offsets: (N, G * 18, h, w): for each group and tap how far, in pixels, what it reads lies
            from where the regular tap does: y, then x. Between pixels maps are read bilinearly;
            outside they are 0.
        weight: (G * D, C, 3, 3).

    Returns:
        (N, G * D, h, w), of the maps' type. Maps, offsets and weight have gradients.

    torchvision's compiled operator does it where it is installed and works for this type and
    device; else it is written in torch, to the same result but for rounding.
    """
    compiled = _compiled(maps.device.type, maps.dtype)
    return (compiled or sampled_convolution)(maps, offsets, weight)


def sampled_convolution(maps: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """Return what `deformable_convolution` does, written in torch.

    All taps of all groups are read in one sampling, and each group's are multiplied as matrices.
    Positions are float32 at least, as those of lower precision would be wrong by parts of a pixel.
    """
    n, _, height, width = maps.shape
    channels = weight.shape[1]
    groups = maps.shape[1] // channels
    precise = torch.promote_types(maps.dtype, torch.float32)
    steps = offsets.to(precise).reshape(n * groups, N_TAPS, 2, height * width)
    rows, columns = _regular_places(steps, height, width)
    down, right = steps.unbind(2)
    # In grid_sample's coordinates -1 and 1 are the outer edges of the border pixels.
    x = torch.add((2 * columns + 1) / width - 1, right, alpha=2 / width)
    y = torch.add((2 * rows + 1) / height - 1, down, alpha=2 / height)
    read = functional.grid_sample(
        maps.to(precise).reshape(n * groups, channels, height, width),
        torch.stack([x, y], dim=-1),
        align_corners=False,
    )
    kernels = weight.reshape(groups, -1, channels * N_TAPS)
    found = kernels @ read.to(maps.dtype).reshape(n, groups, channels * N_TAPS, -1)
    return found.reshape(n, -1, height, width)


def _regular_places(like: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return (9, h * w) rows and columns that the taps of a regular kernel read at each pixel."""
    taps = regular_taps().to(like)[:, :, None]
    rows = torch.arange(height, device=like.device).repeat_interleave(width)
    columns = torch.arange(width, device=like.device).repeat(height)
    return taps[0] + rows, taps[1] + columns


@cache
def _compiled(device: str, dtype: torch.dtype) -> _Operator | None:
    """Return torchvision's operator, if there is one that works for tensors like these."""
    if device == "meta" or dtype.itemsize < 4:
        # Costs are counted on meta, and the counter does not know the operator. In half precision
        # it would also compute places so, which are up to an eighth of a pixel off.
        return None
    try:
        with warnings.catch_warnings():
            # It warns of parts that are missing and not needed here.
            warnings.simplefilter("ignore")
            deform_conv2d = importlib.import_module("torchvision.ops").deform_conv2d
    # One built for another torch fails in many ways.
    except Exception:
        return None

    def operator(maps: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
        return cast("Tensor", deform_conv2d(maps, offsets, weight, padding=1))

    maps, offsets, weight = (
        torch.linspace(-1, 1, math.prod(shape), device=device, dtype=dtype).reshape(shape)
        for shape in ((1, 4, 3, 3), (1, 36, 3, 3), (2, 2, 3, 3))
    )
    wanted = sampled_convolution(maps, offsets, weight)
    try:
        found = operator(maps, offsets, weight)
    # For example one built without support of the device or the type.
    except (RuntimeError, NotImplementedError):
        return None
    return operator if torch.allclose(found, wanted, rtol=1e-2, atol=1e-2) else None
