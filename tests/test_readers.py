"""Whatever a file holds, the readers give arrays or say what is wrong; they never crash."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench.datasets import load_own
from crowdbench.datasets.coco_format import read_annotations
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError
from crowdbench.metrics.evaluation import evaluate
from crowdbench.results_format import read_results, write_results
from crowdbench.skeletons import COCO_17
from tests.command import EXAMPLE

SPLIT = load_own(EXAMPLE / "annotations.json", COCO_17)
TRUTH: dict[str, Any] = json.loads((EXAMPLE / "annotations.json").read_text())
RESULTS: list[dict[str, Any]] = json.loads((EXAMPLE / "predictions.json").read_text())[:6]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from([0, -1, 1e308, -1e308, 2**63, 2**64, 0.5, 1, "", "1", "x", [], {}, [[]]]),
    st.lists(st.one_of(st.floats(), st.integers(), st.text(max_size=2)), max_size=52),
    st.just([0.0] * 51),
    st.just([1e308, -1e308, 1e-308] * 17),
)


def _paths(value: Any) -> list[tuple[Any, ...]]:
    """Return the path of every value inside `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in items:
        found.append((key,))
        if isinstance(item, dict | list):
            found += [(key, *path) for path in _paths(item)]
    return found


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if new is _REMOVE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return value


_REMOVE = object()
_CHANGES = st.one_of(ODD, st.just(_REMOVE))
_RESULT_PATHS, _TRUTH_PATHS = _paths(RESULTS), _paths(TRUTH)


@settings(max_examples=300)
@given(st.sampled_from(_RESULT_PATHS), _CHANGES)
def test_any_changed_value_in_results_is_read_or_refused(path: tuple[Any, ...], new: Any) -> None:
    content = json.dumps(_changed(RESULTS, path, new)).encode()
    try:
        poses = read_results(Path("poses.json"), content, SPLIT).poses
    except InputError as error:
        _is_kind(error, "poses.json")
        return
    assert np.isfinite(poses.keypoints).all()
    _evaluate(SPLIT, poses)


@settings(max_examples=300)
@given(st.sampled_from(_TRUTH_PATHS), _CHANGES)
def test_any_changed_value_in_annotations_is_read_or_refused(
    path: tuple[Any, ...], new: Any
) -> None:
    content = json.dumps(_changed(TRUTH, path, new)).encode()
    try:
        found = read_annotations(Path("truth.json"), content, COCO_17, "annotation")
    except InputError as error:
        _is_kind(error, "truth.json")
        return
    if found.truth is not None:
        assert np.isfinite(found.truth.keypoints).all()
        assert np.isfinite(found.truth.boxes).all()


@settings(max_examples=100)
@given(st.integers(0, 3000), st.binary(max_size=4))
def test_any_damaged_bytes_are_read_or_refused(at: int, damage: bytes) -> None:
    content = json.dumps(RESULTS).encode()
    content = content[:at] + damage + content[at + len(damage) + 1 :]
    try:
        read_results(Path("poses.json"), content, SPLIT)
    except InputError as error:
        _is_kind(error, "poses.json")


def test_poses_come_back_from_a_written_file_with_every_bit(tmp_path: Path) -> None:
    content = json.dumps(RESULTS * 100).encode()
    poses = read_results(Path("poses.json"), content, SPLIT).poses
    path = tmp_path / "again.json"
    write_results(path, poses, SPLIT.images.ids, SPLIT.category_id)
    again = read_results(path, path.read_bytes(), SPLIT).poses
    for name in ("image_index", "keypoints", "keypoint_scores", "scores", "boxes", "box_scores"):
        np.testing.assert_array_equal(getattr(again, name), getattr(poses, name))


@pytest.mark.parametrize("n", [255, 256, 257])
def test_a_fault_beyond_the_first_block_is_named_by_its_index(n: int) -> None:
    entries = [copy.deepcopy(RESULTS[0]) for _ in range(600)]
    entries[n]["keypoints"].pop()
    with pytest.raises(InputError, match=rf"predictions\[{n}\]\.keypoints has 50 numbers"):
        read_results(Path("poses.json"), json.dumps(entries).encode(), SPLIT)
    entries[n]["keypoints"] = None
    with pytest.raises(InputError, match=rf"predictions\[{n}\]\.keypoints: expected array"):
        read_results(Path("poses.json"), json.dumps(entries).encode(), SPLIT)


def test_whole_numbers_written_as_floats_are_read_where_no_id_is() -> None:
    truth = copy.deepcopy(TRUTH)
    truth["images"][0] |= {"width": 640.0, "height": 480.0}
    truth["annotations"][0]["num_keypoints"] = float(truth["annotations"][0]["num_keypoints"])
    found = read_annotations(Path("t.json"), json.dumps(truth).encode(), COCO_17, "annotation")
    np.testing.assert_array_equal(found.images.sizes, SPLIT.images.sizes)
    assert found.truth is not None
    assert SPLIT.truth is not None
    np.testing.assert_array_equal(found.truth.is_ignored, SPLIT.truth.is_ignored)


def _evaluate(split: Split, poses: Any) -> None:
    assert split.truth is not None
    for value in evaluate(split.truth, poses, COCO_17.sigma_array).values.values():
        assert value.value is None or 0 <= value.value <= 1


def _is_kind(error: InputError, name: str) -> None:
    text = str(error)
    assert text.startswith(name)
    assert len(text.splitlines()) <= 2
    assert len(text) < 400
