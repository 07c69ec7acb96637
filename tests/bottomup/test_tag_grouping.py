"""Grouping by tags: by hand, against the reference, and against a plain loop over people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.skeletons import COCO_17, CROWDPOSE_14, Skeleton
from predictors.bottomup.found import Found
from predictors.bottomup.resize import to_image_points
from predictors.bottomup.tag_grouping import (
    JOINT_ORDER,
    find_candidates,
    group,
    match,
    mean_tags,
    placed,
    refine,
)
from predictors.bottomup.tag_search import Search
from tests.benchmarks.grouping import crowd, direct
from tests.networks.filled import reference

Peak = tuple[int, int, int, float, tuple[float, float]]


def maps_of(
    peaks: Sequence[Peak], n_joints: int = 3, size: tuple[int, int] = (12, 40)
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return zero maps with these peaks: joint, column, row, height and the two tags there."""
    heatmaps, tags = np.zeros((n_joints, *size)), np.zeros((n_joints, *size, 2))
    for joint, column, row, height, tag in peaks:
        heatmaps[joint, row, column], tags[joint, row, column] = height, tag
    return torch.from_numpy(heatmaps), torch.from_numpy(tags)


def people_of(*peaks: Peak, **options: Any) -> list[list[int]]:
    """Return people, each as the columns of its joints, -1 without one."""
    candidates = find_candidates(*maps_of(peaks, **options))
    people = match(candidates, range(options.get("n_joints", 3)))
    return np.where(people >= 0, candidates.pixels[people, 0], -1).tolist()


