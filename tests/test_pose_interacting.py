"""PI-Net as a predictor: passes one by one, orders of persons, keypoints, files, options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from crowdbench import refiner
from crowdbench.card import Card
from crowdbench.datasets.split import Split
from crowdbench.errors import UsageError
from crowdbench.predictor import Batch, Predictor, Request, Settings
from crowdbench.structures import Array, Images, Poses
from predictors import pose_interacting
from predictors.networks import VARIANTS, create
from predictors.pose_interacting import PINet, PoseInteracting
from predictors.space.ordering import FAR, NEAR, RANDOM
from tests.results_3d import small

FX, FY, CX, CY = small.CAMERA
KINDS = [
    kind
    for kind in vars(pose_interacting).values()
    if isinstance(kind, type) and issubclass(kind, PoseInteracting) and kind is not PoseInteracting
]


class Given(Predictor):
    """A base that gives the poses it is told."""

    card: ClassVar[Card] = Card("given", "poses as they are", needs_images=False, needs_boxes=False)
    poses: ClassVar[Poses]

    def __init__(self, request: Request) -> None:
        self.settings = Settings("none", "given")

    def predict(self, batch: Batch) -> Poses:
        return self.poses.take(np.isin(self.poses.image_index, batch.images))


def scene(counts: Sequence[int], seed: int = 0, person_ids: Array | None = None) -> Poses:
    """Return poses of so many people in each image."""
    n = sum(counts)
    rng = np.random.default_rng(seed)
    middles = rng.uniform((-3000, -300, 4000), (3000, 300, 9000), (n, 1, 3))
    joints = middles + rng.normal(0, 300, (n, small.K, 3))
    none = np.zeros(n, np.int64)
    return Poses(
        np.repeat(np.arange(len(counts)), counts),
        small.project(joints),
        np.ones((n, small.K)),
        np.ones(n),
        none - 1,
        none,
        joints_mm=joints,
        person_ids=person_ids,
    )


def made(
    kind: type[PoseInteracting] = PINet,
    split: Split | None = None,
    weights: Path | None = None,
    precision: str = "fp32",
    **options: str,
) -> Any:
    """Return a loaded predictor on the base `Given`."""
    composed = refiner.compose(kind, Given)
    request = Request(split or small.split(), precision=precision, options=options)
    predictor = refiner.make(composed, request)
    predictor.load("cpu", weights)
    return predictor


def refined(predictor: Any, poses: Poses, split: Split | None = None) -> Array:
    found = predictor.refine(split or small.split(), poses)
    assert found.joints_mm is not None
    joints: Array = found.joints_mm
    return joints


def one_by_one(poses: Poses, places: Array, order: str = NEAR) -> Array:
    """Return the refined poses by a pass for each person, in float64 and in plain loops."""
    network = seeded("pi-net").double().eval()
    assert poses.joints_mm is not None
    found = np.empty_like(poses.joints_mm)
    for target in range(len(poses)):
        others = np.flatnonzero(poses.image_index == poses.image_index[target])
        others = others[others != target]
        distances = np.linalg.norm(places[others] - places[target], axis=1)
        others = others[np.argsort(distances if order == NEAR else -distances)]
        sequence = torch.from_numpy(poses.joints_mm[[target, *others]])
        with torch.inference_mode():
            found[target] = network(sequence[None])[0, 0].numpy()
    return found


def seeded(variant: str) -> torch.nn.Module:
    """Return the network with the weights that ``--weights random`` gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return create(variant)


# --- what comes out -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [NEAR, FAR])
@pytest.mark.parametrize("distance", ["boxes", "roots"])
def test_every_person_is_refined_by_a_pass_of_its_own(order: str, distance: str) -> None:
    poses = scene([3, 1, 20, 2])
    assert poses.joints_mm is not None
    middles = (poses.keypoints.min(1) + poses.keypoints.max(1)) / 2
    places = middles if distance == "boxes" else poses.joints_mm[:, 14]
    found = refined(made(order=order, distance=distance), poses)
    np.testing.assert_allclose(found, one_by_one(poses, places, order), rtol=0, atol=0.01)
    assert np.abs(found - poses.joints_mm).max() > 10


