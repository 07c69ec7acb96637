"""Person boxes from the annotations or a detector."""

from __future__ import annotations

import hashlib

import pytest

from crowdbench.datasets import load_boxes, load_split
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, MissingError, UnknownNameError

VAL = "coco/annotations/person_keypoints_val2017.json"
USUAL = "COCO_val2017_detections_AP_H_56_person.json"


@pytest.fixture
def split(tmp_path, save, coco) -> Split:
    save(VAL, coco())
    return load_split("coco-val2017", tmp_path)


def box(image_id: int, score: float = 0.5, **changes: object) -> dict[str, object]:
    entry = {"image_id": image_id, "category_id": 1, "bbox": [1, 2, 3, 4], "score": score}
    return entry | changes


def test_gt_are_the_boxes_of_the_evaluated_persons_as_annotated(split, tmp_path) -> None:
    boxes = load_boxes("gt", split, tmp_path)
    assert boxes.source == "gt"
    assert boxes.image_index.tolist() == [0, 0, 1]
    assert boxes.boxes.tolist() == [[3, 3, 20, 30], [1, 1, 20, 30], [2, 2, 20, 30]]
    assert boxes.scores.tolist() == [1, 1, 1]


def test_gt_of_a_split_without_public_truth_is_missing(tmp_path, save, coco) -> None:
    file = coco()
    del file["annotations"]
    save("image_info_test-dev2017.json", file)
    with pytest.raises(MissingError, match="coco-test-dev has no public ground truth"):
        load_boxes("gt", load_split("coco-test-dev", tmp_path), tmp_path)


def test_a_detectors_boxes_come_by_image_and_within_it_in_file_order(split, tmp_path, save) -> None:
    path = save(
        "mine.json", [box(9, 0.1), box(7, 0.2), box(9, 0.9), box(7, 0.3, bbox=[0, 0, 0, 9])]
    )
    boxes = load_boxes(path, split, tmp_path)
    assert boxes.image_index.tolist() == [0, 0, 2, 2]
    assert boxes.scores.tolist() == [0.2, 0.3, 0.1, 0.9]
    assert boxes.boxes[1].tolist() == [0, 0, 0, 9]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert boxes.source == f"file:mine.json#{digest[:12]}"


def test_boxes_of_other_categories_are_left_out(split, tmp_path, save) -> None:
    path = save("mine.json", [box(7, 0.1, category_id=18), box(7, 0.2), box(4, category_id=3)])
    assert load_boxes(path, split, tmp_path).scores.tolist() == [0.2]


def test_boxes_without_a_category_are_persons(split, tmp_path, save) -> None:
    entry = box(7)
    del entry["category_id"]
    assert len(load_boxes(save("mine.json", [entry]), split, tmp_path).boxes) == 1


def test_boxes_of_images_outside_the_limit_are_left_out(tmp_path, save, coco) -> None:
    save(VAL, coco())
    split = load_split("coco-val2017", tmp_path, limit=1)
    path = save("mine.json", [box(9, 0.1), box(7, 0.2)])
    assert load_boxes(str(path), split, tmp_path).scores.tolist() == [0.2]


def test_a_usual_box_file_is_found_by_its_name(split, tmp_path, save) -> None:
    save(f"coco/person_detection_results/{USUAL}", [box(8)])
    boxes = load_boxes(USUAL, split, tmp_path)
    assert boxes.image_index.tolist() == [1]
    assert boxes.source.startswith(f"file:{USUAL}#")


def test_a_file_of_that_name_in_the_current_folder_goes_first(
    split, tmp_path, save, monkeypatch
) -> None:
    save(f"coco/{USUAL}", [box(8)])
    save(f"here/{USUAL}", [box(9)])
    monkeypatch.chdir(tmp_path / "here")
    assert load_boxes(USUAL, split, tmp_path).image_index.tolist() == [2]


def test_a_usual_box_file_that_is_missing_says_where_it_was_looked_for(split, tmp_path) -> None:
    with pytest.raises(MissingError) as caught:
        load_boxes(USUAL, split, tmp_path)
    message = str(caught.value)
    assert f"coco-val2017: boxes {USUAL} not found" in message
    assert f"tried coco/person_detection_results/{USUAL} and 8 more" in message
    assert "deep-high-resolution-net" in message


