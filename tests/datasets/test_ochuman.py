"""OCHuman's native file, converted as the official API does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.datasets.coco_format import Annotations, read_annotations
from crowdbench.datasets.manifest import NativeSource
from crowdbench.datasets.ochuman import read_ochuman
from crowdbench.errors import InputError
from crowdbench.skeletons import COCO_17

PATH = Path("ochuman.json")


def convert(file: Any, part: str = "val", low: float = 0.0, high: float = 1.0) -> Annotations:
    content = file if isinstance(file, bytes) else json.dumps(file).encode()
    return read_ochuman(PATH, content, NativeSource((), part, low, high))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("all_0.00_1.00", 0, 1), ("all_0.50_0.75", 0.5, 0.75), ("all_0.75_1.00", 0.75, 1)],
)
def test_the_conversion_equals_the_official_one(shared, name, low, high) -> None:
    native = (shared / "data" / "ochuman" / "ochuman_native_60.json").read_bytes()
    reference = json.loads((shared / "reference/oks/ochuman_native_60_coco.json").read_bytes())
    file = reference["conversions"][name] | {"categories": reference["categories"]}
    expected = read_annotations(PATH, json.dumps(file).encode(), COCO_17, "annotation")
    assert expected.truth is not None

    found = convert(native, "val", low, high)
    assert found.truth is not None
    assert found.category_id == expected.category_id
    assert list(found.images.file_names) == list(expected.images.file_names)
    np.testing.assert_array_equal(found.images.ids, expected.images.ids)
    np.testing.assert_array_equal(found.images.sizes, expected.images.sizes)
    for field in (
        "image_ids",
        "image_index",
        "person_ids",
        "keypoints",
        "boxes",
        "areas",
        "is_crowd",
        "is_ignored",
    ):
        np.testing.assert_array_equal(
            getattr(found.truth, field), getattr(expected.truth, field), err_msg=field
        )
        assert getattr(found.truth, field).dtype == getattr(expected.truth, field).dtype
    assert ((low <= found.truth.max_iou) & (found.truth.max_iou < high)).all()
    labelled = (found.truth.keypoints[:, :, 2] > 0).sum(1)
    assert labelled.tolist() == [a["num_keypoints"] for a in file["annotations"]]


def test_the_synthetic_file_has_nobody_in_the_test_part(shared) -> None:
    native = (shared / "data" / "ochuman" / "ochuman_native_60.json").read_bytes()
    with pytest.raises(InputError, match="of 60 images 43 have persons with keypoints and mask"):
        convert(native, "test")


def test_joints_come_in_cocos_order_with_cocos_visibility(native, native_person) -> None:
    keypoints = [0] * 57
    keypoints[16 * 3 : 16 * 3 + 3] = [5, 6, 1]  # nose, visible
    keypoints[18 * 3 : 18 * 3 + 3] = [7, 8, 2]  # left eye, occluded by oneself
    keypoints[0:3] = [9, 10, 3]  # right shoulder, occluded by others
    keypoints[12 * 3 : 12 * 3 + 3] = [1, 1, 1]  # head, which COCO does not have
    truth = convert(native([native_person(keypoints=keypoints)])).truth
    expected = np.zeros((17, 3))
    expected[0] = 5, 6, 2
    expected[1] = 7, 8, 2
    expected[6] = 9, 10, 1
    np.testing.assert_array_equal(truth.keypoints[0], expected)


def test_a_person_with_only_head_and_neck_is_there_but_not_evaluated(native, native_person) -> None:
    keypoints = [0] * 36 + [1, 1, 1] * 2 + [0] * 15
    truth = convert(native([native_person(keypoints=keypoints)])).truth
    assert truth.is_ignored.tolist() == [True]


def test_corners_become_a_box_whose_whole_area_counts(native, native_person) -> None:
    truth = convert(native([native_person(bbox=[10, 20.5, 40, 80])])).truth
    assert truth.boxes.tolist() == [[10, 20.5, 30, 59.5]]
    assert truth.areas.tolist() == [30 * 59.5]


@pytest.mark.parametrize(
    "lack", [{"keypoints": None}, {"keypoints": []}, {"segms": None}, {"segms": {}}, {"segms": []}]
)
def test_persons_without_keypoints_or_mask_do_not_count(native, native_person, lack) -> None:
    found = convert(native([native_person(**lack)], [native_person(), native_person(**lack)]))
    assert list(found.images.file_names) == ["000002.jpg"]
    assert found.images.ids.tolist() == [1]
    assert found.truth.person_ids.tolist() == [1]


def test_the_first_2500_usable_images_are_val_and_the_others_test(native, native_person) -> None:
    images = [[native_person(segms=None)]] * 10 + [[native_person()]] * 2502
    file = json.dumps(native(*images)).encode()
    val, test = convert(file, "val"), convert(file, "test")
    assert len(val.images) == 2500
    assert (val.images.file_names[0], val.images.file_names[-1]) == ("000011.jpg", "002510.jpg")
    assert list(test.images.file_names) == ["002511.jpg", "002512.jpg"]
    assert test.images.ids.tolist() == [1, 2]


def test_the_range_has_its_lower_and_not_its_upper_bound(native, native_person) -> None:
    ious = [0.0, 0.49, 0.5, 0.74, 0.75, 0.99, 1.0]
    file = native(*([native_person(max_iou=iou)] for iou in ious))
    assert convert(file).truth.max_iou.tolist() == ious[:-1]
    assert convert(file, low=0.5, high=0.75).truth.max_iou.tolist() == [0.5, 0.74]
    assert convert(file, low=0.75).truth.max_iou.tolist() == [0.75, 0.99]


def test_the_range_decides_after_the_parts_are_cut(native, native_person) -> None:
    images = [[native_person(max_iou=0.1)]] * 2500 + [[native_person(max_iou=0.6)]]
    file = native(*images)
    assert len(convert(file, "test", 0.5, 0.75).images) == 1
    with pytest.raises(InputError, match=r"no person of part val has 0\.5 <= max_iou < 0\.75"):
        convert(file, "val", 0.5, 0.75)


def test_the_notes_say_how_it_was_made_and_who_was_lost(native, native_person) -> None:
    assert convert(native([native_person()])).notes == (
        "made from OCHuman's native file as the official API does: part val, 0 <= max_iou < 1",
    )
    (note,) = convert(native([native_person(), native_person(max_iou=1)])).notes
    assert note.endswith("persons outside this range left out: 1")


def test_codes_of_visibility_are_read_from_the_file(native, native_person) -> None:
    codes = {"missing": 9, "vis": 7, "self_occluded": 8, "others_occluded": 6}
    person = native_person(keypoints=[1, 2, 6] * 19)
    truth = convert(native([person], keypoint_visible=codes)).truth
    assert set(truth.keypoints[0, :, 2]) == {1}


def test_a_file_without_one_of_cocos_keypoints_is_refused(native, native_person) -> None:
    with pytest.raises(InputError, match="keypoint_names lacks nose, left_eye"):
        convert(native([native_person()], keypoint_names=["neck"]))


def test_other_words_for_visibility_are_refused(native, native_person) -> None:
    with pytest.raises(InputError, match="keypoint_visible names seen, expected missing, vis"):
        convert(native([native_person()], keypoint_visible={"seen": 1}))


def test_an_unknown_code_of_visibility_names_image_and_keypoint(native, native_person) -> None:
    person = native_person(keypoints=[1, 1, 1] * 4 + [1, 1, 4] * 15)
    with pytest.raises(InputError, match=r"image 000002\.jpg: keypoint 4 has visibility 4"):
        convert(native([native_person()], [person]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1, 2, 1]}, "image 000001.jpg: keypoints has 3 numbers, expected 57"),
        ({"bbox": [1, 2, 3]}, "image 000001.jpg: bbox has 3 numbers, expected 4 numbers x1, y1"),
    ],
)
def test_a_row_of_the_wrong_length_names_the_image(native, native_person, change, message) -> None:
    with pytest.raises(InputError, match=message):
        convert(native([native_person(**change)]))


def test_a_missing_field_names_its_place(native, native_person) -> None:
    person = native_person()
    del person["max_iou"]
    with pytest.raises(InputError, match=r"images.*annotations.*max_iou is missing"):
        convert(native([person]))


def test_an_image_size_beyond_64_bits_is_refused(native, native_person) -> None:
    file = native([native_person()])
    file["images"][0]["width"] = 2**70
    with pytest.raises(InputError, match=r"images\[0\]\.width: expected int <="):
        convert(file)
