"""Detector confidence: how a method holds up as its person detector grows stricter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crowdbench.conditions.condition import Condition, Cut, Row, Subject, UnavailableError, Values
from crowdbench.structures import Array, Poses

# The doubles nearest to 0, 0.1 ... 0.9.
USUAL = tuple(k / 10 for k in range(10))
# Also where poses depend on the other boxes: what takes part are the candidates that the network
# gives for those boxes alone. So curves of both kinds of predictors stand side by side.
_RULE = "candidates whose box score is at least t take part, merged anew for every t"
_OWN_RULE = "final poses whose own score is at least t take part"
_OWN_AXIS = "least score of a pose"
_OWN_NOTE = (
    "the poses come without box scores, so in detector-confidence their own scores stand in for a "
    "detector's confidence"
)


def _cut(subject: Subject, thresholds: Values) -> Cut:
    """Keep the candidates whose box score is at least t, for every t.

    Source: MIPNet, Figure 5, where boxes below t are not given to the network; which is the same
    when every candidate depends on its own box alone.
    """
    poses = subject.candidates
    at = [t for t in thresholds if t is not None]
    scores, notes = poses.box_scores, []
    if scores is not None and len(scores) and (scores == scores[0]).all():
        notes.append(f"all boxes have the score {scores[0]:g}, so detector-confidence says nothing")
    if subject.sweep is not None:
        return Cut(_swept(subject.sweep, at), _RULE, tuple(notes))
    if scores is None and subject.has_boxes and not len(poses):
        scores = poses.scores
    if scores is None:
        return _cut_own_scores(poses, at)
    is_first, rows = _first_of_box(poses), []
    for t in at:
        kept = scores >= t
        n_boxes = int((kept & is_first).sum())
        rows.append(Row(_label(t), threshold=t, poses=kept, n_boxes=n_boxes))
    return Cut(tuple(rows), _RULE, tuple(notes))


def _label(threshold: float) -> str:
    return f">= {threshold:g}"


def _swept(sweep: Mapping[float, Poses], at: Sequence[float]) -> tuple[Row, ...]:
    """Return the rows of a predictor that has predicted anew for every threshold."""
    missing = [f"{t:g}" for t in at if t not in sweep]
    if missing:
        raise UnavailableError(
            "the poses of this predictor depend on all boxes of an image, and it has not predicted "
            f"from boxes of at least {', '.join(missing)} alone: run it again with --thresholds"
        )
    rows = []
    for t in at:
        n_boxes = int(_first_of_box(sweep[t]).sum())
        rows.append(Row(_label(t), threshold=t, n_boxes=n_boxes, candidates=sweep[t]))
    return tuple(rows)


def _cut_own_scores(poses: Poses, at: Sequence[float]) -> Cut:
    """Return the rows of poses without box scores, which are final ones."""
    scores = poses.scores
    if len(scores) and (scores == scores[0]).all():
        raise UnavailableError(
            f"the poses come without box scores and all have the score {scores[0]:g} themselves"
        )
    notes = [_OWN_NOTE]
    outside = int(((scores < 0) | (scores > 1)).sum())
    if outside:
        notes.append(
            f"{outside:,} pose scores are outside 0 to 1, so the thresholds of detector-confidence "
            "mean something else than for other methods"
        )
    rows = [Row(_label(t), threshold=t, poses=scores >= t) for t in at]
    return Cut(tuple(rows), _OWN_RULE, tuple(notes), axis=_OWN_AXIS)


def _first_of_box(poses: Poses) -> Array:
    """Return which candidate is the first one of its box, (D,) bool.

    Candidates know their box by its row, or else (poses from a file) by its place and score.
    """
    if len(poses) and (poses.box_index >= 0).all():
        keys = [poses.image_index, poses.box_index]
    elif poses.boxes is not None and poses.box_scores is not None:
        keys = [poses.image_index, poses.box_scores, *poses.boxes.T]
    else:
        return np.ones(len(poses), bool)
    # Equal boxes have equal mixes, so a candidate whose mix is unique needs no closer look.
    mix = np.zeros(len(poses), np.uint64)
    for key in keys:
        bits = (key + 0.0).astype(np.float64).view(np.uint64)
        mix = (mix ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        mix ^= mix >> np.uint64(29)
    order = np.argsort(mix, kind="stable")
    same = np.zeros(len(poses), bool)
    same[1:] = mix[order][1:] == mix[order][:-1]
    for key in keys:
        same[1:] &= key[order][1:] == key[order][:-1]
    first = np.empty(len(poses), bool)
    first[order] = ~same
    return first


DETECTOR_CONFIDENCE = Condition(
    name="detector-confidence",
    title="Detector confidence",
    axis="least score of a box",
    kind="threshold",
    selects="poses",
    harder="up",
    usual=lambda _: USUAL,
    spaces=("2d", "3d"),
    cut=_cut,
)
