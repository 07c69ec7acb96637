"""What all predictors with a network share: making it, loading weights, computing.

torch is imported when the network is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from crowdbench.predictor import Predictor, Request
from crowdbench.structures import Array

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T", bound="nn.Module")
_SEED = 0
# Boxes that a CPU computes at once, each with its mirror image. Two images at least and fewer than
# 16: from one and from 16 on, torch and its libraries sum in another order (even within a batch,
# were it larger), and results would depend on the batch size. And more at once is slower.
_AT_ONCE_ON_CPU = 4


def with_weights(make: Callable[[], T], weights: Path | None, name: str) -> T:
    """Return a network with the weights of a file, or with seeded random ones.

    Args:
        make: makes the network.
        weights: the file; None for random ones.
        name: of the network's variant, for messages.

    Raises:
        MissingError, InputError: if the file is not there or fits another network.
    """
    import torch

    from predictors.networks.checkpoints import load_checkpoint

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = make()
    if weights is not None:
        load_checkpoint(network, weights, name)
    return network


class NetworkPredictor(Predictor):
    """A predictor with one of `predictors.networks`.

    Attributes:
        needs_boxes: whether it starts from person boxes, for the card.
        images_per_shard: for the card.
        skeleton: the keypoint layout of the split.
    """

    needs_boxes: ClassVar[bool] = True
    images_per_shard: ClassVar[int] = 200

    def __init__(self, request: Request, network: str) -> None:
        """Keep what the network is made from; it is made by `load`.

        Args:
            request: what the predictor is made from.
            network: name of the network's variant.
        """
        self.skeleton = request.split.skeleton
        self._network_name = network
        self._precision = request.precision
        self.network: nn.Module | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network out: processes that only read images are not sent it."""
        return self.__dict__ | {"network": None}

    def make_network(self) -> nn.Module:
        """Return the network with random weights."""
        from predictors.networks import create

        return create(self._network_name, num_joints=len(self.skeleton))

    def load(self, device: str, weights: Path | None) -> None:
        """Make the network, with the weights of the file or with seeded random ones.

        Raises:
            MissingError, InputError: if the file is not there or fits another network.
        """
        self.use(with_weights(self.make_network, weights, self._network_name), device)

    def use(self, network: nn.Module, device: str) -> None:
        """Predict with this network, moved to `device` and to the precision asked for."""
        import torch

        kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        self._device, self._type = device, kind[self._precision]
        # Channels last: a third faster, on CPUs and on GPUs in half precision.
        self.network = network.eval().to(device, self._type)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mirror = torch.tensor(self.skeleton.partners, device=device)

    @property
    def network_there(self) -> nn.Module:
        """The network, which `load` has made."""
        assert self.network is not None, "load comes first"
        return self.network

    def portions(self, crops: Array, at_once: int | None = None) -> list[Array]:
        """Return crops as they go through the network at once.

        Args:
            crops: (N, h, w, 3).
            at_once: how many on an accelerator; None for all.
        """
        n = _AT_ONCE_ON_CPU if self._device == "cpu" else at_once or max(len(crops), 1)
        return [crops[i : i + n] for i in range(0, len(crops), n)]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients, the same way each time."""
        import torch

        # fp32 means fp32, also where cuDNN would round to TF32.
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False),
        ):
            yield
