"""The passes of a prediction: all boxes, and for a sweep those that reach each threshold.

Where poses depend on the other boxes of the image, a sweep over detector confidence has to predict
again, but only the images that lost a box since the next looser threshold: the poses of the others
are the same as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crowdbench.candidates import Shard
from crowdbench.record import RunFolder
from crowdbench.structures import Array, Boxes


@dataclass(frozen=True)
class Reuse:
    """What a pass takes over from the next looser one.

    Attributes:
        place: of the looser pass.
        images: (I,) bool: images that have all the boxes that they had there, and at least one.
        box_rows: (B,) int64: the row that each box of the looser pass has in this one; meaningless
            for boxes that fell away.
    """

    place: Path
    images: Array
    box_rows: Array

    def of(self, shard: Shard, image_ids: Array) -> Shard:
        """Return what a shard of the looser pass says of the images that are taken over.

        Args:
            shard: the looser pass's.
            image_ids: (I,) ids of the split's images, ascending.
        """
        poses = shard.poses.take(self.images[shard.poses.image_index])
        skipped = tuple(
            image
            for image in shard.skipped
            if self.images[np.searchsorted(image_ids, image.image_id)]
        )
        return Shard(replace(poses, box_index=self.box_rows[poses.box_index]), skipped)


@dataclass(frozen=True)
class Pass:
    """The prediction of a whole split from some boxes.

    Attributes:
        place: folder of its shards.
        images: (n,) rows of the split's images that it predicts, ascending.
        boxes: the boxes of these images; None without boxes.
        box_rows: (b,) int64: the row of each of `boxes` among all boxes that the pass starts from;
            None without boxes.
        reuse: where the poses of other images come from; None where all images are predicted.
    """

    place: Path
    images: Array
    boxes: Boxes | None
    box_rows: Array | None
    reuse: Reuse | None = None

    def count(self, start: int, stop: int) -> int:
        """Return how many of the images `start` to `stop` - 1 it predicts."""
        first, last = np.searchsorted(self.images, (start, stop)).tolist()
        return int(last - first)


class Plan(NamedTuple):
    """The passes of a prediction.

    Attributes:
        passes: all different ones, the one from all boxes first; each may reuse the one before it.
        sweep: by threshold, the place of its pass.
    """

    passes: tuple[Pass, ...]
    sweep: dict[float, Path]


def plan_passes(
    folder: RunFolder, n_images: int, boxes: Boxes | None, thresholds: Sequence[float]
) -> Plan:
    """Return the passes that a prediction consists of.

    Args:
        folder: where they go.
        n_images: of the split.
        boxes: of the split, or None for a predictor without boxes.
        thresholds: at which the boxes that reach them are to be predicted by themselves; none for a
            predictor whose poses depend on their own boxes alone.
    """
    rows = None if boxes is None else np.arange(len(boxes.scores))
    passes = [Pass(folder.candidates, np.arange(n_images), boxes, rows)]
    sweep: dict[float, Path] = {}
    looser = boxes
    for t in sorted(set(thresholds)):
        assert boxes is not None
        assert looser is not None
        kept = boxes.take(boxes.scores >= t)
        # Where no box falls away from all of them, it is the first pass itself.
        if len(kept.scores) < len(boxes.scores):
            passes.append(
                _stricter(folder.candidates_from(t), passes[-1].place, n_images, t, looser)
            )
            looser = kept
        sweep[t] = passes[-1].place
    return Plan(tuple(passes), sweep)


def _stricter(place: Path, place_before: Path, n_images: int, t: float, looser: Boxes) -> Pass:
    """Return the pass from those of a looser pass's boxes that reach a threshold."""
    stays = looser.scores >= t
    kept = looser.take(stays)
    n_before, n_now = (np.bincount(b.image_index, minlength=n_images) for b in (looser, kept))
    changed = (n_now > 0) & (n_now < n_before)
    rows = np.flatnonzero(changed[kept.image_index])
    return Pass(
        place,
        np.flatnonzero(changed),
        kept.take(rows),
        rows,
        Reuse(place_before, (n_now > 0) & ~changed, np.cumsum(stays) - 1),
    )


def cost_words(plan: Plan, predictor: str) -> str | None:
    """Say what a sweep costs, or None where it predicts nothing again.

    Args:
        plan: the passes.
        predictor: its name.
    """
    whole, *again = plan.passes
    n_boxes = [0 if one.boxes is None else len(one.boxes.scores) for one in again]
    if whole.boxes is None or not any(n_boxes):
        return None
    n_images, n_whole = sum(len(one.images) for one in again), len(whole.boxes.scores)
    with_boxes = len(np.unique(whole.boxes.image_index))
    n_thresholds = sum(map(bool, n_boxes))
    return (
        f"{predictor}'s poses depend on the other boxes of the image, so detector-confidence "
        f"predicts again at {n_thresholds} of {len(plan.sweep)} thresholds: {sum(n_boxes):,} boxes "
        f"in {n_images:,} images besides the {n_whole:,} boxes in {with_boxes:,} images of the "
        f"whole split (+{100 * sum(n_boxes) / n_whole:.0f} %); all other poses are reused "
        "(--conditions none: no sweep)"
    )
