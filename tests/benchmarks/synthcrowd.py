"""How fast SynthCrowd is rendered: images per second of one core, and the depth buffer's share.

The peer draws the same solids one after the other, each with numpy over its rectangle of pixels,
as one would write it first; both give the same picture (checked), so their ratio is what doing all
solids of an image at once gains.

    python tests/benchmarks/synthcrowd.py --images 60
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

# Before numpy is loaded: one core.
os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np

from crowdbench.datasets.synthcrowd import scenes
from crowdbench.datasets.synthcrowd.picture import Intrinsics
from crowdbench.datasets.synthcrowd.raster import cover, nearest, project
from crowdbench.datasets.synthcrowd.solids import Solids
from crowdbench.structures import Array

Scene = tuple[Solids, Intrinsics, int, int]


def record_scenes(n_images: int) -> list[Scene]:
    """Return what is drawn in the first images of the test split."""
    found: list[Scene] = []
    original = scenes.cover

    def spy(*scene: Scene) -> object:
        found.append(scene)  # type: ignore[arg-type]
        return original(*scene)  # type: ignore[arg-type]

    scenes.cover = spy  # type: ignore[assignment]
    try:
        for index in range(n_images):
            scenes.render("test", index)
    finally:
        scenes.cover = original
    return found


def draw_at_once(scene: Scene) -> Array:
    solids, camera, width, height = scene
    covered = cover(solids, camera, width, height)
    buffer = nearest(covered, width * height)
    shown = np.full(width * height, -1)
    shown[buffer.pixels] = covered.solids[buffer.samples]
    return shown.reshape(height, width)


def draw_one_by_one(scene: Scene) -> Array:
    solids, camera, width, height = scene
    shown = np.full((height, width), -1)
    depths = np.full((height, width), np.inf, np.float32)
    for i in range(len(solids)):
        start, end = solids.starts[i], solids.ends[i]
        (x1, y1), (x2, y2) = project(start, camera), project(end, camera)
        r1 = solids.start_radii[i] * camera.focal / start[2]
        r2 = solids.end_radii[i] * camera.focal / end[2]
        left, top = int(max(min(x1 - r1, x2 - r2), 0)), int(max(min(y1 - r1, y2 - r2), 0))
        right = int(min(max(x1 + r1, x2 + r2) + 2, width))
        low = int(min(max(y1 + r1, y2 + r2) + 2, height))
        if left >= right or top >= low:
            continue
        x, y = np.arange(left, right) - x1, (np.arange(top, low) - y1)[:, None]
        length = max(np.hypot(x2 - x1, y2 - y1), 1e-3)
        ax, ay = ((x2 - x1) / length, (y2 - y1) / length) if length > 1e-3 else (1.0, 0.0)
        along = x * ax + y * ay
        clipped = np.clip(along, 0, length)
        radius = r1 + clipped * ((r2 - r1) / length)
        high = 1 - ((y * ax - x * ay) ** 2 + (along - clipped) ** 2) / radius**2
        z = start[2] + clipped * ((end[2] - start[2]) / length)
        depth = z - np.sqrt(np.maximum(high, 0)) * radius * z / camera.focal
        inside = (high > 0) & ~(solids.is_cut[i] & (along != clipped))
        inside &= depth < depths[top:low, left:right]
        depths[top:low, left:right][inside] = depth[inside]
        shown[top:low, left:right][inside] = i
    return shown


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Return the shortest time of a call, in seconds of the processor."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    n = asked.images
    found = record_scenes(n)
    alike = [np.mean(draw_at_once(scene) == draw_one_by_one(scene)) for scene in found]
    whole = seconds(lambda: [scenes.render("test", i) for i in range(n)], asked.repeats)
    at_once = seconds(lambda: [draw_at_once(scene) for scene in found], asked.repeats)
    one_by_one = seconds(lambda: [draw_one_by_one(scene) for scene in found], asked.repeats)
    print(f"whole images: {1e3 * whole / n:.1f} ms each, {n / whole:.0f} a second and core")
    print(f"depth buffer: {1e3 * at_once / n:.2f} ms; solid by solid {1e3 * one_by_one / n:.2f} ms")
    print(f"solid by solid / at once: {one_by_one / at_once:.1f}")
    print(f"pixels that show the same solid: {100 * min(alike):.2f} % at least")


if __name__ == "__main__":
    main()
