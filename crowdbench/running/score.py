"""Score: from candidates to metrics, without the model."""

from __future__ import annotations

import numpy as np

from crowdbench.candidates import join_poses, read_shard, shard_paths
from crowdbench.datasets.split import LEVEL_LIMITS, Split
from crowdbench.errors import InputError
from crowdbench.metrics.catalogue import LEVEL_METRICS, METRICS
from crowdbench.metrics.evaluation import Evaluation, Value, evaluate
from crowdbench.record import SCHEMA_VERSION, KeypointMetrics, Metric, Metrics, Run, RunFolder
from crowdbench.results_format import write_results
from crowdbench.structures import Poses


def read_candidates(folder: RunFolder, run: Run) -> Poses:
    """Return the candidates of a finished prediction."""
    paths = shard_paths(folder.candidates, run.split.images, run.predictor.images_per_shard)
    return join_poses([read_shard(path) for path in paths])


def check_same_data(run: Run, split: Split) -> None:
    """Refuse to score a run on other data than it was made for.

    Raises:
        InputError: if the annotation file has changed since.
    """
    if split.annotations.sha256 != run.split.annotations.sha256:
        raise InputError(
            f"the annotations of {split.name} are not those the run was made with (sha256 "
            f"{split.annotations.sha256[:12]} now, {run.split.annotations.sha256[:12]} then): "
            "predict again"
        )


def score_poses(folder: RunFolder, run: Run, split: Split, poses: Poses) -> Metrics:
    """Return the metrics of final poses, and write the poses to ``predictions.json``.

    A split without public ground truth gives metrics that are all null, with that reason.
    """
    write_results(folder.predictions, poses, split.images.ids, split.category_id)
    if split.truth is None:
        reason = "the ground truth of this split is not public: send predictions.json to its server"
        values = {
            name: Value(None, 0, reason)
            for name in METRICS
            if split.has_levels or name not in LEVEL_METRICS
        }
        return _record(run, values, (), {"images": len(split.images), "poses": len(poses)})
    limits = LEVEL_LIMITS if split.has_levels else None
    result = evaluate(split.truth, poses, split.skeleton.sigma_array, limits)
    return _record(run, result.values, _keypoints(run, result), result.counts)


def _record(
    run: Run,
    values: dict[str, Value],
    keypoints: tuple[KeypointMetrics, ...],
    counts: dict[str, int],
) -> Metrics:
    return Metrics(
        schema_version=SCHEMA_VERSION,
        split=run.split.name,
        predictor=run.predictor.name,
        signature=run.signature,
        metrics={
            name: Metric(value.value, value.n, METRICS[name].higher_is_better, value.reason)
            for name in METRICS
            if (value := values.get(name)) is not None
        },
        keypoints=keypoints,
        counts=counts,
        notes=run.notes,
    )


def _keypoints(run: Run, result: Evaluation) -> tuple[KeypointMetrics, ...]:
    sums = result.keypoints
    with np.errstate(invalid="ignore"):
        pck, oks = sums.n_close / sums.n_labelled, sums.similarity / sums.n_matched
    return tuple(
        KeypointMetrics(
            name,
            int(sums.n_labelled[i]),
            int(sums.n_matched[i]),
            float(pck[i]) if sums.n_labelled[i] else None,
            float(oks[i]) if sums.n_matched[i] else None,
        )
        for i, name in enumerate(run.split.skeleton.keypoints)
    )
