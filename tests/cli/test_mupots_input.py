"""3D predictions on the command line: what is wrong is said, what is right is scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from tests.command import Crowdbench, contents
from tests.metrics.mupots_reference import GROUPS
from tests.results_3d.small import (
    FRAMES,
    annotations,
    frames,
    split,
    write_json,
    write_npz,
    write_pair,
    write_paired_npz,
)

Variables = dict[str, Any]


def _replay(annotated: Path, predictions: Path, *more: str | Path) -> list[str | Path]:
    # A folder can only be MuPoTS-3D's.
    skeleton = [] if annotated.is_dir() else ["--skeleton", "mupots-17"]
    return [
        "run", "--predictor", "replay", "--annotations", annotated, *skeleton,
        "--predictions", predictions, "--no-report", *more,
    ]  # fmt: skip


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_json(tmp_path / "small.json", annotations())


def _nan(in_3d: Variables) -> None:
    in_3d[FRAMES[0]][1, 3, 0] = np.nan


def _metres(in_3d: Variables) -> None:
    in_3d.update({name: joints / 1000 for name, joints in in_3d.items()})


BAD: dict[str, tuple[Callable[[Variables], Any], str]] = {
    "wrong joint count": (
        lambda in_3d: in_3d.update({FRAMES[0]: np.ones((2, 21, 3))}),
        "variable TS1_img_000000 has 21 joints, expected 17",
    ),
    "metres": (_metres, "look like metres: expected millimetres, multiply them by 1000"),
    "NaN": (_nan, "variable TS1_img_000000: right_elbow of person 2 of 2 is not finite"),
    "a frame of 3D alone": (
        lambda in_3d: in_3d.update(TS9_img_000000=np.ones((1, 17, 3))),
        "1 variables of preds_3d_kpt_mupots.mat are missing, the first is TS9_img_000000",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_mat_files_end_in_one_message(
    name: str, crowdbench: Crowdbench, truth: Path, tmp_path: Path
) -> None:
    change, message = BAD[name]
    in_2d, in_3d = frames(dict.fromkeys(FRAMES, 2))
    change(in_3d)
    _is_one_message(crowdbench(*_replay(truth, write_pair(tmp_path / "p", in_2d, in_3d))), message)
    assert not (tmp_path / "runs").exists()


def test_a_truncated_file_ends_in_one_message(
    crowdbench: Crowdbench, truth: Path, tmp_path: Path
) -> None:
    folder = write_pair(tmp_path / "p", *frames(dict.fromkeys(FRAMES, 2)))
    path = folder / "preds_3d_kpt_mupots.mat"
    path.write_bytes(path.read_bytes()[:-500])
    done = crowdbench(*_replay(truth, folder))
    _is_one_message(done, "truncated or damaged?")
    assert "preds_3d_kpt_mupots.mat" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_what_is_not_there_is_exit_code_3(
    crowdbench: Crowdbench, truth: Path, tmp_path: Path
) -> None:
    done = crowdbench(*_replay(truth, tmp_path))
    _is_one_message(done, "has no preds_2d_kpt_mupots.mat and no preds_3d_kpt_mupots.mat", 3)
    done = crowdbench(*_replay(truth, tmp_path / "none.npz"))
    _is_one_message(done, "predictions not found at", 3)
    assert not (tmp_path / "runs").exists()


def test_unknown_frames_are_refused_or_left_out(
    crowdbench: Crowdbench, truth: Path, tmp_path: Path
) -> None:
    path = write_npz(tmp_path / "poses.npz", {10: 1, 11: 1, 20: 1, 30: 1, 31: 2})
    words = "2 poses are of 1 images that small does not have, the first are 31"
    _is_one_message(crowdbench(*_replay(truth, path)), words)
    done = crowdbench(*_replay(truth, path, "--unknown-images", "ignore", "--output", "r"))
    assert done.returncode == 0, done.stderr
    assert words in done.stdout + done.stderr
    assert words in json.loads((tmp_path / "r" / "metrics.json").read_text())["notes"]


def test_a_missing_sequence_is_named_and_the_average_explained(
    crowdbench: Crowdbench, truth: Path, tmp_path: Path
) -> None:
    sp = split()
    assert sp.truth is not None
    assert sp.truth.pose3d is not None
    # Both persons of TS1, exactly; nobody of TS2 and TS10.
    folder = write_pair(
        tmp_path / "p",
        {FRAMES[i]: sp.truth.keypoints[2 * i : 2 * i + 2, :, :2] for i in (0, 1)},
        {FRAMES[i]: sp.truth.pose3d.joints_mm[2 * i : 2 * i + 2] for i in (0, 1)},
    )
    done = crowdbench(*_replay(truth, folder, "--output", "r"))
    assert done.returncode == 0, done.stderr
    assert (
        "no predictions for TS2 (1 frames), TS10 (1 frames): the persons there count as missed in "
        "`all`; `matched` has no value there and is averaged over the other sequences"
    ) in " ".join((done.stdout + done.stderr).split())
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())["metrics"]
    assert metrics["3DPCK_all"]["by_sequence"] == {"TS1": 1, "TS2": 0, "TS10": 0}
    assert metrics["3DPCK_all"]["value"] == pytest.approx(1 / 3)
    assert metrics["3DPCK_matched"]["by_sequence"] == {"TS1": 1, "TS2": None, "TS10": None}
    assert metrics["3DPCK_matched"]["value"] == 1


def test_a_run_of_paired_poses_says_how_it_pairs(
    crowdbench: Crowdbench, truth: Path, tmp_path: Path
) -> None:
    path = write_paired_npz(tmp_path / "poses.npz", pred_img=None)
    done = crowdbench(*_replay(truth, path, "--output", "r"))
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert "pairs=annotation" in metrics["signature"]
    assert metrics["metrics"]["MPJPE_mm"]["n"] == 3
    assert metrics["metrics"]["3DPCK_all"]["value"] is None


def test_the_run_folder_is_read_again_and_gives_the_same(
    crowdbench: Crowdbench, truth: Path, tmp_path: Path
) -> None:
    given = write_npz(tmp_path / "poses.npz", pred_score=np.array([1.0, 2.0, 3.0]))
    for source, output in ((given, "a"), (Path("a"), "b"), (Path("a/predictions.json"), "c")):
        done = crowdbench(*_replay(truth, source, "--output", output))
        assert done.returncode == 0, done.stderr
    a, b, c = (contents(tmp_path / name) for name in "abc")
    for name in ("preds_2d_kpt_mupots.mat", "preds_3d_kpt_mupots.mat"):
        assert a[name] == b[name] == c[name]
    for name in ("predictions.json", "metrics.json", "worst_images.json"):
        assert a[name] == c[name]
    # The .mat files hold no scores; on these no metric depends.
    assert a["predictions.json"] != b["predictions.json"]
    of_all, of_mat = (json.loads(found["metrics.json"])["metrics"] for found in (a, b))
    assert of_all == of_mat


def test_overwriting_leaves_no_files_of_the_run_before(
    crowdbench: Crowdbench, truth: Path, tmp_path: Path
) -> None:
    path = write_npz(tmp_path / "poses.npz")
    assert crowdbench(*_replay(truth, path, "--output", "r")).returncode == 0
    before = contents(tmp_path / "r")
    value = annotations()
    for image in value["images"]:
        image["file_name"] = f"street/{image['id']}.jpg"
    other = write_json(tmp_path / "other.json", value)
    done = crowdbench(*_replay(other, path, "--output", "r", "--overwrite"))
    assert done.returncode == 0, done.stderr
    assert before.keys() - contents(tmp_path / "r").keys() == {
        "preds_2d_kpt_mupots.mat",
        "preds_3d_kpt_mupots.mat",
    }


@pytest.mark.parametrize("name", ["main", "edge"])
def test_the_reference_is_met_from_every_form(
    name: str, crowdbench: Crowdbench, shared: Path, tmp_path: Path
) -> None:
    folder = shared / "reference" / "mupots" / name
    expected = json.loads((folder / "expected.json").read_text())
    for source, output in (
        (folder, "mat"),
        (folder / "data.npz", "npz"),
        (tmp_path / "npz" / "predictions.json", "json"),
    ):
        done = crowdbench(*_replay(folder / "MultiPersonTestSet", source, "--output", output))
        assert done.returncode == 0, done.stderr
    metrics = {
        output: json.loads((tmp_path / output / "metrics.json").read_text())["metrics"]
        for output in ("mat", "npz", "json")
    }
    assert metrics["mat"] == metrics["npz"] == metrics["json"]
    _meets(metrics["mat"], expected)
    ours, theirs = (
        scipy.io.loadmat(path / "preds_3d_kpt_mupots.mat") for path in (tmp_path / "mat", folder)
    )
    assert ours.keys() == theirs.keys()
    for key in ours.keys() - {"__header__", "__version__", "__globals__"}:
        np.testing.assert_array_equal(ours[key], theirs[key])


def _meets(metrics: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare all fractions with the official percentages, to 1e-6."""
    for who in ("all", "matched"):
        for space, ending in (("relative", ""), ("absolute", "_abs")):
            official = expected[f"{who}_{space}"]
            for kind, name in (("pck", "3DPCK"), ("auc", "AUC")):
                metric = metrics[f"{name}_{who}{ending}"]
                for sequence, value in metric["by_sequence"].items():
                    row = official["sequences"].get(sequence)
                    assert _is_near(value, row and row[kind]["Total"])
                if "mean_of_sequences" in official:
                    mean = official["mean_of_sequences"][kind]
                    pooled = official["pooled_over_people"][kind]["Total"]
                    assert _is_near(metric["value"], mean["Total"])
                    assert _is_near(metric["averages"]["person"], pooled)
                    for group, value in metric["by_group"].items():
                        assert _is_near(value, mean[GROUPS[group]])


