"""How fast crowdbench scores, beside the official tools, measured in the same run.

    python tests/benchmarks/speed.py [--crowdpose ANNOTATIONS PREDICTIONS] [--repeats N]

Prints Markdown tables. Every task runs in a process of its own; tools take turns and the fastest of
the repeats counts. "Whole process" is from starting Python, through the JSON files, to the printed
numbers; "evaluation" is what lies between the loaded arrays (or the tool's own objects) and the
numbers. Ours leaves the conditions and the intervals out, which the tools do not have; further rows
show what they add.
``parse`` merely reads both JSON files with Python's json: the floor for tools that do.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from problems_2d import Problem, add_crowdpose_option, made_problems

ROOT = Path(__file__).parents[2]
PEERS = ("pycocotools", "xtcocotools", "faster-coco-eval")


class Cost(NamedTuple):
    """What one task cost: wall seconds, seconds of the evaluation alone, peak memory, AP."""

    whole: float
    evaluation: float | None
    peak_mib: float
    ap: float | None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_crowdpose_option(parser)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--task", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        _task(*arguments.task)
        return
    with (
        made_problems(arguments.crowdpose) as problems,
        tempfile.TemporaryDirectory() as folder,
    ):
        for problem in problems:
            print(_table(problem, _measure(problem, Path(folder), arguments.repeats)))


def _measure(problem: Problem, folder: Path, repeats: int) -> dict[str, Cost]:
    """Return the best cost of every task."""
    costs: dict[str, list[Cost]] = {}
    run = folder / "run"
    for _ in range(repeats):
        shutil.rmtree(run, ignore_errors=True)
        crowdbench = [sys.executable, "-m", "crowdbench"]
        tasks = {
            "crowdbench run --no-report": [
                *crowdbench, "run", "--predictor", "replay", "--no-report",
                "--conditions", "none", "--bootstrap", "off",
                "--predictions", str(problem.predictions),
                "--annotations", str(problem.annotations),
                "--skeleton", problem.skeleton, "--output", str(run),
            ],
            "crowdbench score": [*crowdbench, "score", str(run)],
            "all conditions": [*crowdbench, "score", str(run), "--conditions", "all"],
            "intervals": [*crowdbench, "score", str(run), "--bootstrap", "1000"],
            "all conditions and intervals": [
                *crowdbench, "score", str(run), "--conditions", "all", "--bootstrap", "1000",
            ],
        }  # fmt: skip
        for name in ("crowdbench evaluation", *PEERS, "parse"):
            tasks[name] = [
                sys.executable, __file__, "--task", name, str(problem.annotations),
                str(problem.predictions), problem.skeleton,
            ]  # fmt: skip
        for name, command in tasks.items():
            costs.setdefault(name, []).append(_run(name, command))
    return {
        name: Cost(
            min(c.whole for c in found),
            min((c.evaluation for c in found if c.evaluation is not None), default=None),
            min(c.peak_mib for c in found),
            found[0].ap,
        )
        for name, found in costs.items()
    }


def _run(name: str, command: list[str]) -> Cost:
    """Run one task in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    whole = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{name} failed:\n{output}")
    found = json.loads(output.splitlines()[-1]) if "--task" in command else {}
    scale = 1024 if sys.platform != "darwin" else 1024**2
    return Cost(whole, found.get("evaluation"), usage.ru_maxrss / scale, found.get("ap"))


def _task(tool: str, annotations: str, predictions: str, skeleton: str) -> None:
    """Do one task in this process and print what its evaluation alone took."""
    if tool == "parse":
        for path in (annotations, predictions):
            json.loads(Path(path).read_bytes())
        print(json.dumps({}))
        return
    if tool == "crowdbench evaluation":
        seconds, ap = _our_evaluation(Path(annotations), Path(predictions), skeleton)
    else:
        with contextlib.redirect_stdout(io.StringIO()):
            seconds, ap = _peer_evaluation(tool, annotations, predictions, skeleton)
    print(json.dumps({"evaluation": seconds, "ap": ap}))


