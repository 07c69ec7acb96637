"""The command ``ablate``: a run for each value of an option, and their comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crowdbench.card import Card, Option
from crowdbench.errors import UsageError
from crowdbench.running.ablating import Varied, parse_vary
from tests.cli.in_process import run_in
from tests.command import EXAMPLE, Crowdbench, contents

# Its poses are those of the annotations, moved by as many pixels as the option says.
CODE = """
import pathlib

import numpy as np
from crowdbench.card import Card, Option
from crowdbench.errors import UsageError
from crowdbench.predictor import Predictor, Settings, poses_of


class Mine(Predictor):
    card = Card(
        name="mine", description="moved truth", skeletons=("coco-17",), needs_images=False,
        images_per_shard=3, shows_attention=True,
        options=(
            Option("move", ("none", "by:N"), "How far poses are off.", ("none", "by:4", "by:9")),
            Option("mirror", ("yes", "no"), "Nothing."),
        ),
    )

    def __init__(self, request):
        move = request.options.get("move", "none")
        if move != "none" and not move.startswith("by:"):
            raise UsageError(f"move is {move!r}, expected none or by:N")
        self.by = 0 if move == "none" else int(move[3:])
        chosen = {"move": move, "mirror": request.options.get("mirror", "no")}
        self.settings = Settings(
            request.boxes.source, "box", options=chosen, boxes_independent=move == "none"
        )

    def load(self, device, weights):
        with open("loads.txt", "a") as file:
            print(self.by, file=file)

    def predict(self, batch):
        boxes, truth = batch.boxes, batch.split.truth
        n_loads = pathlib.Path("loads.txt").read_text().count("4")
        if self.by == 4 and batch.images[0] >= 3 and n_loads == 1:
            raise KeyboardInterrupt
        points = truth.keypoints[np.searchsorted(truth.person_ids, boxes.person_ids), :, :2]
        return poses_of(boxes, points + self.by, np.ones(points.shape[:2]), boxes.scores)
