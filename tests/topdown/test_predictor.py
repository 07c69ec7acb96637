"""Whole predictions on real images: against the official steps one by one, and however batched."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
import torch

from crowdbench.errors import InputError
from crowdbench.record import Environment, Run, RunFolder
from crowdbench.results import Metrics
from crowdbench.running.steps import Job, predict_job, run_job, score_run
from crowdbench.skeletons import COCO_17, CROWDPOSE_14
from crowdbench.structures import Array, Poses
from predictors.hrnet import HRNet
from predictors.hrnet import Tiny as HRNetTiny
from predictors.mipnet import MIPNet
from predictors.mipnet import Tiny as MIPNetTiny
from predictors.networks import create
from predictors.networks.checkpoints import load_checkpoint
from predictors.networks.mipnet import selectors
from predictors.topdown.predictor import Method
from tests.command import Crowdbench, contents
from tests.networks.filled import write_checkpoint


def job(shared: Path, predictor: str, data: str, output: Path, weights: Path) -> Job:
    """Return a job on one of the small sets of real images."""
    folder = shared / "data" / data
    name, skeleton, boxes = {
        "ochuman": ("test_ochuman.json", "coco-17", None),
        "coco_tiny": ("test_coco.json", "coco-17", "test_coco_det_AP_H_56.json"),
        "crowdpose_tiny": ("test_crowdpose.json", "crowdpose-14", "test_crowdpose_det_AP_40.json"),
    }[data]
    return Job(
        predictor, annotations=folder / name, skeleton=skeleton, images=folder,
        boxes=None if boxes is None else str(folder / boxes), output=output,
        weights=str(weights), device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def weights(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    """Checkpoints by variant and number of joints."""
    folder = tmp_path_factory.mktemp("weights")
    wanted = [
        ("simplebaseline-r50-256x192", 17), ("hrnet-w32-256x192", 14), ("mipnet-r50-256x192", 17),
        ("mipnet-hrnet-w32-256x192", 17), ("mipnet-hrnet-w32-256x192", 14),
    ]  # fmt: skip
    return {(name, k): write_checkpoint(shared, folder, name, k) for name, k in wanted}


# The steps of the official test program one by one, one box at a time.


def official_frame(box: list[float], clip_to: tuple[int, int] | None) -> tuple[Array, Array]:
    x, y, w, h = box
    if clip_to is not None:
        width, height = clip_to
        left, top = max(0, x), max(0, y)
        right, bottom = min(width - 1, left + max(0, w - 1)), min(height - 1, top + max(0, h - 1))
        x, y, w, h = left, top, right - left, bottom - top
    centre = np.array([x + w / 2, y + h / 2], np.float32)
    if w > 0.75 * h:
        h = w / 0.75
    else:
        w = h * 0.75
    return centre, np.array([w / 200, h / 200], np.float32) * np.float32(1.25)


def official_affine(centre: Array, scale: Array, width: int, height: int, inverse: bool) -> Array:
    half = np.float32(scale[0] * 200 * 0.5)
    image = np.array([centre, centre - [0, half], centre - [half, half]], np.float32)
    middle = np.array([width / 2, height / 2])
    crop = np.array([middle, middle - [0, width / 2], middle - [width / 2, width / 2]], np.float32)
    return cv2.getAffineTransform(crop, image) if inverse else cv2.getAffineTransform(image, crop)


def official_poses(
    network: torch.nn.Module, image: Array, box: list[float], score: float, *,
    bgr: bool, clip: bool, instances: int, mirror: list[tuple[int, int]],
) -> list[tuple[Array, float]]:  # fmt: skip
    """Return keypoints with scores (K, 3), and the pose score, of each instance."""
    size = (image.shape[1], image.shape[0]) if clip else None
    centre, scale = official_frame(box, size)
    crop = cv2.warpAffine(image, official_affine(centre, scale, 192, 256, False), (192, 256))
    if bgr:
        crop = crop[..., ::-1]
    tensor = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    tensor = (tensor - mean[:, None, None]) / std[:, None, None]
    found = []
    for i in range(instances):
        selector = () if instances == 1 else (selectors(2)[i : i + 1],)
        with torch.inference_mode():
            maps = network(tensor[None], *selector)[0].numpy()
            flipped = network(tensor.flip(-1)[None], *selector)[0].numpy()[..., ::-1].copy()
        for a, b in mirror:
            flipped[[a, b]] = flipped[[b, a]]
        flipped[..., 1:] = flipped[..., :-1].copy()
        maps = (maps + flipped) * 0.5
        points = np.zeros((len(maps), 3))
        back = official_affine(centre, scale, 48, 64, True)
        for k, heatmap in enumerate(maps):
            y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
            top = heatmap[y, x]
            px, py = (float(x), float(y)) if top > 0 else (0.0, 0.0)
            if 1 < px < 47 and 1 < py < 63:
                px += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
                py += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
            points[k] = [*(back @ [px, py, 1]), top]
        confident = points[:, 2][points[:, 2] > 0.2]
        mean_score = float(confident.mean()) if len(confident) else 0.0
        found.append((points, score * (0.5 if i else 1.0) * mean_score))
    return found


@pytest.mark.parametrize(
    ("variant", "data", "k"),
    [
        ("simplebaseline-r50-256x192", "ochuman", 17),
        ("mipnet-hrnet-w32-256x192", "ochuman", 17),
        ("hrnet-w32-256x192", "crowdpose_tiny", 14),
    ],
)
def test_real_images_give_what_the_official_steps_give(
    shared: Path, tmp_path: Path, weights: dict[tuple[str, int], Path], variant: str, data: str,
    k: int,
) -> None:  # fmt: skip
    asked = job(shared, variant, data, tmp_path / "r", weights[variant, k])
    candidates = predict_job(asked)[1].poses
    network = create(variant, num_joints=k).eval()
    load_checkpoint(network, weights[variant, k], variant)
    instances = 2 if variant.startswith("mipnet") else 1
    expected: list[tuple[Array, float]] = []
    content = json.loads((asked.annotations or Path()).read_text())
    is_annotated = asked.boxes is None
    entries = (
        content["annotations"] if is_annotated else json.loads(Path(asked.boxes or "").read_text())
    )
    for image in sorted(content["images"], key=lambda image: image["id"]):
        pixels = cv2.imread(str(shared / "data" / data / image["file_name"]))[..., ::-1]
        found = [
            official_poses(
                network, pixels, entry["bbox"], entry.get("score", 1.0),
                bgr=variant.startswith("simple"), clip=is_annotated, instances=instances,
                mirror=list((COCO_17 if k == 17 else CROWDPOSE_14).mirror),
            )
            for entry in entries
            if entry["image_id"] == image["id"]
        ]  # fmt: skip
        for i in reversed(range(instances)):
            expected += [poses[i] for poses in found]
    assert len(candidates) == len(expected) > 4
    points = np.array([pose[:, :2] for pose, _ in expected])
    confidences = np.array([pose[:, 2] for pose, _ in expected])
    assert np.abs(candidates.keypoints - points).max() < 1e-3
    assert np.abs(candidates.keypoint_scores - confidences).max() < 1e-4
    assert np.allclose(candidates.scores, [score for _, score in expected], atol=1e-4)
    # Several places and scores are there, so that a mistake would show.
    assert len(np.unique(points.round(1))) > 50
    assert len(np.unique(candidates.scores.round(6))) > 3


@pytest.mark.parametrize(
    ("variant", "data", "k", "ways"),
    [
        ("mipnet-hrnet-w32-256x192", "crowdpose_tiny", 14, ("1", "7", "64")),
        ("simplebaseline-r50-256x192", "coco_tiny", 17, ("7", "64")),
    ],
)
def test_batches_and_workers_do_not_change_a_byte(
    shared: Path, tmp_path: Path, weights: dict[tuple[str, int], Path], variant: str, data: str,
    k: int, ways: tuple[str, ...],
) -> None:  # fmt: skip
    asked = job(shared, variant, data, tmp_path / "r", weights[variant, k])
    # Three images of COCO have 81 boxes, which is enough to fill a batch of 64.
    asked = msgspec.structs.replace(asked, limit=3)
    expected: dict[str, bytes] = {}
    for i, size in enumerate(ways):
        output = tmp_path / f"r{i}"
        run_job(
            msgspec.structs.replace(asked, output=output, batch_size=size, workers=str(2 * (i % 2)))
        )
        found = contents(output)
        found.pop("environment.json")
        expected = expected or found
        assert found == expected, f"batch size {size}"


def test_second_persons_are_merged_with_the_first_ones(
    shared: Path, tmp_path: Path, weights: dict[tuple[str, int], Path]
) -> None:
    name = "mipnet-r50-256x192"
    asked = job(shared, name, "coco_tiny", tmp_path / "r", weights[name, 17])
    folder, metrics = run_job(msgspec.structs.replace(asked, limit=2))
    run = folder.read(Run)
    # 48 boxes, two persons each. The two are nearly alike here, so merging leaves fewer.
    candidates = np.load(folder.candidates / "00000.npz")
    assert candidates["instance"].tolist().count(1) == 48
    assert len(candidates["scores"]) == 96
    assert 0 < metrics.counts["poses"] < 96
    assert "scores=box*mean(keypoints>0.2),instance1*0.5 merging=oks-nms(0.9)" in run.signature
    assert "flip_test=shifted decoding=quarter-offset precision=fp32" in run.signature
    assert "boxes=file:test_coco_det_AP_H_56.json#" in run.signature
    assert run.predictor.inputs["weights"].name == f"{name}-17.pth"
    rows = metrics.conditions["detector-confidence"]
    assert len({row.n_boxes for row in rows}) > 5
    assert score_run(folder.path)[1] == metrics
    speed = folder.read(Environment).speed
    assert (speed.images, speed.persons, speed.parameters) == (2, 48, 34_986_193)
    assert speed.latency_ms is not None
    assert speed.gflops == pytest.approx(16.33, abs=0.01)


def test_crowdpose_is_not_merged(
    shared: Path, tmp_path: Path, weights: dict[tuple[str, int], Path]
) -> None:
    name = "mipnet-hrnet-w32-256x192"
    folder, metrics = run_job(
        job(shared, name, "crowdpose_tiny", tmp_path / "r", weights[name, 14])
    )
    assert metrics.counts["poses"] == 12
    assert " merging=none " in metrics.signature
    # The official results have no boxes, which an evaluator would take as the poses' sizes.
    assert "bbox" not in json.loads(folder.predictions.read_text())[0]


def test_the_command_reports_robustness_on_real_images(
    shared: Path, tmp_path: Path, weights: dict[tuple[str, int], Path], crowdbench: Crowdbench
) -> None:
    data = shared / "data/ochuman"
    done = crowdbench(
        "run", "--predictor", "mipnet-hrnet-w32-256x192", "--annotations",
        data / "test_ochuman.json", "--skeleton", "coco-17", "--images", data, "--weights",
        weights["mipnet-hrnet-w32-256x192", 17], "--output", "r",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "person-iou" in done.stdout
    assert "persons/s" in done.stdout
    assert (tmp_path / "r/report/plots/condition-person-iou.svg").is_file()
    assert RunFolder(tmp_path / "r").has(Metrics)


def test_a_checkpoint_of_other_joints_is_refused_before_anything_is_written(
    shared: Path, tmp_path: Path, weights: dict[tuple[str, int], Path]
) -> None:
    name = "hrnet-w32-256x192"
    asked = job(shared, name, "ochuman", tmp_path / "r", weights[name, 14])
    with pytest.raises(InputError, match="14 joints"):
        run_job(asked)
    assert not (tmp_path / "r").exists()


def test_boxes_with_nothing_to_crop_have_no_pose(
    shared: Path, tmp_path: Path, weights: dict[tuple[str, int], Path]
) -> None:
    name = "simplebaseline-r50-256x192"
    asked = job(shared, name, "ochuman", tmp_path / "r", weights[name, 17])
    ids = [image["id"] for image in json.loads((asked.annotations or Path()).read_text())["images"]]
    boxes: list[dict[str, Any]] = [
        {"image_id": ids[0], "category_id": 1, "bbox": [10, 10, 0, 0], "score": 0.9},
        {"image_id": ids[0], "category_id": 1, "bbox": [10, 10, 1, 0], "score": 0.8},
        {"image_id": ids[1], "category_id": 1, "bbox": [-900, 10, 5, 50], "score": 0.7},
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    poses: Poses = predict_job(msgspec.structs.replace(asked, boxes=str(tmp_path / "boxes.json")))[
        1
    ].poses
    assert poses.box_index.tolist() == [1, 2]
    assert all(math.isfinite(value) for value in poses.keypoints.ravel())


@pytest.mark.parametrize(
    ("split", "expected"),
    [("ochuman-test", "none"), ("synthcrowd-val", "none"), ("coco-val2017", "oks-nms")],
)
def test_hrnet_is_merged_but_where_people_share_boxes(split: str, expected: str) -> None:
    named = SimpleNamespace(name=split, skeleton=COCO_17)
    assert HRNet.merging(named).rule == expected  # type: ignore[arg-type]
    assert MIPNet.merging(named).rule == "oks-nms"  # type: ignore[arg-type]


def test_the_signature_says_how_keypoints_are_decoded() -> None:
    assert Method("any", (128, 96)).decoding_words == "quarter-offset"
    assert Method("any", (128, 96), decoding="dark").decoding_words == "dark"
    assert HRNetTiny.method.decoding_words == MIPNetTiny.method.decoding_words == "dark(7)"
