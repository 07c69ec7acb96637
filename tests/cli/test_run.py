"""The main job as a user runs it: run, predict, score, report, and what they leave behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from crowdbench.record import SCHEMA_VERSION
from crowdbench.running.steps import Job, run_job
from tests.command import EXAMPLE, Crowdbench, contents, replay

ANNOTATIONS, PREDICTIONS = EXAMPLE / "annotations.json", EXAMPLE / "predictions.json"
FILES = {
    "run.json",
    "environment.json",
    "metrics.json",
    "matches.npz",
    "worst_images.json",
    "predictions.json",
}


def test_a_run_prints_the_table_and_leaves_the_whole_record(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, report=True))
    assert done.returncode == 0, done.stderr
    assert done.stderr == "note: intervals rest on 8 images and are coarse\n"
    metrics = json.loads((tmp_path / "runs/replay@annotations/metrics.json").read_text())
    ap = metrics["metrics"]["AP"]["value"]
    assert f"{100 * ap:.2f}" in done.stdout
    assert metrics["signature"] in done.stdout
    assert "runs/replay@annotations" in done.stdout
    names = {path.split("/")[0] for path in contents(tmp_path / "runs/replay@annotations")}
    assert names == FILES | {"candidates", "report"}


def test_two_runs_differ_in_environment_json_only(crowdbench: Crowdbench, tmp_path: Path) -> None:
    for name in ("a", "b"):
        elsewhere = tmp_path / f"elsewhere-{name}"
        elsewhere.mkdir()
        for file in (ANNOTATIONS, PREDICTIONS):
            (elsewhere / file.name).write_bytes(file.read_bytes())
        done = crowdbench(
            *replay(
                elsewhere / ANNOTATIONS.name,
                elsewhere / PREDICTIONS.name,
                "--output",
                name,
                report=True,
            )
        )
        assert done.returncode == 0, done.stderr
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} <= {"environment.json"}


def test_the_three_steps_give_what_run_gives(crowdbench: Crowdbench, tmp_path: Path) -> None:
    whole = replay(ANNOTATIONS, PREDICTIONS, "--output", "a", report=True)
    assert crowdbench(*whole).returncode == 0
    predict = replay(ANNOTATIONS, PREDICTIONS, "--output", "b", command="predict")
    for command in (predict, ["score", "b"], ["report", "b"]):
        done = crowdbench(*command)
        assert done.returncode == 0, done.stderr
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} <= {"environment.json"}


def test_json_goes_to_stdout_alone_and_equals_the_file(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--json", "--output", "r"))
    assert done.stdout == (tmp_path / "r/metrics.json").read_text()
    assert crowdbench("score", "r", "--json").stdout == done.stdout


def test_quiet_prints_nothing(crowdbench: Crowdbench) -> None:
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--quiet"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_record_files_follow_their_published_schemas(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r"))
    for kind in ("metrics", "run", "environment", "worst_images"):
        schema = json.loads(crowdbench("schema", kind).stdout)
        content = json.loads((tmp_path / "r" / f"{kind}.json").read_text())
        jsonschema.validate(content, schema, cls=jsonschema.Draft202012Validator)
        content["surprise"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(content, schema, cls=jsonschema.Draft202012Validator)
    done = crowdbench("schema", "metric")
    assert done.returncode == 2
    assert "did you mean metrics" in done.stderr


def test_a_finished_run_is_replaced_only_when_asked(crowdbench: Crowdbench, tmp_path: Path) -> None:
    arguments = replay(ANNOTATIONS, PREDICTIONS, "--output", "r")
    assert crowdbench(*arguments).returncode == 0
    before = contents(tmp_path / "r")
    refused = crowdbench(*arguments)
    assert refused.returncode == 2
    assert "r already holds a run: --overwrite replaces it" in refused.stderr
    assert contents(tmp_path / "r") == before
    (tmp_path / "r/mine.txt").write_text("keep")
    assert crowdbench(*arguments, "--overwrite", "--limit", "3").returncode == 0
    assert (tmp_path / "r/mine.txt").read_text() == "keep"
    assert json.loads((tmp_path / "r/metrics.json").read_text())["counts"]["images"] == 3


def test_a_replacement_that_is_interrupted_leaves_a_folder_that_can_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(
        predictor="replay",
        predictions=PREDICTIONS,
        annotations=ANNOTATIONS,
        skeleton="coco-17",
        output=tmp_path / "r",
        overwrite=True,
    )
    run_job(job)
    calls = {"left": 0}
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.parent == tmp_path / "r":
            calls["left"] -= 1
            if calls["left"] == 0:
                raise KeyboardInterrupt
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    # As many removals as there are kinds of content, folders aside.
    for n_th in range(1, 6):
        calls["left"] = n_th
        with pytest.raises(KeyboardInterrupt):
            run_job(job)
        assert (tmp_path / "r/run.json").exists()
        run_job(job)
        assert {path.name for path in (tmp_path / "r").iterdir()} >= FILES


def test_a_folder_with_other_things_is_never_touched(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/thesis.tex").write_text("years of work")
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r", "--overwrite"))
    assert done.returncode == 2
    assert "r is no run folder" in done.stderr
    assert contents(tmp_path / "r") == {"thesis.tex": b"years of work"}


def test_a_limit_takes_the_first_images_and_changes_the_signature(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    whole = json.loads(
        crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--json", "--output", "a")).stdout
    )
    part = json.loads(
        crowdbench(
            *replay(ANNOTATIONS, PREDICTIONS, "--json", "--output", "b", "--limit", "3")
        ).stdout
    )
    assert part["counts"]["images"] == 3
    assert part["counts"]["poses"] < whole["counts"]["poses"]
    assert part["signature"] != whole["signature"]
    assert " images=3 " in part["signature"]


def test_scoring_again_notices_changed_annotations(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(example[0]))
    assert crowdbench(*replay(path, PREDICTIONS, "--output", "r")).returncode == 0
    example[0]["annotations"][0]["area"] += 1
    path.write_text(json.dumps(example[0]))
    done = crowdbench("score", "r")
    assert done.returncode == 2
    assert "the annotations of truth are not those the run was made with" in done.stderr
    path.unlink()
    assert crowdbench("score", "r").returncode == 3


def test_a_record_of_another_schema_version_is_refused(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r"))
    content = json.loads((tmp_path / "r/run.json").read_text())
    (tmp_path / "r/run.json").write_text(json.dumps(content | {"schema_version": 99}))
    done = crowdbench("score", "r")
    assert done.returncode == 2
    assert f"schema_version is 99, this crowdbench reads {SCHEMA_VERSION}" in done.stderr


def test_a_damaged_shard_is_said(crowdbench: Crowdbench, tmp_path: Path) -> None:
    crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r"))
    shard = tmp_path / "r/candidates/00000.npz"
    shard.write_bytes(shard.read_bytes()[:1000])
    done = crowdbench("score", "r")
    assert done.returncode == 2
    assert "00000.npz is no shard of candidates" in done.stderr
    shard.unlink()
    done = crowdbench("score", "r")
    assert done.returncode == 3
    assert "run `crowdbench predict` again" in done.stderr


def test_a_full_disk_is_one_message_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    # A limit on the size of files stands in for the full disk.
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000)); "
        "from crowdbench.cli import main; main()"
    )
    arguments = map(str, replay(ANNOTATIONS, PREDICTIONS, "--output", "r"))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "can't be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    left = contents(tmp_path / "r")
    assert left.keys() == {"run.json"}
    json.loads(left["run.json"])


def test_a_file_in_the_place_of_the_folder_is_one_message(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    (tmp_path / "r").write_text("a file")
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r"))
    assert done.returncode == 2
    assert "r is no run folder" in done.stderr
    done = crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r/deeper"))
    assert done.returncode == 3
    assert "can't be written" in done.stderr


def test_a_run_killed_in_any_write_leaves_whole_files_only_and_goes_on(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    less = ["--conditions", "detector-confidence,person-iou", "--bootstrap", "100"]
    arguments = [str(a) for a in replay(ANNOTATIONS, PREDICTIONS, *less, report=True)]
    assert crowdbench(*arguments, "--output", "whole").returncode == 0
    expected = contents(tmp_path / "whole")
    # Kills the process when a file's content is written but not yet in its place.
    code = (
        "import os, signal, sys; from crowdbench import cli, files\n"
        "real, left = os.replace, [int(sys.argv.pop(1))]\n"
        "def replace(*paths):\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    left[0] -= 1; real(*paths)\n"
        "os.replace = replace; cli.main()"
    )
    n_writes = 0
    while True:
        command = [sys.executable, "-c", code, str(n_writes), *arguments, "--output", "r"]
        killed = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        for name, content in contents(tmp_path / "r").items():
            if not name.endswith(".unfinished") and name != "environment.json":
                assert content == expected[name], name
        # The report's many files are written alike: a few of them stand for all.
        step = 1
        if not (tmp_path / "r/metrics.json").exists():
            done = crowdbench(*arguments, "--output", "r")
        else:
            done, step = crowdbench("report", "r"), 17
        assert done.returncode == 0, done.stderr
        found = contents(tmp_path / "r")
        assert {n for n in expected if found[n] != expected[n]} <= {"environment.json"}
        assert not [n for n in found if n.endswith(".unfinished")]
        shutil.rmtree(tmp_path / "r")
        n_writes += step
    assert n_writes >= len(expected)


def test_the_example_equals_pycocotools_and_the_check_says_so(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    crowdbench(*replay(ANNOTATIONS, PREDICTIONS, "--output", "r"))
    done = crowdbench("score", "r", "--check", "pycocotools")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("equal") == 10
    # A difference is found and named.
    predictions = json.loads((tmp_path / "r/predictions.json").read_text())
    assert {"image_id", "category_id", "keypoints", "score"} <= predictions[0].keys()


def _in_process(tmp_path: Path, *arguments: str) -> tuple[str, set[str]]:
    """Return what a command prints and the modules that it has imported."""
    code = (
        f"import sys; sys.argv = ['crowdbench', *{arguments}]\n"
        "from crowdbench.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return done.stdout, set(done.stderr.split())


def test_help_names_the_commands_and_imports_nothing_heavy(tmp_path: Path) -> None:
    text, modules = _in_process(tmp_path, "--help")
    assert not {"torch", "numpy", "pandas", "matplotlib", "cv2", "rich"} & modules
    for command in (
        *("run", "predict", "score", "report", "compare"),
        *("data", "ls", "doctor", "schema"),
    ):
        assert command in text


def test_listing_predictors_does_not_import_torch(tmp_path: Path) -> None:
    text, modules = _in_process(tmp_path, "ls", "predictors")
    assert "replay" in text
    assert "torch" not in modules


def test_lists_name_what_there_is(crowdbench: Crowdbench) -> None:
    assert "crowdpose-val" in crowdbench("ls", "splits").stdout
    assert "AP_hard" in crowdbench("ls", "metrics").stdout
    crowdbench(*replay(ANNOTATIONS, PREDICTIONS))
    later = replay(ANNOTATIONS, PREDICTIONS, "--output", "runs/later", command="predict")
    assert crowdbench(*later).returncode == 0
    listed = crowdbench("ls", "runs").stdout
    assert "replay@annotations" in listed
    assert "not scored" in listed


def test_the_doctor_tells_what_works_and_what_is_missing(crowdbench: Crowdbench) -> None:
    done = crowdbench("doctor")
    assert done.returncode == 0, done.stderr
    for word in ("numpy", "torch", "--check pycocotools", "predictor replay", "MISSING", "data in"):
        assert word in done.stdout


def test_the_version_is_printed(crowdbench: Crowdbench) -> None:
    from crowdbench import __version__

    assert crowdbench("--version").stdout == f"crowdbench {__version__}\n"


def test_a_split_without_public_ground_truth_leaves_predictions_and_says_why(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    annotations, predictions = example
    (tmp_path / "data/coco/annotations").mkdir(parents=True)
    info = {"images": annotations["images"], "categories": annotations["categories"]}
    path = tmp_path / "data/coco/annotations/image_info_test-dev2017.json"
    path.write_text(json.dumps(info))
    done = crowdbench(
        "run", "--predictor", "replay", "--predictions", PREDICTIONS, "--split", "coco-test-dev",
        "--json", "--output", "r",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    assert {"AP", "AP_M", "AR_L"} <= metrics.keys()
    assert "AP_easy" not in metrics
    for metric in metrics.values():
        assert metric["value"] is None
        assert "not public" in metric["reason"]
    assert len(json.loads((tmp_path / "r/predictions.json").read_text())) == len(predictions)
    assert json.loads(done.stdout)["bootstrap"] is None
    errors = json.loads(done.stdout)["keypoint_errors"]
    assert (errors["keypoints"], errors["n_persons"]) == (None, 0)
    assert "not public" in errors["reason"]
    assert not (tmp_path / "r/matches.npz").exists()
    assert "not public" in (tmp_path / "r/report/report.md").read_text()
    checked = crowdbench("score", "r", "--quiet", "--check", "pycocotools")
    assert checked.returncode == 3
    assert "no public ground truth" in checked.stderr


def test_data_commands_show_what_is_there_and_what_is_wrong(
    crowdbench: Crowdbench, example: Any, tmp_path: Path
) -> None:
    listed = crowdbench("data", "ls")
    assert listed.returncode == 0
    assert "missing" in listed.stdout
    shown = crowdbench("data", "show", "ochuman").stdout
    for word in ("licence", "@inproceedings", "ochuman_coco_format_val_range"):
        assert word in shown
    assert crowdbench("data", "verify", "coco").returncode == 3
    place = tmp_path / "data/coco/annotations/person_keypoints_val2017.json"
    place.parent.mkdir(parents=True)
    place.write_text(ANNOTATIONS.read_text())
    assert "ok" in crowdbench("data", "ls").stdout
    wrong = crowdbench("data", "verify", "coco-val2017")
    assert wrong.returncode == 1
    assert "8 images: EXPECTED 5,000" in wrong.stdout
    assert "sha256" in wrong.stdout
    # The command still scores it, and the report says that it is not the official file.
    done = crowdbench(
        "run", "--predictor", "replay", "--predictions", PREDICTIONS, "--split", "coco-val2017"
    )
    assert done.returncode == 0
    assert "not the official coco-val2017" in done.stderr


def test_the_name_of_ones_own_annotation_file_is_not_part_of_the_protocol(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.json"
    copy.write_bytes(ANNOTATIONS.read_bytes())
    signatures = [
        json.loads(crowdbench(*replay(path, PREDICTIONS, "--json")).stdout)["signature"]
        for path in (ANNOTATIONS, copy)
    ]
    assert signatures[0] == signatures[1]
    assert "split=own annotations=4fab97e7d878" in signatures[0]


def test_an_interrupted_prediction_is_said_when_it_is_scored(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    predict = replay(ANNOTATIONS, PREDICTIONS, "--output", "r", command="predict")
    assert crowdbench(*predict).returncode == 0
    (tmp_path / "r/environment.json").unlink()
    done = crowdbench("score", "r")
    assert done.returncode == 3
    assert "the prediction was interrupted; the same command goes on" in done.stderr
