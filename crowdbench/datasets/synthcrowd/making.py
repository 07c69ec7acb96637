"""Writes SynthCrowd's splits: images, boxes, and last the annotations, whose presence means whole.

The work is cut into chunks of images. Each leaves its images and a file with its entries, so that
what was interrupted goes on; the files are joined in the end. The result does not depend on the
number of processes.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import msgspec

from crowdbench.datasets.manifest import Manifest, SplitManifest
from crowdbench.datasets.synthcrowd.annotations import describe, file_head, file_name
from crowdbench.datasets.synthcrowd.scenes import DATA_VERSION, render
from crowdbench.datasets.verify import named
from crowdbench.errors import MissingError, UsageError, WriteError
from crowdbench.files import MALFORMED, FileDigest, digest_of_file, read_bytes, write_atomically

# Images per chunk: below a second of work, so that little is lost and progress is seen.
_CHUNK = 20


class Watch(Protocol):
    """What is told how far the work is."""

    def start(self, title: str, total: int, done: int) -> None:
        """Images are about to be made, some of which are there already."""

    def advance(self, n: int) -> None:
        """So many more are done."""


class Places(NamedTuple):
    """Where a split's files are written.

    Attributes:
        annotations: the annotation file.
        images: the image folder.
        boxes: the file of the simulated detector's boxes, or None for a split without one.
        work: folder of what is unfinished.
    """

    annotations: Path
    images: Path
    boxes: Path | None
    work: Path


class Made(NamedTuple):
    """A split that is there, whole.

    Attributes:
        places: its files.
        annotations: digest of the annotation file.
        boxes: digest of the box file, or None for a split without one.
        n_images: how many images.
        n_persons: how many annotated persons.
        was_there: whether nothing had to be done.
    """

    places: Places
    annotations: FileDigest
    boxes: FileDigest | None
    n_images: int
    n_persons: int
    was_there: bool


class _Chunk(NamedTuple):
    part: str
    indices: range
    images: Path
    entries: Path


class _Written(msgspec.Struct):
    """An image's entries as bytes that go into the files as they are."""

    image: msgspec.Raw
    persons: list[msgspec.Raw]
    boxes: list[msgspec.Raw]


class _Info(msgspec.Struct):
    version: str = ""


class _AnnotationFile(msgspec.Struct):
    info: _Info
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]


_WRITTEN = msgspec.json.Decoder(list[_Written])


def splits_to_make(name: str) -> tuple[Manifest, tuple[SplitManifest, ...]]:
    """Return what a data set's or a split's name asks to be made, with the facts of the data set.

    Of a data set these are its splits but for the training images.

    Raises:
        UnknownNameError: if `name` is neither a data set nor a split.
        UsageError: if it can't be made here.
    """
    manifest, splits = named(name)
    if manifest.made_by is None:
        raise UsageError(
            f"{name} can't be made, it has to be got from {manifest.url}: `crowdbench data show "
            f"{name}` says how"
        )
    if name == manifest.name:
        splits = tuple(split for split in splits if not split.name.endswith("-train"))
    return manifest, splits


def places(split: SplitManifest, folder: Path) -> Places:
    """Return where a split's files are written: the first places of the manifest."""
    boxes = split.boxes[0] if split.boxes else None
    return Places(
        annotations=folder / split.annotations[0],
        images=folder / split.images[0],
        boxes=None if boxes is None else folder / boxes.folders[0] / boxes.name,
        # The same for the 2D and the 3D split of a part, whose files are the same.
        work=folder / f".synthcrowd-{_part(split)}-{DATA_VERSION}",
    )


def _part(split: SplitManifest) -> str:
    return split.name.rpartition("-")[2]


def make_split(
    manifest: Manifest,
    split: SplitManifest,
    folder: Path,
    watch: Watch,
    processes: int | None = None,
) -> Made:
    """Return a split of SynthCrowd, made now unless it is there already.

    An annotation file of another version of the data, or one without all its images, is replaced.
    Two processes that make the same split come one after the other.

    Args:
        manifest: SynthCrowd's, the 2D or the 3D one.
        split: one of its splits; it says where the files go and how many images there are.
        folder: folder of the data set; made when missing.
        watch: is told the progress.
        processes: how many render; None for one per core.

    Raises:
        UsageError: if the folder holds something else.
        WriteError: if the disk is full or the place can't be written. What is done stays, and the
            next call goes on from it.
        MissingError: if a process is killed.
    """
    where = places(split, folder)
    _refuse_foreign(manifest, folder)
    with _alone(where.work):
        found = _found(split, where)
        if found is None:
            _render(split, where, watch, processes or os.cpu_count() or 1)
            _join(split, where)
            found = _found(split, where)
            assert found is not None
            found = found._replace(was_there=False)
        shutil.rmtree(where.work, ignore_errors=True)
    return found


