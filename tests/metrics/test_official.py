"""The side-by-side check with the official tools."""

from __future__ import annotations

import contextlib
import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crowdbench.errors import MissingError, UnknownNameError, UsageError
from crowdbench.metrics import official
from crowdbench.metrics.official import TOOLS, CheckResult, check_official, import_tool
from crowdbench.skeletons import COCO_17, CROWDPOSE_14, Skeleton
from tests.metrics.problems import (
    COCO_NAMES,
    CROWD_NAMES,
    LEVEL_NAMES,
    SETS,
    Loaded,
    Problem,
    load,
    load_split,
    reference_tool,
    tiny_problem,
)

SKELETONS = (COCO_17, CROWDPOSE_14)


def check(
    tool: str, annotations: Path, predictions: Path, skeleton: Skeleton, **planted: float | None
) -> CheckResult:
    """Return the check of our numbers, some of them replaced by planted ones."""
    return check_loaded(tool, load(annotations, predictions, skeleton), predictions, **planted)


def check_loaded(
    tool: str, loaded: Loaded, predictions: Path, **planted: float | None
) -> CheckResult:
    reference_tool(tool.replace("-", "_"))
    ours = {name: value.value for name, value in loaded.evaluate().values.items()}
    return check_official(tool, loaded.split, predictions, ours | planted)


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("tool", TOOLS)
def test_a_tiny_problem_agrees_with_every_tool(
    tool: str, skeleton: Skeleton, tmp_path: Path
) -> None:
    files = tiny_problem(len(skeleton)).write(tmp_path)
    result = check(tool, *files, skeleton)
    assert result.agrees
    assert result.tool.startswith(f"{tool} ")
    assert result.tool.split()[1][0].isdigit()
    crowd = skeleton is CROWDPOSE_14 and tool != "pycocotools"
    assert [c.metric for c in result.checks] == list(CROWD_NAMES if crowd else COCO_NAMES)
    values = {c.metric: c.theirs for c in result.checks}
    assert values["AP"] == pytest.approx(51 / 101 / 2, abs=1e-9)
    assert values["AR"] == 0.5
    if crowd:
        assert values["AP_hard"] is None
    else:
        assert values["AR_M"] == 1
        assert values["AR_L"] == 0
    remarks = ("pycocotools has no crowding levels",)
    assert result.remarks == (remarks if skeleton is CROWDPOSE_14 and not crowd else ())


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", ["crowdpose_4img", "crowdpose_tiny_A", "coco_tiny_A", "coco_1img"])
def test_small_reference_sets_agree_with_every_tool(shared: Path, name: str, tool: str) -> None:
    annotations, predictions, skeleton = SETS[name]
    result = check(tool, shared / "data" / annotations, shared / "data" / predictions, skeleton)
    assert result.agrees, result
    assert any(c.theirs for c in result.checks)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_planted_difference_is_found(tool: str, tmp_path: Path) -> None:
    files = tiny_problem().write(tmp_path)
    honest = check(tool, *files, COCO_17)
    theirs = {c.metric: c.theirs for c in honest.checks}
    assert honest.agrees
    for name in COCO_NAMES:
        value = theirs[name]
        assert value is not None
        for wrong in (value + 1e-8, value - 1e-8, None):
            found = check(tool, *files, COCO_17, **{name: wrong})
            assert not found.agrees
            assert [c.metric for c in found.checks if not c.agrees] == [name]
        assert check(tool, *files, COCO_17, **{name: value + 1e-10}).agrees


def test_a_number_where_the_tool_has_none_is_a_difference(tmp_path: Path) -> None:
    problem = tiny_problem()
    problem.truth["annotations"].pop(1)  # the large person
    files = problem.write(tmp_path)
    assert check("pycocotools", *files, COCO_17).agrees
    found = check("pycocotools", *files, COCO_17, AP_L=0.0)
    assert [c for c in found.checks if not c.agrees] == [("AP_L", 0.0, None, False)]


