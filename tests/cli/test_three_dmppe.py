"""3DMPPE on the command line: from images and MuPoTS-3D's files to the official metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from predictors.networks import create
from tests.cli.in_process import run_in
from tests.command import Crowdbench
from tests.conftest import ROOT
from tests.datasets.mupots_files import coco_style, write_sequence
from tests.running.poses_in_space import STANDING

# As the lists of predictors call it, but for the folder.
TINY = f"{ROOT / 'predictors' / 'three_dmppe.py'}:Tiny"
FOCAL, CENTRE, SIDE = 150.0, 128.0, 256
# Where the persons of each frame stand, mm, and whether they are valid.
SEQUENCES = {
    "TS1": [[((-600, 0, 3500), 1), ((600, 0, 4500), 1)], [((-600, 0, 3500), 1), ((9, 9, 3000), 0)]],
    "TS2": [[((0, 0, 5000), 1)]],
}
OFFICIAL = ("3DPCK_all", "AUC_all", "3DPCK_matched", "3DPCK_all_abs", "MPJPE_mapped_mm")
OF_PAPERS = ("MPJPE_mm", "PA_MPJPE_rigid_mm", "PA_MPJPE_mm")


def cell(root: tuple[float, ...], is_valid: int) -> dict[str, Any]:
    joints = STANDING + np.array(root, float)
    points = joints[:, :2] / joints[:, 2:] * FOCAL + CENTRE
    return {
        "annot2": points.T, "annot3": joints.T, "univ_annot3": joints.T * 1.1,
        "isValidFrame": np.float64(is_valid),
    }  # fmt: skip


PERSONS = {
    name: [[cell(*person) for person in frame] for frame in frames]
    for name, frames in SEQUENCES.items()
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the data sets, with MuPoTS-3D in its official layout."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("data")
    folder = root / "mupots/MultiPersonTestSet"
    for name, frames in PERSONS.items():
        write_sequence(folder, name, frames)
        for frame in range(len(frames)):
            coarse = rng.integers(0, 256, (16, 16, 3), np.uint8)
            image = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / name / f"img_{frame:06d}.jpg"), image)
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights whose volumes have peaks: plain ones give poses of no extent."""
    torch.manual_seed(0)
    tensors = create("3dmppe-posenet-tiny").state_dict()
    tensors["head.final_layer.weight"] *= 1000
    path = tmp_path_factory.mktemp("weights") / "posenet.safetensors"
    save_file(tensors, path)
    return path


def running_in(folder: Path) -> Crowdbench:
    """Return what runs a predictor in a folder, with random weights unless others are given."""
    command = run_in(folder)

    def run(*more: str | Path, predictor: str = TINY, weights: str | Path = "random") -> Any:
        loaded = ["--weights", weights, "--device", "cpu"] if predictor == TINY else []
        return command(
            "run", "--predictor", predictor, *loaded, "--no-report", "--bootstrap", "off", *more
        )

    return run


@pytest.fixture
def run(tmp_path: Path) -> Crowdbench:
    return running_in(tmp_path)


