"""Run folders made by hand for the report tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np

from crowdbench.card import Card, WeightFile
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.drawn_2d import CrowdImages, DrawnImage, DrawnPerson, DrawnPose
from crowdbench.files import FileDigest
from crowdbench.merging import Merging
from crowdbench.protocol import Protocol
from crowdbench.record import (
    SCHEMA_VERSION,
    Environment,
    PredictorFacts,
    Run,
    RunFolder,
    Speed,
    SplitFacts,
)
from crowdbench.results import (
    ConditionFacts,
    ConditionRow,
    ErrorCounts,
    KeypointErrors,
    KeypointMetrics,
    Metric,
    Metrics,
    OksHistogram,
    PrecisionCurve,
    SkippedImage,
    WorstImages,
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
        schema_version=SCHEMA_VERSION,
        split=SplitFacts(
            name=split,
            own=own,
            annotations=FileDigest("crowdpose_val.json", "ab" * 32, 1234567),
            images=images,
            limit=limit,
            skeleton=load_skeleton("crowdpose-14"),
        ),
        predictor=PredictorFacts(
            card=Card("replay", "poses from a file", images_per_shard=100_000),
            merging=Merging(),
            inputs={"predictions": FileDigest("poses.json", "cd" * 32, 7654)},
            options={"unknown_images": "error"},
        ),
        protocol=protocol,
        signature=protocol.signature,
        conditions=ConditionSettings(),
        notes=notes,
    )


MIPNET = Card(
    "mipnet-hrnet-w48-384x288",
    "MIPNet, HRNet-W48, 384x288, two persons for each box",
    skeletons=("coco-17", "crowdpose-14"),
    method="MIPNet",
    paper="Khirodkar et al.: Multi-Instance Pose Networks. ICCV 2021",
    year=2021,
    licence="not stated",
    backbone="HRNet-W48",
    input_size="384x288",
    published=("mipnet",),
    needs_weights=True,
    weights=(
        WeightFile("coco-17", "official.pth", "somewhere", trained_on="coco-train"),
        WeightFile("crowdpose-14", "official-14.pth", "somewhere", trained_on="crowdpose-train"),
    ),
)


def make_network_run(
    card: Card = MIPNET,
    *,
    weights: str | None = "mine.pth",
    split: str = "ochuman-val",
    skeleton: str = "coco-17",
    images: int = 2500,
    limit: int | None = None,
    boxes: str = "gt",
    **options: str,
) -> Run:
    """Return a run of a network, without `weights` of a random one."""
    run = make_run(split, images=images, limit=limit, boxes=boxes, scores="box*mean(keypoints>0.2)")
    protocol = msgspec.structs.replace(
        run.protocol,
        skeleton=skeleton,
        merging="oks-nms(0.9)",
        flip_test="shifted",
        decoding="quarter-offset",
        precision="fp32",
    )
    inputs = {} if weights is None else {"weights": FileDigest(weights, "ef" * 32, 255_000_000)}
    return msgspec.structs.replace(
        run,
        split=msgspec.structs.replace(run.split, skeleton=load_skeleton(skeleton)),
        predictor=PredictorFacts(card, Merging("oks-nms", 0.9), inputs, options),
        protocol=protocol,
        signature=protocol.signature,
    )


def make_skipped(n: int) -> tuple[SkippedImage, ...]:
    return tuple(SkippedImage(100 + i, f"val/{i}.jpg: no such file") for i in range(n))


def make_metrics(run: Run) -> Metrics:
    reason = "no image of this level"
    return Metrics(
        schema_version=SCHEMA_VERSION,
        split=run.split.name,
        predictor=run.predictor.card.name,
        signature=run.signature,
        protocol=run.protocol,
        metrics={
            "AP": Metric(0.495772583812338, 7074, True, None),
            "AP50": Metric(0.1 + 0.2, 7074, True, None),
            "AP75": Metric(5e-324, 7074, True, None),
            "AP_easy": Metric(THIRD, 1200, True, "no predictions in its images"),
            "AP_hard": Metric(None, 0, True, reason),
        },
        conditions=make_conditions(),
        condition_facts=make_facts(),
        robustness={
            "detector-confidence": {
                "AP_drop": Metric(0.0498765432101, 7074, False, None),
                "AP_mean": Metric(0.45, 7074, True, None),
            },
            "person-iou": {
                "AP_drop": Metric(None, 0, False, "no persons in the hardest bin"),
                "AP_slope": Metric(-0.21, 7074, True, None),
            },
        },
        curves=(
            PrecisionCurve(0.5, tuple(1 - (k / 100) ** 3 if k < 82 else 0.0 for k in range(101))),
            PrecisionCurve(0.75, tuple(0.97 - k / 100 if k < 60 else 0.0 for k in range(101))),
        ),
        oks_histogram=OksHistogram(
            tuple(k / 20 for k in range(21)),
            (310, *(40 + 3 * k * k for k in range(18)), 900),
        ),
        keypoints=(
            KeypointMetrics("left_shoulder", 6000, 5000, 0.8123456789012345, THIRD),
            KeypointMetrics("neck", 0, 0, None, None),
        ),
        keypoint_errors=make_errors(),
        skipped_images=(),
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


def make_errors() -> KeypointErrors:
    """Return 4,000 keypoints of 2,500 persons, of which 150 are another's."""
    return KeypointErrors(
        rule="closest",
        oks=0.1,
        n_persons=2500,
        keypoints=(
            ErrorCounts("left_shoulder", 2000, 700, 90, 110, 100),
            ErrorCounts("neck", 800, 100, 0, 40, 60),
            ErrorCounts("left_ankle", 0, 0, 0, 0, 0),
        ),
        by_overlap=(
            ErrorCounts("0 - 0.1", 2500, 400, 40, 10, 50),
            ErrorCounts("0.1 - 1", 300, 400, 50, 140, 110),
        ),
        reason=None,
    )


