"""I2R-Net from images to poses: against its official steps one by one, and whoever stands beside.

The small network stands for all of them: the official ones differ from it inside the network alone,
which has tests of its own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from crowdbench.datasets import load_boxes, load_own
from crowdbench.datasets.split import Split
from crowdbench.errors import UsageError
from crowdbench.predictor import Batch, Request
from crowdbench.record import Run
from crowdbench.running.feeding import feeding, parts_of
from crowdbench.running.returned import join_batches, predict_batch
from crowdbench.running.steps import Job, predict_job
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, Boxes, Poses
from predictors.i2r_net import HRFormerBCrowdPose, I2RNet, Tiny, VanillaCOCO, VanillaOCHuman
from predictors.networks import create
from predictors.networks.checkpoints import load_checkpoint
from tests.any_batches import run_in_any_batches
from tests.networks.filled import write_checkpoint

NAME = "i2r-net-tiny"


@pytest.fixture(scope="module")
def weights(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with which the network tells images and persons apart."""
    return write_checkpoint(shared, tmp_path_factory.mktemp("weights"), NAME)


def job(shared: Path, output: Path, weights: Path, *options: str) -> Job:
    folder = shared / "data/ochuman"
    return Job(
        NAME, annotations=folder / "test_ochuman.json", skeleton="coco-17", images=folder,
        output=output, weights=str(weights), device="cpu", option=options,
    )  # fmt: skip


# The steps of the official test program, one person at a time.


def official_frame(box: list[float], width: int, height: int) -> tuple[Array, Array, list[float]]:
    """Return centre and scale, and the box clipped to the image."""
    x, y, w, h = box
    left, top = max(0, x), max(0, y)
    right, bottom = min(width - 1, left + max(0, w - 1)), min(height - 1, top + max(0, h - 1))
    x, y, w, h = clipped = [left, top, right - left + 1, bottom - top + 1]
    centre = np.array([x + (w - 1) / 2, y + (h - 1) / 2], np.float32)
    w, h = max(w, 0.75 * h), max(h, w / 0.75)
    return centre, np.array([w / 200, h / 200], np.float32) * np.float32(1.25), clipped


def official_affine(centre: Array, scale: Array, width: int, height: int, inverse: bool) -> Array:
    half = np.float32((scale[0] * 200 - 1) * 0.5)
    image = np.array([centre, centre - [0, half], centre - [half, half]], np.float32)
    middle, arm = np.array([(width - 1) / 2, (height - 1) / 2]), (width - 1) / 2
    crop = np.array([middle, middle - [0, arm], middle - [arm, arm]], np.float32)
    return cv2.getAffineTransform(crop, image) if inverse else cv2.getAffineTransform(image, crop)


def official_dark(heatmap: Array, kernel: int) -> tuple[float, float, float]:
    height, width = heatmap.shape
    y, x = (int(v) for v in np.unravel_index(heatmap.argmax(), heatmap.shape))
    top = float(heatmap[y, x])
    reach = kernel // 2
    padded = cv2.GaussianBlur(np.pad(heatmap, reach), (kernel, kernel), 0)
    smooth = padded[reach:-reach, reach:-reach]
    logs = np.log(np.maximum(smooth * top / smooth.max(), 1e-10))
    px, py = (float(x), float(y)) if top > 0 else (0.0, 0.0)
    if 1 < px < width - 2 and 1 < py < height - 2:
        dx = (logs[y, x + 1] - logs[y, x - 1]) / 2
        dy = (logs[y + 1, x] - logs[y - 1, x]) / 2
        dxx = (logs[y, x + 2] - 2 * logs[y, x] + logs[y, x - 2]) / 4
        dyy = (logs[y + 2, x] - 2 * logs[y, x] + logs[y - 2, x]) / 4
        dxy = (
            logs[y + 1, x + 1] - logs[y - 1, x + 1] - logs[y + 1, x - 1] + logs[y - 1, x - 1]
        ) / 4
        if dxx * dyy - dxy**2 != 0:
            step = -np.linalg.inv([[dxx, dxy], [dxy, dyy]]) @ [dx, dy]
            px, py = px + step[0], py + step[1]
    return px, py, top


