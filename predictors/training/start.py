"""The network that a training begins with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import nn

from crowdbench.registry import load_predictor
from crowdbench.weights import find_weights
from predictors.networks import VARIANTS, create
from predictors.networks.checkpoints import load_checkpoint, load_what_fits
from predictors.networks.dekr import AdaptiveBlock, CentreRegression
from predictors.networks.hrnet import PoseHRNet
from predictors.networks.i2r import I2RNet, TwoStageI2RNet
from predictors.networks.mipnet import MultiInstance
from predictors.networks.pinet import Refinement
from predictors.networks.pose_in_space import PoseNet, RootNet
from predictors.training.bottomup_recipes import ImageRecipe
from predictors.training.recipe import Recipe
from predictors.training.space_recipes import SpaceRecipe

# Of the first weights of convolutions and linear layers.
_STD = 0.001
_NO_BLOCKS = (False, False, False, False)
# Of the scale in the last batch-norm before a residual sum.
_LITTLE = 0.1
# Before the names of the trunk's tensors, where it is a part by itself.
_TRUNK = "backbone."


def _nothing(_words: str) -> None: ...


def begin_network(
    recipe: Recipe,
    num_joints: int,
    weights: Path | None,
    say: Callable[[str], object] = _nothing,
) -> nn.Module:
    """Return the network of a recipe with its first weights, on the CPU, in training mode.

    Args:
        recipe: which network, and its seed.
        num_joints: K.
        weights: a file of weights to start from; None for random ones. For MIPNet it may be one of
            its backbone, which lacks the modulation blocks alone; for I2R-Net it is one of its
            first stage, where it has one. Bottom-up networks and those of 3DMPPE take what fits by
            name and shape.
        say: called with a line on what of the file was taken, where it may be a part.

    Raises:
        MissingError, InputError: if the file is not there or fits another network.

    Source: the official programs: on HRNet all convolutions, and the linear layers of modulation
    blocks, begin with N(0, 0.001) and zero biases. It matters most in the last layer: heatmaps are
    almost all 0, and from larger ones the first hundreds of steps only lead there. Deviation: there
    the trunk starts from weights trained on ImageNet.

    I2R-Net begins as torch and its encoder have it, but for the last layer: without a first stage
    it begins as HRNet's. With one, the final heatmaps begin almost as the first stage's own: the
    relation adds little to the features, and the last layer is a copy of the first stage's. So a
    short training is not spent on learning again what the first stage knows. How the official
    program begins there is not known.

    Of 3DMPPE's networks, only the last layers begin so: all joints are then in the middle of the
    volume, and gamma is 1, as it is of persons who stand (officially 0). What weights don't give
    begins as torch has it.

    Bottom-up networks begin as HRNet; the kernels of DEKR's adaptive blocks are regular ones, and
    the refinement of PINet changes next to nothing, but for which it begins as torch has it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        # RootNet finds one joint, whatever the layout.
        takes_joints = "num_joints" in VARIANTS[recipe.network].overrides
        network = create(recipe.network, **{"num_joints": num_joints} if takes_joints else {})
        if isinstance(recipe, ImageRecipe):
            _begin_bottom_up(network, recipe.offset_scale)
            _load_what_fits(network, weights, say)
            return network
        if isinstance(network, PoseNet | RootNet):
            _begin_in_space(network)
            _load_what_fits(network, weights, say)
            return network
        if isinstance(network, PoseHRNet):
            _begin_small(network)
        if isinstance(network, I2RNet):
            _begin_small(network.final_layer)
        if weights is not None:
            _load(network, recipe, num_joints, weights)
        if isinstance(network, TwoStageI2RNet):
            _begin_as_first_stage(network)
    return network


def first_weights(recipe: Recipe, skeleton: str, asked: Path | None) -> Path | None:
    """Return the file that a recipe starts from, or None for random weights.

    Args:
        recipe: may name a predictor whose weights it starts from.
        skeleton: name of the keypoint layout.
        asked: the file to take instead.

    Raises:
        MissingError: if it is not there; the message says where to get it.
    """
    if recipe.start_from is None:
        return asked
    card = load_predictor(recipe.start_from).card
    if isinstance(recipe, SpaceRecipe):
        # The trunk is taken, which fits any layout.
        skeleton = card.skeletons[0]
    return find_weights(card, skeleton, None if asked is None else str(asked)).path


def _begin_small(network: nn.Module) -> None:
    """Give all linear layers and convolutions weights close to zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            _begin_near_zero(layer)


def _begin_near_zero(layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
    """Give a layer weights close to zero."""
    nn.init.normal_(layer.weight, std=_STD)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _begin_bottom_up(network: nn.Module, offset_scale: float) -> None:
    """Give a bottom-up network its first weights."""
    _begin_small(network)
    for module in network.modules():
        if isinstance(module, AdaptiveBlock):
            module.begin_regular()
        if isinstance(module, CentreRegression):
            for layers in module.offset_feature_layers:
                last = cast("nn.Sequential", layers)[-1]
                assert isinstance(last, AdaptiveBlock)
                nn.init.constant_(last.bn.weight, offset_scale)
        if isinstance(module, Refinement):
            last = module.gconv_pred[-1]
            assert isinstance(last, nn.Conv1d)
            _begin_near_zero(last)


def _begin_in_space(network: PoseNet | RootNet) -> None:
    """Give a network of 3DMPPE its first weights."""
    if isinstance(network, PoseNet):
        _begin_near_zero(network.head.final_layer)
        return
    depth = network.root.depth_layer
    _begin_near_zero(network.root.xy_layer)
    _begin_near_zero(depth)
    assert depth.bias is not None
    nn.init.ones_(depth.bias)


def _begin_as_first_stage(network: TwoStageI2RNet) -> None:
    """Let the final heatmaps be almost those of the first stage, which has its weights already."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    # Of the up-sampling, which comes after everything else that has one.
    nn.init.constant_(norms[-1].weight, _LITTLE)
    # The convolution that makes heatmaps comes last in every first stage.
    stage = network.singleformer
    head = [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)][-1]
    network.final_layer.load_state_dict(head.state_dict())


def _load_what_fits(network: nn.Module, weights: Path | None, say: Callable[[str], object]) -> None:
    """Load those tensors of a file that the network has, too, and say how many these are."""
    if weights is not None:
        n_taken, n = load_what_fits(network, weights, _TRUNK)
        say(f"{weights}: {n_taken:,} of the network's {n:,} tensors begin with its values")


def _load(network: nn.Module, recipe: Recipe, num_joints: int, weights: Path) -> None:
    """Load a file into the network, all but its modulation blocks, or its first stage alone."""
    if isinstance(network, TwoStageI2RNet):
        load_checkpoint(network.singleformer, weights, recipe.start_from or recipe.network)
        return
    if not isinstance(network, MultiInstance):
        load_checkpoint(network, weights, recipe.network)
        return
    # The backbone by itself, so that a file that lacks anything else is refused.
    backbone = create(recipe.network, num_joints=num_joints, mimb=_NO_BLOCKS)
    load_checkpoint(backbone, weights, recipe.start_from or recipe.network)
    network.load_state_dict(backbone.state_dict(), strict=False)
