"""What refinement changed: numbers of the split, which scenes are kept, runs scored again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.datasets import load_own
from crowdbench.datasets.split import Split
from crowdbench.drawn_3d import DrawnScene3D
from crowdbench.metrics.joint_errors import joint_errors
from crowdbench.record import RunFolder
from crowdbench.refinement import RefinedMetric, Refinement
from crowdbench.results import Metrics, WorstImages
from crowdbench.running.refinement import measured_refinement
from crowdbench.running.steps import Job, run_job, score_run
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array, Poses
from reports.content import read_content
from tests.running.poses_in_space import STANDING, project, write_annotations

WRIST, ANKLE = 4, 10
# A predictor that knows the truth: before refinement a wrist is 170 mm off, after it 34 mm.
REFINED = """
import numpy as np
from crowdbench.card import Card
from crowdbench.merging import Merging
from crowdbench.predictor import Predictor, Settings
from crowdbench.structures import Poses

class Mine(Predictor):
    card = Card("mine", "", needs_images=False, needs_boxes=False, skeletons=("mupots-17",))

    def __init__(self, request):
        self.truth = request.split.truth
        self.settings = Settings("none", "x", Merging("none"), pairing="annotation")

    def predict(self, batch):
        truth = self.truth
        rows = np.flatnonzero(np.isin(truth.image_index, batch.images))
        n = len(rows)
        before, after = truth.pose3d.joints_mm[rows].copy(), truth.pose3d.joints_mm[rows].copy()
        before[:, 4, 0] += 170
        after[:, 4, 0] += 34
        return Poses(
            truth.image_index[rows], truth.keypoints[rows, :, :2], np.ones((n, 17)), np.ones(n),
            np.full(n, -1), np.zeros(n, int), joints_mm=after, person_ids=truth.person_ids[rows],
            base_joints_mm=before, base_keypoints=truth.keypoints[rows, :, :2],
        )
