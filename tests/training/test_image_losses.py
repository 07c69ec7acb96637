"""Losses of whole images against sums made one by one, and what learns from which."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from predictors.training.image_augmentation import MIDDLE
from predictors.training.image_losses import (
    CentreRegression,
    PartRegression,
    filled,
    found_joints,
    map_loss,
    offsets_at,
    pose_loss,
)
from predictors.training.image_samples import ImageSamples, ImageSampling
from tests.training.problems import Squares, small_pinet


def batch(partition: str = "part-large", n: int = 2) -> ImageSamples:
    sampling = ImageSampling((64, 64), MIDDLE, partition, 2, 2, (-2, 1), n_chosen=4)
    source = Squares()
    rng = np.random.default_rng(0)
    return sampling.join([sampling.make(source[i + 1], source.skeleton, rng) for i in range(n)])


def test_the_loss_of_maps_is_a_mean_of_which_background_counts_a_tenth() -> None:
    maps, targets = torch.rand(2, 3, 4, 4), (torch.rand(2, 3, 4, 4) - 0.5).clamp(min=0)
    total = 0.0
    for found, wanted in zip(maps.flatten().tolist(), targets.flatten().tolist(), strict=True):
        total += (found - wanted) ** 2 * (1 if wanted > 0 else 0.1)
    assert map_loss(maps, targets).item() == pytest.approx(total / 96, rel=1e-5)


def test_the_loss_of_poses_is_a_weighted_sum_over_the_number_of_positive_weights() -> None:
    torch.manual_seed(0)
    found, wanted = torch.randn(5, 3, 2), torch.randn(5, 3, 2)
    found[0] = wanted[0] + 0.05
    weights = torch.rand(5, 3) * (torch.rand(5, 3) > 0.4)
    weights[0] = 0.5
    total, n = 0.0, 0
    for m in range(5):
        for j in range(3):
            for axis in range(2):
                error = abs(found[m, j, axis] - wanted[m, j, axis]).item()
                loss = 0.5 * error**2 * 9 if error < 1 / 9 else error - 0.5 / 9
                total += loss * weights[m, j].item()
                n += int(weights[m, j] > 0)
    assert pose_loss(found, wanted, weights).item() == pytest.approx(total / n, rel=1e-5)
    assert pose_loss(found, wanted, torch.zeros(5, 3)).item() == 0


def answer(samples: ImageSamples, n_parts: int) -> torch.Tensor:
    """Return maps of offsets that are right at every place, and far off elsewhere."""
    n, n_joints = len(samples.crops), samples.offsets.shape[1]
    maps = torch.full((n, n_parts, n_joints, 2, 16, 16), 99.0)
    for (image, part, row, column), offsets in zip(
        samples.places.tolist(), samples.offsets, strict=True
    ):
        maps[image, part, :, :, row, column] = offsets
    return maps.reshape(n, -1, 16, 16)


def test_offsets_are_read_part_by_part_joint_by_joint_x_then_y() -> None:
    samples = batch()
    assert len(samples.places.unique(dim=0)) == len(samples.places) > 40
    assert torch.equal(offsets_at(answer(samples, 3), samples), samples.offsets)


def test_the_right_answer_has_no_loss_and_finds_everything() -> None:
    samples = batch("center")
    right: Any = lambda _: (samples.maps, answer(samples, 1))  # noqa: E731
    found = CentreRegression()(right, torch.empty(0), samples)
    assert found.loss.item() == 0
    assert found.found.all()
    rows = samples.chosen[samples.chosen >= 0]
    assert len(found.found) == int((samples.weights[rows] > 0).sum()) > 17
    wrong: Any = lambda _: (samples.maps, answer(samples, 1) + 1)  # noqa: E731
    loss = CentreRegression()(wrong, torch.empty(0), samples).loss.item()
    mean = samples.weights[samples.weights > 0].mean().item()
    assert loss == pytest.approx(0.03 * (1 - 0.5 / 9) * mean, rel=1e-5)


def test_a_joint_is_found_within_a_tenth_of_its_persons_size() -> None:
    offsets = torch.zeros(2, 3, 2)
    sizes = torch.tensor([[80.0, 80, 0], [200, 80, 80]])
    none = torch.empty(0)
    samples = ImageSamples(none, none, none, offsets, none, sizes, none)
    # In pixels of the map; four times as many of the crop. Row 1 comes first.
    answers = torch.tensor([[[3.0, 3.9], [2.1, 0], [1.9, 0]], [[0, 1.9], [2.1, 0], [0, 0]]])
    found = found_joints(answers, torch.tensor([1, 0]), samples)
    assert found.tolist() == [True, False, True, True, False]


def test_missing_poses_are_those_of_the_image_again() -> None:
    chosen = torch.tensor([[7, -1, 9, -1, -1], [3, 4, 5, 6, 7]])
    assert filled(chosen).tolist() == [[7, 7, 9, 9, 7], [3, 4, 5, 6, 7]]
    assert filled(torch.full((1, 2), -1)).tolist() == [[0, 0]]


class Watching(nn.Module):
    """A refinement that remembers what it was asked and answers with what it is told."""

    def __init__(self, change: float) -> None:
        super().__init__()
        self.change = nn.Parameter(torch.tensor(change))

    def forward(
        self, features: torch.Tensor, poses: torch.Tensor, centres: torch.Tensor
    ) -> torch.Tensor:
        self.given = features, poses, centres
        return self.change.expand(*poses.shape[:2], 34)


def test_the_refinement_learns_what_is_left_of_detached_poses() -> None:
    samples, pinet = batch(), small_pinet()
    watching = Watching(0.5)
    pinet.pr = watching
    images = torch.randn(2, 3, 64, 64)
    outcome = PartRegression()(pinet, images, samples)
    features, poses, centres = watching.given
    assert not poses.requires_grad
    assert features.requires_grad
    assert poses.shape == (2, 12, 17, 2)
    rows = filled(samples.chosen)
    assert torch.equal(centres, samples.places[rows][..., 2:])
    maps = pinet.maps(pinet.features(images))
    offsets = offsets_at(maps.offsets, samples).detach()
    places = centres.flip(-1)[:, :, None].float()
    assert torch.allclose(poses, places - offsets[rows], atol=1e-4)

    # Pose less change is place less (offset plus change).
    real = samples.chosen >= 0
    taken = samples.chosen[real]
    refined = pose_loss(offsets[taken] + 0.5, samples.offsets[taken], samples.weights[taken])
    base = pose_loss(offsets, samples.offsets, samples.weights)
    both = torch.cat([maps.heatmaps, maps.points], 1)
    wanted = map_loss(both, samples.maps) + 0.03 * (base + refined)
    assert outcome.loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    outcome.loss.backward()
    assert watching.change.grad is not None
    assert watching.change.grad != 0
    assert len(outcome.found) == int((samples.weights[taken] > 0).sum())


def test_offsets_get_the_same_gradients_with_and_without_refinement() -> None:
    samples, images = batch(), torch.randn(2, 3, 64, 64)
    gradients = []
    for refines in (True, False):
        pinet = small_pinet()
        pinet.refines = refines
        PartRegression()(pinet, images, samples).loss.backward()
        gradient = pinet.ppg.offset_head.weight.grad
        assert gradient is not None
        gradients.append(gradient)
        assert (pinet.pr.adj.grad is not None) is refines
    assert torch.allclose(*gradients, atol=1e-7)
    assert gradients[0].any()


def test_a_batch_without_a_centre_trains_maps_alone() -> None:
    sampling = ImageSampling((64, 64), MIDDLE, "part-large", 2, 2, (-2, 1), least_box=1e9)
    samples = sampling.make(Squares()[1], Squares().skeleton, np.random.default_rng(0))
    pinet = small_pinet()
    outcome = PartRegression()(pinet, torch.randn(1, 3, 64, 64), samples)
    assert outcome.found.shape == (0,)
    outcome.loss.backward()
    assert pinet.ppg.heatmap_head.weight.grad is not None
    assert torch.isfinite(outcome.loss)
