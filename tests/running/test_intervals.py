"""Intervals of runs: what is drawn, what has one, and that they rest on what was kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from crowdbench.conditions.robustness import figure_values, recorded_places
from crowdbench.metrics import RESAMPLES
from crowdbench.metrics.bootstrap import Replicates, bootstrap, intervals
from crowdbench.metrics.sample import Key, Sample, Units, read_sample
from crowdbench.options import JobOptions
from crowdbench.record import RunFolder
from crowdbench.results import Bootstrap, Interval, Metric, Metrics
from crowdbench.running.resample import with_intervals
from crowdbench.running.steps import Job, run_job, score_run
from crowdbench.structures import Array
from tests.command import EXAMPLE
from tests.reports.records import make_metrics, make_run
from tests.running.poses_in_space import exact_poses, write_annotations, write_poses

OF_TWO = "intervals rest on 2 sequences and are coarse"


def run_3d(folder: Path, poses: list[dict[str, Any]], **asked: Any) -> tuple[RunFolder, Metrics]:
    return run_job(
        Job(
            "replay",
            annotations=write_annotations(folder),
            skeleton="mupots-17",
            predictions=write_poses(folder / "poses.json", poses),
            output=folder / "run",
            **asked,
        )
    )


def run_2d(folder: Path, **asked: Any) -> tuple[RunFolder, Metrics]:
    return run_job(
        Job(
            "replay",
            annotations=EXAMPLE / "annotations.json",
            skeleton="coco-17",
            predictions=EXAMPLE / "predictions.json",
            output=folder / "run",
            **asked,
        )
    )


def some_poses() -> list[dict[str, Any]]:
    """Return poses that are not all equally good."""
    poses = exact_poses()
    rng = np.random.default_rng(0)
    for pose, scale in zip(poses, (10, 300, 80, 120), strict=True):
        joints = np.array(pose["keypoints_cam"])
        pose["keypoints_cam"] = (joints + rng.normal(0, scale, joints.shape)).tolist()
    return poses


def recorded(metrics: Metrics) -> dict[Key, Metric]:
    """Return all numbers but figures."""
    found = {Key(name): metric for name, metric in metrics.metrics.items()}
    for condition, rows in metrics.conditions.items():
        for row in rows:
            found |= {Key(n, condition, row.label): metric for n, metric in row.metrics.items()}
    return found


@pytest.mark.parametrize("make", [run_2d, lambda folder: run_3d(folder, some_poses())])
def test_what_is_kept_gives_the_recorded_numbers_and_intervals(tmp_path: Path, make: Any) -> None:
    folder, metrics = make(tmp_path)
    sample = read_sample(folder.matches)
    numbers = recorded(metrics)
    assert set(sample.keys) <= set(numbers)
    # What is not kept has no value either.
    assert all(numbers[key].value is None for key in set(numbers) - set(sample.keys))
    keys = list(sample.keys)
    replicates = bootstrap(sample, keys, 1000)
    expected = [np.nan if numbers[key].value is None else numbers[key].value for key in keys]
    np.testing.assert_allclose(replicates.plain, expected, rtol=1e-12, atol=0)
    for key, interval in zip(keys, intervals(replicates), strict=True):
        assert numbers[key].interval == interval, key
    assert any(interval is not None for interval in intervals(replicates))


@pytest.mark.parametrize("make", [run_2d, lambda folder: run_3d(folder, some_poses())])
def test_figures_are_made_of_the_rows_on_every_resample(tmp_path: Path, make: Any) -> None:
    folder, metrics = make(tmp_path)
    sample = read_sample(folder.matches)
    main = "AP" if "AP" in metrics.metrics else "3DPCK_all"
    n_with = 0
    for condition, figures in metrics.robustness.items():
        rows, facts = metrics.conditions[condition], metrics.condition_facts[condition]
        of_rows = bootstrap(sample, [Key(main, condition, row.label) for row in rows], 1000)
        for name, metric in figures.items():
            versions = [
                figure_values(
                    facts.kind,
                    facts.harder,
                    recorded_places(rows),
                    [row.n_persons for row in rows],
                    values,
                    main,
                )[name]
                for values in (of_rows.plain[:, None], *of_rows[1:])
            ]
            replicates = Replicates(versions[0], *(v[None] for v in versions[1:]))
            assert [metric.interval] == intervals(replicates), (condition, name)
            n_with += metric.interval is not None
    assert n_with > 3


def test_the_record_says_how_the_intervals_were_made(tmp_path: Path) -> None:
    folder, metrics = run_3d(tmp_path, some_poses(), resamples=200)
    assert metrics.bootstrap == Bootstrap(200, 0, 0.95, "sequence", 2, 2)
    assert OF_TWO in metrics.notes
    assert json.loads((folder.path / "run.json").read_text())["resamples"] == 200


def test_without_resampling_nothing_is_kept_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    folder, first = run_3d(tmp_path, some_poses())
    assert folder.matches.is_file()
    _, metrics = score_run(folder.path, resamples=0)
    assert not folder.matches.exists()
    assert metrics.bootstrap is None
    assert all(metric.interval is msgspec.UNSET for metric in recorded(metrics).values())
    figures = [metric for found in metrics.robustness.values() for metric in found.values()]
    assert figures
    assert all(metric.interval is msgspec.UNSET for metric in figures)
    assert "interval" not in (folder.path / "metrics.json").read_text()
    assert metrics.notes == tuple(note for note in first.notes if note != OF_TWO)
    # The run was asked for them: without a word of it, they come again.
    _, again = score_run(folder.path)
    assert again == first
    assert folder.matches.is_file()


def test_one_sequence_is_drawn_in_blocks(tmp_path: Path) -> None:
    folder, metrics = run_3d(tmp_path, some_poses()[:3], limit=2)
    assert metrics.bootstrap == Bootstrap(1000, 0, 0.95, "block", 1, 2)
    assert "there are no intervals: they need two blocks at least" in metrics.notes
    assert all(metric.interval is None for metric in recorded(metrics).values())
    assert all(
        metric.interval is None
        for found in metrics.robustness.values()
        for metric in found.values()
    )
    assert read_sample(folder.matches).units.n == 1


def test_numbers_that_poses_do_not_allow_have_no_interval(tmp_path: Path) -> None:
    poses = [{**pose, "keypoints_img": [[0, 0]] * 17} for pose in some_poses()]
    _, metrics = run_3d(tmp_path, poses)
    numbers = recorded(metrics)
    assert numbers[Key("3DPCK_all")].reason
    for metric in numbers.values():
        assert metric.value is not None or metric.interval is None


class Fixed:
    """A sample of many images whose numbers are means of given ones; rows may be missing."""

    def __init__(self, of_images: dict[Key, Array]) -> None:
        self.keys = list(of_images)
        self._values = np.array(list(of_images.values()))
        n = self._values.shape[1]
        self.units = Units("image", np.arange(n), n)

    def replicate(self, weights: Array, keys: list[Key]) -> Array:
        rows = [self.keys.index(key) for key in keys]
        return np.asarray(self._values[rows] @ weights / weights.sum(0))

    def arrays(self) -> dict[str, Array]:
        return {}

    def facts(self) -> dict[str, Any]:
        return {}


def test_many_images_need_no_remark_and_a_row_may_be_missing() -> None:
    metrics = make_metrics(make_run())
    (name, rows), *_ = metrics.conditions.items()
    drop = {"AP_drop": Metric(0.1, 2, False, None)}
    metrics = msgspec.structs.replace(metrics, robustness={name: drop})
    rng = np.random.default_rng(0)
    of_images = {
        Key("AP"): rng.random(30),
        **{Key("AP", name, row.label): rng.random(30) for row in rows[:-1]},
    }
    sample: Sample = Fixed(of_images)
    found = with_intervals(metrics, sample, 100)
    assert found.notes == metrics.notes
    assert found.bootstrap == Bootstrap(100, 0, 0.95, "image", 30, 1)
    assert isinstance(found.metrics["AP"].interval, Interval)
    others = set(found.metrics) - {"AP"}
    assert others
    assert all(found.metrics[name].interval is None for name in others)
    *before, last = found.conditions[name]
    assert all(isinstance(row.metrics["AP"].interval, Interval) for row in before)
    assert last.metrics["AP"].interval is None
    assert isinstance(found.robustness[name]["AP_drop"].interval, Interval)


def test_the_usual_number_of_resamples_is_the_same_everywhere() -> None:
    assert str(Job("replay").resamples) == JobOptions.bootstrap == str(RESAMPLES)
