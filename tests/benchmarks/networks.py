"""What the harness costs beside the bare network, and a second person beside one; memory.

    python tests/benchmarks/networks.py [--repeats N] [--device cpu] [--images 10000]

Prints Markdown tables. Weights are random and images made up. Each measurement stands beside its
peer in the same run: the two take turns, and the best of the repeats counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import torch
from torch import nn

from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets import Split, load_boxes, load_own
from crowdbench.predictor import Request
from crowdbench.record import RunFolder
from crowdbench.registry import load_predictor
from crowdbench.running.predict import Means, Prediction
from crowdbench.running.progress import Progress
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Boxes
from predictors.networks import create
from predictors.networks.cost import cost_of
from predictors.networks.mipnet import selectors
from predictors.topdown.predictor import TopDown

HARNESS = "hrnet-w32-256x192"
SHARING = ("mipnet-r50-256x192", "mipnet-hrnet-w32-256x192", "mipnet-hrnet-w48-384x288")
PERSONS = 2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--images", type=int, default=10_000, help="of the long run")
    arguments = parser.parse_args()
    device, repeats = arguments.device, arguments.repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # First, while nothing else has used memory.
        print(f"Memory over {arguments.images:,} images (a tiny network in the place of HRNet)\n")
        print("| images | resident memory, MiB |")
        print("|--:|--:|")
        for done, used in _memory(folder, arguments.images):
            print(f"| {done:,} | {used / 2**20:.0f} |")
        print(f"\nHarness and bare network, {HARNESS}, {device}, {arguments.precision}\n")
        print("| batch size | workers | harness, persons/s | bare network | ratio |")
        print("|--:|--:|--:|--:|--:|")
        n = 48 if device == "cpu" else 2048
        split, boxes = _make_split(folder, n // PERSONS, 640, 480)
        for size in (8, 64) if device == "cpu" else (64, 256):
            for workers in (0, 1) if device == "cpu" else (4, 15):
                ours, bare = _harness_and_bare(
                    split, boxes, size, workers, device, arguments.precision, repeats
                )
                print(
                    f"| {size} | {workers} | {n / ours:.1f} | {n / bare:.1f} | {bare / ours:.2f} |"
                )
        print("\nTwo persons in a box beside one\n")
        print("| network | multiply-adds | seconds | seconds / multiply-adds |")
        print("|---|--:|--:|--:|")
        for variant in SHARING:
            flops, seconds = _sharing(variant, device, repeats)
            print(f"| {variant} | {flops:.3f} | {seconds:.3f} | {seconds / flops:.3f} |")


def _make_split(folder: Path, n_images: int, width: int, height: int) -> tuple[Split, Boxes]:
    """Return a split of made-up JPEG files; many entries share a file."""
    rng = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    for i in range(min(n_images, 50)):
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i}.jpg"), pixels)
    for i in range(n_images):
        name = f"{i % 50}.jpg"
        images.append({"id": i, "file_name": name, "width": width, "height": height})
        for _ in range(PERSONS):
            w, h = rng.uniform(0.2, 0.5, 2) * (width, height)
            x, y = rng.uniform(0, 0.5, 2) * (width, height)
            person = {"id": len(persons), "image_id": i, "category_id": 1, "iscrowd": 0}
            person |= {"bbox": [x, y, w, h], "area": w * h, "num_keypoints": 17}
            persons.append(person | {"keypoints": [x, y, 2] * 17})
    content = {"images": images, "annotations": persons, "categories": [{"id": 1, "name": "p"}]}
    path = folder / f"annotations-{n_images}.json"
    path.write_text(json.dumps(content))
    split = load_own(path, COCO_17).with_images_in(folder)
    return split, load_boxes("gt", split, folder)


def _predict(
    predictor: TopDown,
    split: Split,
    boxes: Boxes,
    batch_size: int,
    workers: int,
    progress: Progress,
) -> float:
    """Return the seconds that predicting a split takes."""
    with tempfile.TemporaryDirectory() as folder:
        means = Means(batch_size, workers, False, progress)
        conditions = ConditionSettings()
        prediction = Prediction(
            RunFolder(Path(folder)), split, predictor, boxes, conditions, means, anew=True
        )
        prediction.make()
        return prediction.tally.seconds


def _harness_and_bare(
    split: Split, boxes: Boxes, size: int, workers: int, device: str, precision: str, repeats: int
) -> tuple[float, float]:
    """Return the seconds of the harness, and of the bare network on the same crops.

    The bare network is that of the harness (channels last) on crops and mirror images in batches
    of the same size: in one go, or in the portions in which the harness computes on a CPU,
    whatever is faster.
    """
    predictor_class = load_predictor(HARNESS)
    assert issubclass(predictor_class, TopDown)
    predictor = predictor_class(Request(split, boxes, precision=precision))
    predictor.load(device, None)
    network = predictor.network
    kind = next(network.parameters()).dtype
    n_crops = 2 * len(boxes.scores)

    def bare(at_once: int) -> float:
        crops = torch.rand(at_once, 3, 256, 192, device=device, dtype=kind)
        crops = crops.contiguous(memory_format=torch.channels_last)
        start = time.perf_counter()
        with torch.inference_mode():
            for _ in range(n_crops // at_once):
                network(crops)
            if device.startswith("cuda"):
                torch.cuda.synchronize()
        return (time.perf_counter() - start) * n_crops / (n_crops // at_once * at_once)

    portions = {min(2 * size, n_crops), *([8] if device == "cpu" else [])}
    bare(8)
    ours, others = [], []
    for _ in range(repeats):
        ours.append(_predict(predictor, split, boxes, size, workers, Progress(quiet=True)))
        others += [bare(portion) for portion in portions]
    return min(ours), min(others)


def _sharing(variant: str, device: str, repeats: int) -> tuple[float, float]:
    """Return the cost of two persons divided by that of one: multiply-adds, and seconds."""
    height, width = map(int, variant.rsplit("-", 1)[1].split("x"))

    def run(network: nn.Module, n: int, images: torch.Tensor) -> object:
        return network.forward_instances(images, selectors(2)[:n])

    one, two = (
        cost_of(
            lambda: create(variant), lambda net, n=n: run(net, n, torch.zeros(1, 3, height, width))
        ).multiply_adds
        for n in (1, 2)
    )
    network = create(variant).eval().to(device).to(memory_format=torch.channels_last)
    images = torch.rand(8, 3, height, width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with torch.inference_mode():
        for _ in range(2 * repeats + 1):
            for n, found in seconds.items():
                found.append(_timed(lambda n=n: run(network, n, images), device))
    return two / one, min(seconds[2][1:]) / min(seconds[1][1:])


def _timed(call: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


class _Tiny(nn.Module):
    """Two convolutions with the strides of HRNet."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 17, 3, 2, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class _Watch(Progress):
    """Notes the memory as images are done."""

    def __init__(self, every: int) -> None:
        super().__init__(quiet=True)
        self.seen: list[tuple[int, int]] = []
        self._every, self._count, self._process = every, 0, psutil.Process()

    def advance(self, n: int) -> None:
        """Count, and note."""
        self._count += n
        if self._count // self._every > len(self.seen):
            self.seen.append((self._count, self._process.memory_info().rss))


def _memory(folder: Path, n_images: int) -> list[tuple[int, int]]:
    """Return images done and bytes used, ten times in a long run."""
    split, boxes = _make_split(folder, n_images, 320, 240)
    predictor_class = load_predictor(HARNESS)
    assert issubclass(predictor_class, TopDown)
    predictor = predictor_class(Request(split, boxes))
    predictor.use(_Tiny(), "cpu")
    watch = _Watch(n_images // 10)
    _predict(predictor, split, boxes, 64, 1, watch)
    return watch.seen


if __name__ == "__main__":
    main()
