"""What training of bottom-up networks makes small: errors of Gaussians and of regressed poses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from predictors.networks.pinet import PINet
from predictors.training.image_samples import ImageSamples
from predictors.training.losses import Outcome
from predictors.training.targets import STRIDE

# Of pixels of a map where no Gaussian is.
_BACKGROUND = 0.1
# Below this many pixels of the map the error counts in its square.
_BETA = 1 / 9
# Of the poses' losses, beside that of the maps.
_SHARE = 0.03
# A joint is right within this share of the person's size.
_CLOSE = 0.1


def map_loss(maps: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of (N, C, h, w) maps, a tenth of it where no Gaussian is.

    Source: DEKR, ``HeatmapLoss`` and the weights of its ``HeatmapGenerator``.

    >>> map_loss(torch.ones(1, 1, 1, 2), torch.tensor([[[[0.5, 0.0]]]]))
    tensor(0.1750)
    """
    weights = torch.where(targets > 0, 1, _BACKGROUND)
    return ((maps - targets).square() * weights).mean()


def pose_loss(found: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return the loss of poses (M, J, 2): the weighted mean of errors over what has a weight.

    Args:
        found: in pixels of the map.
        wanted: likewise.
        weights: (M, J), of both coordinates; the mean is of as many as are positive.

    Returns:
        A scalar; 0 where none is.

    Source: DEKR, ``OffsetsLoss``.

    >>> weights = torch.tensor([[2.0, 0.0]])
    >>> pose_loss(torch.tensor([[[1.0, 0.0], [5, 5]]]), torch.zeros(1, 2, 2), weights)
    tensor(0.9444)
    """
    errors = nn.functional.smooth_l1_loss(found, wanted, reduction="none", beta=_BETA)
    n_positive = 2 * (weights > 0).sum()
    return (errors.sum(-1) * weights).sum() / n_positive.clamp(min=1)


class CentreRegression:
    """Poses as offsets from one centre: DEKR and Global Relation Modeling.

    Source: DEKR: the maps' loss plus 0.03 times that of the offsets.
    """

    def __call__(self, network: nn.Module, images: Tensor, samples: ImageSamples) -> Outcome:
        """Return the loss and which joints the offsets found."""
        maps, offsets = network(images)
        found = offsets_at(offsets.float(), samples)
        loss = map_loss(maps.float(), samples.maps)
        loss = loss + _SHARE * pose_loss(found, samples.offsets, samples.weights)
        rows = samples.chosen[samples.chosen >= 0]
        return Outcome(loss, found_joints(found.detach()[rows], rows, samples))


class PartRegression:
    """Poses as offsets from the centres of parts, and refined by a graph: PINet and SPM.

    Source: PINet: the maps' loss plus 0.03 times those of the offsets and of the refined poses.
    The refinement learns from up to 40 places of each part, and neither it nor its loss changes the
    poses that it is given. Which poses fill the batch of an image that has fewer is not known: here
    its own again, of weight 0, so that they don't change what the normalisation sees.
    """

    def __call__(self, network: nn.Module, images: Tensor, samples: ImageSamples) -> Outcome:
        """Return the loss and which joints were found, by the refined poses if there are such."""
        assert isinstance(network, PINet)
        features = network.features(images)
        heatmaps, points, offsets = network.maps(features)
        found = offsets_at(offsets.float(), samples)
        loss = map_loss(torch.cat([heatmaps, points], dim=1).float(), samples.maps)
        loss = loss + _SHARE * pose_loss(found, samples.offsets, samples.weights)
        real = samples.chosen >= 0
        if network.refines and real.any():
            rows = filled(samples.chosen)
            centres = samples.places[rows][..., 2:]
            # A keypoint is the place less its offset.
            poses = centres.flip(-1)[..., None, :] - found.detach()[rows]
            changes = network.refine_offsets(features, poses, centres).float()
            rows, changes = rows[real], changes[real].reshape(-1, found.shape[1], 2)
            # A refined keypoint is the pose less its change.
            found = found.detach()[rows] + changes
            refined = pose_loss(found, samples.offsets[rows], samples.weights[rows])
            loss = loss + _SHARE * refined
        else:
            rows = samples.chosen[real]
            found = found[rows]
        return Outcome(loss, found_joints(found.detach(), rows, samples))


def offsets_at(offsets: Tensor, samples: ImageSamples) -> Tensor:
    """Return (M, J, 2): the offsets at the places where poses are learned.

    Args:
        offsets: (N, S * 2J, h, w), part by part, joint by joint, x then y.
        samples: which tell the places.
    """
    image, part, row, column = samples.places.unbind(1)
    # Of all parts at first: reading all channels of a pixel is quick.
    n_joints = samples.offsets.shape[1]
    n_parts = offsets.shape[1] // (2 * n_joints)
    there = offsets[image, :, row, column].reshape(-1, n_parts, n_joints, 2)
    found: Tensor = there[torch.arange(len(part), device=part.device), part]
    return found


def filled(chosen: Tensor) -> Tensor:
    """Return (N, C) rows of places: those chosen, again and again where an image has fewer.

    Args:
        chosen: (N, C) rows, -1 where there are fewer. An image without any gets the first row.

    >>> filled(torch.tensor([[4, 5, -1, 6, -1], [-1, -1, -1, -1, -1]])).tolist()
    [[4, 5, 4, 6, 5], [0, 0, 0, 0, 0]]
    """
    real = chosen >= 0
    first = torch.argsort(~real, dim=1, stable=True)
    n = real.sum(1, keepdim=True).clamp(min=1)
    # The missing ones take the real ones in turn.
    turn = (torch.cumsum(~real, dim=1) - 1).clamp(min=0) % n
    others = chosen.gather(1, first.gather(1, turn))
    return torch.where(real, chosen, others).clamp(min=0)


def found_joints(found: Tensor, rows: Tensor, samples: ImageSamples) -> Tensor:
    """Return (n,) bool: whether each of the joints that count was found.

    A joint is found if it is less than a tenth of its person's size away, which is the square root
    of the area of the annotated box.

    Args:
        found: (R, J, 2) offsets of the poses at some of the places.
        rows: (R,) which places.
        samples: what the network should answer.
    """
    distances = (found - samples.offsets[rows]).square().sum(-1).sqrt() * STRIDE
    sizes = samples.sizes[rows]
    return (distances < _CLOSE * sizes)[sizes > 0]
