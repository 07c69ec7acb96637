"""Persons to learn from: of a split, and of rendered scenes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from crowdbench.datasets.loading import load_own
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, MissingError, UnknownNameError, UsageError
from crowdbench.files import FileDigest
from crowdbench.skeletons import COCO_17, MUPOTS_17
from crowdbench.structures import GroundTruth, Images, Truth3D
from predictors.training.examples import RenderedSource, SplitSource, find_source


def person(number: int, image: int, box: list[float], **other: Any) -> dict[str, Any]:
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": box,
        "area": box[2] * box[3], "num_keypoints": 17, "keypoints": [30.0, 20.0, 2] * 17, **other,
    }  # fmt: skip


def write_coco(root: Path, persons: list[dict[str, Any]]) -> Path:
    """Write a split of two images of 60 x 40 pixels, the second red; return its annotations."""
    images = [
        {"id": i, "file_name": f"{i}.png", "width": 60, "height": 40, "license": 1} for i in (1, 2)
    ]
    content = {
        "images": images,
        "annotations": persons,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.keypoints)}],
    }
    path = root / "coco/annotations/person_keypoints_train2017.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    folder = root / "coco/train2017"
    folder.mkdir()
    for i, colour in ((1, (0, 0, 0)), (2, (0, 0, 255))):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((40, 60, 3), colour, np.uint8))
    return path


PERSONS = [
    person(1, 2, [10, 5, 30, 30]),
    person(2, 2, [10, 5, 30, 30], iscrowd=1),
    person(3, 2, [10, 5, 30, 30], keypoints=[0, 0, 0] * 17, num_keypoints=0),
    person(4, 2, [10, 5, 30, 30], area=0),
    person(5, 2, [70, 5, 30, 30]),
    person(6, 2, [-5, 5, 30, 100]),
]


def test_a_split_gives_its_persons_as_hrnet_takes_them(tmp_path: Path) -> None:
    write_coco(tmp_path, PERSONS)
    source = find_source("coco-train2017", tmp_path)
    assert isinstance(source, SplitSource)
    assert (len(source), source.skeleton) == (2, COCO_17)
    example = source[1]
    # Clipped, and one pixel smaller.
    assert example.boxes.tolist() == [[10, 5, 29, 29], [0, 5, 29, 34]]
    assert example.keypoints.shape == (2, 17, 3)
    assert example.image.shape == (40, 60, 3)
    assert example.image[0, 0].tolist() == [255, 0, 0]
    assert len(source[0].boxes) == 0
    assert source[0].keypoints.shape == (0, 17, 3)


def test_with_size_minus_one_boxes_are_clipped_without_losing_a_pixel(tmp_path: Path) -> None:
    write_coco(tmp_path, PERSONS)
    source = find_source("coco-train2017", tmp_path, "size-minus-one")
    assert source[1].boxes.tolist() == [[10, 5, 30, 30], [0, 5, 30, 35]]


def test_of_whole_images_boxes_stay_as_annotated(tmp_path: Path) -> None:
    write_coco(tmp_path, PERSONS)
    example = find_source("coco-train2017", tmp_path, None)[1]
    # Also those that can't be cropped; not crowds, and nobody without keypoints or area.
    assert example.boxes.tolist() == [[10, 5, 30, 30], [70, 5, 30, 30], [-5, 5, 30, 100]]
    assert example.areas.tolist() == [900, 900, 3000]
    assert example.keypoints.shape == (3, 17, 3)
    assert find_source("coco-train2017", tmp_path)[1].areas.tolist() == [900, 3000]


def test_an_own_split_works_as_well(tmp_path: Path) -> None:
    split = load_own(write_coco(tmp_path, PERSONS), COCO_17)
    source = SplitSource(split.with_images_in(tmp_path / "coco/train2017"))
    assert len(source[1].boxes) == 2


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="coco-train2017: annotations not found"):
        find_source("coco-train2017", tmp_path)
    write_coco(tmp_path, PERSONS)
    for path in (tmp_path / "coco/train2017").iterdir():
        path.unlink()
    (tmp_path / "coco/train2017").rmdir()
    with pytest.raises(MissingError, match="coco-train2017: images not found"):
        find_source("coco-train2017", tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean coco-train2017"):
        find_source("coco-train2071", tmp_path)


def test_without_public_truth_nothing_can_be_learned(tmp_path: Path) -> None:
    path = tmp_path / "coco/annotations/image_info_test-dev2017.json"
    path.parent.mkdir(parents=True)
    image = {"id": 1, "file_name": "1.png", "width": 60, "height": 40}
    path.write_text(json.dumps({"images": [image], "categories": []}))
    with pytest.raises(InputError, match="coco-test-dev: the ground truth is not public"):
        find_source("coco-test-dev", tmp_path)


def test_recipes_for_poses_in_space_and_in_the_image_need_their_own_splits(tmp_path: Path) -> None:
    for split in ("mupots", "synthcrowd-3d-train"):
        with pytest.raises(
            UsageError, match=f"{split} has poses in space; these recipes train for .* in the image"
        ):
            find_source(split, tmp_path)
    for split in ("coco-train2017", "synthcrowd-train"):
        with pytest.raises(
            UsageError, match=f"{split} has poses in the image; these recipes train for .* in space"
        ):
            find_source(split, tmp_path, in_space=True)


def test_images_of_a_3d_split_are_not_rendered(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="synthcrowd-3d-val"):
        find_source("synthcrowd-3d-val", tmp_path, in_space=True)


def split_in_space(folder: Path, intrinsics: np.ndarray | None) -> Split:
    """Return a split of two black images; the second has three persons, the last not evaluated."""
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(folder / name), np.zeros((40, 60, 3), np.uint8))
    rng = np.random.default_rng(0)
    joints, keypoints = rng.normal(0, 300, (3, 17, 3)), rng.uniform(0, 40, (3, 17, 3))
    boxes = np.array([[10.0, 5, 30, 30], [70, 5, 30, 30], [12, 5, 30, 30]])
    ignored = np.array([False, False, True])
    truth = GroundTruth(
        np.array([1, 2]), np.array([1, 1, 1]), keypoints, boxes, boxes[:, 2] * boxes[:, 3],
        np.zeros(3, bool), ignored, np.arange(3),
        pose3d=Truth3D(joints, joints, ("s",), np.zeros(2, np.int64)),
    )  # fmt: skip
    images = Images(
        np.array([1, 2]), ["1.png", "2.png"], np.full((2, 2), (60, 40)), folder, intrinsics
    )
    digest = FileDigest("a.json", "0" * 64, 1)
    return Split(
        "space", MUPOTS_17, "annotation", images, truth, 1, digest, folder, np.array([1, 2])
    )


def test_a_split_in_space_gives_evaluated_persons_with_joints_and_camera(tmp_path: Path) -> None:
    cameras = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    split = split_in_space(tmp_path, cameras)
    truth = split.truth
    assert truth is not None
    assert truth.pose3d is not None
    source = SplitSource(split)
    assert len(source[0].boxes) == 0
    example = source[1]
    # The second one's box is beside the image.
    assert example.boxes.tolist() == [[10, 5, 29, 29]]
    assert example.joints_mm is not None
    assert np.array_equal(example.joints_mm, truth.pose3d.joints_mm[:1])
    assert np.array_equal(example.keypoints, truth.keypoints[:1])
    assert example.camera is not None
    assert example.camera.tolist() == [5, 6, 7, 8]
    unknown = SplitSource(split_in_space(tmp_path, None))[1]
    assert unknown.camera is not None
    assert np.isnan(unknown.camera).all()


def test_rendered_images_need_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keypoints = np.full((3, 17, 3), 1.23456)
    keypoints[0] = 0
    people = SimpleNamespace(
        keypoints=keypoints,
        boxes=np.array([[1.0, 2, 30, 20], [1.001, 2, 30, 20], [1, 2, 30, 20]]),
        visible_fractions=np.array([1, 0.1, 0.09]),
        areas=np.array([9, 9, 9.0]),
    )
    asked: list[tuple[str, int]] = []

    def render(part: str, index: int) -> Any:
        asked.append((part, index))
        return SimpleNamespace(pixels=np.zeros((40, 60, 3), np.uint8), people=people)

    monkeypatch.setattr("crowdbench.datasets.synthcrowd.scenes.render", render)
    source = find_source("synthcrowd-train", tmp_path)
    assert isinstance(source, RenderedSource)
    assert (len(source), source.skeleton) == (20000, COCO_17)
    assert len(find_source("synthcrowd-val", tmp_path)) == 500
    example = source[7]
    assert asked == [("train", 7)]
    # Left out: a person without keypoints, and one of whom too little can be seen.
    assert example.boxes.tolist() == [[1, 2, 29, 19]]
    assert (example.keypoints == 1.23).all()
    other = find_source("synthcrowd-train", tmp_path, "size-minus-one")
    assert other[7].boxes.tolist() == [[1, 2, 30, 20]]
    whole = find_source("synthcrowd-train", tmp_path, None)
    assert whole[7].boxes.tolist() == [[1, 2, 30, 20]]
    assert whole[7].areas.tolist() == [9]