def _refuse_foreign(manifest: Manifest, folder: Path) -> None:
    """Refuse a folder with something in it, none of which is SynthCrowd's."""
    if folder.is_file():
        raise UsageError(f"{folder} is a file, expected a folder")
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise WriteError(f"{folder} can't be written: {error.strerror}") from None
    ours = [places(split, folder) for split in manifest.splits]
    if names and not any(p.annotations.exists() or p.work.exists() for p in ours):
        raise UsageError(
            f"{folder} holds something else ({names[0]}{', ...' if names[1:] else ''}): give a new "
            f"or empty folder, or one with {manifest.title}"
        )


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Make the folder `work` and keep other processes out until the context ends."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        handle = os.open(work, os.O_RDONLY)
    except OSError as error:
        raise WriteError(f"{work.parent} can't be written: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _found(split: SplitManifest, where: Places) -> Made | None:
    """Return the split if it is there, whole and of this version."""
    try:
        content = read_bytes(where.annotations)
        file = msgspec.json.decode(content, type=_AnnotationFile)
    except (MissingError, *MALFORMED):
        return None
    wanted = split.counts.images
    assert wanted is not None
    if file.info.version != DATA_VERSION or len(file.images) != wanted:
        return None
    if where.boxes is not None and not where.boxes.is_file():
        return None
    present = set(os.listdir(where.images)) if where.images.is_dir() else set()
    if not all(file_name(index) in present for index in range(wanted)):
        return None
    return Made(
        places=where,
        annotations=digest_of_file(where.annotations),
        boxes=None if where.boxes is None else digest_of_file(where.boxes),
        n_images=wanted,
        n_persons=len(file.annotations),
        was_there=True,
    )


def _chunks(split: SplitManifest, where: Places) -> list[_Chunk]:
    n_images = split.counts.images
    assert n_images is not None
    return [
        _Chunk(
            _part(split),
            range(start, min(start + _CHUNK, n_images)),
            where.images,
            where.work / f"{start:06d}.json",
        )
        for start in range(0, n_images, _CHUNK)
    ]


def _render(split: SplitManifest, where: Places, watch: Watch, processes: int) -> None:
    """Make the chunks that are not there yet."""
    chunks = _chunks(split, where)
    todo = [chunk for chunk in chunks if not chunk.entries.is_file()]
    total, left = (sum(len(chunk.indices) for chunk in some) for some in (chunks, todo))
    processes = min(processes, len(todo))
    if processes <= 1:
        watch.start(f"making {split.name}", total, total - left)
        for chunk in todo:
            watch.advance(_make_chunk(chunk))
        return
    # As for reading images: forked processes need no `if __name__ == "__main__"` in scripts.
    can_fork = sys.platform != "darwin" and "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if can_fork else "spawn")
    with ProcessPoolExecutor(processes, context, _start_worker) as pool:
        try:
            # Before a progress bar has threads, which do not go well with forking.
            running = {pool.submit(_make_chunk, chunk) for chunk in todo}
            watch.start(f"making {split.name}", total, total - left)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                watch.advance(sum(map(Future.result, done)))
        except BrokenProcessPool:
            raise MissingError(
                f"a process that makes {split.name} was killed, maybe for lack of memory: the same "
                "command goes on where it stopped"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    import cv2

    cv2.setNumThreads(0)
    # Ctrl-C is for the process that waits for this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make_chunk(chunk: _Chunk) -> int:
    """Write a chunk's images and then its entries; return how many images."""
    import cv2

    entries = []
    for index in chunk.indices:
        picture = render(chunk.part, index)
        _, png = cv2.imencode(".png", cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2BGR))
        _write(chunk.images / file_name(index), chunk.entries.parent, png.tobytes())
        entries.append(describe(picture, chunk.part, index))
    content = msgspec.json.encode(entries)
    write_atomically(chunk.entries, lambda file: file.write(content))
    return len(entries)


def _write(path: Path, work: Path, content: bytes) -> None:
    """Write an image whole or not at all; what a killed process leaves stays in `work`."""
    unfinished = work / path.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}") from None


def _join(split: SplitManifest, where: Places) -> None:
    """Write the box file and then the annotation file from the chunks' entries."""
    files = [chunk.entries for chunk in _chunks(split, where)]

    def entries() -> Iterator[_Written]:
        for path in files:
            yield from _WRITTEN.decode(read_bytes(path))

    def write_annotations(file: IO[bytes]) -> None:
        head = file_head(_part(split))
        for name, value in head.items():
            file.write(b'{"' if name == "info" else b'"')
            file.write(name.encode() + b'":' + msgspec.json.encode(value) + b",\n")
        file.write(b'"images":[\n')
        _write_lines(file, (entry.image for entry in entries()))
        file.write(b'],\n"annotations":[\n')
        _write_lines(file, (person for entry in entries() for person in entry.persons))
        file.write(b"]}\n")

    def write_boxes(file: IO[bytes]) -> None:
        file.write(b"[\n")
        _write_lines(file, (box for entry in entries() for box in entry.boxes))
        file.write(b"]\n")

    if where.boxes is not None:
        write_atomically(where.boxes, write_boxes)
    write_atomically(where.annotations, write_annotations)


def _write_lines(file: IO[bytes], values: Iterable[msgspec.Raw]) -> None:
    separator = b""
    for value in values:
        file.write(separator + bytes(value))
        separator = b",\n"
    file.write(b"\n")
