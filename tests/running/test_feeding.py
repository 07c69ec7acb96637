"""Batches: how they are cut, and that reading ahead in other processes changes nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.datasets import load_boxes, load_own
from crowdbench.errors import InputError, MissingError
from crowdbench.predictor import Request
from crowdbench.running.feeding import Fed, feeding, parts_of
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, Boxes
from tests.running.small import Grey, write_images


def boxes_of(images: list[int]) -> Boxes:
    n = len(images)
    return Boxes(np.array(images, np.int64), np.ones((n, 4)), np.ones(n), "gt")


def cut(images: list[int], size: int | None, whole_images: bool = False) -> list[Any]:
    parts = parts_of(0, 10, boxes_of(images), size, whole_images)
    return [(part.boxes, part.images.tolist()) for part in parts]


def test_boxes_of_several_images_fill_a_batch() -> None:
    assert cut([0, 0, 0, 2, 3, 3], 4) == [((0, 4), [0, 2]), ((4, 6), [3])]
    assert cut([0, 0, 0, 2, 3, 3], None) == [((0, 6), [0, 2, 3])]
    assert cut([], 4) == []


def test_boxes_that_belong_together_stay_together() -> None:
    assert cut([0, 0, 0, 2, 3, 3], 4, whole_images=True) == [((0, 4), [0, 2]), ((4, 6), [3])]
    assert cut([0, 0, 0, 2, 3, 3], 2, whole_images=True) == [
        ((0, 3), [0]), ((3, 4), [2]), ((4, 6), [3]),
    ]  # fmt: skip
    assert cut([1, 1, 1], 1, whole_images=True) == [((0, 3), [1])]


def test_only_boxes_of_the_images_asked_for_come() -> None:
    parts = parts_of(2, 4, boxes_of([0, 1, 2, 2, 3, 4]), 2, False)
    assert [part.boxes for part in parts] == [(2, 4), (4, 5)]


def test_without_boxes_images_fill_a_batch() -> None:
    assert [part.images.tolist() for part in parts_of(3, 8, None, 2, False)] == [
        [3, 4], [5, 6], [7],
    ]  # fmt: skip
    assert [part.images.tolist() for part in parts_of(3, 8, None, None, False)] == [[3, 4, 5, 6, 7]]
    assert parts_of(3, 3, None, 2, False) == []


@given(
    st.lists(st.integers(0, 9), max_size=30).map(sorted),
    st.one_of(st.none(), st.integers(1, 12)),
    st.booleans(),
)
def test_every_box_is_in_one_batch(images: list[int], size: int | None, whole: bool) -> None:
    parts = parts_of(0, 10, boxes_of(images), size, whole)
    rows = [row for part in parts for row in range(*part.boxes or (0, 0))]
    assert rows == list(range(len(images)))
    for part in parts:
        assert part.boxes is not None
        here = images[slice(*part.boxes)]
        assert part.images.tolist() == sorted(set(here))
        if size and not whole:
            assert len(here) <= size
        if size and whole:
            assert len(here) <= size or len(part.images) == 1
            assert len(here) == sum(images.count(i) for i in part.images.tolist())


def fed(
    path: Path, workers: int, size: int, kind: type[Grey] = Grey, spoil: str | None = None
) -> list[Fed]:
    split = load_own(path, COCO_17).with_images_in(path.parent)
    boxes = load_boxes("gt", split, path.parent)
    predictor = kind(Request(split, boxes))
    parts = parts_of(0, len(split.images), boxes, size, False)
    if spoil:
        (path.parent / spoil).write_bytes(b"no image")
    with feeding(predictor, split, boxes, parts, workers) as batches:
        return list(batches)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_workers_hand_over_what_one_process_does(tmp_path: Path, size: int) -> None:
    path = write_images(tmp_path)
    alone, ahead = fed(path, 0, size), fed(path, 2, size)
    assert len(alone) == len(ahead) > 0
    for a, b in zip(alone, ahead, strict=True):
        assert np.array_equal(a.batch.images, b.batch.images)
        for one, other in zip(a.batch.inputs, b.batch.inputs, strict=True):
            assert isinstance(other["means"], tuple)
            assert isinstance(other["means"][0], np.ndarray)
            assert np.array_equal(one["means"][0], other["means"][0])
            assert one["means"][1] == other["means"][1]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_takes_its_boxes_out_of_the_batch(tmp_path: Path, workers: int) -> None:
    path = write_images(tmp_path)
    [found] = fed(path, workers, 100, spoil="2.png")
    assert [image.image_id for image in found.skipped] == [102]
    assert "2.png: no image that OpenCV can decode" in found.skipped[0].reason
    assert str(tmp_path) not in found.skipped[0].reason
    assert found.batch.images.tolist() == [1, 3, 5]
    assert found.part.images.tolist() == [1, 2, 3, 5]
    assert found.batch.boxes is not None
    assert found.box_rows is not None
    # Images 1, 2, 3 and 5 have 1, 2, 3 and 1 boxes: rows 1 and 2 are gone.
    assert found.box_rows.tolist() == [0, 3, 4, 5, 6]
    assert found.batch.boxes.image_index.tolist() == [1, 3, 3, 3, 5]
    assert len(found.batch.inputs) == 3


class Choosy(Grey):
    def prepare(self, image: Array, boxes: Boxes | None) -> Any:
        if len(boxes.scores if boxes is not None else ()) == 2:
            raise InputError("two are too many")
        return super().prepare(image, boxes)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_is_refused_goes_with_its_boxes(tmp_path: Path, workers: int) -> None:
    [found] = fed(write_images(tmp_path), workers, 100, Choosy)
    assert [(image.image_id, image.reason) for image in found.skipped] == [
        (102, "2.png (image 102): two are too many")
    ]
    assert found.batch.images.tolist() == [1, 3, 5]
    assert found.box_rows is not None
    assert found.box_rows.tolist() == [0, 3, 4, 5, 6]


class Dying(Grey):
    def prepare(self, image: Array, boxes: Boxes | None) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="--workers 0"):
        fed(write_images(tmp_path), 1, 2, Dying)
    assert not multiprocessing.active_children()
