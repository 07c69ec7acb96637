"""How a body looks: its flesh, hair and clothes as solids."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from crowdbench.datasets.synthcrowd.body import Bodies
from crowdbench.datasets.synthcrowd.draws import Draws
from crowdbench.datasets.synthcrowd.solids import PATTERNS, Materials, Solids, join_solids
from crowdbench.structures import Array

# The materials of a person.
_SKIN, _HAIR, _TOP, _BOTTOM, _SHOES, _EYES, _EXTRA, _LIPS = range(8)
_N_MATERIALS = 8
_SKINS = (
    (244, 208, 177), (231, 185, 151), (217, 163, 126), (198, 138, 98), (161, 108, 74),
    (125, 82, 56), (94, 60, 42), (70, 46, 34),
)  # fmt: skip
_HAIRS = (
    (28, 22, 20), (48, 34, 26), (84, 58, 38), (122, 84, 52), (176, 134, 82), (214, 182, 122),
    (138, 62, 36), (150, 148, 146), (206, 204, 200),
)  # fmt: skip
_SHOE_COLOURS = ((34, 32, 32), (232, 230, 226), (96, 64, 42), (150, 34, 38), (52, 70, 110))
_BOTTOM_COLOURS = (
    (44, 56, 92), (62, 82, 122), (34, 34, 38), (88, 86, 84), (150, 132, 104), (72, 76, 58),
    (110, 78, 60), (196, 190, 178),
)  # fmt: skip
# Styles, (P,) each, that decide which solids there are.
_HAIR_STYLES = ("bald", "short", "short", "long", "long", "bun", "hat")
_BOTTOMS = ("trousers", "trousers", "trousers", "shorts", "skirt", "dress")


@dataclass(frozen=True)
class Wardrobe:
    """What P persons wear, as their styles and materials.

    Attributes:
        girth: (P,) of the body, 1 is average.
        long_sleeves: (P,) bool.
        hair: P styles.
        bottoms: P styles.
        bags: (P,) bool.
        materials: 8 for each person.
    """

    girth: Array
    long_sleeves: Array
    hair: Array
    bottoms: Array
    bags: Array
    materials: Materials


def dress(n: int, draws: Draws) -> Wardrobe:
    """Return clothes for `n` persons."""
    colours = np.zeros((n, _N_MATERIALS, 3))
    seconds = np.zeros((n, _N_MATERIALS, 3))
    patterns = np.zeros((n, _N_MATERIALS), np.int64)
    sizes = np.full((n, _N_MATERIALS), 100.0)
    shines = np.zeros((n, _N_MATERIALS))
    shines[:, _SKIN], shines[:, _HAIR], shines[:, _SHOES], shines[:, _EYES] = 0.25, 0.35, 0.4, 0.9
    for row in range(n):
        skin = np.array(draws.pick(_SKINS)) * draws.number(0.9, 1.08)
        colours[row, _SKIN] = skin
        colours[row, _LIPS] = skin * (0.86, 0.62, 0.62)
        colours[row, _HAIR] = draws.pick(_HAIRS)
        colours[row, _TOP] = _cloth(draws)
        seconds[row, _TOP] = _cloth(draws)
        patterns[row, _TOP] = draws.integer(0, len(PATTERNS) - 1) if draws.chance(0.45) else 0
        sizes[row, _TOP] = draws.number(45, 150)
        is_cloth = draws.chance(0.3)
        colours[row, _BOTTOM] = _cloth(draws) if is_cloth else draws.pick(_BOTTOM_COLOURS)
        seconds[row, _BOTTOM] = _cloth(draws)
        patterns[row, _BOTTOM] = draws.integer(0, len(PATTERNS) - 1) if draws.chance(0.2) else 0
        sizes[row, _BOTTOM] = draws.number(45, 150)
        colours[row, _SHOES] = draws.pick(_SHOE_COLOURS)
        colours[row, _EYES] = (26, 22, 24)
        colours[row, _EXTRA] = _cloth(draws)
    styles = draws.integers(len(_BOTTOMS), n)
    return Wardrobe(
        girth=0.86 + 0.36 * draws.uniform(0, 1, n) ** 1.5,
        long_sleeves=draws.uniform(0, 1, n) < 0.55,
        hair=np.array(_HAIR_STYLES)[draws.integers(len(_HAIR_STYLES), n)],
        bottoms=np.array(_BOTTOMS)[styles],
        bags=draws.uniform(0, 1, n) < 0.15,
        materials=Materials(
            # Whole grey levels: colour conversions differ in their last bits between machines.
            np.rint(np.clip(colours.reshape(-1, 3), 0, 255)),
            np.rint(np.clip(seconds.reshape(-1, 3), 0, 255)),
            patterns.ravel(),
            np.rint(sizes.ravel()),
            shines.ravel(),
        ),
    )


def _cloth(draws: Draws) -> Array:
    """Return the RGB of a cloth: most are muted, some are bright."""
    hue, vivid = draws.number(0, 1), draws.chance(0.35)
    saturation = draws.number(0.5, 0.95) if vivid else draws.number(0.02, 0.45)
    return 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, draws.number(0.18, 0.98)))


def solids_of(bodies: Bodies, wardrobe: Wardrobe) -> Solids:
    """Return the solids of all bodies, in their own axes, mm; person p owns those with owner p."""
    return _Figure(bodies, wardrobe).build()


class _Figure:
    def __init__(self, bodies: Bodies, wardrobe: Wardrobe) -> None:
        self._bodies, self._wears = bodies, wardrobe
        self._height = bodies.stature
        self._parts: list[tuple[Array, Array, Array, Array, bool, Array | int, Array | None]] = []

    def build(self) -> Solids:
        self._trunk()
        self._head()
        for side, sign in (("left", 1), ("right", -1)):
            self._arm(side)
            self._leg(side)
            self._face_side(side, sign)
        self._things()
        n = len(self._height)
        owners = np.arange(n)
        solids = []
        for start, end, first, second, is_cut, material, present in self._parts:
            materials = np.broadcast_to(material, n) + owners * _N_MATERIALS
            of_all = Solids(start, end, first, second, np.full(n, is_cut), owners, materials)
            solids.append(of_all if present is None else of_all.take(np.flatnonzero(present)))
        return join_solids(solids)

    def _at(self, start: str, frame: str, x: float, y: float, z: float = 0) -> Array:
        """Return (P, 3): a place seen from a point, in parts of the stature along a frame."""
        turned = self._bodies.frames[frame] @ np.array((x, y, z))
        place: Array = self._bodies.points[start] + turned * self._height[:, None]
        return place

    def _add(
        self,
        start: Array,
        end: Array,
        first: Array | float,
        second: Array | float,
        material: Array | int,
        present: Array | None = None,
        *,
        is_cut: bool = False,
    ) -> None:
        self._parts.append(
            (start, end, first * self._height, second * self._height, is_cut, material, present)
        )

    def _trunk(self) -> None:
        g = self._wears.girth
        one_piece = np.where(self._wears.bottoms == "dress", _TOP, _BOTTOM)
        for s in (1, -1):
            waist, mid = self._at("pelvis", "root", s * 0.035, 0.02), 0.036 * s
            belly = self._at("spine", "root", mid, 0.0, 0.004)
            self._add(waist, belly, 0.066 * g, 0.06 * g, _TOP)
            breast = self._at("thorax", "chest", s * 0.052, -0.045, 0.006)
            self._add(belly, breast, 0.06 * g, 0.064 * g**0.5, _TOP)
            hip = self._at("pelvis", "root", s * 0.046, -0.012, -0.008)
            self._add(hip, waist, 0.066 * g, 0.064 * g, one_piece)
        points = self._bodies.points
        inner = [
            points["thorax"] * 0.25 + points[f"{s}_shoulder"] * 0.75 for s in ("left", "right")
        ]
        self._add(inner[0], inner[1], 0.042, 0.042, _TOP)
        neck_base = self._at("thorax", "chest", 0, 0.012)
        self._add(neck_base, self._at("neck", "head", 0, 0.05), 0.034, 0.029, _SKIN)
        for side in ("left", "right"):
            self._add(neck_base, points[f"{side}_shoulder"], 0.034, 0.036, _TOP)

    def _head(self) -> None:
        hair = self._wears.hair
        covered = hair != "bald"
        low, high = self._at("neck", "head", 0, 0.066, 0.004), self._at("neck", "head", 0, 0.106)
        self._add(low, high, 0.041, 0.0455, _SKIN)
        back = (
            self._at("neck", "head", 0, 0.082, -0.014),
            self._at("neck", "head", 0, 0.112, -0.006),
        )
        self._add(back[0], back[1], 0.042, 0.0465, _HAIR, covered & (hair != "hat"))
        nose = self._at("neck", "head", 0, 0.086, 0.045), self._at("neck", "head", 0, 0.077, 0.05)
        self._add(nose[0], nose[1], 0.006, 0.0095, _SKIN)
        mouth = [self._at("neck", "head", s * 0.011, 0.056, 0.0405) for s in (1, -1)]
        self._add(mouth[0], mouth[1], 0.0055, 0.0055, _LIPS)
        nape = self._at("neck", "head", 0, 0.09, -0.022)
        self._add(
            nape, self._at("thorax", "chest", 0, -0.02, -0.05), 0.046, 0.04, _HAIR, hair == "long"
        )
        bun = self._at("neck", "head", 0, 0.128, -0.044)
        self._add(bun, bun, 0.02, 0.02, _HAIR, hair == "bun")
        crown = (
            self._at("neck", "head", 0, 0.112, -0.003),
            self._at("neck", "head", 0, 0.122, -0.002),
        )
        self._add(crown[0], crown[1], 0.0485, 0.045, _EXTRA, hair == "hat")
        brim = self._at("neck", "head", 0, 0.113, 0.03), self._at("neck", "head", 0, 0.108, 0.072)
        self._add(brim[0], brim[1], 0.02, 0.014, _EXTRA, hair == "hat")

    def _face_side(self, side: str, sign: int) -> None:
        eye = self._at("neck", "head", sign * 0.018, 0.091, 0.0405)
        self._add(eye, eye, 0.0055, 0.0055, _EYES)
        ear = [self._at("neck", "head", sign * 0.0455, y, -0.003) for y in (0.078, 0.092)]
        self._add(ear[0], ear[1], 0.008, 0.0105, _SKIN)
        brow = [self._at("neck", "head", sign * x, 0.104, 0.0415) for x in (0.012, 0.024)]
        self._add(brow[0], brow[1], 0.0035, 0.003, _HAIR, self._wears.hair != "bald")

    def _arm(self, side: str) -> None:
        points, g = self._bodies.points, self._wears.girth**0.6
        shoulder, elbow, wrist = (points[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist"))
        sleeve = np.where(self._wears.long_sleeves, _TOP, _SKIN)
        self._add(
            shoulder, elbow, 0.0355 * g, 0.027 * g, np.where(self._wears.long_sleeves, _TOP, _SKIN)
        )
        # A short sleeve ends half-way and is wider.
        half = shoulder * 0.45 + elbow * 0.55
        self._add(shoulder, half, 0.0385 * g, 0.035 * g, _TOP, ~self._wears.long_sleeves)
        self._add(elbow, wrist, 0.0275 * g, 0.0185 * g, sleeve)
        palm = self._at(f"{side}_wrist", f"{side}_hand", 0, -0.03)
        fingers = self._at(f"{side}_wrist", f"{side}_hand", 0, -0.068, 0.012)
        self._add(wrist, palm, 0.0165, 0.0215, _SKIN)
        self._add(palm, fingers, 0.0205, 0.0125, _SKIN)

    def _leg(self, side: str) -> None:
        points, wears = self._bodies.points, self._wears
        g = wears.girth**0.7
        hip, knee, ankle = (points[f"{side}_{n}"] for n in ("hip", "knee", "ankle"))
        bare = (wears.bottoms == "skirt") | (wears.bottoms == "dress")
        covered = wears.bottoms == "trousers"
        self._add(hip, knee, 0.056 * g, 0.038 * g, np.where(bare, _SKIN, _BOTTOM))
        self._add(knee, ankle, 0.0375 * g, 0.0235 * g, np.where(covered, _BOTTOM, _SKIN))
        calf = (
            knee * 0.68
            + ankle * 0.32
            + self._bodies.frames[f"{side}_foot"] @ np.array((0, 0, -9.0))
        )
        self._add(calf, calf, 0.037 * g, 0.037 * g, np.where(covered, _BOTTOM, _SKIN))
        heel = self._at(f"{side}_ankle", f"{side}_foot", 0, -0.02, -0.022)
        toe = self._at(f"{side}_ankle", f"{side}_foot", 0, -0.024, 0.092)
        self._add(ankle, heel, 0.024, 0.0235, _SHOES)
        self._add(heel, toe, 0.0225, 0.0175, _SHOES)
        hem = np.where(wears.bottoms == "dress", _TOP, _BOTTOM)
        length = hip * 0.3 + knee * 0.7
        self._add(hip, length, 0.066 * g, 0.082 * g, hem, bare, is_cut=True)
        both = (points["left_hip"] + points["right_hip"]) / 2
        middle = (points["left_knee"] + points["right_knee"]) / 2
        if side == "left":
            end = both * 0.35 + middle * 0.65
            self._add(both, end, 0.08 * g, 0.1 * g, hem, bare, is_cut=True)

    def _things(self) -> None:
        """Add bags: on the back, with a strap."""
        top = self._at("thorax", "chest", 0, -0.05, -0.085)
        self._add(
            top, self._at("spine", "chest", 0, 0.01, -0.085), 0.062, 0.07, _EXTRA, self._wears.bags
        )
        for s in (1, -1):
            over = self._at("thorax", "chest", s * 0.065, 0.02, 0.0)
            front = self._at("thorax", "chest", s * 0.07, -0.1, 0.055)
            self._add(over, front, 0.016, 0.013, _EXTRA, self._wears.bags)
