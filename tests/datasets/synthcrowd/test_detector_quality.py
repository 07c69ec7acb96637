"""The simulated detector in the numbers that real ones are described by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crowdbench.datasets.synthcrowd.detector_quality import VISIBLE_EDGES, measure
from crowdbench.datasets.synthcrowd.making import make_split
from crowdbench.running.progress import Progress
from tests.datasets.synthcrowd.small import cut


def test_it_is_as_good_as_a_real_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts = cut(monkeypatch, 50)
    places = make_split(facts, facts.splits[1], tmp_path, Progress(quiet=True)).places
    assert places.boxes is not None
    quality = measure(places.annotations, places.boxes)
    assert 0.42 < quality.ap < 0.65
    assert 0.75 < quality.ap50 < 0.95
    assert 2 < quality.boxes_per_person < 5
    lowest, highest = quality.scores[0], quality.scores[-1]
    assert lowest > 0.25
    assert highest > 0.12
    # Hardly any score is in between, as of real detectors.
    assert max(quality.scores[5:9]) < 0.06
    assert abs(sum(quality.scores) - 1) < 1e-9
    in_full_view = quality.recalls[-1]
    assert in_full_view.n > 50
    assert in_full_view.found is not None
    assert in_full_view.found > 0.95
    assert [recall.low for recall in quality.recalls] == list(VISIBLE_EDGES[:-1])


def test_the_numbers_of_a_file_by_hand(tmp_path: Path) -> None:
    persons = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": [50 * i, 0, 40, 100], "area": 4000,
         "iscrowd": 0, "visible_fraction": visible}
        for i, visible in ((1, 1.0), (2, 1.0), (3, 0.2), (4, 0.2))
    ]  # fmt: skip
    boxes = [
        {"image_id": 1, "category_id": 1, "bbox": bbox, "score": score}
        for bbox, score in (
            ([50, 0, 40, 100], 0.95), ([100, 0, 40, 100], 1.0), ([150, 0, 40, 100], 0.15),
            # A second box of the same person finds nobody.
            ([51, 0, 40, 100], 0.12), ([250, 0, 40, 100], 0.05), ([210, 0, 10, 10], 0.05),
        )
    ]  # fmt: skip
    truth, found = tmp_path / "truth.json", tmp_path / "boxes.json"
    content = {"images": [{"id": 1}], "annotations": persons, "categories": [{"id": 1}]}
    truth.write_text(json.dumps(content))
    found.write_text(json.dumps(boxes))
    quality = measure(truth, found)
    # Three of four are found before anything false: 76 of the 101 points of the curve.
    assert quality.ap == pytest.approx(76 / 101)
    assert quality.boxes_per_person == 1.5
    assert [(recall.n, recall.found) for recall in quality.recalls] == [
        (0, None), (2, 0.5), (0, None), (0, None), (2, 1.0),
    ]  # fmt: skip
    assert quality.scores == pytest.approx((2 / 6, 2 / 6, 0, 0, 0, 0, 0, 0, 0, 2 / 6))