def official_poses(network: torch.nn.Module, image: Array, boxes: list[list[float]]) -> Array:
    """Return (P, K, 3): the poses of all persons of an image, who go through together."""
    height, width = image.shape[:2]
    frames = [official_frame(box, width, height) for box in boxes]
    crops, masks = [], []
    for centre, scale, (x, y, w, h) in frames:
        crop = cv2.warpAffine(image, official_affine(centre, scale, 96, 128, False), (96, 128))
        tensor = torch.from_numpy(crop).permute(2, 0, 1).float() / 255
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        crops.append((tensor - mean[:, None, None]) / std[:, None, None])
        mask = np.zeros((height, width), np.uint8)
        mask = cv2.rectangle(mask, (int(x), int(y)), (int(x + w), int(y + h)), 255, -1)
        masks.append(torch.from_numpy(cv2.resize(mask, (96, 128)))[None].float() / 255)
    length = [len(boxes)]
    with torch.inference_mode():
        inputs, places = torch.stack(crops), torch.stack(masks)
        maps = network(inputs, places, length).multi.numpy()
        flipped = network(inputs.flip(-1), places.flip(-1), length).multi.numpy()[..., ::-1]
    flipped = flipped.copy()
    for a, b in COCO_17.mirror:
        flipped[:, [a, b]] = flipped[:, [b, a]]
    maps = (maps + flipped) * 0.5
    poses = np.zeros((len(boxes), 17, 3))
    for person, (centre, scale, _) in enumerate(frames):
        back = official_affine(centre, scale, 24, 32, True)
        for k in range(17):
            x, y, top = official_dark(maps[person, k], Tiny.method.smoothing)
            poses[person, k] = [*(back @ [x, y, 1]), top]
    return poses


def test_real_images_give_what_the_official_steps_give(
    shared: Path, tmp_path: Path, weights: Path
) -> None:
    asked = job(shared, tmp_path / "r", weights)
    prepared, candidates = predict_job(asked)
    network = create(NAME).eval()
    load_checkpoint(network, weights, NAME)
    content = json.loads((asked.annotations or Path()).read_text())
    expected = []
    for image in sorted(content["images"], key=lambda image: image["id"]):
        pixels = cv2.imread(str(shared / "data/ochuman" / image["file_name"]))[..., ::-1].copy()
        boxes = [a["bbox"] for a in content["annotations"] if a["image_id"] == image["id"]]
        expected.append(official_poses(network, pixels, boxes))
    poses = np.concatenate(expected)
    found = candidates.poses
    assert len(found) == len(poses) > 4
    gaps = np.abs(found.keypoints - poses[..., :2]).max(axis=2)
    # Where maps are nearly flat, DARK goes far, and float32 does not say precisely how far.
    assert np.quantile(gaps, 0.9) < 1e-3
    assert gaps.max() < 3
    assert np.abs(found.keypoint_scores - poses[..., 2]).max() < 1e-4
    assert len(np.unique(found.keypoints.round(1))) > 50
    signature = prepared.run.signature
    assert "crops=size-minus-one,masks flip_test=plain decoding=dark(7) precision=fp32" in signature
    assert " options=grouping=all " in signature
    assert "merging=oks-nms(0.9) " in signature


# Whoever stands beside.


def crowd(folder: Path, counts: list[int]) -> tuple[Split, Boxes]:
    """Return images with so many persons each, and their boxes."""
    rng = np.random.default_rng(5)
    folder.mkdir(exist_ok=True)
    images, persons = [], []
    for i, n in enumerate(counts):
        coarse = rng.integers(0, 256, (20, 25, 3), np.uint8)
        pixels = cv2.resize(coarse, (200, 160), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i}.png"), pixels)
        images.append({"id": i, "file_name": f"{i}.png", "width": 200, "height": 160})
        for _ in range(n):
            x, y, w, h = (float(v) for v in rng.integers((0, 0, 20, 40), (140, 90, 60, 70)))
            points = np.column_stack([rng.uniform(x, x + w, 17), rng.uniform(y, y + h, 17)])
            persons.append(
                {
                    "id": len(persons) + 1, "image_id": i, "category_id": 1, "iscrowd": 0,
                    "bbox": [x, y, w, h], "area": w * h, "num_keypoints": 17,
                    "keypoints": np.column_stack([points, np.full(17, 2)]).ravel().tolist(),
                }
            )  # fmt: skip
    path = folder / "annotations.json"
    categories = [{"id": 1, "name": "person"}]
    path.write_text(
        json.dumps({"images": images, "annotations": persons, "categories": categories})
    )
    split = load_own(path, COCO_17).with_images_in(folder)
    return split, load_boxes("gt", split, folder)


