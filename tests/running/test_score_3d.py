"""Runs on a small 3D split: what the record holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.errors import UsageError
from crowdbench.metrics.catalogue import METRICS
from crowdbench.record import RunFolder
from crowdbench.results import Metrics, WorstImages
from crowdbench.running.steps import Job, check_run, run_job, score_run
from tests.running.poses_in_space import OCCLUDED, exact_poses, write_annotations, write_poses

MERGING = """
from crowdbench.card import Card
from crowdbench.merging import Merging
from crowdbench.predictor import Predictor, Settings

class Mine(Predictor):
    card = Card("mine", "", needs_images=False, needs_boxes=False)

    def __init__(self, request):
        self.settings = Settings("none", "x", Merging("oks-nms", 0.9))

    def predict(self, batch):
        raise NotImplementedError
"""
IN_3D = [name for name, known in METRICS.items() if known.is_3d]


def run(folder: Path, poses: list[dict[str, Any]], name: str = "run") -> tuple[RunFolder, Metrics]:
    return run_job(
        Job(
            "replay",
            annotations=write_annotations(folder),
            skeleton="mupots-17",
            predictions=write_poses(folder / f"{name}.json", poses),
            output=folder / name,
        )
    )


def values(metrics: dict[str, Any]) -> dict[str, float | None]:
    return {name: metric.value for name, metric in metrics.items()}


def test_exact_poses_are_perfect_as_far_as_the_metrics_go(tmp_path: Path) -> None:
    _, metrics = run(tmp_path, exact_poses())
    assert list(metrics.metrics) == IN_3D
    for name, metric in metrics.metrics.items():
        best = 0 if METRICS[name].unit == "mm" else 30 / 31 if name.startswith("AUC") else 1
        assert metric.value == pytest.approx(best, abs=1e-9), name
        assert (metric.n, metric.reason) == (4, None)
        assert metric.unit == METRICS[name].unit
        assert metric.average == ("person" if len(metric.by_joint) == 17 else "sequence")  # type: ignore[arg-type]
        assert metric.by_sequence == pytest.approx({"TS1": best, "TS2": best}, abs=1e-9)
        assert list(metric.by_group) == [  # type: ignore[arg-type]
            "Hd.", "Nck.", "Sho.", "Elb.", "Wri.", "Hip", "Kn.", "Ank.",
        ]  # fmt: skip
        assert len(metric.by_joint) == (17 if "MPJPE" in name and "mapped" not in name else 14)  # type: ignore[arg-type]
    assert metrics.counts == {
        "images": 3, "images_without_poses": 0, "persons": 4, "persons_evaluated": 4,
        "persons_matched": 4, "poses": 4,
    }  # fmt: skip
    assert metrics.oks_histogram is None
    assert not metrics.curves
    assert not metrics.keypoints


def test_one_wrong_arm_counts_where_it_is(tmp_path: Path) -> None:
    poses = exact_poses()
    # The right wrist of the first person, 150.5 mm long after mapping: turned by 90 degrees.
    poses[0]["keypoints_cam"][OCCLUDED] = [-600 - 200 + 250, -200, 3500]
    _, metrics = run(tmp_path, poses)
    found = metrics.metrics["3DPCK_all"]
    # Of 3 persons in TS1 1 of 42 joints, of 1 in TS2 none.
    assert found.averages == pytest.approx(
        {"sequence": (41 / 42 + 1) / 2, "frame": (27 / 28 + 1 + 1) / 3, "person": 55 / 56}
    )
    assert found.value == found.averages["sequence"]  # type: ignore[index]
    assert found.by_sequence == pytest.approx({"TS1": 41 / 42, "TS2": 1})
    assert found.by_group["Wri."] == pytest.approx((5 / 6 + 1) / 2)  # type: ignore[index]
    assert found.by_joint["right_wrist"] == pytest.approx((2 / 3 + 1) / 2)  # type: ignore[index]
    error = float(np.hypot(250, 250))
    mean = metrics.metrics["MPJPE_mm"]
    assert mean.value == pytest.approx(error / (17 * 4))
    assert mean.averages == pytest.approx(
        {"sequence": error / 51 / 2, "frame": error / 34 / 3, "person": error / 68}
    )
    visible, occluded = metrics.conditions["joint-visibility"]
    assert (visible.n_persons, occluded.n_persons) == (4, 3)
    assert visible.metrics["3DPCK_all"].value == 1
    assert occluded.metrics["3DPCK_all"].by_sequence == pytest.approx({"TS1": 0.5, "TS2": 1})


def test_the_curve_rises_to_3dpck(tmp_path: Path) -> None:
    poses = exact_poses()
    poses[0]["keypoints_cam"][OCCLUDED] = [-600 - 200 + 250, -200, 3500]
    _, metrics = run(tmp_path, poses)
    assert metrics.pose3d is not None
    assert [curve.metric for curve in metrics.pose3d.curves] == [
        "3DPCK_all", "3DPCK_matched", "3DPCK_all_abs", "3DPCK_matched_abs",
    ]  # fmt: skip
    for curve in metrics.pose3d.curves:
        assert curve.thresholds_mm == tuple(5.0 * k for k in range(31))
        assert curve.values[0] == 0
        assert curve.values[-1] == pytest.approx(metrics.metrics[curve.metric].value)
        auc = metrics.metrics[curve.metric.replace("3DPCK", "AUC")].value
        assert np.mean(curve.values) == pytest.approx(auc)
    facts = [(s.name, s.n_frames, s.n_persons, s.n_matched) for s in metrics.pose3d.sequences]
    assert facts == [("TS1", 2, 3, 3), ("TS2", 1, 1, 1)]


def test_conditions_cut_persons_images_and_poses(tmp_path: Path) -> None:
    poses = exact_poses()
    poses[3]["keypoints_cam"] = poses[0]["keypoints_cam"][::-1]  # a mess, in TS2
    _, metrics = run(tmp_path, poses)
    assert list(metrics.conditions) == [
        "detector-confidence", "person-iou", "image-iou", "people", "joint-visibility", "size",
        "distance",
    ]  # fmt: skip
    people = {row.label: row for row in metrics.conditions["people"]}
    assert (people["1"].n_images, people["1"].n_persons, people["1"].n_poses) == (2, 2, 2)
    assert people["2"].metrics["3DPCK_all"].value == 1
    assert people["1"].metrics["3DPCK_all"].value < 1  # type: ignore[operator]
    distance = {row.label: row.n_persons for row in metrics.conditions["distance"]}
    assert distance == {"0 - 3": 0, "3 - 4": 2, "4 - 5": 1, "5 - 6": 0, "6 - 8": 1, "8 and more": 0}
    rows = metrics.conditions["detector-confidence"]
    assert [row.n_poses for row in rows] == [4, 4, 4, 4, 4, 4, 4, 3, 2, 1]
    assert rows[0].metrics["3DPCK_all"].value == metrics.metrics["3DPCK_all"].value
    # At 0.9 only the first of TS1's three persons has a pose.
    strict = rows[-1].metrics
    assert strict["3DPCK_all"].averages["sequence"] == pytest.approx((1 / 3 + 0) / 2)  # type: ignore[index]
    assert strict["3DPCK_matched"].value == 1
    assert strict["3DPCK_matched"].reason == "mean over 1 sequence: nothing takes part of TS2"
    assert strict["MPJPE_mm"].n == 1
    assert strict["MPJPE_mm"].reason == "3 of 4 persons have no pose and are left out"
    figures = metrics.robustness["detector-confidence"]
    assert list(figures) == ["3DPCK_all_drop", "3DPCK_all_relative_drop", "3DPCK_all_area"]


def test_the_worst_persons_are_drawn_from_their_roots(tmp_path: Path) -> None:
    poses = exact_poses()
    for joint in poses[2]["keypoints_cam"]:
        joint[0] += 30.0  # all joints: the root as well, so nothing is wrong from there
    poses[3]["keypoints_cam"][OCCLUDED][2] += 85.0
    folder, _ = run(tmp_path, poses)
    worst = folder.read(WorstImages)
    assert not worst.images
    assert len(worst.persons) == 4
    first = worst.persons[0]
    assert (first.person_id, first.image_id, first.sequence) == (3, 2, "TS2")
    assert first.file_name == "TS2/img_000000.jpg"
    assert first.error_mm == pytest.approx(85 / 17)
    assert first.truth[14] == first.predicted[14] == (0, 0, 0)
    assert first.predicted[OCCLUDED][2] - first.truth[OCCLUDED][2] == pytest.approx(85)
    assert [j for j, hidden in enumerate(first.is_occluded) if hidden] == [OCCLUDED]
    assert [person.error_mm for person in worst.persons[1:]] == pytest.approx([0, 0, 0], abs=1e-9)


def test_without_predictions_everybody_is_missed(tmp_path: Path) -> None:
    folder, metrics = run(tmp_path, [])
    found = metrics.metrics
    assert found["3DPCK_all"].value == found["AUC_all_abs"].value == 0
    assert found["3DPCK_matched"].value is None
    assert found["MPJPE_mm"].value is None
    assert found["MPJPE_mm"].reason == "no person takes part"
    assert folder.read(WorstImages).persons == ()
    assert any("no predictions for TS1 (2 frames), TS2" in note for note in metrics.notes)


def test_poses_made_for_persons_need_no_place_in_the_image(tmp_path: Path) -> None:
    poses = exact_poses()
    for person, pose in enumerate(poses):
        pose["annotation_id"] = person
        pose["keypoints_img"] = [[0.0, 0.0]] * 17
    _, metrics = run(tmp_path, poses)
    assert metrics.metrics["MPJPE_mm"].value == pytest.approx(0, abs=1e-9)
    assert metrics.metrics["MPJPE_mm"].n == 4
    assert "pairs=annotation" in metrics.signature
    found = metrics.metrics["3DPCK_all"]
    assert found.value is None
    assert found.reason == (
        "the predictions have no keypoints in the image, by which persons are matched to poses"
    )
    assert metrics.pose3d is not None
    assert metrics.pose3d.curves == ()


def test_equal_runs_give_equal_bytes_and_scoring_again_too(tmp_path: Path) -> None:
    poses = exact_poses()
    poses[0]["keypoints_cam"][OCCLUDED][0] += 77.7
    first, _ = run(tmp_path, poses)
    second, _ = run(tmp_path, poses, "again")
    names = sorted(p.relative_to(first.path) for p in first.path.rglob("*") if p.is_file())
    assert {"preds_2d_kpt_mupots.mat", "preds_3d_kpt_mupots.mat"} <= {p.name for p in names}
    before = {name: (first.path / name).read_bytes() for name in names}
    for name in names:
        # The two files of predictions have other names, and the record says so.
        if name.name not in ("environment.json", "run.json"):
            assert (second.path / name).read_bytes() == before[name], name
    score_run(first.path)
    for name in names:
        if name.name != "environment.json":
            assert (first.path / name).read_bytes() == before[name], name


def test_poses_in_space_are_not_merged(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MERGING)
    job = Job(
        f"{tmp_path / 'mine.py'}:Mine",
        annotations=write_annotations(tmp_path),
        skeleton="mupots-17",
        output=tmp_path / "run",
    )
    with pytest.raises(UsageError, match="predictor mine asks for merging, which poses in space"):
        run_job(job)
    assert not (tmp_path / "run").exists()


def test_no_official_tool_here_checks_poses_in_space(tmp_path: Path) -> None:
    folder, _ = run(tmp_path, exact_poses())
    with pytest.raises(UsageError, match="--check compares OKS"):
        check_run(folder, "pycocotools")
