"""Regression by DEKR's rules: against the reference, against a plain version, and edge cases."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crowdbench.merging import Merging, final_poses
from crowdbench.skeletons import CROWDPOSE_14
from predictors.bottomup.regression import (
    DECREASE,
    Proposals,
    ScaleMaps,
    find,
    heat_of,
    pool,
    propose,
)
from predictors.bottomup.views import mirrored
from tests.bottomup.goldens import (
    MIRROR,
    difference,
    joined_with_scores,
    people,
    poses_of,
    read_golden,
)
from tests.networks.filled import filled, filler

J = 14
CENTRED = [*MIRROR.tolist(), J]
ONE_PART = torch.zeros(1, dtype=torch.int64)
REGULAR = [[-1, -1, -1, 0, 0, 0, 1, 1, 1], [-1, 0, 1, -1, 0, 1, -1, 0, 1]]


def scale_maps(scale: float, height: int = 24, width: int = 32, seed: int = 0) -> ScaleMaps:
    """Return maps of some people, with offsets of a few pixels."""
    heatmaps = people(4, height, width, 2 * (J + 1), seed).reshape(2, J + 1, height, width)
    drawn = np.random.default_rng(seed)
    offsets = torch.from_numpy(drawn.normal(0, 4, (2, 2 * J, height, width)))
    return ScaleMaps(scale, heatmaps, offsets)


def joined(heatmaps: torch.Tensor) -> torch.Tensor:
    return (heatmaps[0] + heatmaps[1].flip(-1)[CENTRED]) / 2


def plain_pose_map(offsets: torch.Tensor) -> np.ndarray:
    """Return (J, 2, h, w): both views' poses at all pixels, averaged on the full map."""
    maps = offsets.numpy().reshape(2, J, 2, *offsets.shape[2:])
    height, width = maps.shape[3:]
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)))
    poses = pixels - maps
    other = poses[1][MIRROR.numpy()]
    other[:, 0] = width - 1 - other[:, 0]
    return np.asarray((poses[0] + other[..., ::-1]) / 2)


def proposals_of(maps: ScaleMaps) -> Proposals:
    centres = joined(maps.heatmaps)[-1:]
    return propose(centres, maps.offsets, MIRROR, ONE_PART, maps.scale)


class TestReference:
    def test_proposals(self, shared: Path) -> None:
        golden, inputs = read_golden(shared, "dekr-crowdpose")
        wanted = np.array(golden["stages"]["proposals"]["poses"])
        points, values = proposals_of(ScaleMaps(1.0, **inputs))
        assert np.abs(points.numpy() - wanted[..., :2]).max() < 1e-9
        assert np.abs(values.numpy() - wanted[:, 0, 2]).max() < 1e-9

    def test_from_maps_to_poses_in_the_image(self, shared: Path) -> None:
        golden, inputs = read_golden(shared, "dekr-crowdpose")
        found, _ = find([ScaleMaps(1.0, **inputs)], MIRROR)
        settings = golden["settings"]
        rule = Merging(
            "near-joints", share=settings["nms_threshold"], joints=settings["nms_joint_count"]
        )
        left = final_poses(poses_of(found), rule, CROWDPOSE_14.sigma_array)
        wanted = np.array(golden["stages"]["image_poses"])
        ours = joined_with_scores(left.keypoints, left.keypoint_scores)
        assert ours.shape == wanted.shape
        assert np.abs(ours - wanted).max() < 1e-9
        scores = golden["stages"]["after_suppression"]["scores"]
        assert np.abs(left.scores - scores).max() < 1e-9


@pytest.fixture(scope="module")
def of_network(shared: Path) -> dict[str, Any]:
    text = (shared / "reference/dekr-w32-crowdpose/golden.json").read_text()
    content: dict[str, Any] = json.loads(text)["test_time"]
    return content


@pytest.fixture(scope="module")
def scales(shared: Path) -> dict[float, ScaleMaps]:
    network = filled(shared, "dekr-w32-512", num_joints=J)
    for name, buffer in network.named_buffers():
        if name.endswith("regular_matrix"):
            buffer.copy_(torch.tensor(REGULAR))
    found = {}
    with torch.inference_mode():
        for scale in (2.0, 1.0, 0.5):
            side = int(256 * scale)
            image = filler(shared).image_batch(7, (1, 3, side, side))
            found[scale] = ScaleMaps(scale, *network(mirrored(image, "shifted-kept")))
    return found


class TestNetwork:
    """The network's own maps, of one scale and of three."""

    def test_the_maps_of_both_views(
        self, of_network: dict[str, Any], scales: dict[float, ScaleMaps]
    ) -> None:
        wanted, maps = of_network["single_scale"], scales[1.0]
        assert difference(joined(maps.heatmaps)[None], wanted["merged_heatmap"]) < 1e-8
        dense = torch.from_numpy(plain_pose_map(maps.offsets))
        assert difference(dense.reshape(1, 2 * J, 64, 64), wanted["merged_posemap"]) < 1e-8

    @pytest.mark.parametrize("mode", ["single_scale", "multi_scale"])
    def test_to_the_end(
        self, of_network: dict[str, Any], scales: dict[float, ScaleMaps], mode: str
    ) -> None:
        wanted = of_network[mode]
        used = sorted(wanted["scales"], reverse=True)
        maps = [scales[scale] for scale in used]
        heat = heat_of(used, [joined(m.heatmaps) for m in maps])
        assert difference(heat.enlarged()[None], wanted["averaged_heatmaps"]) < 1e-8

        proposals = [proposals_of(m) for m in maps]
        assert [len(p.values) for p in proposals] == wanted["proposals_per_scale"]
        points, values = (torch.cat(column) for column in zip(*proposals, strict=True))
        with_values = joined_with_scores(points.numpy(), values.numpy()[:, None].repeat(J, 1))
        assert difference(with_values, wanted["proposals"]) < 1e-8

        found, _ = find(maps, MIRROR, DECREASE["crowdpose-14"])
        rule = Merging("near-joints", share=wanted["nms_threshold"], joints=7)
        # In pixels of the resized image, as the reference has them.
        candidates = replace(poses_of(found), keypoints=found.points)
        left = final_poses(candidates, rule, CROWDPOSE_14.sigma_array)
        # The release lists them by when the one that chose them was visited.
        ours, theirs = left.scores.argsort(), np.argsort(wanted["scores"])
        assert np.abs(left.scores[ours] - np.array(wanted["scores"])[theirs]).max() < 1e-8
        in_their_order = left.take(ours[theirs.argsort()])
        poses = joined_with_scores(in_their_order.keypoints, in_their_order.keypoint_scores)
        assert difference(poses, wanted["poses_after_suppression"]) < 1e-8


