"""Score: from candidates to metrics, without the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from crowdbench.candidates import Candidates, join_poses, read_shard, shard_paths
from crowdbench.conditions.choice import cut_split, describe, rule_words
from crowdbench.conditions.condition import Condition, Cut, Row, Subject, Values
from crowdbench.conditions.robustness import robustness
from crowdbench.conditions.settings import ConditionSettings
from crowdbench.datasets.split import LEVEL_LIMITS, Split
from crowdbench.errors import InputError
from crowdbench.merging import Merging, merge
from crowdbench.metrics.average_precision import RECALL_LEVELS
from crowdbench.metrics.catalogue import LEVEL_METRICS, METRICS
from crowdbench.metrics.evaluation import Evaluation, SliceValues, Value, evaluate
from crowdbench.metrics.slices import Slice
from crowdbench.record import SCHEMA_VERSION, Run, RunFolder
from crowdbench.results import (
    ConditionFacts,
    ConditionRow,
    KeypointMetrics,
    Metric,
    Metrics,
    OksHistogram,
    PrecisionCurve,
    WorstImages,
)
from crowdbench.results_format import write_results
from crowdbench.running.predict import sweep_thresholds
from crowdbench.running.worst_images import worst_images
from crowdbench.structures import Array, Poses

_HISTOGRAM_EDGES = tuple(k / 20 for k in range(21))
# OKS thresholds of the precision curves that are kept, with their places among all.
_CURVES = ((0.5, 0), (0.75, 5))

Cuts = Sequence[tuple[Condition, Values, Cut | str]]


def read_candidates(folder: RunFolder, run: Run) -> Candidates:
    """Return the candidates of a finished prediction."""

    def read(place: Path) -> Poses:
        paths = shard_paths(place, run.split.images, run.predictor.images_per_shard)
        return join_poses([read_shard(path) for path in paths])

    poses = read(folder.candidates)
    sweep = {}
    if not run.predictor.boxes_independent:
        for t in sweep_thresholds(run.conditions):
            place = folder.candidates_from(t)
            # Where no box falls away, nothing was predicted anew.
            sweep[t] = read(place) if place.is_dir() else poses
    return Candidates(poses, sweep)


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
) -> tuple[Metrics, WorstImages]:
    """Return the metrics of a run, and write its final poses to ``predictions.json``.

    A split without public ground truth gives metrics that are all null, with that reason, and no
    conditions.

    Args:
        folder: of the run.
        run: what was asked.
        split: what the candidates are of.
        candidates: poses before merging.
        settings: the conditions to evaluate, resolved.
    """
    poses, merging = candidates.poses, run.predictor.merging
    final = _final(poses, merging, split)
    left = poses if final is None else poses.take(final)
    write_results(folder.predictions, left, split.images.ids, split.category_id)
    run = _with_conditions(run, settings)
    if split.truth is None:
        return _without_truth(run, split, len(left)), WorstImages(SCHEMA_VERSION, ())
    subject = Subject(
        split.truth,
        split.skeleton,
        poses,
        None if run.predictor.boxes_independent else candidates.sweep,
        settings.iou_among,
    )
    cuts = list(cut_split(settings, subject))
    rows = [row for _, _, cut in cuts if isinstance(cut, Cut) for row in cut.rows]
    sigmas, limits = split.skeleton.sigma_array, LEVEL_LIMITS if split.has_levels else None
    result = evaluate(
        split.truth,
        poses,
        sigmas,
        limits,
        final=final,
        slices=_slices([row for row in rows if row.candidates is None], poses, merging, sigmas),
    )
    slices = iter(result.slices)
    found = [
        next(slices)
        if row.candidates is None
        else evaluate(
            split.truth,
            row.candidates,
            sigmas,
            limits,
            final=_final(row.candidates, merging, split),
            slices=[Slice()],
        ).slices[0]
        for row in rows
    ]
    return _metrics(run, result, cuts, found), worst_images(split, poses, result)


def _final(poses: Poses, merging: Merging, split: Split) -> Array | None:
    """Return which candidates merging leaves, (D,) bool; None for all."""
    everything = np.ones((len(poses), 1), bool)
    final: Array = merge(poses, everything, merging, split.skeleton.sigma_array)[:, 0]
    return None if final.all() else final


def _with_conditions(run: Run, settings: ConditionSettings) -> Run:
    """Return what was asked, with the conditions of this scoring."""
    protocol = msgspec.structs.replace(run.protocol, conditions=describe(settings))
    return msgspec.structs.replace(
        run, protocol=protocol, signature=protocol.signature, conditions=settings
    )


def _slices(rows: Sequence[Row], candidates: Poses, merging: Merging, sigmas: Array) -> list[Slice]:
    """Return the parts of the split that the rows stand for; chosen candidates are merged anew."""
    choosing = [row.poses for row in rows if row.poses is not None]
    if choosing:
        merged = merge(candidates, np.stack(choosing, 1), merging, sigmas)
        left = iter(np.ascontiguousarray(merged.T))
    return [
        Slice(None if row.poses is None else next(left), row.persons, row.images) for row in rows
    ]


def _without_truth(run: Run, split: Split, n_poses: int) -> Metrics:
    reason = "the ground truth of this split is not public: send predictions.json to its server"
    values = {
        name: Value(None, 0, reason)
        for name in METRICS
        if split.has_levels or name not in LEVEL_METRICS
    }
    return _record(run, values, {"images": len(split.images), "poses": n_poses})


def _record(run: Run, values: dict[str, Value], counts: dict[str, int]) -> Metrics:
    """Return the numbers on the whole split, without anything that needs the ground truth."""
    return Metrics(
        schema_version=SCHEMA_VERSION,
        split=run.split.name,
        predictor=run.predictor.name,
        signature=run.signature,
        protocol=run.protocol,
        metrics=_numbers(values),
        conditions={},
        condition_facts={},
        robustness={},
        curves=(),
        oks_histogram=None,
        keypoints=(),
        counts=counts,
        notes=run.notes,
    )


def _metrics(run: Run, result: Evaluation, cuts: Cuts, by_row: Sequence[SliceValues]) -> Metrics:
    conditions, facts, figures = {}, {}, {}
    slices = iter(by_row)
    for condition, values, cut in cuts:
        name = condition.name
        facts[name] = _facts(condition, values, cut)
        if isinstance(cut, str):
            continue
        found = [next(slices) for _ in cut.rows]
        conditions[name] = tuple(map(_row, cut.rows, found))
        ap = [part.values["AP"].value for part in found]
        figures[name] = {
            key: Metric(figure.value, figure.n, figure.higher_is_better, figure.reason)
            for key, figure in robustness(
                condition, cut.rows, ap, [part.n_persons for part in found]
            ).items()
        }
    return msgspec.structs.replace(
        _record(run, result.values, result.counts),
        conditions=conditions,
        condition_facts=facts,
        robustness=figures,
        curves=_curves(result),
        oks_histogram=_histogram(result),
        keypoints=_keypoints(run, result),
        notes=(*run.notes, *_condition_notes(facts.values())),
    )


def _numbers(values: dict[str, Value]) -> dict[str, Metric]:
    """Return the metrics in the catalogue's order."""
    return {
        name: Metric(value.value, value.n, METRICS[name].higher_is_better, value.reason)
        for name in METRICS
        if (value := values.get(name)) is not None
    }


