"""Written poses come back with every bit, and the same poses give the same bytes."""

from __future__ import annotations

import json
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from crowdbench.results_3d import read_poses_3d, write_poses_3d
from crowdbench.structures import Images, Poses
from tests.command import contents
from tests.results_3d.small import FRAMES, people, poses, split

NAMES = ("predictions.json", "preds_2d_kpt_mupots.mat", "preds_3d_kpt_mupots.mat")


def _with_all() -> Poses:
    some = poses([0, 0, 3], [107, 106, 101])
    return replace(some, boxes=np.arange(12.0).reshape(3, 4), box_scores=np.array([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("given", [poses([0, 0, 3]), _with_all(), poses([1, 2], [-1, 103])])
def test_poses_come_back_from_json_with_every_bit(given: Poses, tmp_path: Path) -> None:
    write_poses_3d(tmp_path, given, split())
    again = read_poses_3d(tmp_path / "predictions.json", split()).poses
    for column in fields(Poses):
        np.testing.assert_array_equal(getattr(again, column.name), getattr(given, column.name))


def test_many_poses_come_back(tmp_path: Path) -> None:
    given = poses([0] * 300 + [2] * 300)
    write_poses_3d(tmp_path, given, split())
    again = read_poses_3d(tmp_path / "predictions.json", split()).poses
    np.testing.assert_array_equal(again.joints_mm, given.joints_mm)
    np.testing.assert_array_equal(again.scores, given.scores)


def test_poses_come_back_from_the_mat_files(tmp_path: Path) -> None:
    given = poses([0, 0, 3])
    write_poses_3d(tmp_path, given, split())
    again = read_poses_3d(tmp_path, split()).poses
    np.testing.assert_array_equal(again.image_index, given.image_index)
    np.testing.assert_array_equal(again.keypoints, given.keypoints)
    np.testing.assert_array_equal(again.joints_mm, given.joints_mm)


def test_the_mat_files_have_every_frame_as_the_official_script_wants_it(tmp_path: Path) -> None:
    given = poses([0, 0, 3])
    write_poses_3d(tmp_path, given, split())
    for name, width, values in (
        ("preds_2d_kpt_mupots.mat", 2, given.keypoints),
        ("preds_3d_kpt_mupots.mat", 3, given.joints_mm),
    ):
        found = scipy.io.loadmat(tmp_path / name)
        assert found["__header__"] == b"MATLAB 5.0 MAT-file, written by crowdbench"
        assert [key for key in found if not key.startswith("__")] == list(FRAMES)
        assert [found[key].shape for key in FRAMES] == [(n, 17, width) for n in (2, 0, 0, 1)]
        assert values is not None
        np.testing.assert_array_equal(found[FRAMES[0]], values[:2])
        assert found[FRAMES[0]].dtype == np.float64


def test_the_same_poses_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_poses_3d(tmp_path / "a", _with_all(), split())
    # Where the time would go.
    monkeypatch.setattr(time, "asctime", lambda: "Thu Jan  1 00:00:00 1970")
    write_poses_3d(tmp_path / "b", _with_all(), split())
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert tuple(contents(tmp_path / "a")) == NAMES


def test_an_entry_names_its_image_and_leaves_out_what_there_is_not(tmp_path: Path) -> None:
    write_poses_3d(tmp_path, poses([1]), split())
    entry = json.loads((tmp_path / "predictions.json").read_text())[0]
    keypoints, joints = people(1, seed=1)
    assert entry == {
        "image_id": 11,
        "file_name": "TS1/img_000001.jpg",
        "keypoints_img": keypoints[0].tolist(),
        "keypoints_cam": joints[0].tolist(),
        "score": 0.5,
    }


def test_other_data_get_json_alone(tmp_path: Path) -> None:
    images = replace(split().images, file_names=[*split().images.file_names[:3], "other.jpg"])
    assert isinstance(images, Images)
    write_poses_3d(tmp_path, poses([0, 3]), replace(split(), images=images))
    assert tuple(contents(tmp_path)) == NAMES[:1]


def test_no_poses_at_all_are_written_and_read(tmp_path: Path) -> None:
    write_poses_3d(tmp_path, replace(poses([]), joints_mm=None), split())
    assert not len(read_poses_3d(tmp_path, split()).poses)
    assert (tmp_path / "predictions.json").read_bytes() == b"[]\n"
