"""What the terminal shows of numbers in percent and in millimetres."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crowdbench.listing import ls_runs
from crowdbench.results import Bootstrap, Interval, Metric
from crowdbench.terminal import difference, number, print_metrics
from tests.reports.records import make_metrics, make_run, write_run
from tests.reports.records_3d import make_metrics_3d, make_run_3d, write_run_3d


def lines_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_metrics_in_two_units_say_which(capsys: pytest.CaptureFixture[str]) -> None:
    print_metrics(make_metrics_3d(make_run_3d()), Path("run"))
    lines = lines_of(capsys.readouterr().out)
    assert lines[0] == ["metric", "value", "unit", "n"]
    assert ["3DPCK_all", "50.00", "%", "226"] in lines
    assert ["MPJPE_mm", "110.0", "mm", "226"] in lines
    assert ["joint-visibility", "visible", "60.00", "occluded", "40.00", "20.00"] in lines
    assert ["3DPCK_all", "by", "easiest", "%", "hardest", "%", "drop"] in lines


def test_metrics_in_percent_alone_have_no_column_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_metrics(make_metrics(make_run()), Path("run"))
    lines = lines_of(capsys.readouterr().out)
    assert lines[0] == ["metric", "%", "n"]
    assert ["AP", "49.58", "7,074"] in lines
    assert ["AP", "by", "easiest", "%", "hardest", "%", "drop"] in lines


def test_intervals_stand_beside_what_has_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Interval((0.48, 0.51), (0.4853, 0.5061), 0.005)
    of_drop = Interval((-0.012, 0.3), None, 0.05)
    metrics = make_metrics_3d(make_run_3d())
    numbers = {
        name: msgspec.structs.replace(metric, interval=found if name == "3DPCK_all" else None)
        for name, metric in metrics.metrics.items()
    }
    drop = Metric(0.2, 2, False, None, interval=of_drop)
    monkeypatch.setenv("COLUMNS", "80")
    print_metrics(
        msgspec.structs.replace(
            metrics,
            metrics=numbers,
            conditions={"distance": metrics.conditions["distance"]},
            robustness={"distance": {"3DPCK_all_drop": drop}},
            bootstrap=Bootstrap(1000, 0, 0.95, "sequence", 20, 500),
        ),
        Path("run"),
    )
    lines = lines_of(capsys.readouterr().out)
    assert lines[0] == ["metric", "value", "unit", "95", "%", "interval", "n"]
    assert ["3DPCK_all", "50.00", "%", "48.0", "-", "51.0", "226"] in lines
    assert ["MPJPE_mm", "110.0", "mm", "226"] in lines
    header = ["3DPCK_all", "by", "easiest", "%", "hardest", "%", "drop", "interval"]
    assert lines[lines.index(header) + 1][-4:] == ["20.00", "-1.2", "to", "30.0"]


def test_runs_are_listed_by_the_metric_that_stands_for_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "flat", make_run())
    write_run_3d(tmp_path / "space")
    write_run_3d(tmp_path / "void", metrics={"3DPCK_all": Metric(None, 0, True, "none")})
    write_run(tmp_path / "new", make_run()).path.joinpath("metrics.json").unlink()
    ls_runs(tmp_path)
    assert lines_of(capsys.readouterr().out) == [
        ["run", "predictor", "split", "metric", "%"],
        ["flat", "replay", "crowdpose-val", "AP", "49.58"],
        ["new", "replay", "crowdpose-val", "not", "scored"],
        ["space", "replay", "mupots", "3DPCK_all", "50.00"],
        ["void", "replay", "mupots", "3DPCK_all", "-"],
    ]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (-1e-17, "fraction", "0.00"),
        (-0.04, "mm", "0.0"),
        (12345.67, "mm", "12,345.7"),
        (None, "mm", "-"),
    ],
)
def test_numbers_that_round_to_zero_have_no_sign(
    value: float | None, unit: str, shown: str
) -> None:
    assert number(value, unit) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.00004, "fraction", "0.00"), (-0.04, "mm", "0.0"), (-1234.5, "mm", "-1,234.5")],
)
def test_differences_have_a_sign_unless_they_round_to_zero(
    value: float, unit: str, shown: str
) -> None:
    assert difference(value, unit) == shown
