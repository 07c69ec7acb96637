"""Predict: from a split and a predictor to candidates on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

from crowdbench.candidates import Candidates, join_poses, read_shard, shard_paths, write_shard
from crowdbench.conditions.choice import describe
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets.split import LEVEL_LIMITS, Split
from crowdbench.errors import UsageError
from crowdbench.predictor import Batch, Card, Predictor
from crowdbench.protocol import Protocol
from crowdbench.record import SCHEMA_VERSION, PredictorFacts, Run, RunFolder, SplitFacts
from crowdbench.structures import Boxes, Poses


def describe_run(
    split: Split,
    predictor: Predictor,
    own_annotations: bool,
    options: dict[str, str],
    conditions: ConditionSettings,
) -> Run:
    """Return the content of ``run.json``: what is asked, every default resolved.

    Args:
        split: what is predicted.
        predictor: what predicts.
        own_annotations: whether the split is the user's own annotation file.
        options: what else was asked for.
        conditions: the conditions to evaluate, resolved.
    """
    settings, card = predictor.settings, predictor.card
    limits = ",".join(map(str, LEVEL_LIMITS)) if split.has_levels else "none"
    protocol = Protocol(
        split="own" if own_annotations else split.name,
        annotations=split.annotations.sha256[:12],
        images=len(split.images),
        skeleton=split.skeleton.name,
        sigmas=hashlib.sha256(split.skeleton.sigma_array.tobytes()).hexdigest()[:8],
        area=split.area,
        pose_area=settings.pose_area,
        boxes=settings.boxes,
        scores=settings.scores,
        merging=str(settings.merging),
        levels=limits,
        conditions=describe(conditions),
    )
    return Run(
        schema_version=SCHEMA_VERSION,
        split=SplitFacts(
            name=split.name,
            own=own_annotations,
            annotations=split.annotations,
            images=len(split.images),
            limit=split.limit,
            skeleton=split.skeleton,
        ),
        predictor=PredictorFacts(
            name=card.name,
            description=card.description,
            images_per_shard=card.images_per_shard,
            boxes_independent=card.boxes_independent,
            merging=settings.merging,
            inputs=dict(settings.inputs),
            options=options,
        ),
        protocol=protocol,
        signature=protocol.signature,
        conditions=conditions,
        notes=(*split.notes, *settings.notes),
    )


def predict_split(
    folder: RunFolder,
    split: Split,
    predictor: Predictor,
    boxes: Boxes | None,
    conditions: ConditionSettings,
) -> Candidates:
    """Return the candidates of the whole split, and leave them in the folder's shards.

    A predictor whose poses depend on the other boxes of the image predicts anew for every threshold
    of ``detector-confidence`` at which boxes fall away.

    Shards that are already there are not made again: an interrupted run goes on where it stopped.
    """
    poses = _predict_shards(folder.candidates, split, predictor, boxes)
    sweep = {}
    if boxes is not None and not predictor.card.boxes_independent and split.truth is not None:
        for t in sweep_thresholds(conditions):
            kept = boxes.scores >= t
            sweep[t] = poses
            if not kept.all():
                place = folder.candidates_from(t)
                sweep[t] = _predict_shards(place, split, predictor, boxes.take(kept))
    return Candidates(poses, sweep)


def sweep_thresholds(conditions: ConditionSettings) -> tuple[float, ...]:
    """Return the thresholds of ``detector-confidence``; none if it is not asked for."""
    return tuple(t for t in conditions.values.get("detector-confidence", ()) if t is not None)


def _predict_shards(folder: Path, split: Split, predictor: Predictor, boxes: Boxes | None) -> Poses:
    parts = []
    n_images, step = len(split.images), predictor.card.images_per_shard
    for i, path in enumerate(shard_paths(folder, n_images, step)):
        if path.is_file():
            parts.append(read_shard(path))
            continue
        start, stop = i * step, min((i + 1) * step, n_images)
        here = None if boxes is None else boxes.of_images(start, stop)
        poses = predictor.predict(Batch(split, start, stop, here))
        write_shard(path, poses)
        parts.append(poses)
    return join_poses(parts)


def check_skeleton(card: Card, split: Split) -> None:
    """Refuse a predictor whose keypoints are not the split's.

    Raises:
        UsageError: naming both.
    """
    if card.skeletons and split.skeleton.name not in card.skeletons:
        raise UsageError(
            f"{card.name} gives {' or '.join(card.skeletons)}, {split.name} has "
            f"{split.skeleton.name}: choose another predictor or split"
        )
