"""What training makes small for 3DMPPE: distances of joints in the crop and of depths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from predictors.networks.pose_in_space import PoseNet, RootNet, soft_argmax, soft_argmax_2d
from predictors.space.decoding import BOX_MM
from predictors.training.losses import Outcome
from predictors.training.space_samples import JointSamples, RootSamples

# A joint is right within this share of the volume's sides, which is 100 mm of its depth.
_CLOSE = 0.05
# A root is right within this distance, as in RootNet's average precision.
_CLOSE_ROOT_MM = 250.0


class JointsInVolume:
    """Absolute differences of the joints' places in the volume: PoseNet.

    Source: the official training: the mean over all joints of the batch, of which those that don't
    count are 0, and over x, y and depth, in pixels and bins.
    """

    def __call__(self, network: nn.Module, inputs: Tensor, samples: JointSamples) -> Outcome:
        """Return the mean loss and which joints were found.

        A joint is found if it is less than a twentieth of the volume's sides away from its place.
        Along the depth that is 100 mm, and about as much across where the person fills the crop.
        """
        assert isinstance(network, PoseNet)
        volumes = network(inputs)
        errors = soft_argmax(volumes) - samples.joints
        loss = (errors.abs().mean(2) * samples.weights).mean()
        n_bins, height, width = volumes.shape[2:]
        sides = torch.tensor([width, height, n_bins], device=errors.device)
        close = (errors.detach() / sides).norm(dim=2) < _CLOSE
        return Outcome(loss, close[samples.weights > 0])


class RootInCrop:
    """Absolute differences of the root's place and of its depth: RootNet.

    The depth counts as gamma, in pixels of the map: a pixel is what it is across at the depth k,
    and all persons weigh the same.

    Source: the official training, the mean over x, y and depth. Deviation: there the depth is
    compared in mm, after gamma was multiplied with k, so that it outweighs the place by far.
    """

    def __call__(self, network: nn.Module, inputs: Tensor, samples: RootSamples) -> Outcome:
        """Return the mean loss and which roots were found.

        A root is found if it is less than 250 mm away from its place, measured across at its own
        depth, and along the depth.
        """
        assert isinstance(network, RootNet)
        maps, gammas = network(inputs)
        width = maps.shape[3]
        places, wanted = soft_argmax_2d(maps)[:, 0], samples.roots
        across = places - wanted[:, :2]
        along = (gammas.float() - wanted[:, 2]) * width
        losses = across.abs().sum(1) * samples.weights[:, 0] + along.abs() * samples.weights[:, 1]
        across_mm = across.detach() * (BOX_MM / width) * wanted[:, 2:]
        along_mm = along.detach() / width * samples.k_mm
        distances = torch.cat([across_mm, along_mm[:, None]], dim=1).norm(dim=1)
        return Outcome(losses.mean() / 3, (distances < _CLOSE_ROOT_MM)[samples.weights[:, 1] > 0])
