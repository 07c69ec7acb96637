"""Small things to learn from: squares whose corners are keypoints, and poses that wobble."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from crowdbench.skeletons import COCO_17, MUPOTS_17, Skeleton
from predictors.networks.dekr import DEKR, HeadsConfig
from predictors.networks.hrnet import HRNetConfig, PoseHRNet
from predictors.networks.i2r import RelationConfig, TwoStageI2RNet
from predictors.networks.mipnet import MIPNetHRNet
from predictors.networks.pinet import PINet, PINetConfig
from predictors.networks.pose_interacting import RecurrentNet
from predictors.training.examples import Example
from predictors.training.loop import Pace
from predictors.training.pose_scenes import Scene
from predictors.training.recipe import Recipe
from predictors.training.recipes import find_recipe

SMALL = HRNetConfig(8, (1, 1, 1), growth=0, stem=4, bottlenecks=1, blocks=1)
SMALL_TRUNK = replace(SMALL, all_outputs=True)


@dataclass(frozen=True)
class Squares:
    """Images of 1 to 4 bright squares, each a person whose keypoints are known."""

    n_images: int = 12

    @property
    def identity(self) -> str:
        return "toy, version 1"

    @property
    def skeleton(self) -> Skeleton:
        return COCO_17

    def __len__(self) -> int:
        return self.n_images

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng(index)
        image = rng.integers(0, 60, (120, 160, 3), dtype=np.uint8)
        n = 1 + index % 4
        boxes = np.stack([rng.uniform(0, 110, n), rng.uniform(0, 60, n)], axis=1)
        boxes = np.concatenate([boxes, np.full((n, 1), 40.0), np.full((n, 1), 50.0)], axis=1)
        for x, y, w, h in boxes.astype(int):
            image[y : y + h, x : x + w] = 200
        keypoints = np.full((n, 17, 3), 2.0)
        keypoints[..., :2] = (
            boxes[:, None, :2] + boxes[:, None, 2:] * np.linspace(0, 1, 17)[:, None]
        )
        return Example(image, keypoints, boxes, boxes[:, 2:].prod(axis=1))


@dataclass(frozen=True)
class Scenes:
    """Images of 1 to 4 persons of one build, with poses that are some 8 cm off at each joint."""

    n_images: int = 12

    @property
    def identity(self) -> str:
        return "wobbly, version 1"

    @property
    def skeleton(self) -> Skeleton:
        return MUPOTS_17

    def __len__(self) -> int:
        return self.n_images

    def __getitem__(self, index: int) -> Scene:
        rng = np.random.default_rng(index)
        n = 1 + index % 4
        build = np.random.default_rng(0).normal(0, 300, (17, 3))
        true = build + rng.normal(0, 400, (n, 1, 3)) + (0, 0, 4000)
        return Scene(true + rng.normal(0, 50, (n, 17, 3)), true, rng.uniform(0, 300, (n, 2)))


def small_recipe(name: str = "mipnet-tiny", **other: Any) -> Recipe:
    """Return a recipe of few small steps."""
    values = {"epochs": 1.5, "falls": (1,), "batch_size": 4, "warm_up": 2, **other}
    return replace(find_recipe(name), **values)


def small_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return MIPNetHRNet(SMALL, 17, (False, False, True, True))


def small_relation(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    config = RelationConfig(
        8, n_layers=1, masks="conv", needs_masks=True, upsampling="deconv", feedforward=16,
        doublings=1,
    )  # fmt: skip
    return TwoStageI2RNet(PoseHRNet(SMALL, 17), config, 17)


def small_pinet(seed: int = 0, **other: Any) -> PINet:
    torch.manual_seed(seed)
    return PINet(
        SMALL_TRUNK, 17, PINetConfig(3, **{"refinement": True, "graph_layers": 1, **other})
    )


def small_dekr(seed: int = 0) -> DEKR:
    torch.manual_seed(seed)
    return DEKR(SMALL_TRUNK, 17, HeadsConfig(8, 6, 1))


def small_interacting(seed: int = 0) -> RecurrentNet:
    torch.manual_seed(seed)
    return RecurrentNet("gru", 1, bidirectional=False, attention=True)


def pace(**other: Any) -> Pace:
    return Pace(**{"log_every": 1, "save_every": 6, "n_held_out": 4, **other})
