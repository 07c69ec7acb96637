"""The stream of samples: every image of every epoch, cut into batches that can be gone on from."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, Self

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from crowdbench.skeletons import Skeleton

# Images that each worker process makes ahead.
_AHEAD = 8


class Examples(Protocol):
    """What there is to learn from, by number; may be sent to other processes.

    Persons in images (`predictors.training.examples.Source`), or what else a sampling takes.

    Attributes:
        skeleton: the keypoint layout.
        identity: what the examples are, with a version or digests.
    """

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint layout."""

    @property
    def identity(self) -> str:
        """What the examples are, with a version or digests."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class Samples(Protocol):
    """What goes into a network and what it should answer, as tensors; one class for each kind.

    Attributes:
        n: how many samples there are.
    """

    @property
    def n(self) -> int:
        """How many samples there are."""

    def on(self, device: str) -> Self:
        """Return the same on a device."""


class Sampling(Protocol):
    """How samples are made of an example, which is an image or stands for one.

    Attributes:
        seed: of the order of images and of all that is drawn for them.
        whole: whether batches are whole images; else so many samples.
    """

    @property
    def seed(self) -> int:
        """Of the order of images and of all that is drawn for them."""

    @property
    def whole(self) -> bool:
        """Whether batches are whole images; else so many samples."""

    @property
    def plain(self) -> Sampling:
        """The same without anything drawn, for held-out images."""

    def make(self, example: Any, skeleton: Skeleton, rng: np.random.Generator) -> Any:
        """Return the samples of an image; where batches are not whole ones, `rows` cuts them."""

    def join(self, parts: list[Any]) -> Any:
        """Return the samples of several images as those of one batch."""


class Position(NamedTuple):
    """A place in the stream of samples.

    Attributes:
        image: how many images lie before it, those of earlier epochs too.
        person: how many persons of the next image lie before it.
    """

    image: int = 0
    person: int = 0


BEGIN = Position()


class _Stream(Dataset[Samples]):
    """The samples of every image of every epoch, by the number of the image in the stream."""

    def __init__(self, source: Examples, sampling: Sampling, *, in_order: bool) -> None:
        self._source = source
        self._sampling = sampling
        self._in_order = in_order

    def __getitem__(self, number: int) -> Samples:
        epoch, rank = divmod(number, len(self._source))
        seed = self._sampling.seed
        index = rank if self._in_order else _order(seed, epoch, len(self._source))[rank]
        rng = np.random.default_rng([seed, epoch, index])
        made: Samples = self._sampling.make(self._source[index], self._source.skeleton, rng)
        return made


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, n_images: int) -> list[int]:
    """Return the order of an epoch's images."""
    # One number less than the seeds of images have, so that none of those is the same.
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(n_images).tolist()
    return order


def batches(
    source: Examples,
    sampling: Sampling,
    batch_size: int,
    n_images: int,
    *,
    start: Position = BEGIN,
    n_workers: int = 0,
    in_order: bool = False,
) -> Iterator[tuple[Any, Position]]:
    """Yield batches of the samples of consecutive images, and the position after each.

    What is left at the end is dropped, unless images come in their own order. Where batches are
    whole images, those without samples are passed over.

    Args:
        source: the images.
        sampling: how samples are made of them.
        batch_size: samples of each batch; where batches are whole images, images with samples.
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
    cut = _whole_images if sampling.whole else _samples
    rest = yield from cut(loader, sampling, batch_size, start)
    if in_order and rest:
        yield sampling.join(rest), Position(n_images)


def _whole_images(
    loader: Iterable[Samples], sampling: Sampling, batch_size: int, start: Position
) -> Generator[tuple[Any, Position], None, list[Samples]]:
    """Yield batches of so many images with samples; return what is left."""
    kept: list[Samples] = []
    for number, samples in enumerate(loader, start.image):
        if samples.n:
            kept.append(samples)
        if len(kept) == batch_size:
            yield sampling.join(kept), Position(number + 1)
            kept = []
    return kept


def _samples(
    loader: Iterable[Any], sampling: Sampling, batch_size: int, start: Position
) -> Generator[tuple[Any, Position], None, list[Any]]:
    """Yield batches of so many samples; return what is left."""
    kept: list[Any] = []
    n_kept, skipped = 0, start.person
    for number, found in enumerate(loader, start.image):
        samples = found.rows(skipped, None)
        n_used, skipped = skipped, 0
        while n_kept + samples.n >= batch_size:
            n = batch_size - n_kept
            n_used += n
            yield sampling.join([*kept, samples.rows(0, n)]), Position(number, n_used)
            samples = samples.rows(n, None)
            kept, n_kept = [], 0
        kept.append(samples)
        n_kept += samples.n
    return kept if n_kept else []


def _begin_worker(_number: int) -> None:
    """Leave interrupts to the process that trains, and one processor to each worker."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
