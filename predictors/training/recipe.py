"""Recipes: all that decides what a training gives, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from crowdbench.errors import UnknownNameError
from predictors.networks import VARIANTS
from predictors.training.augmentation import HRNET, MILD, Augmentation
from predictors.training.losses import EveryInstance, Objective, OnePerson
from predictors.training.samples import Sampling


@dataclass(frozen=True)
class Recipe:
    """What decides what a training gives, besides the data and the machine.

    Attributes:
        name: what users type; that of the predictor which takes the weights.
        network: name of the network's variant.
        data: the split that is learned from.
        held_out: the split whose first images are looked at meanwhile.
        epochs: how often all images are seen.
        falls: after which epochs the learning rate falls to a tenth.
        batch_size: crops of a step.
        sigma: of the target Gaussians, in pixels of the heatmap.
        n_instances: how many persons the network finds in each crop.
        augmentation: how far crops may differ from their boxes.
        learning_rate: of Adam, at first.
        warm_up: steps in which the learning rate rises to that evenly; 0 for none.
        seed: of the first weights, the order of images and the crops.
        start_from: the predictor whose weights are the first ones, or None for random ones.
        channels: order in which the network takes them; see `predictors.topdown.predictor.Method`.
    """

    name: str
    network: str
    data: str
    held_out: str
    epochs: float
    falls: tuple[float, ...]
    batch_size: int
    sigma: float
    n_instances: int = 1
    augmentation: Augmentation = HRNET
    learning_rate: float = 1e-3
    warm_up: int = 0
    seed: int = 0
    start_from: str | None = None
    channels: Literal["RGB", "BGR"] = "RGB"

    @property
    def sampling(self) -> Sampling:
        """How samples are made of images."""
        size = VARIANTS[self.network].input_size
        return Sampling(size, self.sigma, self.augmentation, self.n_instances, self.seed)

    @property
    def objective(self) -> Objective:
        """What is made small."""
        return OnePerson() if self.n_instances == 1 else EveryInstance(self.n_instances)

    def rate(self, epoch: float, step: int) -> float:
        """Return the learning rate of a step.

        Args:
            epoch: how often all images were seen before it, with the fraction.
            step: how many steps came before it.
        """
        rising = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        n_falls = sum(epoch >= fall for fall in self.falls)
        return self.learning_rate * rising / float(10**n_falls)


_HRNET_TINY = Recipe(
    name="hrnet-tiny",
    network="hrnet-tiny",
    data="synthcrowd-train",
    held_out="synthcrowd-val",
    epochs=6,
    falls=(4.5, 5.5),
    batch_size=32,
    sigma=1.5,
    augmentation=MILD,
    warm_up=200,
)
# As the paper's, it goes on from the network without modulation blocks.
_MIPNET_TINY = replace(
    _HRNET_TINY,
    name="mipnet-tiny",
    network="mipnet-tiny",
    epochs=3,
    falls=(2, 2.7),
    n_instances=2,
    start_from="hrnet-tiny",
)


def _published(network: str, start_from: str | None = None) -> Recipe:
    """Return the recipe of the paper of HRNet, or of MIPNet if it starts from HRNet."""
    large = network.endswith("384x288")
    # MIPNet's of the large size is shorter; of the small size both are the same.
    short = large and start_from is not None
    return Recipe(
        name=network,
        network=network,
        data="coco-train2017",
        held_out="coco-val2017",
        epochs=110 if short else 210,
        falls=(70, 100) if short else (170, 200),
        # GPUs x crops of each.
        batch_size=4 * (10 if short else 24 if large else 32),
        sigma=3 if large else 2,
        n_instances=1 if start_from is None else 2,
        start_from=start_from,
    )


RECIPES = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            _HRNET_TINY,
            _MIPNET_TINY,
            _published("hrnet-w32-256x192"),
            _published("hrnet-w48-384x288"),
            _published("mipnet-hrnet-w32-256x192", "hrnet-w32-256x192"),
            _published("mipnet-hrnet-w48-384x288", "hrnet-w48-384x288"),
        )
    }
)


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UnknownNameError: if there is none.

    >>> find_recipe("mipnet-hrnet-w48-384x288").falls
    (70, 100)
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
