"""Suppression by near joints: by hand, against the reference's kept poses, and a plain loop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench import pose_pairs
from crowdbench.merging import Merging, final_poses
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, Poses
from tests.conditions.arrays import poses_of

SIGMAS = COCO_17.sigma_array
# Of a pose 30 wide and 40 high joints are close within 5.
RULE = Merging("near-joints", share=0.1, joints=8, most=0)


def stepped(*steps: float, size: float = 1.0) -> np.ndarray:
    """Return poses of 30 x 40 that are all the same but for a step to the right."""
    points = np.random.default_rng(0).uniform(0, (30, 40), (17, 2))
    points[:2] = [[0, 0], [30, 40]]
    return np.array([points * size + np.array([step, 0]) for step in steps])


def ranked(points: np.ndarray, ranks: list[float], images: list[int] | None = None) -> Poses:
    """Return poses with these ranks, whose scores say the opposite, numbered by `box_index`."""
    poses = poses_of(points, [-rank for rank in ranks], images)
    return replace(poses, ranks=np.array(ranks), box_index=np.arange(len(poses)))


def kept(poses: Poses, rule: Merging = RULE) -> list[int]:
    return final_poses(poses, rule, SIGMAS).box_index.tolist()


def test_of_poses_near_each_other_the_one_of_the_highest_rank_stays() -> None:
    assert kept(ranked(stepped(0, 4, 200), [0.5, 0.9, 0.1])) == [1, 2]
    # A step of exactly the limit is not near.
    assert kept(ranked(stepped(0, 5, 200), [0.5, 0.9, 0.1])) == [0, 1, 2]


def test_thin_poses_beside_each_other_are_near() -> None:
    # The line is 96 high: close is less than 4.8 away, sideways as well.
    line = np.stack([np.zeros(17), np.linspace(0, 96, 17)], axis=1)
    narrow = Merging("near-joints", share=0.05, joints=8, most=0)
    assert kept(ranked(np.array([line, line + np.array([4.7, 0])]), [0.5, 0.9]), narrow) == [1]
    assert kept(ranked(np.array([line, line + np.array([4.9, 0])]), [0.5, 0.9]), narrow) == [0, 1]


def test_without_ranks_the_score_decides() -> None:
    poses = replace(ranked(stepped(0, 4), [0.5, 0.9]), ranks=None)
    assert kept(poses) == [0]


def test_more_than_so_many_joints_must_be_close() -> None:
    points = stepped(0, 4)
    points[1, 8:] += 100
    assert kept(ranked(points, [0.5, 0.9])) == [0, 1]
    points[1, 8] -= 100
    assert kept(ranked(points, [0.5, 0.9])) == [1]


def test_close_is_measured_by_the_size_of_the_visited_pose() -> None:
    # All joints but two are 4 apart: close for the large pose, not for the small one.
    large = stepped(0)[0] * 0.1
    small = large + np.array([4, 0])
    large[:2] = [[-30, 0], [0, 40]]
    poses = np.array([large, small])
    assert kept(ranked(poses, [0.9, 0.1])) == [0]
    assert kept(ranked(poses[::-1], [0.1, 0.9])) == [0, 1]


def test_who_chooses_one_that_is_ignored_already_changes_nothing() -> None:
    # In a row, each near its neighbours alone. The first one chooses the second, and both are
    # ignored; so does the third, to no effect, so that the fourth can still choose the third,
    assert kept(ranked(stepped(0, 4, 8, 12), [0.1, 0.9, 0.2, 0.1])) == [1, 2]
    # or another one.
    assert kept(ranked(stepped(0, 4, 8, 12, 16), [0.1, 0.9, 0.2, 0.1, 0.3])) == [1, 4]


def test_candidates_are_visited_in_their_order_not_by_rank() -> None:
    assert kept(ranked(stepped(0, 4, 8), [0.7, 0.1, 0.5])) == [0, 2]
    # The one in the middle comes first, and both others are near it.
    assert kept(ranked(stepped(4, 0, 8), [0.1, 0.7, 0.5])) == [1]


def test_of_equal_ranks_the_earlier_one_stays() -> None:
    assert kept(ranked(stepped(0, 4), [0.5, 0.5])) == [0]


def test_a_pose_without_extent_is_near_itself_alone() -> None:
    assert kept(ranked(np.zeros((2, 17, 2)), [0.5, 0.9])) == [0, 1]


def test_poses_of_other_images_do_not_matter() -> None:
    assert kept(ranked(stepped(0, 0, 0), [0.5, 0.9, 0.1], [0, 1, 1])) == [0, 1]


def test_at_most_so_many_of_an_image_stay_the_best_by_rank() -> None:
    poses = ranked(stepped(0, 100, 200, 0, 100), [0.5, 0.9, 0.7, 0.1, 0.1], [0, 0, 0, 4, 4])
    rule = Merging("near-joints", share=0.1, joints=8, most=2)
    assert kept(poses, rule) == [1, 2, 3, 4]
    assert kept(poses, Merging("near-joints", share=0.1, joints=8, most=1)) == [1, 3]


def test_kept_poses_equal_the_reference(shared: Path) -> None:
    folder = shared / "reference" / "postprocess-dekr-crowdpose"
    golden = json.loads((folder / "golden.json").read_text())
    stages, case = golden["stages"], golden["settings"]
    found = np.array(stages["proposals"]["poses"])
    with np.load(folder / "inputs.npz") as arrays:
        heat = _heat(arrays["heatmaps"].astype(float), found[..., :2])
    keypoint_scores = found[..., 2] * heat
    poses = poses_of(found[..., :2], keypoint_scores.mean(1).tolist())
    poses = replace(poses, keypoint_scores=keypoint_scores, ranks=heat.mean(1))
    rule = Merging(
        "near-joints",
        share=case["nms_threshold"],
        joints=case["nms_joint_count"],
        most=case["max_people"],
    )
    final = final_poses(poses, rule, SIGMAS)
    expected = stages["after_suppression"]
    assert final.keypoints == pytest.approx(np.array(expected["poses"])[..., :2], abs=1e-4)
    assert final.keypoint_scores == pytest.approx(np.array(expected["poses"])[..., 2], abs=1e-6)
    assert final.scores == pytest.approx(np.array(expected["scores"]), abs=1e-6)
    assert len(final) < len(poses)


def _heat(heatmaps: Array, points: Array) -> Array:
    """Return the heat of joints, see "Merging and suppression" of the facts on DEKR."""
    mirrored = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13]
    mean = (heatmaps[0, :14] + heatmaps[1, mirrored, :, ::-1]) / 2
    enlarged = _enlarging(mean.shape[1]) @ mean @ _enlarging(mean.shape[2]).T
    x, y = np.floor(points).astype(int).transpose(2, 0, 1)
    height, width = enlarged.shape[1:]
    heat: Array = enlarged[np.arange(14), y.clip(0, height - 1), x.clip(0, width - 1)]
    return heat


def _enlarging(n: int) -> Array:
    """Return (4 n, n): sample i comes to lie at 4 i, the last one is repeated."""
    place = np.minimum(np.arange(4 * n) / 4, n - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(n)))


@st.composite
def candidates(draw: st.DrawFn) -> Poses:
    """Draw poses of three images, many alike, of several sizes, many with equal ranks."""
    n = draw(st.integers(0, 14))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    points = stepped(0)[0] + rng.integers(0, 5, (n, 1, 2)) * 3.0
    points *= rng.choice([1, 1, 1.1, 1.4], (n, 1, 1))
    points += rng.choice([0, 0, 0, 9], (n, 17, 1))
    return ranked(
        points, (rng.integers(0, 5, n) / 4).tolist(), np.sort(rng.integers(0, 3, n)).tolist()
    )


def plain(poses: Poses, rule: Merging) -> list[int]:
    assert poses.ranks is not None
    stay: list[int] = []
    for image in set(poses.image_index.tolist()):
        rows = np.flatnonzero(poses.image_index == image).tolist()
        ignored: set[int] = set()
        here = []
        for i in rows:
            if i in ignored:
                continue
            limit = rule.share * np.hypot(*np.ptp(poses.keypoints[i], axis=0))
            near = [
                j
                for j in rows
                if j == i
                or (np.hypot(*(poses.keypoints[i] - poses.keypoints[j]).T) < limit).sum()
                > rule.joints
            ]
            chosen = max(near, key=lambda j: (poses.ranks[j], -j))  # type: ignore[index]
            if chosen not in ignored:
                here.append(chosen)
                ignored.update(near)
        here.sort(key=lambda j: (-poses.ranks[j], j))  # type: ignore[index]
        stay += here[: rule.most] if rule.most else here
    return sorted(stay)


@settings(max_examples=200)
@given(
    candidates(),
    st.sampled_from((0.05, 0.1, 0.21)),
    st.sampled_from((0, 4, 8)),
    st.sampled_from((0, 1, 3)),
    st.sampled_from((1 << 20, 20)),
)
def test_all_images_at_once_equal_a_plain_loop(
    poses: Poses, share: float, joints: int, most: int, pairs: int
) -> None:
    rule = Merging("near-joints", share=share, joints=joints, most=most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pose_pairs, "_PAIRS", pairs)
        assert kept(poses, rule) == plain(poses, rule)
