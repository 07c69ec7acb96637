"""Predictions in an .npz file, by frame or by annotation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.errors import InputError, MissingError
from crowdbench.results_3d import read_poses_3d
from tests.results_3d.small import people, split, write_npz, write_paired_npz


def test_poses_by_image_id(tmp_path: Path) -> None:
    more = {
        "pred_score": np.array([3, 2, 1]),
        "pred_box": np.arange(12.0).reshape(3, 4),
        "pred_box_score": np.array([0.5, 0.25, 0.125], np.float32),
        "remarks": np.array(["of no interest"]),
    }
    path = write_npz(tmp_path / "poses.npz", {30: 1, 10: 2, 11: 0}, **more)
    poses, notes, digests = read_poses_3d(path, split())
    keypoints, joints = people(3)
    assert poses.image_index.tolist() == [0, 0, 3]
    np.testing.assert_array_equal(poses.keypoints, keypoints[[1, 2, 0]])
    np.testing.assert_array_equal(poses.joints_mm, joints[[1, 2, 0]])
    assert poses.scores.tolist() == [2, 1, 3]
    assert poses.boxes is not None
    assert poses.boxes[:, 0].tolist() == [4, 8, 0]
    assert poses.box_scores is not None
    assert poses.box_scores.tolist() == [0.25, 0.125, 0.5]
    assert poses.person_ids is None
    assert notes[0].startswith(
        "no predictions for TS2 (1 frames): the persons there count as missed"
    )
    assert [(role, digest.name) for role, digest in digests.items()] == [
        ("predictions", "poses.npz")
    ]


@pytest.mark.parametrize("sequences", [[1, 10], ["TS1", "TS10"]])
def test_poses_by_sequence_and_frame(sequences: list[Any], tmp_path: Path) -> None:
    path = write_npz(
        tmp_path / "poses.npz",
        {0: 1, 1: 2},
        image_id=None,
        frame_sequence=np.array(sequences),
        frame_index=np.array([1, 0]),
    )
    assert read_poses_3d(path, split()).poses.image_index.tolist() == [1, 3, 3]


def test_poses_by_annotation_say_for_whom_they_are(tmp_path: Path) -> None:
    poses, notes, _ = read_poses_3d(write_paired_npz(tmp_path / "poses.npz"), split())
    keypoints, joints = people(3)
    assert poses.image_index.tolist() == [0, 1, 3]
    assert poses.person_ids is not None
    assert poses.person_ids.tolist() == [107, 105, 100]
    np.testing.assert_array_equal(poses.keypoints, keypoints[[1, 2, 0]])
    np.testing.assert_array_equal(poses.joints_mm, joints[[1, 2, 0]])
    assert len(notes) == 2


def test_poses_by_annotation_need_no_keypoints(tmp_path: Path) -> None:
    path = write_paired_npz(tmp_path / "poses.npz", pred_img=None)
    poses = read_poses_3d(path, split()).poses
    assert poses.keypoints.shape == (3, 17, 2)
    assert not poses.keypoints.any()


def test_persons_that_a_limit_left_out_are_not_unknown(tmp_path: Path) -> None:
    path = write_paired_npz(tmp_path / "poses.npz")
    poses = read_poses_3d(path, split(limit=2)).poses
    assert poses.person_ids is not None
    assert poses.person_ids.tolist() == [107, 105]


def _with(value: float, shape: tuple[int, ...], place: tuple[int, ...]) -> Any:
    points = np.full(shape, 500.0)
    points[place] = value
    return points


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no counts": ({"pred_count": None}, "pred_count is missing; the file has image_id, pred_2d"),
    "no frames": ({"image_id": None}, "frame_sequence is missing"),
    "14 joints": (
        {"pred_3d": np.ones((3, 14, 3))},
        "pred_3d has the shape 3 x 14 x 3, expected 3 x 17 x 3",
    ),
    "too many poses": (
        {"pred_2d": np.ones((4, 17, 2))},
        "pred_2d has the shape 4 x 17 x 2, expected 3 x 17 x 2",
    ),
    "counts of fewer frames": (
        {"pred_count": np.array([3])},
        "image_id has the shape 3, expected 1",
    ),
    "negative count": ({"pred_count": np.array([4, -1, 0])}, r"pred_count\[1\] is negative"),
    "count in fractions": (
        {"pred_count": np.array([2.0, 1, 0])},
        "pred_count is of type float64, expected integers",
    ),
    "text": ({"pred_3d": np.full((3, 17, 3), "x")}, "pred_3d is of type <U1, expected numbers"),
    "objects": (
        {"pred_score": np.array([None, 1, 2])},
        "pred_score: Object arrays cannot be loaded",
    ),
    "a single score": ({"pred_score": np.array(1.0)}, "pred_score has the shape of a single value"),
    "NaN": (
        {"pred_3d": _with(np.nan, (3, 17, 3), (2, 7, 1))},
        r"pred_3d\[2\]: left_wrist is not finite",
    ),
    "overflow": (
        {"pred_3d": _with(-1e300, (3, 17, 3), (1, 16, 0))},
        r"pred_3d\[1\]: head has a coordinate beyond 1e\+09",
    ),
    "infinite score": (
        {"pred_score": np.array([1, np.inf, 1])},
        r"pred_score\[1\] is not finite",
    ),
    "frame twice": ({"image_id": np.array([10, 11, 10])}, "frame 10 occurs twice"),
    "unknown image": (
        {"image_id": np.array([5, 10, 11])},
        "2 poses are of 1 images that small does not have, the first are 5",
    ),
    "metres": ({"pred_3d": people(3)[1] / 1000}, "look like metres"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_key(name: str, tmp_path: Path) -> None:
    changes, message = FAULTS[name]
    path = write_npz(tmp_path / "poses.npz", **changes)
    with pytest.raises(InputError, match=message):
        read_poses_3d(path, split())


PAIRED_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no poses": ({"pred_cam": None}, "pred_cam is missing"),
    "unknown annotation": (
        {"annotation_id": np.array([100, 99, 98])},
        "2 poses are of annotations that small does not have, the first are 99, 98: made for",
    ),
    "two poses for one": (
        {"annotation_id": np.array([100, 105, 100])},
        "1 annotations have more than one pose, the first is 100",
    ),
    "ids in fractions": (
        {"annotation_id": np.array([1.0, 2, 3])},
        "annotation_id is of type float64, expected integers",
    ),
}


@pytest.mark.parametrize("name", PAIRED_FAULTS)
def test_a_fault_of_poses_by_annotation_is_named(name: str, tmp_path: Path) -> None:
    changes, message = PAIRED_FAULTS[name]
    with pytest.raises(InputError, match=message):
        read_poses_3d(write_paired_npz(tmp_path / "poses.npz", **changes), split())


def test_unknown_images_can_be_left_out(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "poses.npz", {5: 2, 10: 1, 6: 0})
    poses, notes, _ = read_poses_3d(path, split(), ignore_unknown=True)
    assert poses.image_index.tolist() == [0]
    assert notes[0] == "2 poses are of 1 images that small does not have, the first are 5"


def test_an_unknown_frame_is_named_as_in_the_mat_files(tmp_path: Path) -> None:
    path = write_npz(
        tmp_path / "poses.npz",
        {0: 1},
        image_id=None,
        frame_sequence=np.array([7]),
        frame_index=np.array([12]),
    )
    with pytest.raises(InputError, match="the first are TS7_img_000012"):
        read_poses_3d(path, split())


@pytest.mark.parametrize("share", [0, 0.4, 0.8])
def test_a_truncated_file_is_said(share: float, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "poses.npz")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"poses\.npz: (no \.npz file|damaged or truncated)"):
        read_poses_3d(path, split())


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "poses.npz")
    content = path.read_bytes()
    joints = people(3)[1].tobytes()
    at = content.index(joints) + 40
    path.write_bytes(content[:at] + b"\x00\x01\x02" + content[at + 3 :])
    with pytest.raises(InputError, match=r"damaged or truncated \.npz file \(pred_3d: "):
        read_poses_3d(path, split())


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="predictions not found at"):
        read_poses_3d(tmp_path / "poses.npz", split())
