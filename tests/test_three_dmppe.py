"""3DMPPE: against the official steps one by one, and what its options and boxes may be."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from crowdbench.datasets import load_boxes, load_own
from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, MissingError, UsageError
from crowdbench.predictor import Request
from crowdbench.running.check import check_predictor
from crowdbench.running.feeding import feeding, parts_of
from crowdbench.running.returned import join_batches, predict_batch
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array, Boxes, Poses
from crowdbench.weights import Weights
from predictors.networks import create
from predictors.normalisation import normalised_levels
from predictors.space.root_net import RootFinder
from predictors.three_dmppe import ThreeDMPPE, Tiny

CAMERA = (1000.0, 990.0, 330.0, 235.0)
PAIRS = ((2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13))


class Small(ThreeDMPPE):
    """The published method with small networks."""

    posenet = "3dmppe-posenet-tiny"
    rootnet = "3dmppe-rootnet-tiny"


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither weights of the user's nor shipped ones are found."""
    monkeypatch.setenv("CROWDBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("crowdbench.weights._shipped", lambda *_: None)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Two images of smooth noise, the second without a camera; three persons and an invalid one."""
    rng = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    for i, count in enumerate((3, 1)):
        name = f"TS1/img_{i:06d}.png"
        coarse = rng.integers(0, 256, (40, 56, 3), np.uint8)
        (tmp_path / "TS1").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), cv2.resize(coarse, (640, 480), interpolation=2))
        image = {"id": i, "file_name": name, "width": 640, "height": 480}
        images.append(image if i else image | {"intrinsic": CAMERA})
        for place in range(count):
            root = np.array([400.0 * place - 500, 50 * place, 3000 + 700 * place + 50 * i])
            joints = root + rng.uniform(-600, 600, (17, 3)) * (np.arange(17) != 14)[:, None]
            points = joints[:, :2] / joints[:, 2:] * CAMERA[:2] + CAMERA[2:]
            low, high = points.min(0), points.max(0)
            persons.append(
                {
                    "id": len(persons) + 10, "image_id": i, "is_valid": int(place != 1),
                    "bbox": [*low, *(high - low)], "keypoints_cam": joints.tolist(),
                    "keypoints_img": points.tolist(),
                }
            )  # fmt: skip
    path = tmp_path / "MuPoTS-3D.json"
    path.write_text(json.dumps({"images": images, "annotations": persons}))
    return load_own(path, MUPOTS_17).with_images_in(tmp_path)


def file_of(folder: Path, entries: list[dict[str, Any]]) -> str:
    path = folder / "boxes.json"
    path.write_text(json.dumps(entries))
    return str(path)


def made(kind: type[ThreeDMPPE], split: Split, boxes: Boxes, **options: str) -> ThreeDMPPE:
    predictor = kind(Request(split, boxes, options=options))
    predictor.load("cpu", None)
    return predictor


def poses_by(predictor: ThreeDMPPE, split: Split, boxes: Boxes, size: int | None = None) -> Poses:
    parts = parts_of(0, len(split.images), boxes, size, whole_images=False)
    with feeding(predictor, split, boxes, parts, workers=0) as fed:
        return join_batches([predict_batch(predictor, part) for part in fed], 17)


