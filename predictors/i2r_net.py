"""I2R-Net: a person's pose from its own crop and from those of the others in the image.

Paper: Ding, Deng, Zheng, Liu, Wang, Cheng, Bao, Chen and Zeng, I2R-Net: Intra- and Inter-Human
Relation Network for Multi-Person Pose Estimation, IJCAI 2022. Official programs and weights:
leijue222/Intra-and-Inter-Human-Relation-Network-for-MPEE.

Where the released code is not as the paper says, this is as the code, which gave the published
figures:

* Annotated boxes of an image are one group, however many; of detected boxes each is a group of its
  own. The published results on COCO with a detector therefore contain no interaction between
  persons. The paper's windows are the option ``grouping=window:N``.
* The position of a person in the image enters four of the ten networks, and none of the paper's
  equations.
* On CrowdPose, merging has another OKS constant for the head than the evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crowdbench.attention import Attention
from crowdbench.datasets.split import Split
from crowdbench.merging import Merging
from crowdbench.predictor import Batch, Cost, Request
from crowdbench.structures import Array, Boxes
from predictors.family import Family, make_variant
from predictors.networks import VARIANTS
from predictors.topdown.crop import to_image_points
from predictors.topdown.grouping import GROUPING, Group, groups_of, parse_grouping
from predictors.topdown.merging import merging_of_i2r
from predictors.topdown.position import position_masks
from predictors.topdown.predictor import Found, Method, Persons, TopDown, persons_of

if TYPE_CHECKING:
    from torch import Tensor

    from predictors.networks.i2r import I2RNet as Network

_FAMILY = Family(
    "I2R-Net",
    "Ding, Deng, Zheng, Liu, Wang, Cheng, Bao, Chen and Zeng: I2R-Net: Intra- and Inter-Human "
    "Relation Network for Multi-Person Pose Estimation. IJCAI 2022",
    2022,
    options=(GROUPING,),
    shows_attention=True,
)

# So many crops, or a little more, go through the second stage at once on an accelerator.
_CROPS_AT_ONCE = 256


class _Maps(NamedTuple):
    """Heatmaps of N persons and their mirror images.

    Attributes:
        features: (2, N, d, h, w) of the first stage.
        before: (1, 2 N, K, H/4, W/4) of the first stage, or None where it gives none.
        after: (1, 2 N, K, H/4, W/4).
    """

    features: Tensor
    before: Tensor | None
    after: Tensor


class I2RNet(TopDown):
    """I2R-Net with any first stage."""

    def __init__(self, request: Request) -> None:
        """Resolve the settings; the network is made by `load`.

        Raises:
            UsageError: if the option ``grouping`` is no rule.
        """
        usual = "all" if request.boxes is not None and request.boxes.source == "gt" else "single"
        self._grouping = parse_grouping(request.options.get(GROUPING.name, usual))
        super().__init__(request)
        self.settings = replace(
            self.settings,
            boxes_independent=self._grouping.size == 1,
            crops=f"{self.method.convention},masks" if self._has_masks else self.method.convention,
            options={GROUPING.name: str(self._grouping)},
        )

    @classmethod
    def merging(cls, split: Split) -> Merging:
        """Return the rule of the official program."""
        return merging_of_i2r(split)

    def prepare(self, image: Array, boxes: Boxes | None) -> dict[str, Array]:
        """Return the crops of an image's boxes, with what the network is told of their places."""
        prepared = super().prepare(image, boxes)
        if self._has_masks:
            height, width = image.shape[:2]
            prepared["masks"] = position_masks(
                prepared["boxes"], (height, width), self.method.input_size
            )
        return prepared

    @property
    def _has_masks(self) -> bool:
        return bool(VARIANTS[self.method.network].config["needs_masks"])

    def find(self, persons: Persons) -> Found:
        """Return the keypoints of every person, each found together with its group."""
        with self.computing():
            return self.decoded(self._maps(persons).after)

    def attention(self, batch: Batch) -> Attention | None:
        """Return how much each keypoint of an image's persons attends to which of them."""
        persons = persons_of(batch)
        if not len(persons):
            return None
        with self.computing():
            maps = self._maps(persons)
            after = self.decoded(maps.after)
            before = None if maps.before is None else self.decoded(maps.before)
            weights = self._weights(persons, maps.features[0], after)
        size = self.method.input_size
        corners = np.array([[-0.5, -0.5], [size[1] - 0.5, size[0] - 0.5]])
        ends = self._in_image(np.broadcast_to(corners, (len(persons), 2, 2)), persons, size)
        return Attention(
            persons.boxes,
            np.concatenate([ends[:, 0], ends[:, 1] - ends[:, 0]], axis=1),
            self._in_image(after.points[0], persons, after.size),
            None if before is None else self._in_image(before.points[0], persons, before.size),
            weights,
        )

    def _weights(self, persons: Persons, features: Tensor, found: Found) -> Array:
        """Return the weights of `Attention`, of the tokens that hold the keypoints found."""
        import torch

        height, width = self._network.token_size(features)
        cells = (found.points[0] + 0.5) / found.size[::-1] * (width, height)
        columns, rows = np.clip(cells.astype(np.int64), 0, (width - 1, height - 1)).T
        tokens = (rows * width + columns).T
        n, k = tokens.shape
        weights: Array | None = None
        for group in self._groups(persons):
            asked = group.members[group.kept]
            queries = group.kept[:, None] * (height * width) + tokens[asked]
            of_group = self._network.attention(
                features[group.members],
                self._masks(persons, group.members),
                torch.from_numpy(queries.ravel()).to(self._device),
            )
            n_layers = len(of_group)
            if weights is None:
                weights = np.zeros((n_layers, n, k, n, height, width), np.float32)
            places = np.ix_(np.arange(n_layers), asked, np.arange(k), group.members)
            of_group = of_group.reshape(n_layers, len(asked), k, *of_group.shape[2:])
            weights[places] = of_group.float().cpu().numpy()
        assert weights is not None
        return weights

    def cost(self) -> Cost:
        """Return parameters and multiply-adds of the network for a person alone."""
        import torch

        from predictors.networks.cost import cost_of

        height, width = self.method.input_size
        return cost_of(
            self.make_network,
            lambda net: net(
                torch.empty(1, 3, height, width), torch.empty(1, 1, height, width), [1]
            ),
        )

    @property
    def _network(self) -> Network:
        from predictors.networks.i2r import I2RNet as Network

        network = self.network_there
        assert isinstance(network, Network)
        return network

    def _maps(self, persons: Persons) -> _Maps:
        """Return what the network gives for every person, in its group."""
        import torch

        parts = [self._network.intra(self.inputs(c)) for c in self.portions(persons.crops)]
        # Of each portion the crops come first and then the mirrored ones.
        features = torch.cat([_by_side(part.features) for part in parts], dim=1)
        heatmaps = [_by_side(part.heatmaps) for part in parts if part.heatmaps is not None]
        before = torch.cat(heatmaps, dim=1).flatten(0, 1)[None] if heatmaps else None
        after: Tensor | None = None
        for groups in self._at_once(persons):
            members = np.concatenate([group.members for group in groups])
            lengths = [len(group.members) for group in groups]
            masks = self._masks(persons, members)
            if masks is not None:
                masks = torch.cat([masks, masks.flip(-1)])
            starts = np.cumsum([0, *lengths[:-1]])
            kept = np.concatenate(
                [start + group.kept for start, group in zip(starts, groups, strict=True)]
            )
            asked = torch.from_numpy(np.concatenate([kept, len(members) + kept]))
            found = _by_side(
                self._network.inter(
                    features[:, members].flatten(0, 1),
                    masks,
                    [*lengths, *lengths],
                    asked.to(self._device),
                )
            )
            if after is None:
                after = found.new_empty(2, len(persons), *found.shape[2:])
            after[:, members[kept]] = found
        assert after is not None
        return _Maps(features, before, after.flatten(0, 1)[None])

    def _groups(self, persons: Persons) -> Iterator[Group]:
        return groups_of(persons.images, persons.boxes, self._grouping)

    def _at_once(self, persons: Persons) -> Iterator[list[Group]]:
        """Yield the groups that go through the second stage at once.

        On a CPU each by itself, so that no result depends on the other images of the batch, not
        even in the order of a sum.
        """
        limit = 1 if self._device == "cpu" else _CROPS_AT_ONCE
        waiting: list[Group] = []
        for group in self._groups(persons):
            waiting.append(group)
            if sum(len(one.members) for one in waiting) >= limit:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _masks(self, persons: Persons, members: Array) -> Tensor | None:
        """Return (n, 1, h, w) in [0, 1], or None for a network without masks."""
        import torch

        if persons.masks is None:
            return None
        masks = torch.from_numpy(persons.masks[members]).to(self._device)
        return masks[:, None].to(self._type) / 255

    def _in_image(self, points: Array, persons: Persons, size: tuple[int, int]) -> Array:
        return to_image_points(points, persons.frames, size, self.method.convention)