"""
ASKED = (
    "ablate", "--predictor", "mine.py:Mine", "--annotations", EXAMPLE / "annotations.json",
    "--skeleton", "coco-17", "--conditions", "detector-confidence", "--bootstrap", "100",
)  # fmt: skip
ROOT = Path("runs/mine@annotations-by-move")
METRICS_OF_9 = "mine@annotations-by-move/move=by-9/metrics.json"


@pytest.fixture
def here(tmp_path: Path) -> Crowdbench:
    """``crowdbench`` in a folder with a predictor that is interrupted once, at ``by:4``."""
    (tmp_path / "mine.py").write_text(CODE)
    return run_in(tmp_path)


def loads(folder: Path) -> list[str]:
    path = folder / "loads.txt"
    return path.read_text().split() if path.is_file() else []


def compared(folder: Path, root: Path = ROOT) -> dict[str, Any]:
    return dict(json.loads((folder / root / "comparison/comparison.json").read_text()))


def test_every_value_is_run_and_compared_with_the_first(here: Crowdbench, tmp_path: Path) -> None:
    interrupted = here(*ASKED, "--vary", "move")
    assert interrupted.returncode == 130
    assert (
        "crowdbench: interrupted; the same command goes on where it stopped" in interrupted.stderr
    )
    assert loads(tmp_path) == ["0", "4"]
    # A finished run is used, an unfinished one goes on.
    done = here(*ASKED, "--vary", "move")
    assert done.returncode == 0, done.stderr
    assert loads(tmp_path) == ["0", "4", "4", "9"]
    folders = [ROOT / f"move={value}" for value in ("none", "by-4", "by-9")]
    assert f"note: move=none (1 of 3): {folders[0]} is finished and is used as it is" in done.stderr
    assert f"note: move=by:4 (2 of 3): {folders[1]}\n" in done.stderr
    assert all((tmp_path / folder / "metrics.json").is_file() for folder in folders)
    assert not (tmp_path / folders[0] / "report").exists()
    found = compared(tmp_path)
    assert [run["name"] for run in found["runs"]] == ["move=none", "move=by:4", "move=by:9"]
    assert [run["options"]["move"] for run in found["runs"]] == ["none", "by:4", "by:9"]
    # The names say in what they differ; nothing is marked.
    assert [run["differences"] for run in found["runs"]] == [[], [], []]
    assert "Not the protocol" not in done.stdout + done.stderr
    ap = [metric["value"] for metric in found["metrics"]["AP"]]
    assert ap[0] == 1 > ap[1] > ap[2]
    assert found["metrics"]["AP"][2]["difference"] == ap[2] - ap[0]
    # Also where one of them predicts anew for every threshold and another does not.
    assert list(found["conditions"]) == ["detector-confidence"]
    assert found["left_out"] == []
    assert "Whole split" in done.stdout
    assert "move=by:9" in done.stdout
    assert f"comparison: {ROOT}/comparison/index.html" in done.stdout
    for name in ("comparison.md", "index.html", "tables/metrics.md"):
        assert "move=by:4" in (tmp_path / ROOT / "comparison" / name).read_text(), name

    # Once more: nothing is predicted, and all is the same to the byte.
    before = contents(tmp_path / "runs")
    done = here(*ASKED, "--vary", "move", "--json")
    assert json.loads(done.stdout) == found
    assert done.stdout.encode() == before["mine@annotations-by-move/comparison/comparison.json"]
    assert contents(tmp_path / "runs") == before
    assert len(loads(tmp_path)) == 4
    # A run that was scored otherwise since is scored as it was asked for.
    assert here("score", folders[2], "--bootstrap", "off", "--quiet").returncode == 0
    # Other values beside them, in another order.
    done = here(*ASKED, "--vary", "move=by:9,by:2", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert contents(tmp_path / folders[2])["metrics.json"] == before[METRICS_OF_9]
    assert compared(tmp_path)["bootstrap"]["resamples"] == 100
    assert loads(tmp_path)[4:] == ["2"]
    assert [run["name"] for run in compared(tmp_path)["runs"]] == ["move=by:9", "move=by:2"]


def test_reports_of_the_runs_are_written_when_asked(
    here: Crowdbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr("reports.writing.write_report", lambda run: written.append(run.path.name))
    asked = (*ASKED, "--conditions", "none", "--limit", "2", "-q", "--vary", "move=none,by:4")
    assert here(*asked).returncode == 0
    assert written == []
    assert here(*asked, "--report").returncode == 0
    assert written == ["move=none", "move=by-4"]


def test_other_options_hold_for_all_runs(here: Crowdbench, tmp_path: Path) -> None:
    common = ("--option", "mirror=yes", "--limit", "2", "--output", "o", "--conditions", "none")
    done = here(*ASKED, *common, "--vary", "move=by:7,none", "-q")
    assert done.returncode == 0, done.stderr
    runs = compared(tmp_path, Path("o"))["runs"]
    assert [run["protocol"]["options"] for run in runs] == [
        "mirror=yes,move=by:7", "mirror=yes,move=none",
    ]  # fmt: skip
    assert [run["counts"]["images"] for run in runs] == [2, 2]
    # Of another request, nothing is used and nothing replaced.
    before = contents(tmp_path / "o")
    refused = here(*ASKED, *common, "--limit", "3", "--vary", "move=none,by:7")
    assert refused.returncode == 2
    assert refused.stderr == (
        "crowdbench: move=none: o/move=none already holds a run: --overwrite replaces it, "
        "--output DIR chooses another folder\n"
    )
    assert contents(tmp_path / "o") == before
    done = here(*ASKED, *common, "--limit", "3", "--vary", "move=none,by:7", "--overwrite", "-q")
    assert done.returncode == 0
    assert compared(tmp_path, Path("o"))["runs"][0]["counts"]["images"] == 3
    assert loads(tmp_path) == ["7", "0", "0", "7"]


def test_of_several_options_every_value_is_run_with_every_other(
    here: Crowdbench, tmp_path: Path
) -> None:
    common = ("--limit", "2", "--conditions", "none", "-q")
    done = here(*ASKED, *common, "--vary", "move=none,by:7", "--vary", "mirror=no,yes")
    assert done.returncode == 0, done.stderr
    root = Path("runs/mine@annotations-by-move-mirror")
    assert [run["name"] for run in compared(tmp_path, root)["runs"]] == [
        "move=none mirror=no", "move=none mirror=yes", "move=by:7 mirror=no", "move=by:7 mirror=yes"
    ]  # fmt: skip
    assert (tmp_path / root / "move=by-7_mirror=yes/metrics.json").is_file()
    assert loads(tmp_path) == ["0", "0", "7", "7"]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--vary", "moev"), 2, "unknown option of mine 'moev'; did you mean move?"),
        (("--vary", "move=none"), 2, "--vary move=none: expected two or more values with commas"),
        (("--vary", "mirror"), 2, "--vary mirror=V1,V2,...; mirror may be yes, no"),
        (("--vary", "move=none,,by:2"), 2, "expected two or more values"),
        (("--vary", "move=none,by:2,none"), 2, "--vary move: none is given twice"),
        (("--vary", "move=by:2,BY-2"), 2, "by:2 and BY-2 would both go into the folder move=by-2"),
        (("--vary", "move=none,by:0,bye"), 2, "move=bye: move is 'bye', expected none or by:N"),
        (
            ("--vary", "move", "--option", "move=none"), 2,
            "--option move and --vary move do not go together",
        ),
        (("--vary", "move", "--vary", "move=none,by:1"), 2, "--vary move is given twice"),
        (("--vary", "move", "--option", "mirrro=yes"), 2, "'mirrro'; did you mean mirror?"),
        (("--vary", "move", "--split", "nowhere"), 2, "give either --split NAME or --annotations"),
        (("--vary", "move", "--boxes", "none.json"), 3, "boxes not found at none.json"),
        (("--vary", "move", "--output", "mine.py"), 2, "mine.py is a file: choose a folder"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_before_anything_is_run(
    here: Crowdbench, tmp_path: Path, more: tuple[str, ...], code: int, said: str
) -> None:
    done = here(*ASKED, *more)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(contents(tmp_path)) == ["mine.py"]


def test_a_run_folder_is_not_for_several_runs(here: Crowdbench, tmp_path: Path) -> None:
    run = ("run", *ASKED[1:], "--no-report", "--conditions", "none", "-q", "--output", "r")
    assert here(*run).returncode == 0
    refused = here(*ASKED, "--vary", "move", "--output", "r")
    assert refused.returncode == 2
    assert "r is a run folder: choose a folder for all runs with --output" in refused.stderr


def test_a_value_that_comes_to_the_same_is_refused(here: Crowdbench, tmp_path: Path) -> None:
    code = CODE.replace('chosen = {"move": move', 'chosen = {"move": str(self.by)')
    code = code.replace('move == "none"\n', "not self.by\n")
    (tmp_path / "mine.py").write_text(code)
    refused = here(*ASKED, "--vary", "move=none,by:1,by:0")
    assert refused.returncode == 2
    assert "move=by:0: it comes to the same as move=none: give one of them" in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_a_predictor_without_options_is_told_so(here: Crowdbench) -> None:
    done = here("ablate", "--predictor", "replay", "--predictions", "x.json", "--vary", "grouping")
    assert done.returncode == 2
    assert "replay has no options, so there is nothing to vary" in done.stderr


def test_a_value_may_hold_an_equals_sign() -> None:
    card = Card("x", "", options=(Option("a", ("NAME=N",), ""),))
    assert parse_vary(card, "a=p=1,p=2") == Varied("a", ("p=1", "p=2"))
    with pytest.raises(UsageError, match="given twice"):
        parse_vary(card, "a=p=1,p=1")


def test_ls_shows_a_predictors_options(here: Crowdbench) -> None:
    done = here("ls", "predictors", "mine.py:Mine")
    assert done.returncode == 0, done.stderr
    for said in (
        "mine: moved truth", "keypoints coco-17", "needs     person boxes\n",
        "attention can be kept (--save-attention)",
        "--option move=none|by:N\n    How far poses are off.\n",
        "    crowdbench ablate --vary move compares none, by:4, by:9\n",
        "--option mirror=yes|no\n    Nothing.\n",
    ):  # fmt: skip
        assert said in done.stdout
    assert "options   none" in here("ls", "predictors", "replay").stdout
    wrong = here("ls", "predictors", "replya")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean replay?" in wrong.stderr