def coarse_problem(seed: int, n_joints: int, size: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    """Return maps of few different values: equal heights, tags, and distances of n + 1/2 abound."""
    rng = np.random.default_rng(seed)
    heatmaps = rng.integers(-4, 16, (n_joints, *size)) / 16
    heatmaps *= rng.uniform(size=heatmaps.shape) < rng.choice([0.01, 0.1, 1])
    tags = rng.integers(-4, 5, (n_joints, *size, 2)) / 2
    if seed % 2:
        tags[..., 1] = tags[..., 0]
    return torch.from_numpy(heatmaps), torch.from_numpy(tags)


def assert_same(found: Found, wanted: tuple[np.ndarray, ...]) -> None:
    assert found.ranks is None
    for ours, theirs in zip(found[:3], wanted, strict=True):
        assert ours is not None
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


class TestReference:
    @pytest.fixture
    def stages(self, shared: Path) -> dict[str, Any]:
        stages: dict[str, Any] = reference(shared, "postprocess-higherhrnet-coco/golden")["stages"]
        return stages

    @pytest.fixture(params=[torch.float64, torch.float32])
    def maps(self, shared: Path, request: pytest.FixtureRequest) -> list[torch.Tensor]:
        inputs = np.load(shared / "reference/postprocess-higherhrnet-coco/inputs.npz")
        return [torch.from_numpy(inputs[k][0]).to(request.param) for k in ("heatmaps", "tags")]

    def test_candidates(self, maps: list[torch.Tensor], stages: dict[str, Any]) -> None:
        found = find_candidates(*maps)
        wanted = stages["candidates_above_threshold"]["per_joint"]
        assert np.bincount(found.joints).tolist() == [len(peaks) for peaks in wanted]
        rows = np.column_stack([found.pixels, found.values, found.tags])
        np.testing.assert_allclose(rows, np.concatenate(wanted), rtol=0, atol=1e-6)

    def test_matched_and_adjusted(self, maps: list[torch.Tensor], stages: dict[str, Any]) -> None:
        candidates = find_candidates(*maps)
        people = match(candidates, JOINT_ORDER)
        has = (people >= 0)[..., None]
        rows = np.column_stack([candidates.pixels, candidates.values, candidates.tags])
        matched = np.where(has, rows[people], 0)
        np.testing.assert_allclose(matched, stages["matched"]["people"], rtol=0, atol=1e-6)
        points, values = placed(maps[0], candidates, people)
        adjusted = np.concatenate([points, values[..., None], matched[..., 3:]], axis=2)
        np.testing.assert_allclose(adjusted, stages["adjusted"], rtol=0, atol=1e-6)
        refine(*maps, mean_tags(candidates, people), points, values)
        refined = np.concatenate([points, values[..., None], matched[..., 3:]], axis=2)
        np.testing.assert_allclose(refined, stages["refined"], rtol=0, atol=1e-6)

    def test_people(self, maps: list[torch.Tensor], stages: dict[str, Any]) -> None:
        found = group(*maps, JOINT_ORDER)
        refined, in_image = map(np.array, (stages["refined"], stages["image_keypoints"]["people"]))
        np.testing.assert_allclose(found.points, refined[..., :2], rtol=0, atol=1e-4)
        np.testing.assert_allclose(found.keypoint_scores, refined[..., 2], rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.scores, stages["scores"], rtol=0, atol=1e-6)
        points = to_image_points(found.points, (240, 290), (64, 80))
        np.testing.assert_allclose(points, in_image[..., :2], rtol=0, atol=1e-4)


def test_orders() -> None:
    """COCO's from the head down; CrowdPose's as the release takes it over from there."""

    def named(skeleton: Skeleton) -> list[str]:
        return [skeleton.keypoints[joint] for joint in JOINT_ORDER[: len(skeleton)]]

    sides = ("eye", "ear", "shoulder", "hip", "elbow", "wrist", "knee", "ankle")
    assert named(COCO_17) == ["nose", *(f"{s}_{n}" for n in sides for s in ("left", "right"))]
    arms = [f"{s}_{n}" for n in ("shoulder", "elbow", "wrist") for s in ("left", "right")]
    others = ["left_knee", "right_knee", "left_ankle", "neck"]
    head = ["left_hip", "right_ankle", "head", "right_hip"]
    assert named(CROWDPOSE_14) == [*arms, *head, *others]


class TestByHand:
    def test_nobody(self) -> None:
        found = group(*maps_of([(0, 3, 3, 0.1, (0, 0))]), range(3))
        assert found.points.shape == (0, 3, 2)
        assert found.keypoint_scores.shape == (0, 3)
        assert found.scores.shape == (0,)

    def test_first_joint_that_has_candidates_starts_people(self) -> None:
        assert people_of(
            (1, 5, 5, 0.5, (0, 0)), (1, 15, 5, 0.9, (3, 3)), (2, 16, 5, 0.9, (3, 3))
        ) == [[-1, 15, 16], [-1, 5, -1]]

    def test_candidate_beyond_the_distance_starts_a_person(self) -> None:
        near = [(0, 5, 5, 0.9, (0.0, 0.0)), (1, 5, 5, 0.9, (0.6, 0.7))]
        assert people_of(*near) == [[5, 5, -1]]
        far = [(0, 5, 5, 0.9, (0.0, 0.0)), (1, 5, 5, 0.9, (0.6, 0.8))]
        assert people_of(*far) == [[5, -1, -1], [-1, 5, -1]]

    def test_mean_of_tags_moves_with_the_joints(self) -> None:
        # From the first joint alone the third is 1.2 away, from the mean of both 0.9.
        chain = [(0, 5, 5, 0.9, (0, 0)), (1, 5, 5, 0.9, (0.6, 0)), (2, 5, 5, 0.9, (1.2, 0))]
        assert people_of(*chain) == [[5, 5, 5]]

    def test_the_lower_of_two_candidates_for_one_person_is_left_over(self) -> None:
        assert people_of(
            (0, 5, 5, 0.9, (0, 0)), (1, 5, 5, 0.5, (0.25, 0)), (1, 15, 5, 0.6, (0.375, 0))
        ) == [[5, 15, -1], [-1, 5, -1]]

    @pytest.mark.parametrize(("distance", "is_zero"), [(0.5, True), (0.5 + 2**-20, False)])
    def test_distances_are_rounded_half_to_even(self, distance: float, is_zero: bool) -> None:
        # The higher candidate counts as equally near, or as further away than the other.
        people = people_of(
            (0, 5, 5, 1, (0, 0)), (1, 5, 5, 0.3, (0.125, 0)), (1, 15, 5, 1, (distance, 0))
        )
        assert people[0] == ([5, 15, -1] if is_zero else [5, 5, -1])

    def test_two_that_start_with_the_same_first_tag_share_a_person(self) -> None:
        # The lower one comes second, replaces the joint, and its tags alone stand for the person.
        assert people_of(
            (0, 5, 5, 0.9, (1, 5)), (0, 15, 5, 0.8, (1, 1)), (1, 25, 5, 0.8, (1, 1.5))
        ) == [[15, 25, -1]]

    def test_only_the_first_30_people_take_part(self) -> None:
        peaks: list[Peak] = [(0, 3 + 6 * i, 3, 1 - i / 100, (3 * i, 0)) for i in range(30)]
        started: Peak = (1, 3, 9, 0.9, (200, 0))
        added: list[Peak] = [(2, 3, 9, 0.9, (200.5, 0)), (2, 9, 9, 0.8, (87.5, 0))]
        people = people_of(*peaks, started, *added, size=(13, 190))
        assert people[29:] == [[177, -1, 9], [-1, 3, -1], [-1, -1, 3]]

    def test_no_more_than_30_candidates_of_a_joint(self) -> None:
        peaks: list[Peak] = [(0, 3 + 6 * i, 3, 0.2 + i / 100, (3 * i, 0)) for i in range(31)]
        found = find_candidates(*maps_of(peaks, size=(8, 200)))
        assert found.pixels[:, 0].tolist() == [3 + 6 * i for i in range(30, 0, -1)]

    def test_score_knows_nothing_of_what_is_filled_in(self) -> None:
        # Below the threshold for candidates, but where the tags are the person's.
        peaks = [(0, 5, 5, 0.9, (0.5, 0)), (1, 20, 5, 0.08, (0.5, 0)), (1, 30, 5, 0.1, (9, 9))]
        found = group(*maps_of(peaks), range(3))
        assert found.points.tolist() == [[[5.25, 5.25], [20.25, 5.25], [0, 0]]]
        np.testing.assert_allclose(found.keypoint_scores, [[0.9, 0.08, 0]])
        np.testing.assert_allclose(found.scores, [0.3])

    def test_points_move_towards_the_higher_neighbour(self) -> None:
        heatmaps, tags = maps_of([(0, 0, 5, 0.9, (0, 0)), (0, 39, 11, 0.8, (5, 5))], n_joints=1)
        heatmaps[0, 5, 1] = heatmaps[0, 4, 0] = heatmaps[0, 6, 0] = 0.3
        heatmaps[0, 10, 39] = -0.5
        found = group(heatmaps, tags, [0])
        # At the border a pixel is its own neighbour.
        assert found.points.tolist() == [[[0.25, 5.25]], [[39.75, 11.75]]]


class TestPlainLoop:
    @pytest.mark.parametrize("n_joints", [14, 17])
    @pytest.mark.parametrize("seed", range(8))
    def test_equal_values_everywhere(self, seed: int, n_joints: int) -> None:
        maps = coarse_problem(seed, n_joints, (21 + seed % 3, 26 + seed))
        order = JOINT_ORDER[:n_joints]
        wanted = direct(*(m.numpy() for m in maps), order)
        assert_same(group(*maps, order), wanted)

    @pytest.mark.parametrize("n_people", [1, 8, 60])
    def test_crowds(self, n_people: int) -> None:
        coarse, _ = crowd(n_people, (192, 256))
        heatmaps, tags = coarse[0].split(17)
        tags = torch.stack([tags, tags + 0.01], dim=-1)
        found = group(heatmaps, tags, JOINT_ORDER)
        assert len(found.scores) >= n_people * 0.5
        assert_same(found, direct(heatmaps.numpy(), tags.numpy()))

    def test_other_order_finds_other_people(self) -> None:
        maps = coarse_problem(4, 14, (30, 30))
        backwards = JOINT_ORDER[:14][::-1]
        wanted = direct(*(m.numpy() for m in maps), backwards)
        assert_same(group(*maps, backwards), wanted)
        assert not np.array_equal(wanted[2], group(*maps, JOINT_ORDER[:14]).scores)


class TestSearch:
    @settings(max_examples=40)
    @given(
        seed=st.integers(0, 2**32 - 1),
        height=st.integers(1, 40),
        width=st.integers(1, 40),
        steps=st.sampled_from([1, 4, 1000]),
        spread=st.sampled_from([0.5, 3.0, 40.0]),
        kind=st.sampled_from([torch.float32, torch.float64]),
    )
    def test_finds_what_the_whole_map_holds(
        self, seed: int, height: int, width: int, steps: int, spread: float, kind: torch.dtype
    ) -> None:
        rng = np.random.default_rng(seed)
        maps = [
            torch.from_numpy(np.round(rng.normal(0, s, (3, height, width, n)) * steps) / steps)
            for n, s in ((1, 1.0), (2, spread))
        ]
        heatmaps, tags = maps[0][..., 0].to(kind), maps[1].to(kind)
        joints, means = rng.integers(0, 3, 9), np.round(rng.normal(0, spread, (9, 2)) * 2) / 2
        found = Search(heatmaps, tags).best_pixels(joints, means)
        for joint, mean, pixel in zip(joints, means, found, strict=True):
            gaps = tags[joint].double().numpy() - mean
            fits = heatmaps[joint].double().numpy() - np.round(np.sqrt((gaps**2).sum(axis=2)))
            assert pixel.tolist() == [fits.argmax() % width, fits.argmax() // width]

    def test_a_flat_map_is_searched_in_portions(self) -> None:
        # Every square of it is as good as the first.
        flat = torch.zeros(1, 520, 520)
        found = Search(flat, torch.zeros(1, 520, 520, 2)).best_pixels(
            np.array([0, 0]), np.zeros((2, 2))
        )
        assert found.tolist() == [[0, 0], [0, 0]]
        flat[0, 515, 517] = 2**-20
        flat[0, 517, 515] = 2**-20
        found = Search(flat, torch.zeros(1, 520, 520, 2)).best_pixels(
            np.array([0]), np.ones((1, 2)) / 4
        )
        assert found.tolist() == [[517, 515]]