def _row(row: Row, found: SliceValues) -> ConditionRow:
    low, high = row.bounds or (msgspec.UNSET, msgspec.UNSET)
    return ConditionRow(
        label=row.label,
        n_images=found.n_images,
        n_persons=found.n_persons,
        n_poses=found.n_poses,
        metrics=_numbers(found.values),
        threshold=msgspec.UNSET if row.threshold is None else row.threshold,
        low=low,
        high=high,
        n_boxes=msgspec.UNSET if row.n_boxes is None else row.n_boxes,
    )


def _facts(condition: Condition, values: Values, cut: Cut | str) -> ConditionFacts:
    rule, reason = "", None
    notes: tuple[str, ...] = ()
    if isinstance(cut, Cut):
        rule, notes = rule_words(cut, values), cut.notes
    else:
        reason = cut
    return ConditionFacts(
        title=condition.title,
        axis=condition.axis,
        rule=rule,
        kind=condition.kind,
        selects=condition.selects,
        harder=condition.harder,
        notes=notes,
        reason=reason,
    )


def _condition_notes(facts: Iterable[ConditionFacts]) -> list[str]:
    return [note for fact in facts for note in fact.notes]


def _curves(result: Evaluation) -> tuple[PrecisionCurve, ...]:
    """Return precision over recall at two OKS thresholds, in the range of all areas."""
    assert len(RECALL_LEVELS) == result.curves.precision.shape[2]
    return tuple(
        PrecisionCurve(oks, tuple(line.tolist()) if not np.isnan(line).any() else ())
        for oks, t in _CURVES
        for line in (result.curves.precision[0, t],)
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
