"""Intervals as a user meets them: the option, the table, the record, and scoring again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from crowdbench.errors import UsageError
from crowdbench.options import resamples_of
from tests.command import EXAMPLE, Crowdbench, contents, replay

RUN = replay(EXAMPLE / "annotations.json", EXAMPLE / "predictions.json", "--output", "r")
COARSE = "intervals rest on 8 images and are coarse"


def record(folder: Path, name: str = "metrics.json") -> Any:
    return json.loads((folder / "r" / name).read_text())


def test_a_run_gives_every_number_an_interval(crowdbench: Crowdbench, tmp_path: Path) -> None:
    done = crowdbench(*RUN)
    assert done.returncode == 0, done.stderr
    assert f"note: {COARSE}" in done.stderr
    metrics = record(tmp_path)
    assert metrics["bootstrap"] == {
        "resamples": 1000, "seed": 0, "level": 0.95, "unit": "image", "units": 8,
        "images_per_unit": 1,
    }  # fmt: skip
    assert COARSE in metrics["notes"]
    ap = metrics["metrics"]["AP"]
    low, high = ap["interval"]["percentile"]
    assert low < ap["value"] < high
    assert f"{100 * low:.1f} - {100 * high:.1f}" in done.stdout
    for metric in metrics["metrics"].values():
        assert metric["interval"]["standard_error"] > 0
    rows = [row["metrics"]["AP"] for rows in metrics["conditions"].values() for row in rows]
    assert sum(row["interval"] is not None for row in rows) > 15
    # A row of few images has a number, which many resamples do not have.
    assert any(row["interval"] is None and row["value"] is not None for row in rows)
    drop = metrics["robustness"]["detector-confidence"]["AP_drop"]
    low, high = drop["interval"]["percentile"]
    assert low < drop["value"] < high
    assert f"{100 * low:.1f} - {100 * high:.1f}" in done.stdout
    schema = json.loads(crowdbench("schema", "metrics").stdout)
    jsonschema.validate(metrics, schema, cls=jsonschema.Draft202012Validator)


def test_equal_runs_have_equal_intervals_and_matches(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    assert crowdbench(*RUN).returncode == 0
    first = contents(tmp_path / "r")
    assert "matches.npz" in first
    assert crowdbench(*RUN, "--overwrite").returncode == 0
    second = contents(tmp_path / "r")
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} <= {"environment.json"}


def test_scoring_again_draws_as_often_as_asked(crowdbench: Crowdbench, tmp_path: Path) -> None:
    assert crowdbench(*RUN, "--bootstrap", "200").returncode == 0
    first = contents(tmp_path / "r")
    assert record(tmp_path)["bootstrap"]["resamples"] == 200
    assert record(tmp_path, "run.json")["resamples"] == 200
    assert crowdbench("score", "r", "--bootstrap", "300").returncode == 0
    assert record(tmp_path)["bootstrap"]["resamples"] == 300
    off = crowdbench("score", "r", "--bootstrap", "off")
    assert off.returncode == 0
    assert "interval" not in off.stdout
    assert COARSE not in off.stderr
    assert record(tmp_path)["bootstrap"] is None
    assert "interval" not in record(tmp_path)["metrics"]["AP"]
    assert "matches.npz" not in contents(tmp_path / "r")
    # Without the option it does what the run was asked for.
    assert crowdbench("score", "r").returncode == 0
    again = contents(tmp_path / "r")
    assert {name for name in again if first[name] != again[name]} == {"environment.json"}
    assert first.keys() == again.keys()


def test_predicting_keeps_how_many_are_wanted_and_draws_nothing(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    arguments = ["predict", *RUN[1:-1], "--bootstrap", "off"]
    assert crowdbench(*arguments).returncode == 0
    assert record(tmp_path, "run.json")["resamples"] == 0
    assert "matches.npz" not in contents(tmp_path / "r")
    done = crowdbench("score", "r")
    assert done.returncode == 0
    assert record(tmp_path)["bootstrap"] is None
    # Intervals that are asked for later are those that the run would have had.
    assert crowdbench("score", "r", "--bootstrap", "1000").returncode == 0
    metrics = record(tmp_path)
    assert crowdbench(*RUN, "--overwrite").returncode == 0
    assert record(tmp_path) == metrics


@pytest.mark.parametrize("command", ["run", "predict", "score"])
def test_other_numbers_of_resamples_are_refused(
    crowdbench: Crowdbench, tmp_path: Path, command: str
) -> None:
    rest = {"run": RUN[1:], "predict": RUN[1:-1], "score": ["r"]}[command]
    done = crowdbench(command, *rest, "--bootstrap", "99")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "crowdbench: --bootstrap is '99', expected off or a whole number of resamples from 100 to "
        "20,000, e.g. 1000\n"
    )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "text", ["0", "-100", "20001", "1e3", "1000.0", "on", "OFF", "", "1" * 5000, " 100"]
)
def test_what_is_no_number_of_resamples_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected off or a whole number"):
        resamples_of(text)


def test_the_least_and_the_largest_number_of_resamples() -> None:
    assert [resamples_of(text) for text in ("100", "20000")] == [100, 20_000]


def test_without_resampling_scipy_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv[1:] = {!r}\n"
        "from crowdbench.cli import app\n"
        "app(standalone_mode=False)\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'scipy'])"
    )
    for more, expected in ((["--bootstrap", "off"], True), (["--overwrite"], False)):
        done = subprocess.run(
            [sys.executable, "-c", code.format([*map(str, RUN), *more])],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert (done.stdout.splitlines()[-1] == "[]") == expected
