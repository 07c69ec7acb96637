"""RootNet beside PoseNet: where its weights come from, and its answer for crops."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from crowdbench.card import Card
from crowdbench.errors import MissingError
from crowdbench.predictor import Cost
from crowdbench.weights import Weights, find_weights, official_weights
from predictors.network_predictor import with_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from predictors.networks.pose_in_space import RootNet


class RootFinder:
    """RootNet, to be loaded beside PoseNet.

    Attributes:
        weights: its weights, which may be random ones.
    """

    def __init__(self, variant: str, skeleton: str, is_random: bool) -> None:
        """Look for the weights in the usual places: of the variant's name, or the shipped ones.

        Args:
            variant: name of the network's variant.
            skeleton: name of the keypoint layout of the split.
            is_random: whether to take random ones, as PoseNet does.

        Raises:
            MissingError: if they are not there; the message says where to get them.
        """
        self._variant = variant
        self._network: RootNet | None = None
        self.weights = Weights(None, None)
        if is_random:
            return
        card = Card(variant, "RootNet", skeletons=(skeleton,), weights=official_weights(variant))
        try:
            self.weights = find_weights(card, skeleton, None, flag="")
        except MissingError as error:
            raise MissingError(
                f"{error}\nroots=rootnet needs them; boxes with roots, --boxes gt or a file of "
                "RootNet's results, do without"
            ) from None

    def load(self, device: str, kind: torch.dtype) -> None:
        """Make the network, with its weights or with seeded random ones.

        Args:
            device: a torch device.
            kind: what to compute in; gammas are made in float32 at least.

        Raises:
            InputError: if the file fits another network.
        """
        import torch

        network = with_weights(self._create, self.weights.path, self._variant).eval()
        # Rounded to bfloat16, its bias alone would put roots off by 16 mm.
        last = network.root.depth_layer
        network.root.depth_layer = torch.nn.Identity()  # type: ignore[assignment]
        network.to(device, kind)
        network.root.depth_layer = last.to(device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network

    def gammas(self, images: Tensor) -> Tensor:
        """Return (N,) float32 gammas of N normalised crops; see `predictors.space.decoding`."""
        assert self._network is not None, "load comes first"
        return self._network.gammas(images)

    def cost(self, input_size: tuple[int, int]) -> Cost:
        """Return what the network costs, measured without running it.

        Of its operations, those for gammas alone: where it puts the root in the crop is not asked.
        """
        import torch

        from predictors.networks.cost import cost_of

        return cost_of(
            self._create,
            lambda network: cast("RootNet", network).gammas(torch.empty(1, 3, *input_size)),
        )

    def _create(self) -> RootNet:
        from predictors.networks import create

        return cast("RootNet", create(self._variant))
