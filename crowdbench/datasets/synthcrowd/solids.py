"""Round solids that bodies and things are made of, and what they are made from."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from crowdbench.structures import Array

# Positions are rounded to this part of a millimetre. Sine, cosine and products of matrices differ
# in their last bits between machines; everything after the rounding uses operations that do not.
_GRID = 64.0

PATTERNS = ("plain", "rings", "stripes", "checks", "dots", "blotches", "leaves")


def on_grid(values: Array) -> Array:
    """Return values rounded to a 64th, which makes them the same on every machine."""
    rounded: Array = np.rint(values * _GRID) / _GRID
    return rounded


@dataclass(frozen=True)
class Materials:
    """What M surfaces look like.

    Attributes:
        colours: (M, 3) float64 RGB, 0 to 255.
        seconds: (M, 3) float64 the other colour of a pattern.
        patterns: (M,) int64 into `PATTERNS`.
        sizes: (M,) float64 mm of a pattern's repeat.
        shines: (M,) float64 0 (dull) to 1.
    """

    colours: Array
    seconds: Array
    patterns: Array
    sizes: Array
    shines: Array

    def __len__(self) -> int:
        return len(self.patterns)


@dataclass(frozen=True)
class Solids:
    """N solids: each the hull of two balls, or, when cut off, what of it lies between the two.

    Attributes:
        starts: (N, 3) float64 mm, centre of a ball.
        ends: (N, 3) float64 mm, centre of the other.
        start_radii: (N,) float64 mm.
        end_radii: (N,) float64 mm.
        is_cut: (N,) bool, whether the ends are cut off.
        owners: (N,) int64 the person they belong to, -1 for things.
        materials: (N,) int64.
    """

    starts: Array
    ends: Array
    start_radii: Array
    end_radii: Array
    is_cut: Array
    owners: Array
    materials: Array

    def __len__(self) -> int:
        return len(self.owners)

    def take(self, rows: Array) -> Solids:
        """Return the solids at `rows`."""
        return Solids(*(getattr(self, field.name)[rows] for field in fields(self)))


def join_solids(parts: list[Solids]) -> Solids:
    """Return all solids of several groups."""
    names = [field.name for field in fields(Solids)]
    return Solids(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def join_materials(parts: list[Materials]) -> Materials:
    """Return all materials of several groups."""
    names = [field.name for field in fields(Materials)]
    return Materials(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
