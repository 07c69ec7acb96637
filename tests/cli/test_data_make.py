"""`data make`, and runs on a machine without any data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from crowdbench.cli import main
from tests.command import contents
from tests.datasets.synthcrowd.small import cut

GREY = f"{Path(__file__).parents[1] / 'running/small.py'}:Grey"


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run ``crowdbench ARGUMENTS`` in this process, with SynthCrowd cut to six images."""
    cut(monkeypatch, 6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROWDBENCH_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["crowdbench", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    return run


def perturbed(annotations: Path) -> list[dict[str, Any]]:
    """Return the annotated poses, moved a little and scored at random."""
    random = np.random.default_rng(3)
    poses = []
    for person in json.loads(annotations.read_bytes())["annotations"]:
        if not person["num_keypoints"]:
            continue
        keypoints = np.array(person["keypoints"], float).reshape(17, 3)
        keypoints[:, :2] += random.normal(0, person["area"] ** 0.5 / 14, (17, 2))
        keypoints[:, 2] = 1
        poses.append(
            {
                "image_id": person["image_id"],
                "category_id": 1,
                "keypoints": keypoints.ravel().tolist(),
                "score": random.random(),
            }
        )
    return poses


def test_a_data_set_is_made_in_the_data_root_and_then_known(
    command: Command, tmp_path: Path
) -> None:
    assert "can be made" in command("data", "ls").out
    done = command("data", "make", "synthcrowd")
    assert done.code == 0, done.err
    assert "synthcrowd-val: made: 6 images" in done.out
    assert "synthcrowd-test: made: 6 images" in done.out
    assert done.out.count("sha256") == 4
    assert (tmp_path / "data/synthcrowd/images/test/000005.png").is_file()
    assert not (tmp_path / "data/synthcrowd/images/train").exists()
    again = command("data", "make", "synthcrowd-val")
    assert "synthcrowd-val: is there already: 6 images" in again.out
    verified = command("data", "verify", "synthcrowd")
    assert verified.code == 0
    assert "6 images: as it should be" in verified.out
    assert "make it: crowdbench data make synthcrowd-train" in verified.out


def test_a_split_is_exported_in_the_same_layout(command: Command, tmp_path: Path) -> None:
    assert command("data", "make", "synthcrowd-test").code == 0
    done = command("data", "make", "synthcrowd-test", "--export", "there")
    assert done.code == 0
    assert "there/annotations/synthcrowd_test.json" in done.out
    assert contents(tmp_path / "there") == contents(tmp_path / "data/synthcrowd")


def test_show_tells_how_to_make_it(command: Command) -> None:
    shown = command("data", "show", "synthcrowd").out
    assert "crowdbench data make synthcrowd-train" in shown
    assert "version   1" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["coco"], 2, "coco can't be made, it has to be got from https://cocodataset.org"),
        (["synthcrowd-tset"], 2, "did you mean synthcrowd-test"),
        (["synthcrowd-test", "--export", "file"], 2, "file is a file, expected a folder"),
        (["synthcrowd-test", "--export", "full"], 2, "full holds something else (x.txt)"),
        (["synthcrowd-test", "--data-root", "file"], 3, "file/synthcrowd can't be written"),
    ],
)
def test_what_can_not_be_is_one_line(
    command: Command, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x.txt").touch()
    before = contents(tmp_path)
    done = command("data", "make", *arguments)
    assert done.code == code
    assert done.err.startswith("crowdbench: ")
    assert said in done.err
    assert done.err.count("\n") <= 2
    assert contents(tmp_path) == before


def test_a_run_makes_the_split_that_is_not_there(command: Command, tmp_path: Path) -> None:
    arguments = [
        "run", "--predictor", GREY, "--split", "synthcrowd-test", "--boxes",
        "SYNTHCROWD_test_detections_person.json", "--no-report", "--limit", "4",
    ]  # fmt: skip
    done = command(*arguments)
    assert done.code == 0, done.err
    assert "AP_hard" in done.out
    folder = tmp_path / "data/synthcrowd"
    # All of it, whatever the limit, and no other split.
    assert len(list((folder / "images/test").iterdir())) == 6
    assert [path.name for path in (folder / "annotations").iterdir()] == ["synthcrowd_test.json"]
    before = contents(folder)
    note = "note: synthcrowd-test is not there yet: makes its 6 images in data/synthcrowd"
    assert note in done.err.splitlines()
    again = command(*arguments, "--overwrite")
    assert again.code == 0
    assert "is not there yet" not in again.err
    assert contents(folder) == before


def test_a_run_whose_data_root_can_not_be_written_says_what_to_do(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = command(
        "run", "--predictor", GREY, "--split", "synthcrowd-test", "--data-root", tmp_path / "file"
    )
    assert done.code == 3
    assert "synthcrowd-test is not there and can't be made" in done.err
    assert "--data-root or CROWDBENCH_DATA" in done.err


def test_a_predictor_of_other_keypoints_is_refused_before_anything_is_made(
    command: Command, tmp_path: Path
) -> None:
    source = Path(GREY.rpartition(":")[0]).read_text()
    changed = source.replace('"the mean grey of boxes",', '"", skeletons=("crowdpose-14",),')
    assert changed != source
    (tmp_path / "other.py").write_text(changed)
    done = command("run", "--predictor", "other.py:Grey", "--split", "synthcrowd-test")
    assert done.code == 2
    assert "gives crowdpose-14, synthcrowd-test has coco-17" in done.err
    assert not (tmp_path / "data").exists()


def test_the_numbers_on_a_made_split_are_those_of_pycocotools(
    command: Command, tmp_path: Path
) -> None:
    command("data", "make", "synthcrowd-test")
    folder = tmp_path / "data/synthcrowd"
    poses = perturbed(folder / "annotations/synthcrowd_test.json")
    (tmp_path / "poses.json").write_text(json.dumps(poses))
    done = command(
        "run", "--predictor", "replay", "--predictions", "poses.json", "--split", "synthcrowd-test",
        "--no-report", "--output", "r",
    )  # fmt: skip
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "r/metrics.json").read_text())
    assert 0.1 < metrics["metrics"]["AP"]["value"] < 0.95
    assert not any("not the official" in note for note in metrics["notes"])
    assert command("score", "r", "--check", "pycocotools").code == 0
    shutil.rmtree(folder)
    gone = command("score", "r")
    assert gone.code == 3
    assert "crowdbench data make synthcrowd-test" in gone.err


def test_making_needs_no_network_library() -> None:
    code = (
        "import sys; import crowdbench.datasets.synthcrowd.making;"
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'predictors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
