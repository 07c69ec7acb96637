"""The official evaluators on the same input, for a side-by-side check.

They read the original annotation file with their own reader wherever they can; nothing of
crowdbench's reading, matching or averaging takes part.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from crowdbench.datasets.coco_format import to_coco
from crowdbench.datasets.split import Split
from crowdbench.environment import package_version
from crowdbench.errors import MissingError, UnknownNameError, UsageError
from crowdbench.metrics.catalogue import LEVEL_METRICS

TOLERANCE = 1e-9
_COCO = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")
_CROWD = ("AP", "AP50", "AP75", "AR", "AR50", "AR75", *LEVEL_METRICS)
_HOW_TO_GET = {
    "pycocotools": "pip install pycocotools",
    "xtcocotools": "pip install numpy cython setuptools && "
    "pip install --no-build-isolation --no-binary xtcocotools xtcocotools",
    "faster-coco-eval": "pip install faster-coco-eval",
}
TOOLS = tuple(_HOW_TO_GET)


class Check(NamedTuple):
    """Our number beside the official tool's.

    Attributes:
        metric: its name.
        ours: our value, or None.
        theirs: the tool's value; None where it prints -1.
        agrees: whether they are equal to `TOLERANCE`; levels, which the tools round, to four
            decimals.
    """

    metric: str
    ours: float | None
    theirs: float | None
    agrees: bool


class CheckResult(NamedTuple):
    """All numbers of one tool, and what is known to make it differ on this input.

    Attributes:
        tool: name and version.
        checks: one per number the tool gives.
        remarks: its known deviations that this input touches.
    """

    tool: str
    checks: tuple[Check, ...]
    remarks: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether every number agrees."""
        return all(check.agrees for check in self.checks)


def import_tool(tool: str) -> Any:
    """Return the tool's top module, having made sure that it works.

    Raises:
        UnknownNameError: for a name that is no tool.
        MissingError: if it is absent or broken; the message is the command that mends it.
    """
    if tool not in _HOW_TO_GET:
        raise UnknownNameError("evaluator", tool, TOOLS)
    try:
        module = importlib.import_module(tool.replace("-", "_"))
        if tool != "faster-coco-eval":
            # The compiled part, which a wheel built for another numpy fails in.
            importlib.import_module(f"{tool}.mask")
    except Exception as error:  # a broken build raises anything from ImportError to ValueError
        absent = isinstance(error, ModuleNotFoundError)
        raise MissingError(
            f"{tool} is {'not installed' if absent else f'broken ({error})'}: {_HOW_TO_GET[tool]}"
        ) from None
    return module


def check_official(
    tool: str, split: Split, predictions: Path, ours: dict[str, float | None]
) -> CheckResult:
    """Return the official tool's numbers beside ours.

    For CrowdPose, xtcocotools and faster-coco-eval run in their mode ``keypoints_crowd``;
    pycocotools, which does not know CrowdPose's area rule, gets its areas written into the
    annotations.

    Args:
        tool: ``pycocotools``, ``xtcocotools`` or ``faster-coco-eval``.
        split: gives the annotation file, the images, the OKS constants and the area rule.
        predictions: results file.
        ours: our values by metric.
    """
    import_tool(tool)
    truth = _annotations(split)
    poses = json.loads(predictions.read_bytes())
    if not poses and tool == "pycocotools":
        raise UsageError("pycocotools can't read an empty list of predictions; nothing to check")
    # For the levels the tools look at all images of the file, whichever they are told to evaluate.
    wanted = set(split.images.ids.tolist())
    truth["annotations"] = [a for a in truth["annotations"] if a["image_id"] in wanted]
    # Their mode for crowds has CrowdPose's areas as well as its levels.
    crowd = split.has_levels and split.area == "0.53*box" and tool != "pycocotools"
    remarks = _remarks(tool, truth, poses, crowd, split.skeleton.counted)
    if split.has_levels and not crowd:
        why = "" if tool == "pycocotools" else " without CrowdPose's areas"
        remarks.append(f"{tool} has no crowding levels{why}")
    if split.area == "0.53*box" and (tool == "pycocotools" or not crowd):
        for person in truth["annotations"]:
            person["area"] = person["bbox"][2] * person["bbox"][3] * 0.53
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        truth_file = Path(folder) / "annotations.json"
        truth_file.write_text(json.dumps(truth))
        try:
            stats = _run_tool(tool, str(truth_file), poses, crowd, split)
        except Exception as error:  # fields that crowdbench can do without stop the tools anywhere
            raise UsageError(
                f"{tool} can't evaluate these files, it stopped with "
                f"{type(error).__name__}: {error}"
            ) from error
    names = _CROWD if crowd else _COCO
    checks = tuple(
        _compare(name, ours.get(name), float(value))
        for name, value in zip(names, stats, strict=True)
    )
    return CheckResult(f"{tool} {package_version(tool)}", checks, tuple(remarks))


