"""A small set of real image files with annotations, and predictors that look at them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from crowdbench.candidates import join_poses
from crowdbench.card import Card
from crowdbench.predictor import Batch, Predictor, Request, Settings, poses_of
from crowdbench.structures import Array, Boxes, Poses

K = 17


def write_images(folder: Path, n_images: int = 6, boxes: int = 3) -> Path:
    """Write images and their annotations; return the annotation file.

    Image i has i % (boxes + 1) persons; every image is of one grey, 10 i modulo 250.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images, persons = [], []
    for i in range(n_images):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((40 + i, 50, 3), 10 * i % 250, np.uint8))
        images.append({"id": i + 100, "file_name": f"{i}.png", "width": 50, "height": 40 + i})
        for j in range(i % (boxes + 1)):
            points = [[5 + 2 * j + k, 6 + k, 2] for k in range(K)]
            persons.append(
                {
                    "id": len(persons) + 1, "image_id": i + 100, "category_id": 1, "iscrowd": 0,
                    "bbox": [5 * j, 4, 20, 30], "area": 600, "num_keypoints": K,
                    "keypoints": [value for point in points for value in point],
                }
            )  # fmt: skip
    content: dict[str, Any] = {
        "images": images, "annotations": persons, "categories": [{"id": 1, "name": "person"}],
    }  # fmt: skip
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return path


class Grey(Predictor):
    """Finds two persons in each box, whose scores and places depend on the pixels."""

    card: ClassVar[Card] = Card("grey", "the mean grey of boxes", images_per_shard=2)

    def __init__(self, request: Request) -> None:
        assert request.boxes is not None
        self.settings = Settings(request.boxes.source, "grey", precision=request.precision)

    def prepare(self, image: Array, boxes: Boxes | None) -> Any:
        assert boxes is not None
        assert image.dtype == np.uint8
        # Nested, to see that any structure comes through.
        return {"means": (np.full(len(boxes.scores), image.mean()), [image.shape[0]])}

    def predict(self, batch: Batch) -> Poses:
        assert batch.boxes is not None
        means = np.concatenate([found["means"][0] for found in batch.inputs])
        heights = [found["means"][1][0] for found in batch.inputs]
        assert len(heights) == len(batch.images)
        assert len(means) == len(batch.boxes.scores)
        points = np.repeat(batch.boxes.boxes[:, None, :2] + means[:, None, None], K, 1)
        parts = [
            poses_of(batch.boxes, points + i, np.ones(points.shape[:2]), means + i, instance=i)
            for i in (0, 1)
        ]
        return join_poses(parts)


class Whole(Predictor):
    """Finds one person in each image, without boxes."""

    card: ClassVar[Card] = Card("whole", "one person an image", needs_boxes=False)

    def __init__(self, request: Request) -> None:
        self.settings = Settings("none", "1")

    def predict(self, batch: Batch) -> Poses:
        n = len(batch.images)
        means = np.array([image.mean() for image in batch.inputs]).reshape(n, 1, 1)
        return Poses(
            image_index=batch.images,
            keypoints=np.zeros((n, K, 2)) + means,
            keypoint_scores=np.ones((n, K)),
            scores=np.ones(n),
            box_index=np.full(n, -1),
            instance=np.zeros(n, np.int64),
        )