@pytest.mark.parametrize("name", LEVEL_NAMES)
def test_a_planted_difference_of_a_level_is_found_beyond_its_rounding(
    name: str, tmp_path: Path
) -> None:
    files = tiny_problem(14).write(tmp_path)
    checks = check("xtcocotools", *files, CROWDPOSE_14).checks
    theirs = {c.metric: c.theirs for c in checks}[name]
    if theirs is None:
        assert not check("xtcocotools", *files, CROWDPOSE_14, **{name: 0.0}).agrees
        return
    assert theirs == round(theirs, 4)
    assert not check("xtcocotools", *files, CROWDPOSE_14, **{name: theirs + 2e-4}).agrees
    assert not check("xtcocotools", *files, CROWDPOSE_14, **{name: theirs + 6e-5}).agrees
    assert check("xtcocotools", *files, CROWDPOSE_14, **{name: theirs + 4e-5}).agrees


@pytest.mark.parametrize("value", [0.00625, 0.00635, 0.50625])
def test_a_level_right_between_two_roundings_agrees_with_both(value: float) -> None:
    # The last bit of the mean, which depends on the order of summation, decides how it is rounded.
    for theirs in (value - 0.5e-4, value + 0.5e-4):
        assert official._compare("AP_hard", value, round(theirs, 4)).agrees


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("tool", TOOLS)
def test_the_first_images_alone_agree_too(tool: str, skeleton: Skeleton, tmp_path: Path) -> None:
    problem = tiny_problem(len(skeleton))
    # An easy and a hard image beyond the limit, in which nothing is predicted.
    for image_id, index in ((8, 0.0), (9, 0.9)):
        problem.truth["images"].append({**problem.truth["images"][0], "id": image_id})
        problem.truth["images"][-1]["crowdIndex"] = index
        person = dict(problem.truth["annotations"][0], id=100 + image_id, image_id=image_id)
        problem.truth["annotations"].append(person)
    annotations, predictions = problem.write(tmp_path)
    whole = load(annotations, predictions, skeleton)
    first = whole._replace(split=whole.split.first_images(3))
    assert check_loaded(tool, first, predictions).agrees
    assert check_loaded(tool, whole, predictions).agrees
    assert first.evaluate().counts["persons"] == 3


def test_a_converted_split_is_checked_through_its_arrays(tmp_path: Path) -> None:
    annotations, predictions = tiny_problem().write(tmp_path)
    loaded = load(annotations, predictions, COCO_17)
    annotations.write_text("a file in a format that the tools do not read")
    converted = loaded._replace(split=replace(loaded.split, converted=True))
    assert check_loaded("pycocotools", converted, predictions).agrees


# --- Missing and broken tools ---------------------------------------------------------------------


def imports_raising(error: Exception, at: str) -> SimpleNamespace:
    """Return a stand-in for importlib that raises when the module `at` is imported."""

    def import_module(name: str) -> Any:
        if name == at:
            raise error
        return SimpleNamespace()

    return SimpleNamespace(import_module=import_module)


@pytest.mark.parametrize(
    ("tool", "module", "command"),
    [
        ("pycocotools", "pycocotools", "pip install pycocotools"),
        ("xtcocotools", "xtcocotools", "--no-binary xtcocotools xtcocotools"),
        ("faster-coco-eval", "faster_coco_eval", "pip install faster-coco-eval"),
    ],
)
def test_a_missing_tool_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tool: str, module: str, command: str
) -> None:
    error = ModuleNotFoundError(f"No module named {module!r}")
    monkeypatch.setattr(official, "importlib", imports_raising(error, module))
    with pytest.raises(MissingError, match=f"{tool} is not installed: ") as caught:
        import_tool(tool)
    assert str(caught.value).endswith(command)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "error",
    [
        ValueError("numpy.dtype size changed, may indicate binary incompatibility"),
        ImportError("undefined symbol"),
    ],
)
def test_a_broken_tool_is_named_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, tmp_path: Path
) -> None:
    monkeypatch.setattr(official, "importlib", imports_raising(error, "xtcocotools.mask"))
    annotations, predictions = tiny_problem().write(tmp_path)
    with pytest.raises(MissingError) as caught:
        check_official("xtcocotools", load_split(annotations, COCO_17), predictions, {})
    assert f"xtcocotools is broken ({error})" in str(caught.value)
    assert "--no-build-isolation --no-binary xtcocotools" in str(caught.value)


def test_an_unknown_tool_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean pycocotools"):
        import_tool("pycocotool")


def test_a_tool_that_is_there_is_returned() -> None:
    assert import_tool("pycocotools") is importlib.import_module("pycocotools")