def official_pose(
    network: nn.Module, image: Array, box: list[float], camera: tuple[float, ...], root: float
) -> tuple[Array, Array]:
    """Return keypoints and joints of one enlarged box, as the official test program makes them."""
    x, y, w, h = box
    source = np.array([[x, y], [x + w, y], [x, y + h]], np.float32)
    target = np.array([[0, 0], [128, 0], [0, 128]], np.float32)
    crop = cv2.warpAffine(image, cv2.getAffineTransform(source, target), (128, 128))
    tensor = torch.from_numpy(crop.astype(np.float32)).permute(2, 0, 1)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    tensor = (tensor - mean[:, None, None]) / std[:, None, None]
    coords = []
    for seen in (tensor, tensor.flip(-1)):
        with torch.inference_mode():
            volumes = network(seen[None])[0].double()
        joints, depth, height, width = volumes.shape
        shares = volumes.reshape(joints, -1).softmax(1).reshape(volumes.shape)
        axes = (shares.sum((1, 2)), shares.sum((1, 3)), shares.sum((2, 3)))
        means = [(a * torch.arange(a.shape[1])).sum(1) for a in axes]
        coords.append(torch.stack(means, 1).numpy())
    coords[1][:, 0] = width - coords[1][:, 0] - 1
    for a, b in PAIRS:
        coords[1][[a, b]] = coords[1][[b, a]]
    coord = (coords[0] + coords[1]) / 2
    keypoints = coord[:, :2] / (width, height) * (w, h) + (x, y)
    z = (coord[:, 2] / depth * 2 - 1) * 1000 + root
    fx, fy, cx, cy = camera
    return keypoints, np.stack(
        [(keypoints[:, 0] - cx) / fx * z, (keypoints[:, 1] - cy) / fy * z, z], axis=1
    )


def official_enlarged(box: list[float]) -> list[float]:
    x, y, w, h = box
    x2, y2 = min(639, max(0, x) + w - 1), min(479, max(0, y) + h - 1)
    x, y = max(0, x), max(0, y)
    w, h = x2 - x, y2 - y
    side = max(w, h) * 1.25
    return [x + w / 2 - side / 2, y + h / 2 - side / 2, side, side]


def assert_official(predictor: ThreeDMPPE, split: Split, boxes: Boxes, roots: list[float]) -> None:
    found = poses_by(predictor, split, boxes)
    assert found.joints_mm is not None
    assert len(found) == len(roots)
    unknown = (1500.0, 1500.0, 320.0, 240.0)
    for row, root in enumerate(roots):
        image_row = int(found.image_index[row])
        assert split.images.folder is not None
        image = cv2.imread(str(split.images.folder / split.images.file_names[image_row]))
        box = boxes.boxes[row].tolist()
        keypoints, joints = official_pose(
            predictor.network_there, image[..., ::-1].copy(),
            box if "enlarged" in predictor.settings.crops else official_enlarged(box),
            unknown if image_row else CAMERA, root,
        )  # fmt: skip
        # Crops differ by a grey level here and there.
        np.testing.assert_allclose(found.keypoints[row], keypoints, rtol=0, atol=0.02)
        np.testing.assert_allclose(found.joints_mm[row], joints, rtol=0, atol=0.2)
    assert np.ptp(found.joints_mm, axis=1).min() > 1


def test_annotated_boxes_and_roots_give_what_the_official_steps_give(split: Split) -> None:
    boxes = load_boxes("gt", split, Path())
    predictor = made(Small, split, boxes)
    settings = predictor.settings
    assert settings.options == {"roots": "gt"}
    assert (settings.boxes, settings.crops, settings.pairing) == (
        "gt",
        "3dmppe(1.25)",
        "annotation",
    )
    assert (settings.flip_test, settings.decoding) == ("coordinates-averaged", "soft-argmax")
    assert [note[:44] for note in settings.notes] == [
        "the camera of 1 of 2 images is not known: a "
    ]
    assert_official(predictor, split, boxes, [3000, 4400, 3050])
    poses = poses_by(predictor, split, boxes)
    assert poses.person_ids is not None
    # Person 11 is not valid and has no box.
    assert poses.person_ids.tolist() == [10, 12, 13]
    assert poses.scores.tolist() == [1, 1, 1]


def test_boxes_of_rootnets_file_are_not_enlarged_again(split: Split, tmp_path: Path) -> None:
    entries = [
        {"image_id": 0, "bbox": [150, 90, 300, 300], "root_cam": [1, 2, 3456.7], "score": 0.75},
        {"image_id": 1, "bbox": [-40, -90, 220, 260], "root_cam": [1, 2, 2345.6], "score": 0.5},
    ]
    boxes = load_boxes(file_of(tmp_path, entries), split, tmp_path)
    predictor = made(Small, split, boxes)
    assert predictor.settings.options == {"roots": "file"}
    assert (predictor.settings.crops, predictor.settings.pairing) == ("3dmppe(enlarged)", "2d")
    assert_official(predictor, split, boxes, [3456.7, 2345.6])
    poses = poses_by(predictor, split, boxes)
    assert poses.person_ids is None
    assert poses.scores.tolist() == [0.75, 0.5]
    assert (poses.keypoint_scores == poses.scores[:, None]).all()


