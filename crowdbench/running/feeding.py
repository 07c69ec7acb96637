"""Feeding a predictor: images grouped into batches, read and prepared ahead of it."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np

from crowdbench.datasets.image_files import read_image
from crowdbench.datasets.split import Split
from crowdbench.errors import CrowdbenchError, InputError, MissingError
from crowdbench.predictor import Batch, Predictor
from crowdbench.results import SkippedImage
from crowdbench.structures import Array, Boxes

# Batches that a worker is ahead of the network.
_AHEAD = 2


class Part(NamedTuple):
    """What one batch is of.

    Attributes:
        images: (n,) rows of the split's images, ascending.
        boxes: rows of the boxes, from the first to after the last one; None without boxes.
    """

    images: Array
    boxes: tuple[int, int] | None = None


class Fed(NamedTuple):
    """A batch that is ready to be predicted.

    Attributes:
        part: what it is of.
        batch: its images that could be read, with their boxes.
        box_rows: (B,) row of each of the batch's boxes among all boxes; None without boxes.
        skipped: its images that could not be used.
    """

    part: Part
    batch: Batch
    box_rows: Array | None
    skipped: tuple[SkippedImage, ...]


def parts_of(
    start: int, stop: int, boxes: Boxes | None, size: int | None, whole_images: bool
) -> list[Part]:
    """Return how consecutive images are cut into batches.

    Args:
        start: row of the first image.
        stop: row after the last one.
        boxes: of the whole split, or None for a predictor without boxes.
        size: most boxes, or images without boxes, in a batch; None for no limit. A single image
            may have more boxes where they have to come together.
        whole_images: whether all boxes of an image have to come together.

    Returns:
        Without boxes all images; with boxes only those that have one.
    """
    if boxes is None:
        step = size or max(stop - start, 1)
        return [Part(np.arange(i, min(i + step, stop))) for i in range(start, stop, step)]
    first, last = np.searchsorted(boxes.image_index, (start, stop)).tolist()
    if first == last:
        return []
    if size is None:
        edges = [first, last]
    elif whole_images:
        image = boxes.image_index[first:last]
        ends = first + np.append(np.flatnonzero(np.diff(image)) + 1, len(image))
        edges = [first]
        for end, following in itertools.pairwise([*ends.tolist(), None]):
            if following is None or following - edges[-1] > size:
                edges.append(end)
    else:
        edges = [*range(first, last, size), last]
    return [Part(np.unique(boxes.image_index[a:b]), (a, b)) for a, b in itertools.pairwise(edges)]


class _Read(NamedTuple):
    """What a worker hands over: no more than the network's process does not have.

    Attributes:
        inputs: for each image of a part what was prepared; None where nothing could be.
        faults: for each image what was wrong with it, or None.
    """

    inputs: tuple[Any, ...]
    faults: tuple[str | None, ...]


class _Reader:
    """The parts of a split, each read and prepared when it is asked for by number."""

    def __init__(
        self, predictor: Predictor, split: Split, boxes: Boxes | None, parts: Sequence[Part]
    ) -> None:
        self._predictor, self._split, self._boxes, self._parts = predictor, split, boxes, parts
        # The boxes of an image may be in two batches.
        self._last: tuple[int, Array] | None = None

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, i: int) -> _Read:
        part = self._parts[i]
        boxes = None if part.boxes is None else self._boxes_of(part)
        inputs: list[Any] = []
        faults: list[str | None] = []
        for row in part.images.tolist():
            here = None if boxes is None else boxes.of_images(row, row + 1)
            try:
                image = self._image(row)
            except CrowdbenchError as error:
                inputs.append(None)
                faults.append(str(error))
                continue
            try:
                inputs.append(self._predictor.prepare(image, here))
                faults.append(None)
            except InputError as error:
                images = self._split.images
                inputs.append(None)
                faults.append(f"{images.file_names[row]} (image {images.ids[row]}): {error}")
        return _Read(tuple(inputs), tuple(faults))

    def _boxes_of(self, part: Part) -> Boxes:
        assert self._boxes is not None
        assert part.boxes is not None
        return self._boxes.take(slice(*part.boxes))

    def _image(self, row: int) -> Array:
        if self._last is None or self._last[0] != row:
            self._last = row, read_image(self._split.images, row)
        return self._last[1]

    def fed(self, i: int, read: _Read | None) -> Fed:
        """Return batch `i` from what was read for it; None where images are not looked at."""
        part = self._parts[i]
        boxes = None if part.boxes is None else self._boxes_of(part)
        rows = None if part.boxes is None else np.arange(*part.boxes)
        if read is None:
            return Fed(part, Batch(self._split, part.images, boxes), rows, ())
        good = np.array([fault is None for fault in read.faults], bool)
        skipped = tuple(
            SkippedImage(image_id, fault)
            for image_id, fault in zip(
                self._split.images.ids[part.images].tolist(), read.faults, strict=True
            )
            if fault is not None
        )
        images = part.images[good]
        if boxes is not None and skipped:
            assert rows is not None
            stay = np.isin(boxes.image_index, images)
            boxes, rows = boxes.take(stay), rows[stay]
        inputs = tuple(itertools.compress(read.inputs, good))
        return Fed(part, Batch(self._split, images, boxes, inputs), rows, skipped)


@contextmanager
def feeding(
    predictor: Predictor,
    split: Split,
    boxes: Boxes | None,
    parts: Sequence[Part],
    workers: int,
) -> Iterator[Iterator[Fed]]:
    """Yield an iterator over the batches of `parts`, in order, read and prepared.

    The worker processes start at once and end with the context.

    Args:
        predictor: whose `prepare` is called.
        split: the split.
        boxes: of the whole split, or None.
        parts: what the batches are of.
        workers: processes that read and prepare; 0 for this one.

    Raises:
        MissingError: while iterating, if a worker process is killed.
    """
    reader = _Reader(predictor, split, boxes, parts)
    numbers = range(len(parts))
    if not predictor.card.needs_images:
        yield (reader.fed(i, None) for i in numbers)
        return
    if not workers or not parts:
        yield (reader.fed(i, reader[i]) for i in numbers)
        return
    # Imported here: a predictor without a network needs no torch.
    from torch.utils.data import DataLoader

    # Forked workers need not be sent the predictor, which may come from a file of the user's own.
    can_fork = sys.platform != "darwin" and "fork" in multiprocessing.get_all_start_methods()
    loader: DataLoader[Any] = DataLoader(
        cast(Any, reader),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        collate_fn=_as_tensors,
        multiprocessing_context="fork" if can_fork else None,
        worker_init_fn=_start_worker,
    )
    iterator = iter(loader)
    try:
        yield (reader.fed(i, _as_arrays(_next(iterator))) for i in numbers)
    finally:
        # Ends the processes, which may wait for their queues to be read.
        iterator._shutdown_workers()  # type: ignore[attr-defined]


def feed_image(predictor: Predictor, split: Split, boxes: Boxes | None, row: int) -> Fed | None:
    """Return one image with all its boxes as a batch, or None if it has no box.

    Args:
        predictor: whose `prepare` is called.
        split: the split.
        boxes: of the whole split, or None for a predictor without boxes.
        row: of the image.
    """
    parts = parts_of(row, row + 1, boxes, None, whole_images=True)
    if not parts:
        return None
    with feeding(predictor, split, boxes, parts, workers=0) as fed:
        return next(fed)


def _start_worker(_: int) -> None:
    import cv2

    cv2.setNumThreads(0)


def _next(iterator: Iterator[Any]) -> Any:
    try:
        return next(iterator)
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error) and "killed by signal" not in str(error):
            raise
        raise MissingError(
            "a process that reads images was killed, maybe for lack of (shared) memory: the same "
            "command goes on; give it a smaller --batch-size or --workers 0"
        ) from None


def _as_tensors(value: Any) -> Any:
    """Return `value` with its arrays as tensors, which cross processes in shared memory."""
    import torch

    def changed(leaf: Any) -> Any:
        is_plain = isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biuf"
        return torch.from_numpy(np.require(leaf, requirements=("C", "W"))) if is_plain else leaf

    return _mapped(value, changed)


def _as_arrays(value: Any) -> Any:
    """Return `value` with its tensors as arrays again, without a copy."""
    return _mapped(value, lambda leaf: leaf.numpy() if hasattr(leaf, "numpy") else leaf)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return `value` with whatever is no dict, list or tuple changed."""
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(item, change) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(_mapped(item, change) for item in value)
    return change(value)
