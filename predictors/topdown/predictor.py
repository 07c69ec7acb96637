"""What top-down heatmap predictors share: boxes in, crops, network, heatmaps, poses out.

The family modules (`predictors.hrnet` ...) bring a `Method` for each variant and a merging rule.
torch is imported when the network is loaded, not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np

from crowdbench.candidates import join_poses, no_poses
from crowdbench.datasets.split import Split
from crowdbench.merging import AS_THEY_ARE, Merging
from crowdbench.predictor import Batch, Cost, Request, Settings, poses_of
from crowdbench.structures import Array, Boxes, Poses
from predictors.network_predictor import NetworkPredictor
from predictors.topdown.crop import (
    Convention,
    Frames,
    clip_annotated,
    crop_persons,
    frames_of,
    has_map,
    to_image_points,
)
from predictors.topdown.merging import OKS
from predictors.topdown.scores import pose_scores

if TYPE_CHECKING:
    from torch import Tensor, nn

# Of the joint scores, what enters a pose's score (IN_VIS_THRE).
_CONFIDENT = 0.2


@dataclass(frozen=True)
class Method:
    """How a variant's poses come about.

    Attributes:
        network: name of the network's variant.
        input_size: height and width of a crop.
        channels: order in which the network takes them. The statistics of normalisation keep their
            order: for ``BGR`` those of red go with blue.
        convention: of crops.
        shift: whether the flip test moves the mirrored heatmaps by one pixel.
        decoding: how keypoints come out of heatmaps.
        smoothing: odd width in pixels of the Gaussian with which ``dark`` smooths heatmaps; those
            of smaller crops have narrower peaks.
        factors: of the box score, for each instance that the network finds in a box; the first is
            the person that the box belongs to.
    """

    network: str
    input_size: tuple[int, int]
    channels: Literal["RGB", "BGR"] = "RGB"
    convention: Convention = "classical"
    shift: bool = True
    decoding: Literal["quarter-offset", "dark"] = "quarter-offset"
    smoothing: int = 11
    factors: tuple[float, ...] = (1.0,)

    @property
    def size(self) -> str:
        """Of a crop, in the words of the published tables."""
        return "{}x{}".format(*self.input_size)

    @property
    def decoding_words(self) -> str:
        """How keypoints come out of heatmaps, as the signature says it; 11 is DARK's own width."""
        is_usual = self.decoding != "dark" or self.smoothing == 11
        return self.decoding if is_usual else f"dark({self.smoothing})"


@dataclass(frozen=True)
class Persons:
    """The persons of a batch that can be cropped, image by image.

    Attributes:
        rows: (N,) rows of the batch's boxes, ascending.
        images: (N,) which image of the split each is in.
        crops: (N, h, w, 3) uint8 RGB.
        boxes: (N, 4) float64 xywh, pixels; annotated ones clipped to the image.
        frames: what of the image each crop shows.
        masks: (N, h, w) uint8 of `predictors.topdown.position`, or None.
    """

    rows: Array
    images: Array
    crops: Array
    boxes: Array
    frames: Frames
    masks: Array | None

    def __len__(self) -> int:
        return len(self.rows)


class Found(NamedTuple):
    """The keypoints found in N crops.

    Attributes:
        points: (I, N, K, 2) float64 pixels of the heatmaps, of each instance.
        scores: (I, N, K) float64.
        size: height and width of the heatmaps.
    """

    points: Array
    scores: Array
    size: tuple[int, int]


def persons_of(batch: Batch) -> Persons:
    """Return the persons of a batch, of what `TopDown.prepare` made of its images."""
    assert batch.boxes is not None
    first = np.searchsorted(batch.boxes.image_index, batch.images)
    joined = {
        name: np.concatenate([part[name] for part in batch.inputs])
        for name in batch.inputs[0]
        if name != "rows"
    }
    rows = np.concatenate(
        [start + part["rows"] for start, part in zip(first, batch.inputs, strict=True)]
    )
    return Persons(
        rows,
        batch.boxes.image_index[rows],
        joined["crops"],
        joined["boxes"],
        Frames(joined["centres"], joined["scales"]),
        joined.get("masks"),
    )