def test_rootnet_gives_the_distance_where_nothing_else_does(split: Split, tmp_path: Path) -> None:
    entries = [{"image_id": i, "bbox": [150, 90, 120, 300], "score": 0.5} for i in (0, 1)]
    boxes = load_boxes(file_of(tmp_path, entries), split, tmp_path)
    predictor = made(Small, split, boxes)
    assert predictor.settings.options == {"roots": "rootnet"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = create("3dmppe-rootnet-tiny").eval()
    roots = []
    for row, (fx, fy) in enumerate(((1000, 990), (1500, 1500))):
        x, y, side, _ = official_enlarged([150, 90, 120, 300])
        assert split.images.folder is not None
        image = cv2.imread(str(split.images.folder / split.images.file_names[row]))
        scale = 128 / side
        affine = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
        crop = cv2.warpAffine(image[..., ::-1].copy(), affine, (128, 128))
        with torch.inference_mode():
            gamma = float(network(normalised_levels(torch.from_numpy(crop)[None])).gammas)
        roots.append(gamma * np.sqrt(2000 * 2000 * fx * fy / side**2))
    assert abs(roots[0]) > 100
    assert_official(predictor, split, boxes, roots)


class Ideal(nn.Module):
    """Sees 21 joints at whole places, and in the second half of the images their mirror images."""

    def __init__(self, places: Array) -> None:
        super().__init__()
        self.places = places

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        volumes = torch.zeros(len(images), 21, 64, 64, 64)
        mirrored = self.places * [-1, 1, 1] + [63, 0, 0]
        for a, b in (*PAIRS, (17, 18), (19, 20)):
            mirrored[[a, b]] = mirrored[[b, a]]
        for i, (volume, _) in enumerate(zip(volumes, images, strict=True)):
            x, y, d = (self.places if 2 * i < len(images) else mirrored).T
            volume[np.arange(21), d, y, x] = 1000
        return volumes


def test_an_ideal_network_gives_the_very_joints(split: Split) -> None:
    rng = np.random.default_rng(2)
    places = rng.integers(0, 64, (21, 3))
    boxes = load_boxes("gt", split, Path()).take(np.array([0]))
    predictor = ThreeDMPPE(Request(split, boxes))
    predictor.use(Ideal(places), "cpu")
    poses = poses_by(predictor, split, boxes)
    x, y, side, _ = official_enlarged(boxes.boxes[0].tolist())
    pixels = places[:17, :2] / 64 * side + [x, y]
    np.testing.assert_allclose(poses.keypoints[0], pixels, rtol=0, atol=1e-9)
    depths = (places[:17, 2] / 64 * 2 - 1) * 1000 + 3000
    fx, fy, cx, cy = CAMERA
    joints = [(pixels[:, 0] - cx) / fx * depths, (pixels[:, 1] - cy) / fy * depths, depths]
    assert poses.joints_mm is not None
    np.testing.assert_allclose(poses.joints_mm[0], np.transpose(joints), rtol=0, atol=1e-9)


def test_the_published_networks_take_grey_levels_as_they_are() -> None:
    crops = torch.tensor([[[[0, 128, 255]]]], dtype=torch.uint8)
    found = normalised_levels(crops)
    expected = [(0 - 0.485) / 0.229, (128 - 0.456) / 0.224, (255 - 0.406) / 0.225]
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor(expected))
    assert crops.tolist() == [[[[0, 128, 255]]]]


@pytest.mark.parametrize("kind", [Small, Tiny])
def test_it_keeps_the_contract(kind: type[ThreeDMPPE]) -> None:
    verdicts = list(check_predictor(kind, Weights(None, None), None, "cpu", {}))
    assert [v for v in verdicts if not v.passes] == []
    assert len(verdicts) > 10


