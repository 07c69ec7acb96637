"""`crowdbench check`: good predictors pass, and each broken one fails for its own reason."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.command import Crowdbench
from tests.running.poses_in_space import exact_poses, write_annotations, write_poses

DOCS = Path(__file__).parents[2] / "docs/predictors.md"
CODE_OF_DOCS = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)

# A predictor that keeps the contract, in parts that a test can replace.
GOOD = """
import numpy as np
from crowdbench.card import Card
from crowdbench.predictor import Predictor, Settings, poses_of

class Mine(Predictor):
    card = Card(name="mine", description="")
    calls = 0

    def __init__(self, request):
        self.settings = Settings(request.boxes.source, "x")

    def load(self, device, weights):
        self.loaded = True

    def prepare(self, image, boxes):
        return np.full(len(boxes.scores), image.mean())

    def predict(self, batch):
        self.calls += 1
        boxes = batch.boxes
        points = np.repeat(boxes.boxes[:, None, :2], 17, 1)
        scores = boxes.scores * np.concatenate(batch.inputs)
        return poses_of(boxes, points, np.ones(points.shape[:2]), scores)
"""

WIDE_ONLY = """boxes = batch.boxes
        assert len(boxes.scores) > 1 or boxes.boxes[0, 2] > 1, "too narrow"
"""


def check(crowdbench: Crowdbench, folder: Path, code: str) -> tuple[int, str]:
    (folder / "mine.py").write_text(code)
    done = crowdbench("check", "mine.py:Mine")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


IN_SPACE = """
import numpy as np
from crowdbench.card import Card
from crowdbench.predictor import Predictor, Settings, poses_of

class Mine(Predictor):
    card = Card(name="mine", description="", skeletons=("mupots-17",))

    def __init__(self, request):
        self.settings = Settings(request.boxes.source, "x", pairing="annotation")

    def predict(self, batch):
        boxes = batch.boxes
        points = np.repeat(boxes.boxes[:, None, :2], 17, 1)
        joints = np.concatenate([points * 10, np.full((*points.shape[:2], 1), 4000.0)], 2)
        return poses_of(
            boxes, points, np.ones(points.shape[:2]), boxes.scores, joints_mm=joints
        )
"""


def test_a_predictor_of_poses_in_space_passes_too(crowdbench: Crowdbench, tmp_path: Path) -> None:
    code, said = check(crowdbench, tmp_path, IN_SPACE)
    assert code == 0, said
    assert said.count("ok  ") == 14


def test_a_predictor_of_poses_in_space_must_give_joints(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    code, said = check(crowdbench, tmp_path, IN_SPACE.replace(", joints_mm=joints", ""))
    assert code == 1
    assert "predict returned no joints_mm, expected joints in space, as mupots-17 has them" in said


def test_joints_in_space_must_be_near_enough_to_measure(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    code, said = check(crowdbench, tmp_path, IN_SPACE.replace("4000.0", "4e300"))
    assert code == 1
    assert "predict returned joints_mm beyond 1e+09, expected millimetres" in said


def test_a_good_predictor_passes_everything(crowdbench: Crowdbench, tmp_path: Path) -> None:
    code, said = check(crowdbench, tmp_path, GOOD)
    assert code == 0, said
    assert "FAIL" not in said
    assert said.count("ok  ") == 14
    for what in ("in batches of 1", "worker process", "no person", "beyond the image", "one pixel"):
        assert what in said


@pytest.mark.parametrize(
    ("old", "new", "failing", "why"),
    [
        ("self.settings = ", "1 / 0; self.settings = ", "is made", "ZeroDivisionError"),
        ("self.loaded = True", "raise OSError('no network')", "loads", "OSError: no network"),
        (", 17, 1)", ", 16, 1)", "right shapes", "expected"),
        ("* np.concatenate(batch.inputs)", "+ np.nan", "right shapes", "not finite"),
        ("boxes.scores * ", "self.calls * ", "the same poses again", "scores differs by up to"),
        (
            "* np.concatenate(batch.inputs)", "* len(batch.images)",
            "in batches of 1", "scores differs by up to",
        ),
        ("boxes = batch.boxes\n", WIDE_ONLY, "a box of one pixel", "AssertionError: too narrow"),
    ],
)  # fmt: skip
def test_each_breach_is_named(
    crowdbench: Crowdbench, tmp_path: Path, old: str, new: str, failing: str, why: str
) -> None:
    assert old in GOOD
    code, said = check(crowdbench, tmp_path, GOOD.replace(old, new))
    failed = [line for line in said.splitlines() if line.startswith("FAIL")]
    assert code == 1
    assert any(failing in line and why in line for line in failed), said


# Its poses depend on the other boxes of the image, unless it is asked to look at each box alone.
OF_ALL_BOXES = (
    GOOD.replace("import Card", "import Card, Option")
    .replace('description=""', 'description="", options=(Option("of", ("all", "one"), ""),)')
    .replace(
        'Settings(request.boxes.source, "x")',
        'Settings(request.boxes.source, "x", boxes_independent=CLAIM)\n'
        '        self.of = request.options.get("of", "all")',
    )
    .replace(
        "* np.concatenate(batch.inputs)",
        '* (1 if self.of == "one" else np.bincount(boxes.image_index)[boxes.image_index])',
    )
)


@pytest.mark.parametrize(
    ("claim", "options", "failing"),
    [
        ("False", (), None),
        ("False", ("--option", "of=one"), None),
        ("True", ("--option", "of=one"), None),
        ("True", (), "batches of 1: scores differs by up to"),
    ],
)
def test_poses_that_depend_on_all_boxes_of_an_image_pass_if_the_settings_say_so(
    crowdbench: Crowdbench,
    tmp_path: Path,
    claim: str,
    options: tuple[str, ...],
    failing: str | None,
) -> None:
    (tmp_path / "mine.py").write_text(OF_ALL_BOXES.replace("CLAIM", claim))
    done = crowdbench("check", "mine.py:Mine", *options)
    assert "Traceback" not in done.stderr
    if failing is None:
        assert (done.returncode, done.stdout.count("ok  ")) == (0, 14), done.stdout + done.stderr
    else:
        assert done.returncode == 1
        assert failing in done.stdout


def test_an_option_that_there_is_not_is_said(crowdbench: Crowdbench, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OF_ALL_BOXES.replace("CLAIM", "False"))
    done = crowdbench("check", "mine.py:Mine", "--option", "fo=one")
    assert done.returncode == 2
    assert "unknown option of mine 'fo'; did you mean of?" in done.stderr


# It shows that everybody attends to one cell, which is all there is of each person.
OF_EACH_OTHER = (
    GOOD.replace('description=""', 'description="", shows_attention=True')
    + """
    def attention(self, batch):
        boxes = batch.boxes.boxes
        p = len(boxes)
        weights = np.full((1, p, 17, p, 1, 1), 1 / p)
        return Attention(boxes, boxes, np.repeat(boxes[:, None, :2], 17, 1), None, weights)
