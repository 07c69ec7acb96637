"""SynthCrowd as a 3D split."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.datasets import load_boxes, load_split
from crowdbench.datasets.manifest import Manifest, load_manifests
from crowdbench.datasets.split import Split
from crowdbench.datasets.synthcrowd.making import make_split, splits_to_make
from crowdbench.datasets.verify import verify
from crowdbench.errors import InputError
from crowdbench.running.progress import Progress
from crowdbench.skeletons import COCO_17, MUPOTS_17
from tests.command import contents

FILE = "synthcrowd/annotations/synthcrowd_val.json"


@pytest.fixture
def root(small: Manifest, tmp_path: Path) -> Path:
    """Data root with the validation images of SynthCrowd."""
    assert small.splits[1].name == "synthcrowd-val"
    make_split(small, small.splits[1], tmp_path / "synthcrowd", Progress(quiet=True), 1)
    return tmp_path


def load(root: Path) -> tuple[Split, Split, list[dict[str, Any]]]:
    """Return the 2D and the 3D split, and the persons as the file has them."""
    persons = json.loads((root / FILE).read_bytes())["annotations"]
    return load_split("synthcrowd-val", root), load_split("synthcrowd-3d-val", root), persons


def test_it_is_the_2d_split_with_joints_in_space(root: Path) -> None:
    flat, space, persons = load(root)
    assert (space.skeleton, space.official_tool, space.has_levels) == (MUPOTS_17, "mupots", False)
    assert (space.annotations, space.path) == (flat.annotations, flat.path)
    assert space.images.folder == flat.images.folder
    assert space.notes == ()
    truth = space.truth
    assert truth is not None
    for field in ("image_ids", "image_index", "boxes", "areas", "is_ignored", "person_ids"):
        np.testing.assert_array_equal(getattr(truth, field), getattr(flat.truth, field), field)
    pose3d = truth.pose3d
    assert pose3d is not None
    np.testing.assert_array_equal(pose3d.joints_mm, [p["joints_mm"] for p in persons])
    assert not pose3d.has_universal
    assert pose3d.sequences == ("synthcrowd-3d-val",)
    assert pose3d.sequence_index.tolist() == [0, 0, 0, 0]


def test_keypoints_are_projections_on_cocos_keypoints_of_the_same_joints(root: Path) -> None:
    flat, space, persons = load(root)
    assert flat.truth is not None
    assert space.truth is not None
    shared = [n for n in COCO_17.keypoints if n in MUPOTS_17.keypoints]
    assert len(shared) == 12
    of_coco = flat.truth.keypoints[:, [COCO_17.keypoints.index(name) for name in shared]]
    in_space = space.truth.keypoints[:, [MUPOTS_17.keypoints.index(name) for name in shared]]
    is_labelled = of_coco[..., 2] > 0
    assert is_labelled.sum() > 50
    # Joints have one decimal of a millimetre, keypoints two of a pixel.
    np.testing.assert_allclose(
        in_space[is_labelled][:, :2], of_coco[is_labelled][:, :2], rtol=0, atol=0.03
    )
    np.testing.assert_array_equal(in_space[is_labelled][:, 2], of_coco[is_labelled][:, 2])
    labels = np.array([person["joint_visibility"] for person in persons])
    np.testing.assert_array_equal(space.truth.keypoints[..., 2], np.where(labels == 2, 2, 1))
    assert {0, 1, 2} == set(labels.ravel().tolist())


def test_the_camera_is_that_which_the_keypoints_were_projected_with(root: Path) -> None:
    _, space, _ = load(root)
    intrinsics, truth = space.images.intrinsics, space.truth
    assert intrinsics is not None
    assert truth is not None
    assert truth.pose3d is not None
    file = json.loads((root / FILE).read_bytes())
    cameras = {image["id"]: image["intrinsics"] for image in file["images"]}
    expected = [
        [c["focal"], c["focal"], c["centre_x"], c["centre_y"]]
        for c in (cameras[id_] for id_ in space.images.ids.tolist())
    ]
    np.testing.assert_array_equal(intrinsics, expected)
    of_person = intrinsics[truth.image_index, None]
    joints = truth.pose3d.joints_mm
    points = joints[..., :2] / joints[..., 2:] * of_person[..., :2] + of_person[..., 2:]
    np.testing.assert_allclose(points, truth.keypoints[..., :2], rtol=0, atol=1e-9)
    assert load_split("synthcrowd-val", root).images.intrinsics is None
    few = load_split("synthcrowd-3d-val", root, limit=2).images.intrinsics
    assert few is not None
    np.testing.assert_array_equal(few, expected[:2])


def test_a_limit_boxes_and_verification_work(root: Path) -> None:
    split = load_split("synthcrowd-3d-val", root, limit=2)
    assert split.truth is not None
    boxes = load_boxes("gt", split, root)
    assert len(boxes.boxes) == (~split.truth.is_ignored).sum()
    detected = load_boxes("SYNTHCROWD_val_detections_person.json", split, root)
    assert detected.image_index.max() == 1
    (check,) = verify("synthcrowd-3d-val", root)
    assert check.passes


def test_making_the_3d_split_makes_the_same_files(root: Path, tmp_path: Path) -> None:
    facts, splits = splits_to_make("synthcrowd-3d")
    assert facts == load_manifests()["synthcrowd-3d"]
    assert [split.name for split in splits] == ["synthcrowd-3d-val", "synthcrowd-3d-test"]
    there = make_split(facts, splits[0], root / "synthcrowd", Progress(quiet=True), 1)
    assert there.was_there
    made = make_split(facts, splits[0], tmp_path / "other", Progress(quiet=True), 1)
    assert not made.was_there
    assert contents(tmp_path / "other") == contents(root / "synthcrowd")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file["annotations"][1].pop("joints_mm"), "annotations[1].joints_mm is miss"),
        (lambda file: file["annotations"][1]["joints_mm"].pop(), "joints_mm must be 17 x 3"),
        (lambda file: file["annotations"][1]["joint_visibility"].pop(), "joint_visibility 17 num"),
        (lambda file: file["images"][0].pop("intrinsics"), "images[0].intrinsics is missing"),
        (lambda file: file.pop("annotations"), "annotations is missing"),
    ],
)
def test_a_file_without_3d_truth_is_an_error(
    root: Path, change: Callable[[Any], object], said: str
) -> None:
    file = json.loads((root / FILE).read_bytes())
    change(file)
    (root / FILE).write_text(json.dumps(file))
    with pytest.raises(InputError) as wrong:
        load_split("synthcrowd-3d-val", root)
    assert said in str(wrong.value)
