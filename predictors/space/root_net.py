"""RootNet beside PoseNet: where its weights come from, and its answer for crops."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from crowdbench.card import Card
from crowdbench.errors import MissingError
from crowdbench.predictor import Cost
from crowdbench.weights import WEIGHTS_VARIABLE, Weights, find_weights, official_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from predictors.networks.pose_in_space import RootNet as Network

_SEED = 0


class RootNet:
    """RootNet, found but not loaded yet.

    Attributes:
        found: its weights, or None where there are none.
    """

    def __init__(self, variant: str, skeleton: str) -> None:
        """Look for the weights in the usual places: of the variant's name, or the shipped ones.

        Args:
            variant: name of the network's variant.
            skeleton: name of the keypoint layout of the split.
        """
        self._variant = variant
        self.found: Weights | None = None
        # Asked for only by who has weights for PoseNet, which `load` tells.
        self._missing = ""
        card = Card(variant, "RootNet", skeletons=(skeleton,), weights=official_weights(variant))
        try:
            self.found = find_weights(card, skeleton, None)
        except MissingError:
            self._missing = _advice(variant)

    def load(self, device: str, kind: torch.dtype, *, may_be_random: bool) -> None:
        """Make the network, with its weights or with seeded random ones.

        Args:
            device: a torch device.
            kind: what to compute in.
            may_be_random: whether it does without weights.

        Raises:
            MissingError: if it does not, and there are none.
            InputError: if the file fits another network.
        """
        import torch

        from predictors.networks.checkpoints import load_checkpoint

        if self.found is None and not may_be_random:
            raise MissingError(self._missing)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            network = self._create()
        if self.found is not None and self.found.path is not None:
            load_checkpoint(network, self.found.path, self._variant)
        self._network = network.eval().to(device, kind)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def gammas(self, images: Tensor) -> Tensor:
        """Return (N,) float32 gammas of N normalised crops; see `predictors.space.decoding`."""
        return cast("Tensor", self._network(images).gammas.float())

    def cost(self, input_size: tuple[int, int]) -> Cost:
        """Return what the network costs, measured without running it."""
        import torch

        from predictors.networks.cost import cost_of

        return cost_of(self._create, lambda network: network(torch.empty(1, 3, *input_size)))

    def _create(self) -> Network:
        from predictors.networks import create

        return cast("Network", create(self._variant))


def _advice(variant: str) -> str:
    """Return what to do where there are no weights; ``--weights`` gives those of PoseNet."""
    ending, get = ".pth", "official ones"
    for file in official_weights(variant):
        ending = "".join(Path(file.file or ending).suffixes)
        get = f"{file.file or 'the file'} from {file.get}"
    return (
        f"weights of {variant}, which roots=rootnet needs: there is no {variant}{ending} in "
        f"${WEIGHTS_VARIABLE}\nget {get}; put it there as {variant}{ending}, or give boxes with "
        "roots: --boxes gt, or RootNet's results file"
    )
