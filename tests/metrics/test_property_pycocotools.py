"""Random problems: every number is the official tool's, to the last bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings

from crowdbench.skeletons import COCO_17, CROWDPOSE_14
from tests.metrics.problems import (
    COCO_NAMES,
    CROWD_NAMES,
    LEVEL_NAMES,
    Problem,
    load,
    numbers,
    problems,
    pycocotools_numbers,
    reference_tool,
    xtcocotools_numbers,
)


@settings(max_examples=200)
@given(problems(COCO_17))
def test_random_coco_problems_give_the_numbers_of_pycocotools(problem: Problem) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = problem.write(Path(folder))
        ours = numbers(load(*files, COCO_17).evaluate(), COCO_NAMES)
        assert ours == pycocotools_numbers(*files)


@settings(max_examples=100)
@given(
    problems(
        COCO_17, free_counts=False, missing_fields=True, dropped_poses=False, may_be_empty=True
    )
)
def test_random_coco_problems_give_the_numbers_of_xtcocotools(problem: Problem) -> None:
    reference_tool("xtcocotools.mask")
    with tempfile.TemporaryDirectory() as folder:
        files = problem.write(Path(folder))
        ours = numbers(load(*files, COCO_17).evaluate(), COCO_NAMES)
        assert ours == xtcocotools_numbers(*files, COCO_17)


@settings(max_examples=100)
@given(problems(CROWDPOSE_14, dropped_poses=False, may_be_empty=True))
def test_random_crowdpose_problems_give_the_numbers_of_xtcocotools(problem: Problem) -> None:
    reference_tool("xtcocotools.mask")
    with tempfile.TemporaryDirectory() as folder:
        files = problem.write(Path(folder))
        ours = dict(
            zip(
                CROWD_NAMES,
                numbers(load(*files, CROWDPOSE_14).evaluate(), CROWD_NAMES),
                strict=True,
            )
        )
        theirs = dict(zip(CROWD_NAMES, xtcocotools_numbers(*files, CROWDPOSE_14), strict=True))
    # The tool rounds the levels to four decimals.
    for name in LEVEL_NAMES:
        assert abs(ours.pop(name) - theirs.pop(name)) <= 0.5e-4 + 1e-12
    assert ours == theirs
