"""MuPoTS-3D in its official layout."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from crowdbench.datasets import load_boxes, load_own, load_split
from crowdbench.datasets.mupots import official_folder
from crowdbench.datasets.verify import list_splits, verify
from crowdbench.errors import InputError, UsageError
from crowdbench.skeletons import COCO_17, MUPOTS_17
from tests.datasets.mupots_files import K, person, write_sequence
from tests.metrics.mupots_reference import SETS, load_reference


def small(folder: Path) -> Path:
    """Write two frames of two persons, and one of one in TS10; return the folder."""
    write_sequence(folder, "TS10", [[person(50)]])
    labels = np.zeros((1, K))
    labels[0, 3] = 1
    none = np.zeros((1, K))
    write_sequence(
        folder,
        "TS2",
        [[person(1), person(2, 0)], [person(3), person(4)]],
        [[none, none], [labels, none]],
    )
    return folder


@pytest.mark.parametrize("name", SETS)
def test_the_reference_sets_give_the_arrays_of_their_npz(shared: Path, name: str) -> None:
    split = load_own(shared / "reference/mupots" / name, MUPOTS_17)
    truth, expected = split.truth, load_reference(shared, name).truth
    assert truth is not None
    for field in (
        "image_ids", "image_index", "keypoints", "is_crowd", "is_ignored", "person_ids",
    ):  # fmt: skip
        found, wanted = getattr(truth, field), getattr(expected, field)
        np.testing.assert_array_equal(found, wanted, err_msg=field)
        assert found.dtype == wanted.dtype
    for field in ("joints_mm", "universal_mm", "sequence_index"):
        found, wanted = getattr(truth.pose3d, field), getattr(expected.pose3d, field)
        np.testing.assert_array_equal(found, wanted, err_msg=field)
        assert found.dtype == wanted.dtype
    assert truth.pose3d is not None
    assert expected.pose3d is not None
    assert truth.pose3d.sequences == expected.pose3d.sequences
    assert truth.pose3d.has_universal
    assert split.notes == ()
    # Some sequences of the edge cases have keypoints that are no projections.
    assert split.images.intrinsics is not None
    unknown = np.isnan(split.images.intrinsics).any(1)
    lost = {truth.pose3d.sequences[i] for i in truth.pose3d.sequence_index[unknown]}
    assert lost == {"main": set(), "edge": {"TS13", "TS14", "TS16", "TS17"}}[name]


CAMERA = np.array([1200.5, 1190.0, 1000.25, 530.0])


def seen(number: float, shift_px: float = 0, is_valid: float = 1) -> dict[str, Any]:
    """Return a cell whose annot2 is what `CAMERA` sees of its annot3, but for `shift_px`."""
    cell = person(number, is_valid)
    joints = np.random.default_rng(int(number)).uniform(
        (-900, -900, 2000), (900, 900, 6000), (K, 3)
    )
    points = joints[:, :2] / joints[:, 2:] * CAMERA[:2] + CAMERA[2:]
    # In turn to both sides, so that no other camera makes up for it.
    points[::2] += shift_px
    points[1::2] -= shift_px
    return cell | {"annot2": points.T, "annot3": joints.T}


def test_the_camera_of_each_sequence_is_fitted_to_its_valid_persons(tmp_path: Path) -> None:
    write_sequence(tmp_path, "TS1", [[seen(1), seen(2)], [seen(3), seen(4, 500, 0)]])
    write_sequence(tmp_path, "TS2", [[seen(5, 0.3)]])
    write_sequence(tmp_path, "TS3", [[seen(6, 1.5)]])
    write_sequence(tmp_path, "TS4", [[seen(7, is_valid=0)]])
    split = load_own(tmp_path, MUPOTS_17)
    found = split.images.intrinsics
    assert found is not None
    assert (found.shape, found.dtype) == ((5, 4), np.float64)
    np.testing.assert_allclose(found[:2], [CAMERA, CAMERA], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[2], CAMERA, rtol=0, atol=2)
    assert (found[2] != CAMERA).all()
    assert np.isnan(found[3:]).all()
    assert split.images.n_without_camera == 2
    first = split.first_images(3).images
    assert first.intrinsics is not None
    np.testing.assert_array_equal(first.intrinsics, found[:3])


def test_a_camera_that_moves_is_fitted_frame_by_frame(tmp_path: Path) -> None:
    moved = seen(2)
    moved["annot2"] = moved["annot2"] + [[40.0], [-25.0]]
    write_sequence(tmp_path, "TS1", [[seen(1)], [moved], [seen(3, is_valid=0)]])
    images = load_own(tmp_path, MUPOTS_17).images
    assert images.intrinsics is not None
    wanted = [CAMERA, CAMERA + np.array([0, 0, 40, -25])]
    np.testing.assert_allclose(images.intrinsics[:2], wanted, rtol=0, atol=1e-9)
    assert images.n_without_camera == 1


def test_a_single_wrong_person_does_not_hide_the_camera(tmp_path: Path) -> None:
    frames = [[seen(i)] for i in range(1, 40)]
    write_sequence(tmp_path, "TS1", [*frames, [seen(40, 30)]])
    found = load_own(tmp_path, MUPOTS_17).images.intrinsics
    assert found is not None
    np.testing.assert_allclose(found, np.tile(CAMERA, (40, 1)), rtol=0, atol=1e-9)


def test_a_person_in_one_ray_tells_nothing_about_the_camera(tmp_path: Path) -> None:
    ray = np.outer([100.0, 50.0, 3000.0], np.linspace(1, 2, K))
    behind = seen(2)
    behind["annot3"] = behind["annot3"] * [[1], [1], [-1]]
    for i, cell in enumerate((seen(1) | {"annot3": ray}, behind)):
        write_sequence(tmp_path / str(i), "TS1", [[cell]])
        images = load_own(tmp_path / str(i), MUPOTS_17).images
        assert images.intrinsics is not None
        assert np.isnan(images.intrinsics).all()


def test_annotated_boxes_have_the_roots_of_their_persons(tmp_path: Path) -> None:
    write_sequence(tmp_path, "TS1", [[seen(1), seen(2, is_valid=0)], [seen(3), seen(4)]])
    split = load_own(tmp_path, MUPOTS_17)
    boxes = load_boxes("gt", split, tmp_path)
    assert boxes.roots_mm is not None
    pelvis = MUPOTS_17.keypoints.index("pelvis")
    expected = [seen(n)["annot3"][:, pelvis] for n in (1, 3, 4)]
    np.testing.assert_array_equal(boxes.roots_mm, expected)
    assert boxes.person_ids is not None
    assert boxes.person_ids.tolist() == [0, 2, 3]
    second = boxes.of_images(1, 2).roots_mm
    assert second is not None
    np.testing.assert_array_equal(second, expected[1:])
    rows = boxes.take(np.array([2, 0])).roots_mm
    assert rows is not None
    np.testing.assert_array_equal(rows, [expected[2], expected[0]])


def test_images_and_persons_are_numbered_through_the_sequences_in_their_order(
    tmp_path: Path,
) -> None:
    split = load_own(small(tmp_path), MUPOTS_17)
    assert split.images.file_names == [
        "TS2/img_000000.jpg", "TS2/img_000001.jpg", "TS10/img_000000.jpg",
    ]  # fmt: skip
    assert split.images.sizes.tolist() == [[2048, 2048]] * 2 + [[1920, 1080]]
    assert split.truth is not None
    assert split.truth.person_ids.tolist() == [0, 1, 2, 3, 4]
    assert split.truth.image_index.tolist() == [0, 0, 1, 1, 2]
    assert split.truth.is_ignored.tolist() == [False, True, False, False, False]
    assert split.truth.pose3d is not None
    assert split.truth.pose3d.sequences == ("TS2", "TS10")
    assert split.truth.pose3d.sequence_index.tolist() == [0, 0, 1]


def test_joints_keypoints_visibility_and_boxes(tmp_path: Path) -> None:
    truth = load_own(small(tmp_path), MUPOTS_17).truth
    assert truth is not None
    cell = person(3)
    np.testing.assert_array_equal(truth.keypoints[2, :, :2], cell["annot2"].T)
    np.testing.assert_array_equal(truth.pose3d.joints_mm[2], cell["annot3"].T)
    np.testing.assert_array_equal(truth.pose3d.universal_mm[2], cell["univ_annot3"].T)
    assert truth.keypoints[2, :, 2].tolist() == [2, 2, 2, 1] + [2] * 13
    assert (truth.keypoints[[0, 1, 3, 4], :, 2] == 2).all()
    assert truth.boxes[2].tolist() == [3, 20, 16, 16]
    assert truth.areas[2] == 256


@pytest.mark.parametrize("number", [1, 5, 6, 20, 21])
def test_sizes_are_known_for_the_sequences_of_the_data_set(tmp_path: Path, number: int) -> None:
    write_sequence(tmp_path, f"TS{number}", [[person(1)]])
    sizes = load_own(tmp_path, MUPOTS_17).images.sizes.tolist()
    assert sizes == [[2048, 2048] if number < 6 else [1920, 1080] if number < 21 else [0, 0]]


def test_the_folder_may_be_the_one_above(tmp_path: Path) -> None:
    inner = small(tmp_path / "MultiPersonTestSet")
    above, itself = load_own(tmp_path, MUPOTS_17), load_own(inner, MUPOTS_17)
    assert above.annotations == itself.annotations
    assert (above.name, itself.name) == (tmp_path.name, "MultiPersonTestSet")
    assert (above.path, itself.path) == (tmp_path, inner)
    assert (above.official_tool, above.has_levels) == ("mupots", False)


def test_the_current_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small(tmp_path / "mine"))
    split = load_own(Path(), MUPOTS_17)
    assert (split.name, split.annotations.name) == ("mine", "mine")


def test_the_digest_is_that_of_all_files_that_are_read(tmp_path: Path) -> None:
    folder = small(tmp_path / "x")
    (folder / "readme.txt").write_text("not read")
    digest = load_own(folder, MUPOTS_17).annotations
    names = [f"{n}/{file}" for n in ("TS10", "TS2") for file in ("annot.mat", "occlusion.mat")]
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    assert digest.name == "x"
    assert digest.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert digest.size == sum(os.path.getsize(folder / name) for name in names)
    write_sequence(folder, "TS10", [[person(50.5)]])
    assert load_own(folder, MUPOTS_17).annotations.sha256 != digest.sha256


def test_the_image_folder_is_known_when_images_are_there(tmp_path: Path) -> None:
    folder = small(tmp_path)
    assert load_own(folder, MUPOTS_17).images.folder is None
    (folder / "TS10/img_000000.jpg").touch()
    assert load_own(folder, MUPOTS_17).images.folder == folder


def test_a_limit_takes_the_first_images_and_their_sequences(tmp_path: Path) -> None:
    split = load_own(small(tmp_path), MUPOTS_17, limit=2)
    assert split.truth is not None
    assert split.truth.pose3d is not None
    assert len(split.images) == 2
    assert split.truth.pose3d.sequences == ("TS2",)
    assert len(split.known_ids) == 3


def test_boxes_of_evaluated_persons_start_a_top_down_predictor(tmp_path: Path) -> None:
    split = load_own(small(tmp_path), MUPOTS_17)
    boxes = load_boxes("gt", split, tmp_path)
    assert boxes.image_index.tolist() == [0, 1, 1, 2]
    np.testing.assert_array_equal(boxes.boxes, split.truth.boxes[[0, 2, 3, 4]])


@pytest.mark.parametrize(
    "garbage",
    [
        np.empty((0, 0), object),
        np.zeros((0, 0)),
        person(1, 0, annot3=np.full((3, K), np.nan)),
        person(1, 0, annot2=np.zeros((0, 0)), annot3=np.zeros((0, 0)), univ_annot3="x"),
        person(1, np.zeros((0, 0)), annot3=np.zeros((3, 5))),
    ],
)  # fmt: skip
def test_what_is_not_valid_may_be_empty_or_broken(tmp_path: Path, garbage: Any) -> None:
    write_sequence(tmp_path, "TS1", [[garbage, person(2)]], [[np.zeros((0, 0)), np.zeros((1, K))]])
    truth = load_own(tmp_path, MUPOTS_17).truth
    assert truth is not None
    assert truth.is_ignored.tolist() == [True, False]
    assert not truth.pose3d.joints_mm[0].any()
    assert np.isfinite(truth.pose3d.universal_mm).all()


def test_numeric_classes_do_not_matter(tmp_path: Path) -> None:
    cell = person(1)
    rounded = {k: np.round(v).astype(np.int32) for k, v in cell.items() if k != "isValidFrame"}
    singles = {key: value.astype(np.float32) for key, value in rounded.items()}
    write_sequence(
        tmp_path,
        "TS1",
        [[rounded | {"isValidFrame": np.uint8(1)}, singles | {"isValidFrame": True}]],
        [[np.eye(1, K, 2, dtype=bool), np.eye(1, K, 2, dtype=np.int8)]],
    )
    truth = load_own(tmp_path, MUPOTS_17).truth
    assert truth is not None
    np.testing.assert_array_equal(truth.keypoints[0], truth.keypoints[1])
    np.testing.assert_array_equal(truth.pose3d.joints_mm[0], np.round(cell["annot3"]).T)
    assert truth.pose3d.joints_mm.dtype == np.float64
    assert truth.keypoints[:, 2, 2].tolist() == [1, 1]
    assert not truth.is_ignored.any()


def test_a_struct_array_is_read_as_a_cell_array_is(tmp_path: Path) -> None:
    folder = small(tmp_path / "cells")
    shutil.copytree(folder, tmp_path / "structs")
    names = ["annot2", "annot3", "univ_annot3", "isValidFrame"]
    table = np.empty((2, 2), [(name, object) for name in names])
    for place, number in (((0, 0), 1), ((0, 1), 2), ((1, 0), 3), ((1, 1), 4)):
        cell = person(number, number != 2)
        table[place] = tuple(cell[name] for name in names)
    savemat(tmp_path / "structs/TS2/annot.mat", {"annotations": table})
    first, second = (load_own(tmp_path / n, MUPOTS_17).truth for n in ("cells", "structs"))
    np.testing.assert_array_equal(first.keypoints, second.keypoints)
    np.testing.assert_array_equal(first.is_ignored, second.is_ignored)
    np.testing.assert_array_equal(first.pose3d.universal_mm, second.pose3d.universal_mm)


def test_without_labels_all_joints_are_visible_and_that_is_noted(tmp_path: Path) -> None:
    folder = small(tmp_path)
    (folder / "TS2/occlusion.mat").unlink()
    split = load_own(folder, MUPOTS_17)
    assert split.truth is not None
    assert (split.truth.keypoints[..., 2] == 2).all()
    assert "occlusion.mat is missing in TS2: all joints count as visible there" in split.notes


def with_value(field: str, joint: int, value: float = np.nan) -> dict[str, Any]:
    cell = person(1)
    cell[field][0, joint] = value
    return cell


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (person(1, annot3=np.zeros((3, 14))), "annot3 is 3 x 14, expected 3 x 17"),
        (person(1, annot2=np.zeros((K, 2))), "annot2 is 17 x 2, expected 2 x 17"),
        (person(1, univ_annot3=np.zeros((0, 0))), "univ_annot3 is 0 x 0, expected 3 x 17"),
        (person(1, annot2="text"), "annot2 has no numbers, expected 2 x 17"),
        (with_value("univ_annot3", 4), "univ_annot3 is not finite at joint 5 of 17 (right_wrist)"),
        (with_value("annot3", 0, 1e12), "annot3 is beyond 1e+09 at joint 1 of 17 (head_top)"),
        ({"annot2": np.zeros((2, K))}, "no field annot3, expected a struct with annot2, annot3"),
        (np.zeros((3, K)), "no field annot2, expected a struct"),
    ],
)
def test_a_wrong_person_is_named_with_file_frame_and_place(
    tmp_path: Path, cell: Any, said: str
) -> None:
    path = write_sequence(tmp_path, "TS3", [[person(1), person(2)], [person(3), cell]])
    with pytest.raises(InputError) as wrong:
        load_own(tmp_path, MUPOTS_17)
    assert str(wrong.value).startswith(f"{path}: TS3/img_000001.jpg, person 2 of 2: ")
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([[np.zeros((1, 14))]], "TS1/img_000000.jpg, person 1 of 1: the label is 1 x 14, expected"),
        ([[np.full((1, K), np.nan)]], "the label is not finite at joint 1 of 17 (head_top)"),
        (
            [[np.zeros((1, K))] * 2],
            "occlusion_labels is 1 x 2, but annotations in annot.mat is 1 x",
        ),
    ],
)
def test_wrong_labels_are_named(tmp_path: Path, labels: Any, said: str) -> None:
    write_sequence(tmp_path, "TS1", [[person(1)]], labels)
    with pytest.raises(InputError) as wrong:
        load_own(tmp_path, MUPOTS_17)
    assert str(tmp_path / "TS1/occlusion.mat") in str(wrong.value)
    assert said in str(wrong.value)


def test_a_sequence_without_the_truth_is_named(tmp_path: Path) -> None:
    folder = small(tmp_path)
    (folder / "TS2/annot.mat").unlink()
    with pytest.raises(InputError, match=r"TS2/annot\.mat is missing: .*move its folder away"):
        load_own(folder, MUPOTS_17)


def test_a_folder_of_something_else_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder without TS1/annot\.mat"):
        load_own(tmp_path, MUPOTS_17)
    assert official_folder(tmp_path) is None
    assert official_folder(tmp_path / "none") is None


def test_another_skeleton_for_the_official_layout_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whose skeleton is mupots-17, not coco-17"):
        load_own(small(tmp_path), COCO_17)


def test_metres_are_recognised(tmp_path: Path) -> None:
    cell = person(1)
    write_sequence(tmp_path, "TS1", [[cell | {"univ_annot3": cell["univ_annot3"] / 1000}]])
    with pytest.raises(InputError, match=r"bones in univ_annot3 is .*metres: expected millimetres"):
        load_own(tmp_path, MUPOTS_17)


@pytest.mark.parametrize("variable", [{"other": 1}, {"annotations": np.zeros((0, 0))},
                                      {"annotations": np.zeros((3, 2))}])  # fmt: skip
def test_another_mat_file_is_said_so(tmp_path: Path, variable: dict[str, Any]) -> None:
    path = write_sequence(tmp_path, "TS1", [[person(1)]])
    savemat(path, variable)
    with pytest.raises(InputError) as wrong:
        load_own(tmp_path, MUPOTS_17)
    expected = "annotations is missing, found: other" if "other" in variable else "expected a cell"
    assert expected in str(wrong.value)


@pytest.mark.parametrize("names", [["TS1", "TS2", "TS4"], ["TS2", "TS5"]])
def test_gaps_in_the_sequences_are_noted(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        write_sequence(tmp_path, name, [[person(1)]])
    (note,) = load_own(tmp_path, MUPOTS_17).notes
    assert note == (
        "sequence TS3 is missing: averages over sequences are over the 3 that are there"
        if len(names) == 3
        else "sequences TS1, TS3, TS4 are missing: averages over sequences are over the 2 that are "
        "there"
    )


@pytest.mark.parametrize("place", ["mupots/MultiPersonTestSet", "MuPoTS/data/MultiPersonTestSet"])
def test_the_split_is_found_and_a_missing_sequence_fails_verification(
    tmp_path: Path, place: str
) -> None:
    folder = tmp_path / place
    for number in range(1, 21):
        write_sequence(folder, f"TS{number}", [[person(number)]])
    (files,) = (f for f in list_splits(tmp_path) if f.is_present)
    assert (files.name, files.path, files.images) == ("mupots", folder, folder)
    (check,) = verify("mupots", tmp_path)
    assert check.passes
    assert check.problem is None
    split = load_split("mupots", tmp_path)
    assert split.notes == ()
    assert (split.skeleton, split.path, split.official_tool) == (MUPOTS_17, folder, "mupots")

    shutil.rmtree(folder / "TS7")
    lost = "sequence TS7 is missing: averages over sequences are over the 19 that are there"
    (check,) = verify("mupots", tmp_path)
    assert (check.passes, check.problem) == (False, lost)
    assert load_split("mupots", tmp_path).notes == (lost,)


def test_an_empty_folder_of_the_right_name_is_no_split(tmp_path: Path) -> None:
    (tmp_path / "mupots/MultiPersonTestSet/TS1").mkdir(parents=True)
    assert not any(files.is_present for files in list_splits(tmp_path))
