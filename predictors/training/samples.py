"""From images to what a step of training takes: crops, target heatmaps and their weights."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array
from predictors.topdown.crop import Convention, warp_crops
from predictors.topdown.heatmaps import mirror_permutation
from predictors.topdown.position import position_masks
from predictors.training.augmentation import Augmentation, draw_views, move_joints
from predictors.training.examples import Example, Source
from predictors.training.grouping import chosen_persons, moved_masks
from predictors.training.pairing import instances_of, settle_instances
from predictors.training.targets import make_targets

# Images that each worker process makes ahead.
_AHEAD = 8


@dataclass(frozen=True)
class Sampling:
    """How samples are made of an image.

    Attributes:
        input_size: height and width of the crops.
        sigma: of the target Gaussians, in pixels of the heatmap.
        augmentation: how far crops may differ from their boxes.
        n_instances: how many persons the network should find in each crop; of one, joints outside
            of the crop are left to the targets, as HRNet does it.
        seed: of the order of images and of all that is drawn for them.
        convention: of crops and targets.
        grouped: whether the persons of an image go through the network together. Batches are then
            whole images, and what is drawn is drawn once for all persons of the image.
        max_persons: of an image with more than these, some who stand together; None: all.
        masks: whether samples have position masks.
    """

    input_size: tuple[int, int]
    sigma: float
    augmentation: Augmentation
    n_instances: int = 1
    seed: int = 0
    convention: Convention = "classical"
    grouped: bool = False
    max_persons: int | None = None
    masks: bool = False


class Samples(NamedTuple):
    """P crops and what the network should answer, as arrays or as tensors.

    Attributes:
        crops: (P, h, w, 3) uint8 RGB.
        targets: (P, N, K, h/4, w/4) float32 heatmaps of N instances.
        weights: (P, N, K) float32: 1 for joints that count, else 0.
        masks: (P, h, w) uint8 position masks; (P, 0, 0) of networks that take none.
        begins: (P,) bool: whether the crop is the first one of its image.
    """

    crops: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    masks: torch.Tensor
    begins: torch.Tensor

    @property
    def lengths(self) -> list[int]:
        """How many crops each image has, of samples that are whole images."""
        starts = [*self.begins.nonzero().flatten().tolist(), len(self.begins)]
        return [stop - start for start, stop in pairwise(starts)]


class Position(NamedTuple):
    """A place in the stream of samples.

    Attributes:
        image: how many images lie before it, those of earlier epochs too.
        person: how many persons of the next image lie before it.
    """

    image: int = 0
    person: int = 0


BEGIN = Position()


def make_samples(
    example: Example, skeleton: Skeleton, sampling: Sampling, rng: np.random.Generator
) -> Samples:
    """Return the samples of an image, one for each person that is learned from.

    Args:
        example: the image with its persons.
        skeleton: the keypoint layout.
        sampling: how they are made.
        rng: where the random numbers come from.
    """
    if sampling.max_persons is not None:
        rows = chosen_persons(example.boxes, sampling.max_persons, rng)
        example = replace(example, keypoints=example.keypoints[rows], boxes=example.boxes[rows])
    image, keypoints, boxes = example.image, example.keypoints, example.boxes
    size, convention = sampling.input_size, sampling.convention
    views = draw_views(
        boxes, keypoints, image.shape[1], skeleton, size, sampling.augmentation, rng, convention,
        shared=sampling.grouped,
    )  # fmt: skip
    shown = keypoints[instances_of(boxes, sampling.n_instances)]
    joints = move_joints(shown, views, mirror_permutation(skeleton))
    if sampling.n_instances > 1:
        joints = settle_instances(joints, size)
    masks = np.empty((len(boxes), 0, 0), np.uint8)
    if sampling.masks:
        image_size = image.shape[0], image.shape[1]
        masks = moved_masks(position_masks(boxes, image_size, size), views, image_size)
    arrays: tuple[Array, ...] = (
        warp_crops(image, views.maps, size),
        *make_targets(joints, size, sampling.sigma, convention),
        masks,
        np.arange(len(boxes)) == 0,
    )
    return Samples(*map(torch.from_numpy, arrays))


class _Stream(Dataset[Samples]):
    """The samples of every image of every epoch, by the number of the image in the stream."""

    def __init__(self, source: Source, sampling: Sampling, *, in_order: bool) -> None:
        self._source = source
        self._sampling = sampling
        self._in_order = in_order

    def __getitem__(self, number: int) -> Samples:
        epoch, rank = divmod(number, len(self._source))
        seed = self._sampling.seed
        index = rank if self._in_order else _order(seed, epoch, len(self._source))[rank]
        rng = np.random.default_rng([seed, epoch, index])
        return make_samples(self._source[index], self._source.skeleton, self._sampling, rng)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, n_images: int) -> list[int]:
    """Return the order of an epoch's images."""
    # One number less than the seeds of images have, so that none of those is the same.
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(n_images).tolist()
    return order


