"""Evaluation problems: drawn at random, read from files, and the official tools' answers."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from crowdbench.datasets.coco_format import read_annotations
from crowdbench.datasets.split import LEVEL_LIMITS, Split
from crowdbench.files import digest_of
from crowdbench.metrics.evaluation import Evaluation, evaluate
from crowdbench.results_format import read_results
from crowdbench.skeletons import COCO_17, CROWDPOSE_14, Skeleton
from crowdbench.structures import GroundTruth, Poses

COCO_NAMES = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")
CROWD_NAMES = ("AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP_easy", "AP_medium", "AP_hard")
LEVEL_NAMES = CROWD_NAMES[-3:]

# The reference sets: annotation file, predictions, skeleton.
SETS = {
    "crowdpose_val_A": (
        "crowdpose/crowdpose_val.json",
        "predictions/crowdpose_val_A.json",
        CROWDPOSE_14,
    ),
    "crowdpose_tiny_A": (
        "crowdpose_tiny/test_crowdpose.json",
        "predictions/crowdpose_tiny_A.json",
        CROWDPOSE_14,
    ),
    "crowdpose_4img": (
        "faster_coco_eval/crowdpose_4img_gt.json",
        "faster_coco_eval/crowdpose_4img_dt.json",
        CROWDPOSE_14,
    ),
    "coco_val2017_subset_A": (
        "coco/coco_val2017_subset.json",
        "predictions/coco_val2017_subset_A.json",
        COCO_17,
    ),
    "coco_mini_A": ("coco/coco_mini.json", "predictions/coco_mini_A.json", COCO_17),
    "coco_tiny_A": ("coco_tiny/test_coco.json", "predictions/coco_tiny_A.json", COCO_17),
    "coco_1img": (
        "faster_coco_eval/coco_1img_gt.json",
        "faster_coco_eval/coco_1img_dt.json",
        COCO_17,
    ),
    "ochuman_tiny_A": ("ochuman/test_ochuman.json", "predictions/ochuman_tiny_A.json", COCO_17),
}


class Problem(NamedTuple):
    """The content of an annotation file and of a results file."""

    truth: dict[str, Any]
    poses: list[dict[str, Any]]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both files; return their paths."""
        paths = folder / "annotations.json", folder / "predictions.json"
        for path, content in zip(paths, self, strict=True):
            path.write_text(json.dumps(content))
        return paths


class Loaded(NamedTuple):
    """What the readers make of a problem's files."""

    split: Split
    poses: Poses
    # For each pose, its place in the results file.
    file_index: np.ndarray

    @property
    def truth(self) -> GroundTruth:
        assert self.split.truth is not None
        return self.split.truth

    def evaluate(self) -> Evaluation:
        limits = LEVEL_LIMITS if self.split.has_levels else None
        return evaluate(self.truth, self.poses, self.split.skeleton.sigma_array, limits)


def load_split(path: Path, skeleton: Skeleton) -> Split:
    """Return the split that an annotation file describes."""
    content = path.read_bytes()
    found = read_annotations(path, content, skeleton, skeleton.area)
    return Split(
        name="problem",
        skeleton=skeleton,
        area=skeleton.area,
        images=found.images,
        truth=found.truth,
        category_id=found.category_id,
        annotations=digest_of(path, content),
        path=path,
        known_ids=found.images.ids,
        has_levels=skeleton is CROWDPOSE_14,
    )


def load(annotations: Path, predictions: Path, skeleton: Skeleton) -> Loaded:
    """Return what the readers make of the two files."""
    split = load_split(annotations, skeleton)
    content = predictions.read_bytes()
    poses = read_results(predictions, content, split).poses
    entries = json.loads(content)
    images = [e["image_id"] for e in entries]
    file_index = np.argsort(np.array(images, np.int64), kind="stable")
    person = np.array([e["category_id"] == split.category_id for e in entries], bool)
    return Loaded(split, poses, file_index[person[file_index]])


