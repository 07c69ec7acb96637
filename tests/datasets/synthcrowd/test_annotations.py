"""The truth about a picture as entries in COCO's format."""

from __future__ import annotations

import msgspec
import numpy as np
from pycocotools import mask as coco_mask

from crowdbench.conditions.crowd_index import crowd_index
from crowdbench.datasets.coco_format import read_annotations
from crowdbench.datasets.synthcrowd.annotations import Entries, describe, file_head
from crowdbench.datasets.synthcrowd.picture import Picture
from crowdbench.skeletons import COCO_17


def test_an_image_has_its_name_size_and_camera(picture: Picture) -> None:
    image = describe(picture, "val", 6).image
    assert (image.id, image.file_name, image.width, image.height) == (7, "000006.png", 200, 160)
    assert image.intrinsics == {"focal": 280.1235, "centre_x": 99.5, "centre_y": 79.5}


def test_masks_have_the_area_and_the_visible_fraction(picture: Picture) -> None:
    people = picture.people
    for row, person in enumerate(describe(picture, "val", 0).persons):
        whole = coco_mask.decode(person.segmentation).astype(bool)
        seen = coco_mask.decode(person.visible_mask).astype(bool)
        np.testing.assert_array_equal(whole, people.silhouettes[row])
        np.testing.assert_array_equal(seen, people.visible[row])
        assert coco_mask.area(person.segmentation) == person.area
        assert coco_mask.toBbox(person.segmentation).tolist() == person.bbox
        assert person.visible_fraction == round(
            coco_mask.area(person.visible_mask) / person.area, 4
        )


def test_who_is_covered_but_for_a_sliver_is_not_labelled_but_keeps_the_3d_truth(
    picture: Picture,
) -> None:
    *others, hidden = describe(picture, "val", 0).persons
    assert [person.visible_fraction for person in others] == [1, 0.5]
    assert [person.num_keypoints for person in others] == [14, 14]
    assert hidden.visible_fraction == 0.05
    assert hidden.num_keypoints == 0
    assert hidden.keypoints == [0] * 51
    assert hidden.keypoints_crowdpose == [0] * 42
    assert hidden.joints_mm == [[1234.6] * 3] * 17
    assert hidden.joint_visibility == [2] * 17


def test_keypoints_have_two_decimals_and_zeros_where_not_labelled(picture: Picture) -> None:
    person = describe(picture, "val", 0).persons[0]
    assert person.keypoints == [60.33, 70.33, 2] * 14 + [0, 0, 0] * 3
    assert person.keypoints_crowdpose == [60.33, 70.33, 2] * 14
    assert person.action == "walking"


def test_the_highest_overlap_is_that_of_boxes(picture: Picture) -> None:
    ious = [person.max_iou for person in describe(picture, "val", 0).persons]
    assert ious == [round(1 / 3, 4), round(1 / 3, 4), 0]


def test_ids_depend_on_no_other_image(picture: Picture) -> None:
    entries = describe(picture, "val", 6)
    assert [person.id for person in entries.persons] == [701, 702, 703]
    assert {person.image_id for person in entries.persons} == {7}
    assert {box.image_id for box in entries.boxes} == {7}


def test_what_is_written_is_read_back(tmp_path, picture: Picture) -> None:
    entries = [describe(picture, "val", index) for index in range(2)]
    content = msgspec.json.encode(
        {
            **file_head("val"),
            "images": [entry.image for entry in entries],
            "annotations": [person for entry in entries for person in entry.persons],
        }
    )
    found = read_annotations(tmp_path, content, COCO_17, "annotation")
    assert found.notes == ()
    truth = found.truth
    assert truth is not None
    assert truth.is_ignored.tolist() == [False, False, True] * 2
    np.testing.assert_array_equal(truth.areas, np.tile(picture.people.areas, 2))
    assert truth.max_iou is not None
    # Each of the two has its own keypoints and the other's on the edge of its box or inside.
    assert truth.crowd_index is not None
    assert truth.crowd_index.tolist() == crowd_index(truth, 17).tolist()
    assert (truth.crowd_index > 0).all()


def test_the_bytes_are_the_same_and_in_a_fixed_order(picture: Picture) -> None:
    first, second = (msgspec.json.encode(describe(picture, "val", 3)) for _ in range(2))
    assert first == second
    assert first.startswith(
        b'{"image":{"id":4,"file_name":"000003.png","width":200,"height":160,"crowdIndex":'
    )
    assert b'"iscrowd":0,"num_keypoints":14,"keypoints":[60.33,70.33,2,' in first
    assert msgspec.json.encode(msgspec.json.decode(first, type=Entries)) == first


def test_parts_have_other_boxes(picture: Picture) -> None:
    assert describe(picture, "val", 0).boxes != describe(picture, "test", 0).boxes
