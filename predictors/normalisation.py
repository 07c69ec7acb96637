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
    mean, std = (torch.tensor(v, device=crops.device)[:, None, None] for v in (_MEAN, _STD))
    return images.float().div_(255).sub_(mean).div_(std)
