"""What bottom-up predictors share: an image in, all its people out, without boxes.

The family modules (`predictors.pinet` ...) bring a `Method` for each variant and find the people in
what the network gives. torch is imported when the network is loaded, not before.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from crowdbench.candidates import join_poses, no_poses
from crowdbench.card import Option
from crowdbench.errors import InputError
from crowdbench.files import FileDigest
from crowdbench.merging import Merging
from crowdbench.predictor import Batch, Cost, Request, Settings
from crowdbench.predictor_options import check_choice
from crowdbench.structures import Array, Boxes, Poses
from predictors.bottomup.found import Found
from predictors.bottomup.resize import resize, resized_size, to_image_points
from predictors.network_predictor import NetworkPredictor

if TYPE_CHECKING:
    from torch import Tensor

    from predictors.bottomup.views import Mirroring

SCALES = Option(
    "scales",
    ("1", "0.5+1", "1+2", "0.5+1+2"),
    "How large the network sees the image, as multiples of the input size; what it finds at "
    "several is joined. The papers' multi-scale test is 0.5+1+2. Default: 1",
    ("1", "0.5+1+2"),
)
# Images of more pixels would fill the memory: the networks hold some 2 KB for each.
_MOST_PIXELS = 1 << 23


@dataclass(frozen=True)
class Method:
    """How a variant's poses come about.

    Attributes:
        network: name of the network's variant.
        short_side: pixels that the shorter side of the image gets.
        mirror: how the mirrored image lies in its canvas; see `predictors.bottomup.views`.
        from_smallest: whether sizes are rounded to multiples of 64 at the smallest scale, as
            HigherHRNet does it; otherwise at scale 1.
    """

    network: str
    short_side: int
    mirror: Mirroring
    from_smallest: bool = False

    @property
    def size(self) -> str:
        """The short side, in the words of the published tables."""
        return str(self.short_side)


class View(NamedTuple):
    """An image at one scale, as the network takes it.

    Attributes:
        scale: multiple of the input size.
        images: (2, 3, h, w) the normalised image and its mirror image.
    """

    scale: float
    images: Tensor


class BottomUp(NetworkPredictor):
    """A predictor that finds all people of an image at once.

    Subclasses bring `card`, `method` and `find`, and the settings that are their own. The sizes are
    those of the official programs of HigherHRNet, DEKR and PINet: see `predictors.bottomup.resize`.
    """

    needs_boxes = False
    # What is lost at most when a run is interrupted: images take longer than crops.
    images_per_shard = 50
    method: ClassVar[Method]

    def __init__(
        self,
        request: Request,
        merging: Merging,
        *,
        flip_test: str,
        decoding: str,
        scores: str,
        options: Mapping[str, str] | None = None,
        inputs: Mapping[str, FileDigest] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Resolve the settings; the network is made by `load`.

        Args:
            request: what the predictor is made from.
            merging: how candidates become poses.
            flip_test: see `crowdbench.predictor.Settings`, as all that follow.
            decoding: how people are found in what the network gives.
            scores: how a pose's score is made.
            options: those besides the scales, with their values.
            inputs: files besides the weights.
            notes: what a reader of the results should know.

        Raises:
            UsageError: if the option ``scales`` is no such list.
        """
        super().__init__(request, self.method.network)
        scales = request.options.get(SCALES.name, "1")
        self.scales = parse_scales(scales)
        rounded = f"/{min(self.scales):g}" if self.method.from_smallest else ""
        self.settings = Settings(
            boxes="none",
            scores=scores,
            merging=merging,
            crops=f"image(short-side={self.method.short_side},multiple=64{rounded})",
            flip_test=flip_test,
            decoding=decoding,
            precision=request.precision,
            options={SCALES.name: scales, **(options or {})},
            inputs=inputs or {},
            notes=notes,
        )

    @abstractmethod
    def find(self, views: Iterator[View], size: tuple[int, int]) -> Found:
        """Return the people of an image.

        Args:
            views: of all scales, the largest first.
            size: height and width of the image at scale 1, whose pixels the points are in.
        """

    def rescored(self, keypoints: Array, found: Found) -> Array:
        """Return (n,) scores of poses whose (n, K, 2) keypoints are in pixels of the image."""
        return found.scores

    def prepare(self, image: Array, boxes: Boxes | None) -> dict[str, Any]:
        """Return the image at every scale, the largest first, and its own size.

        Raises:
            InputError: if its sides differ so much that the network would get too many pixels.
        """
        height, width = size = image.shape[:2]
        sizes = [self._size(size, scale) for scale in self.scales]
        if math.prod(sizes[0]) > _MOST_PIXELS:
            advice = " (--option scales=1 makes it smaller)" if len(sizes) > 1 else ""
            raise InputError(
                f"an image of {width} x {height} pixels becomes one of {sizes[0][1]:,} x "
                f"{sizes[0][0]:,} for the network, which would fill the memory{advice}"
            )
        images = tuple(resize(image, each) for each in sizes)
        return {"images": images, "size": np.array(size)}

    def predict(self, batch: Batch) -> Poses:
        """Return the candidates of every image; each is looked at by itself."""
        images, found = batch.split.images, [no_poses(len(self.skeleton))]
        for row, prepared in zip(batch.images.tolist(), batch.inputs, strict=True):
            try:
                found.append(
                    self._people(row, prepared["images"], tuple(prepared["size"].tolist()))
                )
            except InputError as error:
                where = f"{images.file_names[row]} (image {images.ids[row]})"
                raise InputError(f"{where}: {error}") from None
        return join_poses(found)

    def cost(self) -> Cost:
        """Return parameters and multiply-adds of the network for a square image.

        PINet's refinement is among the parameters but not the multiply-adds, which depend on the
        people; a rescoring network is in neither.
        """
        import torch

        from predictors.networks.cost import cost_of

        side = self.method.short_side
        return cost_of(self.make_network, lambda net: net(torch.empty(1, 3, side, side)))

    def _size(self, image_size: tuple[int, int], scale: float) -> tuple[int, int]:
        smallest = min(self.scales) if self.method.from_smallest else 1.0
        return resized_size(image_size, self.method.short_side, scale, smallest)

    def _people(self, row: int, images: tuple[Array, ...], image_size: tuple[int, int]) -> Poses:
        """Return the candidates of an image, in the order in which they were found."""
        size = self._size(image_size, 1.0)
        with self.computing():
            found = self.find(self._views(images), size)
            points = to_image_points(found.points, image_size, size)
            scores = self.rescored(points, found)
        n = len(points)
        return Poses(
            image_index=np.full(n, row),
            keypoints=points,
            keypoint_scores=found.keypoint_scores,
            scores=scores,
            box_index=np.full(n, -1),
            instance=np.zeros(n, np.int64),
            areas=np.ptp(points, axis=1).prod(axis=1),
            ranks=found.ranks,
        )

    def _views(self, images: tuple[Array, ...]) -> Iterator[View]:
        import torch

        from predictors.bottomup.views import mirrored
        from predictors.normalisation import normalised

        for scale, image in zip(self.scales, images, strict=True):
            pixels = torch.from_numpy(image)[None].to(self._device)
            both = mirrored(normalised(pixels, "RGB").to(self._type), self.method.mirror)
            yield View(scale, both.contiguous(memory_format=torch.channels_last))


def parse_scales(text: str) -> tuple[float, ...]:
    """Return the scales of an option's value, the largest first.

    Raises:
        UsageError: if it is none of the option's forms.

    >>> parse_scales("0.5+1+2")
    (2.0, 1.0, 0.5)
    """
    # Others would have maps of which the image at scale 1 is no whole multiple.
    check_choice(SCALES, text)
    return tuple(sorted(map(float, text.split("+")), reverse=True))


def in_full(maps: Tensor) -> Tensor:
    """Return maps in fp32 where the network computed in less.

    Raises:
        InputError: if a value is not finite.
    """
    if not maps.isfinite().all():
        raise InputError(
            "the network gave numbers that are not finite: other weights or --precision fp32 may "
            "help"
        )
    return maps if maps.dtype.itemsize >= 4 else maps.float()
