"""Checks that a predictor keeps the contract of `crowdbench.predictor`, on images made for it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crowdbench.attention import attention_fault
from crowdbench.card import Card
from crowdbench.datasets import load_boxes, load_own
from crowdbench.datasets.split import Split
from crowdbench.errors import CrowdbenchError, UnknownNameError
from crowdbench.predictor import Predictor, Request
from crowdbench.refiner import make
from crowdbench.running.feeding import feed_image, feeding, parts_of
from crowdbench.running.returned import join_batches, predict_batch
from crowdbench.skeletons import COCO_17, SKELETONS, Skeleton
from crowdbench.structures import Array, Boxes, Poses
from crowdbench.weights import Weights

# By which poses may differ between batches on an accelerator (pixels); on a CPU they may not.
_TOLERANCE = 1e-3
# Of the camera of 3D images: focal lengths and centre, px; and how far away their persons are.
_INTRINSIC = (100.0, 100.0, 60.0, 60.0)
_FAR_MM = 4000.0


class _Image(NamedTuple):
    """An image that is made, and its detected boxes."""

    what: str
    width: int
    height: int
    boxes: tuple[tuple[float, float, float, float], ...]


_IMAGES = (
    _Image("two persons", 160, 120, ((20, 10, 60, 100), (70, 15, 50, 95))),
    _Image("a box as large as the image", 97, 131, ((0, 0, 97, 131),)),
    _Image("no person", 64, 64, ()),
    _Image("a box that reaches beyond the image", 120, 90, ((90, -20, 60, 80),)),
    _Image("a box of one pixel", 120, 90, ((30, 40, 1, 1),)),
    _Image("three persons", 90, 120, ((5, 5, 40, 110), (15.5, 8.25, 40, 100), (40, 20, 45, 90))),
)


class Verdict(NamedTuple):
    """One thing that was checked.

    Attributes:
        what: it.
        passes: whether it is as it should be.
        detail: what was found instead, or empty.
    """

    what: str
    passes: bool
    detail: str


def check_predictor(
    predictor_class: type[Predictor],
    weights: Weights | None,
    base_weights: Weights | None,
    device: str,
    options: Mapping[str, str],
) -> Iterator[Verdict]:
    """Yield what is found about a predictor, one thing after the other.

    What can't be checked because something before it failed is left out.

    Args:
        predictor_class: the predictor.
        weights: what it is to load, or None if it needs none.
        base_weights: likewise, of the base of a refiner.
        device: a torch device.
        options: of the predictor, as a user chose them.
    """
    with tempfile.TemporaryDirectory(prefix="crowdbench-check-") as name:
        paths = (found if found is None else found.path for found in (weights, base_weights))
        bench = _Bench(predictor_class, Path(name), device, options, *paths)
        first: tuple[tuple[str, Callable[[], str | None]], ...] = (
            ("is made from a request", bench.make),
            ("loads", lambda: bench.load(device)),
            ("gives poses of the right shapes", bench.shapes),
        )
        for what, check in first:
            verdict = _verdict(what, check)
            yield verdict
            if not verdict.passes:
                return
        yield _verdict("gives the same poses again", bench.again)
        for size in (1, 2):
            in_batches = partial(bench.again, size=size)
            yield _verdict(f"gives the same poses in batches of {size}", in_batches)
        backwards = partial(bench.again, size=1, backwards=True)
        yield _verdict("gives the same poses in another order of batches", backwards)
        if predictor_class.card.needs_images:
            in_worker = partial(bench.again, size=2, workers=1)
            yield _verdict("gives the same poses with a worker process", in_worker)
        if predictor_class.card.shows_attention:
            yield _verdict("shows attention of the right shapes", bench.attention)
        for row, image in enumerate(_IMAGES):
            yield _verdict(f"alone: an image with {image.what}", partial(bench.alone, row))


def _verdict(what: str, check: Callable[[], str | None]) -> Verdict:
    """Return the verdict of one check, which says what is wrong, or nothing, or raises."""
    try:
        fault = check()
    except CrowdbenchError as error:
        fault = str(error)
    except Exception as error:  # a predictor may raise anything, which is what is checked
        fault = f"{type(error).__name__}: {error}"
    return Verdict(what, fault is None, " ".join((fault or "").split()))


class _Bench:
    """The predictor on the bench, and what it gave."""

    predictor: Predictor
    _whole: Poses

    def __init__(
        self,
        predictor_class: type[Predictor],
        folder: Path,
        device: str,
        options: Mapping[str, str],
        weights: Path | None,
        base_weights: Path | None,
    ) -> None:
        self._class, self._folder, self._options = predictor_class, folder, options
        self._weights, self._base_weights = weights, base_weights
        self._tolerance = 0.0 if device == "cpu" else _TOLERANCE
        self._split, boxes = _make_split(folder, skeleton_of(predictor_class.card))
        self._boxes = boxes if predictor_class.card.needs_boxes else None

    def make(self) -> None:
        """Make the predictor."""
        predictions = self._folder / "predictions.json"
        self.predictor = make(
            self._class,
            Request(
                self._split,
                self._boxes,
                predictions,
                options=self._options,
                weights=self._weights,
                base_weights=self._base_weights,
            ),
        )

    def load(self, device: str) -> None:
        """Load it, with the weights that the request named."""
        self.predictor.load(device, self._weights)

    def shapes(self) -> None:
        """Predict everything in one batch; each batch's poses are looked at."""
        self._whole = self._predicted(0, len(_IMAGES))

    def again(
        self, *, size: int | None = None, backwards: bool = False, workers: int = 0
    ) -> str | None:
        """Predict everything once more, in another way."""
        found = self._predicted(0, len(_IMAGES), size, backwards, workers)
        return self._difference(found, self._whole)

    def attention(self) -> str | None:
        """Ask for the attention on the last image, which has persons."""
        last = len(_IMAGES) - 1
        fed = feed_image(self.predictor, self._split, self._boxes, last)
        found = None if fed is None else self.predictor.attention(fed.batch)
        if found is None:
            return f"none for an image with {_IMAGES[last].what}"
        return attention_fault(found, len(self._split.skeleton))

    def alone(self, row: int) -> str | None:
        """Predict one image, and compare with what it gave among the others."""
        among = self._whole.take(self._whole.image_index == row)
        return self._difference(self._predicted(row, row + 1), among)

    def _predicted(
        self,
        start: int,
        stop: int,
        size: int | None = None,
        backwards: bool = False,
        workers: int = 0,
    ) -> Poses:
        whole_images = not self.predictor.settings.boxes_independent
        parts = parts_of(start, stop, self._boxes, size, whole_images)
        if backwards:
            parts.reverse()
        with feeding(self.predictor, self._split, self._boxes, parts, workers) as batches:
            found = [predict_batch(self.predictor, fed) for fed in batches]
        return join_batches(found, len(self._split.skeleton))

    def _difference(self, found: Poses, expected: Poses) -> str | None:
        """Return where two predictions differ, or None."""
        if len(found) != len(expected):
            return f"{len(found)} poses instead of {len(expected)}"
        for column in fields(Poses):
            here, there = getattr(found, column.name), getattr(expected, column.name)
            if (here is None and there is None) or not len(found):
                continue
            if here is None or there is None:
                return f"{column.name} is there in one of the two only"
            gap = float(np.abs(np.subtract(here, there, dtype=np.float64)).max())
            if gap > self._tolerance:
                return f"{column.name} differs by up to {gap:.3g}"
        return None


