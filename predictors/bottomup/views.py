"""The two views of an image that a bottom-up network sees: itself and its mirror image."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Mirroring = Literal["plain", "shifted", "shifted-kept"]
# Pixel i of a map of stride 4 lies on pixel 4 i of the image. Mirrored, that is pixel w - 1 - 4 i,
# but w / 4 - 1 - i of the map, which lies three pixels further left.
_SHIFT = 3


def mirrored(images: Tensor, rule: Mirroring) -> Tensor:
    """Return (2, 3, h, w): the image and its mirror image.

    Args:
        images: (1, 3, h, w), normalised.
        rule: ``plain``: mirrored only (HigherHRNet); ``shifted``: then moved three pixels to the
            left, zeros coming in (PINet); ``shifted-kept``: the last three columns stay as they
            were before the move (DEKR).

    >>> row = torch.tensor([[[[1.0, 2, 3, 4, 5]]]])
    >>> mirrored(row, "plain")[1].tolist(), mirrored(row, "shifted")[1].tolist()
    ([[[5.0, 4.0, 3.0, 2.0, 1.0]]], [[[2.0, 1.0, 0.0, 0.0, 0.0]]])
    >>> mirrored(row, "shifted-kept")[1].tolist()
    [[[2.0, 1.0, 3.0, 2.0, 1.0]]]
    """
    mirror = images.flip(-1)
    if rule == "shifted":
        mirror = functional.pad(mirror[..., _SHIFT:], (0, _SHIFT))
    elif rule == "shifted-kept":
        mirror = torch.cat([mirror[..., _SHIFT:], mirror[..., -_SHIFT:]], dim=-1)
    return torch.cat([images, mirror])
