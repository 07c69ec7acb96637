"""HigherHRNet's joined maps: against the reference, and step by step as the release makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from predictors.bottomup.tags import Tagged, join_resolutions, join_scales
from tests.networks.filled import filled, filler, reference

MIRROR = [0, 2, 1]
MIRROR_17 = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def outputs(seed: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return random outputs of a network for three joints."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(2, 6, height, width, generator=generator, dtype=torch.float64)
    fine = torch.randn(2, 3, 2 * height, 2 * width, generator=generator, dtype=torch.float64)
    return coarse, fine


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]


def plain(coarse: Tensor, fine: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return heatmaps and tags of one scale in the order of the release: views are joined last."""
    heatmaps, tags = [], []
    for view in range(2):
        larger = enlarged(coarse[view], (fine.shape[2], fine.shape[3]))
        finer = fine[view]
        if view == 1:
            larger, finer = larger.flip(-1), finer.flip(-1)
        both = (larger[:3] + finer) / 2
        heatmaps.append(enlarged(both[MIRROR] if view else both, size))
        tags.append(enlarged(larger[3:][MIRROR] if view else larger[3:], size))
    return (heatmaps[0] + heatmaps[1]) / 2, torch.stack(tags, dim=-1)


def assert_close(found: Tagged, heatmaps: Tensor, tags: Tensor) -> None:
    torch.testing.assert_close(found.heatmaps, heatmaps, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.tags, tags, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(32, 48), (16, 24), (31, 50)])
def test_one_scale(size: tuple[int, int]) -> None:
    maps = outputs(0, 8, 12)
    # Whichever the scale: it is the only one.
    found = join_scales({2.0: join_resolutions(*maps, MIRROR)}, size)
    assert_close(found, *plain(*maps, size))


def test_several_scales() -> None:
    sides = {2.0: (16, 24), 1.0: (8, 12), 0.5: (4, 6)}
    maps = {scale: outputs(i, *side) for i, (scale, side) in enumerate(sides.items())}
    found = join_scales({s: join_resolutions(*m, MIRROR) for s, m in maps.items()}, (32, 48))
    each = [plain(*m, (32, 48)) for m in maps.values()]
    assert_close(found, torch.stack([heatmaps for heatmaps, _ in each]).mean(0), each[1][1])


def test_mirror_images_change_nothing() -> None:
    coarse, fine = outputs(0, 8, 12)
    for maps, mirror in ((coarse, [*MIRROR, *(3 + i for i in MIRROR)]), (fine, MIRROR)):
        maps[1] = maps[0][mirror].flip(-1)
    joined = join_resolutions(coarse, fine, torch.tensor(MIRROR))
    torch.testing.assert_close(joined.tags[..., 0], joined.tags[..., 1])
    torch.testing.assert_close(joined.tags[..., 0], enlarged(coarse[0, 3:], (16, 24)))
    torch.testing.assert_close(joined.heatmaps, (enlarged(coarse[0, :3], (16, 24)) + fine[0]) / 2)


@pytest.fixture(scope="module")
def of_scales(shared: Path) -> dict[float, Tagged]:
    """Joined resolutions of the network with the reference's weights, by scale."""
    network = filled(shared, "higherhrnet-w32-512")

    def joined(scale: float, kind: torch.dtype) -> Tagged:
        side = int(256 * scale)
        image = filler(shared).image_batch(7, (1, 3, side, side)).to(kind)
        maps = network.to(kind)(torch.cat([image, image.flip(-1)]))
        return join_resolutions(*(m.double() for m in maps), MIRROR_17)

    with torch.inference_mode():
        others = {scale: joined(scale, torch.float64) for scale in (1.0, 0.5)}
        # In float64 this alone takes longer than all other tests here.
        return {2.0: joined(2.0, torch.float32), **others}


@pytest.mark.parametrize(
    ("name", "scales", "tolerance"),
    [("single_scale", (1.0,), 1e-10), ("multi_scale", (2.0, 1.0, 0.5), 2e-5)],
)
def test_reference(
    shared: Path,
    of_scales: dict[float, Tagged],
    name: str,
    scales: tuple[float, ...],
    tolerance: float,
) -> None:
    golden = reference(shared, "higherhrnet-w32-coco/golden")["test_time"][name]
    joined = join_scales({scale: of_scales[scale] for scale in scales}, (256, 256))
    assert error(joined.heatmaps, golden["heatmaps"]) < tolerance
    assert error(joined.tags, golden["tags"]) < 1e-10


def error(maps: Tensor, golden: dict[str, Any]) -> float:
    """Return the largest difference of statistics and samples from the reference's."""
    values = maps.numpy()
    assert [1, *values.shape] == golden["shape"]
    found = [values.mean(), values.std(), values.min(), values.max()]
    found += values.reshape(-1)[golden["indices"]].tolist()
    wanted = [golden[name] for name in ("mean", "std", "min", "max")] + golden["values"]
    assert len(wanted) == 68
    return float(np.abs(np.subtract(found, wanted)).max())
