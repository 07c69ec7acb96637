"""The simulated detector errs as real ones do."""

from __future__ import annotations

import numpy as np
import pytest

from crowdbench.conditions.box_iou import highest_iou
from crowdbench.datasets.synthcrowd.detector import NMS_IOU, Detections, Targets, detect
from crowdbench.structures import Array

SIZE = (320, 240)
WHOLE = np.array([[100, 20, 60, 180]], float)


def one(visible: float, box: Array = WHOLE) -> Targets:
    """Return a person whose lower part is covered."""
    seen = box * (1, 1, 1, visible)
    return Targets(box, seen, np.full(len(box), visible))


def crowd(n_persons: int, seed: int) -> Targets:
    random = np.random.default_rng(seed)
    visible = random.uniform(0, 1, n_persons)
    height = random.uniform(60, 200, n_persons)
    boxes = np.stack(
        (random.uniform(0, 250, n_persons), random.uniform(0, 40, n_persons), height / 3, height), 1
    )
    seen = boxes.copy()
    seen[:, 3] *= visible
    return Targets(boxes, seen, visible)


def ious(found: Detections, box: Array) -> Array:
    """Return the IoU of every found box with `box`."""
    low = np.maximum(found.boxes[:, :2], box[:2])
    high = np.minimum(found.boxes[:, :2] + found.boxes[:, 2:], box[:2] + box[2:])
    common = np.maximum(high - low, 0).prod(1)
    return common / (found.boxes[:, 2:].prod(1) + box[2:].prod() - common)


def test_the_seed_decides() -> None:
    first, again, other = (detect(crowd(5, 0), SIZE, (1, seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.boxes, again.boxes)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert first.boxes.tolist() != other.boxes.tolist()


@pytest.mark.parametrize("n_persons", [0, 1, 2, 10])
def test_boxes_are_inside_the_image_scored_and_apart(n_persons: int) -> None:
    for seed in range(40):
        found = detect(crowd(n_persons, seed), SIZE, (seed,))
        left, top, width, height = found.boxes.T
        assert (found.boxes >= 0).all()
        assert (width > 0).all()
        assert (height > 0).all()
        assert (left + width <= SIZE[0] + 1e-9).all()
        assert (top + height <= SIZE[1] + 1e-9).all()
        assert (found.scores >= 0.01).all()
        assert (found.scores <= 1).all()
        assert (np.diff(found.scores) <= 0).all()
        np.testing.assert_array_equal(found.boxes, np.round(found.boxes, 2))
        np.testing.assert_array_equal(found.scores, np.round(found.scores, 4))
        # The highest overlap of all is that of some two boxes that suppression has left.
        overlap = highest_iou(found.boxes, np.zeros(len(found.boxes), np.int64))
        assert (overlap <= NMS_IOU + 1e-9).all()


def test_the_more_is_covered_the_more_is_missed_and_the_lower_is_the_score() -> None:
    recalls, scores = [], []
    for visible in (1.0, 0.6, 0.3, 0.1):
        best = []
        for seed in range(300):
            found = detect(one(visible), SIZE, (seed,))
            good = ious(found, WHOLE[0]) >= 0.5
            best.append(found.scores[good].max() if good.any() else 0)
        recalls.append(np.count_nonzero(best) / 300)
        scores.append(np.mean(best))
    assert recalls == sorted(recalls, reverse=True)
    assert scores == sorted(scores, reverse=True)
    assert recalls[0] > 0.98
    assert recalls[-1] < 0.4
    assert scores[0] > 0.9
    assert scores[-1] < 0.1


def test_small_persons_are_scored_lower() -> None:
    means = []
    for height in (200.0, 50.0, 15.0):
        box = np.array([[100, 20, height / 3, height]])
        means.append(np.mean([detect(one(0.7, box), SIZE, (s,)).scores[0] for s in range(200)]))
    assert means == sorted(means, reverse=True)


def test_boxes_of_covered_persons_shrink_towards_what_is_seen() -> None:
    heights = [detect(one(0.5), SIZE, (seed,)).boxes[0, 3] for seed in range(200)]
    assert 90 < np.median(heights) < 175


def test_of_two_who_stand_in_front_of_each_other_one_is_swallowed() -> None:
    both = one(0.7, np.repeat(WHOLE, 2, 0))
    apart = one(0.7, np.array([[20, 20, 60, 180], [200, 20, 60, 180]], float))
    sure = [
        [np.count_nonzero(detect(who, SIZE, (seed,)).scores > 0.7) for seed in range(100)]
        for who in (both, apart)
    ]
    assert np.mean(sure[0]) < 0.75 * np.mean(sure[1])


def test_background_is_hardly_ever_taken_for_a_person() -> None:
    nobody = Targets(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0))
    scores = np.concatenate([detect(nobody, SIZE, (seed,)).scores for seed in range(200)])
    assert len(scores) > 200
    assert 0 < np.mean(scores > 0.5) < 0.15
