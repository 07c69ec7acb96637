"""The command ``baseline`` as a user runs it."""

from __future__ import annotations

import json
import lzma
import re
import shutil
from base64 import b64decode, b64encode
from pathlib import Path

import jsonschema
import pytest

from tests.cli.in_process import run_in
from tests.command import EXAMPLE, Crowdbench, contents, replay


@pytest.fixture
def crowdbench(tmp_path: Path) -> Crowdbench:
    return run_in(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a scored run and its baseline."""
    folder = tmp_path_factory.mktemp("baseline")
    make(run_in(folder))
    assert run_in(folder)("baseline", "save", "run", "base.json").returncode == 0
    return folder


def make(crowdbench: Crowdbench, output: str = "run", *more: str | Path) -> None:
    arguments = replay(
        EXAMPLE / "annotations.json", EXAMPLE / "predictions.json", "--output", output,
        "--bootstrap", "100", "-q", *more,
    )  # fmt: skip
    done = crowdbench(*arguments)
    assert done.returncode == 0, done.stderr


def test_save_writes_a_small_file_that_says_nothing_of_the_machine(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    make(crowdbench)
    done = crowdbench("baseline", "save", "run", "ci/base.json")
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "ci/base.json").read_bytes()
    assert done.stdout == f"baseline: ci/base.json, {len(content):,} bytes\n"
    assert len(content) < 40_000
    assert str(tmp_path).encode() not in content
    assert str(EXAMPLE).encode() not in content
    found, metrics = json.loads(content), json.loads((tmp_path / "run/metrics.json").read_text())
    assert found["run"]["signature"] == metrics["signature"]
    assert found["run"]["metrics"]["AP"] == metrics["metrics"]["AP"]
    rows = found["run"]["conditions"]["detector-confidence"]["rows"]
    assert [rows[row["label"]]["AR"] for row in metrics["conditions"]["detector-confidence"]] == [
        row["metrics"]["AR"]["value"] for row in metrics["conditions"]["detector-confidence"]
    ]
    assert (
        lzma.decompress(b64decode(found["matches"])) == (tmp_path / "run/matches.npz").read_bytes()
    )
    schema = json.loads(crowdbench("schema", "baseline").stdout)
    jsonschema.validate(found, schema, jsonschema.Draft202012Validator)
    # The same run gives the same bytes, wherever it lies.
    make(crowdbench, "elsewhere")
    assert crowdbench("baseline", "save", "elsewhere", "again.json").returncode == 0
    assert (tmp_path / "again.json").read_bytes() == content


def test_save_refuses_an_existing_file_and_what_is_no_scored_run(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    make(crowdbench)
    (tmp_path / "base.json").write_text("mine")
    done = crowdbench("baseline", "save", "run", "base.json")
    assert done.returncode == 2
    assert "base.json is there already: `crowdbench baseline update run base.json`" in done.stderr
    for path, code, words in (
        ("base.json", 2, "base.json is no run folder"),
        ("none", 3, "none: no such run folder"),
    ):
        done = crowdbench("baseline", "save", path, "new.json")
        assert (done.returncode, words in done.stderr) == (code, True)
    path = tmp_path / "run/metrics.json"
    content = path.read_text()
    path.write_text(content.replace('"boxes": "predictions"', '"boxes": "gt"'))
    done = crowdbench("baseline", "save", "run", "new.json")
    assert done.returncode == 2
    assert "metrics.json has another protocol than run.json" in done.stderr
    path.write_text(content)
    for name in ("matches.npz", "metrics.json"):
        (tmp_path / "run" / name).unlink()
        done = crowdbench("baseline", "save", "run", "new.json")
        assert done.returncode == 3
        assert name in done.stderr
    assert (tmp_path / "base.json").read_text() == "mine"
    assert not (tmp_path / "new.json").exists()


def test_show_prints_numbers_and_origin(crowdbench: Crowdbench, tmp_path: Path) -> None:
    make(crowdbench)
    crowdbench("baseline", "save", "run", "base.json")
    done = crowdbench("baseline", "show", "base.json")
    assert (done.returncode, done.stderr) == (0, "")
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    value = 100 * metrics["metrics"]["AP"]["value"]
    assert re.search(rf"^AP +{value:.2f} +[0-9.]+ - [0-9.]+ +41\b", done.stdout, re.MULTILINE)
    assert metrics["signature"] in done.stdout
    run = json.loads((tmp_path / "run/run.json").read_text())
    assert f"sha256 {run['split']['annotations']['sha256']}" in done.stdout
    assert f"sha256 {run['predictor']['inputs']['predictions']['sha256']}" in done.stdout
    assert f"base.json, {(tmp_path / 'base.json').stat().st_size:,} bytes" in done.stdout


def test_update_says_what_changes_and_replaces_the_file(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    make(crowdbench)
    crowdbench("baseline", "save", "run", "base.json")
    before = (tmp_path / "base.json").read_bytes()
    done = crowdbench("baseline", "update", "run", "base.json")
    assert (done.returncode, done.stdout) == (
        0, "baseline: base.json stays as it is: it is of this run\n"
    )  # fmt: skip
    assert (tmp_path / "base.json").read_bytes() == before
    poses = json.loads((EXAMPLE / "predictions.json").read_text())
    for entry in poses:
        entry["keypoints"][::3] = [x + 3 for x in entry["keypoints"][::3]]
    (tmp_path / "moved.json").write_text(json.dumps(poses))
    make(crowdbench, "moved", "--predictions", "moved.json")
    old, new = (
        100 * json.loads((tmp_path / run / "metrics.json").read_text())["metrics"]["AP"]["value"]
        for run in ("run", "moved")
    )
    done = crowdbench("baseline", "update", "moved", "base.json")
    assert (done.returncode, done.stderr) == (0, "")
    row = next(line for line in done.stdout.splitlines() if line.startswith("AP "))
    assert row.split()[:5] == ["AP", f"{old:.2f}", f"{new:.2f}", f"{new - old:+.2f}", "points"]
    assert re.search(r"[+-]\d+\.\d\d to [+-]\d+\.\d\d$", row.rstrip())
    assert re.search(
        r"^predictions: predictions.json#\w{12} -> moved.json#\w{12}$", done.stdout, re.MULTILINE
    )
    assert "signature" not in done.stdout
    crowdbench("baseline", "save", "moved", "other.json")
    assert (tmp_path / "base.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_update_to_another_protocol_says_so(crowdbench: Crowdbench, tmp_path: Path) -> None:
    make(crowdbench)
    crowdbench("baseline", "save", "run", "base.json")
    make(crowdbench, "few", "--limit", "4", "--unknown-images", "ignore")
    done = crowdbench("baseline", "update", "few", "base.json")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^signature: .*images=8.* -> .*images=4", done.stdout, re.MULTILINE)
    assert "unknown_images: error -> ignore" in done.stdout
    assert "no intervals of the differences: few is not comparable with base.json" in done.stdout
    assert json.loads((tmp_path / "base.json").read_text())["run"]["protocol"]["images"] == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "", "base.json is empty, expected a baseline"),
        (lambda text: text[:100], "base.json: not valid JSON"),
        (lambda text: "[]", "expected object, got array"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 9'), "reads 1"),
        (lambda text: text.replace('"value": 0.', '"value": "x', 1), "base.json"),
        (lambda text: with_matches(text, b"nothing at all of use"), "matches are damaged"),
        (lambda text: with_matches(text, lzma.compress(b"nothing")), "matches are damaged"),
        (lambda text: with_matches(text, lzma.compress(b"PK" * 99)[:-9]), "cut short"),
        (lambda text: text.replace('"matches": "', '"matches": "!'), "matches"),
    ],
)
def test_a_broken_file_is_refused_in_a_line(
    change: object, words: str, made: Path, crowdbench: Crowdbench, tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "base.json"
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    before = contents(tmp_path)
    for command in (("show", "base.json"), ("update", "run", "base.json")):
        done = crowdbench("baseline", *command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("crowdbench: base.json")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert contents(tmp_path) == before
    done = crowdbench("baseline", "show", "none.json")
    assert (done.returncode, "no baseline at none.json" in done.stderr) == (3, True)


def test_a_file_can_not_fill_the_memory(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crowdbench.gate.baseline._LARGEST", 5_000)
    done = run_in(made)("baseline", "show", "base.json")
    assert done.returncode == 2
    assert "matches are cut short or too large" in done.stderr


def with_matches(text: str, matches: bytes) -> str:
    return json.dumps({**json.loads(text), "matches": b64encode(matches).decode()})
