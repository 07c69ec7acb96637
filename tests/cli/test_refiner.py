"""Refiners with ``--base``: what is refused, what is recorded, and all commands that predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.in_process import run_in
from tests.cli.refiners import CODE, HEAVY, MADE, SHIFT
from tests.command import EXAMPLE, Crowdbench
from tests.running.poses_in_space import exact_poses, write_annotations, write_poses

IN_IMAGE: tuple[str | Path, ...] = (
    "--annotations", EXAMPLE / "annotations.json", "--skeleton", "coco-17",
)  # fmt: skip
FEW = ("--no-report", "--bootstrap", "100", "-q")


@pytest.fixture
def here(tmp_path: Path) -> Crowdbench:
    (tmp_path / "mine.py").write_text(CODE)
    return run_in(tmp_path)


@pytest.fixture
def in_space(tmp_path: Path) -> tuple[str | Path, ...]:
    """Arguments of a small 3D split, with a file of poses."""
    write_poses(tmp_path / "poses.json", exact_poses())
    annotations = write_annotations(tmp_path)
    return (
        "--annotations", annotations, "--skeleton", "mupots-17", "--predictions", "poses.json",
    )  # fmt: skip


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (
            ("--predictor", SHIFT), 2,
            "shift refines the poses of another predictor: name it with --base, e.g. --base replay",
        ),
        (
            ("--predictor", "replay", "--base", MADE), 2,
            f"replay makes its poses by itself: leave --base {MADE} out",
        ),
        (
            ("--predictor", SHIFT, "--base", HEAVY), 2,
            "--base heavy: it refines poses itself, expected a predictor that makes them",
        ),
        (
            ("--predictor", SHIFT, "--base", "replya"), 2,
            "unknown predictor 'replya'; did you mean replay?",
        ),
        (
            ("--predictor", SHIFT, "--base", MADE, "--predictions", "x.json"), 2,
            "--predictions goes with --base replay",
        ),
        (
            ("--predictor", SHIFT, "--base", "replay"), 2,
            "replay needs the poses: --predictions FILE",
        ),
        (
            ("--predictor", SHIFT, "--base", "replay", "--boxes", "gt"), 2,
            "replay takes no boxes: leave --boxes out",
        ),
        (
            ("--predictor", SHIFT, "--base", "replay", "--base-weights", "random"), 2,
            "replay takes no weights: leave --base-weights out",
        ),
        (
            ("--predictor", MADE, "--base-weights", "random"), 2,
            "--base-weights goes with --base, which only a refiner has",
        ),
        (
            ("--predictor", SHIFT, "--base", MADE, "--weights", "random"), 2,
            "shift takes no weights: leave --weights out",
        ),
        (
            ("--predictor", SHIFT, "--base", MADE, "--option", "move=3"), 2,
            "unknown option of shift 'move'; did you mean base.move?",
        ),
        (
            ("--predictor", "mine.py:Unsaid", "--base", MADE), 2,
            "card.refines is True, expected True of subclasses of crowdbench.refiner.Refiner",
        ),
        (
            ("--predictor", HEAVY, "--base", MADE, "--precision", "bf16", "--weights", "random",
             "--base-weights", "no.pth"), 3,
            "weights: no.pth is not there (or `--base-weights random`, to try things out without)",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line(
    here: Crowdbench, tmp_path: Path, asked: tuple[str, ...], code: int, said: str
) -> None:
    done = here("run", *asked, *IN_IMAGE)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_weights_that_both_lack_are_said_in_one_message(here: Crowdbench) -> None:
    done = here("run", "--predictor", HEAVY, "--base", MADE, *IN_IMAGE)
    assert done.returncode == 3
    assert done.stderr.startswith("crowdbench: 2 things are missing:\n- weights of heavy for coco")
    assert "\n- weights of made for coco-17: CROWDBENCH_WEIGHTS is not set\n" in done.stderr
    assert "then --weights FILE" in done.stderr
    assert "then --base-weights FILE" in done.stderr


def test_poses_from_a_file_are_refined_and_compared(
    here: Crowdbench, tmp_path: Path, in_space: tuple[str | Path, ...]
) -> None:
    done = here("run", "--predictor", SHIFT, "--base", "replay", *in_space, "--option", "by=3",
                *FEW)  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/shift+replay@MuPoTS-3D"
    run, metrics = read(folder / "run.json"), read(folder / "metrics.json")
    assert run["protocol"]["base"] == "replay"
    assert "base=replay options=by=3" in run["signature"]
    assert run["predictor"]["card"]["name"] == "shift"
    assert run["predictor"]["base"]["name"] == "replay"
    assert metrics["predictor"] == "shift+replay"
    assert run["predictor"]["inputs"]["base predictions"]["name"] == "poses.json"
    # The base's poses are exact. Of 17 joints 5 are off, by 3 mm for each person of the image.
    mean = 5 / 17 * np.mean([6, 6, 3, 3])
    assert metrics["metrics"]["MPJPE_mm"]["averages"]["person"] == pytest.approx(mean)
    [shard] = (folder / "candidates").iterdir()
    with np.load(shard) as arrays:
        exact = np.array([pose["keypoints_cam"] for pose in exact_poses()])
        np.testing.assert_array_equal(arrays["base_joints_mm"], exact)
        assert np.abs(arrays["joints_mm"] - exact).max() == pytest.approx(6)
        assert "box_scores" not in arrays

    done = here("run", "--predictor", "replay", *in_space, *FEW)
    assert done.returncode == 0, done.stderr
    # No flag is needed: what is compared are the methods.
    done = here("compare", "runs/replay@MuPoTS-3D", "runs/shift+replay@MuPoTS-3D", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [each["differences"] for each in found["runs"]] == [[], []]
    mpjpe = found["metrics"]["MPJPE_mm"]
    assert mpjpe[0]["value"] == pytest.approx(0, abs=1e-9)
    assert mpjpe[1]["difference"] == pytest.approx(mpjpe[1]["value"])
    scored = here("score", "runs/shift+replay@MuPoTS-3D", "-q")
    assert scored.returncode == 0
    assert read(folder / "metrics.json") == metrics


def boxes_file(path: Path) -> Path:
    """Write the annotated boxes with scores of 0.4 and 0.8 in turn."""
    truth = read(EXAMPLE / "annotations.json")["annotations"]
    entries = [
        {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.4 + 0.4 * i}
        for i, a in ((i % 2, a) for i, a in enumerate(truth))
    ]
    path.write_text(json.dumps(entries))
    return path


def test_each_threshold_refines_the_poses_of_its_boxes_alone(
    here: Crowdbench, tmp_path: Path
) -> None:
    boxes = boxes_file(tmp_path / "all.json")
    (tmp_path / "few.json").write_text(
        json.dumps([box for box in read(boxes) if box["score"] > 0.5])
    )
    weights = ("--weights", "random", "--base-weights", "random")
    asked = ("run", "--predictor", HEAVY, "--base", MADE, *IN_IMAGE, *weights, *FEW,
             "--option", "by=2", "--option", "base.move=1")  # fmt: skip
    for name, thresholds in (("all", "0,0.5"), ("few", "0")):
        done = here(*asked, "--boxes", f"{name}.json", "--output", name, "--conditions",
                    "detector-confidence", "--thresholds", thresholds)  # fmt: skip
        assert done.returncode == 0, done.stderr
    of_all, of_few = (read(tmp_path / name / "metrics.json") for name in ("all", "few"))
    rows = of_all["conditions"]["detector-confidence"]
    assert rows[1]["metrics"]["AP"]["value"] == of_few["metrics"]["AP"]["value"]
    assert rows[1]["n_poses"] == of_few["counts"]["poses"] < rows[0]["n_poses"]
    # Of the base's two candidates a box one is refined, and nothing is merged afterwards.
    assert of_all["counts"]["poses"] == len(read(boxes))
    run = read(tmp_path / "all/run.json")
    assert run["protocol"]["merging"] == "oks-nms(0.9)"
    assert run["predictor"]["merging"]["rule"] == "none"
    assert run["protocol"]["options"] == "base.move=1,by=2"
    assert run["notes"][-2:] == [
        "the network's weights are random: its poses mean nothing, its speed does",
        "the base's weights are random: its poses mean nothing, its speed does",
    ]
    assert (tmp_path / "loads.txt").read_text() == "made None\nheavy None\n" * 2


def test_both_files_of_weights_are_loaded_and_recorded(here: Crowdbench, tmp_path: Path) -> None:
    for name in ("heavy.pth", "made.pth"):
        (tmp_path / name).write_text(name)
    asked = ("predict", "--predictor", HEAVY, "--base", MADE, *IN_IMAGE, "--limit", "2", "-q")
    done = here(*asked, env={"CROWDBENCH_WEIGHTS": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/heavy+made@annotations"
    inputs = read(folder / "run.json")["predictor"]["inputs"]
    assert {role: digest["name"] for role, digest in inputs.items()} == {
        "weights": "heavy.pth", "base weights": "made.pth",
    }  # fmt: skip
    assert (tmp_path / "loads.txt").read_text().split()[1::2] == [
        f"{tmp_path}/made.pth", f"{tmp_path}/heavy.pth",
    ]  # fmt: skip
    assert read(folder / "environment.json")["speed"]["latency_ms"] is not None


def test_an_interrupted_run_goes_on(here: Crowdbench, tmp_path: Path) -> None:
    asked = ("run", "--predictor", SHIFT, "--base", MADE, "--base-weights", "random", *IN_IMAGE,
             *FEW)  # fmt: skip
    assert here(*asked, "--output", "whole").returncode == 0
    (tmp_path / "interrupt").touch()
    assert here(*asked).returncode == 130
    folder = tmp_path / "runs/shift+made@annotations"
    # In shards as large as those of the base.
    assert sorted(path.name for path in (folder / "candidates").iterdir()) == [
        "00000.npz", "00001.npz",
    ]  # fmt: skip
    (tmp_path / "interrupt").unlink()
    done = here(*asked)
    assert done.returncode == 0, done.stderr
    for name in ("run.json", "metrics.json", "predictions.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_base_and_refined_poses_of_one_setting_are_compared_without_a_flag(
    here: Crowdbench,
) -> None:
    common = (*IN_IMAGE, *FEW, "--limit", "4", "--conditions", "none")
    base = ("run", "--predictor", MADE, "--weights", "random", *common)
    refined = ("run", "--predictor", SHIFT, "--base", MADE, "--base-weights", "random", *common)
    for asked in (
        (*base, "--output", "base"),
        (*refined, "--output", "refined"),
        (*refined, "--output", "moved", "--option", "base.move=4"),
    ):
        done = here(*asked)
        assert done.returncode == 0, done.stderr
    done = here("compare", "base", "refined", "--json")
    assert done.returncode == 0, done.stderr
    assert [run["differences"] for run in json.loads(done.stdout)["runs"]] == [[], []]
    # A base that was run otherwise is another thing.
    refused = here("compare", "base", "moved")
    assert refused.returncode == 2
    assert "moved has other options (base.move=4,by=1 instead of move=0)" in refused.stderr


@pytest.mark.parametrize("option", ["by", "base.move"])
def test_options_of_both_are_compared(here: Crowdbench, tmp_path: Path, option: str) -> None:
    asked = ("ablate", "--predictor", SHIFT, "--base", MADE, "--base-weights", "random", *IN_IMAGE,
             "--limit", "3", "--conditions", "none", "--bootstrap", "100", "-q")  # fmt: skip
    done = here(*asked, "--vary", option)
    assert done.returncode == 0, done.stderr
    root = tmp_path / f"runs/shift+made@annotations-by-{option}"
    found = read(root / "comparison/comparison.json")
    values = {"by": ("1", "8"), "base.move": ("0", "4")}[option]
    assert [run["name"] for run in found["runs"]] == [f"{option}={value}" for value in values]
    assert (root / f"{option}={values[1]}/metrics.json").is_file()
    oks = [metric["value"] for metric in found["metrics"]["AP"]]
    assert oks[0] > oks[1]


def test_options_of_the_base_are_refused_with_its_words(here: Crowdbench, tmp_path: Path) -> None:
    asked = ("ablate", "--predictor", SHIFT, "--base", MADE, "--base-weights", "random", *IN_IMAGE)
    done = here(*asked, "--vary", "base.mov")
    assert done.returncode == 2
    assert "unknown option of shift 'base.mov'; did you mean base.move?" in done.stderr
    done = here(*asked, "--vary", "by=1,x")
    assert done.returncode == 2
    assert "by=x: by is 'x', expected a number" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_check_takes_poses_from_a_file_or_from_a_base(here: Crowdbench) -> None:
    for asked, n in ((("check", SHIFT), 13), (("check", HEAVY, "--base", "hrnet-tiny"), 14)):
        done = here(*asked)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("ok  ") == n
    done = here("check", "mine.py:Loses")
    assert done.returncode == 1
    assert "refine returned 7 poses, expected one pose for each of the 8 it was" in done.stdout


def test_lists_say_who_refines(here: Crowdbench) -> None:
    done = here("ls", "predictors", SHIFT)
    assert done.returncode == 0, done.stderr
    assert (
        "needs     the poses of another predictor (--base NAME), and what that needs\n"
        in done.stdout
    )
    assert "--option by=N\n" in done.stdout


def test_runs_are_listed_with_both_names(here: Crowdbench) -> None:
    done = here("predict", "--predictor", SHIFT, "--base", MADE, "--base-weights", "random",
                *IN_IMAGE, "--limit", "1", "-q")  # fmt: skip
    assert done.returncode == 0, done.stderr
    [row] = [line for line in here("ls", "runs").stdout.splitlines() if "annotations" in line]
    assert row.split()[:3] == ["shift+made@annotations", "shift+made", "annotations"]
