"""Colours of what the depth buffer shows: patterns, light, shadows; then lens and sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from crowdbench.datasets.synthcrowd.draws import Draws
from crowdbench.datasets.synthcrowd.picture import Intrinsics
from crowdbench.datasets.synthcrowd.raster import Buffer, Covered
from crowdbench.datasets.synthcrowd.solids import PATTERNS, Materials, Solids, on_grid
from crowdbench.structures import Array

# Side of the square of noise that textures are cut from; a power of two.
NOISE_SIDE = 256
# Largest width and height of an image, and side of the square of noise that sensors add.
MAX_SIDE = 320
_GRAIN_SIDE = 512
# What is nearer than this in the direction of the light throws a shadow, mm.
_SHADOW_NEAREST, _SHADOW_FARTHEST = 60.0, 900.0
_BLOCK = 16_384


@dataclass(frozen=True)
class Light:
    """A far lamp and light from all around.

    Attributes:
        direction: (3,) unit vector to the lamp, camera axes.
        ambient: light from all around.
        direct: light of the lamp.
        colour: (3,) of the lamp, about 1.
    """

    direction: Array
    ambient: float
    direct: float
    colour: Array


@dataclass(frozen=True)
class Sensor:
    """What lens and sensor do to an image.

    Attributes:
        blur: 0 (sharp) to 16 (three pixels wide).
        noise: standard deviation, in 64ths of a grey level.
        tone: (256,) uint8 the curve from light to grey level.
        balance: (3,) gain of the channels in 256ths.
        noise_at: where in the noise the image begins.
    """

    blur: int
    noise: int
    tone: Array
    balance: tuple[int, int, int]
    noise_at: tuple[int, int]


def make_light(draws: Draws) -> Light:
    """Return the light of a scene: from above, from any side but behind what is seen."""
    x, y, z = draws.number(-0.9, 0.9), -draws.number(0.35, 1), -draws.number(0.1, 0.9)
    direct = draws.number(0.35, 0.8)
    warm = draws.number(-0.06, 0.06)
    return Light(
        direction=on_grid(np.array([x, y, z]) / math.sqrt(x * x + y * y + z * z)),
        ambient=draws.number(0.38, 0.62),
        direct=direct,
        colour=np.array([1 + warm, 1, 1 - warm]),
    )


def make_sensor(draws: Draws) -> Sensor:
    """Return lens and sensor of a scene."""
    gamma, gain = draws.number(0.8, 1.25), draws.number(0.8, 1.12)
    levels = [255 * min(1.0, gain * (i / 255) ** gamma) for i in range(256)]
    return Sensor(
        blur=int(16 * draws.number(0, 1) ** 2),
        noise=int(64 * draws.number(0.8, 4)),
        tone=np.rint(levels).astype(np.uint8),
        balance=(draws.integer(236, 276), 256, draws.integer(236, 276)),
        noise_at=(
            draws.integer(0, _GRAIN_SIDE - MAX_SIDE),
            draws.integer(0, _GRAIN_SIDE - MAX_SIDE),
        ),
    )


@cache
def noise_tile() -> Array:
    """Return (256, 256) float32 noise from -1 to 1, both smooth and rough; it can be tiled."""
    draws = Draws(0x5EED, 1)
    total = np.zeros((NOISE_SIDE, NOISE_SIDE))
    for side, weight in ((8, 0.4), (32, 0.3), (128, 0.2), (NOISE_SIDE, 0.1)):
        coarse = draws.spread(side, side)
        step = NOISE_SIDE // side
        # Linear between the coarse values, wrapping around.
        part = np.arange(step) / step
        rows = (
            coarse[:, None] * (1 - part)[:, None] + np.roll(coarse, -1, 0)[:, None] * part[:, None]
        )
        rows = rows.reshape(NOISE_SIDE, side)
        both = rows[..., None] * (1 - part) + np.roll(rows, -1, 1)[..., None] * part
        total += weight * both.reshape(NOISE_SIDE, NOISE_SIDE)
    tile: Array = (total / np.abs(total).max()).astype(np.float32)
    return tile


@cache
def _grain_tile() -> Array:
    """Return (512, 512, 3) int16 noise without any neighbourhood, standard deviation 64."""
    draws = Draws(0x5EED, 2)
    # The sum of three uniform numbers has the standard deviation 0.5 and nearly a normal density.
    grain = draws.uniform(-0.5, 0.5, 3, _GRAIN_SIDE, _GRAIN_SIDE, 3).sum(axis=0)
    found: Array = np.rint(grain * 128).astype(np.int16)
    return found


def shade(
    covered: Covered,
    buffer: Buffer,
    solids: Solids,
    materials: Materials,
    light: Light,
    camera: Intrinsics,
    width: int,
) -> Array:
    """Return (V, 3) uint8 RGB: the colours of the pixels that show a solid."""
    single = np.float32
    steps = solids.ends - solids.starts
    dx, dy, dz = (steps * steps).T
    spans = np.sqrt(dx + dy + dz).astype(single)
    axes = (steps / np.maximum(spans, 1e-3)[:, None]).astype(single)
    # Sideways in the image, as far as that is seen: where the normal points at a solid's edge.
    lengths = np.maximum(np.sqrt(np.maximum(1 - axes[:, 2] * axes[:, 2], 0)), single(1e-3))
    edges = -axes[:, 1] / lengths, axes[:, 0] / lengths
    lx, ly, lz = light.direction.astype(single)

    def shade_block(block: slice) -> Array:
        samples = buffer.samples[block]
        solid = np.take(covered.solids, samples)
        across, high = np.take(covered.across, samples), np.take(covered.heights, samples)
        s = np.take(covered.along, samples) * np.take(spans, solid)
        millimetres = np.take(covered.depths, samples) * single(1 / camera.focal)
        around = across * (np.take(covered.radii, samples) * millimetres)
        material = np.take(solids.materials, solid)
        nx, ny = (np.take(edge, solid) * across for edge in edges)
        facing = nx * lx + ny * ly - high * lz
        lit = np.maximum(facing, 0) * single(light.direct)
        lit *= 1 - _shadows(buffer, block, light, millimetres, width)
        base = _albedo(materials, material, s, around, solid)
        return _lit(base, lit, facing, ny, high, materials.shines.astype(single)[material], light)

    colours = np.empty((len(buffer.samples), 3), np.uint8)
    # In blocks that stay in the processor's cache.
    for start in range(0, len(colours), _BLOCK):
        block = slice(start, start + _BLOCK)
        colours[block] = shade_block(block)
    return colours


def _lit(
    base: Array, lit: Array, facing: Array, ny: Array, high: Array, shines: Array, light: Light
) -> Array:
    """Return (V, 3) uint8 RGB of surfaces under the lamp (`lit`) and the light from all around."""
    single = np.float32
    # Little of the light from all around reaches the edges, and what faces the ground.
    ambient = single(light.ambient) * (single(0.72) + single(0.28) * high - single(0.18) * ny)
    half = np.maximum(facing * single(0.6) + high * single(0.4), 0)
    gloss = half * half
    gloss = gloss * gloss
    gloss = gloss * gloss * shines * single(70)
    colours = light.colour.astype(single)
    planes = []
    for channel in range(3):
        value = base[channel] * (ambient + lit * colours[channel]) + gloss
        planes.append(np.minimum(np.maximum(value, 0), 255).astype(np.uint8))
    return np.stack(planes, axis=1)


def _albedo(materials: Materials, material: Array, s: Array, around: Array, solid: Array) -> Array:
    """Return (3, V) float32: the colours of surfaces without light."""
    single = np.float32
    rough = _cut_noise(s, around, solid, 0.25)
    kinds = materials.patterns[material]
    is_second = np.zeros(len(kinds), np.int8)
    scales = (1 / materials.sizes).astype(single)
    for kind in np.flatnonzero(np.bincount(kinds)):
        if PATTERNS[kind] != "plain":
            rows = np.flatnonzero(kinds == kind)
            scale = scales[material[rows]]
            u, v = s[rows] * scale, around[rows] * scale
            is_second[rows] = _is_second(PATTERNS[kind], u, v, solid[rows], rough[rows])
    factor = 1 + single(0.22) * rough
    colours = np.concatenate([materials.colours, materials.seconds]).astype(single).T.copy()
    place = is_second.astype(np.int64) * len(materials) + material
    return np.stack([np.take(levels, place) * factor for levels in colours])


def _is_second(pattern: str, u: Array, v: Array, solid: Array, rough: Array) -> Array:
    """Return where a pattern has its other colour; u and v count its repeats."""
    half, found = np.float32(0.5), rough > np.float32(0.05)
    if pattern == "leaves":
        found = _cut_noise(u, v, solid, 220) > np.float32(0.12)
    u, v = u - np.floor(u), v - np.floor(v)
    if pattern == "rings":
        found = u < half
    elif pattern == "stripes":
        found = v < half
    elif pattern == "checks":
        found = (u < half) != (v < half)
    elif pattern == "dots":
        found = (u - half) * (u - half) + (v - half) * (v - half) < np.float32(0.09)
    return found


def _cut_noise(s: Array, around: Array, solid: Array, scale: float) -> Array:
    """Return noise of surfaces; every solid takes it from another place."""
    mask, factor = np.int32(NOISE_SIDE - 1), np.float32(scale)
    rows: Array = (s * factor).astype(np.int32) + solid * np.int32(37)
    columns: Array = (around * factor).astype(np.int32) + solid * np.int32(91)
    found: Array = np.take(noise_tile(), (rows & mask) * np.int32(NOISE_SIDE) + (columns & mask))
    return found


def _shadows(buffer: Buffer, block: slice, light: Light, millimetres: Array, width: int) -> Array:
    """Return (V,) float32 from 0 to 1: how much of the lamp each pixel is kept from.

    Looks a few steps towards the lamp for something that is nearer, as far as the image shows it.
    """
    single = np.float32
    pixels = buffer.pixels[block]
    own = buffer.depths[pixels]
    shadow = np.zeros(len(pixels), single)
    lx, ly = light.direction[:2].astype(single)
    for reach, part in ((55, 0.4), (130, 0.35)):
        steps = single(reach) / millimetres
        dx = (lx * steps).astype(np.int32)
        dy = (ly * steps).astype(np.int32)
        place = pixels + dx + dy * width
        nearer = own - np.take(buffer.depths, place, mode="clip")
        shadow += single(part) * (
            (nearer > single(_SHADOW_NEAREST)) & (nearer < single(_SHADOW_FARTHEST))
        )
    return shadow


def expose(pixels: Array, sensor: Sensor) -> Array:
    """Return (H, W, 3) uint8: an image after lens and sensor, in whole numbers throughout."""
    height, width = pixels.shape[:2]
    light = pixels.astype(np.int16)
    if sensor.blur:
        across = light.copy()
        across[:, 1:-1] = (light[:, :-2] + 2 * light[:, 1:-1] + light[:, 2:] + 2) >> 2
        both = across.copy()
        both[1:-1] = (across[:-2] + 2 * across[1:-1] + across[2:] + 2) >> 2
        light = light + (((both - light) * np.int16(sensor.blur)) >> 4)
    y, x = sensor.noise_at
    grain = _grain_tile()[y : y + height, x : x + width]
    # The product stays below 2^15 as the grain stays below 200 and the noise below 330 / 8.
    light = light + ((grain * np.int16(sensor.noise // 8)) >> 9)
    curve = sensor.tone.astype(np.int32)
    tables = [np.minimum((curve * gain) >> 8, 255).astype(np.uint8) for gain in sensor.balance]
    found: Array = cv2.LUT(np.clip(light, 0, 255).astype(np.uint8), np.stack(tables, axis=1)[None])
    return found
