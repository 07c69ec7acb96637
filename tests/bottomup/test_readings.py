"""Readings without enlarging maps: equal to those on the maps enlarged."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from predictors.bottomup.readings import Heat

N_MAPS = 3


def maps(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((N_MAPS, height, width)))


def enlarged(small: torch.Tensor, factor: int) -> torch.Tensor:
    """Return the maps as the official codes enlarge them."""
    height, width = small.shape[1:]
    large = functional.interpolate(
        small[None],
        size=[height * factor - factor + 1, width * factor - factor + 1],
        align_corners=True,
        mode="bilinear",
    )
    return torch.nn.ReplicationPad2d((0, factor - 1, 0, factor - 1))(large)[0]


def points_over(height: int, width: int) -> np.ndarray:
    """Return (n, N_MAPS, 2) points in and around an image, on pixels and between them."""
    drawn = np.random.default_rng(1)
    inside = drawn.uniform(-3, (width + 3, height + 3), (2000, N_MAPS, 2))
    # On pixels, and close to the image's edges.
    whole = drawn.integers(-2, (width + 2, height + 2), (500, N_MAPS, 2)).astype(np.float64)
    lines = np.array([-1, -0.999, -0.5, 0, 0.5, 1])
    edges = np.concatenate([lines, width - 1 + lines, height - 1 + lines])
    near = drawn.choice(edges, (1500, N_MAPS, 2))
    return np.concatenate([inside, whole, near])


def plain_bilinear(large: np.ndarray, x: float, y: float) -> float:
    height, width = large.shape
    left, upper = math.trunc(x), math.trunc(y)
    if x <= -1 or y <= -1 or left + 1 > width - 1 or upper + 1 > height - 1:
        return 0.0
    fx, fy = x - left, y - upper
    return float(
        large[upper, left] * (1 - fx) * (1 - fy)
        + large[upper, left + 1] * fx * (1 - fy)
        + large[upper + 1, left] * (1 - fx) * fy
        + large[upper + 1, left + 1] * fx * fy
    )


def plain_floored(large: np.ndarray, x: float, y: float) -> float:
    height, width = large.shape
    return float(
        large[min(max(math.floor(y), 0), height - 1), min(max(math.floor(x), 0), width - 1)]
    )


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("shape", [(16, 24), (3, 2), (1, 5), (1, 1)])
def test_equal_to_readings_on_the_maps_enlarged(factor: int, shape: tuple[int, int]) -> None:
    small = maps(*shape)
    heat = Heat((small,), (factor,))
    large = enlarged(small, factor)
    assert heat.size == tuple(large.shape[1:])
    assert (heat.enlarged() - large).abs().max() < 1e-12
    points = points_over(*heat.size)
    array, joints = large.numpy(), range(N_MAPS)
    for read, plain in ((heat.bilinear, plain_bilinear), (heat.floored, plain_floored)):
        found = read(torch.from_numpy(points)).numpy()
        wanted = [[plain(array[j], *person[j]) for j in joints] for person in points]
        assert np.abs(found - wanted).max() < 1e-12


def test_scales_are_averaged() -> None:
    small = (maps(16, 8, 1), maps(8, 4, 2), maps(4, 2, 3))
    heat = Heat(small, (2, 4, 8))
    large = torch.stack([enlarged(m, f) for m, f in zip(small, (2, 4, 8), strict=True)]).mean(0)
    assert (heat.enlarged() - large).abs().max() < 1e-12
    points = torch.from_numpy(points_over(*heat.size))
    as_one = Heat((large,), (1,))
    assert (heat.floored(points) - as_one.floored(points)).abs().max() < 1e-12
    assert (heat.bilinear(points) - as_one.bilinear(points)).abs().max() < 1e-12


def test_left_of_the_image_bilinear_readings_go_on_along_the_line() -> None:
    # Rows are alike; pixels 0 and 1 of the enlarged map are 1 and 3.
    heat = Heat((torch.tensor([[[1.0, 9.0], [1.0, 9.0]]], dtype=torch.float64),), (4,))
    points = torch.tensor([[[-0.5, 2.0]], [[-1.0, 2.0]], [[0.5, 2.0]]], dtype=torch.float64)
    assert heat.bilinear(points)[:, 0].tolist() == [0, 0, 2]


def test_points_that_are_no_numbers_stop_nothing() -> None:
    heat = Heat((maps(4, 4),), (4,))
    for value in (np.nan, np.inf, -np.inf, 1e300):
        points = torch.full((1, N_MAPS, 2), value, dtype=torch.float64)
        assert heat.bilinear(points).tolist() == [[0] * N_MAPS]
        assert heat.floored(points).isfinite().all()


def test_nobody() -> None:
    heat = Heat((maps(4, 4),), (4,))
    assert heat.bilinear(torch.zeros(0, N_MAPS, 2).double()).shape == (0, N_MAPS)
    assert heat.floored(torch.zeros(0, N_MAPS, 2).double()).shape == (0, N_MAPS)


def test_maps_of_different_images_are_refused() -> None:
    with pytest.raises(ValueError, match="not of one image"):
        Heat((maps(16, 8), maps(8, 5)), (2, 4))
