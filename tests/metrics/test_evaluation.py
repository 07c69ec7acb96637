"""All numbers of an evaluation, against those of the official tools."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.errors import InputError
from crowdbench.metrics.catalogue import METRICS
from crowdbench.metrics.evaluation import evaluate, pose_areas
from crowdbench.skeletons import COCO_17, CROWDPOSE_14, Skeleton
from tests.metrics.problems import (
    COCO_NAMES,
    LEVEL_NAMES,
    SETS,
    Loaded,
    Problem,
    load,
    load_set,
    numbers,
    problems,
    tiny_problem,
)

ROOT = Path(__file__).parents[2]
EDGE_CASES = ROOT.parent / "shared" / "reference" / "oks" / "edge_cases.json"
FORMS = ("as_is", "without_bbox")
INJECTED = "pycocotools: keypoints (area = 0.53*w*h injected, CrowdPose sigmas)"


@pytest.fixture(scope="module", params=SETS)
def set_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(shared: Path, set_name: str) -> dict[str, Any]:
    """Return the tools' numbers on a reference set."""
    content = (shared / "reference" / "oks" / f"{set_name}.json").read_bytes()
    return dict(json.loads(content))


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def loaded(
    shared: Path, set_name: str, form: str, tmp_path_factory: pytest.TempPathFactory
) -> Loaded:
    """Return a reference set, its predictions as they are or without boxes."""
    if form == "as_is":
        return load_set(shared, set_name)
    annotations, predictions, skeleton = SETS[set_name]
    poses = json.loads((shared / "data" / predictions).read_bytes())
    for pose in poses:
        pose.pop("bbox", None)
        pose.pop("bbox_score", None)
    path = tmp_path_factory.mktemp("poses") / "predictions.json"
    path.write_text(json.dumps(poses))
    return load(shared / "data" / annotations, path, skeleton)


def test_the_ten_numbers_are_those_of_pycocotools(
    reference: dict[str, Any], form: str, loaded: Loaded
) -> None:
    if form not in reference["results"]:
        # The one set whose predictions have no boxes: both forms are the same.
        assert loaded.poses.boxes is None
        form = "as_is"
    tools = reference["results"][form]
    row = tools[INJECTED if loaded.split.skeleton is CROWDPOSE_14 else "pycocotools: keypoints"]
    assert len(row["stats"]) == 10
    assert numbers(loaded.evaluate(), COCO_NAMES) == pytest.approx(row["stats"], rel=0, abs=1e-9)


def test_the_levels_are_those_of_the_crowdpose_tool_before_it_rounds(
    reference: dict[str, Any], form: str, loaded: Loaded
) -> None:
    result = loaded.evaluate()
    if loaded.split.skeleton is COCO_17:
        assert not set(LEVEL_NAMES) & set(result.values)
        return
    row = reference["results"].get(form, reference["results"]["as_is"])["crowdposetools: keypoints"]
    levels = row["easy_medium_hard_unrounded"]
    assert numbers(result, LEVEL_NAMES) == pytest.approx(levels, rel=0, abs=1e-9)
    plain = dict(zip(row["stat_names"], row["stats"], strict=True))
    for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75"):
        assert result.values[name].value == pytest.approx(plain[name], rel=0, abs=1e-9)


def test_the_counts_are_those_of_the_files(reference: dict[str, Any], loaded: Loaded) -> None:
    counts, theirs = loaded.evaluate().counts, reference["counts"]
    assert counts["images"] == theirs["images"]
    assert counts["persons"] == theirs["annotations"]
    assert counts["persons_crowd"] == theirs["iscrowd"]
    assert counts["persons_evaluated"] == theirs["evaluated"]
    assert counts["poses"] == theirs["predictions"]
    assert counts["true_positives_at_50"] + counts["missed_at_50"] == theirs["evaluated"]


# --- Edge cases -----------------------------------------------------------------------------------

# Where pycocotools stops with an exception and crowdbench refuses the file in words of its own.
REFUSED = {
    "box_field_only_in_first": r"predictions\[1\].bbox",
    "unknown_image": "images that problem does not have",
    "area_missing": "area must be a number",
}
# Where crowdbench does what xtcocotools does: pycocotools counts id 0 as unmatched, or stops.
AS_XTCOCOTOOLS = {
    "annotation_id_zero",
    "empty_predictions",
    "iscrowd_missing",
    "num_keypoints_missing",
}


@cache
def edge_cases() -> dict[str, Any]:
    """Return the reference's tiny problems; none where the reference is absent."""
    return json.loads(EDGE_CASES.read_bytes()) if EDGE_CASES.is_file() else {}


