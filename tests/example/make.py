"""Makes the example in this folder: eight small crowds and the poses of an imperfect method.

    python tests/example/make.py

The figures are drawn from one stick figure: nothing in them comes from any data set.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

# A standing person in a box of 1 x 1, COCO's 17 keypoints.
FIGURE = np.array(
    [
        (0.50, 0.09), (0.54, 0.07), (0.46, 0.07), (0.59, 0.09), (0.41, 0.09), (0.68, 0.22),
        (0.32, 0.22), (0.78, 0.37), (0.22, 0.37), (0.82, 0.52), (0.18, 0.52), (0.61, 0.53),
        (0.39, 0.53), (0.63, 0.75), (0.37, 0.75), (0.64, 0.96), (0.36, 0.96),
    ]
)  # fmt: skip
WIDTH, HEIGHT = 640, 480


def main() -> None:
    """Write ``annotations.json`` and ``predictions.json``."""
    rng = np.random.default_rng(20)
    images, annotations, predictions = [], [], []
    for image_id in range(1, 9):
        images.append(
            {"id": image_id, "width": WIDTH, "height": HEIGHT, "file_name": f"{image_id:03d}.png"}
        )
        n_persons = int(rng.integers(2, 8))
        # The later the image, the closer people stand.
        spread = 260 / image_id
        for _ in range(n_persons):
            height = float(rng.uniform(90, 260))
            width = height * float(rng.uniform(0.35, 0.5))
            x = WIDTH / 2 + float(rng.normal(0, spread)) - width / 2
            y = HEIGHT - 30 - height + float(rng.normal(0, 12))
            points = FIGURE * (width, height) + (x, y) + rng.normal(0, height * 0.01, (17, 2))
            visibility = rng.choice([0, 1, 2], 17, p=[0.08, 0.22, 0.70])
            visibility[5] = 2
            labelled = np.where(visibility[:, None] > 0, points.round(), 0)
            box = [round(x, 1), round(y, 1), round(width, 1), round(height, 1)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": box,
                    "area": round(width * height * 0.5, 1),
                    "num_keypoints": int((visibility > 0).sum()),
                    "keypoints": np.c_[labelled, visibility].astype(int).ravel().tolist(),
                }
            )
            if rng.random() < 0.12:  # overlooked
                continue
            noise = height * 0.012 * float(np.exp(rng.normal(0, 0.6)))
            guess = points + rng.normal(0, noise, (17, 2))
            if rng.random() < 0.08:  # left and right confused
                guess = guess[[0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]]
            predictions.append(_prediction(rng, image_id, guess, box, float(rng.beta(6, 2))))
        if image_id % 3 == 0:  # nobody there
            guess = FIGURE * (80, 190) + rng.uniform(0, 250, 2)
            box = [*guess.min(0).round(1).tolist(), 80, 190]
            predictions.append(_prediction(rng, image_id, guess, box, float(rng.beta(2, 5))))

    category = {"id": 1, "name": "person", "supercategory": "person"}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    for name, value in (("annotations", content), ("predictions", predictions)):
        path = Path(__file__).with_name(f"{name}.json")
        path.write_text(json.dumps(value) + "\n")


def _prediction(
    rng: np.random.Generator, image_id: int, points: np.ndarray, box: list[float], score: float
) -> dict[str, object]:
    confidence = rng.beta(5, 2, 17)
    keypoints = np.c_[points, confidence].round(2).ravel().tolist()
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": keypoints,
        "score": round(score * float(confidence.mean()), 4),
        "bbox": box,
        "bbox_score": round(score, 4),
    }


if __name__ == "__main__":
    main()
