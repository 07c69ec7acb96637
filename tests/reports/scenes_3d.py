"""Scenes before and after refinement, made by hand for the report tests."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from crowdbench.drawn_3d import DrawnInScene, DrawnScene3D, Point3D, Rank
from crowdbench.metrics.pose3d import distances, from_root
from crowdbench.refinement import RefinedMetric, Refinement
from crowdbench.results import Metrics
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array
from tests.reports.records_3d import make_metrics_3d, make_run_3d
from tests.running.poses_in_space import STANDING

# Where the persons of three scenes stand, mm.
PLACES = (
    ((-700.0, 0.0, 3500.0), (500.0, 0.0, 4200.0)),
    ((-900.0, 50.0, 3200.0), (0.0, 0.0, 5000.0), (800.0, -50.0, 3600.0)),
    ((-1500.0, 0.0, 4000.0), (-600.0, 0.0, 4500.0), (100.0, 0.0, 4100.0), (900.0, 0.0, 5200.0),
     (1600.0, 0.0, 4300.0)),
)  # fmt: skip
REFINEMENT = Refinement(
    {
        "MPJPE_mm": RefinedMetric(140.0, 226, 150, 70),
        "PA_MPJPE_rigid_mm": RefinedMetric(95.0, 226, 120, 100),
        "PA_MPJPE_mm": RefinedMetric(90.0, 226, 110, 110),
    },
    57,
)


def make_scene(
    places: Sequence[tuple[float, float, float]], rank: Rank = "best", seed: int = 0
) -> DrawnScene3D:
    """Return a scene of standing persons with errors that refinement changes a little."""
    rng = np.random.default_rng(seed)
    persons = tuple(_person(i, place, rng) for i, place in enumerate(places))
    return DrawnScene3D(
        rank=rank,
        image_id=70 + seed,
        file_name=f"TS1/img_{seed:06d}.jpg",
        size=(1920, 1080),
        before_mm=float(np.mean([person.before_mm for person in persons])),
        after_mm=float(np.mean([person.after_mm for person in persons])),
        persons=persons,
    )


def make_scenes() -> tuple[DrawnScene3D, ...]:
    ranks: tuple[Rank, ...] = ("best", "median", "worst")
    return tuple(
        make_scene(places, rank, i)
        for i, (places, rank) in enumerate(zip(PLACES, ranks, strict=True))
    )


def make_refined(refinement: Refinement | None = REFINEMENT) -> Metrics:
    """Return metrics of a run with what refinement changed."""
    metrics = make_metrics_3d(make_run_3d())
    assert metrics.pose3d is not None
    facts = msgspec.structs.replace(metrics.pose3d, refinement=refinement)
    return msgspec.structs.replace(metrics, pose3d=facts)


def _person(i: int, place: Sequence[float], rng: np.random.Generator) -> DrawnInScene:
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    truth = STANDING @ turn.T + np.array(place)
    before = truth + rng.normal(0, 60, (17, 3)) + rng.normal(0, 60, 3)
    after = truth + 0.8 * (before - truth) + rng.normal(0, 15, (17, 3))
    return DrawnInScene(
        900 + i,
        (960 + 1000 * place[0] / place[2], 540 + 1000 * place[1] / place[2]),
        _error(before, truth),
        _error(after, truth),
        *map(_points, (truth, before, after)),
    )


def _error(pose: Array, truth: Array) -> float:
    a, b = (from_root(joints[None], MUPOTS_17) for joints in (pose, truth))
    return float(distances(a, b).mean())


def _points(joints: Array) -> tuple[Point3D, ...]:
    return tuple((x, y, z) for x, y, z in joints.tolist())