# --- Remarks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_annotation_id_zero_is_remarked_where_the_tool_miscounts_it(
    tool: str, tmp_path: Path
) -> None:
    problem = tiny_problem()
    problem.truth["annotations"][0]["id"] = 0
    with pytest.warns() if tool == "faster-coco-eval" else contextlib.nullcontext():
        result = check(tool, *problem.write(tmp_path), COCO_17)
    if tool == "xtcocotools":
        assert result.agrees
        assert result.remarks == ()
        return
    assert not result.agrees
    (remark,) = result.remarks
    assert remark == f"{tool} counts a match with annotation id 0 as a false positive"
    assert {c.metric: c.theirs for c in result.checks}["AP"] == 0


@pytest.mark.parametrize("tool", TOOLS)
def test_poses_without_a_positive_confidence_are_remarked_where_they_are_dropped(
    tool: str, tmp_path: Path
) -> None:
    problem = tiny_problem()
    for pose in problem.poses[1:]:
        pose["keypoints"][2::3] = [0] * 17
    result = check(tool, *problem.write(tmp_path), COCO_17)
    if tool != "xtcocotools":
        assert result.agrees
        assert result.remarks == ()
        return
    assert not result.agrees
    (remark,) = result.remarks
    assert remark == "xtcocotools drops 2 poses whose confidences are all 0 or less"


@pytest.mark.parametrize("tool", ["xtcocotools", "faster-coco-eval"])
def test_a_recount_of_keypoints_is_remarked_where_the_tool_recounts(
    tool: str, tmp_path: Path
) -> None:
    # CrowdPose's layout without levels: head and neck alone do not make a person count.
    problem = tiny_problem(14)
    person = problem.truth["annotations"][1]
    person["keypoints"][2 : 12 * 3 : 3] = [0] * 12
    person["num_keypoints"] = 0
    annotations, predictions = problem.write(tmp_path)
    loaded = load(annotations, predictions, CROWDPOSE_14)
    loaded = loaded._replace(split=replace(loaded.split, has_levels=False))
    result = check_loaded(tool, loaded, predictions)
    if tool == "faster-coco-eval":
        assert result.agrees
        assert result.remarks == ()
        return
    assert not result.agrees
    (remark,) = result.remarks
    assert remark.startswith("xtcocotools recounts the labelled keypoints")
    assert remark.endswith("about 1 persons")


def test_persons_without_num_keypoints_are_remarked_where_the_tool_ignores_them(
    tmp_path: Path,
) -> None:
    problem = tiny_problem()
    del problem.truth["annotations"][0]["num_keypoints"]
    files = problem.write(tmp_path)
    result = check("faster-coco-eval", *files, COCO_17)
    assert not result.agrees
    assert result.remarks == ("faster-coco-eval ignores 1 persons without num_keypoints",)
    other = check("xtcocotools", *files, COCO_17)
    assert other.agrees
    assert other.remarks == ()


def test_an_empty_list_of_predictions_can_not_be_checked_with_pycocotools(tmp_path: Path) -> None:
    files = Problem(tiny_problem().truth, []).write(tmp_path)
    with pytest.raises(UsageError, match="pycocotools can't read an empty list of predictions"):
        check("pycocotools", *files, COCO_17)


@pytest.mark.parametrize("tool", ["xtcocotools", "faster-coco-eval"])
@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_an_empty_list_of_predictions_agrees_with_the_other_tools(
    skeleton: Skeleton, tool: str, tmp_path: Path
) -> None:
    files = Problem(tiny_problem(len(skeleton)).truth, []).write(tmp_path)
    result = check(tool, *files, skeleton)
    assert result.agrees
    assert {c.metric: c.theirs for c in result.checks}["AP"] == 0


def test_a_tool_that_stops_on_files_that_crowdbench_reads_is_reported(tmp_path: Path) -> None:
    problem = tiny_problem()
    del problem.truth["annotations"][0]["iscrowd"]
    files = problem.write(tmp_path)
    with pytest.raises(UsageError, match=r"pycocotools .*KeyError: 'iscrowd'"):
        check("pycocotools", *files, COCO_17)


def test_the_check_prints_nothing_and_leaves_the_files_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for skeleton in SKELETONS:
        files = tiny_problem(len(skeleton)).write(tmp_path)
        before = [json.loads(path.read_bytes()) for path in files]
        for tool in TOOLS:
            check(tool, *files, skeleton)
        assert [json.loads(path.read_bytes()) for path in files] == before
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