@pytest.mark.parametrize("roots", ["gt", "rootnet"])
def test_no_pose_depends_on_the_batch(split: Split, roots: str) -> None:
    boxes = load_boxes("gt", split, Path())
    many = boxes.take(np.repeat(np.arange(3), 3))
    moved = replace(many, boxes=many.boxes + np.arange(9)[:, None])
    predictor = made(Small, split, moved, roots=roots)
    whole = poses_by(predictor, split, moved)
    for size in (1, 2, 5):
        part = poses_by(predictor, split, moved, size)
        np.testing.assert_array_equal(part.joints_mm, whole.joints_mm)
        np.testing.assert_array_equal(part.keypoints, whole.keypoints)


def test_boxes_of_nothing_give_no_poses(split: Split, tmp_path: Path) -> None:
    entries = [{"image_id": 0, "bbox": [30, 40, 1, 1], "score": 0.5}]
    boxes = load_boxes(file_of(tmp_path, entries), split, tmp_path)
    assert len(poses_by(made(Small, split, boxes), split, boxes)) == 0
    flat = [{"image_id": 0, "bbox": [30, 40, 9, 0], "score": 0.5, "root_cam": [0, 0, 3000]}]
    boxes = load_boxes(file_of(tmp_path, flat), split, tmp_path)
    assert len(poses_by(made(Small, split, boxes), split, boxes)) == 0


def test_a_predictor_for_reading_images_goes_without_its_networks(split: Split) -> None:
    boxes = load_boxes("gt", split, Path())
    predictor = made(Small, split, boxes, roots="rootnet")
    sent = pickle.dumps(predictor)
    assert len(sent) < 50_000
    image = np.zeros((480, 640, 3), np.uint8)
    assert pickle.loads(sent).prepare(image, boxes.of_images(0, 1))["crops"].shape[0] == 2


@pytest.mark.parametrize(
    ("rooted", "option", "said"),
    [
        (None, "file", "--option roots=file takes the root_cam of a file of boxes, gt has none"),
        (
            False,
            "gt",
            "--option roots=gt takes the roots of annotated persons, the boxes are file:",
        ),
        (True, "gt", "give --boxes gt, or roots=rootnet"),
        (False, "file", "has none: give RootNet's results file by --boxes FILE"),
        (None, "near", "--option roots=near: expected gt, file or rootnet"),
    ],
)
def test_roots_that_are_not_there_are_refused(
    split: Split, tmp_path: Path, rooted: bool | None, option: str, said: str
) -> None:
    entry: dict[str, Any] = {"image_id": 0, "bbox": [150, 90, 120, 300], "score": 0.5}
    entry |= {"root_cam": [1, 2, 3000]} if rooted else {}
    source = "gt" if rooted is None else file_of(tmp_path, [entry])
    boxes = load_boxes(source, split, tmp_path)
    with pytest.raises(UsageError) as refused:
        Small(Request(split, boxes, options={"roots": option}))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_rootnet_may_be_asked_for_whatever_the_boxes_have(split: Split, tmp_path: Path) -> None:
    entry = {"image_id": 0, "bbox": [150, 90, 300, 300], "score": 1, "root_cam": [1, 2, 3000]}
    for source in ("gt", file_of(tmp_path, [entry])):
        boxes = load_boxes(source, split, tmp_path)
        predictor = made(Small, split, boxes, roots="rootnet")
        assert predictor.settings.options == {"roots": "rootnet"}
        assert len(poses_by(predictor, split, boxes)) == len(boxes.scores)
    assert predictor.settings.crops == "3dmppe(enlarged)"


def _saved(variant: str, path: Path) -> Path:
    """Write a checkpoint as the official programs do, of random weights of its own."""
    torch.manual_seed(7)
    tensors = {f"module.{name}": value for name, value in create(variant).state_dict().items()}
    path.parent.mkdir(exist_ok=True)
    torch.save({"epoch": 18, "network": tensors, "optimizer": {}}, path)
    return path


