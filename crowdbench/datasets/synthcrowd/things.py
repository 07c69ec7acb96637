"""Things that stand among the people and hide parts of them: posts, bins, plants, rails, balls."""

from __future__ import annotations

import colorsys

import numpy as np

from crowdbench.datasets.synthcrowd.draws import Draws
from crowdbench.datasets.synthcrowd.solids import PATTERNS, Materials, Solids
from crowdbench.structures import Array

# Start, end, radius at the start, radius at the end, whether cut off: mm, x right, y up, z forward.
Part = tuple[tuple[float, float, float], tuple[float, float, float], float, float, bool]


def make_thing(x: float, z: float, draws: Draws) -> tuple[Solids, Materials]:
    """Return a thing that stands on the ground at a place.

    Args:
        x: mm to the right of the camera.
        z: mm before the camera.
        draws: decide what it is.
    """
    make = draws.pick((_post, _bin, _plant, _rail, _ball, _crates, _sign))
    return _made(make(x, z, draws), draws, is_leafy=make is _plant)


def make_seat(x: float, z: float, top: float, draws: Draws) -> tuple[Solids, Materials]:
    """Return something to sit on whose top is `top` mm above the ground."""
    radius = draws.number(150, 230)
    parts: list[Part] = [((x, max(top, 40), z), (x, 0, z), radius, radius * 0.92, True)]
    return _made(parts, draws, is_leafy=False)


def _made(parts: list[Part], draws: Draws, *, is_leafy: bool) -> tuple[Solids, Materials]:
    starts, ends, first, second, cut = (np.array(column) for column in zip(*parts, strict=True))
    n = len(parts)
    solids = Solids(
        starts.astype(float),
        ends.astype(float),
        first.astype(float),
        second.astype(float),
        cut.astype(bool),
        np.full(n, -1),
        np.zeros(n, np.int64),
    )
    colour = _colour(draws, is_leafy)
    pattern = PATTERNS.index("leaves") if is_leafy else draws.integer(0, 4) * int(draws.chance(0.3))
    materials = Materials(
        colour,
        _colour(draws, is_leafy),
        np.array([pattern]),
        np.array([float(draws.integer(60, 250))]),
        np.array([draws.number(0, 0.5)]),
    )
    return solids, materials


def _colour(draws: Draws, is_leafy: bool) -> Array:
    hue = draws.number(0.22, 0.38) if is_leafy else draws.number(0, 1)
    saturation = draws.number(0.3, 0.7) if is_leafy else draws.number(0, 0.7)
    rgb = colorsys.hsv_to_rgb(hue, saturation, draws.number(0.2, 0.9))
    levels: Array = np.rint(255 * np.array([rgb]))
    return levels


def _post(x: float, z: float, draws: Draws) -> list[Part]:
    r = draws.number(25, 90)
    return [((x, draws.number(900, 3200), z), (x, 0, z), r, r, True)]


def _bin(x: float, z: float, draws: Draws) -> list[Part]:
    r, top = draws.number(140, 320), draws.number(500, 1000)
    return [((x, top, z), (x, 0, z), r, r * 0.85, True)]


def _plant(x: float, z: float, draws: Draws) -> list[Part]:
    pot = draws.number(150, 250)
    parts: list[Part] = [((x, pot * 1.6, z), (x, 0, z), pot, pot * 0.7, True)]
    top = draws.number(500, 1100)
    parts.append(((x, top, z), (x, pot, z), 28, 35, False))
    for _ in range(draws.integer(4, 8)):
        leaf = (
            x + float(draws.spread()) * 230,
            top + float(draws.spread()) * 330,
            z + float(draws.spread()) * 200,
        )
        r = draws.number(90, 200)
        parts.append((leaf, leaf, r, r, False))
    return parts


def _rail(x: float, z: float, draws: Draws) -> list[Part]:
    half, top, r = draws.number(500, 1600), draws.number(750, 1050), draws.number(18, 45)
    posts: list[Part] = [
        ((x + s * half, top, z), (x + s * half, 0, z), r, r, True) for s in (-1.0, 0.0, 1.0)
    ]
    rails: list[Part] = [
        ((x - half, y, z), (x + half, y, z), r, r, False)
        for y in (top, top * draws.number(0.4, 0.7))
    ]
    return posts + rails


def _ball(x: float, z: float, draws: Draws) -> list[Part]:
    r = draws.number(110, 380)
    return [((x, r, z), (x, r, z), r, r, False)]


def _crates(x: float, z: float, draws: Draws) -> list[Part]:
    parts: list[Part] = []
    low = 0.0
    for _ in range(draws.integer(1, 3)):
        half, tall = draws.number(180, 380), draws.number(220, 420)
        middle = x + float(draws.spread()) * 80
        y = low + tall / 2
        parts.append(((middle - half, y, z), (middle + half, y, z), tall / 2, tall / 2, True))
        low += tall
    return parts


def _sign(x: float, z: float, draws: Draws) -> list[Part]:
    top, half, tall = draws.number(1000, 2100), draws.number(180, 420), draws.number(120, 260)
    return [
        ((x, top, z), (x, 0, z), 22, 22, True),
        ((x - half, top, z - 30), (x + half, top, z - 30), tall, tall, True),
    ]
