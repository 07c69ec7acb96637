"""What is there of the known data sets, and whether it is right."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec
import pytest

from crowdbench.datasets import load_split, manifest
from crowdbench.datasets.manifest import split_names
from crowdbench.datasets.verify import list_splits, show, verify
from crowdbench.errors import MissingError, UnknownNameError

VAL = "coco/annotations/person_keypoints_val2017.json"
OCHUMAN = "ochuman/annotations/ochuman_coco_format_val_range_0.00_1.00.json"


def test_all_splits_are_listed_even_without_a_data_root(tmp_path) -> None:
    found = list_splits(tmp_path / "nowhere")
    assert [files.name for files in found] == split_names()
    assert not any(files.is_present for files in found)
    assert all(files.get.startswith("http") != files.can_be_made for files in found)


def test_the_list_says_which_files_were_found(tmp_path, save, coco) -> None:
    path = save(VAL, coco())
    boxes = save("coco/COCO_val2017_detections_AP_H_56_person.json", [])
    (tmp_path / "coco" / "val2017").mkdir()
    (present,) = (files for files in list_splits(tmp_path) if files.is_present)
    assert (present.name, present.path) == ("coco-val2017", path)
    assert present.images == tmp_path / "coco" / "val2017"
    assert present.boxes == {boxes.name: boxes}
    assert not present.is_native


def test_one_native_file_serves_every_split_of_ochuman(tmp_path, save) -> None:
    save("ochuman/ochuman.json", {})
    present = [files for files in list_splits(tmp_path) if files.is_present]
    assert len(present) == 6
    assert all(files.is_native for files in present)


def test_show_gives_a_data_set_with_all_its_splits(tmp_path) -> None:
    facts = show("crowdpose", tmp_path)
    assert facts.manifest.title == "CrowdPose"
    assert len(facts.splits) == len(facts.files) == 4


def test_show_gives_one_split_with_its_data_set(tmp_path, save, coco) -> None:
    path = save(VAL, coco())
    facts = show("coco-val2017", tmp_path)
    assert facts.manifest.name == "coco"
    assert [(split.name, split.counts.images) for split in facts.splits] == [("coco-val2017", 5000)]
    assert facts.files[0].path == path


@pytest.mark.parametrize("ask", [show, verify])
def test_an_unknown_name_suggests_data_sets_and_splits(tmp_path, ask) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown data set or split 'ochumn'.*ochuman"):
        ask("ochumn", tmp_path)


@pytest.mark.parametrize("name", ["coco", "coco-train2017"])
def test_verify_of_what_is_not_there_is_an_error_with_advice(tmp_path, name) -> None:
    with pytest.raises(MissingError, match="coco-train2017: annotations not found"):
        verify(name, tmp_path)


def test_the_official_file_passes(shared) -> None:
    (check,) = verify("crowdpose-val", shared / "data")
    assert check.passes
    assert [(c.what, c.state) for c in check.counts] == [
        ("images", "ok"),
        ("persons", "ok"),
        ("evaluated", "ok"),
    ]
    path = shared / "data" / "crowdpose" / "crowdpose_val.json"
    assert check.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert check.images is None


def test_absent_splits_of_a_data_set_do_not_fail_it(shared) -> None:
    checks = verify("crowdpose", shared / "data")
    assert [check.passes for check in checks] == [None, True, None, None]


def test_other_counts_fail(tmp_path, save, coco) -> None:
    save(VAL, coco())
    (check,) = verify("coco-val2017", tmp_path)
    assert check.passes is False
    assert check.problem is None
    assert [(c.what, c.found, c.expected, c.state) for c in check.counts] == [
        ("images", 3, 5000, "differs"),
        ("persons", 5, 11004, "differs"),
        ("evaluated", 3, 6352, "differs"),
    ]


def test_another_digest_than_the_known_one_fails(tmp_path, save, coco, monkeypatch) -> None:
    path = save("ochuman/ochuman_coco_format_val_range_0.50_0.75.json", coco())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = manifest.load_manifests()
    for expected, passes in ((digest, True), ("0" * 64, False)):
        splits = tuple(
            msgspec.structs.replace(split, sha256=expected) for split in known["ochuman"].splits
        )
        facts = msgspec.structs.replace(known["ochuman"], splits=splits)
        monkeypatch.setattr(manifest, "_manifests", lambda facts=facts: {"ochuman": facts})
        (check,) = verify("ochuman-val-moderate", tmp_path)
        assert (check.passes, check.expected_sha256) == (passes, expected)
        notes = load_split("ochuman-val-moderate", tmp_path).notes
        assert any(f"sha256 {digest[:12]} instead of 000000000000" in n for n in notes) != passes


def test_counts_that_only_papers_state_can_not_fail(tmp_path, save, coco) -> None:
    save(OCHUMAN, coco())
    (check,) = verify("ochuman-val", tmp_path)
    stated = check.counts[-1]
    assert (stated.what, stated.expected, stated.state) == ("persons", 4313, "differs")
    assert not stated.is_certain
    assert replace(check, counts=check.counts[1:]).passes


def test_counts_that_nobody_knows_are_unknown_and_pass(tmp_path, save, coco) -> None:
    save("ochuman/ochuman_coco_format_val_range_0.50_0.75.json", coco())
    (check,) = verify("ochuman-val-moderate", tmp_path)
    assert {c.state for c in check.counts} == {"unknown"}
    assert check.passes


def test_without_ground_truth_only_images_are_counted(tmp_path, save, coco) -> None:
    file = coco()
    del file["annotations"]
    save("image_info_test-dev2017.json", file)
    (check,) = verify("coco-test-dev", tmp_path)
    assert [(c.what, c.found) for c in check.counts] == [
        ("images", 3),
        ("persons", None),
        ("evaluated", None),
    ]


def test_present_images_are_counted_and_missing_ones_are_no_failure(tmp_path, save, coco) -> None:
    save("ochuman/ochuman_coco_format_val_range_0.50_0.75.json", coco())
    folder = tmp_path / "ochuman" / "images"
    folder.mkdir()
    (folder / "7.jpg").touch()
    (folder / "other.jpg").touch()
    (check,) = verify("ochuman-val-moderate", tmp_path)
    assert check.images is not None
    assert (check.images.n_listed, check.images.n_present) == (3, 1)
    assert check.passes


def test_a_broken_file_fails_with_the_reason(tmp_path, save) -> None:
    save(VAL, [])
    (check,) = verify("coco-val2017", tmp_path)
    assert check.passes is False
    assert "a list, as files of results" in str(check.problem)


def test_image_names_that_leave_the_folder_fail(tmp_path, save, coco) -> None:
    save(VAL, coco(file_name="../x.jpg"))
    (tmp_path / "coco" / "val2017").mkdir()
    (check,) = verify("coco-val2017", tmp_path)
    assert "image 7: file_name '../x.jpg'" in str(check.problem)
