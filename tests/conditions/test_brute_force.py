"""Conditions against the plain way: filter the files, and run the official tool on each part."""

from __future__ import annotations

import copy
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.conditions.choice import cut_split, resolve
from crowdbench.conditions.condition import Cut, Subject
from crowdbench.conditions.settings import Among, ConditionSettings
from crowdbench.metrics.evaluation import SliceValues, evaluate
from crowdbench.metrics.slices import Slice
from crowdbench.skeletons import COCO_17
from tests.metrics.problems import (
    COCO_NAMES,
    SETS,
    Loaded,
    Problem,
    load,
    problems,
    pycocotools_numbers,
)

Person = dict[str, Any]


def our_rows(loaded: Loaded, asked: ConditionSettings) -> dict[str, list[SliceValues]]:
    """Return the rows of all conditions, evaluated in one pass."""
    settings = resolve(asked, loaded.split.skeleton)
    subject = Subject(
        loaded.truth, loaded.split.skeleton, loaded.poses, iou_among=settings.iou_among
    )
    cuts = {c.name: cut for c, _, cut in cut_split(settings, subject) if isinstance(cut, Cut)}
    slices = [
        Slice(row.poses, row.persons, row.images) for cut in cuts.values() for row in cut.rows
    ]
    result = evaluate(loaded.truth, loaded.poses, loaded.split.skeleton.sigma_array, slices=slices)
    found = iter(result.slices)
    return {name: [next(found) for _ in cut.rows] for name, cut in cuts.items()}


# --- The plain way: dicts in, dicts out -----------------------------------------------------------


def box_iou(a: list[float], b: list[float]) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common) if common else 0.0


def is_evaluated(person: Person) -> bool:
    return bool(person["num_keypoints"]) and not person["iscrowd"]


def plain_iou(truth: dict[str, Any], among: Among) -> dict[int, float]:
    """Return each person's highest IoU by annotation id."""
    persons = [p for p in truth["annotations"] if among == "annotated" or is_evaluated(p)]
    return {
        p["id"]: max(
            (
                box_iou(p["bbox"], q["bbox"])
                for q in persons
                if q is not p and q["image_id"] == p["image_id"]
            ),
            default=0.0,
        )
        for p in persons
    }


def plain_image_iou(truth: dict[str, Any], among: Among) -> dict[int, float]:
    """Return the images' mean of that; images without such a person have none."""
    values, by_image = plain_iou(truth, among), {}
    for person in truth["annotations"]:
        if person["id"] in values:
            by_image.setdefault(person["image_id"], []).append(values[person["id"]])
    return {image: float(np.sum(found) / len(found)) for image, found in by_image.items()}


def plain_crowd_index(truth: dict[str, Any]) -> dict[int, float]:
    found = {}
    for image in truth["images"]:
        here = [p for p in truth["annotations"] if p["image_id"] == image["id"]]
        ratios = []
        for person in here:
            joints = np.reshape(person["keypoints"], (-1, 3))
            if (joints[:, 2] > 0).sum() <= 3:
                continue
            x, y, w, h = person["bbox"]
            others = [
                (jx, jy)
                for other in here
                if other is not person
                for jx, jy, v in np.reshape(other["keypoints"], (-1, 3)).tolist()
                if v > 0 and x <= jx <= x + w and y <= jy <= y + h
            ]
            ratios.append(len(others) / (joints[:, 2] > 0).sum())
        found[image["id"]] = float(np.round(np.sum(ratios) / len(ratios), 2)) if ratios else 0.0
    return found


def keep_poses(problem: Problem, keep: Callable[[dict[str, Any]], bool]) -> Problem:
    return Problem(problem.truth, [pose for pose in problem.poses if keep(pose)])


def keep_persons(problem: Problem, keep: Callable[[Person], bool]) -> Problem:
    truth = copy.deepcopy(problem.truth)
    for person in truth["annotations"]:
        if not keep(person):
            person["num_keypoints"] = 0
    return Problem(truth, problem.poses)


def keep_images(problem: Problem, keep: Callable[[int], bool]) -> Problem:
    truth = dict(problem.truth)
    truth["images"] = [i for i in truth["images"] if keep(i["id"])]
    truth["annotations"] = [a for a in truth["annotations"] if keep(a["image_id"])]
    return Problem(truth, [pose for pose in problem.poses if keep(pose["image_id"])])


def in_bin(value: float | None, low: float, high: float | None, is_last: bool) -> bool:
    if value is None or value < low:
        return False
    return high is None or value < high or (is_last and value == high)


