"""What a run is asked for, as the record keeps it."""

from __future__ import annotations

import hashlib
from typing import Any

from crowdbench.conditions.choice import describe
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets.split import LEVEL_LIMITS, Split
from crowdbench.metrics.evaluation_3d import rules
from crowdbench.predictor import Predictor
from crowdbench.protocol import Protocol
from crowdbench.record import SCHEMA_VERSION, PredictorFacts, Run, SplitFacts
from crowdbench.refiner import Refiner
from crowdbench.running.needs import Needs


def describe_run(
    split: Split,
    predictor: Predictor,
    needs: Needs,
    own_annotations: bool,
    options: dict[str, str],
    conditions: ConditionSettings,
    resamples: int,
) -> Run:
    """Return the content of ``run.json``: what is asked, every default resolved.

    Args:
        split: what is predicted.
        predictor: what predicts.
        needs: what it starts from.
        own_annotations: whether the split is the user's own annotation file.
        options: what else was asked for.
        conditions: the conditions to evaluate, resolved.
        resamples: for intervals; 0 for none.
    """
    settings = predictor.settings
    base = predictor.base if isinstance(predictor, Refiner) else None
    of_oks: dict[str, Any] = {
        "sigmas": hashlib.sha256(split.skeleton.sigma_array.tobytes()).hexdigest()[:8],
        "area": split.area,
        "pose_area": settings.pose_area,
    }
    if split.skeleton.is_3d:
        assert split.truth is not None
        of_oks = dict.fromkeys(("sigmas", "area", "pose_area", "oks"), "none") | {"max_poses": 0}
        of_oks["pose3d"] = rules(split.truth, settings.pairing)
    protocol = Protocol(
        split="own" if own_annotations else split.name,
        annotations=split.annotations.sha256[:12],
        images=len(split.images),
        skeleton=split.skeleton.name,
        boxes=settings.boxes,
        scores=settings.scores,
        merging=str((base or predictor).settings.merging),
        crops=settings.crops,
        flip_test=settings.flip_test,
        decoding=settings.decoding,
        precision=settings.precision,
        base="none" if base is None else base.card.name,
        options=",".join(f"{k}={v}" for k, v in sorted(settings.options.items())) or "none",
        levels=",".join(map(str, LEVEL_LIMITS)) if split.has_levels else "none",
        conditions=describe(conditions),
        **of_oks,
    )
    inputs, notes = dict(settings.inputs), [*split.notes, *settings.notes]
    for role, whose, weights in (
        ("weights", "the network's", needs.weights),
        ("base weights", "the base's", needs.base_weights),
    ):
        if weights is not None and weights.digest is not None:
            inputs[role] = weights.digest
        elif weights is not None:
            notes.append(f"{whose} weights are random: its poses mean nothing, its speed does")
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
            predictor.card,
            settings.merging,
            inputs,
            {**options, **settings.options},
            settings.boxes_independent,
            None if base is None else base.card,
        ),
        protocol=protocol,
        signature=protocol.signature,
        conditions=conditions,
        notes=tuple(notes),
        resamples=resamples,
    )
