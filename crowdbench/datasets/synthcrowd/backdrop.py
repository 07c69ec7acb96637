"""What is behind the people: sky or wall, ground, clutter, and the shadows that people throw."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

from crowdbench.datasets.synthcrowd.draws import Draws
from crowdbench.datasets.synthcrowd.picture import Intrinsics
from crowdbench.datasets.synthcrowd.shading import NOISE_SIDE, noise_tile
from crowdbench.structures import Array

_GROUNDS = ("plain", "tiles", "planks", "grass", "asphalt")
_ROWS = 24
Colour = tuple[int, int, int]
Place = tuple[int, int]


@dataclass(frozen=True)
class Viewpoint:
    """Where the camera stands.

    Attributes:
        camera: in pixels of the image that is drawn.
        height: of the camera above the ground, mm.
        sine: of the angle by which it looks down.
        cosine: likewise.
    """

    camera: Intrinsics
    height: float
    sine: float
    cosine: float


def draw_backdrop(view: Viewpoint, width: int, height: int, draws: Draws) -> Array:
    """Return (H, W, 3) uint8 RGB: a place without people."""
    horizon = view.camera.centre_y - view.camera.focal * view.sine / view.cosine
    # Where the ground meets a wall, or the horizon itself.
    edge = int(horizon + draws.number(0.0, 0.16) * height)
    image = np.empty((height, width, 3), np.uint8)
    _draw_upper(image, max(edge, 1), draws)
    _draw_clutter(image, edge, draws)
    if edge < height:
        _draw_ground(image, max(edge, 0), view, draws)
    _draw_low_clutter(image, edge, draws)
    return image


def _draw_upper(image: Array, edge: int, draws: Draws) -> None:
    height, width = image.shape[:2]
    edge = min(edge, height)
    top, low = np.array(_tone(draws)), np.array(_tone(draws))
    if draws.chance(0.6):
        low = (top + low * 0.25) / 1.25
    part = np.linspace(0, 1, edge)[:, None]
    rows = top * (1 - part) + low * part
    noise = noise_tile()
    y, x = draws.integer(0, NOISE_SIDE - 1), draws.integer(0, NOISE_SIDE - 1)
    coarse = draws.pick((1, 1, 2, 3))
    ys = ((np.arange(edge) >> coarse) + y) & (NOISE_SIDE - 1)
    xs = ((np.arange(width) >> coarse) + x) & (NOISE_SIDE - 1)
    grain = np.rint(noise[ys[:, None], xs] * draws.number(4, 26)).astype(np.int16)
    levels = np.rint(rows).astype(np.int16).T[..., None]
    image[:edge] = cv2.merge([np.clip(level + grain, 0, 255).astype(np.uint8) for level in levels])
    if draws.chance(0.25):  # bricks or panels
        line = tuple(int(c) for c in np.clip(low - 22, 0, 255))
        step = draws.integer(14, 60)
        for i, row in enumerate(range(edge % step, edge, step)):
            cv2.line(image, (0, row), (width, row), line)
            for column in range((i % 2) * step, width, 2 * step):
                cv2.line(image, (column, row), (column, min(row + step, edge)), line)


def _draw_ground(image: Array, edge: int, view: Viewpoint, draws: Draws) -> None:
    """Draw the ground as it lies: what is far is small."""
    height, width = image.shape[:2]
    single = np.float32
    kind = draws.pick(_GROUNDS)
    is_rough = kind in ("grass", "asphalt")
    colour = np.array(_tone(draws), single)
    if kind == "grass":
        colour = np.array([70, 110, 52], single) * single(draws.number(0.7, 1.3))
    turned = single(draws.number(-1, 1))
    strength = single(draws.number(0.25, 0.5) if is_rough else 0.12)
    size, checks = single(1 / draws.number(250, 700)), single(draws.number(0, 0.35))
    noise, fine = noise_tile(), single(0.12 if is_rough else 0.03)
    mask = np.int32(NOISE_SIDE - 1)
    columns = (np.arange(width) - view.camera.centre_x).astype(single)
    # In blocks that stay in the processor's cache.
    for top in range(edge, height, _ROWS):
        low = min(top + _ROWS, height)
        forward, per_pixel = _ground_rows(view, top, low)
        across = columns * per_pixel
        x, z = across + forward * turned, forward - across * turned
        xs, zs = (x * fine).astype(np.int32) & mask, (z * fine).astype(np.int32) & mask
        shade = np.take(noise, zs * np.int32(NOISE_SIDE) + xs)
        shade *= strength
        shade += 1
        if kind in ("tiles", "planks"):
            cells_x = np.floor(x * size).astype(np.int32)
            cells_z = np.floor(z * (size * single(0.2 if kind == "planks" else 1))).astype(np.int32)
            number = ((cells_x * 7 + cells_z * 13) & 15).astype(single) - 8
            odd = ((cells_x + cells_z) & 1).astype(single)
            shade *= 1 - checks * odd + single(0.012) * number
        # Far ground is a little brighter.
        shade *= 1 + single(0.15) * (forward / (forward + single(6000)))
        planes = [np.minimum(shade * level, single(255)).astype(np.uint8) for level in colour]
        image[top:low] = cv2.merge(planes)


def _ground_rows(view: Viewpoint, top: int, low: int) -> tuple[Array, Array]:
    """Return (R, 1) float32 of rows: mm to the ground they show, and mm of its width per pixel."""
    v = (np.arange(top, low) - view.camera.centre_y) / view.camera.focal
    # The ray of a row falls so much for each step forward over the ground.
    fall = np.maximum((view.sine + v * view.cosine) / (view.cosine - v * view.sine), 0.02)
    forward = view.height / fall
    per_pixel = (forward * view.cosine + view.height * view.sine) / view.camera.focal
    return forward.astype(np.float32)[:, None], per_pixel.astype(np.float32)[:, None]


def _draw_clutter(image: Array, edge: int, draws: Draws) -> None:
    """Draw windows, pictures, trees and houses above the edge of the ground."""
    height, width = image.shape[:2]
    for _ in range(draws.integer(2, 14)):
        colour = _tone(draws)
        w, h = int(width * draws.number(0.03, 0.3)), int(height * draws.number(0.05, 0.5))
        x = int(draws.number(-0.1, 1.0) * width)
        y = edge - h - int(draws.number(-0.05, 0.45) * height)
        kind = draws.number(0, 1)
        if kind < 0.5:
            cv2.rectangle(image, (x, y), (x + w, y + h), colour, -1)
            if draws.chance(0.6):
                cv2.rectangle(image, (x, y), (x + w, y + h), _tone(draws), draws.integer(1, 5))
            if draws.chance(0.4):  # panes
                frame = _tone(draws)
                for i in range(1, draws.integer(2, 4)):
                    cv2.line(image, (x + i * w // 4, y), (x + i * w // 4, y + h), frame, 2)
                cv2.line(image, (x, y + h // 2), (x + w, y + h // 2), frame, 2)
        elif kind < 0.75:  # leaves
            green = draws.chance(0.7)
            for _ in range(draws.integer(6, 18)):
                shade = draws.number(0.5, 1.2)
                base = np.array((58, 96, 46) if green else colour) * shade
                leaf = tuple(int(c) for c in np.clip(base, 0, 255))
                cx, cy = x + int(draws.spread() * w), y + int(draws.spread() * h * 0.6)
                cv2.circle(image, (cx, cy), int(draws.number(0.15, 0.5) * w) + 3, leaf, -1)
        elif kind < 0.9:
            _draw_triangle(image, (x, y), (x + w, y + draws.integer(0, h)), (x, y + h), colour)
        else:  # a post
            cv2.line(image, (x, y), (x, edge), colour, draws.integer(3, 14))


def _draw_triangle(image: Array, a: Place, b: Place, c: Place, colour: Colour) -> None:
    """Fill a triangle, corners clockwise; versions of OpenCV differ in the edges of theirs."""
    height, width = image.shape[:2]
    x0, x1 = max(min(a[0], b[0], c[0]), 0), min(max(a[0], b[0], c[0]) + 1, width)
    y0, y1 = max(min(a[1], b[1], c[1]), 0), min(max(a[1], b[1], c[1]) + 1, height)
    if x0 < x1 and y0 < y1:
        x, y = np.arange(x0, x1), np.arange(y0, y1)[:, None]
        inside = np.ones((y1 - y0, x1 - x0), bool)
        for start, end in ((a, b), (b, c), (c, a)):
            turn = (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0])
            inside &= turn >= 0
        image[y0:y1, x0:x1][inside] = colour


def _draw_low_clutter(image: Array, edge: int, draws: Draws) -> None:
    """Draw things that stand on the ground far behind: boxes, bins, balls."""
    height, width = image.shape[:2]
    for _ in range(draws.integer(0, 7)):
        bottom = edge + int(draws.number(-0.01, 0.12) * height)
        size = int(height * draws.number(0.04, 0.22))
        x = int(draws.number(-0.05, 1.0) * width)
        colour = np.array(_tone(draws))
        dark = tuple(int(c) for c in colour * 0.7)
        light = tuple(int(c) for c in colour)
        shade = tuple(
            int(c) for c in image[min(max(bottom, 0), height - 1), min(max(x, 0), width - 1)] * 0.6
        )
        cv2.ellipse(
            image, (x + size // 2, bottom), (size // 2 + 4, size // 8 + 2), 0, 0, 360, shade, -1
        )
        if draws.chance(0.65):
            wide = int(size * draws.number(0.5, 1.6))
            cv2.rectangle(image, (x, bottom - size), (x + wide, bottom), light, -1)
            cv2.rectangle(image, (x + wide * 2 // 3, bottom - size), (x + wide, bottom), dark, -1)
        else:
            cv2.circle(image, (x + size // 2, bottom - size // 2), size // 2, dark, -1)
            cv2.circle(
                image, (x + size // 2 - size // 10, bottom - size * 6 // 10), size // 3, light, -1
            )


def darken(image: Array, spots: Array) -> None:
    """Draw soft shadows on the ground, in place.

    Args:
        image: (H, W, 3) uint8.
        spots: (S, 4) int64 x, y and the two half-axes, pixels.
    """
    height, width = image.shape[:2]
    # Coarse, then widened: soft edges, in whole numbers.
    step = 4
    mask = np.zeros((height // step + 2, width // step + 2), np.uint8)
    for x, y, wide, high in spots.tolist():
        axes = (max(wide // step, 1), max(high // step, 1))
        cv2.ellipse(mask, (x // step, y // step), axes, 0, 0, 360, 160, -1)
    soft = mask.astype(np.uint16)
    soft[1:-1, 1:-1] = (
        4 * soft[1:-1, 1:-1]
        + 3 * (soft[:-2, 1:-1] + soft[2:, 1:-1])
        + 3 * (soft[1:-1, :-2] + soft[1:-1, 2:])
    ) >> 4
    rows = np.arange(height) // step
    touched = np.flatnonzero(soft.any(axis=1))
    if not len(touched):
        return
    top, low = max(int(touched[0]) * step, 0), min((int(touched[-1]) + 1) * step, height)
    keep = (256 - soft)[rows[top:low]].repeat(step, axis=1)[:, :width]
    image[top:low] = ((image[top:low].astype(np.uint16) * keep[..., None]) >> 8).astype(np.uint8)


def _tone(draws: Draws) -> Colour:
    """Return a muted or, sometimes, a bright colour."""
    vivid = draws.chance(0.2)
    saturation = draws.number(0.4, 0.9) if vivid else draws.number(0.0, 0.35)
    found = colorsys.hsv_to_rgb(draws.number(0, 1), saturation, draws.number(0.2, 0.95))
    red, green, blue = (round(255 * c) for c in found)
    return red, green, blue