def skeleton_of(card: Card) -> Skeleton:
    """Return the keypoint layout that a predictor is checked with.

    Raises:
        UnknownNameError: if it gives none of the built-in ones.
    """
    if not card.skeletons:
        return COCO_17
    known = [name for name in card.skeletons if name in SKELETONS]
    if not known:
        raise UnknownNameError("skeleton of the card", card.skeletons[0], SKELETONS)
    return SKELETONS[known[0]]


def _make_split(folder: Path, skeleton: Skeleton) -> tuple[Split, Boxes]:
    """Return a small split made of smooth noise, with boxes as from a detector.

    Its files, and poses for a predictor that reads them, are left in the folder.
    """
    import cv2

    # In 3D every image belongs to a sequence, which its folder names.
    place = "TS1/" if skeleton.is_3d else ""
    (folder / place).mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    poses: list[dict[str, Any]] = []
    for i, image in enumerate(_IMAGES):
        coarse = rng.integers(0, 256, (image.height // 8 + 1, image.width // 8 + 1, 3), np.uint8)
        pixels = cv2.resize(coarse, (image.width, image.height), interpolation=cv2.INTER_CUBIC)
        name = f"{place}{i}.png"
        cv2.imwrite(str(folder / name), pixels)
        facts = {"id": i, "width": image.width, "height": image.height, "file_name": name}
        images.append(facts | ({"intrinsic": _INTRINSIC} if skeleton.is_3d else {}))
        for box in image.boxes:
            points = np.array(box[:2]) + rng.uniform(0, 1, (len(skeleton), 2)) * np.array(box[2:])
            score = round(float(rng.uniform(0.3, 1)), 3)
            common: dict[str, Any] = {"image_id": i, "category_id": 1}
            boxes.append({**common, "bbox": box, "score": score})
            pose = _pose_in_space(points) if skeleton.is_3d else _pose_in_image(points)
            poses.append({**common, **pose, "score": score})
            persons.append(
                {
                    **common,
                    **pose,
                    "id": len(persons) + 1,
                    "num_keypoints": len(skeleton),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 1, "name": "person"}]
    content = {"images": images, "annotations": persons, "categories": categories}
    for name, value in (("annotations", content), ("boxes", boxes), ("predictions", poses)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    split = load_own(folder / "annotations.json", skeleton).with_images_in(folder)
    return split, load_boxes(folder / "boxes.json", split, folder)


def _pose_in_image(points: Array) -> dict[str, Any]:
    """Return a visible pose as COCO has it."""
    return {"keypoints": np.column_stack([points, np.full(len(points), 2)]).ravel().tolist()}


def _pose_in_space(points: Array) -> dict[str, Any]:
    """Return a visible pose as MuPoTS-3D.json has it, whose joints are all as far away."""
    fx, fy, cx, cy = _INTRINSIC
    x, y = ((points - (cx, cy)) * _FAR_MM / (fx, fy)).T
    joints = np.column_stack([x, y, np.full(len(points), _FAR_MM)])
    return {"keypoints_img": points.tolist(), "keypoints_cam": joints.tolist()}
