"""Fusion of poses: by hand, against the reference's fused poses, and against a plain loop."""

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
from crowdbench.skeletons import COCO_17, CROWDPOSE_14
from crowdbench.structures import Poses
from tests.conditions.arrays import poses_of

FUSION = Merging("oks-fusion", 0.7)
SIGMAS = COCO_17.sigma_array


def stepped(*steps: float) -> np.ndarray:
    """Return poses that are all the same but for a step to the right."""
    points = np.random.default_rng(0).uniform(0, 100, (17, 2))
    return np.array([points + np.array([step, 0]) for step in steps])


def sure_of(poses: Poses, *columns: tuple[int, int, float]) -> Poses:
    """Return poses with keypoint scores of 0.1 but for (pose, keypoint, score)."""
    scores = np.full((len(poses), 17), 0.1)
    for row, keypoint, score in columns:
        scores[row, keypoint] = score
    return replace(poses, keypoint_scores=scores)


def test_each_keypoint_is_that_of_the_surest_of_the_group() -> None:
    poses = poses_of(stepped(0, 1, 2, 500), [0.5, 0.9, 0.3, 0.7], areas=[1e4] * 4)
    poses = sure_of(poses, (0, 3, 0.8), (2, 3, 0.6), (2, 5, 0.4), (3, 5, 0.9))
    fused = final_poses(poses, FUSION, SIGMAS)
    # In the order of the candidates that are the best of their groups.
    expected = poses.keypoints[[1, 3]]
    expected[0, 3] = poses.keypoints[0, 3]
    expected[0, 5] = poses.keypoints[2, 5]
    assert np.array_equal(fused.keypoints, expected)
    assert fused.keypoint_scores[0, [3, 5]].tolist() == [0.8, 0.4]
    assert fused.scores.tolist() == pytest.approx([(15 * 0.1 + 1.2) / 17, (16 * 0.1 + 0.9) / 17])


def test_of_equal_keypoint_scores_that_of_the_better_candidate_counts() -> None:
    poses = poses_of(stepped(0, 1, 2), [0.3, 0.5, 0.9], areas=[1e4] * 3)
    poses = sure_of(poses, (0, 7, 0.6), (1, 7, 0.6), (2, 8, 0.6), (0, 8, 0.6))
    (fused,) = final_poses(poses, FUSION, SIGMAS).keypoints
    assert np.array_equal(fused[[0, 7, 8]], poses.keypoints[[2, 1, 2], [0, 7, 8]])


def test_of_equal_pose_scores_the_earlier_candidate_is_the_better_one() -> None:
    poses = poses_of(stepped(0, 1), [0.5, 0.5], areas=[1e4] * 2)
    assert np.array_equal(final_poses(poses, FUSION, SIGMAS).keypoints, poses.keypoints[:1])


def test_who_is_similar_to_two_goes_with_the_better_one() -> None:
    # The middle one is similar to both others, which are not similar to each other.
    poses = poses_of(stepped(0, 4, 8), [0.8, 0.1, 0.9], areas=[1e3] * 3)
    poses = sure_of(poses, (1, 2, 0.7))
    fused = final_poses(poses, Merging("oks-fusion", 0.5), SIGMAS)
    assert fused.keypoint_scores[:, 2].tolist() == [0.1, 0.7]
    assert np.array_equal(fused.keypoints[0], poses.keypoints[0])
    assert np.array_equal(fused.keypoints[1, 2], poses.keypoints[1, 2])


def test_a_candidate_that_was_taken_takes_none() -> None:
    poses = poses_of(stepped(0, 4, 8), [0.9, 0.8, 0.1], areas=[1e3] * 3)
    fused = final_poses(poses, Merging("oks-fusion", 0.5), SIGMAS)
    assert np.array_equal(fused.keypoints, poses.keypoints[[0, 2]])


def test_a_candidate_alone_keeps_its_place_and_has_the_mean_of_its_keypoints_as_score() -> None:
    poses = poses_of(stepped(0, 0), [5, 4], images=[0, 3], areas=[1e4] * 2)
    poses = replace(sure_of(poses, (1, 0, 1.8)), ranks=np.array([1.0, 2.0]))
    fused = final_poses(poses, FUSION, SIGMAS)
    assert fused.image_index.tolist() == [0, 3]
    assert fused.scores.tolist() == pytest.approx([0.1, 0.2])
    # Not the poses' own any more.
    assert (fused.areas, fused.ranks) == (None, None)
    assert np.array_equal(fused.box_index, [-1, -1])