def predictor_for(split: Split, boxes: Boxes, weights: Path, **options: str) -> I2RNet:
    predictor = Tiny(Request(split, boxes, options=options))
    predictor.load("cpu", weights)
    return predictor


def poses_in(predictor: I2RNet, split: Split, boxes: Boxes, size: int | None = None) -> Poses:
    parts = parts_of(0, len(split.images), boxes, size, not predictor.settings.boxes_independent)
    with feeding(predictor, split, boxes, parts, 0) as batches:
        return join_batches([predict_batch(predictor, fed) for fed in batches], 17)


def batch_of(predictor: I2RNet, split: Split, boxes: Boxes, image: int) -> Batch:
    [part] = parts_of(image, image + 1, boxes, None, True)
    with feeding(predictor, split, boxes, [part], 0) as batches:
        return next(batches).batch


@pytest.mark.parametrize("grouping", ["all", "window:2", "nearest:3", "single"])
def test_no_result_depends_on_the_other_images_of_the_batch(
    tmp_path: Path, weights: Path, grouping: str
) -> None:
    split, boxes = crowd(tmp_path, [1, 5, 0, 2, 3, 5])
    predictor = predictor_for(split, boxes, weights, grouping=grouping)
    whole = poses_in(predictor, split, boxes)
    assert len(whole) == 16
    for size in (1, 4):
        found = poses_in(predictor, split, boxes, size)
        assert (found.keypoints == whole.keypoints).all()
        assert (found.scores == whole.scores).all()


@pytest.mark.parametrize("grouping", ["all", "nearest:3", "single"])
def test_the_order_of_persons_does_not_matter(tmp_path: Path, weights: Path, grouping: str) -> None:
    split, boxes = crowd(tmp_path, [6])
    order = np.array([3, 0, 5, 1, 4, 2])
    predictor = predictor_for(split, boxes, weights, grouping=grouping)
    whole = poses_in(predictor, split, boxes)
    found = poses_in(predictor, split, boxes.take(order))
    assert np.abs(found.keypoint_scores - whole.keypoint_scores[order]).max() < 1e-6


def test_groups_of_one_and_of_forty_and_an_image_without_anybody(
    tmp_path: Path, weights: Path
) -> None:
    split, boxes = crowd(tmp_path, [1, 0, 40])
    together = poses_in(predictor_for(split, boxes, weights), split, boxes)
    alone = poses_in(predictor_for(split, boxes, weights, grouping="single"), split, boxes)
    assert np.bincount(together.image_index).tolist() == [1, 0, 40]
    # Whoever is alone has the same pose either way; those in a crowd do not.
    gaps = np.abs(together.keypoint_scores - alone.keypoint_scores).max(axis=1)
    assert gaps[0] == 0
    assert (gaps[1:] > 1e-6).all()


def test_a_group_as_large_as_the_image_is_the_image(tmp_path: Path, weights: Path) -> None:
    split, boxes = crowd(tmp_path, [4, 2])
    whole = poses_in(predictor_for(split, boxes, weights), split, boxes)
    for grouping in ("window:4", "nearest:4"):
        found = poses_in(predictor_for(split, boxes, weights, grouping=grouping), split, boxes)
        assert np.abs(found.keypoint_scores - whole.keypoint_scores).max() < 1e-6
    pairs = poses_in(predictor_for(split, boxes, weights, grouping="window:2"), split, boxes)
    assert np.abs(pairs.keypoint_scores - whole.keypoint_scores)[:4].max() > 1e-6
    assert (pairs.keypoint_scores == whole.keypoint_scores)[4:].all()