def test_rootnets_weights_are_found_by_its_name_and_recorded(split: Split, tmp_path: Path) -> None:
    boxes = load_boxes("gt", split, tmp_path)
    posenet = _saved("3dmppe-posenet-tiny", tmp_path / "weights/posenet.pth.tar")
    of_truth = Small(Request(split, boxes))
    of_truth.load("cpu", posenet)
    assert not of_truth.settings.inputs
    asked = Request(split, boxes, options={"roots": "rootnet"}, weights=posenet)
    with pytest.raises(MissingError) as lacking:
        Small(asked)
    assert "weights of 3dmppe-rootnet-tiny for mupots-17: " in str(lacking.value)
    assert "roots=rootnet needs them" in str(lacking.value)
    assert "$CROWDBENCH_WEIGHTS" in str(lacking.value)
    assert "--weights" not in str(lacking.value)
    rootnet = _saved("3dmppe-rootnet-tiny", tmp_path / "weights/3dmppe-rootnet-tiny.pth.tar")
    found = Small(asked)
    assert found.settings.inputs["rootnet"].name == rootnet.name
    found.load("cpu", posenet)
    joints = [poses_by(p, split, boxes).joints_mm for p in (found, made(Small, split, boxes))]
    assert joints[0] is not None
    assert joints[1] is not None
    assert np.abs(joints[0] - joints[1]).min(axis=(1, 2)).max() > 1


def test_a_broken_file_of_rootnets_weights_is_named(split: Split, tmp_path: Path) -> None:
    boxes = load_boxes("gt", split, tmp_path)
    posenet = _saved("3dmppe-posenet-tiny", tmp_path / "weights/posenet.pth.tar")
    (tmp_path / "weights/3dmppe-rootnet-tiny.pth").write_bytes(b"nothing")
    asked = Request(split, boxes, options={"roots": "rootnet"}, weights=posenet)
    predictor = Small(asked)
    with pytest.raises(InputError, match=r"3dmppe-rootnet-tiny\.pth: "):
        predictor.load("cpu", posenet)


def test_with_random_weights_rootnets_are_random_too(split: Split, tmp_path: Path) -> None:
    boxes = load_boxes("gt", split, tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/3dmppe-rootnet-tiny.pth").write_bytes(b"nothing")
    predictor = made(Small, split, boxes, roots="rootnet")
    assert not predictor.settings.inputs
    assert len(poses_by(predictor, split, boxes)) == len(boxes.scores)


def test_half_precision_does_not_round_the_distance_of_roots(tmp_path: Path) -> None:
    network = create("3dmppe-rootnet-tiny")
    # A distance that has nothing to do with the crop, between two numbers of bfloat16.
    torch.nn.init.zeros_(network.get_parameter("root.depth_layer.weight"))
    torch.nn.init.constant_(network.get_parameter("root.depth_layer.bias"), 1.0123)
    (tmp_path / "weights").mkdir()
    torch.save(network.state_dict(), tmp_path / "weights/3dmppe-rootnet-tiny.pth")
    finder = RootFinder("3dmppe-rootnet-tiny", "mupots-17", is_random=False)
    finder.load("cpu", torch.bfloat16)
    with torch.inference_mode():
        gammas = finder.gammas(torch.rand(2, 3, 128, 128, dtype=torch.bfloat16))
    assert gammas.tolist() == pytest.approx([1.0123] * 2, abs=1e-6)


def test_the_cost_is_that_of_both_networks_where_both_are_needed(split: Split) -> None:
    boxes = load_boxes("gt", split, Path())
    alone, both = (
        ThreeDMPPE(Request(split, boxes, options={"roots": roots})).cost()
        for roots in ("gt", "rootnet")
    )
    assert alone.parameters == 34_340_736
    assert both.parameters == 34_340_736 + 33_997_634
    # Of RootNet only the trunk is run.
    assert 1.3 * alone.multiply_adds < both.multiply_adds < 2 * alone.multiply_adds
