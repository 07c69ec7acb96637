"""How good the simulated detector is, in the numbers that real ones are described by."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

VISIBLE_EDGES = (0.0, 0.1, 0.3, 0.5, 0.8, 1.0)
SCORE_EDGES = tuple(k / 10 for k in range(11))


class Recall(NamedTuple):
    """How many of the persons of whom so much can be seen have a box at IoU 0.5.

    Attributes:
        low: from this visible fraction on.
        high: below this one (the last bin: up to it).
        n: how many persons.
        found: share of them, or None without any.
    """

    low: float
    high: float
    n: int
    found: float | None


class DetectorQuality(NamedTuple):
    """A box file against the truth.

    Attributes:
        ap: COCO's box AP, 0 to 1, of all persons.
        ap50: the same at IoU 0.5 only.
        boxes_per_person: how many boxes there are for each person.
        recalls: by visible fraction, at IoU 0.5, whatever the score.
        scores: share of the boxes in each tenth of the score.
    """

    ap: float
    ap50: float
    boxes_per_person: float
    recalls: tuple[Recall, ...]
    scores: tuple[float, ...]


def measure(annotations: Path, boxes: Path) -> DetectorQuality:
    """Return how good a box file is on a split of SynthCrowd.

    Source: pycocotools, which also decides who has a box: each box goes to one person only.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    found = json.loads(boxes.read_bytes())
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluator = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    persons = truth.loadAnns(truth.getAnnIds())
    matched = _matched(evaluator)
    has_box = np.array([person["id"] in matched for person in persons])
    visible = np.array([person["visible_fraction"] for person in persons])
    place = np.clip(np.digitize(visible, VISIBLE_EDGES) - 1, 0, len(VISIBLE_EDGES) - 2)
    recalls = []
    for row, (low, high) in enumerate(itertools.pairwise(VISIBLE_EDGES)):
        here = has_box[place == row]
        recalls.append(Recall(low, high, len(here), float(here.mean()) if len(here) else None))
    counts, _ = np.histogram([box["score"] for box in found], SCORE_EDGES)
    return DetectorQuality(
        ap=float(evaluator.stats[0]),
        ap50=float(evaluator.stats[1]),
        boxes_per_person=len(found) / len(persons),
        recalls=tuple(recalls),
        scores=tuple((counts / len(found)).tolist()),
    )


def _matched(evaluator: Any) -> set[int]:
    """Return the ids of the persons that have a box at IoU 0.5."""
    # Only persons of any size; COCO's small, medium and large come after them.
    whole = [e for e in evaluator.evalImgs if e and e["aRng"] == evaluator.params.areaRng[0]]
    return {
        person
        for image in whole
        for person, box in zip(image["gtIds"], image["gtMatches"][0], strict=True)
        if box
    }
