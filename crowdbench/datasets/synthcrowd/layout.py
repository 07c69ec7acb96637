"""Layouts: how close people stand, what they do, and where the camera is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from crowdbench.datasets.synthcrowd.draws import Draws

_SIZES = ((320, 240), (320, 240), (240, 320), (288, 288))
# Of a standing body: width over height in the image.
_WIDTH = 0.34
_STATURE = 1700.0
# What a crowd does, with how often.
_ACTIONS = (
    ("standing", 0.33), ("walking", 0.25), ("reaching", 0.13), ("dancing", 0.13), ("sitting", 0.12),
    ("lying", 0.04),
)  # fmt: skip
# People in tight clusters are on their feet.
_ACTIONS_OF_CLUSTERS = (
    ("standing", 0.44), ("walking", 0.30), ("reaching", 0.14), ("dancing", 0.12),
)  # fmt: skip
# Bodies that stand closer than this would go through each other, mm.
_CLOSEST = 330.0


@dataclass(frozen=True)
class Person:
    """Somebody in a scene.

    Attributes:
        x: mm to the right of the camera.
        z: mm before the camera.
        heading: degrees; 0 faces the camera, 90 faces the right of the image.
        stature: mm.
        action: see `actions.ACTIONS`.
    """

    x: float
    z: float
    heading: float
    stature: float
    action: str


@dataclass(frozen=True)
class Layout:
    """A scene before anything is drawn.

    Attributes:
        width: of the image, pixels.
        height: of the image, pixels.
        focal: pixels.
        camera_height: mm above the ground.
        sine: of the angle by which the camera looks down.
        cosine: likewise.
        persons: from the nearest to the farthest.
        things: x and z of each, mm.
    """

    width: int
    height: int
    focal: float
    camera_height: float
    sine: float
    cosine: float
    persons: tuple[Person, ...]
    things: tuple[tuple[float, float], ...]


def arrange(draws: Draws) -> Layout:
    """Return a layout: some of them loose, some dense, some in tight clusters."""
    width, height = draws.pick(_SIZES)
    focal = math.floor(draws.number(0.95, 1.35) * max(width, height))
    kind = draws.number(0, 1)
    if kind < 0.28:
        spots = _loose(width, height, draws)
    elif kind < 0.62:
        spots = _dense(width, height, draws)
    else:
        spots = _clustered(width, height, draws)
    persons = _people(spots, focal, width, is_tight=kind >= 0.62, draws=draws)
    # The camera looks at the middle of the people.
    distance = sum(p.z for p in persons) / len(persons)
    camera_height = draws.number(1000, 2400)
    angle = math.atan2(camera_height - 830, distance) + 0.05 * float(draws.spread())
    sine = math.floor(math.sin(angle) * 4096) / 4096
    return Layout(
        width,
        height,
        focal,
        math.floor(camera_height),
        sine,
        math.sqrt(1 - sine * sine),
        tuple(sorted(persons, key=lambda p: p.z)),
        _things(persons, focal, width, draws),
    )


# Where somebody stands: column of the image, and height in pixels of a usual body there.
Spot = tuple[float, float]


def _loose(width: int, height: int, draws: Draws) -> list[Spot]:
    n = draws.pick((1, 2, 2, 3, 3, 4))
    tall = min(height * draws.number(0.42, 0.85), width / n / _WIDTH / 1.05)
    return [
        (width * (i + 0.5 + 0.22 * float(draws.spread())) / n, tall * draws.number(0.82, 1.12))
        for i in range(n)
    ]


def _dense(width: int, height: int, draws: Draws) -> list[Spot]:
    n = draws.pick((2, 3, 3, 4, 4, 5, 6, 7, 8))
    tall = min(height * draws.number(0.45, 0.85), width / n / _WIDTH / 0.5)
    step = tall * _WIDTH * draws.number(0.55, 0.95)
    start = width / 2 - step * (n - 1) / 2 + width * 0.12 * float(draws.spread())
    return [
        (
            start + step * (i + 0.3 * float(draws.spread())),
            tall * draws.number(0.72, 1.12),
        )
        for i in range(n)
    ]


def _clustered(width: int, height: int, draws: Draws) -> list[Spot]:
    n_clusters = draws.pick((1, 1, 2, 2, 3))
    tall = min(height * draws.number(0.5, 0.88), width / n_clusters / _WIDTH / 1.1)
    spots = []
    for cluster in range(n_clusters):
        middle = width * (cluster + 0.5 + 0.12 * float(draws.spread())) / n_clusters
        n = draws.pick((2, 2, 2, 3, 3)) if n_clusters > 1 else draws.pick((2, 2, 3, 3, 4))
        step = tall * _WIDTH * draws.number(0.02, 0.24)
        for i in range(n):
            at = middle + step * (i - (n - 1) / 2 + 0.25 * float(draws.spread()))
            spots.append((at, tall * draws.number(0.95, 1.04)))
    return spots


def _people(
    spots: list[Spot], focal: float, width: int, *, is_tight: bool, draws: Draws
) -> list[Person]:
    persons: list[Person] = []
    hugs = is_tight and draws.chance(0.45)
    for number, (column, tall) in enumerate(spots):
        z = focal * _STATURE / tall
        x = (column - (width - 1) / 2) * z / focal
        z = _apart(x, z, persons)
        is_child = draws.chance(0.03 if is_tight else 0.12)
        stature = draws.number(1080, 1400) if is_child else draws.number(1520, 1920)
        # As on photographs, most people face the camera more or less.
        faces = draws.chance(0.85)
        heading = 70 * float(draws.spread()) if faces else draws.number(-180, 180)
        persons.append(Person(x, z, heading, stature, _action(is_tight, draws)))
        if hugs and number == 1:
            persons[:2] = _embrace(persons[0], persons[1], draws)
    return persons


def _apart(x: float, z: float, others: list[Person]) -> float:
    """Return a distance from the camera, z or more, at which nobody of `others` is in the way."""
    for other in sorted(others, key=lambda p: p.z):
        aside = abs(other.x - x)
        if math.hypot(aside, other.z - z) < _CLOSEST:
            z = other.z + math.sqrt(max(_CLOSEST**2 - aside**2, 0)) + 1
    return z


def _embrace(first: Person, second: Person, draws: Draws) -> tuple[Person, Person]:
    """Return two persons, the second moved, who hold each other."""
    angle = draws.number(0, 2 * math.pi)
    reach = draws.number(270, 340)
    x, z = first.x + reach * math.cos(angle), first.z + reach * math.sin(angle)
    toward = math.degrees(math.atan2(x - first.x, first.z - z))
    one = Person(first.x, first.z, toward, first.stature, "hugging")
    two = Person(x, z, toward + 180, max(second.stature, 1400), "hugging")
    return one, two


def _action(is_tight: bool, draws: Draws) -> str:
    actions = _ACTIONS_OF_CLUSTERS if is_tight else _ACTIONS
    left = draws.number(0, 1)
    for action, part in actions:
        left -= part
        if left < 0:
            return action
    return actions[0][0]


def _things(
    persons: list[Person], focal: float, width: int, draws: Draws
) -> tuple[tuple[float, float], ...]:
    """Return where things stand: some before the people, some between and behind them."""
    nearest = min(p.z for p in persons)
    farthest = max(p.z for p in persons)
    places = []
    for _ in range(draws.pick((0, 1, 1, 2, 3))):
        is_before = draws.chance(0.45)
        z = nearest * draws.number(0.68, 0.92) if is_before else farthest + draws.number(0, 2500)
        column = draws.number(0.0, 1.0) * width
        places.append(((column - (width - 1) / 2) * z / focal, z))
    return tuple(places)
