"""PI-Net: refined poses in space of persons who interact, from the poses of any estimator.

Paper: Guo, Corona, Moreno-Noguer and Alameda-Pineda, PI-Net: Pose Interacting Network for
Multi-Person Monocular 3D Pose Estimation, WACV 2021. Official programs and weights: GUO-W/PI-Net.
(PINet, a bottom-up method for poses in the image, is `predictors.pinet`.)

Each person of an image is refined by a pass of its own, with that person first and the others after
it. Where the released code is not as the paper says, this is as the code, which gave the published
figures:

* Who is near is measured between the centres of boxes in the image, not between roots in space
  (the option ``distance``). Of persons at exactly the same distance the code keeps one; between
  roots all are kept.
* The last layers see a person's embedding beside the attended one.

The others are all persons that the base gives a pose for. The official program has one for every
annotated person of MuPoTS-3D, valid or not, in the published file of 3DMPPE's results; with
``--base 3dmppe --boxes gt`` they are the valid ones. It finds them by differences of annotation
ids, which is right where these are consecutive; here nothing is assumed of ids. Somebody alone is
refined from the one pose, as there; only in training it is paired with itself.

Keypoints in the image are where the camera sees the refined joints, as in the official program. Not
from there: a pose keeps the keypoints of the base where the camera is not known, and so does a
joint that is behind it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from crowdbench.card import Card
from crowdbench.datasets.split import Split
from crowdbench.predictor import Cost, Request
from crowdbench.predictor_options import check_choice
from crowdbench.refiner import Refiner
from crowdbench.structures import Array, Poses
from crowdbench.weights import official_weights
from predictors.network_predictor import NetworkPredictor
from predictors.space.decoding import camera_notes
from predictors.space.ordering import (
    BOXES,
    DISTANCE,
    NEAR,
    NOBODY,
    ORDER,
    as_annotated,
    points_of,
    sequences,
)

if TYPE_CHECKING:
    from torch import nn

_PAPER = (
    "Guo, Corona, Moreno-Noguer and Alameda-Pineda: PI-Net: Pose Interacting Network for "
    "Multi-Person Monocular 3D Pose Estimation. WACV 2021"
)
# Nearer than that, mm, nothing is in front of a camera.
_NEAREST = 1.0
# Persons of the pass whose cost is told; those of MuPoTS-3D have two or three.
_TYPICAL = 2


class PoseInteracting(Refiner, NetworkPredictor):
    """PI-Net with any of its networks.

    Attributes:
        network_name: name of the network's variant.
    """

    network_name: ClassVar[str]

    def __init__(self, request: Request) -> None:
        """Resolve the settings; the network is made by `load`.

        Raises:
            UsageError: if an option has a value that it can't have.
        """
        self._order = request.options.get(ORDER.name, NEAR)
        check_choice(ORDER, self._order)
        self._distance = request.options.get(DISTANCE.name, BOXES)
        check_choice(DISTANCE, self._distance)
        NetworkPredictor.__init__(self, request, self.network_name)
        Refiner.__init__(
            self,
            request,
            options={ORDER.name: self._order, DISTANCE.name: self._distance},
            precision=request.precision,
            notes=camera_notes(
                request.split.images,
                "the keypoints there are the base's, not those of the refined joints",
            ),
        )

    def load(self, device: str, weights: Path | None) -> None:
        """Load the base and the network, each with its own weights.

        Raises:
            MissingError, InputError: if a file is not there or fits another network.
        """
        Refiner.load(self, device, weights)
        NetworkPredictor.load(self, device, weights)

    def make_network(self) -> nn.Module:
        """Return the network with random weights."""
        from predictors.networks import create

        return create(self.network_name)

    def own_cost(self) -> Cost:
        """Return parameters, and multiply-adds of one pass over two persons."""
        import torch

        from predictors.networks.cost import cost_of

        return cost_of(
            self.make_network,
            lambda net: net(torch.empty(1, _TYPICAL, len(self.skeleton), 3), first_only=True),
        )

    def refine(self, split: Split, poses: Poses) -> Poses:
        """Return the refined poses, those of each image from this image's alone."""
        assert poses.joints_mm is not None
        rows = as_annotated(split, poses)
        images, joints = poses.image_index[rows], poses.joints_mm[rows]
        points = points_of(split, poses, self._distance)[rows]
        refined = np.empty_like(poses.joints_mm)
        starts = np.flatnonzero(np.diff(images, prepend=-1))
        with self.computing():
            for start, stop in zip(starts, [*starts[1:], len(images)], strict=True):
                passes = sequences(
                    points[start:stop],
                    self._order,
                    collapses=self._distance == BOXES,
                    seed=int(split.images.ids[images[start]]),
                )
                refined[rows[start:stop]] = self._refined(joints[start:stop], passes)
        return replace(poses, joints_mm=refined, keypoints=_seen(split, poses, refined))

    def _refined(self, joints: Array, passes: Array) -> Array:
        """Return the refined poses of an image.

        Args:
            joints: (N, K, 3) mm.
            passes: (N, N) who follows whom, see `sequences`.

        Passes of equal length, which is mostly all of them, go through the network at once. Padding
        the others to it would change their results.
        """
        import torch

        refined = np.empty_like(joints)
        lengths = (passes != NOBODY).sum(1)
        for length in np.unique(lengths):
            targets = np.flatnonzero(lengths == length)
            poses = torch.from_numpy(joints[passes[targets, :length]].astype(np.float32))
            found = self.network_there(poses.to(self._device), first_only=True)
            refined[targets] = found[:, 0].cpu().numpy()
        return refined


