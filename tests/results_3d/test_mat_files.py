"""Predictions in 3DMPPE's layout: two .mat files with one variable per frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.errors import InputError, MissingError
from crowdbench.results_3d import read_poses_3d
from tests.results_3d.small import FRAMES, frames, split, write_pair

Variables = dict[str, Any]


def _read(folder: Path, in_2d: Variables, in_3d: Variables, ignore: bool = False) -> Any:
    return read_poses_3d(write_pair(folder, in_2d, in_3d), split(), ignore)


def test_poses_are_by_image_and_in_the_order_of_the_variable(tmp_path: Path) -> None:
    # In the file TS10 comes before TS2, as names are sorted.
    in_2d, in_3d = frames({FRAMES[3]: 2, FRAMES[0]: 3, FRAMES[2]: 1})
    poses, notes, digests = _read(tmp_path, in_2d, in_3d)
    assert poses.image_index.tolist() == [0, 0, 0, 2, 3, 3]
    order = (FRAMES[0], FRAMES[2], FRAMES[3])
    np.testing.assert_array_equal(poses.keypoints, np.concatenate([in_2d[n] for n in order]))
    np.testing.assert_array_equal(poses.joints_mm, np.concatenate([in_3d[n] for n in order]))
    assert poses.scores.tolist() == [1] * 6
    assert poses.boxes is poses.box_scores is poses.person_ids is None
    assert notes == ("1 of 4 images have no predictions",)
    assert [digest.name for digest in digests.values()] == [
        "preds_2d_kpt_mupots.mat",
        "preds_3d_kpt_mupots.mat",
    ]


@pytest.mark.parametrize("name", ["preds_2d_kpt_mupots.mat", "preds_3d_kpt_mupots.mat"])
def test_either_file_stands_for_both(name: str, tmp_path: Path) -> None:
    folder = write_pair(tmp_path, *frames({FRAMES[0]: 2}))
    assert len(read_poses_3d(folder / name, split()).poses) == 2


@pytest.mark.parametrize("shape", [(0, 0), (0, 17, 2), (1, 0), (17, 0)])
def test_nobody_may_have_any_empty_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    in_2d, in_3d = frames({FRAMES[0]: 2})
    in_2d[FRAMES[1]] = in_3d[FRAMES[1]] = np.zeros(shape)
    assert _read(tmp_path, in_2d, in_3d).poses.image_index.tolist() == [0, 0]


def test_a_single_person_may_lack_its_dimension(tmp_path: Path) -> None:
    in_2d, in_3d = frames({FRAMES[1]: 1})
    poses = _read(
        tmp_path, {FRAMES[1]: in_2d[FRAMES[1]][0]}, {FRAMES[1]: in_3d[FRAMES[1]][0]}
    ).poses
    np.testing.assert_array_equal(poses.joints_mm, in_3d[FRAMES[1]])


def test_sequences_without_predictions_are_named(tmp_path: Path) -> None:
    sequences, images = _read(tmp_path, *frames({FRAMES[2]: 1})).notes
    assert sequences == (
        "no predictions for TS1 (2 frames), TS10 (1 frames): the persons there count as missed in "
        "`all`; `matched` has no value there and is averaged over the other sequences"
    )
    assert images == "3 of 4 images have no predictions"


def _both(change: Callable[[Variables], Any]) -> Callable[[Variables, Variables], None]:
    def changed(in_2d: Variables, in_3d: Variables) -> None:
        change(in_2d)
        change(in_3d)

    return changed


def _not_finite(_: Variables, in_3d: Variables) -> None:
    in_3d[FRAMES[2]][1, 4, 2] = np.nan


def _infinite(in_2d: Variables, _: Variables) -> None:
    in_2d[FRAMES[0]][2, 16, 0] = np.inf


FAULTS: dict[str, tuple[Callable[[Variables, Variables], Any], str]] = {
    "14 joints": (
        lambda in_2d, _: in_2d.update({FRAMES[2]: np.ones((2, 14, 2))}),
        "2d_kpt_mupots.mat: variable TS2_img_000000 has 14 joints, expected 17 (mupots-17): pred",
    ),
    "joints and coordinates exchanged": (
        lambda _, in_3d: in_3d.update({FRAMES[2]: np.ones((2, 3, 17))}),
        "variable TS2_img_000000 is 2 x 3 x 17, expected people x 17 x 3",
    ),
    "2D in the file of 3D": (
        lambda in_2d, in_3d: in_3d.update(in_2d),
        "preds_3d_kpt_mupots.mat: variable TS1_img_000000 is 3 x 17 x 2, expected people x 17 x 3",
    ),
    "no numbers": (
        lambda in_2d, _: in_2d.update({FRAMES[2]: "nobody"}),
        "variable TS2_img_000000 holds no numbers",
    ),
    "other people": (
        lambda in_2d, _: in_2d.update({FRAMES[2]: np.ones((1, 17, 2))}),
        "variable TS2_img_000000 has 2 people, in preds_2d_kpt_mupots.mat it has 1",
    ),
    "only in 3D": (
        lambda in_2d, _: in_2d.pop(FRAMES[2]),
        "2d_kpt_mupots.mat: 1 variables of preds_3d_kpt_mupots.mat are missing, the first is TS2_",
    ),
    "only in 2D": (
        lambda _, in_3d: in_3d.pop(FRAMES[0]),
        "3d_kpt_mupots.mat: 1 variables of preds_2d_kpt_mupots.mat are missing, the first is TS1_",
    ),
    "NaN": (
        _not_finite,
        "3d_kpt_mupots.mat: variable TS2_img_000000: right_wrist of person 2 of 2 is not finite",
    ),
    "infinity": (
        _infinite,
        "2d_kpt_mupots.mat: variable TS1_img_000000: head of person 3 of 3 is not finite",
    ),
    "unknown frame": (
        _both(lambda variables: variables.update({"TS9_img_000000": variables[FRAMES[0]]})),
        "variables are of 1 images that small does not have, the first are TS9_img_000000: pred",
    ),
    "another name": (
        _both(lambda variables: variables.update(poses=1.0)),
        "1 variables are of 1 images that small does not have, the first are poses",
    ),
    "metres": (
        lambda _, in_3d: in_3d.update({name: value / 1000 for name, value in in_3d.items()}),
        "so the poses look like metres: expected millimetres, multiply them by 1000",
    ),
    "fractions of the image": (
        lambda in_2d, _: in_2d.update({name: value / 4000 for name, value in in_2d.items()}),
        "all 2D keypoints lie between 0 and 1, so they look like fractions",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_place(name: str, tmp_path: Path) -> None:
    change, message = FAULTS[name]
    in_2d, in_3d = frames({FRAMES[0]: 3, FRAMES[1]: 0, FRAMES[2]: 2})
    change(in_2d, in_3d)
    with pytest.raises(InputError) as caught:
        _read(tmp_path, in_2d, in_3d)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_unknown_frames_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    in_2d, in_3d = frames({FRAMES[0]: 1, "TS9_img_000000": 2, "TS9_img_000001": 0})
    poses, notes, _ = _read(tmp_path, in_2d, in_3d, ignore=True)
    assert poses.image_index.tolist() == [0]
    assert notes[0] == (
        "2 variables are of 2 images that small does not have, the first are TS9_img_000000, "
        "TS9_img_000001"
    )


def test_frames_that_a_limit_left_out_are_not_unknown(tmp_path: Path) -> None:
    folder = write_pair(tmp_path, *frames({FRAMES[1]: 1, FRAMES[3]: 2}))
    assert read_poses_3d(folder, split(limit=2)).poses.image_index.tolist() == [1]


def test_keypoints_that_were_not_found_are_no_fractions(tmp_path: Path) -> None:
    in_2d, in_3d = frames({FRAMES[0]: 2})
    in_2d[FRAMES[0]][:] = 0
    assert not _read(tmp_path, in_2d, in_3d).poses.keypoints.any()


def test_files_without_anybody_are_read(tmp_path: Path) -> None:
    assert not len(_read(tmp_path, *frames({FRAMES[0]: 0})).poses)


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.97])
def test_a_truncated_file_is_said(share: float, tmp_path: Path) -> None:
    write_pair(tmp_path, *frames(dict.fromkeys(FRAMES, 2)))
    path = tmp_path / "preds_3d_kpt_mupots.mat"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"preds_3d_kpt_mupots\.mat: .*(truncated|empty)"):
        read_poses_3d(tmp_path, split())


def test_other_files_of_that_name_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, *frames({FRAMES[0]: 2}))
    path = tmp_path / "preds_2d_kpt_mupots.mat"
    for content, message in (
        (b"MATLAB 7.3 MAT-file".ljust(600), "version 7.3"),
        (b"[" * 1000, "no .mat file"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_poses_3d(tmp_path, split())


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no preds_2d_kpt_mupots\.mat and no preds_3d_kpt_"):
        read_poses_3d(tmp_path, split())
    write_pair(tmp_path, *frames({FRAMES[0]: 2}))
    (tmp_path / "preds_3d_kpt_mupots.mat").unlink()
    with pytest.raises(MissingError, match=r"has no preds_3d_kpt_mupots\.mat: expected"):
        read_poses_3d(tmp_path / "preds_2d_kpt_mupots.mat", split())
    with pytest.raises(InputError, match=r"poses\.mat: expected preds_2d_kpt_mupots\.mat or"):
        read_poses_3d(tmp_path / "poses.mat", split())
