"""From a split's name or an annotation file to the loaded split."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from crowdbench.datasets import load_own, load_split
from crowdbench.errors import InputError, MissingError, UnknownNameError, UsageError
from crowdbench.skeletons import COCO_17, CROWDPOSE_14

VAL = "coco/annotations/person_keypoints_val2017.json"


def test_a_split_has_its_images_by_id_and_its_persons_in_file_order(tmp_path, save, coco) -> None:
    path = save(VAL, coco())
    split = load_split("coco-val2017", tmp_path)
    assert split.images.ids.tolist() == [7, 8, 9]
    assert list(split.images.file_names) == ["7.jpg", "8.jpg", "9.jpg"]
    assert split.truth.person_ids.tolist() == [3, 1, 4, 2, 5]
    assert split.truth.is_ignored.tolist() == [False, False, True, False, True]
    assert (split.name, split.skeleton, split.area) == ("coco-val2017", COCO_17, "annotation")
    assert (split.official_tool, split.has_levels, split.limit) == ("pycocotools", False, None)
    assert split.path == path
    assert split.annotations.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_crowdpose_split_has_levels_and_its_own_tool_and_area(tmp_path, save, coco) -> None:
    save("crowdpose/json/crowdpose_val.json", coco(14, crowdIndex=0.5))
    split = load_split("crowdpose-val", tmp_path)
    assert (split.official_tool, split.has_levels) == ("crowdposetools", True)
    assert split.truth.crowd_index.tolist() == [0.5, 0.5, 0.5]
    np.testing.assert_allclose(split.truth.areas, 0.53 * 20 * 30)


@pytest.mark.parametrize(
    "place",
    [
        VAL,
        "coco/person_keypoints_val2017.json",
        "COCO/annotations/person_keypoints_val2017.json",
        "annotations/person_keypoints_val2017.json",
        "person_keypoints_val2017.json",
    ],
)
def test_coco_is_found_in_every_usual_layout(tmp_path, save, coco, place) -> None:
    path = save(place, coco())
    assert load_split("coco-val2017", tmp_path).path == path


@pytest.mark.parametrize(
    "place",
    [
        "crowdpose/json/crowdpose_test.json",
        "crowdpose/annotations/crowdpose_test.json",
        "crowdpose/crowdpose_test.json",
        "crowdpose/annotations/mmpose_crowdpose_test.json",
        "CrowdPose/json/crowdpose_test.json",
        "crowd_pose/json/crowdpose_test.json",
        "crowdpose_test.json",
    ],
)
def test_crowdpose_is_found_in_every_usual_layout(tmp_path, save, coco, place) -> None:
    path = save(place, coco(14))
    assert load_split("crowdpose-test", tmp_path).path == path


@pytest.mark.parametrize(
    "place",
    [
        "ochuman/annotations/ochuman_coco_format_val_range_0.00_1.00.json",
        "OCHuman/ochuman_coco_format_val_range_0.00_1.00.json",
        "ochuman_coco_format_val_range_0.00_1.00.json",
    ],
)
def test_ochuman_in_coco_format_goes_before_its_native_file(
    tmp_path, save, coco, native, native_person, place
) -> None:
    path = save(place, coco())
    save("ochuman/ochuman.json", native([native_person()]))
    split = load_split("ochuman-val", tmp_path)
    assert split.path == path
    assert split.truth.max_iou is None


def test_ochuman_is_made_from_its_native_file_when_nothing_else_is_there(
    tmp_path, save, native, native_person
) -> None:
    path = save("ochuman/ochuman.json", native([native_person()], [native_person(max_iou=0.8)]))
    split = load_split("ochuman-val-hard", tmp_path)
    assert split.path == path
    assert list(split.images.file_names) == ["000002.jpg"]
    assert "max_iou < 1" in split.notes[0]


def test_the_image_folder_is_the_first_known_one_that_is_there(tmp_path, save, coco) -> None:
    save(VAL, coco())
    assert load_split("coco-val2017", tmp_path).images.folder is None
    (tmp_path / "images" / "val2017").mkdir(parents=True)
    assert load_split("coco-val2017", tmp_path).images.folder == tmp_path / "images" / "val2017"
    (tmp_path / "coco" / "val2017").mkdir()
    assert load_split("coco-val2017", tmp_path).images.folder == tmp_path / "coco" / "val2017"


def test_a_limit_keeps_the_first_images_by_id_and_the_ids_of_all(tmp_path, save, coco) -> None:
    save(VAL, coco())
    split = load_split("coco-val2017", tmp_path, limit=1)
    assert split.images.ids.tolist() == [7]
    assert split.known_ids.tolist() == [7, 8, 9]
    assert split.truth.person_ids.tolist() == [3, 1, 4]
    assert split.limit == 1


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(tmp_path, save, coco, limit) -> None:
    path = save(VAL, coco())
    with pytest.raises(UsageError, match=f"limit is {limit}, expected 1 or more"):
        load_split("coco-val2017", tmp_path, limit)
    with pytest.raises(UsageError, match=f"limit is {limit}, expected 1 or more"):
        load_own(path, COCO_17, limit)


def test_other_counts_than_the_official_ones_are_noted(tmp_path, save, coco) -> None:
    save(VAL, coco())
    (note,) = load_split("coco-val2017", tmp_path, limit=1).notes
    assert "not the official coco-val2017" in note
    assert "3 images instead of 5000" in note
    assert "5 persons instead of 11004" in note
    assert "3 evaluated instead of 6352" in note


def test_the_official_file_has_no_notes(shared) -> None:
    split = load_split("crowdpose-val", shared / "data")
    assert split.notes == ()
    assert int((~split.truth.is_ignored).sum()) == 7074


def test_counts_that_only_papers_state_are_not_noted(tmp_path, save, coco) -> None:
    save("ochuman/ochuman_coco_format_test_range_0.00_1.00.json", coco())
    (note,) = load_split("ochuman-test", tmp_path).notes
    assert "3 images instead of 2231" in note
    assert "3819" not in note


def test_test_dev_has_no_truth(tmp_path, save, coco) -> None:
    file = coco()
    del file["annotations"]
    save("coco/annotations/image_info_test-dev2017.json", file)
    split = load_split("coco-test-dev", tmp_path)
    assert split.truth is None
    assert "3 images instead of 20288" in split.notes[0]


def test_a_split_with_public_truth_needs_it(tmp_path, save, coco) -> None:
    file = coco()
    del file["annotations"]
    save(VAL, file)
    with pytest.raises(InputError, match=r"val2017\.json: annotations is missing"):
        load_split("coco-val2017", tmp_path)


def test_an_unknown_split_suggests_the_nearest(tmp_path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean ochuman-test"):
        load_split("ochuman-tset", tmp_path)


def test_a_missing_file_says_what_where_and_how_to_get_it(tmp_path) -> None:
    with pytest.raises(MissingError) as caught:
        load_split("ochuman-test", tmp_path)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert "ochuman-test: annotations not found" in message
    assert "tried ochuman/annotations/ochuman_coco_format_test_range_0.00_1.00.json" in message
    assert f"and 11 more under the data root {tmp_path}" in message
    assert "--data-root or CROWDBENCH_DATA" in message
    assert "https://github.com/liruilong940607/OCHumanApi" in message
    assert message.count("\n") == 1


def test_a_data_root_that_does_not_exist_is_said_so(tmp_path) -> None:
    with pytest.raises(MissingError, match=r"the data root .*/nowhere does not exist"):
        load_split("coco-val2017", tmp_path / "nowhere")


def test_a_relative_data_root_is_named_in_full(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError, match=f"{tmp_path}/data does not exist"):
        load_split("coco-val2017", Path("data"))


def test_a_data_root_that_is_a_file_is_said_so(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingError, match="file is not a folder"):
        load_split("coco-val2017", tmp_path / "file")


def test_a_data_root_without_permission_is_said_so(tmp_path, monkeypatch) -> None:
    # The superuser may read everything, so the answer of the system is replaced.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(MissingError, match="can't be read"):
        load_split("coco-val2017", tmp_path)


def test_a_file_of_another_data_set_is_recognised(tmp_path, save, coco) -> None:
    save(VAL, coco(14))
    with pytest.raises(InputError, match=r"14 keypoints, coco-17 has 17.*another data set"):
        load_split("coco-val2017", tmp_path)


def test_a_file_of_another_data_set_is_recognised_without_categories(tmp_path, save, coco) -> None:
    save("crowdpose_val.json", coco() | {"categories": []})
    with pytest.raises(InputError, match=r"keypoints must be 42 numbers.*found 51"):
        load_split("crowdpose-val", tmp_path)


def test_a_results_file_is_recognised(tmp_path, save) -> None:
    path = save(VAL, [{"image_id": 1, "category_id": 1, "keypoints": [], "score": 1}])
    for load in (lambda: load_split("coco-val2017", tmp_path), lambda: load_own(path, COCO_17)):
        with pytest.raises(InputError, match=r"a list, as files of results .*expected annotations"):
            load()


def test_a_native_file_in_place_of_coco_format_is_recognised(save, native, native_person) -> None:
    path = save("own.json", native([native_person()]))
    with pytest.raises(InputError, match=r"OCHuman's native format.*--split ochuman-val"):
        load_own(path, COCO_17)


def test_coco_format_in_place_of_the_native_file_is_recognised(tmp_path, save, coco) -> None:
    save("ochuman/ochuman.json", coco())
    with pytest.raises(InputError, match=r"COCO's format, expected OCHuman's native one"):
        load_split("ochuman-val", tmp_path)


def test_a_results_file_in_place_of_the_native_file_is_recognised(tmp_path, save) -> None:
    save("ochuman/ochuman.json", [])
    with pytest.raises(InputError, match="a list, as files of results"):
        load_split("ochuman-val", tmp_path)


def test_a_broken_file_keeps_its_own_message(tmp_path, save) -> None:
    path = save(VAL, {})
    path.write_text('{"images": [{"id": 1')
    with pytest.raises(InputError, match="ends too early"):
        load_split("coco-val2017", tmp_path)


def test_a_wrong_field_keeps_its_own_message(tmp_path, save, coco) -> None:
    file = coco()
    del file["images"][0]["id"]
    save(VAL, file)
    with pytest.raises(InputError, match=r"images\[0\].*id is missing"):
        load_split("coco-val2017", tmp_path)


def test_own_annotations_make_a_split_named_after_the_file(save, coco) -> None:
    split = load_own(save("elsewhere/mine.json", coco()), COCO_17)
    assert (split.name, split.official_tool, split.has_levels) == ("mine", "pycocotools", False)
    assert split.images.folder is None
    assert split.notes == ()


def test_own_annotations_with_crowdpose_keypoints_are_treated_as_crowdpose(save, coco) -> None:
    split = load_own(save("mine.json", coco(14)), CROWDPOSE_14, limit=2)
    assert (split.official_tool, split.has_levels) == ("crowdposetools", True)
    assert (split.area, split.limit) == ("0.53*box", 2)


def test_missing_own_annotations_are_named(tmp_path) -> None:
    with pytest.raises(MissingError, match=r"annotations not found at .*none\.json"):
        load_own(tmp_path / "none.json", COCO_17)


def test_a_folder_in_place_of_own_annotations_is_said_so(tmp_path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        load_own(tmp_path, COCO_17)


def test_a_linked_data_folder_is_followed(tmp_path, save, coco) -> None:
    save("disk/annotations/person_keypoints_val2017.json", coco())
    root = tmp_path / "root"
    root.mkdir()
    (root / "coco").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert len(load_split("coco-val2017", root).images) == 3


def test_real_ochuman_annotations_load_from_the_usual_place(tmp_path, shared) -> None:
    place = tmp_path / "ochuman_coco_format_val_range_0.00_1.00.json"
    shutil.copy(shared / "data" / "ochuman" / "test_ochuman.json", place)
    split = load_split("ochuman-val", tmp_path)
    np.testing.assert_array_equal(
        split.truth.areas, split.truth.boxes[:, 2] * split.truth.boxes[:, 3]
    )