@pytest.mark.parametrize("size", [(24, 32), (1, 1), (2, 9)])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_proposals_are_read_off_the_averaged_maps(size: tuple[int, int], scale: float) -> None:
    maps = scale_maps(scale, *size)
    points, values = proposals_of(maps)
    assert len(values)
    dense, centres = plain_pose_map(maps.offsets), joined(maps.heatmaps)[-1]
    for point, value in zip(points.numpy(), values.tolist(), strict=True):
        ((row, column),) = (centres == value).nonzero().tolist()
        assert np.abs(point - dense[:, :, row, column] * 4 / scale).max() < 1e-12


def test_scores_of_three_scales() -> None:
    maps = [scale_maps(2.0, 48, 64, 1), scale_maps(1.0, 24, 32, 2), scale_maps(0.5, 12, 16, 3)]
    found, heat = find(iter(maps), MIRROR, decrease=0.8)
    proposals = [proposals_of(m) for m in maps]
    averaged = heat.enlarged().numpy()
    top = [p.values.max().item() for p in proposals]
    row = 0
    for scale, (points, values) in enumerate(proposals):
        for point, value in zip(points.numpy(), values.tolist(), strict=True):
            lowered = value if scale == 1 else value / top[scale] * top[1] * 0.8
            x, y = np.floor(point).astype(int).clip(0, (127, 95)).T
            heights = averaged[np.arange(J), y, x]
            assert np.array_equal(found.points[row], point)
            assert np.abs(found.keypoint_scores[row] - lowered * heights).max() < 1e-12
            assert abs(found.scores[row] - lowered * heights.mean()) < 1e-12
            assert found.ranks is not None
            assert abs(found.ranks[row] - heights.mean()) < 1e-12
            row += 1
    assert row == len(found.scores) > 3


def test_without_people_at_scale_1_the_others_are_held_against_1() -> None:
    nobody = scale_maps(1.0)._replace(heatmaps=torch.zeros(2, J + 1, 24, 32, dtype=torch.float64))
    somebody = scale_maps(2.0, 48, 64)
    proposals = [proposals_of(somebody), proposals_of(nobody)]
    points, values = pool([2.0, 1.0], proposals, 0.8)
    assert torch.equal(points, proposals[0].points)
    assert values[0].item() == 0.8
    assert len(find([somebody, nobody], MIRROR, 0.8)[0].scores) == len(values)


def test_scale_1_is_needed() -> None:
    with pytest.raises(ValueError, match=r"1\.0"):
        pool([2.0], [proposals_of(scale_maps(2.0))], 0.8)


def test_nobody_at_all() -> None:
    maps = scale_maps(1.0)
    found, _ = find([maps._replace(heatmaps=maps.heatmaps * 0)], MIRROR)
    assert found.points.shape == (0, J, 2)
    assert found.keypoint_scores.shape == (0, J)
    assert found.scores.shape == (0,)
    assert found.ranks is not None
    assert found.ranks.shape == (0,)


def test_at_most_thirty_people_and_all_of_a_plateau() -> None:
    maps = scale_maps(1.0)
    flat = torch.ones_like(maps.heatmaps)
    assert len(proposals_of(maps._replace(heatmaps=flat)).values) == 30
    flat[:, -1] = 0
    # Beside each other in both views: 3 + 28 is 31, the last of columns 0 to 31.
    flat[0, -1, 5, 3:5] = flat[1, -1, 5, 27:29] = 1
    points, values = proposals_of(maps._replace(heatmaps=flat))
    assert values.tolist() == [1, 1]
    assert not torch.equal(points[0], points[1])


def test_a_mirrored_image_has_the_mirrored_people() -> None:
    maps = scale_maps(1.0)
    swapped = ScaleMaps(1.0, maps.heatmaps.flip(0), maps.offsets.flip(0))
    points, values = proposals_of(maps)
    mirrored_points, mirrored_values = proposals_of(swapped)
    assert torch.equal(values, mirrored_values)
    back = mirrored_points[:, MIRROR]
    back[..., 0] = 4 * 31 - back[..., 0]
    assert (back - points).abs().max() < 1e-12


def test_maps_of_float32_give_float64_poses() -> None:
    maps = scale_maps(1.0)
    single = ScaleMaps(1.0, maps.heatmaps.float(), maps.offsets.float())
    found, _ = find([single], MIRROR)
    assert {array.dtype for array in found if array is not None} == {np.dtype(np.float64)}
    assert np.abs(found.points - find([maps], MIRROR)[0].points).max() < 1e-4