def test_predicting_keeps_what_the_base_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    poses = scene([3, 1, 0, 2], person_ids=np.array([107, 106, -1, 105, 101, 100]))
    monkeypatch.setattr(Given, "poses", poses, raising=False)
    predictor, split = made(), small.split()
    found = predictor.predict(Batch(split, np.arange(4)))
    assert np.array_equal(found.base_joints_mm, poses.joints_mm)
    assert np.array_equal(found.image_index, poses.image_index)
    assert np.array_equal(found.person_ids, poses.person_ids)
    assert np.array_equal(found.scores, poses.scores)
    # An image of its own, or with others: the same to the bit.
    alone = [predictor.predict(Batch(split, np.array([i]))).joints_mm for i in (0, 1, 3)]
    assert np.array_equal(np.concatenate(alone), found.joints_mm)
    assert len(predictor.predict(Batch(split, np.array([2])))) == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.card.name)
def test_every_variant_takes_one_person_two_and_twenty(kind: type[PoseInteracting]) -> None:
    assert kind.network_name in VARIANTS
    found = refined(made(kind), scene([1, 2, 20]))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precisions_keep_coordinates(precision: str) -> None:
    poses = scene([3, 2])
    exact, coarse = (refined(made(precision=p), poses) for p in ("fp32", precision))
    assert 1e-3 < np.abs(exact - coarse).max() < 40
    assert made(precision=precision).settings.precision == precision


def test_persons_in_the_same_place_are_no_division_by_zero() -> None:
    poses = scene([3, 2])
    assert poses.joints_mm is not None
    same = replace(poses, joints_mm=np.full_like(poses.joints_mm, 3000.0))
    for distance in ("boxes", "roots"):
        found = refined(made(distance=distance), same)
        assert np.abs(found - 3000).max() < 0.01


# --- orders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [NEAR, FAR])
def test_the_order_of_a_file_only_permutes_results(order: str) -> None:
    poses = scene([5])
    predictor = made(order=order)
    shuffled = np.array([3, 0, 4, 1, 2])
    found = refined(predictor, poses)
    np.testing.assert_allclose(
        refined(predictor, poses.take(shuffled)), found[shuffled], rtol=0, atol=1e-3
    )


def test_nothing_but_the_file_tells_unknown_persons_apart_in_a_random_order() -> None:
    poses = scene([5])
    predictor = made(order=RANDOM)
    shuffled = np.array([3, 0, 4, 1, 2])
    found = refined(predictor, poses)
    assert np.abs(refined(predictor, poses.take(shuffled)) - found[shuffled]).max() > 1e-2


@pytest.mark.parametrize("order", [NEAR, RANDOM])
def test_with_known_persons_the_order_of_a_file_changes_no_bit(order: str) -> None:
    split = crowd(6)
    poses = scene([6], person_ids=np.arange(6) + 50)
    predictor = made(split=split, order=order)
    shuffled = np.array([5, 3, 0, 4, 1, 2])
    found = refined(predictor, poses, split)
    assert np.array_equal(refined(predictor, poses.take(shuffled), split), found[shuffled])


def test_a_random_order_is_that_of_the_image_id() -> None:
    poses, split = scene([5, 5]), small.split()
    both = replace(poses, joints_mm=np.tile(poses.joints_mm[:5], (2, 1, 1)))  # type: ignore[index]
    predictor = made(order=RANDOM)
    found = refined(predictor, both)
    assert np.array_equal(found, refined(made(order=RANDOM), both))
    # The same people in another image follow each other otherwise.
    assert np.abs(found[:5] - found[5:]).max() > 1e-2
    # The row of an image does not matter, only its id: here that of the first is the second's.
    ids = split.images.ids.copy()
    ids[0] = ids[1]
    renamed = replace(split, images=replace(split.images, ids=ids))
    assert np.array_equal(refined(predictor, both, renamed)[:5], found[5:])


def crowd(n: int, boxes: Array | None = None) -> Split:
    """Return the small split with n persons in its first image, and none in the others."""
    split = small.split()
    truth = split.truth
    assert truth is not None
    rows = np.zeros(n, np.int64)
    people = replace(
        truth,
        image_index=rows,
        keypoints=truth.keypoints[rows],
        boxes=np.random.default_rng(3).uniform(0, 900, (n, 4)) if boxes is None else boxes,
        areas=truth.areas[rows],
        is_crowd=truth.is_crowd[rows],
        is_ignored=truth.is_ignored[rows],
        person_ids=np.arange(n) + 50,
        pose3d=None,
    )
    return replace(split, truth=people)


