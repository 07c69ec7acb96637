"""Losses of 3DMPPE by hand, and what counts as found; the networks learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from crowdbench.skeletons import MUPOTS_17
from predictors.networks.pose_in_space import PoseNet, RootNet, RootOutput, soft_argmax
from predictors.normalisation import normalised
from predictors.training.recipes import find_recipe
from predictors.training.space_losses import JointsInVolume, RootInCrop
from predictors.training.space_samples import JointSamples, RootSamples
from predictors.training.start import begin_network
from tests.training.spaces import two_persons

NOTHING = torch.empty(0)


class GivenPoseNet(PoseNet):
    """Answers with what it was made with."""

    def __init__(self, volumes: Tensor) -> None:
        nn.Module.__init__(self)
        self.volumes = volumes

    def forward(self, images: Tensor) -> Tensor:
        return self.volumes


class GivenRootNet(RootNet):
    """Answers with what it was made with."""

    def __init__(self, maps: Tensor, gammas: Tensor) -> None:
        nn.Module.__init__(self)
        self.output = RootOutput(maps, gammas)

    def forward(self, images: Tensor) -> RootOutput:
        return self.output


def peaks(places: list[tuple[int, ...]], size: tuple[int, ...]) -> Tensor:
    """Return (len(places), *size): logits with one sharp peak each, at x, y(, bin)."""
    volumes = torch.zeros(len(places), *size)
    for volume, place in zip(volumes, places, strict=True):
        volume[place[::-1]] = 500
    return volumes


def joints_loss(volumes: Tensor, joints: Tensor, weights: Tensor) -> Any:
    return JointsInVolume()(GivenPoseNet(volumes), NOTHING, JointSamples(NOTHING, joints, weights))


def test_the_loss_is_the_mean_difference_over_axes_and_all_joints() -> None:
    volumes = peaks([(3, 4, 5), (10, 0, 7)], (16, 16, 16))[None]
    joints = torch.tensor([[[4.0, 4, 8], [9, 2, 4]]])
    # (1 + 0 + 3) / 3 and (1 + 2 + 3) / 3.
    assert joints_loss(volumes, joints, torch.ones(1, 2)).loss.item() == pytest.approx(10 / 6)
    found = joints_loss(volumes, joints, torch.tensor([[1.0, 0]]))
    assert found.loss.item() == pytest.approx(4 / 6)
    assert found.found.shape == (1,)


def test_a_joint_that_does_not_count_gives_no_gradient() -> None:
    volumes = torch.randn(2, 3, 4, 4, 4, requires_grad=True)
    weights = torch.tensor([[1.0, 0, 1], [0, 1, 1]])
    joints_loss(volumes, torch.zeros(2, 3, 3), weights).loss.backward()
    assert volumes.grad is not None
    assert volumes.grad.flatten(2).any(2).tolist() == [[True, False, True], [False, True, True]]


def test_a_joint_is_found_within_a_twentieth_of_the_volume() -> None:
    # 32 pixels across, 16 bins of depth: less than 1.6 pixels, or 0.8 bins.
    volumes = peaks([(10, 10, 8)] * 5, (16, 32, 32))[None]
    joints = torch.tensor(
        [[[11.5, 10, 8], [11.7, 10, 8], [10, 10, 8.75], [10, 10, 8.85], [11.2, 10, 8.6]]]
    )
    found = joints_loss(volumes, joints, torch.ones(1, 5)).found
    assert found.tolist() == [True, False, True, False, False]


def root_loss(maps: Tensor, gammas: Tensor, roots: Tensor, weights: Tensor, k: Tensor) -> Any:
    samples = RootSamples(NOTHING, roots, weights, k)
    return RootInCrop()(GivenRootNet(maps[:, None], gammas), NOTHING, samples)


def test_the_roots_loss_takes_gamma_in_pixels_of_the_map() -> None:
    maps, gammas = peaks([(3, 4), (8, 8)], (32, 32)), torch.tensor([1.0, 0.75])
    roots = torch.tensor([[5.0, 5, 1.25], [8, 7, 1]])
    k = torch.tensor([4000.0, 4000])
    everything = root_loss(maps, gammas, roots, torch.ones(2, 2), k)
    # 2 + 1 + 8 and 0 + 1 + 8.
    assert everything.loss.item() == pytest.approx(20 / 2 / 3)
    place_alone = root_loss(maps, gammas, roots, torch.tensor([[1.0, 0], [0, 0]]), k)
    assert place_alone.loss.item() == pytest.approx(3 / 2 / 3)
    assert place_alone.found.shape == (0,)


def test_a_root_is_found_within_250_mm() -> None:
    maps, k = peaks([(16, 16)] * 5, (32, 32)), torch.tensor([4000.0] * 4 + [8000])
    gammas = torch.tensor([1.06, 1.07, 1.0, 1.0, 1.06])
    roots = torch.full((5, 3), 16.0)
    roots[:, 2] = 1
    # A pixel is 62.5 mm at the depth k.
    roots[2, 0], roots[3, 1] = 19.9, 20.1
    found = root_loss(maps, gammas, roots, torch.ones(5, 2), k).found
    assert found.tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("name", ["3dmppe-tiny", "3dmppe-rootnet-tiny"])
def test_the_tiny_networks_learn_what_they_are_shown(name: str) -> None:
    recipe = find_recipe(name)
    small = replace(recipe.sampling.plain, input_size=(64, 64))
    samples = small.make(two_persons(), MUPOTS_17, np.random.default_rng(0))
    network = begin_network(recipe, 17, None)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    images, losses = normalised(samples.crops, "RGB"), []
    for _ in range(30):
        optimiser.zero_grad()
        outcome = recipe.objective(network, images, samples)
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(outcome.loss.item())
    assert min(losses[-5:]) < 0.5 * losses[0]


def test_first_answers_are_the_middle_of_the_volume_and_a_person_who_stands() -> None:
    images = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    posenet, rootnet = (
        begin_network(find_recipe(name), 17, None)
        for name in ("3dmppe-tiny", "3dmppe-rootnet-tiny")
    )
    with torch.no_grad():
        assert soft_argmax(posenet(images)) == pytest.approx(15.5, abs=0.2)
        assert rootnet(images).gammas == pytest.approx(1, abs=0.05)