def load_set(shared: Path, name: str) -> Loaded:
    """Return a reference set."""
    annotations, predictions, skeleton = SETS[name]
    return load(shared / "data" / annotations, shared / "data" / predictions, skeleton)


def numbers(result: Evaluation, names: tuple[str, ...]) -> list[float]:
    """Return our numbers as the official tools print them: -1 for none."""
    values = (result.values[name].value for name in names)
    return [-1.0 if value is None else value for value in values]


def reference_tool(name: str) -> Any:
    """Return an official tool's module, or skip the test that wants it.

    With ``CROWDBENCH_REQUIRE_REFERENCE=1`` its absence is a failure instead of a skip.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:  # a broken build raises anything from ImportError to ValueError
        if os.environ.get("CROWDBENCH_REQUIRE_REFERENCE") == "1":
            pytest.fail(f"{name} is required here and can't be imported: {error}")
        pytest.skip(f"needs {name}")


def pycocotools_numbers(annotations: Path, predictions: Path) -> list[float]:
    """Return the ten numbers of pycocotools."""
    coco, cocoeval = map(reference_tool, ("pycocotools.coco", "pycocotools.cocoeval"))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(annotations))
        evaluator = cocoeval.COCOeval(truth, truth.loadRes(str(predictions)), "keypoints")
        return _finish(evaluator)


def xtcocotools_numbers(annotations: Path, predictions: Path, skeleton: Skeleton) -> list[float]:
    """Return the ten numbers of xtcocotools, or the nine of its mode ``keypoints_crowd``."""
    coco, cocoeval = map(reference_tool, ("xtcocotools.coco", "xtcocotools.cocoeval"))
    crowd = skeleton is CROWDPOSE_14
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(annotations))
        evaluator = cocoeval.COCOeval(
            truth,
            truth.loadRes(str(predictions)),
            "keypoints_crowd" if crowd else "keypoints",
            skeleton.sigma_array,
            use_area=not crowd,
        )
        return _finish(evaluator)


def _finish(evaluator: Any) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # xtcocotools leaves a file open
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(value) for value in evaluator.stats]


def tiny_problem(k: int = 17) -> Problem:
    """Return a problem that can be worked out by hand.

    Persons 1 and 2 are in image 1, medium and large; the first is hit exactly, the other missed.
    Person 3 in image 2 is unlabelled and absorbs a pose. The third pose lies nowhere and is large.
    Image 3 is empty. By CrowdPose's rules, too, the persons are medium and large.
    """
    step = np.arange(k)
    joints = np.column_stack([step * 3 % 40, step * 5 % 40, np.full(k, 2)])

    def person(id_: int, image_id: int, keypoints: np.ndarray, side: float) -> dict[str, Any]:
        return {
            "id": id_,
            "image_id": image_id,
            "category_id": 1,
            "iscrowd": 0,
            "area": side * side / 2,
            "bbox": [float(keypoints[0, 0]), 0.0, side, side],
            "keypoints": keypoints.ravel().tolist(),
            "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        }

    def pose(image_id: int, keypoints: np.ndarray, score: float) -> dict[str, Any]:
        flat = keypoints.ravel().tolist()
        return {"image_id": image_id, "category_id": 1, "keypoints": flat, "score": score}

    persons = [
        person(1, 1, joints, 60.0),
        person(2, 1, joints + np.array([300, 0, 0]), 200.0),
        person(3, 2, joints * [1, 1, 0], 60.0),
    ]
    poses = [
        pose(2, joints, 0.9),
        pose(1, joints * [9, 9, 1] + np.array([900, 900, 0]), 0.8),
        pose(1, joints, 0.7),
    ]
    images = [
        {"id": id_, "file_name": f"{id_}.jpg", "width": 640, "height": 480, "crowdIndex": index}
        for id_, index in ((2, 0.5), (1, 0.1), (3, 0.1))
    ]
    categories = [{"id": 1, "name": "person"}]
    return Problem({"images": images, "annotations": persons, "categories": categories}, poses)


# --- Random problems ------------------------------------------------------------------------------

# On and beside the bounds of the medium and large range and of the widest one.
_AREAS = (
    3000, 20000, 9216, 1024, 6000, 2000, 50000, 4000, 12000, 300.5, 1023.999, 1024.001, 9215.5,
    9216.25, 1, 0, 1e10, 1.1e10,
)  # fmt: skip
_SIDES = (44, 96, 132, 96.5, 250, 70, 20, 1, 0)
_sides = st.one_of(
    st.tuples(st.sampled_from(_SIDES), st.sampled_from(_SIDES)),
    st.sampled_from(((96, 96), (150_000, 150_000))),  # the latter: beyond the widest area range
)
_SCORES = (0.5, 0.9, 0, 0.25, 0.75, 1, 2.5, -0.5)
_CROWD_INDICES = (0, 0.1, 0.19, 0.2, 0.21, 0.5, 0.79, 0.8, 0.81, 1.7)
_EXTRA_POSES = 22


def _digits(number: int, count: int) -> np.ndarray:
    """Return `count` digits of a number in base 3."""
    return number // 3 ** np.arange(count, dtype=object) % 3


def _plain(values: Any) -> list[Any]:
    """Return numbers as files have them: whole ones without a point."""
    return [int(v) if float(v).is_integer() else float(v) for v in np.ravel(values)]


@st.composite
def _points(draw: st.DrawFn, k: int) -> np.ndarray:
    """Draw (K, 2) joints on a coarse grid, so that equal distances are common."""
    step, template = np.arange(k), draw(st.integers(0, 2))
    spacing = draw(st.sampled_from((8, 4, 16, 12, 8, 0)))
    corner = draw(st.sampled_from(((0, 0), (8, 0), (16, 8), (-12, 4), (120, 60), (700, 500))))
    x = step * (2 * template + 3) % 5
    y = step * (template + 1) % 7
    return np.stack([x, y], 1) * spacing + np.array(corner)


@st.composite
def _person(draw: st.DrawFn, k: int) -> dict[str, Any]:
    points = draw(_points(k))
    everything = (3**k - 1) // 2
    simple = (2 * everything, everything, 2, 0)
    number = draw(st.one_of(st.integers(0, 3**k - 1), st.sampled_from(simple)))
    visibility = _digits(number, k).astype(int)
    joints = np.column_stack([points, visibility])
    joints[visibility == 0] = 0
    offset = draw(st.sampled_from((0, -4, 30, -1000)))
    sides = draw(_sides)
    return {
        "points": points,
        "keypoints": _plain(joints),
        "bbox": _plain([points[0, 0] + offset, points[0, 1] + offset, *sides]),
        "area": draw(st.sampled_from(_AREAS)),
        "iscrowd": draw(st.sampled_from((0, 0, 0, 0, 0, 1))),
    }


@st.composite
def _pose(draw: st.DrawFn, k: int, persons: list[dict[str, Any]], dropped: bool) -> dict[str, Any]:
    """Draw a pose: a person's joints, shaken by equal steps, or joints of its own."""
    source = draw(st.integers(0, 4 * len(persons)))
    points = persons[source % len(persons)]["points"] if source else draw(_points(k))
    amplitude = draw(st.sampled_from((2, 4, 1, 0, 3.5, 8, 6, 0.125)))
    shake = np.zeros((k, 2))
    if amplitude:
        shake = _digits(draw(st.integers(0, 3 ** (2 * k) - 1)), 2 * k).astype(int).reshape(k, 2) - 1
    confidence = np.full(k, draw(st.sampled_from((1, 0.5))))
    if draw(st.booleans()):
        confidence[1:] = 0
    if dropped and draw(st.integers(0, 4)) == 4:
        confidence[:] = draw(st.sampled_from((0, -1)))
    sides = draw(_sides)
    return {
        "keypoints": _plain(np.column_stack([points + amplitude * shake, confidence])),
        "score": draw(st.one_of(st.sampled_from(_SCORES), st.floats(-2, 3, width=16))),
        "bbox": _plain([*(points[0] - 4), *sides]),
    }