def make_row(label: str, ap: float | None, n_persons: int = 7074, **fields: object) -> ConditionRow:
    """Return a row with a few metrics; `fields` replace or add others."""
    reason = None if ap is not None else "no person is evaluated"
    values = {"AP": ap} | {
        name: None if ap is None else ap + more
        for name, more in (("AP50", 0.2), ("AP75", 0.05), ("AR", 0.1))
    }
    metrics = {name: Metric(value, n_persons, True, reason) for name, value in values.items()}
    row = ConditionRow(
        label=label, n_images=2000, n_persons=n_persons, n_poses=11400, metrics=metrics
    )
    return msgspec.structs.replace(row, **fields)


def make_conditions() -> dict[str, tuple[ConditionRow, ...]]:
    thresholds = (0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
    edges = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, None)
    persons = (2100, 1804, 1650, 1020, 0, 12)
    return {
        "detector-confidence": tuple(
            make_row(
                f">= {t:g}",
                0.5 - t**4 / 4,
                threshold=float(t),
                n_boxes=30637 - int(25000 * t),
                n_poses=30637 - int(25000 * t),
            )
            for t in thresholds
        ),
        "person-iou": tuple(
            make_row(
                f"{low:g} - {high:g}" if high is not None else f"{low:g} and more",
                0.6 - low / 2 if n else None,
                n,
                low=low,
                high=high,
            )
            for low, high, n in zip(edges[:-1], edges[1:], persons, strict=True)
            if low is not None
        ),
        "crowd-level": tuple(
            make_row(label, ap, n, n_images=images, low=low, high=high)
            for label, ap, n, images, low, high in (
                ("easy", THIRD, 2000, 800, 0.0, 0.2),
                ("medium", 0.3, 4000, 900, 0.2, 0.8),
                ("hard", 0.21, 1074, 300, 0.8, 1.0),
            )
        ),
    }