"""


def split_of(folder: Path, n_persons: Sequence[int], *, valid: Sequence[int] = ()) -> Split:
    """Return a split whose images have so many persons, 1 m apart, the last to the left.

    Args:
        folder: for the annotation file.
        n_persons: of each image.
        valid: `is_valid` of each person; 1 where left out.
    """
    persons: list[dict[str, Any]] = []
    for image, n in enumerate(n_persons):
        for i in range(n):
            joints = STANDING + np.array((-1000.0 * i, 0, 4000))
            persons.append(
                {
                    "id": len(persons), "image_id": 10 + image,
                    "is_valid": valid[len(persons)] if valid else 1,
                    "keypoints_cam": joints.tolist(), "keypoints_img": project(joints).tolist(),
                    "keypoints_vis": [1] * 17,
                }
            )  # fmt: skip
    images = [
        {"id": 10 + i, "file_name": f"TS1/img_{i:06d}.jpg", "width": 1920, "height": 1080}
        for i in range(len(n_persons))
    ]
    path = folder / "MuPoTS-3D.json"
    path.write_text(json.dumps({"images": images, "annotations": persons}))
    return load_own(path, MUPOTS_17)


def poses_of(split: Split, before: Sequence[float], after: Sequence[float]) -> Poses:
    """Return a pose for each person, a wrist of which is so many mm off before and after.

    A negative number of `after` is a person without a pose.
    """
    truth = split.truth
    assert truth is not None
    assert truth.pose3d is not None
    rows = np.flatnonzero(np.array(after) >= 0)
    n = len(rows)

    def off(by: Sequence[float]) -> Array:
        joints: Array = truth.pose3d.joints_mm[rows].copy()  # type: ignore[union-attr]
        joints[:, WRIST, 1] += np.array(by)[rows]
        joints[..., 2] += 500  # all of the person: no error, roots together
        return joints

    return Poses(
        truth.image_index[rows],
        truth.keypoints[rows, :, :2],
        np.ones((n, 17)),
        np.ones(n),
        np.full(n, -1),
        np.zeros(n, np.int64),
        joints_mm=off(after),
        person_ids=truth.person_ids[rows],
        base_joints_mm=off(before),
        base_keypoints=truth.keypoints[rows, :, :2],
    )


def refined(
    split: Split, before: Sequence[float], after: Sequence[float]
) -> tuple[Refinement, tuple[DrawnScene3D, ...]]:
    poses = poses_of(split, before, after)
    assert split.truth is not None
    return measured_refinement(split, poses, joint_errors(split.truth, poses, MUPOTS_17))


def shown(scenes: Sequence[DrawnScene3D]) -> dict[str, int]:
    return {scene.rank: scene.image_id for scene in scenes}


def test_numbers_are_those_of_the_poses_before(tmp_path: Path) -> None:
    split = split_of(tmp_path, (2, 1, 2))
    found, _ = refined(split, (170, 0, 340, 17, 17), (85, 34, 340, 0, 0))
    assert list(found.metrics) == ["MPJPE_mm", "PA_MPJPE_rigid_mm", "PA_MPJPE_mm"]
    mean = found.metrics["MPJPE_mm"]
    assert mean.before == pytest.approx((170 + 0 + 340 + 17 + 17) / 17 / 5)
    # The third person is as before: neither better nor worse.
    assert (mean.n_better, mean.n_worse) == (3, 1)
    assert split.truth is not None
    poses = poses_of(split, (0,) * 5, (170, 0, 340, 17, 17))
    errors = joint_errors(split.truth, poses, MUPOTS_17)
    for name, expected in (
        ("PA_MPJPE_rigid_mm", errors.aligned_rigidly),
        ("PA_MPJPE_mm", errors.aligned_with_scale),
    ):
        assert found.metrics[name].before == pytest.approx(expected.mean())
        assert (found.metrics[name].n_better, found.metrics[name].n_worse) == (3, 1)
    assert found.n_scenes == 2


def test_the_scenes_are_the_best_the_lower_median_and_the_worst(tmp_path: Path) -> None:
    split = split_of(tmp_path, (2, 2, 2, 2))
    found, scenes = refined(split, [100] * 8, (90, 90, 20, 20, 150, 130, 80, 60))
    assert found.n_scenes == 4
    # Changes of the means: -10, -80, +40, -30.
    assert shown(scenes) == {"best": 11, "median": 13, "worst": 12}
    worst = scenes[-1]
    assert worst.before_mm == pytest.approx(100 / 17)
    assert worst.after_mm == pytest.approx((150 + 130) / 2 / 17)
    assert (worst.file_name, worst.size) == ("TS1/img_000002.jpg", (1920, 1080))


def test_equal_changes_go_by_the_id(tmp_path: Path) -> None:
    split = split_of(tmp_path, (2,) * 5)
    _, scenes = refined(split, [100] * 10, [60] * 10)
    assert shown(scenes) == {"best": 10, "median": 12, "worst": 14}


@pytest.mark.parametrize(
    ("n_persons", "expected"),
    [((1, 1), {}), ((1, 3), {"median": 11}), ((2, 1, 2), {"best": 10, "worst": 12}), ((), {})],
)
def test_few_images_are_each_shown_once(
    tmp_path: Path, n_persons: tuple[int, ...], expected: dict[str, int]
) -> None:
    split = split_of(tmp_path, n_persons or (0,))
    n = sum(n_persons)
    found, scenes = refined(split, [100] * n, [50 + i for i in range(n)])
    assert shown(scenes) == expected
    assert found.n_scenes == len(expected)
    if not n:
        assert found.metrics["MPJPE_mm"].before is None


def test_persons_without_a_pose_or_not_evaluated_are_in_no_scene(tmp_path: Path) -> None:
    split = split_of(tmp_path, (2, 2, 3), valid=(1, 1, 1, 0, 1, 1, 1))
    found, scenes = refined(split, [100] * 7, (50, -1, 50, 50, 50, 60, -1))
    assert shown(scenes) == {"median": 12}
    assert [person.person_id for person in scenes[0].persons] == [5, 4]
    assert found.metrics["MPJPE_mm"].n_better == 4


def test_a_scene_has_its_persons_from_left_to_right_where_they_are_in_space(
    tmp_path: Path,
) -> None:
    split = split_of(tmp_path, (3,))
    _, (scene,) = refined(split, (170, 85, 17), (17, 34, 51))
    assert [person.person_id for person in scene.persons] == [2, 1, 0]
    assert [person.truth[14] for person in scene.persons] == [
        (-2000, 0, 4000), (-1000, 0, 4000), (0, 0, 4000),
    ]  # fmt: skip
    first = scene.persons[0]
    assert (first.before_mm, first.after_mm) == pytest.approx((1, 3))
    for pose, off in ((first.before, 17), (first.after, 51)):
        assert np.subtract(pose, first.truth)[WRIST] == pytest.approx((0, off, 500))
        assert np.subtract(pose, first.truth)[ANKLE] == pytest.approx((0, 0, 500))
    assert first.root_px == pytest.approx((960 - 500, 960))


def test_pairs_found_in_the_image_are_those_of_the_poses_before(tmp_path: Path) -> None:
    split = split_of(tmp_path, (2,))
    poses = replace(poses_of(split, (170, 34), (170, 34)), person_ids=None)
    assert split.truth is not None
    assert poses.joints_mm is not None
    # The refiner swaps which pose is which.
    swapped = replace(poses, joints_mm=poses.joints_mm[::-1], keypoints=poses.keypoints[::-1])
    errors = joint_errors(split.truth, swapped, MUPOTS_17)
    found, (scene,) = measured_refinement(split, swapped, errors)
    mean = found.metrics["MPJPE_mm"]
    assert mean == RefinedMetric(pytest.approx((10 + 2) / 2), 2, 0, 0)
    assert (scene.before_mm, scene.after_mm) == pytest.approx((6, 6))
    for person in scene.persons:
        assert person.before == person.after


def test_only_persons_with_a_pose_in_both_are_compared(tmp_path: Path) -> None:
    split = split_of(tmp_path, (2, 3))
    poses = replace(poses_of(split, (170,) * 5, (34,) * 5), person_ids=None)
    assert split.truth is not None
    assert poses.base_keypoints is not None
    keypoints, before = poses.keypoints.copy(), poses.base_keypoints.copy()
    # Nobody is where these poses are: the first after refinement, two others before it.
    keypoints[0] += 1e4
    before[2:4] += 1e4
    moved = replace(poses, keypoints=keypoints, base_keypoints=before)
    errors = joint_errors(split.truth, moved, MUPOTS_17)
    found, scenes = measured_refinement(split, moved, errors)
    mean = found.metrics["MPJPE_mm"]
    assert mean == RefinedMetric(pytest.approx(10), 3, 2, 0)
    assert int((errors.pair >= 0).sum()) == 4
    assert (found.n_scenes, scenes) == (0, ())


def test_runs_keep_what_refinement_changed_and_scoring_again_finds_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text(REFINED)
    folder, metrics = run_job(
        Job(
            f"{tmp_path / 'mine.py'}:Mine",
            annotations=write_annotations(tmp_path),
            skeleton="mupots-17",
            output=tmp_path / "run",
        )
    )
    assert metrics.pose3d is not None
    assert metrics.pose3d.refinement is not None
    mean = metrics.pose3d.refinement.metrics["MPJPE_mm"]
    assert mean.before == pytest.approx(10)
    assert metrics.metrics["MPJPE_mm"].value == pytest.approx(2)
    assert (mean.n_better, mean.n_worse) == (4, 0)
    worst = folder.read(WorstImages)
    assert shown(worst.scenes) == {"median": 0}
    assert len(worst.persons) == 4
    content = read_content(folder)
    assert content.scene_plot is not None
    assert len(content.refinement_table.cells) == 3
    before = {path.name: path.read_bytes() for path in folder.path.glob("*.json")}
    score_run(folder.path)
    for name in ("metrics.json", "worst_images.json"):
        assert (folder.path / name).read_bytes() == before[name]


def test_other_runs_have_no_refinement(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(REFINED.replace("base_joints_mm=before,", ""))
    folder, metrics = run_job(
        Job(
            f"{tmp_path / 'mine.py'}:Mine",
            annotations=write_annotations(tmp_path),
            skeleton="mupots-17",
            output=tmp_path / "run",
        )
    )
    assert metrics.pose3d is not None
    assert metrics.pose3d.refinement is None
    assert RunFolder(folder.path).read(Metrics).pose3d == metrics.pose3d
    assert folder.read(WorstImages).scenes == ()
    content = read_content(folder)
    assert content.scene_plot is None
    assert not {"refinement", "refinement-scenes"} & {table.name for table in content.tables}