@st.composite
def problems(
    draw: st.DrawFn,
    skeleton: Skeleton = COCO_17,
    free_counts: bool = True,
    missing_fields: bool = False,
    dropped_poses: bool = True,
    may_be_empty: bool = False,
) -> Problem:
    """Draw the content of an annotation file and of a results file.

    Args:
        draw: Hypothesis' source of choices.
        skeleton: the layout; CrowdPose's has no areas but crowd indices.
        free_counts: let ``num_keypoints`` be 0 although joints are labelled, or 1 although none is.
        missing_fields: leave ``iscrowd`` and ``num_keypoints`` out of some persons.
        dropped_poses: let some poses have no positive confidence (xtcocotools drops them).
        may_be_empty: let there be no pose at all.
    """
    k, crowdpose = len(skeleton), skeleton is CROWDPOSE_14
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    category = draw(st.sampled_from((1, 7)))
    image_ids = draw(st.lists(st.integers(0, 40), min_size=1, max_size=4, unique=True))
    annotations: list[dict[str, Any]] = []
    poses: list[dict[str, Any]] = []
    for image_id in image_ids:
        persons = draw(st.lists(_person(k), min_size=draw(st.integers(0, 3)), max_size=5))
        if persons and draw(st.booleans()):
            persons.append(dict(persons[0], **draw(_changes())))
        here = draw(
            st.lists(_pose(k, persons, dropped_poses), min_size=draw(st.integers(0, 4)), max_size=7)
        )
        here += [dict(pose) for pose in here[: draw(st.integers(0, 2))]]
        if here and draw(st.integers(0, 5)) == 5:
            here += [dict(here[i % len(here)], score=_SCORES[i % 5]) for i in range(_EXTRA_POSES)]
        annotations += [{**person, "image_id": image_id} for person in persons]
        poses += [{**pose, "image_id": image_id} for pose in here]
    if not poses and not (may_be_empty and draw(st.booleans())):
        poses = [{**draw(_pose(k, [], False)), "image_id": image_ids[0]}]

    for id_, person in zip(rng.permutation(len(annotations)) + 1, annotations, strict=True):
        person["id"] = int(id_)
        person["category_id"] = category
        del person["points"]
        visibility = person["keypoints"][2::3][: skeleton.counted]
        person["num_keypoints"] = sum(v > 0 for v in visibility)
        if free_counts and draw(st.integers(0, 5)) == 5:
            person["num_keypoints"] = 0 if person["num_keypoints"] else 1
        if missing_fields:
            for field in ("iscrowd", "num_keypoints"):
                if draw(st.integers(0, 3)) == 3:
                    del person[field]
        if draw(st.integers(0, 9)) == 9:
            person["ignore"] = 1  # without effect in every tool
        if crowdpose:
            del person["area"]
    annotations = [annotations[i] for i in rng.permutation(len(annotations))]
    poses = [poses[i] for i in rng.permutation(len(poses))]
    for pose in poses:
        pose["category_id"] = category
    boxes = draw(st.sampled_from(("all", "none", "empty first", "only later")))
    for i, pose in enumerate(poses):
        if boxes == "empty first" and i == 0:
            pose["bbox"] = []
        elif boxes == "none" or (boxes == "only later" and i % 2 == 0):
            del pose["bbox"]
    if poses and draw(st.integers(0, 9)) == 9:
        poses[-1]["category_id"] = 99
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in image_ids]
    if crowdpose:
        for image in images:
            image["crowdIndex"] = draw(st.sampled_from(_CROWD_INDICES))
    if draw(st.booleans()):
        images.append(dict(images[0]))
    categories = [{"id": category, "name": "person", "keypoints": list(skeleton.keypoints)}]
    return Problem({"images": images, "annotations": annotations, "categories": categories}, poses)


def _changes() -> st.SearchStrategy[dict[str, Any]]:
    """Draw what sets a duplicate of a person apart from the original."""
    return st.fixed_dictionaries(
        {}, optional={"area": st.sampled_from(_AREAS), "iscrowd": st.sampled_from((0, 1))}
    )