@pytest.fixture(scope="module")
def whole(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the whole split, with all defaults."""
    folder = tmp_path_factory.mktemp("whole")
    done = running_in(folder)("--split", "mupots", "--data-root", data, weights=weights)
    assert done.returncode == 0, done.stderr
    return folder / "runs/3dmppe-tiny@mupots"


def files_of(folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the record of a run and its metrics."""
    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
    return (
        json.loads((folder / "run.json").read_text()),
        {name: metric["value"] for name, metric in metrics.items()},
    )


def test_a_split_on_disk_is_scored_by_the_official_metrics(
    run: Crowdbench, data: Path, whole: Path, tmp_path: Path
) -> None:
    record, metrics = files_of(whole)
    assert all(metrics[name] is not None for name in (*OFFICIAL, *OF_PAPERS))
    assert metrics["MPJPE_mm"] > metrics["PA_MPJPE_rigid_mm"] > metrics["PA_MPJPE_mm"] > 0
    for part in (
        "boxes=gt", "crops=3dmppe(1.25)", "flip_test=coordinates-averaged", "decoding=soft-argmax",
        "roots=gt", "pairs=annotation",
    ):  # fmt: skip
        assert part in record["signature"], part
    # The camera is known: it was fitted.
    assert not [note for note in record["notes"] if "camera" in note]
    poses = json.loads((whole / "predictions.json").read_text())
    assert [pose["annotation_id"] for pose in poses] == [0, 1, 2, 4]
    for pose, root in zip(poses, (3500, 4500, 3500, 5000), strict=True):
        joints, points = np.array(pose["keypoints_cam"]), np.array(pose["keypoints_img"])
        projected = joints[:, :2] / joints[:, 2:] * FOCAL + CENTRE
        np.testing.assert_allclose(projected, points, rtol=0, atol=1e-6)
        assert (np.abs(joints[:, 2] - root) <= 1000).all()
        assert np.ptp(joints, axis=0).min() > 20

    # Its files, scored as anybody else's, give the same numbers.
    again = run(
        "--split", "mupots", "--data-root", data, "--output", "again", "--predictions",
        whole / "predictions.json", predictor="replay",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    replayed = files_of(tmp_path / "again")[1]
    for name in (*OFFICIAL, *OF_PAPERS):
        assert replayed[name] == pytest.approx(metrics[name], abs=1e-6), name


def test_a_folder_of_ones_own_and_a_limit(
    run: Crowdbench, data: Path, weights: Path, whole: Path, tmp_path: Path
) -> None:
    folder = data / "mupots/MultiPersonTestSet"
    for output, limit, n in (("own", "99", 4), ("few", "1", 2)):
        done = run("--annotations", folder, "--limit", limit, "--output", output, weights=weights)
        assert done.returncode == 0, done.stderr
        found, poses = (
            json.loads((place / "predictions.json").read_text())
            for place in (tmp_path / output, whole)
        )
        assert found == poses[:n]
    assert files_of(tmp_path / "own")[1] == files_of(whole)[1]


def test_the_coco_style_file_brings_boxes_and_cameras(
    run: Crowdbench, data: Path, tmp_path: Path
) -> None:
    content = coco_style(PERSONS)
    for image in content["images"]:
        image["intrinsic"] = [300.0, 300.0, CENTRE, CENTRE]
    del content["images"][2]["intrinsic"]
    for person in content["annotations"]:
        person["bbox"] = [60, 40, 80, 120]
    path = tmp_path / "MuPoTS-3D.json"
    path.write_text(json.dumps(content))
    done = run(
        "--annotations", path, "--skeleton", "mupots-17",
        "--images", data / "mupots/MultiPersonTestSet", "--output", "r",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record, metrics = files_of(tmp_path / "r")
    assert metrics["MPJPE_mm"] > 0
    assert any("camera of 1 of 3 images is not known" in note for note in record["notes"])
    poses = json.loads((tmp_path / "r/predictions.json").read_text())
    assert [pose["bbox"] for pose in poses] == [[60, 40, 80, 120]] * 4
    for pose, focal in zip(poses, (300, 300, 300, 1500), strict=True):
        joints, points = np.array(pose["keypoints_cam"]), np.array(pose["keypoints_img"])
        projected = joints[:, :2] / joints[:, 2:] * focal + CENTRE
        np.testing.assert_allclose(projected, points, rtol=0, atol=1e-6)


BOXES = [
    {"image_id": 0, "category_id": 1, "bbox": [60, 60, 60, 100], "score": 0.9},
    {"image_id": 0, "category_id": 1, "bbox": [120, 60, 60, 90], "score": 0.8},
    {"image_id": 2, "category_id": 1, "bbox": [100, 90, 50, 80], "score": 0.7},
]
ROOTED = [
    {**box, "root_cam": [1.0, 2.0, 4000.0 + 100 * i]} for i, box in enumerate(BOXES)
]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "crops", "roots"),
    [(BOXES, "3dmppe(1.25)", "rootnet"), (ROOTED, "3dmppe(enlarged)", "file")],
)
def test_a_detectors_file_and_rootnets(
    run: Crowdbench, data: Path, tmp_path: Path, entries: list[Any], crops: str, roots: str
) -> None:
    (tmp_path / "boxes.json").write_text(json.dumps(entries))
    done = run("--split", "mupots", "--data-root", data, "--boxes", "boxes.json", "--output", "r")
    assert done.returncode == 0, done.stderr
    record, metrics = files_of(tmp_path / "r")
    for part in ("boxes=file:boxes.json#", f"crops={crops}", f"roots={roots}", "pairs=2d"):
        assert part in record["signature"], part
    assert metrics["3DPCK_all"] is not None
    poses = json.loads((tmp_path / "r/predictions.json").read_text())
    assert [pose["score"] for pose in poses] == [0.9, 0.8, 0.7]
    if roots == "file":
        depths = np.array([pose["keypoints_cam"] for pose in poses])[..., 2]
        assert (np.abs(depths - [[4000], [4100], [4200]]) <= 1000).all()


@pytest.mark.parametrize(
    ("entries", "option", "said"),
    [
        (BOXES, "roots=gt", "roots=gt takes the roots of annotated persons, the boxes are file:"),
        (BOXES, "roots=file", "roots=file takes the root_cam of a file of boxes, file:boxes.json#"),
        (ROOTED[:1] + BOXES[1:], "roots=file", "boxes[1] has no root_cam"),
        ([{**ROOTED[0], "root_cam": [0.1, 0.2, 4.5]}], "roots=file", "look like metres"),
        (BOXES, "roots=near", "expected gt, file or rootnet"),
    ],
)
def test_wrong_roots_end_in_one_message(
    run: Crowdbench, data: Path, tmp_path: Path, entries: list[Any], option: str, said: str
) -> None:
    (tmp_path / "boxes.json").write_text(json.dumps(entries))
    done = run(
        "--split", "mupots", "--data-root", data, "--boxes", "boxes.json", "--option", option
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