def test_of_persons_equally_far_the_later_annotation_is_seen_with_boxes_alone() -> None:
    # From the first person, the second is as far to the right as the third to the left.
    boxes = np.array([[500.0, 0, 10, 10], [700, 0, 10, 10], [300, 0, 10, 10]])
    split = crowd(3, boxes)
    poses = scene([3], person_ids=np.arange(3) + 50)
    found = refined(made(split=split), poses, split)
    without = refined(made(split=split), poses.take(np.array([0, 2])), split)
    np.testing.assert_allclose(found[0], without[0], rtol=0, atol=1e-3)
    # To the two others everybody is there.
    whole = one_by_one(poses, boxes[:, :2])
    np.testing.assert_allclose(found[1:], whole[1:], rtol=0, atol=0.01)
    assert np.abs(found[0] - whole[0]).max() > 1
    # The file has them the other way round, which is not what counts.
    turned = refined(made(split=split), poses.take(np.array([2, 1, 0])), split)
    assert np.array_equal(turned[::-1], found)
    roots = refined(made(split=split, distance="roots"), poses, split)
    assert poses.joints_mm is not None
    wanted = one_by_one(poses, poses.joints_mm[:, 14])
    np.testing.assert_allclose(roots, wanted, rtol=0, atol=0.01)


# --- keypoints ------------------------------------------------------------------------------------


def with_cameras(rows: Array) -> Split:
    split = small.split()
    images: Images = replace(split.images, intrinsics=rows)
    return replace(split, images=images)


def test_keypoints_are_where_the_camera_sees_the_joints() -> None:
    cameras = np.tile([FX, FY, CX, CY], (4, 1))
    cameras[1] = np.nan
    split, poses = with_cameras(cameras), scene([2, 2])
    found = made(split=split).refine(split, poses)
    np.testing.assert_allclose(found.keypoints[:2], small.project(found.joints_mm[:2]))
    assert np.array_equal(found.keypoints[2:], poses.keypoints[2:])
    without = small.split()
    assert np.array_equal(made().refine(without, poses).keypoints, poses.keypoints)


def test_joints_behind_the_camera_keep_their_keypoints() -> None:
    split = with_cameras(np.tile([FX, FY, CX, CY], (4, 1)))
    poses = scene([2])
    assert poses.joints_mm is not None
    near = replace(poses, joints_mm=poses.joints_mm - poses.joints_mm.mean((0, 1)))
    found = made(split=split).refine(split, near)
    is_behind = found.joints_mm[..., 2] < 1
    assert 0 < is_behind.sum() < is_behind.size
    assert np.array_equal(found.keypoints[is_behind], poses.keypoints[is_behind])
    wanted = small.project(found.joints_mm)
    np.testing.assert_allclose(found.keypoints[~is_behind], wanted[~is_behind])


# --- settings, weights, cards ---------------------------------------------------------------------


def test_settings_say_what_was_chosen() -> None:
    assert made().settings.options == {"order": "near-to-far", "distance": "boxes"}
    assert made(order="random", distance="roots").settings.options == {
        "order": "random",
        "distance": "roots",
    }
    with pytest.raises(
        UsageError, match="--option order=far: expected near-to-far, far-to-near or random"
    ):
        made(order="far")
    with pytest.raises(UsageError, match="--option distance=root: expected boxes or roots"):
        made(distance="root")


def test_an_official_checkpoint_loads_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(7)
    network = create("pi-net")
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(1, 2, 17, 3)).sum().backward()
    optimizer.step()
    path = tmp_path / "snapshot_24.pth.tar"
    content = {"epoch": 24, "network": network.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(content, path)
    predictor = made(weights=path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(predictor.network.state_dict()[name], tensor)


def test_cards_are_of_refiners_with_their_networks() -> None:
    names = {kind.card.name: kind.network_name for kind in KINDS}
    variants = {name: name for name in VARIANTS if name.startswith("pi-net")}
    assert names == {**variants, "pi-net-synthcrowd": "pi-net"}
    for kind in KINDS:
        card = kind.card
        assert card.refines
        assert not card.needs_images
        assert not card.needs_boxes
        assert card.needs_weights
        assert card.skeletons == ("mupots-17",)
        assert card.published == (("pi-net-3d",) if card.name == "pi-net" else ())


def test_the_cost_is_that_of_a_pass_over_two_persons() -> None:
    cost = made().own_cost()
    assert cost.parameters == 3_408_896
    # Attention and the last layers are for one person only.
    assert 5.6e6 < cost.multiply_adds < 6.5e6