"""
)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("1 / p)", "1 / p)", None),
        ("1 / p)", "2 / p)", "weights that are no shares"),
        ("(1, p, 17, p, 1, 1)", "(1, p, 16, p, 1, 1)", "expected (1, 3, 17, 3, 1, 1)"),
        ("        p = len", "        return None\n        p = len", "none for an image with three"),
    ],
)
def test_attention_is_looked_at_where_the_card_promises_it(
    crowdbench: Crowdbench, tmp_path: Path, old: str, new: str, why: str | None
) -> None:
    assert old in OF_EACH_OTHER
    code = f"from crowdbench.attention import Attention\n{OF_EACH_OTHER.replace(old, new)}"
    returned, said = check(crowdbench, tmp_path, code)
    assert returned == (0 if why is None else 1), said
    [line] = [line for line in said.splitlines() if "shows attention" in line]
    assert line.startswith("ok" if why is None else "FAIL")
    assert why is None or why in line


@pytest.mark.parametrize(
    "asked",
    [
        ("replay",),
        ("simplebaseline-r50-256x192",),
        ("mipnet-r50-256x192",),
        ("i2r-net-tiny",),
        ("i2r-net-tiny", "--option", "grouping=all"),
        ("i2r-net-tiny", "--option", "grouping=nearest:2"),
    ],
)
def test_our_own_predictors_pass(crowdbench: Crowdbench, asked: tuple[str, ...]) -> None:
    done = crowdbench("check", *asked)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_predictor_of_the_docs_passes_and_runs(
    crowdbench: Crowdbench, tmp_path: Path, shared: Path
) -> None:
    code, _ = CODE_OF_DOCS
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
    (tmp_path / "my_predictor.py").write_text(code)
    done = crowdbench("check", "my_predictor.py:MyPredictor")
    assert done.returncode == 0, done.stdout + done.stderr
    data = shared / "data/ochuman"
    done = crowdbench(
        "run", "--predictor", "my_predictor.py:MyPredictor", "--annotations",
        data / "test_ochuman.json", "--skeleton", "coco-17", "--images", data, "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "run: runs/mean-pose@test_ochuman" in done.stdout


def test_the_refiner_of_the_docs_passes_and_halves_distances(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    _, code = CODE_OF_DOCS
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
    (tmp_path / "my_refiner.py").write_text(code)
    done = crowdbench("check", "my_refiner.py:Together")
    assert done.returncode == 0, done.stdout + done.stderr
    poses = write_poses(tmp_path / "poses.json", exact_poses())
    done = crowdbench(
        "run", "--predictor", "my_refiner.py:Together", "--base", "replay", "--predictions", poses,
        "--annotations", write_annotations(tmp_path), "--skeleton", "mupots-17", "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [shard] = (tmp_path / "runs/together+replay@MuPoTS-3D/candidates").glob("*.npz")
    with np.load(shard) as arrays:
        before, after = (arrays[name][:, 14, 2] for name in ("base_joints_mm", "joints_mm"))
    assert before.tolist() == [3500, 4500, 3500, 7000]
    assert after.tolist() == [3750, 4250, 3500, 7000]


def test_no_predictor_is_said(crowdbench: Crowdbench) -> None:
    done = crowdbench("check", "hrnet-w32")
    assert done.returncode == 2
    assert "did you mean" in done.stderr
    assert "hrnet-w32-256x192" in done.stderr
    done = crowdbench("check", "nowhere.py:Mine")
    assert done.returncode == 3
    assert "there is no file nowhere.py" in done.stderr