def _seen(split: Split, poses: Poses, joints: Array) -> Array:
    """Return (D, K, 2) where the camera sees joints (D, K, 3) mm; see the module."""
    if split.images.intrinsics is None:
        return poses.keypoints
    cameras = split.images.intrinsics[poses.image_index][:, None]
    depths = joints[..., 2:]
    is_seen = np.isfinite(cameras).all(-1, keepdims=True) & (depths >= _NEAREST)
    planar = joints[..., :2] / np.where(is_seen, depths, 1.0)
    return np.where(is_seen, cameras[..., :2] * planar + cameras[..., 2:], poses.keypoints)


def _variant(
    name: str, words: str, *, network: str = "", published: tuple[str, ...] = ()
) -> type[PoseInteracting]:
    """Return a predictor class, named as its network is if nothing else is said."""
    card = Card(
        name=name,
        description=f"PI-Net, refines the poses in space of a --base; {words}",
        skeletons=("mupots-17",),
        needs_images=False,
        needs_boxes=False,
        images_per_shard=2_000,  # some seconds of work
        method="PI-Net",
        paper=_PAPER,
        year=2021,
        published=published,
        needs_weights=True,
        weights=official_weights(name),
        options=(ORDER, DISTANCE),
        refines=True,
    )
    members = {"card": card, "network_name": network or name, "__doc__": card.description}
    return type(name, (PoseInteracting,), members)


PINet = _variant(
    "pi-net", "3 layers of GRU in both directions, attention", published=("pi-net-3d",)
)
# The same network with weights from `predictors.training`; of no paper.
SynthCrowd = _variant("pi-net-synthcrowd", "trained on SynthCrowd", network="pi-net")
# Of the paper's ablations.
NoAttention = _variant("pi-net-no-attention", "without attention")
Unidirectional = _variant("pi-net-unidirectional", "in one direction")
UnidirectionalNoAttention = _variant(
    "pi-net-unidirectional-no-attention", "in one direction without attention"
)
GRU2 = _variant("pi-net-gru-2", "2 layers of GRU")
GRU4 = _variant("pi-net-gru-4", "4 layers of GRU")
LSTM2 = _variant("pi-net-lstm-2", "2 layers of LSTM")
LSTM3 = _variant("pi-net-lstm-3", "3 layers of LSTM")
LSTM4 = _variant("pi-net-lstm-4", "4 layers of LSTM")
GCN = _variant("pi-net-gcn", "graph convolutions over the joints of pairs")
