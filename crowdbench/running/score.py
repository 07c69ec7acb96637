"""Score: from candidates to metrics, without the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np

from crowdbench.candidates import Candidates, read_shards
from crowdbench.conditions.choice import cut_split, describe
from crowdbench.conditions.condition import Row, Subject
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets.split import LEVEL_LIMITS, Split
from crowdbench.errors import InputError
from crowdbench.merging import AS_THEY_ARE, Merging, final_poses, merge
from crowdbench.metrics.catalogue import LEVEL_METRICS, METRICS
from crowdbench.metrics.evaluation import Evaluation, SliceValues, Value, evaluate
from crowdbench.metrics.sample import Sample
from crowdbench.metrics.slices import Slice
from crowdbench.record import SCHEMA_VERSION, Run, RunFolder
from crowdbench.results import (
    KeypointMetrics,
    Metric,
    Metrics,
    OksHistogram,
    PrecisionCurve,
    SkippedImage,
    WorstImages,
)
from crowdbench.results_format import write_results
from crowdbench.running.crowd_images import crowd_images
from crowdbench.running.described import Cuts, Part, rows_of, whole_split, with_conditions
from crowdbench.running.keypoint_errors import count_errors, uncounted_errors
from crowdbench.running.predict import sweep_thresholds
from crowdbench.running.score_3d import score_poses_3d
from crowdbench.running.worst_images import worst_images
from crowdbench.skeletons import Skeleton
from crowdbench.structures import Array, Poses

_HISTOGRAM_EDGES = tuple(k / 20 for k in range(21))
# OKS thresholds of the precision curves that are kept, with their places among all.
_CURVES = ((0.5, 0), (0.75, 5))
# By slice of an evaluation: condition and row that it is of, None twice for the whole split, None
# for a slice that stands for nothing.
Names = list[tuple[str | None, str | None] | None]


class Scored(NamedTuple):
    """What scoring gives.

    Attributes:
        metrics: the numbers, without intervals.
        worst: the images, or persons, to draw.
        sample: what every image adds to the numbers; None where that was not asked for or there is
            no public ground truth.
    """

    metrics: Metrics
    worst: WorstImages
    sample: Sample | None


def read_candidates(folder: RunFolder, run: Run) -> Candidates:
    """Return the candidates of a finished prediction."""
    n_images, card = run.split.images, run.predictor.card
    whole = read_shards(folder.candidates, n_images, card.images_per_shard)
    sweep = {}
    if not run.predictor.boxes_independent:
        for t in sweep_thresholds(run.conditions):
            place = folder.candidates_from(t)
            # Where no box falls away, nothing was predicted anew.
            there = place.is_dir()
            sweep[t] = (
                read_shards(place, n_images, card.images_per_shard).poses if there else whole.poses
            )
    return Candidates(whole.poses, sweep, whole.skipped)


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


def score_candidates(
    folder: RunFolder,
    run: Run,
    split: Split,
    candidates: Candidates,
    settings: ConditionSettings,
    with_sample: bool,
) -> Scored:
    """Return the metrics of a run and the images to draw, and write ``predictions.json``.

    That file holds its final poses; those of a 3D split are written as MuPoTS-3D has them, too. A
    split without public ground truth gives metrics that are all null, with that reason, and neither
    conditions nor images to draw.

    Args:
        folder: of the run.
        run: what was asked.
        split: what the candidates are of.
        candidates: poses before merging. Those without box scores are merged once, and conditions
            choose among what is left; others are merged anew for every choice.
        settings: the conditions to evaluate, resolved.
        with_sample: whether to make the sample.
    """
    poses = candidates.poses
    run = _as_scored(run, settings, candidates.skipped)
    if run.protocol.pose_area == "joints":
        # Neither here nor in the results file may an evaluator see boxes that it would measure.
        poses = replace(poses, boxes=None)
    merging = run.predictor.merging
    if poses.box_scores is None:
        # No condition chooses boxes, so nothing is ever merged anew.
        poses, merging = _final(poses, run), AS_THEY_ARE
    cuts: Cuts = []
    if split.truth is not None:
        sweep = None if run.predictor.boxes_independent else candidates.sweep
        has_boxes = run.protocol.boxes != "none"
        subject = Subject(split.truth, split.skeleton, poses, sweep, settings.iou_among, has_boxes)
        cuts = list(cut_split(settings, subject))
    if split.skeleton.is_3d:
        metrics, worst, in_space = score_poses_3d(folder, run, split, poses, cuts)
        metrics = _with_skipped(metrics, candidates.skipped)
        return Scored(metrics, worst, in_space if with_sample else None)
    rows = rows_of(cuts)
    final, slices = _merged(
        poses, [row for _, row in rows if row.candidates is None], merging, split.skeleton
    )
    left = poses if final is None else poses.take(final)
    write_results(folder.predictions, left, split.images.ids, split.category_id)
    if split.truth is None:
        metrics = _with_skipped(_without_truth(run, split, len(left)), candidates.skipped)
        return Scored(metrics, WorstImages(SCHEMA_VERSION, (), None), None)
    sigmas, limits = split.skeleton.sigma_array, LEVEL_LIMITS if split.has_levels else None
    result = evaluate(split.truth, poses, sigmas, limits, final=final, slices=slices)
    parts = iter(result.slices)
    found: list[SliceValues] = []
    evaluations: list[tuple[Evaluation, Names]] = [(result, [(None, None)])]
    for condition, row in rows:
        if row.candidates is None:
            found.append(next(parts))
            evaluations[0][1].append((condition, row.label))
            continue
        own = evaluate(split.truth, _final(row.candidates, run), sigmas, limits, slices=[Slice()])
        found += own.slices
        evaluations.append((own, [None, (condition, row.label)]))
    metrics = msgspec.structs.replace(
        _metrics(run, result, cuts, found), keypoint_errors=count_errors(split, poses, result, cuts)
    )
    return Scored(
        _with_skipped(metrics, candidates.skipped),
        WorstImages(
            SCHEMA_VERSION, worst_images(split, poses, result), crowd_images(split, poses, result)
        ),
        _sample(split, evaluations) if with_sample else None,
    )


def _sample(split: Split, evaluations: Sequence[tuple[Evaluation, Names]]) -> Sample:
    # It needs scipy, which takes longer to import than a small split to score.
    from crowdbench.metrics.sample_2d import Group, sample_2d

    assert split.truth is not None
    crowd, level = split.truth.crowd_index, None
    if split.has_levels and crowd is not None:
        level = np.digitize(crowd, LEVEL_LIMITS)
    return sample_2d(split.truth, [Group(*each) for each in evaluations], level)


def _with_skipped(metrics: Metrics, skipped: tuple[SkippedImage, ...]) -> Metrics:
    return msgspec.structs.replace(metrics, skipped_images=skipped)


def _skipped_words(skipped: Sequence[SkippedImage]) -> str:
    """Return how many images were skipped and which, as the signature prints it."""
    if not skipped:
        return "none"
    ids = np.array([image.image_id for image in skipped], np.int64)
    return f"{len(skipped)}#{hashlib.sha256(ids.tobytes()).hexdigest()[:8]}"


def _as_scored(run: Run, settings: ConditionSettings, skipped: Sequence[SkippedImage]) -> Run:
    """Return what was asked, with the conditions of this scoring and the images left out."""
    protocol = msgspec.structs.replace(
        run.protocol, conditions=describe(settings), skipped=_skipped_words(skipped)
    )
    notes = run.notes
    if skipped:
        note = (
            f"{len(skipped):,} of {run.split.images:,} images could not be used and have no poses; "
            f"their persons count as missed (the first: {skipped[0].reason})"
        )
        notes = (*notes, note)
    return msgspec.structs.replace(
        run, protocol=protocol, signature=protocol.signature, conditions=settings, notes=notes
    )


def _final(candidates: Poses, run: Run) -> Poses:
    """Return what merging makes of all candidates."""
    merging = run.predictor.merging
    return final_poses(candidates, merging, merging.sigmas_for(run.split.skeleton))


def _merged(
    candidates: Poses, rows: Sequence[Row], merging: Merging, skeleton: Skeleton
) -> tuple[Array | None, list[Slice]]:
    """Return which candidates merging leaves, and the parts of the split that the rows stand for.

    Candidates that a row chooses are merged anew, all choices in one go. The first value is (D,)
    bool, or None for all.
    """
    choices = [np.ones(len(candidates), bool)]
    choices += [row.poses for row in rows if row.poses is not None]
    merged = merge(candidates, np.stack(choices, 1), merging, merging.sigmas_for(skeleton))
    final, *left = np.ascontiguousarray(merged.T)
    chosen = iter(left)
    slices = [
        Slice(None if row.poses is None else next(chosen), row.persons, row.images) for row in rows
    ]
    return None if final.all() else final, slices


def _without_truth(run: Run, split: Split, n_poses: int) -> Metrics:
    reason = "the ground truth of this split is not public: send predictions.json to its server"
    values = {
        name: Value(None, 0, reason)
        for name, known in METRICS.items()
        if not known.is_3d and (split.has_levels or name not in LEVEL_METRICS)
    }
    counts = {"images": len(split.images), "poses": n_poses}
    return msgspec.structs.replace(
        whole_split(run, _numbers(values), counts), keypoint_errors=uncounted_errors(reason)
    )


def _metrics(run: Run, result: Evaluation, cuts: Cuts, by_row: Sequence[SliceValues]) -> Metrics:
    parts = [
        Part(_numbers(found.values), found.n_images, found.n_persons, found.n_poses)
        for found in by_row
    ]
    return msgspec.structs.replace(
        with_conditions(whole_split(run, _numbers(result.values), result.counts), cuts, parts),
        curves=_curves(result),
        oks_histogram=_histogram(result),
        keypoints=_keypoints(run, result),
    )


def _numbers(values: dict[str, Value]) -> dict[str, Metric]:
    """Return the metrics in the catalogue's order."""
    return {
        name: Metric(value.value, value.n, METRICS[name].higher_is_better, value.reason)
        for name in METRICS
        if (value := values.get(name)) is not None
    }


def _curves(result: Evaluation) -> tuple[PrecisionCurve, ...]:
    """Return precision over recall at two OKS thresholds, in the range of all areas."""
    has_persons = result.evaluated.any()
    return tuple(
        PrecisionCurve(oks, tuple(result.curves.precision[0, t].tolist()) if has_persons else ())
        for oks, t in _CURVES
    )


def _histogram(result: Evaluation) -> OksHistogram:
    counts, _ = np.histogram(result.person_oks[result.evaluated], _HISTOGRAM_EDGES)
    return OksHistogram(_HISTOGRAM_EDGES, tuple(counts.tolist()))


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
