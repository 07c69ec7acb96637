"""Recipes: all that decides what a training gives, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from crowdbench.errors import UnknownNameError
from predictors.networks import VARIANTS
from predictors.topdown.crop import Convention
from predictors.training.augmentation import HRNET, MILD, Augmentation
from predictors.training.losses import EveryInstance, Objective, OnePerson, PersonsTogether
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
        batch_size: crops of a step; images of a step, where persons go through together.
        sigma: of the target Gaussians, in pixels of the heatmap.
        n_instances: how many persons the network finds in each crop.
        augmentation: how far crops may differ from their boxes.
        learning_rate: of Adam, at first.
        end_rate: where it falls to by the end, along half a cosine; None: it falls in steps.
        warm_up: steps in which the learning rate rises to that evenly; 0 for none.
        seed: of the first weights, the order of images and the crops.
        start_from: the predictor whose weights are the first ones, or None for random ones.
        channels: order in which the network takes them; see `predictors.topdown.predictor.Method`.
        convention: of crops and targets.
        max_persons: how many persons of an image go through the network together at most; None of
            networks that take each by itself.
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
    end_rate: float | None = None
    warm_up: int = 0
    seed: int = 0
    start_from: str | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    convention: Convention = "classical"
    max_persons: int | None = None

    @property
    def sampling(self) -> Sampling:
        """How samples are made of images."""
        variant = VARIANTS[self.network]
        return Sampling(
            variant.input_size,
            self.sigma,
            self.augmentation,
            self.n_instances,
            self.seed,
            self.convention,
            grouped=self.max_persons is not None,
            max_persons=self.max_persons,
            masks=variant.config.get("needs_masks", False),
        )

    @property
    def objective(self) -> Objective:
        """What is made small."""
        if self.max_persons is not None:
            return PersonsTogether()
        return OnePerson() if self.n_instances == 1 else EveryInstance(self.n_instances)

    @property
    def batch_words(self) -> str:
        """A batch's size, as users are told it."""
        if self.max_persons is None:
            return f"{self.batch_size} crops"
        return f"{self.batch_size} images with up to {self.max_persons} persons each"

    def rate(self, epoch: float, step: int) -> float:
        """Return the learning rate of a step.

        Args:
            epoch: how often all images were seen before it, with the fraction.
            step: how many steps came before it.

        Source: I2R-Net's cosine. Deviation: here the rate falls with every step, officially once
        per epoch, of which there are 240.
        """
        rising = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        if self.end_rate is not None:
            height = (1 + math.cos(math.pi * epoch / self.epochs)) / 2
            return rising * (self.end_rate + (self.learning_rate - self.end_rate) * height)
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


# As the paper's, it goes on from its first stage. Eight images have about thirty persons.
_I2R_NET_TINY = replace(
    _HRNET_TINY,
    name="i2r-net-tiny",
    network="i2r-net-tiny",
    epochs=2,
    falls=(),
    batch_size=8,
    learning_rate=5e-4,
    end_rate=2e-5,
    warm_up=100,
    start_from="hrnet-tiny",
    convention="size-minus-one",
    max_persons=6,
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


# Data, held-out data, and of the first stage TransPose-H the number of its encoder layers.
_I2R_DATA = MappingProxyType(
    {
        "coco": ("coco-train2017", "coco-val2017", 6),
        "crowdpose": ("crowdpose-trainval", "crowdpose-test", 4),
        "ochuman": ("ochuman-val", "ochuman-test", 4),
    }
)


def _i2r(
    first_stage: str,
    data: str,
    images: int,
    max_persons: int,
    rates: tuple[float, float] = (1e-4, 1e-5),
    size: str = "256x192",
) -> Recipe:
    """Return the recipe of an official configuration of I2R-Net.

    Args:
        first_stage: ``vanilla``, ``transpose-h`` or ``hrformer-b``.
        data: ``coco``, ``crowdpose`` or ``ochuman``.
        images: of each GPU.
        max_persons: of each image.
        rates: the learning rate at first and in the end.
        size: of the crops.

    The held-out images are those that the configurations test on.
    """
    learned, held_out, n_layers = _I2R_DATA[data]
    starts = {
        "vanilla": None,
        "transpose-h": f"transpose-h-a{n_layers}-{size}",
        "hrformer-b": f"hrformer-b-{size}",
    }
    sooner = data == "crowdpose" and first_stage != "vanilla"
    name = f"i2r-net-{first_stage}-{data}-{size}"
    return Recipe(
        name=name,
        network=name,
        data=learned,
        held_out=held_out,
        epochs=240,
        falls=(),
        # GPUs x images of each.
        batch_size=8 * images,
        sigma=2,
        augmentation=replace(HRNET, half_body_above=6) if sooner else HRNET,
        learning_rate=rates[0],
        end_rate=rates[1],
        start_from=starts[first_stage],
        convention="size-minus-one",
        max_persons=max_persons,
    )


RECIPES = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            _HRNET_TINY,
            _MIPNET_TINY,
            _I2R_NET_TINY,
            _published("hrnet-w32-256x192"),
            _published("hrnet-w48-384x288"),
            _published("mipnet-hrnet-w32-256x192", "hrnet-w32-256x192"),
            _published("mipnet-hrnet-w48-384x288", "hrnet-w48-384x288"),
            _i2r("vanilla", "coco", 8, 7, (5e-4, 5e-5)),
            _i2r("transpose-h", "coco", 4, 4),
            _i2r("hrformer-b", "coco", 12, 2),
            _i2r("hrformer-b", "coco", 4, 2, size="384x288"),
            _i2r("vanilla", "crowdpose", 32, 5),
            _i2r("transpose-h", "crowdpose", 4, 6),
            _i2r("hrformer-b", "crowdpose", 4, 4, (5e-4, 5e-6)),
            _i2r("vanilla", "ochuman", 32, 3),
            _i2r("transpose-h", "ochuman", 8, 3),
            _i2r("hrformer-b", "ochuman", 8, 3),
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