class TopDown(NetworkPredictor):
    """A predictor that crops each box and finds one or more persons in the crop.

    Subclasses bring `card` and `method`, and may have another rule of `merging` or another way to
    run the network: `heatmaps` of crops that each stand alone, `find` where they do not.

    Source: the test programs of SimpleBaseline and HRNet, which those of the others grew out of.
    """

    method: ClassVar[Method]

    def __init__(self, request: Request) -> None:
        """Resolve the settings; the network is made by `load`."""
        assert request.boxes is not None
        boxes, split = request.boxes, request.split
        super().__init__(request, self.method.network)
        self._is_annotated = boxes.source == "gt"
        secondary = "".join(f",instance{i}*{f:g}" for i, f in enumerate(self.method.factors) if i)
        self.settings = Settings(
            boxes=boxes.source,
            scores=f"box*mean(keypoints>{_CONFIDENT}){secondary}",
            merging=self.merging(split),
            crops=self.method.convention,
            flip_test="shifted" if self.method.shift else "plain",
            decoding=self.method.decoding_words,
            precision=request.precision,
        )

    @classmethod
    def merging(cls, split: Split) -> Merging:
        """Return the rule of the official programs: OKS-NMS at 0.9, and none on CrowdPose."""
        return AS_THEY_ARE if split.skeleton.name == "crowdpose-14" else Merging("oks-nms", OKS)

    def prepare(self, image: Array, boxes: Boxes | None) -> dict[str, Array]:
        """Return the crops of an image's boxes, with their rows, boxes and frames.

        Boxes that leave nothing to crop are left out.
        """
        assert boxes is not None
        method = self.method
        xywh, keeps = boxes.boxes, np.ones(len(boxes.scores), bool)
        if self._is_annotated:
            height, width = image.shape[:2]
            xywh, keeps = clip_annotated(xywh, width, height, method.convention)
        frames = frames_of(xywh, method.input_size, method.convention)
        rows = np.flatnonzero(keeps & has_map(frames, method.convention))
        frames = Frames(frames.centres[rows], frames.scales[rows])
        crops = crop_persons(image, frames, method.input_size, method.convention)
        return {
            "crops": crops,
            "rows": rows,
            "boxes": xywh[rows],
            "centres": frames.centres,
            "scales": frames.scales,
        }

    def predict(self, batch: Batch) -> Poses:
        """Return the poses of the batch's boxes, all instances of each."""
        assert batch.boxes is not None
        persons = persons_of(batch)
        if not len(persons):
            return no_poses(len(self.skeleton))
        found = self.find(persons)
        convention, rows = self.method.convention, persons.rows
        return join_poses(
            [
                poses_of(
                    batch.boxes,
                    to_image_points(found.points[i], persons.frames, found.size, convention),
                    found.scores[i],
                    pose_scores(batch.boxes.scores[rows] * factor, found.scores[i], _CONFIDENT),
                    rows=rows,
                    instance=i,
                    areas=persons.frames.areas,
                )
                for i, factor in enumerate(self.method.factors)
            ]
        )

    def cost(self) -> Cost:
        """Return parameters and multiply-adds of the network, measured without running it."""
        import torch

        from predictors.networks.cost import cost_of

        return cost_of(
            self.make_network,
            lambda net: self.heatmaps(net, torch.empty(1, 3, *self.method.input_size)),
        )

    def heatmaps(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return (I, N, K, h, w): the heatmaps of all instances in N normalised images."""
        found: Tensor = network(images)[None]
        return found

    def find(self, persons: Persons) -> Found:
        """Return the keypoints of every person; here each is found in its own crop alone."""
        with self.computing():
            parts = [
                self.decoded(self.heatmaps(self.network_there, self.inputs(crops)))
                for crops in self.portions(persons.crops)
            ]
        points, scores, sizes = zip(*parts, strict=True)
        return Found(np.concatenate(points, 1), np.concatenate(scores, 1), sizes[0])

    def inputs(self, crops: Array) -> Tensor:
        """Return (2 N, 3, h, w): N crops as the network takes them, then their mirror images."""
        import torch

        from predictors.normalisation import normalised

        images = normalised(torch.from_numpy(crops).to(self._device), self.method.channels)
        images = images.to(self._type)
        both = torch.cat([images, images.flip(-1)])
        return both.contiguous(memory_format=torch.channels_last)

    def decoded(self, heatmaps: Tensor) -> Found:
        """Return the keypoints of N persons.

        Args:
            heatmaps: (I, 2 N, K, h, w) of all instances, the mirrored crops' after the crops'.
        """
        import torch

        from predictors.mirroring import flip_average
        from predictors.topdown.decoding import decode_dark, decode_quarter_offset

        direct, mirrored = heatmaps.float().chunk(2, dim=1)
        maps = flip_average(direct, mirrored, self._mirror, shift=self.method.shift)
        maps_of_all = maps.flatten(0, 1)
        points, scores = (
            decode_dark(maps_of_all, self.method.smoothing)
            if self.method.decoding == "dark"
            else decode_quarter_offset(maps_of_all)
        )
        found = torch.cat([points, scores[..., None]], dim=-1).reshape(*maps.shape[:3], 3)
        array = found.cpu().numpy().astype(np.float64)
        return Found(array[..., :2], array[..., 2], (maps.shape[-2], maps.shape[-1]))
