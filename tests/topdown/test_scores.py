"""Pose scores: by hand, and, with merging, against the poses that the reference keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.merging import Merging, merge
from crowdbench.metrics.matching import rank_poses
from predictors.topdown.scores import pose_scores
from tests.conditions.arrays import poses_of
from tests.topdown.goldens import read_golden

SOURCES = {
    "single_instance": ("primary",),
    "primary_only": ("primary",),
    "secondary_only": ("secondary",),
    "union": ("secondary", "primary"),
}


def test_the_mean_is_of_keypoints_strictly_above_the_threshold() -> None:
    scores = pose_scores(
        np.array([0.5, 1.0, 0.5]),
        np.array([[0.25, 0.75, 0.125], [0.25, 0.5, -1], [0.25, 0.25, 0.25]]),
        threshold=0.25,
    )
    assert scores.tolist() == [0.375, 0.5, 0]


def test_without_poses_there_are_no_scores() -> None:
    scores = pose_scores(np.zeros(0), np.zeros((0, 17), np.float32))
    assert scores.shape == (0,)
    assert scores.dtype == np.float64


@given(st.integers(0, 5), st.integers(1, 17), st.integers(0, 1000), st.floats(-0.1, 1))
def test_scores_equal_a_plain_loop(n: int, k: int, seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    box_scores, keypoint_scores = rng.random(n), rng.uniform(-0.2, 1, (n, k)).astype(np.float32)
    ours = pose_scores(box_scores, keypoint_scores, threshold)
    for i in range(n):
        found = [float(score) for score in keypoint_scores[i] if float(score) > threshold]
        wanted = box_scores[i] * sum(found) / len(found) if found else 0
        assert ours[i] == pytest.approx(wanted, rel=1e-12, abs=1e-15)
        alone = pose_scores(box_scores[i : i + 1], keypoint_scores[i : i + 1], threshold)
        assert alone[0] == ours[i]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("hrnet-mipnet-coco", kind) for kind in SOURCES),
        *(("mipnet-crowdpose", kind) for kind in SOURCES),
        ("i2r-crowdpose", "single_instance"),
    ],
)
def test_scores_and_kept_poses_equal_the_reference(shared: Path, name: str, kind: str) -> None:
    golden = read_golden(shared, name)
    case = golden.content["scores_and_nms"]
    factors = {"primary": 1.0, "secondary": case.get("secondary_box_score_factor", 1.0)}
    sources = SOURCES[kind]
    n = len(golden.boxes)
    images = np.tile(case["image_of_pose"], len(sources))
    order = np.argsort(images, kind="stable")
    keypoints = np.concatenate([np.array(case[f"{source}_poses"]) for source in sources])
    box_scores = np.outer([factors[source] for source in sources], case["box_scores"]).ravel()
    poses = poses_of(
        keypoints[order, :, :2],
        pose_scores(box_scores, keypoints[..., 2], case["in_vis_thre"])[order].tolist(),
        images[order].tolist(),
        areas=np.tile(golden.frames.areas, len(sources))[order].tolist(),
    )
    rule = Merging("oks-nms", case["oks_thre"]) if golden.merges else Merging("none")
    stays = merge(poses, np.ones((len(poses), 1), bool), rule, golden.sigmas)[:, 0]
    rows = rank_poses(poses.scores, poses.image_index) if golden.merges else np.arange(len(poses))
    rows = rows[stays[rows]]
    labels = [f"{source} {i}" for source in sources for i in range(n)]
    kept = case["kept"][kind]
    assert [labels[order[row]] for row in rows] == [entry["pose"] for entry in kept]
    assert poses.image_index[rows].tolist() == [entry["image"] for entry in kept]
    assert poses.scores[rows].tolist() == pytest.approx(
        [entry["score"] for entry in kept], rel=1e-12
    )
    assert not golden.merges or kind == "secondary_only" or len(rows) < len(poses)
