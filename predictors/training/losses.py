"""What training makes small: the difference of heatmaps from their targets.

An objective takes a network and a batch through it. Another method brings another objective; the
loop knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from predictors.networks.i2r import I2RNet
from predictors.networks.mipnet import MultiInstance, selectors
from predictors.training.person_samples import PersonSamples

# A joint is right within this share of a tenth of the heatmap (HRNet's program).
_CLOSE = 0.5
# Of the final heatmaps' loss; the first stage's has the rest.
_SHARE = 0.5


class Outcome(NamedTuple):
    """What a batch gave.

    Attributes:
        loss: scalar, to be made small.
        found: (n,) bool: for each joint that counts, whether the network's answer is close enough;
            their share is what the log calls accuracy.
        figures: (n,) of what else is told of the held-out images, as the mean of their samples, by
            its name.
    """

    loss: Tensor
    found: Tensor
    figures: Mapping[str, Tensor] = MappingProxyType({})


class Objective(Protocol):
    """How a batch goes through a network, and what comes of it."""

    def __call__(self, network: nn.Module, inputs: Any, samples: Any, /) -> Outcome:
        """Return the loss and what was found.

        Args:
            network: in training or in evaluation mode.
            inputs: what the recipe makes of the samples, (N, 3, H, W) normalised crops if no other;
                on their device.
            samples: what the recipe's sampling makes, on the network's device.
        """


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

    def __call__(self, network: nn.Module, images: Tensor, samples: PersonSamples) -> Outcome:
        """Return the mean loss and which joints were found."""
        heatmaps = network(images)
        return Outcome(_loss_of_owners(heatmaps, samples), _found_of_owners(heatmaps, samples))


class PersonsTogether:
    """One person for each box, of whom the network knows the others in the image: I2R-Net.

    Source: section 3.4 of the paper: the loss of the final heatmaps and that of the first stage's,
    each weighted with a half. A network without a first stage has the one loss.
    """

    def __call__(self, network: nn.Module, images: Tensor, samples: PersonSamples) -> Outcome:
        """Return the mean loss and which joints were found in the final heatmaps."""
        assert isinstance(network, I2RNet)
        masks = samples.masks[:, None] / 255 if samples.masks.numel() else None
        single, multi = network(images, masks, samples.lengths)
        loss = _loss_of_owners(multi, samples)
        if single is not None:
            loss = _SHARE * loss + (1 - _SHARE) * _loss_of_owners(single, samples)
        return Outcome(loss, _found_of_owners(multi, samples))


def _loss_of_owners(heatmaps: Tensor, samples: PersonSamples) -> Tensor:
    """Return the mean loss of heatmaps (N, K, h, w) of the boxes' owners."""
    return heatmap_losses(heatmaps, samples.targets[:, 0], samples.weights[:, 0]).mean()


def _found_of_owners(heatmaps: Tensor, samples: PersonSamples) -> Tensor:
    """Return which joints of the boxes' owners were found in heatmaps (N, K, h, w)."""
    return found_joints(heatmaps.detach(), samples.targets[:, 0], samples.weights[:, 0])


class EveryInstance:
    """Several persons for each box, chosen by a selector: MIPNet.

    Source: the official program has each crop twice in a batch, once with a random bit as lambda
    and once with its complement, and weights the losses of both persons with lambda and 1 - lambda.
    So each crop is trained with both selectors, and which one comes first changes nothing: it is
    not drawn here.
    """

    def __init__(self, n_instances: int = 2) -> None:
        self._selectors = selectors(n_instances)

    def __call__(self, network: nn.Module, images: Tensor, samples: PersonSamples) -> Outcome:
        """Return the mean loss over instances, and which joints of the first were found."""
        assert isinstance(network, MultiInstance)
        heatmaps = network.forward_mixed(images, self._selectors)
        targets, weights = (part.transpose(0, 1) for part in (samples.targets, samples.weights))
        losses = heatmap_losses(heatmaps, targets, weights)
        return Outcome(losses.mean(), _found_of_owners(heatmaps[0], samples))


def found_joints(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return (n,) bool: whether each of the joints that count was found.

    A joint is found if the highest pixel of its heatmap is less than half of a tenth of the
    heatmap's size away from that of its target.

    Args:
        heatmaps: (N, K, h, w).
        targets: (N, K, h, w).
        weights: (N, K); joints of weight 0 don't count.

    Source: HRNet, ``accuracy``.
    """
    height, width = heatmaps.shape[-2:]
    tenth = torch.tensor([width, height], device=heatmaps.device) / 10
    found, wanted = (_peaks(maps) / tenth for maps in (heatmaps, targets))
    close = (found - wanted).square().sum(-1).sqrt() < _CLOSE
    return close[weights > 0]


def _peaks(maps: Tensor) -> Tensor:
    """Return (..., 2): column and row of the first highest pixel."""
    at, width = maps.flatten(-2).argmax(-1), maps.shape[-1]
    return torch.stack([at % width, at // width], dim=-1)
