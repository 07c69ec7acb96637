"""What the rescoring network is told, and what becomes of its answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from crowdbench.skeletons import SKELETONS
from predictors.bottomup.rescoring import LINKS, features_of, rescored
from predictors.networks.rescoring import RescoringNet
from tests.bottomup.goldens import read_golden
from tests.networks.filled import filler


def test_the_reference(shared: Path) -> None:
    golden, _ = read_golden(shared, "dekr-crowdpose")
    stages = golden["stages"]
    poses = np.array(stages["image_poses"])
    wanted = stages["rescoring"]
    features = features_of(poses[..., :2], poses[..., 2], LINKS["crowdpose-14"])
    assert features.dtype == np.float32
    assert np.abs(features - wanted["features"]).max() < 1e-6
    network = filler(shared).fill(RescoringNet(LINKS["crowdpose-14"].n_features))
    with torch.inference_mode():
        outputs = network(torch.from_numpy(features).double()).numpy()
    assert np.abs(outputs - wanted["network_output"]).max() < 1e-6
    scores = np.array(stages["after_suppression"]["scores"])
    assert np.abs(rescored(scores, outputs) - wanted["rescored"]).max() < 1e-6


@pytest.mark.parametrize("name", sorted(LINKS))
def test_what_the_links_of_a_layout_make(name: str) -> None:
    n_joints, links = len(SKELETONS[name]), LINKS[name]
    assert set(links.first) | set(links.second) == set(range(n_joints))
    keypoints = np.random.default_rng(0).uniform(0, 100, (3, n_joints, 2))
    scores = np.random.default_rng(1).uniform(size=(3, n_joints))
    features = features_of(keypoints, scores, links)
    assert features.shape == (3, links.n_features)
    assert links.n_features == {"coco-17": 74, "crowdpose-14": 59}[name]
    n = len(links.first)
    vectors, lengths = features[:, : 2 * n].reshape(3, n, 2), features[:, 2 * n : 3 * n]
    assert np.linalg.norm(vectors, axis=2) == pytest.approx(lengths, rel=1e-5)
    # By the size of the pose, which these two make 1 on average.
    assert lengths[:, [9, 11]].mean(1) == pytest.approx(1, rel=1e-5)
    assert np.array_equal(features[:, 3 * n :], scores.astype(np.float32))


def test_sizes_are_one_pixel_at_least() -> None:
    keypoints = np.random.default_rng(0).uniform(0, 0.1, (1, 17, 2))
    features = features_of(keypoints, np.zeros((1, 17)), LINKS["coco-17"])
    first = keypoints[0, 0] - keypoints[0, 1]
    assert features[0, :2] == pytest.approx(first, rel=1e-5)


def test_nobody() -> None:
    features = features_of(np.zeros((0, 14, 2)), np.zeros((0, 14)), LINKS["crowdpose-14"])
    assert features.shape == (0, 59)
    assert rescored(np.zeros(0), np.zeros(0, np.float32)).shape == (0,)