def _by_side(maps: Tensor) -> Tensor:
    """Return (2, N, ...) of (2 N, ...), maps of crops and then of their mirror images."""
    return maps.reshape(2, -1, *maps.shape[1:])


_DATA_SETS = {
    "coco": ("COCO", "coco-17"),
    "crowdpose": ("CrowdPose", "crowdpose-14"),
    "ochuman": ("OCHuman", "coco-17"),
}
# As the published tables have it; for the vanilla version those of COCO say HRNet-W48-S.
_BACKBONES = {"vanilla": "HRNet", "transpose-h": "TransPose-H", "hrformer-b": "HRFormer-B"}


def _variant(first_stage: str, data: str, height: int = 256, width: int = 192) -> type[I2RNet]:
    """Return one of the official configurations; those of the data sets are different networks."""
    name = f"i2r-net-{first_stage}-{data}-{height}x{width}"
    data_set, skeleton = _DATA_SETS[data]
    is_coco_vanilla = (first_stage, data) == ("vanilla", "coco")
    return make_variant(
        I2RNet,
        _FAMILY,
        "HRNet-W48-S" if is_coco_vanilla else _BACKBONES[first_stage],
        Method(name, (height, width), convention="size-minus-one", shift=False, decoding="dark"),
        (f"i2r-net/{first_stage}", "i2r-net"),
        f"{'vanilla, ' if first_stage == 'vanilla' else ''}for {data_set}",
        (skeleton,),
    )


# Trained by `predictors.training` on top of `hrnet-tiny`; of no paper. Its heatmaps are as small.
_TINY = Method(
    "i2r-net-tiny",
    (128, 96),
    convention="size-minus-one",
    shift=False,
    decoding="dark",
    smoothing=7,
)
Tiny = make_variant(I2RNet, _FAMILY, "HRNet-tiny", _TINY, (), skeletons=("coco-17",))
VanillaCOCO = _variant("vanilla", "coco")
VanillaCrowdPose = _variant("vanilla", "crowdpose")
VanillaOCHuman = _variant("vanilla", "ochuman")
TransPoseHCOCO = _variant("transpose-h", "coco")
TransPoseHCrowdPose = _variant("transpose-h", "crowdpose")
TransPoseHOCHuman = _variant("transpose-h", "ochuman")
HRFormerBCOCO = _variant("hrformer-b", "coco")
HRFormerBCOCO_384x288 = _variant("hrformer-b", "coco", 384, 288)
HRFormerBCrowdPose = _variant("hrformer-b", "crowdpose")
HRFormerBOCHuman = _variant("hrformer-b", "ochuman")