def test_groups_and_fused_poses_equal_the_reference(shared: Path) -> None:
    path = shared / "reference" / "postprocess-pinet-crowdpose" / "golden.json"
    stages = json.loads(path.read_text())["stages"]
    found = np.array(stages["image_poses"])
    extents = np.ptp(found[..., :2], axis=1)
    poses = poses_of(found[..., :2], stages["scored"]["scores"], areas=extents.prod(1).tolist())
    poses = replace(poses, keypoint_scores=found[..., 2])
    sigmas = CROWDPOSE_14.sigma_array
    kept = final_poses(replace(poses, box_index=np.arange(len(poses))), FUSION, sigmas)
    assert kept.box_index.tolist() == sorted(stages["keep"])
    assert 0 < len(kept) < len(poses)
    # The reference has its groups by falling score of their best candidate.
    order = np.argsort(stages["keep"])
    fused = np.array(stages["fused_poses"])[order]
    assert kept.keypoints == pytest.approx(fused[..., :2], abs=1e-4)
    assert kept.keypoint_scores == pytest.approx(fused[..., 2], abs=1e-6)
    assert kept.scores == pytest.approx(np.array(stages["fused_scores"])[order], abs=1e-6)
    assert (fused[..., :2] != found[np.sort(stages["keep"]), :, :2]).any()


@st.composite
def candidates(draw: st.DrawFn) -> Poses:
    """Draw poses of three images, many alike, with equal scores and equal keypoint scores."""
    n = draw(st.integers(0, 14))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    base = rng.uniform(0, 60, (3, 17, 2))
    points = base[rng.integers(0, 3, n)] + rng.integers(0, 4, (n, 1, 2)) * rng.choice([0.5, 2, 8])
    poses = poses_of(
        points + rng.normal(0, 0.1, (n, 17, 2)),
        (rng.integers(0, 5, n) / 4).tolist(),
        np.sort(rng.integers(0, 3, n)).tolist(),
        areas=rng.choice([0.0, 400.0, 900.0, 2500.0], n).tolist(),
    )
    return replace(poses, keypoint_scores=rng.integers(0, 4, (n, 17)) / 4)


def plain_fusion(poses: Poses, limit: float) -> list[tuple[int, int, np.ndarray]]:
    """Return image, best candidate and x, y, score of the keypoints of each fused pose."""
    assert poses.areas is not None
    found = []
    for image in set(poses.image_index.tolist()):
        left = np.flatnonzero(poses.image_index == image).tolist()
        left.sort(key=lambda i: (-poses.scores[i], i))
        while left:
            best, *others = left
            left = []
            points = [[*xy, s] for xy, s in zip(
                poses.keypoints[best], poses.keypoint_scores[best], strict=True
            )]  # fmt: skip
            for i in others:
                squared = ((poses.keypoints[i] - poses.keypoints[best]) ** 2).sum(1)
                area = (poses.areas[i] + poses.areas[best]) / 2 + np.spacing(1)
                if np.exp(-squared / (2 * SIGMAS) ** 2 / area / 2).mean() <= limit:
                    left.append(i)
                    continue
                for k, score in enumerate(poses.keypoint_scores[i]):
                    if score > points[k][2]:
                        points[k] = [*poses.keypoints[i, k], score]
            found.append((image, best, np.array(points)))
    return sorted(found, key=lambda pose: pose[1])


@settings(max_examples=150)
@given(candidates(), st.sampled_from((0.0, 0.3, 0.7, 0.9)), st.sampled_from((1 << 20, 20)))
def test_all_images_at_once_equal_a_plain_loop(poses: Poses, limit: float, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pose_pairs, "_PAIRS", most)
        fused = final_poses(poses, Merging("oks-fusion", limit), SIGMAS)
    expected = plain_fusion(poses, limit)
    assert fused.image_index.tolist() == [image for image, _, _ in expected]
    for i, (_, _, points) in enumerate(expected):
        assert np.array_equal(fused.keypoints[i], points[:, :2])
        assert np.array_equal(fused.keypoint_scores[i], points[:, 2])
        assert fused.scores[i] == pytest.approx(points[:, 2].mean())
