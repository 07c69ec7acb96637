"""Everything that is missing is said at once; what makes no sense is said before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from crowdbench.card import Card
from crowdbench.datasets.split import Split
from crowdbench.errors import MissingError, UsageError
from crowdbench.refiner import Refiner, compose
from crowdbench.registry import load_predictor
from crowdbench.running.needs import Asked, gather
from crowdbench.structures import Poses
from predictors.replay import Replay
from tests.datasets.mupots_files import person, write_sequence
from tests.running.small import Grey, write_images

HRNET = load_predictor("hrnet-w32-256x192")


def asked(root: Path, **values: Any) -> Asked:
    empty = Asked("hrnet-w32-256x192", *[None] * 9, root)
    return empty._replace(**values)


def test_all_that_is_missing_of_a_split_is_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CROWDBENCH_WEIGHTS", raising=False)
    boxes = "OCHuman_val2017_detections_AP_H_27_person.json"
    with pytest.raises(MissingError) as missing:
        gather(HRNET, asked(tmp_path / "data", split="ochuman-val", boxes=boxes))
    said = str(missing.value)
    assert said.startswith("4 things are missing:")
    for what in (
        "ochuman-val: annotations not found", "ochuman-val: images not found",
        f"ochuman-val: boxes {boxes} not found", "weights of hrnet-w32-256x192 for coco-17",
        "https://github.com/rawalkhirodkar/MIPNet/issues/8", "https://drive.google.com/",
        "https://github.com/liruilong940607/OCHumanApi",
    ):  # fmt: skip
        assert what in said
    assert missing.value.exit_code == 3


def test_all_that_is_missing_of_ones_own_data_is_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROWDBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingError) as missing:
        gather(
            HRNET,
            asked(
                tmp_path, annotations=tmp_path / "a.json", skeleton="coco-17",
                images=tmp_path / "pictures", boxes="b.json",
            ),
        )  # fmt: skip
    said = str(missing.value)
    assert said.startswith("4 things are missing:")
    assert "a.json" in said
    assert "pictures is no folder" in said
    assert "boxes not found at b.json" in said
    assert f"is not in {tmp_path}" in said


def test_one_missing_thing_is_no_list(tmp_path: Path) -> None:
    path = write_images(tmp_path / "i")
    with pytest.raises(MissingError, match=r"^images of .*annotations\.json: give the folder"):
        gather(Grey, asked(tmp_path, annotations=path, skeleton="coco-17"))


def test_what_a_predictor_does_not_need_is_not_looked_for(tmp_path: Path) -> None:
    path = write_images(tmp_path / "i")
    found = gather(Replay, asked(tmp_path, annotations=path, skeleton="coco-17"))
    assert (found.boxes, found.weights) == (None, None)
    assert len(found.split.images) == 6


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "give either --split NAME or --annotations FILE"),
        ({"annotations": Path("a"), "split": "ochuman-val"}, "give either"),
        ({"annotations": Path("a")}, "--annotations needs --skeleton"),
        ({"split": "ochuman-val", "skeleton": "coco-17"}, "--skeleton goes with --annotations"),
        ({"split": "ochuman-val", "boxes": "gt"}, "replay takes no boxes"),
        ({"split": "ochuman-val", "weights": "w"}, "replay takes no weights"),
        ({"split": "ochuman-vla"}, "did you mean ochuman-val"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_looked_for(
    tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        gather(Replay, asked(tmp_path, **values))
    assert said in str(refused.value)


def test_other_keypoints_are_refused_before_anything_is_missing(tmp_path: Path) -> None:
    card = replace(HRNET.card, skeletons=("mupots-17",))
    kind = type("InSpace", (HRNET,), {"card": card})
    with pytest.raises(UsageError, match="gives mupots-17, ochuman-val has coco-17"):
        gather(kind, asked(tmp_path, split="ochuman-val"))


@pytest.mark.parametrize("skeleton", [None, "mupots-17"])
def test_a_folder_in_the_official_layout_brings_its_skeleton(
    tmp_path: Path, skeleton: str | None
) -> None:
    write_sequence(tmp_path / "x", "TS1", [[person(1)], [person(2)]])
    found = gather(Replay, asked(tmp_path, annotations=tmp_path / "x", skeleton=skeleton, limit=1))
    assert found.split.skeleton.name == "mupots-17"
    assert (found.split.name, found.split.limit, len(found.split.images)) == ("x", 1, 1)


def test_another_skeleton_for_such_a_folder_is_refused(tmp_path: Path) -> None:
    write_sequence(tmp_path, "TS1", [[person(1)]])
    with pytest.raises(UsageError, match="whose skeleton is mupots-17, not coco-17"):
        gather(Replay, asked(tmp_path, annotations=tmp_path, skeleton="coco-17"))


def test_the_images_of_such_a_folder_are_used_if_they_are_there(tmp_path: Path) -> None:
    write_sequence(tmp_path, "TS1", [[person(1)]])
    with pytest.raises(MissingError, match=f"images of {tmp_path}: give the folder"):
        gather(Grey, asked(tmp_path, annotations=tmp_path))
    (tmp_path / "TS1/img_000000.jpg").touch()
    found = gather(Grey, asked(tmp_path, annotations=tmp_path))
    assert found.split.images.folder == tmp_path
    assert found.boxes is not None
    assert len(found.boxes.boxes) == 1


def test_a_predictor_of_other_keypoints_is_refused_for_such_a_folder(tmp_path: Path) -> None:
    write_sequence(tmp_path, "TS1", [[person(1)]])
    with pytest.raises(UsageError, match="has mupots-17: choose another predictor"):
        gather(HRNET, asked(tmp_path, annotations=tmp_path))


class Refines(Refiner):
    card = Card("x", "", skeletons=("coco-17", "crowdpose-14"), needs_weights=True, refines=True)

    def refine(self, split: Split, poses: Poses) -> Poses:
        return poses


def test_weights_of_a_refiner_and_its_base_go_by_the_keypoints_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Card("base", "", skeletons=("crowdpose-14",), needs_images=False, needs_weights=True)
    base = type("Base", (Grey,), {"card": card})
    monkeypatch.setenv("CROWDBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingError) as missing:
        gather(
            compose(Refines, base),
            asked(tmp_path, annotations=tmp_path / "a.json", skeleton="crowdpose-14"),
        )
    said = str(missing.value)
    assert said.startswith("3 things are missing:")
    # The refiner's first layout is another, so its file is named after this one.
    assert f"weights of x for crowdpose-14: x-crowdpose-14.pth is not in {tmp_path}" in said
    assert f"weights of base for crowdpose-14: base.pth is not in {tmp_path}" in said
