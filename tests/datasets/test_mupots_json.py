"""MuPoTS-3D as 3DMPPE's COCO-style file."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.datasets import load_own, load_split
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, MissingError
from crowdbench.metrics.evaluation_3d import Evaluation3D
from crowdbench.metrics.joint_errors import joint_errors
from crowdbench.skeletons import MUPOTS_17
from tests.datasets.mupots_files import K, coco_style, person, write_sequence
from tests.metrics.mupots_reference import SETS, load_reference

PERSONS = {
    "TS2": [[person(1), person(2, 0)], [person(3), person(40)]],
    "TS10": [[person(50)]],
}
CAMERA = "3DPCK and AUC are measured against keypoints_cam, not against univ_annot3"


def beside(folder: Path) -> Path:
    """Write the official files of `PERSONS`; return their folder."""
    for name, persons in PERSONS.items():
        write_sequence(folder / "MultiPersonTestSet", name, persons)
    return folder / "MultiPersonTestSet"


def load(folder: Path, file: Any) -> Split:
    path = folder / "MuPoTS-3D.json"
    path.write_text(json.dumps(file))
    return load_own(path, MUPOTS_17)


def assert_same_truth(first: Split, second: Split) -> None:
    for field in (
        "image_ids", "image_index", "keypoints", "boxes", "areas", "is_crowd", "is_ignored",
        "person_ids",
    ):  # fmt: skip
        found, wanted = getattr(first.truth, field), getattr(second.truth, field)
        np.testing.assert_array_equal(found, wanted, err_msg=field)
        assert found.dtype == wanted.dtype
    for field in ("joints_mm", "universal_mm", "sequences", "sequence_index"):
        found, wanted = (getattr(split.truth.pose3d, field) for split in (first, second))
        np.testing.assert_array_equal(found, wanted, err_msg=field)


@pytest.mark.parametrize("name", SETS)
def test_the_reference_file_beside_the_official_ones_gives_the_same_truth(
    shared: Path, name: str
) -> None:
    folder = shared / "reference/mupots" / name
    from_json = load_own(folder / "MuPoTS-3D.json.gz", MUPOTS_17)
    from_mat = load_own(folder, MUPOTS_17)
    assert_same_truth(from_json, from_mat)
    assert list(from_json.images.file_names) == list(from_mat.images.file_names)
    assert from_json.notes == ("univ_annot3 is from MultiPersonTestSet beside MuPoTS-3D.json.gz",)
    assert from_json.name == "MuPoTS-3D"


def test_the_official_numbers_come_from_the_file_beside_the_official_ones(shared: Path) -> None:
    reference = load_reference(shared, "main")
    truth = load_own(reference.folder / "MuPoTS-3D.json.gz", MUPOTS_17).truth
    assert truth is not None
    errors = joint_errors(truth, reference.poses, MUPOTS_17)
    values = Evaluation3D(truth, errors, MUPOTS_17).values()
    for key, mode in (("3DPCK_all", "all_relative"), ("3DPCK_matched_abs", "matched_absolute")):
        expected = reference.expected[mode]["mean_of_sequences"]["pck"]["Total"]
        assert 100 * values[key].averages["sequence"] == pytest.approx(expected, abs=1e-6)


def test_alone_it_is_measured_against_the_camera_poses_and_says_so(
    tmp_path: Path, shared: Path
) -> None:
    path = tmp_path / "MuPoTS-3D.json.gz"
    shutil.copy(shared / "reference/mupots/main" / path.name, path)
    split = load_own(path, MUPOTS_17)
    assert split.truth is not None
    assert split.truth.pose3d is not None
    assert not split.truth.pose3d.has_universal
    assert split.notes[0].startswith(CAMERA)


def test_packed_and_unpacked_are_the_same(tmp_path: Path) -> None:
    split = load(tmp_path, coco_style(PERSONS))
    path = tmp_path / "packed.gz"
    path.write_bytes(gzip.compress(json.dumps(coco_style(PERSONS)).encode()))
    assert_same_truth(split, load_own(path, MUPOTS_17))


def test_labels_may_be_numbers_or_truth_values(tmp_path: Path) -> None:
    file = coco_style(PERSONS)
    expected = load(tmp_path, file)
    for annotation in file["annotations"]:
        annotation["keypoints_vis"] = [bool(label) for label in annotation["keypoints_vis"]]
        annotation["is_valid"] = bool(annotation["is_valid"])
    assert_same_truth(load(tmp_path, file), expected)


def test_fields_are_read_as_they_are_meant(tmp_path: Path) -> None:
    file = coco_style(PERSONS)
    file["annotations"][0]["keypoints_vis"][3] = 0
    del file["annotations"][4]["bbox"], file["annotations"][4]["keypoints_vis"]
    del file["annotations"][4]["is_valid"]
    split = load(tmp_path, file)
    truth = split.truth
    assert truth is not None
    assert split.images.file_names == [
        "TS2/img_000000.jpg", "TS2/img_000001.jpg", "TS10/img_000000.jpg",
    ]  # fmt: skip
    assert split.images.sizes.tolist() == [[1920, 1080]] * 3
    assert split.images.folder is None
    assert truth.keypoints[0, :5, 2].tolist() == [2, 2, 2, 1, 2]
    assert (truth.keypoints[1:, :, 2] == 2).all()
    np.testing.assert_array_equal(truth.keypoints[3, :, :2], person(40)["annot2"].T)
    np.testing.assert_array_equal(truth.pose3d.joints_mm[3], person(40)["annot3"].T)
    assert truth.boxes.tolist() == [[1, 2, 3, 4]] * 4 + [[50, 67, 16, 16]]
    assert truth.areas.tolist() == [12] * 4 + [256]
    assert truth.is_ignored.tolist() == [False, True, False, False, False]
    assert truth.pose3d.sequences == ("TS2", "TS10")
    assert truth.pose3d.sequence_index.tolist() == [0, 0, 1]
    assert "sequences TS1, TS3" in split.notes[-1]


def test_persons_come_by_image_and_within_one_in_the_files_order(tmp_path: Path) -> None:
    file = coco_style(PERSONS)
    file["annotations"].reverse()
    file["images"].reverse()
    file["annotations"].append(file["annotations"][0] | {"id": 99, "image_id": 77})
    split = load(tmp_path, file)
    assert split.truth is not None
    assert split.images.ids.tolist() == [0, 1, 2]
    assert split.truth.person_ids.tolist() == [1, 0, 3, 2, 4]
    assert "1 annotations of images that the file does not list left out" in split.notes


def test_universal_poses_come_from_beside_and_from_around_the_file(tmp_path: Path) -> None:
    folder = beside(tmp_path)
    (folder / "TS2/img_000000.jpg").touch()
    before = load(tmp_path, coco_style(PERSONS))
    inside = load(folder, coco_style(PERSONS))
    official = load_own(folder, MUPOTS_17)
    for split in (before, inside):
        assert split.truth is not None
        assert split.truth.pose3d is not None
        assert split.truth.pose3d.has_universal
        np.testing.assert_array_equal(
            split.truth.pose3d.universal_mm, official.truth.pose3d.universal_mm
        )
        assert split.images.folder == folder
        assert not any(note.startswith(CAMERA) for note in split.notes)


def test_the_digest_covers_the_official_files_if_they_are_taken(tmp_path: Path) -> None:
    alone = load(tmp_path, coco_style(PERSONS)).annotations
    folder = beside(tmp_path)
    both = load(tmp_path, coco_style(PERSONS)).annotations
    assert both.size == alone.size + load_own(folder, MUPOTS_17).annotations.size
    changed = person(50)
    write_sequence(folder, "TS10", [[changed | {"univ_annot3": changed["annot3"]}]])
    other = load(tmp_path, coco_style(PERSONS)).annotations
    assert len({digest.sha256 for digest in (alone, both, other)}) == 3


def drop_last(file: Any) -> None:
    file["annotations"].pop()


def add_image(file: Any) -> None:
    file["images"].append({"id": 9, "file_name": "TS11/img_000000.jpg"})


def swap_persons(file: Any) -> None:
    first, second = file["annotations"][2:4]
    for field in ("keypoints_img", "keypoints_cam"):
        first[field], second[field] = second[field], first[field]


def make_valid(file: Any) -> None:
    file["annotations"][1]["is_valid"] = 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_last, "has 1 persons in TS10/img_000000.jpg, the file 0"),
        (add_image, "has no TS11/img_000000.jpg"),
        (swap_persons, "has other persons in TS2/img_000001.jpg (annotation 2)"),
        (make_valid, "has other persons in TS2/img_000000.jpg (annotation 1)"),
    ],
)
def test_other_persons_beside_the_file_are_not_taken_and_that_is_noted(
    tmp_path: Path, change: Callable[[Any], None], said: str
) -> None:
    beside(tmp_path)
    file = coco_style(PERSONS)
    change(file)
    split = load(tmp_path, file)
    assert split.truth is not None
    assert split.truth.pose3d is not None
    assert not split.truth.pose3d.has_universal
    (note,) = (note for note in split.notes if note.startswith(CAMERA))
    assert note.endswith(f"MultiPersonTestSet beside it {said}")


@pytest.mark.parametrize("place", ["mupots/MuPoTS-3D.json", "MuPoTS/data/MuPoTS-3D.json"])
def test_it_is_the_split_mupots_where_the_official_files_are_missing(
    tmp_path: Path, save: Callable[[str, Any], Path], place: str
) -> None:
    path = save(place, coco_style(PERSONS))
    split = load_split("mupots", tmp_path)
    assert (split.path, split.images.folder) == (path, None)
    assert any("TS1, TS3" in n and "over the 2 that are there" in n for n in split.notes)


def test_the_camera_of_an_image_is_its_intrinsic_where_it_has_one(tmp_path: Path) -> None:
    file = coco_style(PERSONS)
    file["images"][0]["intrinsic"] = [1500, 1490.5, 960, 540.25]
    del file["images"][1]["intrinsic"]
    file["images"].reverse()
    found = load(tmp_path, file).images.intrinsics
    assert found is not None
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[1500, 1490.5, 960, 540.25], [np.nan] * 4, [1, 1, 0, 0]])


def wrong(field: str, value: Any, row: int = 3) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file["annotations"][row][field] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrong("keypoints_cam", [[0, 0, 0]] * 14),
         "annotation 3 (image 1): keypoints_cam has 14 joints of 3 numbers, expected 17 of 3"),
        (wrong("keypoints_img", [[0, 0]] * 16 + [[0]]),
         "keypoints_img has 17 joints of 1 and 2 numbers, expected 17 of 2"),
        (wrong("keypoints_img", []), "keypoints_img has 0 joints of no numbers"),
        (wrong("keypoints_vis", [1] * 16), "(image 1): keypoints_vis has 16 numbers, expected 17"),
        (wrong("bbox", [1, 2]), "annotation 3 (image 1): bbox has 2 numbers, expected 4"),
        (wrong("id", 1), "annotation id 1 occurs more than once"),
        (wrong("keypoints_cam", [[0, 0, 1e300]] * K),
         "annotation 3 (image 1): keypoints_cam has a coordinate beyond 1e+09"),
        (wrong("keypoints_cam", [[float("nan")] * 3] * K),
         "annotation file.annotations[3].keypoints_cam[0][0] is not a finite number"),
        (wrong("keypoints_cam", "x"), "annotations[3].keypoints_cam: expected array, got str"),
        (lambda file: file["annotations"][0].pop("keypoints_cam"),
         "annotation file.annotations[0].keypoints_cam is missing"),
        (lambda file: file.pop("annotations"), "annotation file.annotations is missing"),
        (lambda file: file["images"].clear(), "images is empty"),
        (lambda file: file["images"][1].update(intrinsic=[1500, 1500]),
         "image 1: intrinsic has 2 numbers, expected 4: fx, fy, cx, cy"),
        (lambda file: file["images"][1].update(intrinsic=[1500, 0, 960, 540]),
         "image 1: intrinsic is [1500.0, 0.0, 960.0, 540.0], expected fx, fy, cx, cy in pixels"),
        (lambda file: file["images"][1].update(intrinsic=[1500, 1500, 1e12, 540]),
         "image 1: intrinsic is [1500.0, 1500.0, 1000000000000.0, 540.0], expected"),
        (lambda file: file["images"][1].update(file_name="a.jpg"),
         "image 1: file_name 'a.jpg' has no folder"),
        (lambda file: [a.update(keypoints_cam=(np.array(a["keypoints_cam"]) / 1000).tolist())
                       for a in file["annotations"]],
         "so they look like metres: expected millimetres"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_an_error_that_names_the_place(
    tmp_path: Path, change: Callable[[Any], object], said: str
) -> None:
    file = coco_style(PERSONS)
    change(file)
    with pytest.raises(InputError) as refused:
        load(tmp_path, file)
    assert str(refused.value).startswith(f"{tmp_path / 'MuPoTS-3D.json'}: ")
    assert said in str(refused.value)


def test_a_truncated_packed_file_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(json.dumps(coco_style(PERSONS)).encode())[:-30])
    with pytest.raises(InputError, match=r"can't be unpacked: .*truncated or damaged"):
        load_own(path, MUPOTS_17)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"annotations not found at .*none\.json"):
        load_own(tmp_path / "none.json", MUPOTS_17)