def _is_near(fraction: float | None, percent: float | None) -> bool:
    if fraction is None or percent is None:
        return fraction is percent
    return abs(100 * fraction - percent) < 1e-6


def test_the_paired_reference_is_met(crowdbench: Crowdbench, shared: Path, tmp_path: Path) -> None:
    folder = shared / "reference" / "mupots" / "main"
    expected = json.loads((folder / "expected.json").read_text())["paired"]
    for source, output in (
        (folder / "paired.npz", "a"),
        (tmp_path / "a" / "predictions.json", "b"),
    ):
        done = crowdbench(*_replay(folder / "MuPoTS-3D.json.gz", source, "--output", output))
        assert done.returncode == 0, done.stderr
        metrics = json.loads((tmp_path / output / "metrics.json").read_text())["metrics"]
        for ours, theirs in (
            ("MPJPE_mm", "mpjpe"),
            ("PA_MPJPE_rigid_mm", "pa_mpjpe_rigid_no_scale"),
            ("PA_MPJPE_mm", "pa_mpjpe_similarity"),
        ):
            official, metric = expected[theirs], metrics[ours]
            assert metric["n"] == expected["people"]
            assert metric["value"] == pytest.approx(official["all_people_pooled"], abs=1e-6)
            assert metric["averages"] == pytest.approx(
                {
                    "sequence": official["mean_of_sequences"],
                    "frame": official["mean_of_images"],
                    "person": official["all_people_pooled"],
                },
                abs=1e-6,
            )
            assert metric["by_sequence"] == pytest.approx(official["per_sequence"], abs=1e-6)
            by_joint = list(metric["by_joint"].values())
            assert by_joint == pytest.approx(official["per_joint"], abs=1e-6)


def _is_one_message(done: Any, message: str, code: int = 2) -> None:
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2
