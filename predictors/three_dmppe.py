"""3DMPPE: PoseNet and RootNet, a person in space for each box.

Paper: Moon, Chang and Lee, Camera Distance-aware Top-down Approach for 3D Multi-person Pose
Estimation from a Single RGB Image, ICCV 2019. Official programs and weights:
mks0601/3DMPPE_POSENET_RELEASE and mks0601/3DMPPE_ROOTNET_RELEASE (MIT).

PoseNet says where in the crop each joint is, and how far in front of the root or behind it. The
root's distance is the truth's, or RootNet's. Where the paper says something else or nothing, this
is what the released programs do: crops of 0 to 255 are normalised with the statistics of 0 to 1;
depths count from the root that was given, wherever PoseNet itself puts the pelvis; the flip test
averages coordinates, and RootNet has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec
import numpy as np

from crowdbench.card import Card, Option
from crowdbench.errors import UsageError
from crowdbench.predictor import Batch, Cost, Request, Settings, poses_of
from crowdbench.predictor_options import check_choice
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array, Boxes, Poses
from crowdbench.weights import official_weights
from predictors.network_predictor import NetworkPredictor
from predictors.networks import VARIANTS
from predictors.space.crop import MARGIN, crop_boxes, enlarged, sanitised
from predictors.space.decoding import (
    ASSUMED_FOCAL,
    camera_notes,
    cameras_of,
    depths_of,
    flip_averaged,
    root_depths,
    to_camera,
    to_image,
)
from predictors.space.root_net import RootFinder

if TYPE_CHECKING:
    from torch import Tensor, nn

# On an accelerator: the volumes of a crop and of its mirror image take 44 MB in fp32.
_AT_ONCE = 32

# Pixels of a crop for each of a map.
_STRIDE = 4

_GT, _FILE, _ROOTNET = "gt", "file", "rootnet"
ROOTS = Option(
    "roots",
    (_GT, _FILE, _ROOTNET),
    "where the distance of each person's root comes from: the truth, RootNet's results file that "
    "--boxes gives, or RootNet itself; default: the truth or the file if the boxes come with "
    "roots, else RootNet",
    study=(_ROOTNET, _GT),
)


class _Persons(NamedTuple):
    """The persons of a batch that can be cropped.

    Attributes:
        rows: (N,) rows of the batch's boxes.
        crops: (N, h, w, 3) uint8 RGB.
        boxes: (N, 4) float64 xywh that the crops show.
        sizes: (N, 2) width and height of the image of each.
    """

    rows: Array
    crops: Array
    boxes: Array
    sizes: Array


class ThreeDMPPE(NetworkPredictor):
    """The published networks."""

    posenet: ClassVar[str] = "3dmppe-posenet-r50"
    rootnet: ClassVar[str] = "3dmppe-rootnet-r50"
    divides_levels: ClassVar[bool] = False
    card = Card(
        name="3dmppe",
        description="3DMPPE, ResNet-50, 256x256, poses in space",
        skeletons=(MUPOTS_17.name,),
        method="3DMPPE",
        paper="Moon, Chang and Lee: Camera Distance-aware Top-down Approach for 3D Multi-person "
        "Pose Estimation from a Single RGB Image. ICCV 2019",
        year=2019,
        licence="MIT (official code)",
        backbone="ResNet-50",
        input_size="256x256",
        published=("3dmppe",),
        needs_weights=True,
        weights=official_weights("3dmppe"),
        options=(ROOTS,),
    )

    def __init__(self, request: Request) -> None:
        """Resolve the settings; the networks are made by `load`.

        Raises:
            UsageError: if the option ``roots`` is none of its values, or the boxes don't have such
                roots.
            MissingError: if RootNet is needed and its weights are not there; without weights for
                PoseNet it does without, too.
        """
        assert request.boxes is not None
        boxes, split = request.boxes, request.split
        super().__init__(request, self.posenet)
        variant = VARIANTS[self.posenet]
        self._input_size = variant.input_size
        self._map_size = (variant.input_size[0] // _STRIDE, variant.input_size[1] // _STRIDE)
        self._n_bins = int(variant.config["n_bins"])
        self._is_enlarged = boxes.source != "gt" and boxes.roots_mm is not None
        self._roots = _roots_to_take(request.options.get(ROOTS.name), boxes)
        self._root_net: RootFinder | None = None
        inputs = {}
        if self._roots == _ROOTNET:
            is_random = request.weights is None
            self._root_net = RootFinder(self.rootnet, split.skeleton.name, is_random)
            if self._root_net.weights.digest is not None:
                inputs["rootnet"] = self._root_net.weights.digest
        self.settings = Settings(
            boxes=boxes.source,
            scores="box",
            crops="3dmppe(enlarged)" if self._is_enlarged else f"3dmppe({MARGIN})",
            flip_test="coordinates-averaged",
            decoding="soft-argmax",
            precision=request.precision,
            pairing="annotation" if boxes.person_ids is not None else "2d",
            options={ROOTS.name: self._roots},
            inputs=inputs,
            notes=camera_notes(
                split.images,
                f"a focal length of {ASSUMED_FOCAL:g} px and the centre of the image are assumed",
            ),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the networks out, both of them."""
        return super().__getstate__() | {"_root_net": None}

    def make_network(self) -> nn.Module:
        """Return PoseNet, whose first joints are those of the layout."""
        from predictors.networks import create

        return create(self.posenet)

    def load(self, device: str, weights: Path | None) -> None:
        """Make PoseNet, and RootNet where it is needed.

        Raises:
            MissingError, InputError: if a file is not there or fits another network.
        """
        super().load(device, weights)
        if self._root_net is not None:
            self._root_net.load(device, self._type)

    def prepare(self, image: Array, boxes: Boxes | None) -> dict[str, Array]:
        """Return the crops of an image's boxes, with their rows, boxes and the image's size.

        Boxes that leave nothing to crop are left out. Those of RootNet's results are enlarged
        already and are taken as they are.
        """
        assert boxes is not None
        height, width = image.shape[:2]
        if self._is_enlarged:
            shown, keeps = boxes.boxes, boxes.boxes[:, 2:].min(1) > 0
        else:
            shown, keeps = sanitised(boxes.boxes, width, height)
            shown = enlarged(shown, self._input_size)
        rows = np.flatnonzero(keeps)
        return {
            "rows": rows,
            "crops": crop_boxes(image, shown[rows], self._input_size),
            "boxes": shown[rows],
            "sizes": np.full((len(rows), 2), (width, height)),
        }

    def predict(self, batch: Batch) -> Poses:
        """Return a pose for each of the batch's boxes that can be cropped.

        A pose's score is that of its box, as in the official results, and so is that of each of its
        keypoints, as PoseNet gives none.
        """
        assert batch.boxes is not None
        persons = _persons_of(batch)
        image_index = batch.boxes.image_index[persons.rows]
        cameras = cameras_of(batch.split.images.intrinsics, image_index, persons.sizes)
        points, bins, gammas = self._found(persons.crops)
        keypoints = to_image(points, persons.boxes, self._map_size)
        if self._root_net is not None:
            roots = root_depths(gammas, persons.boxes, cameras)
        else:
            assert batch.boxes.roots_mm is not None
            roots = batch.boxes.roots_mm[persons.rows, 2]
        depths = depths_of(bins, self._n_bins, roots)
        scores = batch.boxes.scores[persons.rows]
        return poses_of(
            batch.boxes,
            keypoints,
            np.repeat(scores[:, None], len(self.skeleton), axis=1),
            scores,
            rows=persons.rows,
            joints_mm=to_camera(keypoints, depths, cameras),
        )

    def cost(self) -> Cost:
        """Return parameters and multiply-adds of PoseNet, and of RootNet where it is needed."""
        import torch

        from predictors.networks.cost import cost_of

        cost = cost_of(self.make_network, lambda net: net(torch.empty(1, 3, *self._input_size)))
        if self._root_net is None:
            return cost
        return cost.and_more(self._root_net.cost(self._input_size))

    def _found(self, crops: Array) -> tuple[Array, Array, Array]:
        """Return what the networks find in N crops.

        Returns:
            (N, K, 2) float64 pixels of the maps, (N, K) bins of depth, and (N,) gammas of RootNet,
            which are 0 where it is not needed.
        """
        parts = [np.zeros((0, len(self.skeleton), 3))]
        gammas = [np.zeros(0)]
        with self.computing():
            for portion in self.portions(crops, _AT_ONCE):
                images = self._inputs(portion)
                parts.append(self._joints(images))
                gammas.append(self._gammas(images))
        points = np.concatenate(parts)
        return points[..., :2], points[..., 2], np.concatenate(gammas)

    def _inputs(self, crops: Array) -> Tensor:
        """Return (N, 3, h, w), crops as the networks take them."""
        import torch

        from predictors.normalisation import normalised, normalised_levels

        levels = torch.from_numpy(crops).to(self._device)
        images = normalised(levels, "RGB") if self.divides_levels else normalised_levels(levels)
        return images.to(self._type)

    def _joints(self, images: Tensor) -> Array:
        """Return (N, K, 3) float64 x, y in pixels of the maps and bin of depth, by flip test."""
        import torch

        from predictors.networks.pose_in_space import soft_argmax

        both = torch.cat([images, images.flip(-1)])
        both = both.contiguous(memory_format=torch.channels_last)
        volumes = self.network_there(both)[:, : len(self.skeleton)]
        # One crop at a time: of several, sums would be in an order that depends on their number.
        found = torch.cat([soft_argmax(volume[None]) for volume in volumes])
        points = found.cpu().numpy().astype(np.float64)
        direct, mirrored = np.split(points, 2)
        return flip_averaged(direct, mirrored, np.array(self.skeleton.partners), self._map_size[1])

    def _gammas(self, images: Tensor) -> Array:
        """Return (N,) float64."""
        import torch

        if self._root_net is None:
            return np.zeros(len(images))
        # A single image is summed in another order: it goes twice.
        several = torch.cat([images, images]) if len(images) == 1 else images
        several = several.contiguous(memory_format=torch.channels_last)
        gammas = self._root_net.gammas(several)[: len(images)]
        return gammas.cpu().numpy().astype(np.float64)


