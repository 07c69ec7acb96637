"""Predictions in JSON: a list of poses, and poses beside annotations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.errors import InputError
from crowdbench.results_3d import read_poses_3d
from crowdbench.results_3d.json_list import read_list
from tests.results_3d.small import (
    FILES,
    PERSON_IDS,
    annotated,
    entries,
    people,
    project,
    split,
    write_json,
)
from tests.test_readers import ODD

Entries = list[dict[str, Any]]
File = dict[str, Any]


def _read(folder: Path, value: Any, ignore: bool = False) -> Any:
    return read_poses_3d(write_json(folder / "poses.json", value), split(), ignore)


def test_poses_are_by_image_and_in_the_order_of_the_list(tmp_path: Path) -> None:
    value = entries(4)
    value[0]["image_id"] = 30
    value[2] = {"file_name": FILES[2]} | {k: v for k, v in value[2].items() if k != "image_id"}
    # Where both are given the name decides.
    value[3] |= {"file_name": FILES[1], "image_id": 999}
    poses, notes, digests = _read(tmp_path, value)
    keypoints, joints = people(4)
    assert poses.image_index.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(poses.keypoints, keypoints[[1, 3, 2, 0]])
    np.testing.assert_array_equal(poses.joints_mm, joints[[1, 3, 2, 0]])
    assert poses.scores.tolist() == [1] * 4
    assert poses.boxes is poses.box_scores is poses.person_ids is None
    assert notes == ()
    assert list(digests) == ["predictions"]


def test_scores_boxes_and_persons_are_kept(tmp_path: Path) -> None:
    value = entries(2)
    for i, (entry, person) in enumerate(zip(value, (106, 107), strict=True)):
        entry |= {
            "score": 2 - i,
            "bbox": [i, 1, 2, 3],
            "bbox_score": 0.5 + i,
            "annotation_id": person,
        }
    poses = _read(tmp_path, value).poses
    assert poses.scores.tolist() == [2, 1]
    assert poses.boxes.tolist() == [[0, 1, 2, 3], [1, 1, 2, 3]]
    assert poses.box_scores.tolist() == [0.5, 1.5]
    assert poses.person_ids.tolist() == [106, 107]


def test_poses_made_for_nobody_are_counted(tmp_path: Path) -> None:
    value = entries(3)
    value[1]["annotation_id"] = 107
    poses, notes, _ = _read(tmp_path, value)
    assert poses.person_ids.tolist() == [-1, 107, -1]
    assert notes[0] == "2 of 3 poses have no annotation_id: MPJPE leaves them out"


def test_an_empty_list_has_no_poses(tmp_path: Path) -> None:
    poses, notes, _ = _read(tmp_path, [])
    assert not len(poses)
    assert poses.joints_mm.shape == (0, 17, 3)
    assert poses.person_ids is None
    assert notes[1] == "4 of 4 images have no predictions"


def _set(**values: Any) -> Callable[[Entries], None]:
    return lambda value: value[2].update(values)


def _drop(field: str) -> Callable[[Entries], None]:
    return lambda value: value[2].pop(field)


FAULTS: dict[str, tuple[Callable[[Entries], Any], str]] = {
    "no keypoints": (_drop("keypoints_img"), "predictions[2].keypoints_img is missing"),
    "no joints": (_drop("keypoints_cam"), "predictions[2].keypoints_cam is missing"),
    "no image": (_drop("image_id"), "predictions[2] has neither image_id nor file_name"),
    "14 joints": (
        _set(keypoints_cam=[[1, 2, 3]] * 14),
        "predictions[2].keypoints_cam has 14 joints, expected 17 (mupots-17): predictions for",
    ),
    "two coordinates": (
        _set(keypoints_cam=[[1, 2]] * 17),
        "predictions[2].keypoints_cam[0]: expected array of length 3",
    ),
    "text": (
        _set(keypoints_img=[["x", 2]] * 17),
        "predictions[2].keypoints_img[0][0]: expected float, got str",
    ),
    "NaN": (
        _set(keypoints_cam=[[1, 2, 3]] * 16 + [[1, 2, float("nan")]]),
        "predictions[2].keypoints_cam[16][2] is not a finite number",
    ),
    "overflow": (
        _set(keypoints_img=[[1, 2]] * 16 + [[1e300, 2]]),
        "predictions[2].keypoints_img[16] has a coordinate beyond 1e+09",
    ),
    "box of some": (
        _set(bbox=[1, 2, 3, 4]),
        "predictions[0].bbox is missing, which other poses have",
    ),
    "unknown id": (
        _set(image_id=5),
        "1 poses are of 1 images that small does not have, the first are 5: predictions for",
    ),
    "unknown name": (_set(file_name="TS1/img_000007.jpg"), "the first are TS1/img_000007.jpg"),
    "unknown person": (_set(annotation_id=5), "1 poses are of annotations that small does not"),
    "person of another image": (
        _set(annotation_id=105),
        "annotation 105 is of TS1/img_000000.jpg here, of TS1/img_000001.jpg in small",
    ),
    "two poses for one person": (
        lambda value: [entry.update(annotation_id=107) for entry in value],
        "1 annotations have more than one pose, the first is 107",
    ),
    "metres": (
        lambda value: [
            entry.update(keypoints_cam=(np.array(entry["keypoints_cam"]) / 1000).tolist())
            for entry in value
        ],
        "look like metres: expected millimetres",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_path(name: str, tmp_path: Path) -> None:
    change, message = FAULTS[name]
    value = entries(4)
    change(value)
    with pytest.raises(InputError) as caught:
        _read(tmp_path, value)
    assert message in str(caught.value)


def test_unknown_images_can_be_left_out(tmp_path: Path) -> None:
    value = entries(3)
    # Of an image that is not known nobody is, either.
    value[1] |= {"image_id": 5, "annotation_id": 1}
    poses, notes, _ = _read(tmp_path, value, ignore=True)
    assert len(poses) == 2
    assert notes[0] == "1 poses are of 1 images that small does not have, the first are 5"


FIELDS = ("image_id", "file_name", "keypoints_img", "keypoints_cam", "score", "bbox",
          "bbox_score", "annotation_id")  # fmt: skip


@settings(max_examples=200)
@given(st.sampled_from(FIELDS), ODD, st.booleans())
def test_any_changed_value_is_read_or_refused(field: str, odd: Any, inside: bool) -> None:
    value = entries(2)
    if inside and field.startswith("keypoints"):
        value[1][field][3] = odd
    else:
        value[1][field] = odd
    try:
        found = read_list(Path("poses.json"), json.dumps(value).encode(), split(), False)
    except InputError as error:
        _is_short(error)
    else:
        assert np.isfinite(found.joints_mm).all()
        assert np.isfinite(found.keypoints).all()


def _is_short(error: InputError) -> None:
    text = str(error)
    assert text.startswith("poses.json")
    assert len(text) < 400


def test_poses_beside_annotations_are_projected_and_made_for_them(tmp_path: Path) -> None:
    poses, notes, _ = _read(tmp_path, annotated())
    _, joints = people(len(PERSON_IDS), seed=1)
    assert poses.image_index.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert poses.person_ids.tolist() == PERSON_IDS.tolist()
    np.testing.assert_array_equal(poses.joints_mm, joints)
    np.testing.assert_allclose(poses.keypoints, project(joints), rtol=1e-14)
    assert notes == (
        "the 2D keypoints of 8 poses are keypoints_cam_posenet projected with the file's intrinsic",
    )


def test_annotations_may_have_keypoints_or_no_pose(tmp_path: Path) -> None:
    value = annotated()
    keypoints, _ = people(1, seed=7)
    value["annotations"][1]["keypoints_img_posenet"] = keypoints[0].tolist()
    del value["annotations"][2]["keypoints_cam_posenet"]
    value["images"][3]["intrinsic"] = None
    poses, notes, _ = _read(tmp_path, value)
    assert poses.person_ids.tolist() == [107, 106, 104, 103, 102, 101, 100]
    np.testing.assert_array_equal(poses.keypoints[1], keypoints[0])
    assert not poses.keypoints[5:].any()
    assert [note[:40] for note in notes] == [
        "the 2D keypoints of 4 poses are keypoint",
        "2 poses have no 2D keypoints, so 3DPCK t",
    ]


def _annotation(**values: Any) -> Callable[[File], None]:
    return lambda file: file["annotations"][4].update(values)


ANNOTATED_FAULTS: dict[str, tuple[Callable[[File], Any], str]] = {
    "no poses": (
        lambda file: [entry.pop("keypoints_cam_posenet") for entry in file["annotations"]],
        "no annotation has keypoints_cam_posenet",
    ),
    "no images": (lambda file: file.pop("images"), "predictions.images is missing"),
    "no such image": (
        _annotation(image_id=7),
        "predictions.annotations[4].image_id is 7, which the file's images lack",
    ),
    "unknown frame": (
        lambda file: file["images"][2].update(file_name="TS3/img_000000.jpg"),
        "2 poses are of 1 images that small does not have, the first are TS3/img_000000.jpg",
    ),
    "14 joints": (
        _annotation(keypoints_cam_posenet=[[1, 2, 3]] * 14),
        "predictions.annotations[4].keypoints_cam_posenet has 14 joints, expected 17",
    ),
    "in the plane of the camera": (
        _annotation(keypoints_cam_posenet=[[1, 2, 0]] * 17),
        "predictions.annotations[4].keypoints_cam_posenet[0] has the depth 0 mm and no image",
    ),
    "another person": (
        _annotation(keypoints_cam=[[1, 2, 3]] * 17),
        "annotation 103 has other keypoints_cam than in small",
    ),
    "unknown person": (_annotation(id=1), "1 poses are of annotations that small does not have"),
    "ids of another file": (
        lambda file: [entry.update(id=207 - entry["id"]) for entry in file["annotations"]],
        "annotation 100 is of TS1/img_000000.jpg here, of TS10/img_000000.jpg in small",
    ),
}


@pytest.mark.parametrize("name", ANNOTATED_FAULTS)
def test_a_fault_beside_annotations_is_named(name: str, tmp_path: Path) -> None:
    change, message = ANNOTATED_FAULTS[name]
    value = annotated()
    change(value)
    with pytest.raises(InputError) as caught:
        _read(tmp_path, value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty, expected JSON"),
        ('[{"image_id": 10, "score": 1', "the JSON ends too early"),
        ('{"images": [', "the JSON ends too early"),
        ("[1]", "predictions[0]: expected object, got int"),
        ("poses", "not valid JSON"),
    ],
)
def test_other_files_are_recognised(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "poses.json").write_text(text)
    with pytest.raises(InputError) as caught:
        read_poses_3d(tmp_path / "poses.json", split())
    assert message in str(caught.value)