def make_facts() -> dict[str, ConditionFacts]:
    return {
        "detector-confidence": ConditionFacts(
            title="Detector confidence",
            axis="least score of a box",
            rule="boxes(score>=t)+oks-nms(0.9)",
            kind="threshold",
            selects="poses",
            harder="up",
            notes=("the scores are those of the file of boxes",),
            reason=None,
        ),
        "person-iou": ConditionFacts(
            title="Overlap of persons",
            axis="highest IoU with another person's box",
            rule="person-iou(among=annotated)[0,0.1,0.3,0.5,0.7,0.9,inf)",
            kind="bins",
            selects="persons",
            harder="up",
            notes=(),
            reason=None,
        ),
        "crowd-level": ConditionFacts(
            title="Crowd level",
            axis="level of the crowd index",
            rule="crowd-index[0,0.2,0.8,1]",
            kind="levels",
            selects="images",
            harder="up",
            notes=(),
            reason=None,
        ),
        "size": ConditionFacts(
            title="Size of persons",
            axis="square root of the person's area, px",
            rule="size[0,32,96,inf)",
            kind="bins",
            selects="persons",
            harder="down",
            notes=(),
            reason="the annotation file has no areas",
        ),
    }


def make_worst(file_name: str = "val/a.jpg", crowd: CrowdImages | None = None) -> WorstImages:
    k = len(load_skeleton("crowdpose-14"))
    points = tuple((30.0 + 7 * i, 40.0 + 11 * (i % 5), i % 3) for i in range(k))
    moved = tuple((x + 9, y + 4) for x, y, _ in points)
    image = DrawnImage(
        image_id=17,
        file_name=file_name,
        size=(160, 120),
        mean_oks=0.3125,
        persons=(
            DrawnPerson(points, (25.0, 35.0, 110.0, 60.0), True, 0.3125),
            DrawnPerson(points, (5.0, 5.0, 20.0, 30.0), False, None),
        ),
        poses=(DrawnPose(moved, 0.91, True), DrawnPose(moved[::-1], 0.2, False)),
    )
    return WorstImages(SCHEMA_VERSION, (image, msgspec.structs.replace(image, image_id=18)), crowd)


def make_crowd(n: int = 3, file_name: str = "val/a.jpg") -> CrowdImages:
    """Return images of 160 x 120 with two evaluated persons, a third one and three poses each."""
    k = len(load_skeleton("crowdpose-14"))

    def points(left: float) -> tuple[tuple[float, float], ...]:
        return tuple((left + 2 * (i % 4), 42.0 + 3 * i) for i in range(k))

    persons = tuple(
        DrawnPerson(
            tuple((x, y, 1 + i % 2) for i, (x, y) in enumerate(points(left))),
            (left - 6, 36.0, 24.0, 50.0),
            left < 100,
            0.75 if left < 100 else None,
        )
        for left in (60.0, 72.0, 140.0)
    )
    poses = tuple(
        DrawnPose(points(left), score, score > 0.5)
        for left, score in ((61.0, 0.9), (74.0, 0.8), (141.0, 0.1))
    )
    images = tuple(
        DrawnImage(30 + i, file_name, (160, 120), 0.75 - i / 10, persons, poses) for i in range(n)
    )
    return CrowdImages(431, 44, 0.52, 0.7125, images)


def write_run(
    path: Path, run: Run, *, worst: WorstImages | None = None, **changes: object
) -> RunFolder:
    """Write a scored run; `changes` replace fields of its metrics.

    Skipped images are counted in the protocol of the metrics, but not in that of `run`, which was
    written before anything was read.
    """
    metrics = msgspec.structs.replace(make_metrics(run), **changes)
    if metrics.skipped_images:
        protocol = msgspec.structs.replace(
            metrics.protocol, skipped=f"{len(metrics.skipped_images)}#89abcdef"
        )
        metrics = msgspec.structs.replace(metrics, protocol=protocol, signature=protocol.signature)
    folder = RunFolder(path)
    folder.write(run)
    folder.write(metrics)
    if worst is not None:
        folder.write(worst)
    return folder


def write_environment(folder: RunFolder, images: Path | None) -> None:
    """Write what a report may not show, but for where it finds the image files."""
    folder.write(
        Environment(
            crowdbench="version-of-here",
            python="python-of-here",
            platform="platform-of-here",
            packages={"numpy": "numpy-of-here"},
            git={"commit": "commit-of-here"},
            annotations="/annotations-of-here",
            data_root="/root-of-here",
            images=None if images is None else str(images),
            started="time-of-here",
            seconds={"predict": 123.25},
            speed=Speed("device-of-here", 8, 0, 2, 10, 20, 1.0, 0.5, 10.0, 20.0),
        )
    )


def write_picture(path: Path, width: int, height: int) -> None:
    """Write an image file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)
