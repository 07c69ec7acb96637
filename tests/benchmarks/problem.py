"""A generated evaluation problem of the size of COCO val2017 with a person detector's poses.

    python tests/benchmarks/problem.py FOLDER

5,000 images, 11,004 persons of which 6,352 have labelled keypoints, and about 90,000 poses, as a
top-down method on COCO's person detections makes them. Coordinates are random: only the counts, the
spread of persons over images and the share of good, duplicate and background poses resemble COCO.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

N_IMAGES, N_PERSONS, N_LABELLED, N_POSES = 5_000, 11_004, 6_352, 90_000
SIGMAS = np.array(
    [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89], float
) / 1000  # fmt: skip


def write_large_problem(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Write ``annotations.json`` and ``predictions.json`` into `folder` and return both paths.

    Both are in COCO's formats; the same seed writes the same bytes.
    """
    rng = np.random.default_rng(seed)
    image_ids = np.sort(rng.choice(600_000, N_IMAGES, replace=False)) + 1
    # Half of the images have nobody; the others have a long-tailed number of persons, at most 14.
    weight = rng.gamma(0.7, 1.0, N_IMAGES // 2)
    image_of = rng.choice(N_IMAGES // 2, N_PERSONS, p=weight / weight.sum()) * 2
    image_of.sort()

    side = np.exp(rng.normal(4.3, 0.8, N_PERSONS)).clip(8, 400)
    aspect = rng.uniform(0.35, 0.9, N_PERSONS)
    boxes = np.stack(
        [rng.uniform(0, 400, N_PERSONS), rng.uniform(0, 300, N_PERSONS), side * aspect, side], 1
    ).round(2)
    areas = (boxes[:, 2] * boxes[:, 3] * rng.uniform(0.4, 0.7, N_PERSONS)).round(3)
    labelled = np.zeros(N_PERSONS, bool)
    labelled[rng.choice(N_PERSONS, N_LABELLED, replace=False)] = True
    is_crowd = ~labelled & (rng.random(N_PERSONS) < 0.06)

    points = boxes[:, None, :2] + rng.random((N_PERSONS, 17, 2)) * boxes[:, None, 2:]
    points = points.round()
    visibility = rng.choice(3, (N_PERSONS, 17), p=[0.3, 0.15, 0.55])
    visibility[labelled, 0] = 2  # a labelled person has at least one labelled keypoint
    visibility[~labelled] = 0
    points[visibility == 0] = 0
    keypoints = np.concatenate([points, visibility[..., None]], 2).astype(int)

    annotations = {
        "images": [
            {"id": int(i), "width": 640, "height": 480, "file_name": f"{i:012d}.jpg"}
            for i in image_ids
        ],
        "annotations": [
            {
                "id": n + 1,
                "image_id": int(image_ids[image_of[n]]),
                "category_id": 1,
                "iscrowd": int(is_crowd[n]),
                "bbox": boxes[n].tolist(),
                "area": float(areas[n]),
                "num_keypoints": int((visibility[n] > 0).sum()),
                "keypoints": keypoints[n].ravel().tolist(),
            }
            for n in range(N_PERSONS)
        ],
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }

    # Poses: one good one for most persons, some duplicates of it, the rest anywhere.
    sources = np.concatenate(
        [
            rng.permutation(N_PERSONS)[: int(0.9 * N_PERSONS)],
            rng.integers(0, N_PERSONS, int(0.6 * N_PERSONS)),
        ]
    )
    n_free = N_POSES - len(sources)
    noise = np.exp(rng.normal(-0.2, 0.7, len(sources)))[:, None, None] * SIGMAS[None, :, None]
    scale = np.sqrt(areas[sources])[:, None, None]
    near = points[sources] + rng.normal(size=(len(sources), 17, 2)) * noise * scale
    empty = visibility[sources] == 0
    spread = boxes[sources, None, :2] + rng.random((len(sources), 17, 2)) * boxes[sources, None, 2:]
    near[empty] = spread[empty]
    free_boxes = np.stack(
        [
            rng.uniform(0, 400, n_free),
            rng.uniform(0, 300, n_free),
            *rng.uniform(10, 300, (2, n_free)),
        ],
        1,
    )
    free = free_boxes[:, None, :2] + rng.random((n_free, 17, 2)) * free_boxes[:, None, 2:]
    pose_points = np.concatenate([near, free])
    pose_boxes = np.concatenate([boxes[sources], free_boxes]).round(2)
    pose_image = np.concatenate([image_of[sources], rng.integers(0, N_IMAGES, n_free)])
    confidence = np.concatenate(
        [rng.beta(5, 2, (len(sources), 17)), rng.beta(2, 4, (n_free, 17))]
    ).round(4)
    box_scores = np.concatenate([rng.beta(4, 1.2, len(sources)), rng.beta(1, 6, n_free)]).round(5)
    scores = (box_scores * confidence.mean(1)).round(6)
    flat = np.concatenate([pose_points.round(3), confidence[..., None]], 2).reshape(N_POSES, 51)
    predictions = [
        {
            "image_id": int(image_ids[pose_image[n]]),
            "category_id": 1,
            "keypoints": flat[n].tolist(),
            "score": float(scores[n]),
            "bbox": pose_boxes[n].tolist(),
            "bbox_score": float(box_scores[n]),
        }
        for n in rng.permutation(N_POSES)
    ]

    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "annotations.json", folder / "predictions.json"
    for path, content in zip(paths, (annotations, predictions), strict=True):
        path.write_text(json.dumps(content))
    return paths


if __name__ == "__main__":
    write_large_problem(Path(sys.argv[1]))
