"""Run folders made by hand for the report tests."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crowdbench.files import FileDigest
from crowdbench.protocol import Protocol
from crowdbench.record import (
    KeypointMetrics,
    Metric,
    Metrics,
    PredictorFacts,
    Run,
    RunFolder,
    SplitFacts,
)
from crowdbench.skeletons import load_skeleton

THIRD = 1 / 3


def make_run(
    split: str = "crowdpose-val",
    *,
    images: int = 2000,
    limit: int | None = None,
    own: bool = False,
    boxes: str = "none",
    scores: str = "given",
    notes: tuple[str, ...] = (),
) -> Run:
    protocol = Protocol(
        split=split,
        annotations="0" * 12,
        images=images,
        skeleton="crowdpose-14",
        sigmas="89abcdef",
        area="0.53*box",
        pose_area="joints",
        boxes=boxes,
        scores=scores,
        merging="none",
    )
    return Run(
        schema_version=1,
        split=SplitFacts(
            name=split,
            own=own,
            annotations=FileDigest("crowdpose_val.json", "ab" * 32, 1234567),
            images=images,
            limit=limit,
            skeleton=load_skeleton("crowdpose-14"),
        ),
        predictor=PredictorFacts(
            name="replay",
            description="poses from a file",
            images_per_shard=100_000,
            inputs={"predictions": FileDigest("poses.json", "cd" * 32, 7654)},
            options={"unknown_images": "error"},
        ),
        protocol=protocol,
        signature=protocol.signature,
        notes=notes,
    )


def make_metrics(run: Run) -> Metrics:
    reason = "no image of this level"
    return Metrics(
        schema_version=1,
        split=run.split.name,
        predictor=run.predictor.name,
        signature=run.signature,
        metrics={
            "AP": Metric(0.495772583812338, 7074, True, None),
            "AP50": Metric(0.1 + 0.2, 7074, True, None),
            "AP75": Metric(5e-324, 7074, True, None),
            "AP_easy": Metric(THIRD, 1200, True, "no predictions in its images"),
            "AP_hard": Metric(None, 0, True, reason),
        },
        keypoints=(
            KeypointMetrics("left_shoulder", 6000, 5000, 0.8123456789012345, THIRD),
            KeypointMetrics("neck", 0, 0, None, None),
        ),
        counts={
            "images": run.split.images,
            "images_without_poses": 34,
            "persons": 8527,
            "persons_evaluated": 7074,
            "persons_crowd": 106,
            "poses": 11589,
            "poses_counted": 11400,
            "true_positives_at_50": 5837,
            "false_positives_at_50": 3000,
            "missed_at_50": 1237,
        },
        notes=run.notes,
    )


def write_run(path: Path, run: Run, **changes: object) -> RunFolder:
    """Write a scored run; `changes` replace fields of its metrics."""
    folder = RunFolder(path)
    folder.write(run)
    folder.write(msgspec.structs.replace(make_metrics(run), **changes))
    return folder