def test_as_published_detected_boxes_are_alone(tmp_path: Path) -> None:
    split, boxes = crowd(tmp_path, [2])
    annotated = Tiny(Request(split, boxes)).settings
    assert (annotated.options, annotated.boxes_independent) == ({"grouping": "all"}, False)
    detected = replace(boxes, source="file:boxes.json#0123")
    settings = Tiny(Request(split, detected)).settings
    assert (settings.options, settings.boxes_independent) == ({"grouping": "single"}, True)
    settings = Tiny(Request(split, detected, options={"grouping": "nearest:2"})).settings
    assert (settings.options, settings.boxes_independent) == ({"grouping": "nearest:2"}, False)
    with pytest.raises(UsageError, match="grouping is 'twos', expected all, window:N"):
        Tiny(Request(split, boxes, options={"grouping": "twos"}))


def test_a_record_names_the_grouping_and_is_the_same_for_any_batches(
    shared: Path, tmp_path: Path, weights: Path
) -> None:
    asked = job(shared, tmp_path / "r", weights, "grouping=window:2")
    run = run_in_any_batches(asked, tmp_path).read(Run)
    assert " options=grouping=window:2 " in run.signature
    assert run.predictor.options["grouping"] == "window:2"
    assert not run.predictor.boxes_independent


def test_crowdpose_is_merged_with_a_constant_of_its_own() -> None:
    split = type("Named", (), {"skeleton": type("Layout", (), {"name": "crowdpose-14"})})
    merging = HRFormerBCrowdPose.merging(split)  # type: ignore[arg-type]
    assert str(merging) == "oks-nms(0.9,head=0.062)"
    assert HRFormerBCrowdPose.card.skeletons == ("crowdpose-14",)


@pytest.mark.parametrize("grouping", ["all", "window:2", "nearest:2", "single"])
def test_attention_stays_in_its_group_and_sums_to_one(
    tmp_path: Path, weights: Path, grouping: str
) -> None:
    split, boxes = crowd(tmp_path, [0, 3])
    predictor = predictor_for(split, boxes, weights, grouping=grouping)
    found = predictor.attention(batch_of(predictor, split, boxes, 1))
    assert found is not None
    assert found.weights.shape == (2, 3, 17, 3, 16, 12)
    sums = found.weights.sum(axis=(4, 5))
    assert np.abs(sums.sum(axis=3) - 1).max() < 1e-5
    related = {
        "all": np.ones((3, 3)),
        "window:2": [[1, 1, 0], [1, 1, 0], [0, 0, 1]],
        "single": np.eye(3),
    }.get(grouping)
    others = (sums > 0).all(axis=(0, 2))
    if related is None:
        assert others.sum(axis=1).tolist() == [2, 2, 2]
        assert others.diagonal().all()
    else:
        assert (others == np.array(related)).all()
    poses = poses_in(predictor, split, boxes)
    assert (found.keypoints == poses.keypoints).all()
    assert found.before is not None
    assert found.before.shape == found.keypoints.shape
    assert (found.before != found.keypoints).any()
    # Crops are a quarter larger than boxes and hold them.
    x, y, w, h = (found.crops - 0).T
    bx, by, bw, bh = found.boxes.T
    assert (x < bx).all()
    assert (y < by).all()
    assert (x + w > bx + bw).all()
    assert (y + h > by + bh).all()
    assert np.abs(w / h - 0.75).max() < 1e-6


@pytest.mark.parametrize(
    ("kind", "crops"), [(VanillaCOCO, "size-minus-one,masks"), (VanillaOCHuman, "size-minus-one")]
)
def test_a_network_without_first_stage_or_without_masks_gives_poses_too(
    tmp_path: Path, kind: type[I2RNet], crops: str
) -> None:
    split, boxes = crowd(tmp_path, [2])
    predictor = kind(Request(split, boxes))
    predictor.load("cpu", None)
    assert predictor.settings.crops == crops
    assert len(poses_in(predictor, split, boxes)) == 2
    found = predictor.attention(batch_of(predictor, split, boxes, 0))
    assert found is not None
    assert found.before is None
    assert found.weights.shape == (6, 2, 17, 2, 16, 12)


def test_an_image_whose_boxes_leave_nothing_has_no_attention(tmp_path: Path, weights: Path) -> None:
    split, boxes = crowd(tmp_path, [1])
    nowhere = replace(boxes, boxes=np.array([[500.0, 500, 10, 10]]))
    predictor = predictor_for(split, nowhere, weights)
    assert predictor.attention(batch_of(predictor, split, nowhere, 0)) is None
