"""What a network runs on: device, batch size and worker processes, chosen where not given."""

from __future__ import annotations

import os
from typing import NamedTuple

from crowdbench.errors import MissingError, UsageError
from crowdbench.predictor import Predictor
from crowdbench.refiner import composition_of

# Boxes in a batch. On a CPU more of them gain nothing and only need more memory.
_BATCH_SIZES = {"cpu": 8, "mps": 32, "cuda": 64}
# Whole images, of which each is large.
_IMAGES = 4
# Processes that feed an accelerator; a CPU is better used by the network itself.
_MOST_WORKERS = 8


class Machine(NamedTuple):
    """What a network runs on.

    Attributes:
        device: as torch names it, e.g. ``cpu`` or ``cuda:1``.
        description: for people.
        batch_size: boxes, or images without boxes, in a batch; None for no limit.
        workers: processes that read images.
        threads: of torch on a CPU, or None.
    """

    device: str
    description: str
    batch_size: int | None
    workers: int
    threads: int | None


def choose_machine(kind: type[Predictor], device: str, batch_size: str, workers: str) -> Machine:
    """Return what a predictor is to run on.

    A predictor that looks at no images gets whole shards in one batch, unless a batch size is
    given; without weights, its own or its base's, it has no network either, and torch is not
    imported for it.

    Args:
        kind: the predictor, of a refiner with its base.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        batch_size: ``auto`` or a number.
        workers: ``auto`` or a number.

    Raises:
        UsageError: if one of them is none of these.
        MissingError: if there is no such device here.
    """
    size = _number(batch_size, "--batch-size", 1)
    processes = _number(workers, "--workers", 0)
    card, composition = kind.card, composition_of(kind)
    has_network = card.needs_weights or (
        composition is not None and composition.base.card.needs_weights
    )
    if not (card.needs_images or has_network):
        _check_name(device)
        return Machine("cpu", "cpu", size, 0, None)
    name, description, threads = _device(device)
    if not card.needs_images:
        return Machine(name, description, size, 0, threads)
    processor = name.partition(":")[0]
    if processes is None:
        processes = 0 if processor == "cpu" else min(_MOST_WORKERS, max(os.cpu_count() or 1, 2) - 1)
    return Machine(
        name,
        description,
        size or (_BATCH_SIZES[processor] if card.needs_boxes else _IMAGES),
        processes,
        threads,
    )


def _check_name(device: str) -> None:
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (
        ":" in device and (kind != "cuda" or not number.isdecimal())
    ):
        raise UsageError(f"--device is {device!r}, expected auto, cpu, cuda, cuda:N or mps")


def _device(asked: str) -> tuple[str, str, int | None]:
    """Return the device's name, its description and the number of threads."""
    _check_name(asked)
    import torch

    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if asked == "auto":
        asked = "cuda" if n_cuda else "mps" if has_mps else "cpu"
    if asked == "mps" and not has_mps:
        raise MissingError("--device mps: there is none here; --device cpu works")
    if asked.startswith("cuda"):
        number = int(asked.partition(":")[2] or 0)
        if number >= n_cuda:
            count = f"there are {n_cuda}" if n_cuda else "torch finds none here"
            raise MissingError(f"--device {asked}: {count}; --device cpu works")
        return asked, f"{asked}: {torch.cuda.get_device_name(number)}", None
    threads = torch.get_num_threads() if asked == "cpu" else None
    return asked, asked if threads is None else f"cpu, {threads} threads", threads


def _number(text: str, option: str, least: int) -> int | None:
    """Return the number, None for ``auto``."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < least:
        raise UsageError(f"{option} is {text!r}, expected auto or a number from {least} up")
    return int(text)