def test_an_unknown_word_suggests_what_is_known(split, tmp_path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown box source 'gtt'; did you mean gt\?"):
        load_boxes("gtt", split, tmp_path)


def test_a_missing_detector_file_is_named(split, tmp_path) -> None:
    with pytest.raises(MissingError, match=r"boxes not found at .*none\.json"):
        load_boxes(tmp_path / "none.json", split, tmp_path)


def test_boxes_of_unknown_images_are_refused_with_the_first_one(split, tmp_path, save) -> None:
    path = save("mine.json", [box(1, category_id=2), box(7), box(77), box(78)])
    with pytest.raises(InputError, match=r"2 of 3 boxes are of images .*boxes\[2\] of image 77"):
        load_boxes(path, split, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([box(7), box(7, bbox=[1, 2, 3])], r"boxes\[1\]\.bbox has 3 numbers, expected 4"),
        ([box(7, bbox=[1, 2, -3, 4])], r"boxes\[0\]\.bbox has a negative width or height"),
        ([box(7, category_id=2)], r"none of 1 boxes is a person \(category_id 1\)"),
        ([], r"none of 0 boxes is a person"),
        ([{"image_id": 7, "bbox": [1, 2, 3, 4]}], r"boxes\[0\]\.score is missing"),
        ([box(7, score="high")], r"boxes\[0\]\.score: expected float, got str"),
        ({"images": []}, "boxes: expected array, got object"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(split, tmp_path, save, content, message) -> None:
    with pytest.raises(InputError, match=message):
        load_boxes(save("mine.json", content), split, tmp_path)


def test_real_detector_boxes_are_read(shared, tmp_path) -> None:
    from crowdbench.datasets import load_own
    from crowdbench.skeletons import COCO_17

    folder = shared / "data" / "coco_tiny"
    split = load_own(folder / "test_coco.json", COCO_17)
    boxes = load_boxes(folder / "test_coco_det_AP_H_56.json", split, tmp_path)
    assert len(boxes.boxes) == 118
    assert (boxes.scores <= 1).all()
    assert len(load_boxes("gt", split, tmp_path).boxes) == 12


def rooted(*roots: object) -> list[dict[str, object]]:
    """Return entries of RootNet's results file."""
    entries = [box(7 + i % 3, root_cam=root) for i, root in enumerate(roots)]
    for entry in entries:
        del entry["category_id"]
    return entries


def test_boxes_of_rootnets_results_have_their_roots(split, tmp_path, save) -> None:
    roots = [[1, 2, 3000.5], [4, 5, 6000], [7, 8, 2000], [-9, 9, 4000]]
    boxes = load_boxes(save("mine.json", rooted(*roots)), split, tmp_path)
    assert boxes.image_index.tolist() == [0, 0, 1, 2]
    assert boxes.roots_mm is not None
    assert boxes.roots_mm.tolist() == [roots[0], roots[3], roots[1], roots[2]]
    kept = boxes.of_images(0, 1).roots_mm
    assert kept is not None
    assert kept.tolist() == [roots[0], roots[3]]


def test_boxes_of_a_limit_keep_their_own_roots(tmp_path, save, coco) -> None:
    save(VAL, coco())
    split = load_split("coco-val2017", tmp_path, limit=2)
    path = save("mine.json", list(reversed(rooted([1, 1, 3000], [2, 2, 4000], [3, 3, 5000]))))
    roots = load_boxes(path, split, tmp_path).roots_mm
    assert roots is not None
    assert roots.tolist() == [[1, 1, 3000], [2, 2, 4000]]


def test_other_boxes_have_no_roots(split, tmp_path, save) -> None:
    assert load_boxes(save("mine.json", [box(7)]), split, tmp_path).roots_mm is None
    assert load_boxes("gt", split, tmp_path).roots_mm is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            [*rooted([1, 2, 3000]), box(7), *rooted([1, 2, 3000])],
            r"boxes\[1\] has no root_cam, boxes\[0\] has one: expected it in all entries",
        ),
        (rooted([1, 2, 3000], [1, 2]), r"boxes\[1\]\.root_cam has 2 numbers, expected 3: X, Y, Z"),
        (rooted([1, 2, float("nan")]), r"root_cam\[2\] is not a finite number"),
        (
            rooted([1, 2, 3000], [1, 2, -3000]),
            r"boxes\[1\]\.root_cam is \[1\.0, 2\.0, -3000\.0\], expected .* Z above 0",
        ),
        (rooted([1, 1e300, 3000]), r"boxes\[0\]\.root_cam is \[1\.0, 1e\+300, 3000\.0\]"),
        (
            rooted([0.1, 0.2, 3.2], [0.1, 0.2, 5.2]),
            r"median depth of root_cam is 4\.2, so they look like metres: .* multiply them by 1000",
        ),
        (rooted("near"), r"boxes\[0\]\.root_cam: expected array \| null, got str"),
    ],
)
def test_wrong_roots_are_refused_with_the_place(split, tmp_path, save, content, message) -> None:
    with pytest.raises(InputError, match=message) as refused:
        load_boxes(save("mine.json", content), split, tmp_path)
    assert "\n" not in str(refused.value)