def load_case(case: dict[str, Any], skeleton: Skeleton, folder: Path) -> Loaded:
    return load(*Problem(case["ground_truth"], case["predictions"]).write(folder), skeleton)


def test_all_edge_cases_are_there(shared: Path) -> None:
    cases = edge_cases()
    assert len(cases["cases"]) == 34
    assert len(cases["crowdpose_cases"]) == 7
    assert REFUSED.keys() | AS_XTCOCOTOOLS <= cases["cases"].keys()


@pytest.mark.parametrize("name", edge_cases().get("cases", {}))
def test_an_edge_case_gives_the_official_numbers(name: str, tmp_path: Path) -> None:
    case = edge_cases()["cases"][name]
    pycocotools = case["results"]["pycocotools: keypoints"]
    if name in REFUSED:
        assert "error" in pycocotools
        with pytest.raises(InputError, match=REFUSED[name]):
            load_case(case, COCO_17, tmp_path)
        return
    expected = pycocotools
    if name in AS_XTCOCOTOOLS:
        expected = case["results"]["xtcocotools: keypoints"]
        assert expected != pycocotools
    ours = numbers(load_case(case, COCO_17, tmp_path).evaluate(), COCO_NAMES)
    assert ours == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.parametrize("name", edge_cases().get("crowdpose_cases", {}))
def test_a_crowdpose_edge_case_gives_the_official_numbers(name: str, tmp_path: Path) -> None:
    case = edge_cases()["crowdpose_cases"][name]
    expected = case["results"]["crowdposetools: keypoints"]
    values = load_case(case, CROWDPOSE_14, tmp_path).evaluate().values
    assert expected.keys() - values.keys() == {"(unused)"}
    for metric in expected.keys() & values.keys():
        value = values[metric].value
        ours = -1 if value is None else value
        if metric in LEVEL_NAMES:  # the tool rounds them to four decimals
            ours = float(np.round(ours, 4))
        assert ours == pytest.approx(expected[metric], rel=0, abs=1e-9), metric


# --- By hand --------------------------------------------------------------------------------------


def test_a_tiny_problem_worked_out_by_hand(tmp_path: Path) -> None:
    result = load(*tiny_problem().write(tmp_path), COCO_17).evaluate()
    # One true positive after one false positive, of two persons: precision 1/2 up to recall 1/2.
    values = {name: value.value for name, value in result.values.items()}
    for name in ("AP", "AP50", "AP75"):
        assert values[name] == pytest.approx(51 / 101 / 2, abs=1e-12)
    for name in ("AR", "AR50", "AR75"):
        assert values[name] == 0.5
    # The false positive is large: it leaves the medium numbers alone.
    assert values["AP_M"] == pytest.approx(1, abs=1e-12)
    assert values["AR_M"] == 1
    assert values["AP_L"] == values["AR_L"] == 0
    assert result.counts == {
        "images": 3,
        "images_without_poses": 1,
        "persons": 3,
        "persons_evaluated": 2,
        "persons_crowd": 0,
        "poses": 3,
        "poses_counted": 3,
        "true_positives_at_50": 1,
        "false_positives_at_50": 1,
        "missed_at_50": 1,
    }
    assert result.values["AP_M"].n == result.values["AP_L"].n == 1


def test_numbers_that_do_not_exist_say_why(tmp_path: Path) -> None:
    problem = tiny_problem()
    del problem.truth["images"][0]["crowdIndex"]
    large_only = Problem({**problem.truth, "annotations": problem.truth["annotations"][1:]}, [])
    loaded = load(*large_only.write(tmp_path), COCO_17)
    values = evaluate(loaded.truth, loaded.poses, COCO_17.sigma_array, (0.2, 0.8)).values
    assert values["AP_M"] == (None, 0, "no evaluated person of medium size")
    assert values["AR_M"] == (None, 0, "no evaluated person of medium size")
    assert values["AP"] == (0, 1, "no predictions")
    assert values["AP_easy"] == (None, 0, "the annotations have no crowdIndex")


def test_levels_without_images_or_persons_or_poses_say_why(tmp_path: Path) -> None:
    problem = tiny_problem()
    problem.truth["images"].pop()  # the easy one without persons
    poses = [pose for pose in problem.poses if pose["image_id"] == 2]
    loaded = load(*Problem(problem.truth, poses).write(tmp_path), COCO_17)
    values = evaluate(loaded.truth, loaded.poses, COCO_17.sigma_array, (0.2, 0.8)).values
    assert values["AP_easy"] == (0, 2, "no predictions in its images")
    assert values["AP_medium"] == (None, 0, "no evaluated person in its images")
    assert values["AP_hard"] == (None, 0, "no image of this level")


