"""Regression from parts by PINet's rules: against the reference, by hand, and edge cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from crowdbench.merging import Merging, final_poses
from crowdbench.skeletons import CROWDPOSE_14
from predictors.bottomup.partitions import PARTITIONS, find_partition
from predictors.bottomup.parts import PartMaps, find, propose_parts
from predictors.bottomup.readings import Heat
from predictors.bottomup.regression import DECREASE
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
LARGE = torch.arange(3)


def part_maps(
    scale: float = 1.0, height: int = 24, width: int = 32, n_parts: int = 3, seed: int = 0
) -> PartMaps:
    """Return maps of some people, with offsets of a few pixels and two features."""
    drawn = np.random.default_rng(seed)
    shape = (height, width)
    return PartMaps(
        scale,
        torch.from_numpy(drawn.standard_normal((2, 2, *shape))),
        people(4, *shape, 2 * J, seed).reshape(2, J, *shape),
        people(3, *shape, 2 * n_parts, seed + 1).reshape(2, n_parts, *shape),
        torch.from_numpy(drawn.normal(0, 4, (2, n_parts * 2 * J, *shape))),
    )


def golden_maps(inputs: dict[str, torch.Tensor]) -> PartMaps:
    heatmaps = inputs["heatmaps"]
    return PartMaps(1.0, heatmaps[:, :0], heatmaps, inputs["detkptmaps"], inputs["offsets"])


class TestReference:
    def test_proposals(self, shared: Path) -> None:
        golden, inputs = read_golden(shared, "pinet-crowdpose")
        wanted = golden["stages"]["proposals"]
        points, values = propose_parts(golden_maps(inputs), MIRROR, LARGE)
        assert np.abs(points.numpy() / 4 - wanted["poses_map_xy"]).max() < 1e-9
        assert np.abs(values.numpy() - wanted["point_scores"]).max() < 1e-9

    def test_scores(self, shared: Path) -> None:
        golden, inputs = read_golden(shared, "pinet-crowdpose")
        wanted = golden["stages"]["scored"]
        found = find([golden_maps(inputs)], MIRROR, LARGE)
        ours = joined_with_scores(found.points, found.keypoint_scores)
        # Rounding is the release's too: equal, not only close.
        assert np.abs(ours - wanted["poses_input_xys"]).max() < 1e-9
        assert np.array_equal(ours[..., 2], np.array(wanted["poses_input_xys"])[..., 2])
        assert np.abs(found.scores - wanted["scores"]).max() < 1e-12
        assert found.ranks is None

    def test_from_maps_to_fused_poses_in_the_image(self, shared: Path) -> None:
        golden, inputs = read_golden(shared, "pinet-crowdpose")
        stages = golden["stages"]
        candidates = poses_of(find([golden_maps(inputs)], MIRROR, LARGE))
        ours = joined_with_scores(candidates.keypoints, candidates.keypoint_scores)
        assert np.abs(ours - stages["image_poses"]).max() < 1e-9
        limit = golden["settings"]["oks_threshold"]
        sigmas = np.array(golden["settings"]["oks_sigmas_times_10"]) / 10
        kept = final_poses(candidates, Merging("oks-nms", oks=limit), sigmas)
        order = np.argsort(stages["keep"])
        assert np.array_equal(kept.scores, candidates.scores[np.array(stages["keep"])[order]])
        fused = final_poses(candidates, Merging("oks-fusion", oks=limit), CROWDPOSE_14.sigma_array)
        ours = joined_with_scores(fused.keypoints, fused.keypoint_scores)
        assert np.abs(ours - np.array(stages["fused_poses"])[order]).max() < 1e-9
        assert np.abs(fused.scores - np.array(stages["fused_scores"])[order]).max() < 1e-9

    def test_of_the_network_with_refinement(self, shared: Path) -> None:
        text = (shared / "reference/pinet-w32-crowdpose/golden.json").read_text()
        wanted = json.loads(text)["test_forward"]
        network = filled(shared, "pinet-w32-crowdpose-512")
        image = filler(shared).image_batch(7, (1, 3, 256, 256))
        with torch.inference_mode():
            features = network.features(mirrored(image, "shifted"))
            maps = PartMaps(1.0, features, *network.maps(features))
            proposals = propose_parts(maps, MIRROR, LARGE, network.refine_offsets)
        heatmaps = (maps.heatmaps[0] + maps.heatmaps[1].flip(-1)[MIRROR]) / 2
        assert difference(heatmaps[None], wanted["heatmaps"]) < 1e-8
        assert difference(proposals.points / 4, wanted["poses"]) < 1e-8
        assert difference(proposals.values, wanted["scores"]) < 1e-8
        assert np.abs(proposals.values.numpy() - wanted["scores"]["all_values"]).max() < 1e-8


def test_each_view_is_refined_before_the_mean_is_taken() -> None:
    maps = part_maps()

    def by_features(
        features: torch.Tensor, poses: torch.Tensor, centres: torch.Tensor
    ) -> torch.Tensor:
        # Each coordinate by itself times what is at the centre: mistaken views or pixels show.
        assert features is maps.features
        views = torch.arange(2)[:, None]
        at = features[views, :, centres[..., 0], centres[..., 1]]
        return (poses * at[:, :, None]).flatten(2)

    plain, refined = (propose_parts(maps, MIRROR, LARGE, rule) for rule in (None, by_features))
    points = (maps.points[0] + maps.points[1].flip(-1)) / 2
    assert torch.equal(plain.values, refined.values)
    for value, pose in zip(refined.values, refined.points.numpy(), strict=True):
        ((part, row, column),) = (points == value).nonzero().tolist()
        views = []
        for view, x in ((0, column), (1, 31 - column)):
            offsets = maps.offsets[view].reshape(3, J, 2, 24, 32)[part, :, :, row, x].numpy()
            view_pose = np.array([x, row]) - offsets
            views.append(view_pose - view_pose * maps.features[view, :, row, x].numpy())
        other = views[1][MIRROR.numpy()]
        other[:, 0] = 31 - other[:, 0]
        assert np.abs(pose / 4 - (views[0] + other) / 2).max() < 1e-9


@pytest.mark.parametrize("name", sorted(PARTITIONS))
def test_a_mirrored_image_has_the_mirrored_people(name: str) -> None:
    partition = find_partition(name)
    swap = torch.tensor(partition.mirror())
    maps = part_maps(n_parts=len(partition))
    points, values = propose_parts(maps, MIRROR, swap)
    flipped = PartMaps(1.0, *(t.flip(0) for t in maps[1:]))
    other_points, other_values = propose_parts(flipped, MIRROR, swap)
    back = other_points[:, MIRROR]
    back[..., 0] = 4 * 31 - back[..., 0]
    # Left and right parts change places in the list.
    ours, theirs = values.sort(stable=True), other_values.sort(stable=True)
    assert torch.equal(ours.values, theirs.values)
    assert (points[ours.indices] - back[theirs.indices]).abs().max() < 1e-12


def test_scores_of_three_scales() -> None:
    maps = [
        part_maps(2.0, 48, 64, seed=1), part_maps(1.0, 24, 32, seed=2),
        part_maps(0.5, 12, 16, seed=3),
    ]  # fmt: skip
    decrease = DECREASE["crowdpose-14"]
    found = find(iter(maps), MIRROR, LARGE, decrease=decrease)
    joined = [(m.heatmaps[0] + m.heatmaps[1].flip(-1)[MIRROR]) / 2 for m in maps]
    large = Heat((Heat(tuple(joined), (2, 4, 8)).enlarged(),), (1,))
    row = 0
    proposals = [propose_parts(m, MIRROR, LARGE) for m in maps]
    for (points, values), scale in zip(proposals, (2.0, 1.0, 0.5), strict=True):
        rows = slice(row, row + len(values))
        factor = 1.0
        if scale != 1:
            factor = decrease * (proposals[1].values.max() / values.max()).item()
        wanted = (values * factor)[:, None] * large.bilinear(points)
        assert np.array_equal(found.points[rows], points.numpy())
        assert np.abs(found.keypoint_scores[rows] - wanted.numpy()).max() < 1e-6
        row = rows.stop
    assert row == len(found.scores)
    assert np.array_equal(found.scores, found.keypoint_scores.mean(1))
    assert np.array_equal(found.keypoint_scores, found.keypoint_scores.astype(np.float32))


def test_nobody_at_all() -> None:
    maps = part_maps()._replace(points=torch.zeros(2, 3, 24, 32, dtype=torch.float64))

    def refine(*_: torch.Tensor) -> torch.Tensor:
        pytest.fail("there is nothing to refine")

    found = find([maps], MIRROR, LARGE, refine)
    assert found.points.shape == (0, J, 2)
    assert found.keypoint_scores.shape == (0, J)
    assert found.scores.shape == (0,)


def test_a_map_of_one_pixel() -> None:
    found = find([part_maps(height=1, width=1)], MIRROR, LARGE)
    assert found.points.shape == (3, J, 2)
    assert np.isfinite(found.scores).all()
