"""What training makes small: the difference of heatmaps from their targets.

An objective takes a network and a batch through it. Another method brings another objective; the
loop knows none of them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from predictors.networks.i2r import I2RNet
from predictors.networks.mipnet import MultiInstance, selectors

# A joint is right within this share of a tenth of the heatmap (HRNet's program).
_CLOSE = 0.5
# Of the final heatmaps' loss; the first stage's has the rest.
_SHARE = 0.5


class Inputs(NamedTuple):
    """A batch on its device.

    Attributes:
        images: (N, 3, H, W) normalised crops.
        targets: (N, I, K, h, w) heatmaps of I instances.
        weights: (N, I, K): 1 for joints that count, else 0.
        masks: (N, 1, H, W) from 0 to 1: where in its image each person stands; None of networks
            that don't ask for it.
        lengths: how many crops each image has, in a batch of whole images.
    """

    images: Tensor
    targets: Tensor
    weights: Tensor
    masks: Tensor | None
    lengths: list[int]


class Outcome(NamedTuple):
    """What a batch gave.

    Attributes:
        loss: scalar, to be made small.
        heatmaps: (N, K, h, w) of the owners of the boxes.
    """

    loss: Tensor
    heatmaps: Tensor


class Objective(Protocol):
    """How a batch goes through a network, and what comes of it.

    Attributes:
        n_instances: how many instances the targets have.
    """

    n_instances: int

    def __call__(self, network: nn.Module, inputs: Inputs) -> Outcome:
        """Return loss and heatmaps; the network is in training or in evaluation mode."""


def heatmap_losses(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return (...) the loss of each sample: half the mean squared error over pixels and joints.

    Args:
        heatmaps: (..., K, h, w).
        targets: (..., K, h, w).
        weights: (..., K); joints of weight 0 add nothing, but count in the mean.

    Source: HRNet, ``JointsMSELoss``.

    >>> maps, targets = torch.zeros(1, 2, 1, 2), torch.ones(1, 2, 1, 2)
    >>> heatmap_losses(maps, targets, torch.tensor([[1.0, 0.0]])).tolist()
    [0.25]
    """
    errors = (heatmaps - targets).square().mean((-2, -1))
    return 0.5 * (errors * weights.square()).mean(-1)


class OnePerson:
    """One person for each box: SimpleBaseline and HRNet."""

    n_instances = 1

    def __call__(self, network: nn.Module, inputs: Inputs) -> Outcome:
        """Return the mean loss and the heatmaps."""
        heatmaps = network(inputs.images)
        return Outcome(_loss_of_owners(heatmaps, inputs), heatmaps)


class PersonsTogether:
    """One person for each box, of whom the network knows the others in the image: I2R-Net.

    Source: section 3.4 of the paper: the loss of the final heatmaps and that of the first stage's,
    each weighted with a half. A network without a first stage has the one loss.
    """

    n_instances = 1

    def __call__(self, network: nn.Module, inputs: Inputs) -> Outcome:
        """Return the mean loss and the final heatmaps."""
        assert isinstance(network, I2RNet)
        single, multi = network(inputs.images, inputs.masks, inputs.lengths)
        loss = _loss_of_owners(multi, inputs)
        if single is not None:
            loss = _SHARE * loss + (1 - _SHARE) * _loss_of_owners(single, inputs)
        return Outcome(loss, multi)


def _loss_of_owners(heatmaps: Tensor, inputs: Inputs) -> Tensor:
    """Return the mean loss of heatmaps (N, K, h, w) of the boxes' owners."""
    return heatmap_losses(heatmaps, inputs.targets[:, 0], inputs.weights[:, 0]).mean()


class EveryInstance:
    """Several persons for each box, chosen by a selector: MIPNet.

    Source: the official program has each crop twice in a batch, once with a random bit as lambda
    and once with its complement, and weights the losses of both persons with lambda and 1 - lambda.
    So each crop is trained with both selectors, and which one comes first changes nothing: it is
    not drawn here.
    """

    def __init__(self, n_instances: int = 2) -> None:
        self.n_instances = n_instances
        self._selectors = selectors(n_instances)

    def __call__(self, network: nn.Module, inputs: Inputs) -> Outcome:
        """Return the mean loss over instances, and the heatmaps of the first."""
        assert isinstance(network, MultiInstance)
        heatmaps = network.forward_mixed(inputs.images, self._selectors)
        targets, weights = (part.transpose(0, 1) for part in (inputs.targets, inputs.weights))
        losses = heatmap_losses(heatmaps, targets, weights)
        return Outcome(losses.mean(), heatmaps[0])


def accuracy(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> float:
    """Return the share of joints found, from 0 to 1; NaN if there is none to find.

    A joint is found if the highest pixel of its heatmap is less than half of a tenth of the
    heatmap's size away from that of its target.

    Args:
        heatmaps: (N, K, h, w).
        targets: (N, K, h, w).
        weights: (N, K); joints of weight 0 don't count.

    Source: HRNet, ``accuracy``; there it is the mean of the joints' shares.
    """
    height, width = heatmaps.shape[-2:]
    tenth = torch.tensor([width, height], device=heatmaps.device) / 10
    found, wanted = (_peaks(maps) / tenth for maps in (heatmaps, targets))
    close = (found - wanted).square().sum(-1).sqrt() < _CLOSE
    return float(close[weights > 0].float().mean())


def _peaks(maps: Tensor) -> Tensor:
    """Return (..., 2): column and row of the first highest pixel."""
    at, width = maps.flatten(-2).argmax(-1), maps.shape[-1]
    return torch.stack([at % width, at // width], dim=-1)