def _our_evaluation(annotations: Path, predictions: Path, skeleton: str) -> tuple[float, float]:
    from crowdbench.datasets import load_own
    from crowdbench.datasets.split import LEVEL_LIMITS
    from crowdbench.metrics.evaluation import evaluate
    from crowdbench.results_format import read_results
    from crowdbench.skeletons import load_skeleton

    split = load_own(annotations, load_skeleton(skeleton))
    poses = read_results(predictions, predictions.read_bytes(), split).poses
    assert split.truth is not None
    limits = LEVEL_LIMITS if split.has_levels else None
    start = time.perf_counter()
    result = evaluate(split.truth, poses, split.skeleton.sigma_array, limits)
    seconds = time.perf_counter() - start
    ap = result.values["AP"].value
    assert ap is not None
    return seconds, ap


def _peer_evaluation(
    tool: str, annotations: str, predictions: str, skeleton: str
) -> tuple[float, float]:
    from crowdbench.skeletons import load_skeleton

    sigmas = load_skeleton(skeleton).sigma_array
    crowd = skeleton == "crowdpose-14"
    mode = "keypoints_crowd" if crowd and tool != "pycocotools" else "keypoints"
    if tool == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Evaluator

        options = {}
    elif tool == "xtcocotools":
        from xtcocotools.coco import COCO
        from xtcocotools.cocoeval import COCOeval as Evaluator

        options = {"sigmas": sigmas, "use_area": not crowd}
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Evaluator

        options = {"kpt_oks_sigmas": sigmas, "use_area": not crowd}
    truth = COCO(annotations)
    if crowd and tool == "pycocotools":
        for person in truth.dataset["annotations"]:
            person["area"] = person["bbox"][2] * person["bbox"][3] * 0.53
    poses = truth.loadRes(predictions)
    start = time.perf_counter()
    evaluator = Evaluator(truth, poses, mode, **options)
    if tool == "pycocotools":
        evaluator.params.kpt_oks_sigmas = sigmas
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return time.perf_counter() - start, float(evaluator.stats[0])


def _table(problem: Problem, costs: dict[str, Cost]) -> str:
    """Return the figures as Markdown; ratios are against `crowdbench`."""
    evaluation = costs["crowdbench evaluation"].evaluation
    score, run = costs["crowdbench score"], costs["crowdbench run --no-report"]
    assert evaluation is not None
    lines = [
        f"\n**{problem.name}**\n",
        "| | evaluation | x ours | whole process | x `score` | x `run` | peak memory |",
        "|---|--:|--:|--:|--:|--:|--:|",
        (
            f"| crowdbench `score` | {evaluation * 1000:.0f} ms | 1 | {score.whole:.2f} s | 1 | | "
            f"{score.peak_mib:.0f} MiB |"
        ),
        *(
            f"| crowdbench `score`, {more} | | | {costs[more].whole:.2f} s | "
            f"{costs[more].whole / score.whole:.1f} | | {costs[more].peak_mib:.0f} MiB |"
            for more in ("all conditions", "intervals", "all conditions and intervals")
        ),
        f"| crowdbench `run --no-report` | | | {run.whole:.2f} s | | 1 | {run.peak_mib:.0f} MiB |",
    ]
    aps = {costs[name].ap for name in (*PEERS, "crowdbench evaluation")}
    for name in PEERS:
        cost = costs[name]
        assert cost.evaluation is not None
        lines.append(
            f"| {name} | {cost.evaluation * 1000:.0f} ms | {cost.evaluation / evaluation:.1f} | "
            f"{cost.whole:.2f} s | {cost.whole / score.whole:.1f} | {cost.whole / run.whole:.1f} | "
            f"{cost.peak_mib:.0f} MiB |"
        )
    parse = costs["parse"]
    lines.append(
        f"| parsing the JSON alone | | | {parse.whole:.2f} s | {parse.whole / score.whole:.1f} | "
        f"{parse.whole / run.whole:.1f} | {parse.peak_mib:.0f} MiB |"
    )
    present = [ap for ap in aps if ap is not None]
    lines.append(f"\nAP of all tools within {max(present) - min(present):.1e}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
