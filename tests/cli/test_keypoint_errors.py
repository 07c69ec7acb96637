"""Keypoint errors as a user meets them: in metrics.json, in the report and in a comparison."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from crowdbench.metrics.keypoint_errors import LABELS
from crowdbench.skeletons import COCO_17
from tests.command import Crowdbench, replay

Example = tuple[dict[str, Any], list[dict[str, Any]]]
# Keypoints of the left arm, and their partners.
LEFT, RIGHT = (5, 7, 9), (6, 8, 10)


def two_persons() -> Example:
    """Return two persons far apart in one image, alone in another, and poses that are perfect."""
    points = [(20.0 * (i % 5), 30.0 * (i // 5)) for i in range(17)]

    def person(id_: int, image_id: int, left: float) -> dict[str, Any]:
        flat = [value for x, y in points for value in (x + left, y, 2)]
        return {
            "id": id_,
            "image_id": image_id,
            "category_id": 1,
            "iscrowd": 0,
            "area": 2500.0,
            "bbox": [left, 0.0, 100.0, 120.0],
            "keypoints": flat,
            "num_keypoints": 17,
        }

    persons = [person(1, 1, 0.0), person(2, 1, 300.0), person(3, 2, 0.0)]
    images = [
        {"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480, "crowdIndex": 0.0}
        for i in (1, 2)
    ]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO_17.keypoints)}]
    poses = [
        {
            "image_id": p["image_id"],
            "category_id": 1,
            "score": 1 - p["id"] / 10,
            "keypoints": list(p["keypoints"]),
        }
        for p in persons
    ]
    return {"images": images, "annotations": persons, "categories": categories}, poses


def take(pose: dict[str, Any], keypoint: int, source: dict[str, Any], of: int) -> None:
    """Put a keypoint of the pose where keypoint `of` of the person is."""
    at = slice(3 * keypoint, 3 * keypoint + 2)
    pose["keypoints"][at] = source["keypoints"][3 * of : 3 * of + 2]


def write(folder: Path, content: Example) -> tuple[Path, Path]:
    paths = folder / "annotations.json", folder / "predictions.json"
    for path, part in zip(paths, content, strict=True):
        path.write_text(json.dumps(part))
    return paths


def errors_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text())["keypoint_errors"]
    return found


def totals(errors: dict[str, Any]) -> dict[str, int]:
    return {label: sum(row[label] for row in errors["keypoints"]) for label in LABELS}


def test_the_counts_are_in_the_record_and_the_report(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    truth, poses = two_persons()
    first, second, third = truth["annotations"]
    for left in LEFT:
        take(poses[0], left, second, left)
    for left, right in zip(LEFT, RIGHT, strict=True):
        take(poses[2], left, third, right)
        take(poses[2], right, third, left)
    poses[1]["keypoints"][0:2] = [5000.0, 5000.0]
    poses[1]["keypoints"][45:47] = [first["keypoints"][48], first["keypoints"][49]]
    options = ("--conditions", "person-iou", "--bootstrap", "off", "--output", "r")
    done = crowdbench(*replay(*write(tmp_path, (truth, poses)), *options, report=True))
    assert done.returncode == 0, done.stderr
    errors = errors_of(tmp_path / "r")
    assert (errors["rule"], errors["oks"], errors["n_persons"]) == ("closest", 0.1, 3)
    assert errors["reason"] is None
    assert [row["name"] for row in errors["keypoints"]] == list(COCO_17.keypoints)
    # The second person's left ankle lies on the first one's right ankle.
    assert totals(errors) == {"good": 40, "jitter": 0, "inversion": 6, "swap": 4, "miss": 1}
    assert errors["keypoints"][5] == {
        "name": "left_shoulder", "good": 1, "jitter": 0, "inversion": 1, "swap": 1, "miss": 0
    }  # fmt: skip
    assert sum(row["swap"] for row in errors["by_overlap"]) == 4
    report = tmp_path / "r/report"
    sentence = "4 of 51 keypoints (7.8 %) were given to the wrong person."
    assert sentence in (report / "index.html").read_text()
    assert sentence in (report / "report.md").read_text()
    last = (report / "tables/keypoint-errors.csv").read_text().splitlines()[-1]
    assert last.startswith("all keypoints,51,40,0,6,4,1,")


def test_a_comparison_has_them_of_both_runs_and_no_pose_is_no_error(
    crowdbench: Crowdbench, tmp_path: Path
) -> None:
    truth, poses = two_persons()
    swapped = copy.deepcopy(poses)
    for left in LEFT:
        take(swapped[0], left, truth["annotations"][1], left)
    for name, content in (("a", poses), ("b", swapped), ("c", [])):
        files = write(tmp_path, (truth, content))
        options = ("--conditions", "none", "--bootstrap", "off", "--output", name)
        done = crowdbench(*replay(*files, *options))
        assert done.returncode == 0, done.stderr
    nothing = errors_of(tmp_path / "c")
    assert nothing["reason"] == "no evaluated person was matched at OKS 0.10"
    assert totals(nothing) == dict.fromkeys(LABELS, 0)
    done = crowdbench("compare", "a", "b", "c", "--json", "--output", "out")
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [totals(run["keypoint_errors"])["swap"] for run in runs] == [0, 3, 0]
    table = (tmp_path / "out/tables/keypoint-errors.md").read_text()
    assert "5.88" in table
    # Without the condition there is nothing by overlap.
    assert [run["keypoint_errors"]["by_overlap"] for run in runs] == [[]] * 3
