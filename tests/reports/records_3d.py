"""Run folders of 3D poses made by hand for the report tests."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from crowdbench.drawn_3d import DrawnPerson3D
from crowdbench.metrics.catalogue import METRICS
from crowdbench.record import SCHEMA_VERSION, Run, RunFolder
from crowdbench.results import (
    ConditionFacts,
    ConditionRow,
    Metric,
    Metrics,
    PckCurve,
    Pose3DFacts,
    SequenceFacts,
    WorstImages,
)
from crowdbench.skeletons import MUPOTS_17
from tests.reports.records import make_metrics, make_run

NAMES = tuple(name for name, metric in METRICS.items() if metric.is_3d)
_PCK = tuple(name for name in NAMES if name.startswith("3DPCK"))
_SEQUENCES = ("TS1", "TS2", "TS3")
_REASON = "mean over 2 sequences: nothing takes part of TS3"


def make_run_3d(split: str = "mupots", *, own: bool = False, images: int = 8320) -> Run:
    run = make_run(split, own=own, images=images)
    protocol = msgspec.structs.replace(
        run.protocol, skeleton="mupots-17", sigmas="none", area="none", oks="none", pose3d="rules"
    )
    return msgspec.structs.replace(
        run,
        split=msgspec.structs.replace(run.split, skeleton=MUPOTS_17),
        protocol=protocol,
        signature=protocol.signature,
    )


def make_metric(name: str, value: float | None = None) -> Metric:
    """Return a metric with all its breakdowns; the third sequence has no value."""
    known = METRICS[name]
    if value is None:
        value = (0.5 if known.unit == "fraction" else 100.0) * (1 + NAMES.index(name) / 100)
    usual = "person" if name in ("MPJPE_mm", "PA_MPJPE_rigid_mm", "PA_MPJPE_mm") else "sequence"
    # All joints have an MPJPE, those of groups the other metrics.
    joints = MUPOTS_17.keypoints[: 17 if usual == "person" else 14]
    return Metric(
        value,
        226,
        known.higher_is_better,
        _REASON if name == "3DPCK_matched" else None,
        known.unit,
        averages={
            way: value * factor if way != usual else value
            for way, factor in (("sequence", 0.9), ("frame", 0.8), ("person", 0.7))
        },
        average=usual,
        by_sequence={"TS1": value * 1.1, "TS2": value * 0.9, "TS3": None},
        by_group={g: value * (1 + i / 50) for i, (g, _) in enumerate(MUPOTS_17.groups)},
        by_joint={joint: value * (1 + i / 60) for i, joint in enumerate(joints)},
    )


def make_row(label: str, pck: float | None, n: int = 100, **fields: object) -> ConditionRow:
    reason = None if pck is not None else "no person takes part"
    values = {"3DPCK_all": pck, "3DPCK_matched": None if pck is None else pck + 0.1}
    metrics = {name: Metric(value, n, True, reason) for name, value in values.items()}
    mm = None if pck is None else 200 * (1 - pck)
    metrics["MPJPE_mm"] = Metric(mm, n, False, reason, "mm")
    row = ConditionRow(label=label, n_images=2000, n_persons=n, n_poses=291, metrics=metrics)
    return msgspec.structs.replace(row, **fields)


def make_metrics_3d(run: Run) -> Metrics:
    def facts(title: str, axis: str, kind: str, selects: str) -> ConditionFacts:
        return msgspec.convert(
            {
                "title": title, "axis": axis, "rule": f"{axis} as labelled", "kind": kind,
                "selects": selects, "harder": "up", "notes": (), "reason": None,
            },
            ConditionFacts,
        )  # fmt: skip

    return msgspec.structs.replace(
        make_metrics(run),
        metrics={name: make_metric(name) for name in NAMES},
        conditions={
            "joint-visibility": (make_row("visible", 0.6), make_row("occluded", 0.4)),
            "distance": (
                make_row("0 - 3", 0.7, low=0.0, high=3.0),
                make_row("3 - 5", None, 0, low=3.0, high=5.0),
                make_row("5 and more", 0.5, 12, low=5.0, high=None),
            ),
        },
        condition_facts={
            "joint-visibility": facts("Visible joints", "label of the joint", "levels", "joints"),
            "distance": facts("Distance", "distance of the root, m", "bins", "persons"),
        },
        robustness={
            "distance": {
                "3DPCK_all_drop": Metric(0.2, 2, False, None),
                "3DPCK_all_slope": Metric(-0.04, 2, True, None),
            }
        },
        curves=(),
        oks_histogram=None,
        keypoints=(),
        keypoint_errors=None,
        counts={
            "images": run.split.images,
            "images_without_poses": 8,
            "persons": 300,
            "persons_evaluated": 280,
            "persons_matched": 226,
            "poses": 291,
        },
        pose3d=Pose3DFacts(
            tuple(
                PckCurve(
                    name,
                    tuple(float(t) for t in range(0, 151, 5)),
                    tuple(0.5 * (1 + i / 9) * t / 30 for t in range(31)),
                )
                for i, name in enumerate(_PCK)
            ),
            tuple(SequenceFacts(name, 30, 90, 75) for name in _SEQUENCES),
        ),
    )


def make_person(i: int, error_mm: float = 321.5) -> DrawnPerson3D:
    rng = np.random.default_rng(i)
    truth = rng.normal(0, 1, (17, 3)) * (250, 450, 150)
    truth[MUPOTS_17.root] = 0
    predicted = truth + rng.normal(0, 90, (17, 3))
    predicted[MUPOTS_17.root] = 0
    return DrawnPerson3D(
        person_id=400 + i,
        image_id=i,
        file_name=f"TS1/img_{i:06d}.jpg",
        sequence="TS1",
        error_mm=error_mm - i,
        truth=tuple((x, y, z) for x, y, z in truth.tolist()),
        predicted=tuple((x, y, z) for x, y, z in predicted.tolist()),
        is_occluded=tuple(joint % 4 == 0 for joint in range(17)),
    )


def make_worst_3d(n: int = 4) -> WorstImages:
    return WorstImages(SCHEMA_VERSION, (), None, tuple(map(make_person, range(n))))


def write_run_3d(
    path: Path, run: Run | None = None, *, worst: WorstImages | None = None, **changes: object
) -> RunFolder:
    """Write a scored run; `changes` replace fields of its metrics."""
    run = make_run_3d() if run is None else run
    folder = RunFolder(path)
    folder.write(run)
    folder.write(msgspec.structs.replace(make_metrics_3d(run), **changes))
    folder.write(make_worst_3d() if worst is None else worst)
    return folder