def plain_rows(problem: Problem, asked: ConditionSettings) -> Iterator[tuple[str, int, Problem]]:
    """Yield each condition's name, the row's number, and the files that are left for it."""
    truth, values = problem.truth, resolve(asked, COCO_17).values
    among = asked.iou_among
    for i, t in enumerate(values["detector-confidence"]):
        assert t is not None
        yield "detector-confidence", i, keep_poses(problem, lambda p, t=t: p["bbox_score"] >= t)
    person_iou = plain_iou(truth, among)
    measures: dict[str, Callable[[Person], float | None]] = {
        "person-iou": lambda p: person_iou.get(p["id"]),
        "visibility": lambda p: float(sum(v > 0 for v in p["keypoints"][2::3])),
        "size": lambda p: float(np.sqrt(p["area"])),
    }
    images = {
        "image-iou": plain_image_iou(truth, among),
        "crowd-level": plain_crowd_index(truth),
        "crowd-index": plain_crowd_index(truth),
    }
    for name, edges in values.items():
        for i, (low, high) in enumerate(itertools.pairwise(edges)):
            assert low is not None
            ends = (low, high, i == len(edges) - 2)
            if name in measures:
                measure = measures[name]
                yield name, i, keep_persons(problem, lambda p, m=measure, e=ends: in_bin(m(p), *e))
            elif name in images:
                found = images[name]
                yield (
                    name,
                    i,
                    keep_images(problem, lambda id_, f=found, e=ends: in_bin(f.get(id_), *e)),
                )


def compare(problem: Problem, asked: ConditionSettings, folder: Path) -> int:
    """Compare every row with pycocotools on the filtered files; return how many were compared."""
    ours = our_rows(load(*problem.write(folder), COCO_17), asked)
    n = 0
    for name, i, part in plain_rows(problem, asked):
        row = ours[name][i]
        assert row.n_poses == len(part.poses), (name, i)
        assert row.n_images == len({image["id"] for image in part.truth["images"]}), (name, i)
        values = [row.values[metric].value for metric in COCO_NAMES]
        if not part.poses or not part.truth["images"]:
            # pycocotools reads no empty list; the others give 0, or -1 where nobody is evaluated.
            assert not any(values), (name, i)
            continue
        found = [-1.0 if value is None else value for value in values]
        assert found == pycocotools_numbers(*part.write(folder)), (name, i)
        n += 1
    return n


@st.composite
def boxed_problems(draw: st.DrawFn) -> Problem:
    """Draw problems whose poses have the confidence of a box, and all of them a box or none."""
    problem = draw(problems(COCO_17))
    # Of other categories: their place in the file would matter to the tools.
    poses = [p for p in problem.poses if p["category_id"] != 99]
    if not poses:
        (category,) = problem.truth["categories"]
        poses = [{**pose, "category_id": category["id"]} for pose in problem.poses[:1]]
    if not all(pose.get("bbox") for pose in poses):
        poses = [{k: v for k, v in pose.items() if k != "bbox"} for pose in poses]
    steps = st.sampled_from([k / 10 for k in range(11)])
    scores = draw(st.lists(steps, min_size=len(poses), max_size=len(poses)))
    poses = [{**pose, "bbox_score": s} for pose, s in zip(poses, scores, strict=True)]
    return Problem(problem.truth, poses)


@settings(max_examples=60)
@given(boxed_problems(), st.sampled_from(("annotated", "evaluated")))
def test_random_problems_give_what_the_tool_gives_on_filtered_files(
    problem: Problem, among: Among
) -> None:
    asked = ConditionSettings(
        values={
            "detector-confidence": (0.0, 0.3, 0.9),
            "person-iou": (0.0, 0.3, 0.7, 1.0),
            "image-iou": (0.0, 0.5, 1.0),
            "crowd-index": (0.0, 0.5, None),
        },
        iou_among=among,
    )
    with tempfile.TemporaryDirectory() as folder:
        compare(problem, asked, Path(folder))


@pytest.mark.parametrize("name", ["coco_mini_A", "coco_tiny_A", "ochuman_tiny_A"])
def test_real_annotations_give_what_the_tool_gives_on_filtered_files(
    name: str, shared: Path, tmp_path: Path
) -> None:
    annotations, predictions, _ = SETS[name]
    problem = Problem(
        json.loads((shared / "data" / annotations).read_bytes()),
        json.loads((shared / "data" / predictions).read_bytes()),
    )
    for annotation in problem.truth["annotations"]:
        annotation.pop("segmentation", None)
    assert compare(problem, ConditionSettings(), tmp_path) > 15
