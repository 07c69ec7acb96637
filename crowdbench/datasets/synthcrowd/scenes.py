"""Scenes: who stands where, before which camera; and the picture of it all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from crowdbench.datasets.synthcrowd.actions import act
from crowdbench.datasets.synthcrowd.backdrop import Viewpoint, darken, draw_backdrop
from crowdbench.datasets.synthcrowd.body import Bodies, Proportions, place
from crowdbench.datasets.synthcrowd.draws import Draws
from crowdbench.datasets.synthcrowd.figures import Wardrobe, dress, solids_of
from crowdbench.datasets.synthcrowd.layout import Layout, arrange
from crowdbench.datasets.synthcrowd.picture import Intrinsics, Picture
from crowdbench.datasets.synthcrowd.raster import NEAR, cover, nearest
from crowdbench.datasets.synthcrowd.shading import expose, make_light, make_sensor, shade
from crowdbench.datasets.synthcrowd.solids import (
    Materials,
    Solids,
    join_materials,
    join_solids,
    on_grid,
)
from crowdbench.datasets.synthcrowd.things import make_seat, make_thing
from crowdbench.datasets.synthcrowd.truth import FINE, JOINTS, people_of
from crowdbench.structures import Array

# Raised whenever any pixel or any truth changes.
DATA_VERSION = "1"
_PARTS = ("train", "val", "test")
_SEED = 2026
# Persons of whom less than this is in the image are left out of the truth, px².
_MIN_AREA = 60


def render(part: str, index: int) -> Picture:
    """Return the picture of a scene, the same bytes on every machine.

    Args:
        part: ``train``, ``val`` or ``test``.
        index: of the image, from 0.

    >>> picture = render("test", 0)
    >>> picture.pixels.dtype, picture.pixels.shape[2], len(picture.people) > 0
    (dtype('uint8'), 3, True)
    """
    for attempt in range(100):
        picture = _render(Draws(_SEED, _PARTS.index(part), index, attempt))
        if len(picture.people):
            return picture
    raise AssertionError(f"scene {part} {index} shows nobody")


def _render(draws: Draws) -> Picture:
    layout = arrange(draws)
    view = _view(layout, FINE)
    wide, tall = FINE * layout.width, FINE * layout.height
    light, sensor = make_light(draws), make_sensor(draws)
    crowd = _crowd(layout, draws)
    pixels = draw_backdrop(view, wide, tall, draws)
    solids, materials = _all_solids(crowd, layout, draws)
    darken(pixels, _shadow_spots(solids, view))
    solids = _before_camera(solids, layout)
    covered = cover(solids, view.camera, wide, tall)
    buffer = nearest(covered, wide * tall)
    colours = shade(covered, buffer, solids, materials, light, view.camera, wide)
    pixels.reshape(-1, 3)[buffer.pixels] = colours
    # Areas of two by two pixels are averaged in whole numbers.
    small = cv2.resize(pixels, (layout.width, layout.height), interpolation=cv2.INTER_AREA)
    camera = _view(layout, 1).camera
    people = people_of(
        on_grid(_to_camera(crowd.joints, layout)),
        tuple(person.action for person in layout.persons),
        solids,
        covered,
        buffer,
        camera,
        layout.width,
        layout.height,
    )
    shown = np.flatnonzero((people.areas >= _MIN_AREA) & (people.keypoints[..., 2] > 0).any(axis=1))
    return Picture(expose(small, sensor), people.take(shown), camera)


@dataclass(frozen=True)
class _Crowd:
    """The people of a scene, on the ground: x right, y up, z forward, mm."""

    joints: Array
    solids: Solids
    wardrobe: Wardrobe
    seats: Array


def _crowd(layout: Layout, draws: Draws) -> _Crowd:
    persons = layout.persons
    n = len(persons)
    proportions = Proportions(
        legs=1 + 0.05 * draws.spread(n),
        arms=1 + 0.05 * draws.spread(n),
        shoulders=1 + 0.1 * draws.spread(n),
        hips=1 + 0.1 * draws.spread(n),
        # Children's heads are larger.
        head=np.array([1.0 + max(0.0, 1450 - p.stature) / 1800 for p in persons]),
    )
    bodies = place(
        np.array([p.stature for p in persons]),
        proportions,
        np.array([p.heading for p in persons]),
        np.stack([act(p.action, draws) for p in persons]),
    )
    wardrobe = dress(n, draws)
    solids = solids_of(bodies, wardrobe)
    # Everybody's lowest point touches the ground.
    low = np.minimum(solids.starts[:, 1] - solids.start_radii, solids.ends[:, 1] - solids.end_radii)
    lowest = np.full(n, np.inf)
    # Skirts may touch the ground, but do not carry anybody.
    carrying = ~solids.is_cut
    np.minimum.at(lowest, solids.owners[carrying], low[carrying])
    offsets = np.array([(p.x, 0.0, p.z) for p in persons])
    offsets[:, 1] = -lowest
    joints = _mirror_depth(np.stack([bodies.points[name] for name in JOINTS], axis=1))
    moved = replace(
        solids,
        starts=_mirror_depth(solids.starts) + offsets[solids.owners],
        ends=_mirror_depth(solids.ends) + offsets[solids.owners],
    )
    seats = _seats(bodies, layout, offsets)
    return _Crowd(joints + offsets[:, None], moved, wardrobe, seats)


def _mirror_depth(points: Array) -> Array:
    """Return points of bodies, who look at us along z, in axes whose z leads away from us."""
    return points * (1.0, 1.0, -1.0)


def _seats(bodies: Bodies, layout: Layout, offsets: Array) -> Array:
    """Return (S, 3): x, z and height of what sitting people sit on."""
    pelvis = bodies.points["pelvis"] + offsets
    rows = [i for i, p in enumerate(layout.persons) if p.action == "sitting"]
    tops = pelvis[rows, 1] - 0.075 * bodies.stature[rows]
    return np.stack([pelvis[rows, 0], pelvis[rows, 2], tops], axis=1)


def _all_solids(crowd: _Crowd, layout: Layout, draws: Draws) -> tuple[Solids, Materials]:
    parts, materials = [crowd.solids], [crowd.wardrobe.materials]
    things = [make_seat(x, z, top, draws) for x, z, top in crowd.seats.tolist()]
    things += [make_thing(x, z, draws) for x, z in layout.things]
    count = len(materials[0])
    for solids, material in things:
        parts.append(replace(solids, materials=solids.materials + count))
        materials.append(material)
        count += len(material)
    return join_solids(parts), join_materials(materials)


def _view(layout: Layout, scale: int) -> Viewpoint:
    camera = Intrinsics(
        layout.focal * scale,
        (layout.width * scale - 1) / 2,
        (layout.height * scale - 1) / 2,
    )
    return Viewpoint(camera, layout.camera_height, layout.sine, layout.cosine)


def _to_camera(points: Array, layout: Layout) -> Array:
    """Return points on the ground (x right, y up, z forward) in camera axes."""
    above, forward = points[..., 1] - layout.camera_height, points[..., 2]
    down = -above * layout.cosine - forward * layout.sine
    depth = -above * layout.sine + forward * layout.cosine
    return np.stack([points[..., 0], down, depth], axis=-1)


def _before_camera(solids: Solids, layout: Layout) -> Solids:
    starts, ends = _to_camera(solids.starts, layout), _to_camera(solids.ends, layout)
    whole = replace(
        solids,
        starts=on_grid(starts),
        ends=on_grid(ends),
        start_radii=on_grid(solids.start_radii),
        end_radii=on_grid(solids.end_radii),
    )
    nearest_points = np.minimum(starts[:, 2], ends[:, 2])
    return whole.take(np.flatnonzero(nearest_points > NEAR))


def _shadow_spots(solids: Solids, view: Viewpoint) -> Array:
    """Return (S, 4): where on the image low parts of bodies and things shade the ground."""
    middles = (solids.starts + solids.ends) / 2
    low = np.minimum(solids.starts[:, 1] - solids.start_radii, solids.ends[:, 1] - solids.end_radii)
    near_ground = np.flatnonzero((low < 200) & (middles[:, 2] > NEAR))
    x, z = middles[near_ground, 0], middles[near_ground, 2]
    radii = np.maximum(solids.start_radii, solids.end_radii)[near_ground]
    spans = np.abs(solids.ends - solids.starts)[near_ground, 0] / 2
    depth = view.height * view.sine + z * view.cosine
    down = view.height * view.cosine - z * view.sine
    scale = view.camera.focal / depth
    spots = [
        x * scale + view.camera.centre_x,
        down * scale + view.camera.centre_y,
        (radii * 1.2 + spans + 40) * scale,
        (radii * 1.2 + 40) * scale * view.height / np.maximum(z, 1),
    ]
    return np.rint(on_grid(np.stack(spots, axis=1))).astype(np.int64)
