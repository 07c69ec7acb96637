"""Maps of mirrored images: turned back, and averaged with those of the images themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def flip_back(heatmaps: Tensor, mirror: Sequence[int] | Tensor, *, shift: bool) -> Tensor:
    """Return the maps of mirrored images as maps of the images.

    Args:
        heatmaps: (..., K, H, W).
        mirror: (K,) as of `Skeleton.partners`; a tensor on the heatmaps' device saves a transfer.
        shift: whether to move the maps one pixel to the right, which makes up for the half-pixel
            that the classical crops are off; column 0 keeps its value.

    Returns:
        (..., K, H, W), a new tensor.

    Source: HRNet, ``flip_back`` and ``SHIFT_HEATMAP`` (on in all its configurations); I2R-Net does
    not shift.

    >>> flip_back(torch.tensor([[[1, 2, 3]], [[4, 5, 6]]]), [1, 0], shift=False).tolist()
    [[[6, 5, 4]], [[3, 2, 1]]]
    >>> flip_back(torch.tensor([[[1, 2, 3]], [[4, 5, 6]]]), [1, 0], shift=True).tolist()
    [[[6, 6, 5]], [[3, 3, 2]]]
    """
    channels = torch.as_tensor(mirror, device=heatmaps.device)
    back = heatmaps.index_select(-3, channels).flip(-1)
    return torch.cat([back[..., :1], back[..., :-1]], dim=-1) if shift else back


def flip_average(
    direct: Tensor, mirrored: Tensor, mirror: Sequence[int] | Tensor, *, shift: bool
) -> Tensor:
    """Return the plain average of images' maps and their mirror images' ones, turned back.

    Args:
        direct: (..., K, H, W) maps of the images.
        mirrored: (..., K, H, W) maps of the mirrored images.
        mirror: see `flip_back`.
        shift: see `flip_back`.
    """
    return (direct + flip_back(mirrored, mirror, shift=shift)) * 0.5
