"""What decides what a training gives, as data."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

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
        end_rate: where it falls to by the end, along half a cosine; None: it falls in steps.
        warm_up: steps in which the learning rate rises to that evenly; 0 for none.
        seed: of the first weights, the order of images and what is drawn for them.
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
    learning_rate: float = 1e-3
    end_rate: float | None = None
    warm_up: int = 0
    seed: int = 0
    start_from: str | None = None
    channels: Literal["RGB", "BGR"] = "RGB"

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
