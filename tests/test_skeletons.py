"""Keypoint layouts, built in and from YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crowdbench.errors import InputError, MissingError, UnknownNameError
from crowdbench.skeletons import COCO_17, CROWDPOSE_14, MUPOTS_17, SKELETONS, load_skeleton
from tests.command import EXAMPLE

GOOD: dict[str, Any] = {
    "name": "hands",
    "keypoints": ["nose", "left_hand", "right_hand"],
    "sigmas": [0.026, 0.062, 0.062],
    "mirror": [["left_hand", "right_hand"]],
    "limbs": [["nose", "left_hand"], ["nose", "right_hand"]],
}


def _write(path: Path, **changes: Any) -> Path:
    content = {k: v for k, v in (GOOD | changes).items() if v is not None}
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_built_in_skeletons_are_consistent(skeleton: Any) -> None:
    k = len(skeleton)
    assert len(set(skeleton.keypoints)) == k
    # Poses in space are not scored by OKS.
    assert len(skeleton.sigmas) == (0 if skeleton.is_3d else k)
    mirrored = [i for pair in skeleton.mirror for i in pair]
    assert len(set(mirrored)) == len(mirrored)
    for left, right in skeleton.mirror:
        assert skeleton.keypoints[left] == skeleton.keypoints[right].replace("right", "left")
        assert skeleton.is_3d or skeleton.sigmas[left] == skeleton.sigmas[right]
    assert all(0 <= i < k for limb in skeleton.limbs for i in limb)


def test_the_joints_of_mupots_hang_together_and_fourteen_are_scored() -> None:
    skeleton = MUPOTS_17
    assert skeleton.keypoints[skeleton.root] == "pelvis"
    assert skeleton.scored == tuple(range(14))
    for joint in range(len(skeleton)):
        path = [joint]
        while path[-1] != skeleton.root:
            path.append(skeleton.parents[path[-1]])
            assert len(path) < 7
    swapped = {a: b for pair in skeleton.mirror for a, b in (pair, pair[::-1])}
    for joint, parent in enumerate(skeleton.parents):
        assert skeleton.parents[swapped.get(joint, joint)] == swapped.get(parent, parent)
    bones = {frozenset(pair) for pair in enumerate(skeleton.parents) if pair[0] != pair[1]}
    # The head lies between its top and the neck; it is drawn so, and mapped otherwise.
    assert bones - {frozenset(limb) for limb in skeleton.limbs} == {frozenset((0, 1))}


def test_coco_sigmas_equal_those_of_pycocotools_to_the_last_bit() -> None:
    params = pytest.importorskip("pycocotools.cocoeval").Params("keypoints")
    np.testing.assert_array_equal(COCO_17.sigma_array, params.kpt_oks_sigmas)


def test_crowdpose_counts_the_keypoints_of_the_body_only() -> None:
    assert CROWDPOSE_14.keypoints[CROWDPOSE_14.counted :] == ("head", "neck")
    assert CROWDPOSE_14.area == "0.53*box"


def test_a_skeleton_is_read_from_yaml(tmp_path: Path) -> None:
    skeleton = load_skeleton(str(_write(tmp_path / "hands.yaml", area="0.53*box", counted=1)))
    assert skeleton.name == "hands"
    assert skeleton.mirror == ((1, 2),)
    assert skeleton.limbs == ((0, 1), (0, 2))
    assert (skeleton.counted, skeleton.area) == (1, "0.53*box")
    assert load_skeleton(str(_write(tmp_path / "plain.yaml"))).counted == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints": ["nose", "nose", "hand"]}, "different names"),
        ({"keypoints": []}, "different names"),
        ({"sigmas": [0.1, 0.2]}, "sigmas must be 3 positive numbers, one per keypoint; found 2"),
        ({"sigmas": [0.1, 0.2, 0]}, "sigmas must be 3 positive numbers"),
        ({"sigmas": [0.1, 0.2, float("inf")]}, "sigmas must be 3 positive numbers"),
        ({"sigmas": None}, "sigmas is missing"),
        ({"sigmas": ["a", "b", "c"]}, "sigmas[0]: expected float, got str"),
        ({"mirror": [["nose", "foot"]]}, "mirror names 'foot', which is no keypoint"),
        ({"area": "0.6*box"}, "area is '0.6*box', expected annotation or 0.53*box"),
        ({"counted": 4}, "counted is 4, expected 1 to 3"),
        ({"sigma": [1]}, "unknown field"),
    ],
)
def test_a_wrong_skeleton_file_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = _write(tmp_path / "s.yaml", **changes)
    with pytest.raises(InputError) as error:
        load_skeleton(str(path))
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_an_unknown_or_missing_skeleton_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean crowdpose-14"):
        load_skeleton("crowdpose14")
    with pytest.raises(MissingError, match="not found"):
        load_skeleton(str(tmp_path / "none.yaml"))
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(InputError, match="not valid YAML"):
        load_skeleton(str(tmp_path / "bad.yaml"))


def test_a_run_on_a_skeleton_of_ones_own_is_scored_again_from_its_record(
    crowdbench: Any, example: Any, tmp_path: Path
) -> None:
    annotations, predictions = example
    for entry in (*annotations["annotations"], *predictions):
        entry["keypoints"] = entry["keypoints"][:9]
    (tmp_path / "truth.json").write_text(json.dumps(annotations))
    (tmp_path / "poses.json").write_text(json.dumps(predictions))
    skeleton = _write(tmp_path / "hands.yaml")
    done = crowdbench(
        "run", "--predictor", "replay", "--predictions", "poses.json", "--annotations",
        "truth.json", "--skeleton", skeleton, "--json", "--output", "r", "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [k["name"] for k in json.loads(done.stdout)["keypoints"]] == GOOD["keypoints"]
    skeleton.unlink()
    again = crowdbench("score", "r", "--json", "--check", "pycocotools")
    assert (again.returncode, again.stdout) == (0, done.stdout)


def test_the_example_is_what_its_script_makes(tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_text((EXAMPLE / "make.py").read_text())
    exec(compile(script.read_text(), script, "exec"), {"__name__": "__main__", "__file__": script})
    for name in ("annotations.json", "predictions.json"):
        assert (tmp_path / name).read_text() == (EXAMPLE / name).read_text()