def batches(
    source: Source,
    sampling: Sampling,
    batch_size: int,
    n_images: int,
    *,
    start: Position = BEGIN,
    n_workers: int = 0,
    in_order: bool = False,
) -> Iterator[tuple[Samples, Position]]:
    """Yield batches of the persons of consecutive images, and the position after each.

    What is left at the end is dropped, unless images come in their own order. Of grouped samples,
    images are never cut; those without persons are passed over.

    Args:
        source: the images.
        sampling: how samples are made of them.
        batch_size: persons of each batch; of grouped samples, images with persons.
        n_images: where the stream ends; every epoch has its own order of all images.
        start: where to begin. The batches are those that an earlier pass yielded after it.
        n_workers: processes that make samples; the batches don't depend on it.
        in_order: whether images come in their own order instead.
    """
    stream = _Stream(source, sampling, in_order=in_order)
    loader = DataLoader(
        stream,
        batch_size=None,
        sampler=range(start.image, n_images),
        num_workers=n_workers,
        prefetch_factor=_AHEAD if n_workers else None,
        worker_init_fn=_begin_worker,
    )
    cut = _whole_images if sampling.grouped else _persons
    rest = yield from cut(loader, batch_size, start)
    if in_order and rest:
        yield _joined(rest), Position(n_images)


def _whole_images(
    loader: Iterable[Samples], batch_size: int, start: Position
) -> Generator[tuple[Samples, Position], None, list[Samples]]:
    """Yield batches of so many images with persons; return what is left."""
    kept: list[Samples] = []
    for number, samples in enumerate(loader, start.image):
        if len(samples.crops):
            kept.append(samples)
        if len(kept) == batch_size:
            yield _joined(kept), Position(number + 1)
            kept = []
    return kept


def _persons(
    loader: Iterable[Samples], batch_size: int, start: Position
) -> Generator[tuple[Samples, Position], None, list[Samples]]:
    """Yield batches of so many persons; return what is left."""
    kept: list[Samples] = []
    n_kept, skipped = 0, start.person
    for number, found in enumerate(loader, start.image):
        samples = Samples(*(part[skipped:] for part in found))
        n_used, skipped = skipped, 0
        while n_kept + len(samples.crops) >= batch_size:
            n = batch_size - n_kept
            n_used += n
            full = [*kept, Samples(*(part[:n] for part in samples))]
            yield _joined(full), Position(number, n_used)
            samples = Samples(*(part[n:] for part in samples))
            kept, n_kept = [], 0
        kept.append(samples)
        n_kept += len(samples.crops)
    return kept if n_kept else []


def _joined(parts: list[Samples]) -> Samples:
    return Samples(*map(torch.cat, zip(*parts, strict=True)))


def _begin_worker(_number: int) -> None:
    """Leave interrupts to the process that trains, and one processor to each worker."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
