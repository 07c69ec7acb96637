"""Making a split: whole or not at all, the same each time, and it goes on where it stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from crowdbench.datasets import load_boxes, load_split, read_image
from crowdbench.datasets.manifest import Manifest, find_split
from crowdbench.datasets.synthcrowd import making
from crowdbench.datasets.synthcrowd.making import Made, make_split, splits_to_make
from crowdbench.datasets.synthcrowd.scenes import DATA_VERSION, render
from crowdbench.datasets.verify import list_splits, verify
from crowdbench.errors import MissingError, UnknownNameError, UsageError, WriteError
from tests.command import contents

BOXES = "SYNTHCROWD_val_detections_person.json"


class Count:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int, int]] = []
        self.n = 0

    def start(self, title: str, total: int, done: int) -> None:
        self.started.append((title, total, done))

    def advance(self, n: int) -> None:
        self.n += n


def make(facts: Manifest, folder: Path, watch: Count | None = None, processes: int = 1) -> Made:
    (split,) = (split for split in facts.splits if split.name == "synthcrowd-val")
    return make_split(facts, split, folder, watch or Count(), processes)


def test_the_manifest_says_what_the_renderer_gives() -> None:
    for part, n_images in (("train", 20_000), ("val", 500), ("test", 1_000)):
        facts, split = find_split(f"synthcrowd-{part}")
        assert split.counts.images == n_images
        assert facts.version == DATA_VERSION
        assert len(render(part, n_images - 1).people) > 0


def test_all_files_of_a_split_are_written_and_nothing_else(small: Manifest, tmp_path: Path) -> None:
    made = make(small, tmp_path / "s")
    assert sorted(contents(tmp_path / "s")) == [
        "annotations/synthcrowd_val.json",
        *(f"images/val/00000{i}.png" for i in range(4)),
        f"person_detection_results/{BOXES}",
    ]
    assert not made.was_there
    file = json.loads(made.places.annotations.read_bytes())
    assert file["info"]["version"] == DATA_VERSION
    assert (made.n_images, made.n_persons) == (4, len(file["annotations"]))


@pytest.mark.parametrize("kind", ["fork", "spawn"])
def test_the_result_does_not_depend_on_the_processes(
    small: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: [kind])
    watch = Count()
    make(small, tmp_path / "one")
    make(small, tmp_path / "two", watch, processes=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert watch.started == [("making synthcrowd-val", 4, 0)]
    assert watch.n == 4


def test_a_made_split_loads_with_images_truth_and_boxes(small: Manifest, tmp_path: Path) -> None:
    make(small, tmp_path / "synthcrowd")
    split = load_split("synthcrowd-val", tmp_path)
    assert split.notes == ()
    assert (split.has_levels, split.official_tool) == (True, "pycocotools")
    truth = split.truth
    assert truth is not None
    assert truth.crowd_index is not None
    assert truth.max_iou is not None
    for row in range(4):
        picture = render("val", row)
        people = picture.people
        np.testing.assert_array_equal(read_image(split.images, row), picture.pixels)
        here = truth.image_index == row
        np.testing.assert_array_equal(truth.areas[here], people.areas)
        kept = here & ~truth.is_ignored
        labelled = truth.keypoints[kept][:, :, 2:] > 0
        shown = ~truth.is_ignored[here]
        expected = np.where(labelled, people.keypoints[shown], 0)
        np.testing.assert_allclose(truth.keypoints[kept], expected, atol=0.005001)
    boxes = load_boxes(BOXES, split, tmp_path)
    assert set(boxes.image_index.tolist()) == {0, 1, 2, 3}


def test_what_is_whole_is_left_alone(small: Manifest, tmp_path: Path) -> None:
    first, watch = make(small, tmp_path), Count()
    again = make(small, tmp_path, watch)
    assert again == first._replace(was_there=True)
    assert not watch.started


@pytest.mark.parametrize("broken", ["image", "boxes", "version", "json"])
def test_what_is_not_whole_is_made_again(small: Manifest, tmp_path: Path, broken: str) -> None:
    made = make(small, tmp_path)
    before, places = contents(tmp_path), made.places
    if broken == "image":
        (places.images / "000002.png").unlink()
    elif broken == "boxes":
        assert places.boxes is not None
        places.boxes.unlink()
    elif broken == "version":
        text = places.annotations.read_text().replace('"version":"1"', '"version":"0"')
        places.annotations.write_text(text)
    else:
        places.annotations.write_text("[")
    assert contents(tmp_path) != before
    assert not make(small, tmp_path).was_there
    assert contents(tmp_path) == before


def test_what_was_interrupted_goes_on(
    small: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(part: str, index: int) -> object:
        if index == 3:
            raise KeyboardInterrupt
        return render(part, index)

    with monkeypatch.context() as patched:
        patched.setattr(making, "render", stop)
        with pytest.raises(KeyboardInterrupt):
            make(small, tmp_path / "s")
    # Not a split yet; the first chunk is done.
    with pytest.raises(MissingError):
        load_split("synthcrowd-val", tmp_path)
    watch = Count()
    make(small, tmp_path / "s", watch)
    assert (watch.started, watch.n) == ([("making synthcrowd-val", 4, 2)], 2)
    make(small, tmp_path / "at once")
    assert contents(tmp_path / "s") == contents(tmp_path / "at once")


def test_a_full_disk_leaves_no_half_written_image_and_no_annotations(
    small: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WriteError, match=r"000000\.png can't be written: No space left on device"):
        make(small, tmp_path)
    assert contents(tmp_path) == {}


def test_a_process_that_is_killed_is_said_so(
    small: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "render", lambda part, index: os._exit(9))
    with pytest.raises(MissingError, match="was killed, maybe for lack of memory"):
        make(small, tmp_path, processes=2)


def test_a_folder_with_something_else_is_refused(small: Manifest, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances.json").touch()
    with pytest.raises(UsageError, match=r"holds something else \(annotations\)"):
        make(small, tmp_path)
    assert sorted(contents(tmp_path)) == ["annotations/instances.json"]


def test_a_file_in_place_of_the_folder_is_refused(small: Manifest, tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    with pytest.raises(UsageError, match="is a file, expected a folder"):
        make(small, tmp_path / "s")


def test_files_of_ones_own_beside_a_split_do_no_harm(small: Manifest, tmp_path: Path) -> None:
    make(small, tmp_path)
    (tmp_path / "notes.txt").touch()
    assert make(small, tmp_path).was_there


def test_a_data_set_stands_for_all_but_the_training_images() -> None:
    names = [split.name for split in splits_to_make("synthcrowd")[1]]
    assert names == ["synthcrowd-val", "synthcrowd-test"]
    assert [s.name for s in splits_to_make("synthcrowd-train")[1]] == ["synthcrowd-train"]


def test_other_data_sets_can_not_be_made() -> None:
    with pytest.raises(
        UsageError, match=r"can't be made.*https://.*`crowdbench data show ochuman`"
    ):
        splits_to_make("ochuman")
    with pytest.raises(UnknownNameError, match="did you mean synthcrowd"):
        splits_to_make("synthcrowds")


def test_what_can_be_made_is_listed_so_and_verified_when_it_is_there(
    small: Manifest, tmp_path: Path
) -> None:
    files = {files.name: files for files in list_splits(tmp_path)}
    assert files["synthcrowd-test"].can_be_made
    assert files["synthcrowd-test"].get == "crowdbench data make synthcrowd-test"
    assert not files["ochuman-test"].can_be_made
    with pytest.raises(MissingError, match="get them: crowdbench data make synthcrowd-train"):
        verify("synthcrowd", tmp_path)
    make(small, tmp_path / "synthcrowd")
    train, val, test = verify("synthcrowd", tmp_path)
    assert (train.passes, val.passes, test.passes) == (None, True, None)
    assert val.images is not None
    assert val.images.n_present == val.images.n_listed == 4


def test_images_are_png_files_without_loss(small: Manifest, tmp_path: Path) -> None:
    made = make(small, tmp_path)
    path = made.places.images / "000001.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], render("val", 1).pixels)
