"""Joints and roots of a crop lead back to where they are in space, however the crop is turned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array
from predictors.space.decoding import bins_of
from predictors.topdown.crop import crop_persons, frames_of
from predictors.training.augmentation import NONE, Augmentation
from predictors.training.examples import Example
from predictors.training.space_samples import (
    JointSamples,
    JointSampling,
    RootSamples,
    RootSampling,
)
from tests.training.spaces import CAMERA, two_persons

SIZE = (128, 128)
ROOT = MUPOTS_17.root
JOINTS = JointSampling(SIZE, 32, NONE)
ROOTS = RootSampling(SIZE, NONE)
MIRROR = Augmentation(0, 0, 0, 1, 0)
TURN = Augmentation(20, 1, 0, 0, 0)


def made(sampling: Any, example: Example, seed: int = 0) -> Any:
    return sampling.make(example, MUPOTS_17, np.random.default_rng(seed))


def enlarged(boxes: Array) -> Array:
    """Return the boxes of the crops, as the official program makes them."""
    centres, sides = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:].max(axis=1) * 1.25
    return np.concatenate([centres - sides[:, None] / 2, np.stack([sides, sides], 1)], axis=1)


def back(joints: Array, boxes: Array, depths: Array) -> Array:
    """Return (P, K, 3) mm of joints in volumes of 32 bins, as the official program does it."""
    sides, corners = boxes[:, None, 2:], boxes[:, None, :2]
    points = joints[..., :2] / 32 * sides + corners
    z = (joints[..., 2] / 32 * 2 - 1) * 1000 + depths[:, None]
    across = (points - CAMERA[2:]) / CAMERA[:2] * z[..., None]
    return np.concatenate([across, z[..., None]], axis=2)


# --- joints ---------------------------------------------------------------------------------------


def test_joints_of_a_plain_crop_lead_back_into_space() -> None:
    example = two_persons()
    assert example.joints_mm is not None
    found = made(JOINTS, example)
    assert [(list(part.shape), part.dtype) for part in found] == [
        ([2, 128, 128, 3], torch.uint8),
        ([2, 17, 3], torch.float32),
        ([2, 17], torch.float32),
    ]
    crops = crop_persons(
        example.image, frames_of(example.boxes, SIZE, "classical"), SIZE, "classical"
    )
    assert np.array_equal(found.crops.numpy(), crops)
    assert found.weights.all()
    joints = back(
        found.joints.double().numpy(), enlarged(example.boxes), example.joints_mm[:, ROOT, 2]
    )
    assert joints == pytest.approx(example.joints_mm, abs=0.02)


def test_the_root_is_in_the_middle_of_the_depth() -> None:
    assert made(JOINTS, two_persons()).joints[:, ROOT, 2].tolist() == [16, 16]
    assert bins_of(np.array([-1000.0, 0, 250, 1000]), 64).tolist() == [0, 32, 40, 64]


def test_joints_outside_of_crop_or_volume_or_not_labelled_do_not_count() -> None:
    example = two_persons()
    assert example.joints_mm is not None
    keypoints, joints = example.keypoints.copy(), example.joints_mm.copy()
    box = enlarged(example.boxes)[0]
    for row, place in enumerate(
        (box[:2] - 0.1, box[:2] + 0.1, box[:2] + box[2:] + 0.1, box[:2] + box[2:] - 0.1)
    ):
        keypoints[0, row, :2] = place
    joints[0, 4:8, 2] = joints[0, ROOT, 2] + (-1001, -999, 1001, 999)
    keypoints[0, 8, 2] = 0
    weights = made(JOINTS, replace(example, keypoints=keypoints, joints_mm=joints)).weights
    assert weights[0].tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0] + [1] * 8
    assert weights[1].all()


def test_a_mirror_image_has_the_joints_of_the_other_side_at_their_own_depth() -> None:
    example = two_persons()
    assert example.joints_mm is not None
    keypoints, boxes = example.keypoints.copy(), example.boxes.copy()
    width = example.image.shape[1]
    keypoints[..., 0] = width - 1 - keypoints[..., 0]
    boxes[:, 0] = width - 1 - boxes[:, 0] - boxes[:, 2]
    partners = MUPOTS_17.partners
    by_hand = Example(
        np.ascontiguousarray(example.image[:, ::-1]),
        keypoints[:, partners],
        boxes,
        example.areas,
        example.joints_mm[:, partners],
        example.camera,
    )
    found, wanted = made(replace(JOINTS, augmentation=MIRROR), example), made(JOINTS, by_hand)
    assert torch.allclose(found.joints, wanted.joints, atol=1e-4)
    assert (found.crops.int() - wanted.crops.int()).abs().max() <= 6
    # Left and right are not the same, so that a pair that stayed would be seen.
    plain = made(JOINTS, example).joints[..., 2]
    assert not torch.allclose(found.joints[..., 2], plain, atol=0.5)
    assert torch.allclose(found.joints[..., 2], plain[:, partners])


def test_a_turned_crop_keeps_depths_and_distances_from_its_middle() -> None:
    example = two_persons()
    plain, turned = made(JOINTS, example), made(replace(JOINTS, augmentation=TURN), example, 3)
    assert torch.equal(plain.joints[..., 2], turned.joints[..., 2])
    radii = [(s.joints[..., :2] - 16).norm(dim=2) for s in (plain, turned)]
    assert torch.allclose(radii[0], radii[1], atol=1e-3)
    assert not torch.allclose(plain.joints, turned.joints, atol=0.5)


def test_the_joints_lie_on_what_the_crop_shows() -> None:
    """A bright square around one joint is found at its place in turned, scaled, mirrored crops."""
    example = two_persons()
    joint = MUPOTS_17.keypoints.index("left_knee")
    x, y = example.keypoints[0, joint, :2].round().astype(int).tolist()
    keypoints, image = example.keypoints.copy(), np.zeros_like(example.image)
    keypoints[0, joint, :2] = x, y
    image[y - 2 : y + 3, x - 2 : x + 3] = 255
    sampling = replace(JOINTS, augmentation=Augmentation(15, 1, 0.15, 0.5, 0))
    mirrors = []
    for seed in range(8):
        found = made(sampling, replace(example, keypoints=keypoints, image=image), seed)
        light = found.crops[0].double().mean(2)
        light = light / light.sum()
        middle = [
            light.sum(0) @ torch.arange(128.0).double(),
            light.sum(1) @ torch.arange(128.0).double(),
        ]
        # In a mirror image it is the right one.
        places = found.joints[0, [joint, MUPOTS_17.partners[joint]], :2].double() * 4
        distances = (places - torch.stack(middle)).norm(dim=1)
        assert distances.min() < 0.3
        mirrors.append(int(distances.argmin()))
    assert set(mirrors) == {0, 1}


def test_samples_are_cut_and_joined_and_depend_on_the_seed() -> None:
    sampling = replace(JOINTS, augmentation=Augmentation(15, 0.6, 0.15, 0.5, 0), seed=2)
    samples = made(sampling, two_persons())
    assert samples.n == 2
    first, second = samples.rows(0, 1), samples.rows(1, None)
    assert (first.n, second.n) == (1, 1)
    joined = sampling.join([first, second]).on("cpu")
    assert isinstance(joined, JointSamples)
    assert all(map(torch.equal, joined, samples))
    assert all(map(torch.equal, made(sampling, two_persons()), samples))
    assert not torch.equal(made(sampling, two_persons(), 1).joints, samples.joints)
    assert sampling.plain == replace(JOINTS, seed=2)
    assert not sampling.whole


# --- roots ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("augmentation", [NONE, MIRROR, TURN])
def test_gamma_times_k_is_the_depth_of_the_root(augmentation: Augmentation) -> None:
    example = two_persons()
    assert example.joints_mm is not None
    found = made(replace(ROOTS, augmentation=augmentation), example)
    assert [(list(part.shape), part.dtype) for part in found] == [
        ([2, 128, 128, 3], torch.uint8),
        ([2, 3], torch.float32),
        ([2, 2], torch.float32),
        ([2], torch.float32),
    ]
    boxes = enlarged(example.boxes)
    k = np.sqrt(2000 * 2000 * CAMERA[0] * CAMERA[1] / (boxes[:, 2] * boxes[:, 3]))
    assert found.k_mm.numpy() == pytest.approx(k, rel=1e-6)
    depths = example.joints_mm[:, ROOT, 2]
    assert (found.roots[:, 2] * found.k_mm).numpy() == pytest.approx(depths, rel=1e-6)
    assert found.weights.all()


def test_a_root_is_where_posenets_root_is() -> None:
    for augmentation in (NONE, MIRROR, TURN):
        joints = made(replace(JOINTS, augmentation=augmentation), two_persons())
        roots = made(replace(ROOTS, augmentation=augmentation), two_persons())
        assert torch.equal(roots.roots[:, :2], joints.joints[:, ROOT, :2])
        assert torch.equal(roots.crops, joints.crops)


def test_roots_outside_of_the_crop_do_not_count_nor_depths_without_camera() -> None:
    example = two_persons()
    keypoints = example.keypoints.copy()
    keypoints[0, ROOT, 0] = enlarged(example.boxes)[0, 0] - 1
    moved = replace(example, keypoints=keypoints)
    assert made(ROOTS, moved).weights.tolist() == [[0, 0], [1, 1]]
    unknown = made(ROOTS, replace(moved, camera=np.full(4, np.nan)))
    assert unknown.weights.tolist() == [[0, 0], [1, 0]]
    assert unknown.k_mm.tolist() == [0, 0]
    assert unknown.roots.isfinite().all()


def test_the_longer_side_of_the_box_tells_k() -> None:
    example = two_persons()
    boxes = np.array([[0.0, 0, 40, 80], [5, 5, 80, 10]])
    found = made(ROOTS, replace(example, boxes=boxes))
    assert found.k_mm.tolist() == pytest.approx([2000 * np.sqrt(300 * 330) / 100] * 2)


def test_the_size_of_what_rootnet_sees_is_not_drawn() -> None:
    for augmentation in (replace(NONE, scale=0.1), replace(NONE, half_body_probability=0.1)):
        with pytest.raises(AssertionError):
            replace(ROOTS, augmentation=augmentation)


def test_root_samples_are_cut_and_joined() -> None:
    samples = made(ROOTS, two_persons())
    joined = ROOTS.join([samples.rows(0, 1), samples.rows(1, None)]).on("cpu")
    assert isinstance(joined, RootSamples)
    assert joined.n == 2
    assert all(map(torch.equal, joined, samples))
    sampling = replace(ROOTS, augmentation=TURN, seed=4)
    assert sampling.plain == replace(ROOTS, seed=4)
    assert not sampling.whole


def test_an_image_without_persons_gives_no_samples() -> None:
    empty = two_persons().persons(np.zeros(2, bool))
    for sampling in (JOINTS, ROOTS):
        assert made(sampling, empty).n == 0
