"""Losses by hand, and the doubled batch of MIPNet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from predictors.networks.i2r import Heatmaps, I2RNet
from predictors.networks.mipnet import MIPNetHRNet, selectors
from predictors.training.losses import (
    EveryInstance,
    Objective,
    OnePerson,
    PersonsTogether,
    found_joints,
    heatmap_losses,
)
from predictors.training.person_samples import PersonSamples
from tests.training.problems import SMALL


def samples_of(targets: torch.Tensor, weights: torch.Tensor) -> PersonSamples:
    """Return a batch of one image."""
    n = len(targets)
    return PersonSamples(
        torch.empty(n, 0), targets, weights, torch.empty(n, 0, 0), torch.arange(n) == 0
    )


def test_the_loss_is_half_the_mean_square_over_all_joints() -> None:
    heatmaps = torch.tensor([[[[1.0, 0.0]], [[0.5, 0.5]]], [[[0.0, 0.0]], [[0.0, 0.0]]]])
    targets = torch.tensor([[[[0.0, 0.0]], [[0.5, 1.0]]], [[[2.0, 0.0]], [[0.0, 0.0]]]])
    weights = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    # Mean squares 0.5 and 0.125; 2 and 0.
    wanted = [0.5 * (0.5 + 0.125) / 2, 0.5 * 2 / 2]
    assert heatmap_losses(heatmaps, targets, weights).tolist() == pytest.approx(wanted)


def test_a_joint_that_does_not_count_gives_no_gradient() -> None:
    heatmaps = torch.randn(2, 3, 4, 4, requires_grad=True)
    weights = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    heatmap_losses(heatmaps, torch.zeros_like(heatmaps), weights).sum().backward()
    assert heatmaps.grad is not None
    assert heatmaps.grad.flatten(2).any(2).tolist() == [[True, False, True], [False, True, True]]


def test_one_person_is_the_mean_over_the_batch() -> None:
    heatmaps, targets = torch.randn(3, 2, 4, 4), torch.randn(3, 1, 2, 4, 4)
    network: Any = lambda _: heatmaps  # noqa: E731
    samples = samples_of(targets, torch.ones(3, 1, 2))
    found = OnePerson()(network, torch.zeros(3, 3, 16, 16), samples)
    assert found.loss == pytest.approx(0.5 * float((heatmaps - targets[:, 0]).square().mean()))
    assert found.found.tolist() == found_joints(heatmaps, targets[:, 0], torch.ones(3, 2)).tolist()


@pytest.mark.parametrize(
    "mimb", [(False, False, True, True), (True, True, True, True), (False, False, False, True)]
)
def test_features_doubled_after_the_trunk_equal_the_doubled_batch(mimb: tuple[bool, ...]) -> None:
    """As the official program has it: each crop twice, with a random bit and its complement."""
    torch.manual_seed(0)
    network = MIPNetHRNet(SMALL, 17, mimb).double().train()
    images = torch.randn(6, 3, 64, 64, dtype=torch.float64)
    targets = torch.rand(6, 2, 17, 16, 16, dtype=torch.float64)
    weights = (torch.rand(6, 2, 17) > 0.3).double()
    bits = torch.tensor([1.0, 0, 0, 1, 1, 0], dtype=torch.float64)

    found = EveryInstance()(network, images, samples_of(targets, weights))
    gradients = torch.autograd.grad(found.loss, list(network.parameters()))

    lambdas = torch.cat([bits, 1 - bits])
    heatmaps = network(images.repeat(2, 1, 1, 1), torch.stack([lambdas, 1 - lambdas], dim=1))
    both = [
        heatmap_losses(heatmaps, targets[:, i].repeat(2, 1, 1, 1), weights[:, i].repeat(2, 1))
        for i in range(2)
    ]
    loss = (lambdas * both[0] + (1 - lambdas) * both[1]).mean()
    wanted = torch.autograd.grad(loss, list(network.parameters()))

    assert found.loss.item() == pytest.approx(loss.item(), abs=1e-12)
    owners = heatmaps[torch.where(bits == 1, torch.arange(6), torch.arange(6) + 6)]
    close = found_joints(owners, targets[:, 0], weights[:, 0])
    assert torch.equal(found.found, close)
    for one, other in zip(gradients, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-9)
    assert all(bool(gradient.any()) for gradient in gradients[-4:])


def test_the_mixed_batch_tells_instances_apart_and_evaluates_as_one_by_one() -> None:
    torch.manual_seed(0)
    network = MIPNetHRNet(SMALL, 17, (False, False, True, True))
    images = torch.randn(2, 3, 64, 64)
    mixed = network.forward_mixed(images, selectors(2))
    assert not torch.allclose(mixed[0], mixed[1], atol=1e-4)
    network.eval()
    with torch.no_grad():
        mixed = network.forward_mixed(images, selectors(2))
        assert torch.allclose(mixed, network.forward_instances(images, selectors(2)), atol=1e-5)


def test_accuracy_counts_peaks_near_their_place() -> None:
    targets = torch.zeros(1, 4, 40, 20)
    targets[0, :, 10, 10] = 1
    heatmaps = torch.zeros(1, 4, 40, 20)
    # A tenth of the size is 4 rows and 2 columns; half of that is too far.
    for joint, (row, column) in enumerate([(10, 10), (11, 10), (12, 10), (10, 11)]):
        heatmaps[0, joint, row, column] = 0.3
    found = found_joints(heatmaps, targets, torch.ones(1, 4))
    assert found.tolist() == [True, True, False, False]
    assert found_joints(heatmaps, targets, torch.tensor([[1.0, 0, 1, 0]])).tolist() == [True, False]
    assert found_joints(heatmaps, targets, torch.zeros(1, 4)).shape == (0,)


@pytest.mark.parametrize("objective", [EveryInstance(), PersonsTogether()])
def test_other_methods_need_their_own_networks(objective: Objective) -> None:
    with pytest.raises(AssertionError):
        objective(nn.Identity(), torch.zeros(1), samples_of(*(torch.zeros(1),) * 2))


class Related(I2RNet):
    """A network that is asked for nothing but heatmaps, which are given."""

    def __init__(self, single: torch.Tensor | None, multi: torch.Tensor) -> None:
        super().__init__()
        self.heatmaps = Heatmaps(single, multi)

    def forward(self, images: Any, masks: Any, lengths: Any) -> Heatmaps:
        self.given = images, masks, lengths
        return self.heatmaps


def test_both_stages_count_half_each() -> None:
    single, multi = torch.randn(5, 2, 4, 4), torch.randn(5, 2, 4, 4)
    images, masks = torch.zeros(5, 3, 16, 16), torch.ones(5, 1, 16, 16)
    targets = torch.randn(5, 1, 2, 4, 4)
    weights = (torch.rand(5, 1, 2) > 0.3).float()
    begins = torch.tensor([True, False, False, True, False])
    samples = PersonSamples(torch.empty(5, 0), targets, weights, 255 * masks[:, 0], begins)
    alone = [
        float(heatmap_losses(maps, targets[:, 0], weights[:, 0]).mean()) for maps in (single, multi)
    ]
    network = Related(single, multi)
    found = PersonsTogether()(network, images, samples)
    assert float(found.loss) == pytest.approx(sum(alone) / 2)
    given, stood, lengths = network.given
    assert (given is images, lengths) == (True, [3, 2])
    assert torch.equal(stood, masks)
    # Without a first stage there is one loss, of weight one.
    found = PersonsTogether()(Related(None, multi), images, samples)
    assert float(found.loss) == pytest.approx(alone[1])
