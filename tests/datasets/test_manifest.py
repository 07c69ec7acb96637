"""The facts of the known data sets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crowdbench.datasets import data_root, find_split, load_manifests, split_names
from crowdbench.errors import UnknownNameError
from crowdbench.skeletons import load_skeleton

SPLITS = [
    "coco-train2017",
    "coco-val2017",
    "coco-test-dev",
    "crowdpose-train",
    "crowdpose-val",
    "crowdpose-trainval",
    "crowdpose-test",
    "mupots",
    "ochuman-val",
    "ochuman-val-moderate",
    "ochuman-val-hard",
    "ochuman-test",
    "ochuman-test-moderate",
    "ochuman-test-hard",
    "synthcrowd-train",
    "synthcrowd-val",
    "synthcrowd-test",
    "synthcrowd-3d-train",
    "synthcrowd-3d-val",
    "synthcrowd-3d-test",
]


def test_the_known_splits_are_those_that_users_type() -> None:
    assert split_names() == SPLITS


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_is_found_by_its_name_together_with_its_data_set(name: str) -> None:
    manifest, split = find_split(name)
    assert split.name == name
    assert name.startswith(manifest.name)


@pytest.mark.parametrize("manifest", load_manifests().values(), ids=lambda m: m.name)
def test_every_data_set_has_a_known_skeleton_and_the_area_rule_that_goes_with_it(manifest) -> None:
    assert load_skeleton(manifest.skeleton).area == manifest.area


@pytest.mark.parametrize("manifest", load_manifests().values(), ids=lambda m: m.name)
def test_every_data_set_says_where_to_get_it_and_how_to_cite_it(manifest) -> None:
    if manifest.made_by is None:
        assert manifest.url is not None
        assert manifest.url.startswith(("https://", "http://gvv.mpi-inf.mpg.de/"))
        assert manifest.url in manifest.get
        assert manifest.version is None
    else:
        assert manifest.url is None
        assert f"crowdbench data make {manifest.name}" in manifest.get
    assert manifest.citation.startswith(("@inproceedings{", "@misc{"))
    assert manifest.licence


@pytest.mark.parametrize("name", SPLITS)
def test_known_places_stay_under_the_data_root(name: str) -> None:
    manifest, split = find_split(name)
    native = split.native.files if split.native else ()
    boxes = [folder for box_file in split.boxes for folder in box_file.folders]
    for place in (*manifest.folders, *split.annotations, *split.images, *native, *boxes):
        assert not Path(place).is_absolute()
        assert ".." not in Path(place).parts


def test_the_levels_of_occlusion_touch_without_overlap() -> None:
    for part in ("val", "test"):
        natives = [find_split(f"ochuman-{part}{s}")[1].native for s in ("", "-moderate", "-hard")]
        assert [(n.part, n.low, n.high) for n in natives if n] == [
            (part, 0.0, 1.0),
            (part, 0.5, 0.75),
            (part, 0.75, 1.0),
        ]


def test_only_test_dev_has_no_public_ground_truth() -> None:
    assert [name for name in SPLITS if not find_split(name)[1].has_truth] == ["coco-test-dev"]


def test_a_split_that_is_made_here_names_its_command_as_its_source() -> None:
    for name in SPLITS:
        manifest, split = find_split(name)
        made = manifest.made_by is not None
        expected = f"crowdbench data make {name}" if made else manifest.url
        assert manifest.source(split) == expected
        assert {boxes.get for boxes in split.boxes} <= {expected} or not made


def test_which_data_sets_have_levels_and_whose_numbers_decide() -> None:
    assert {m.name: (m.has_levels, m.official_tool) for m in load_manifests().values()} == {
        "coco": (False, "pycocotools"),
        "crowdpose": (True, "crowdposetools"),
        "mupots": (False, "mupots"),
        "ochuman": (False, "pycocotools"),
        "synthcrowd": (True, "pycocotools"),
        "synthcrowd-3d": (False, "mupots"),
    }


def test_the_3d_splits_of_synthcrowd_are_the_files_of_the_2d_ones() -> None:
    flat, space = (load_manifests()[name] for name in ("synthcrowd", "synthcrowd-3d"))
    assert (flat.folders, flat.version) == (space.folders, space.version)
    for one, other in zip(flat.splits, space.splits, strict=True):
        assert other.name == one.name.replace("synthcrowd", "synthcrowd-3d")
        for field in ("annotations", "images", "counts", "sha256"):
            assert getattr(one, field) == getattr(other, field)
        for box_file, its in zip(one.boxes, other.boxes, strict=True):
            assert (box_file.name, box_file.folders) == (its.name, its.folders)


def test_only_mupots_knows_its_sequences() -> None:
    sequences = {name: find_split(name)[1].sequences for name in SPLITS}
    assert sequences.pop("mupots") == tuple(f"TS{k}" for k in range(1, 21))
    assert not any(sequences.values())


def test_an_unknown_split_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown split 'crowdpose-vla'.*crowdpose-val"):
        find_split("crowdpose-vla")


def test_changing_the_returned_manifests_changes_nothing_for_others() -> None:
    load_manifests().clear()
    assert "coco" in load_manifests()


def test_the_option_goes_before_the_variable_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CROWDBENCH_DATA", "/from/variable")
    assert data_root(Path("/from/option")) == Path("/from/option")
    assert data_root(None) == Path("/from/variable")
    monkeypatch.setenv("CROWDBENCH_DATA", "")
    assert data_root(None) == Path("data")
    monkeypatch.delenv("CROWDBENCH_DATA")
    assert data_root() == Path("data")


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, crowdbench.datasets;"
        "print([m for m in ('torch', 'pandas', 'scipy', 'cv2', 'pycocotools') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
