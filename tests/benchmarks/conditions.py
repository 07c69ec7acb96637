"""What all conditions cost, beside doing the same with the official tools, in the same run.

    python tests/benchmarks/conditions.py [--crowdpose ANNOTATIONS PREDICTIONS] [--repeats N]

Prints a Markdown table. Ours is one pass over the arrays; the tools have no conditions, so each row
(threshold or bin) is an evaluation of its own on filtered predictions, images, or persons. Counted
is what lies between the loaded files and the numbers; for the tools that includes indexing the
filtered predictions, without which they can't evaluate them. The tools run once, as they take
minutes; ours is the best of the repeats.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from problems_2d import add_crowdpose_option, made_problems

from crowdbench.conditions.choice import cut_split, resolve
from crowdbench.conditions.condition import Cut, Row, Subject
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets import Split, load_own
from crowdbench.datasets.split import LEVEL_LIMITS
from crowdbench.metrics.evaluation import Evaluation, evaluate
from crowdbench.metrics.slices import Slice
from crowdbench.results_format import read_results
from crowdbench.skeletons import load_skeleton
from crowdbench.structures import Poses

PEERS = ("xtcocotools", "faster-coco-eval")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_crowdpose_option(parser)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--without-tools", action="store_true", help="measure ours only")
    arguments = parser.parse_args()
    print(f"| | one evaluation | conditions on top | ratio | rows | {' | '.join(PEERS)} |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    with made_problems(arguments.crowdpose) as problems:
        for name, annotations, predictions, skeleton in problems:
            split = load_own(annotations, load_skeleton(skeleton))
            poses = read_results(predictions, predictions.read_bytes(), split).poses
            plain, more, rows, ours = _ours(split, poses, arguments.repeats)
            cells = [name, f"{plain * 1000:.0f} ms", f"{more * 1000:.0f} ms", f"{more / plain:.2f}"]
            cells.append(str(len(rows)))
            for tool in () if arguments.without_tools else PEERS:
                seconds, n = _peer(tool, split, rows, predictions, ours)
                left_out = f", {n} rows" if n < len(rows) else ""
                cells.append(f"{seconds:.1f} s{left_out} ({seconds / (plain + more):.0f})")
            print(f"| {' | '.join(cells)} |")


def _ours(
    split: Split, poses: Poses, repeats: int
) -> tuple[float, float, list[tuple[str, Row]], Evaluation]:
    """Return seconds of one evaluation and of all conditions on top, the rows, and the numbers."""
    assert split.truth is not None
    sigmas = split.skeleton.sigma_array
    limits = LEVEL_LIMITS if split.has_levels else None
    settings = resolve(ConditionSettings(), split.skeleton)
    plain, whole = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        evaluate(split.truth, poses, sigmas, limits)
        plain.append(time.perf_counter() - start)
        start = time.perf_counter()
        subject = Subject(split.truth, split.skeleton, poses)
        rows = [
            (condition.name, row)
            for condition, _, cut in cut_split(settings, subject)
            if isinstance(cut, Cut)
            for row in cut.rows
        ]
        slices = [Slice(row.poses, row.persons, row.images) for _, row in rows]
        result = evaluate(split.truth, poses, sigmas, limits, slices=slices)
        whole.append(time.perf_counter() - start)
    return min(plain), min(whole) - min(plain), rows, result


def _peer(
    tool: str,
    split: Split,
    rows: Sequence[tuple[str, Row]],
    predictions: Path,
    ours: Evaluation,
) -> tuple[float, int]:
    """Return the seconds a tool needs for all rows it can do, and how many those are."""
    assert split.truth is not None
    crowd = split.has_levels
    index, make = _loader(tool, split, crowd)
    truth = index(str(split.path))
    poses = _in_our_order(predictions, split)
    persons = {a["id"]: a for a in truth.dataset["annotations"]}
    counts = {id_: a["num_keypoints"] for id_, a in persons.items()}
    seconds, n = 0.0, 0
    for (name, row), found in zip(rows, ours.slices, strict=True):
        if row.persons is not None and tool == "xtcocotools" and not crowd:
            continue  # it recounts the labelled keypoints and can't be told whom to ignore
        start = time.perf_counter()
        kept = poses
        if row.poses is not None:
            kept = [poses[i] for i in np.flatnonzero(row.poses)]
        if row.persons is not None:
            for i in np.flatnonzero(~row.persons).tolist():
                persons[int(split.truth.person_ids[i])]["num_keypoints"] = 0
        ids = split.images.ids if row.images is None else split.images.ids[row.images]
        if len(ids) and kept:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                evaluator = make(truth, truth.loadRes(kept))
                evaluator.params.imgIds = ids.tolist()
                evaluator.evaluate()
                evaluator.accumulate()
                evaluator.summarize()
            ap = found.values["AP"].value
            theirs = None if evaluator.stats[0] == -1 else float(evaluator.stats[0])
            assert ap == theirs or abs(ap - theirs) < 1e-9, (tool, name, row.label, ap, theirs)
            n += 1
        for id_, count in counts.items():
            persons[id_]["num_keypoints"] = count
        seconds += time.perf_counter() - start
    return seconds, n


def _loader(
    tool: str, split: Split, crowd: bool
) -> tuple[Callable[[str], Any], Callable[..., Any]]:
    """Return the tool's reader of annotations, and what makes its evaluator."""
    mode = "keypoints_crowd" if crowd else "keypoints"
    sigmas = split.skeleton.sigma_array
    if tool == "xtcocotools":
        from xtcocotools.coco import COCO
        from xtcocotools.cocoeval import COCOeval

        return COCO, lambda truth, poses: COCOeval(truth, poses, mode, sigmas, use_area=not crowd)
    import faster_coco_eval

    return faster_coco_eval.COCO, lambda truth, poses: faster_coco_eval.COCOeval_faster(
        truth, poses, mode, kpt_oks_sigmas=sigmas, use_area=not crowd
    )


def _in_our_order(predictions: Path, split: Split) -> list[dict[str, Any]]:
    """Return the file's poses by image, as ours are ordered."""
    entries = json.loads(predictions.read_bytes())
    images = np.array([entry["image_id"] for entry in entries])
    return [entries[i] for i in np.argsort(images, kind="stable")]


if __name__ == "__main__":
    main()
