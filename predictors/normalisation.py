"""How crops become what a network takes, in tests and in training alike."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

# Per channel, in the order in which the network takes them.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def normalised(crops: Tensor, channels: Literal["RGB", "BGR"]) -> Tensor:
    """Return (N, 3, h, w) float32 images of crops, on their device.

    Args:
        crops: (N, h, w, 3) uint8 RGB.
        channels: order in which the network takes them. The statistics keep their order: for
            ``BGR`` those of red go with blue.

    Source: the official programs of SimpleBaseline (BGR) and HRNet (RGB).
    """
    images = crops.permute(0, 3, 1, 2)
    if channels == "BGR":
        images = images.flip(1)
    images = images.float().div_(255)
    return images.sub_(_statistic(_MEAN, crops)).div_(_statistic(_STD, crops))


def normalised_levels(crops: Tensor) -> Tensor:
    """Return (N, 3, h, w) float32 images of crops, on their device, as 3DMPPE's networks take them.

    The statistics are those of values from 0 to 1, and the values are those from 0 to 255.

    Args:
        crops: (N, h, w, 3) uint8 RGB.

    Source: the official programs. Their crops are float32 when they become tensors, and the
    conversion that would divide by 255 does so for 8-bit ones only; the paper does not say it.
    """
    images = crops.permute(0, 3, 1, 2).float()
    return images.sub_(_statistic(_MEAN, crops)).div_(_statistic(_STD, crops))


def _statistic(values: tuple[float, ...], crops: Tensor) -> Tensor:
    return torch.tensor(values, device=crops.device)[:, None, None]