def test_a_level_leaves_out_persons_beyond_the_widest_area_range(tmp_path: Path) -> None:
    problem = tiny_problem(14)
    problem.truth["annotations"][1]["bbox"][2:] = [150_000, 150_000]
    values = load(*problem.write(tmp_path), CROWDPOSE_14).evaluate().values
    assert values["AP"].n == values["AP_easy"].n == 1
    # To a person that large every pose is near: it takes the one that lies nowhere.
    assert values["AP_easy"].value == pytest.approx(1, abs=1e-12)


def test_poses_of_another_skeleton_are_refused(tmp_path: Path) -> None:
    loaded = load(*tiny_problem().write(tmp_path), COCO_17)
    with pytest.raises(InputError, match="17 keypoints, persons 17, expected 14"):
        evaluate(loaded.truth, loaded.poses, CROWDPOSE_14.sigma_array)


def test_the_area_of_a_pose_is_that_of_its_box_or_else_of_all_its_joints(tmp_path: Path) -> None:
    problem = tiny_problem()
    loaded = load(*problem.write(tmp_path), COCO_17)
    x, y = np.arange(17) * 3 % 40, np.arange(17) * 5 % 40
    extent = float(np.ptp(x) * np.ptp(y))
    # In the readers' order: by image.
    assert pose_areas(loaded.poses).tolist() == [81 * extent, extent, extent]
    with_boxes = Problem(problem.truth, [{**p, "bbox": [0, 0, 3, 7]} for p in problem.poses])
    assert pose_areas(load(*with_boxes.write(tmp_path), COCO_17).poses).tolist() == [21, 21, 21]


def test_every_number_is_described(tmp_path: Path) -> None:
    result = load(*tiny_problem().write(tmp_path), COCO_17).evaluate()
    in_2d = {name for name, metric in METRICS.items() if not metric.is_3d}
    assert set(result.values) | set(LEVEL_NAMES) == in_2d
    for name, metric in METRICS.items():
        assert metric.name == name


# --- Properties -----------------------------------------------------------------------------------


def evaluate_problem(problem: Problem, folder: Path) -> dict[str, float | None]:
    result = load(*problem.write(folder), COCO_17).evaluate()
    return {name: value.value for name, value in result.values.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("problem")


@settings(max_examples=40)
@given(problems(), st.integers(0, 1000))
def test_the_order_of_images_and_of_whole_images_in_the_files_changes_nothing(
    folder: Path, problem: Problem, seed: int
) -> None:
    if not all(pose.get("bbox") for pose in problem.poses):
        # The first pose of a file decides about boxes: take them from all.
        bare = [{k: v for k, v in pose.items() if k != "bbox"} for pose in problem.poses]
        problem = Problem(problem.truth, bare)
    expected = evaluate_problem(problem, folder)
    rng = np.random.default_rng(seed)
    rank = {image["id"]: rng.random() for image in problem.truth["images"]}
    images = sorted(problem.truth["images"], key=lambda image: rank[image["id"]])
    persons, poses = (
        sorted(entries, key=lambda entry: rank[entry["image_id"]])
        for entries in (problem.truth["annotations"], problem.poses)
    )
    moved = Problem({**problem.truth, "images": images, "annotations": persons}, poses)
    assert evaluate_problem(moved, folder) == expected


@settings(max_examples=40)
@given(problems())
def test_numbers_lie_between_zero_and_one_and_precision_ends_at_the_recall(
    folder: Path, problem: Problem
) -> None:
    values = evaluate_problem(problem, folder)
    assert all(value is None or 0 <= value <= 1 for value in values.values())
    for suffix in ("", "50", "75", "_M", "_L"):
        precision, recall = values[f"AP{suffix}"], values[f"AR{suffix}"]
        assert (precision is None) == (recall is None)
        # Of the 101 levels at most those up to the recall, and the level 0, are above 0.
        assert precision is None or precision <= recall + 1 / 101 + 1e-12


@settings(max_examples=40)
@given(problems())
def test_scores_matter_by_their_order_only(folder: Path, problem: Problem) -> None:
    doubled = [{**pose, "score": 2 * pose["score"] - 8} for pose in problem.poses]
    expected = evaluate_problem(problem, folder)
    assert evaluate_problem(Problem(problem.truth, doubled), folder) == expected