def _annotations(split: Split) -> dict[str, Any]:
    if split.converted and split.truth is not None:
        return to_coco(split.images, split.truth, split.skeleton, split.category_id)
    content: dict[str, Any] = json.loads(split.path.read_bytes())
    return content


def _run_tool(
    tool: str,
    truth_file: str,
    poses: list[dict[str, Any]],
    crowd: bool,
    split: Split,
) -> list[float]:
    mode = "keypoints_crowd" if crowd else "keypoints"
    sigmas = split.skeleton.sigma_array
    if tool == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        truth = COCO(truth_file)
        evaluator = COCOeval(truth, truth.loadRes(poses), mode)
        evaluator.params.kpt_oks_sigmas = sigmas
    elif tool == "xtcocotools":
        from xtcocotools.coco import COCO
        from xtcocotools.cocoeval import COCOeval

        truth = COCO(truth_file)
        evaluator = COCOeval(truth, truth.loadRes(poses), mode, sigmas, use_area=not crowd)
    else:
        from faster_coco_eval import COCO, COCOeval_faster

        truth = COCO(truth_file)
        evaluator = COCOeval_faster(
            truth, truth.loadRes(poses), mode, kpt_oks_sigmas=sigmas, use_area=not crowd
        )
    evaluator.params.imgIds = split.images.ids.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tools' own, such as a file left open
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(value) for value in evaluator.stats[: len(_CROWD if crowd else _COCO)]]


def _compare(name: str, ours: float | None, theirs: float) -> Check:
    official = None if theirs == -1 else theirs
    if ours is None or official is None:
        return Check(name, ours, official, ours is official)
    if name in LEVEL_METRICS:
        # Not by rounding ours: its last bit may put it on the other side of a half.
        return Check(name, ours, official, abs(ours - official) <= 0.5e-4 + TOLERANCE)
    return Check(name, ours, official, abs(ours - official) <= TOLERANCE)


def _remarks(
    tool: str,
    truth: dict[str, Any],
    poses: list[dict[str, Any]],
    crowd: bool,
    counted: int,
) -> list[str]:
    """Return the tool's known deviations from the official numbers that this input touches."""
    remarks = []
    if tool != "xtcocotools" and any(a["id"] == 0 for a in truth["annotations"]):
        remarks.append(f"{tool} counts a match with annotation id 0 as a false positive")
    if tool == "xtcocotools":
        dropped = sum(all(c <= 0 for c in pose["keypoints"][2::3]) for pose in poses)
        if dropped:
            remarks.append(f"xtcocotools drops {dropped} poses whose confidences are all 0 or less")
        if not crowd:
            recounted = sum(_recount_matters(a, counted) for a in truth["annotations"])
            if recounted:
                remarks.append(
                    "xtcocotools recounts the labelled keypoints, which decides otherwise about "
                    f"{recounted} persons"
                )
    if tool == "faster-coco-eval":
        without = sum("num_keypoints" not in a for a in truth["annotations"])
        if without:
            remarks.append(f"faster-coco-eval ignores {without} persons without num_keypoints")
    return remarks


def _recount_matters(annotation: dict[str, Any], counted: int) -> bool:
    """Whether counting all labelled keypoints makes another choice of evaluated persons."""
    labelled = [v > 0 for v in annotation["keypoints"][2::3]]
    stored = annotation.get("num_keypoints")
    evaluated = any(labelled[:counted]) if stored is None else stored != 0
    return evaluated != any(labelled) and not annotation.get("iscrowd")