class Tiny(ThreeDMPPE):
    """The same on HRNet-tiny, trained by `predictors.training`; of no paper."""

    posenet = "3dmppe-posenet-tiny"
    rootnet = "3dmppe-rootnet-tiny"
    divides_levels = True
    card = msgspec.structs.replace(
        ThreeDMPPE.card,
        name="3dmppe-tiny",
        description="3DMPPE, HRNet-tiny, 128x128, poses in space",
        licence="",
        backbone="HRNet-tiny",
        input_size="128x128",
        published=(),
        weights=official_weights("3dmppe-tiny"),
    )


def _roots_to_take(asked: str | None, boxes: Boxes) -> str:
    """Return where roots come from, as the user chose or as the boxes have it."""
    there = _ROOTNET
    if boxes.roots_mm is not None:
        there = _GT if boxes.source == "gt" else _FILE
    if asked is None:
        return there
    check_choice(ROOTS, asked)
    if asked in (_ROOTNET, there):
        return asked
    if asked == _GT:
        raise UsageError(
            f"--option roots=gt takes the roots of annotated persons, the boxes are {boxes.source}:"
            " give --boxes gt, or roots=rootnet"
        )
    raise UsageError(
        f"--option roots=file takes the root_cam of a file of boxes, {boxes.source} has none: give "
        "RootNet's results file by --boxes FILE, or roots=rootnet"
    )


def _persons_of(batch: Batch) -> _Persons:
    """Return the persons of a batch, of what `ThreeDMPPE.prepare` made of its images."""
    assert batch.boxes is not None
    starts = np.searchsorted(batch.boxes.image_index, batch.images)
    rows = [start + part["rows"] for start, part in zip(starts, batch.inputs, strict=True)]
    joined = {
        name: np.concatenate([part[name] for part in batch.inputs])
        for name in ("crops", "boxes", "sizes")
    }
    return _Persons(np.concatenate(rows), **joined)
