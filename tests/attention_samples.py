"""Attention made by hand."""

from __future__ import annotations

import numpy as np

from crowdbench.attention import Attention, ImageAttention

H, W = 4, 3


def make_attention(
    n_persons: int = 3, n_keypoints: int = 14, *, layers: int = 2, groups: int = 1
) -> Attention:
    """Return persons side by side, each 30 x 60, with even weights.

    Args:
        n_persons: the persons at x = 10, 50, 90 and so on.
        n_keypoints: of each, one below the other; before, all were 3 px further right.
        layers: of the weights.
        groups: person i is in group i % groups.
    """
    boxes = np.array([[10.0 + 40 * i, 20, 30, 60] for i in range(n_persons)])
    crops = boxes + np.array([-3.0, -10, 6, 20])
    down = np.linspace(24.0, 76, n_keypoints)
    keypoints = np.stack(
        [np.column_stack([np.full(n_keypoints, box[0] + 15), down]) for box in boxes]
    )
    group = np.arange(n_persons) % groups
    together = (group[:, None] == group).astype(np.float32)
    even = together / (together.sum(1, keepdims=True) * H * W)
    weights = np.broadcast_to(
        even[None, :, None, :, None, None], (layers, n_persons, n_keypoints, n_persons, H, W)
    )
    return Attention(boxes, crops, keypoints, keypoints + np.array([3.0, 0]), weights.copy())


def attend(attention: Attention, layer: int, query: tuple[int, int], cell: tuple[int, ...]) -> None:
    """Give half of a query's weight in a layer to one cell: person, row, column."""
    weights = attention.weights[layer, query[0], query[1]]
    weights *= 0.5
    weights[cell] += 0.5


def make_image(
    attention: Attention, image_id: int = 7, file_name: str = "val/a.jpg"
) -> ImageAttention:
    """Return the attention as that of an image of 160 x 120."""
    return ImageAttention(image_id, file_name, (160, 120), attention)
