"""What decides what a training gives, as data."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from predictors.normalisation import normalised
from predictors.topdown.crop import Convention
from predictors.training.losses import Objective
from predictors.training.stream import Sampling


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides what a training gives, besides the data and the machine.

    Attributes:
        name: what users type; that of the predictor which takes the weights.
        network: name of the network's variant.
        data: the split that is learned from.
        held_out: the split whose first images are looked at meanwhile.
        epochs: how often all images are seen.
        falls: after which epochs the learning rate falls to a tenth.
        batch_size: samples of a step.
        learning_rate: of Adam, at first.
        end_rate: where it falls to by the end; None: it falls in steps.
        power: of the share of the training that is left, along which it falls to `end_rate`; None:
            along half a cosine.
        warm_up: steps in which the learning rate rises to that evenly; 0 for none.
        seed: of the first weights, the order of images and what is drawn for them.
        start_from: the predictor whose weights are the first ones, or None for random ones.
        channels: order in which the network takes them; see `predictors.topdown.predictor.Method`.
        stored: type in which the weights are written at the end.
    """

    name: str
    network: str
    data: str
    held_out: str
    epochs: float
    falls: tuple[float, ...]
    batch_size: int
    learning_rate: float = 1e-3
    end_rate: float | None = None
    power: float | None = None
    warm_up: int = 0
    seed: int = 0
    start_from: str | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    stored: Literal["float32", "float16"] = "float32"

    @property
    @abstractmethod
    def sampling(self) -> Sampling:
        """How samples are made of images."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """What is made small."""

    @property
    @abstractmethod
    def boxes(self) -> Convention | None:
        """The convention of crops, by which boxes are clipped; None of whole images."""

    @property
    @abstractmethod
    def batch_words(self) -> str:
        """A batch's size, as users are told it."""

    @property
    def counted(self) -> str:
        """What a sample is, in the plural, as users are told it."""
        return "crops"

    def inputs(self, samples: Any) -> Any:
        """Return what goes into the network: (N, 3, h, w) float32 normalised crops, if no other.

        Args:
            samples: what the recipe's sampling makes, on any device.
        """
        return normalised(samples.crops, self.channels)

    def rate(self, epoch: float, step: int) -> float:
        """Return the learning rate of a step.

        Args:
            epoch: how often all images were seen before it, with the fraction.
            step: how many steps came before it.

        Source: I2R-Net's cosine. Deviation: here the rate falls with every step, officially once
        per epoch, of which there are 240. The power is PI-Net's "poly learning rate policy".
        """
        rising = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        if self.end_rate is not None:
            done = epoch / self.epochs
            if self.power is None:
                height = (1 + math.cos(math.pi * done)) / 2
            else:
                height = (1 - done) ** self.power
            return rising * (self.end_rate + (self.learning_rate - self.end_rate) * height)
        n_falls = sum(epoch >= fall for fall in self.falls)
        return self.learning_rate * rising / float(10**n_falls)
