"""MIPNet's other persons: whom the network should find when it is asked for the next one."""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array
from predictors.topdown.nearest import nearest

# With at most this many joints in the crop a person is not looked for (MIPNet's program).
_TOO_FEW = 3


def instances_of(boxes: Array, n_instances: int) -> Array:
    """Return for each person whom the instances of its crop show.

    Args:
        boxes: (P, 4) float64 xywh of all persons of an image, pixels.
        n_instances: N.

    Returns:
        (P, N) int64 rows of `boxes`: the person itself, then the others by the distance of their
        box centres, whether boxes overlap or not; of two at the same distance the first. Where
        there are too few others, the person itself.

    Source: section 6 of the paper's program, for any N.

    >>> instances_of(np.array([[0.0, 0, 10, 10], [50, 0, 10, 10], [8, 0, 10, 10]]), 2).tolist()
    [[0, 2], [1, 2], [2, 0]]
    """
    chosen = nearest(boxes[:, :2] + boxes[:, 2:] / 2, n_instances)
    found = np.repeat(np.arange(len(boxes))[:, None], n_instances, axis=1)
    found[:, : chosen.shape[1]] = chosen
    return found


def settle_instances(joints: Array, input_size: tuple[int, int]) -> Array:
    """Return the joints of all instances as the network should learn them.

    Args:
        joints: (P, N, K, 3) float64 x, y in pixels of the crop, and whether labelled (> 0); N
            instances for each of P crops, the owner of the box first.
        input_size: height and width of the crop.

    Returns:
        Likewise. Joints outside of the crop are not labelled any more, the owner's too; another
        person of whom at most three are left is replaced by the owner.
    """
    height, width = input_size
    points = joints[..., :2]
    inside = ((points >= 0) & (points < (width, height))).all(axis=-1)
    settled = joints.copy()
    settled[..., 2] = np.where(inside, joints[..., 2], 0)
    too_few = (settled[..., 2] > 0).sum(axis=-1) <= _TOO_FEW
    found: Array = np.where(too_few[..., None, None], settled[:, :1], settled)
    return found
