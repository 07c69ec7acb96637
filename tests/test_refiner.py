"""Refiners compose with any predictor of their keypoints, and keep the poses they are given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from msgspec.structs import replace as replace_in

from crowdbench.card import Card, Option
from crowdbench.errors import UsageError
from crowdbench.files import FileDigest
from crowdbench.merging import AS_THEY_ARE, Merging
from crowdbench.predictor import Batch, Cost, Predictor, Request, Settings, poses_of
from crowdbench.refiner import Refiner, compose, composition_of, make
from crowdbench.running.returned import predict_checked
from crowdbench.skeletons import COCO_17
from crowdbench.structures import Array, Boxes, Poses
from predictors.replay import Replay
from tests.results_3d.small import K, people, split

FILE = FileDigest("roots.json", "0" * 64, 1)


class InSpace(Predictor):
    """A pose in every box; says what it was given."""

    card: ClassVar[Card] = Card(
        "in-space",
        "",
        skeletons=("coco-17", "mupots-17"),
        images_per_shard=50,
        options=(Option("roots", ("gt", "file"), "Whose.", ("gt", "file")),),
        needs_weights=True,
    )
    given: ClassVar[dict[str, Any]] = {}

    def __init__(self, request: Request) -> None:
        assert request.boxes is not None
        self.given["request"] = request
        self.settings = Settings(
            request.boxes.source,
            "box",
            crops="some",
            precision=request.precision,
            pairing="annotation",
            boxes_independent=True,
            options={"roots": request.options.get("roots", "gt")},
            inputs={"roots": FILE},
            notes=("of the base",),
        )

    def load(self, device: str, weights: Path | None) -> None:
        self.given["loaded"] = (device, weights)

    def prepare(self, image: Array, boxes: Boxes | None) -> Any:
        return image.mean()

    def predict(self, batch: Batch) -> Poses:
        assert batch.boxes is not None
        n = len(batch.boxes.scores)
        points, joints = people(n)
        found = poses_of(batch.boxes, points, np.ones((n, K)), batch.boxes.scores, joints_mm=joints)
        # In no order, as they may come.
        return found.take(np.arange(n)[::-1])


class Down(Refiner):
    """Moves everybody down by 10 mm for each other person."""

    card: ClassVar[Card] = Card(
        "down",
        "",
        skeletons=("mupots-17", "coco-17", "crowdpose-14"),
        images_per_shard=200,
        options=(Option("by", ("N",), "How far."),),
        refines=True,
    )

    def __init__(self, request: Request) -> None:
        self.by = float(request.options.get("by", "10"))
        super().__init__(
            request, options={"by": f"{self.by:g}"}, notes=("its own",), inputs={"by": FILE}
        )

    def refine(self, split: Any, poses: Poses) -> Poses:
        assert poses.joints_mm is not None
        others = np.bincount(poses.image_index)[poses.image_index] - 1
        joints = poses.joints_mm + others[:, None, None] * np.array([0, self.by, 0])
        return replace(poses, joints_mm=joints)


SPLIT = split()
BOXES = Boxes(
    np.array([0, 0, 2]), np.array([[0, 0, 9, 9]] * 3, float), np.array([0.9, 0.5, 0.7]), "mine"
)


def made(kind: type[Predictor], **values: Any) -> Refiner:
    found = make(kind, Request(SPLIT, **{"boxes": BOXES, **values}))
    assert isinstance(found, Refiner)
    return found


def batch(boxes: Boxes | None = BOXES) -> Batch:
    images = np.arange(len(SPLIT.images)) if boxes is None else np.unique(boxes.image_index)
    return Batch(SPLIT, images, boxes)


def test_the_card_of_a_composition_is_the_refiners_with_the_needs_of_its_base() -> None:
    kind = compose(Down, InSpace)
    assert kind.card == Card(
        "down",
        "",
        skeletons=("mupots-17", "coco-17"),
        images_per_shard=50,
        options=(
            Option("by", ("N",), "How far."),
            Option("base.roots", ("gt", "file"), "Of the base in-space: Whose.", ("gt", "file")),
        ),
        refines=True,
    )
    without = compose(Down, Replay).card
    assert not without.needs_images
    assert not without.needs_boxes
    assert without.skeletons == Down.card.skeletons
    assert without.images_per_shard == 200
    assert composition_of(kind) == (Down, InSpace)
    assert composition_of(Down) is composition_of(InSpace) is None


def test_what_does_not_compose_is_refused() -> None:
    with pytest.raises(UsageError, match="--base down: it refines poses itself"):
        compose(Down, compose(Down, InSpace))
    other = type("Other", (InSpace,), {"card": Card("other", "", skeletons=("ochuman-19",))})
    with pytest.raises(UsageError) as refused:
        compose(Down, other)
    assert str(refused.value) == (
        "down refines poses with mupots-17 or coco-17 or crowdpose-14, other gives ochuman-19: "
        "choose another --base"
    )


def test_the_base_is_made_from_its_part_of_the_request() -> None:
    kind = compose(Down, InSpace)
    chosen = {"by": "5", "base.roots": "file"}
    weights, poses = Path("w.pth"), Path("p.json")
    found = made(kind, options=chosen, base_weights=weights, precision="bf16", predictions=poses)
    request = InSpace.given["request"]
    assert request.options == {"roots": "file"}
    assert (request.boxes, request.precision, request.predictions) == (BOXES, "bf16", poses)
    assert (request.base, request.base_weights) == (None, None)
    assert found.settings == Settings(
        "mine",
        "box",
        crops="some",
        precision="bf16",
        pairing="annotation",
        boxes_independent=False,
        options={"by": "5", "base.roots": "file"},
        inputs={"by": FILE, "base roots": FILE},
        notes=("of the base", "its own"),
    )
    found.load("cuda:7", Path("own.pth"))
    assert InSpace.given["loaded"] == ("cuda:7", weights)
    assert found.prepare(np.full((2, 2, 3), 7, np.uint8), None) == 7


@pytest.mark.parametrize(
    ("own", "of_base", "both"),
    [("none", "none", "none"), ("none", "fp16", "fp16"), ("fp16", "none", "fp16"),
     ("bf16", "bf16", "bf16"), ("bf16", "fp32", "bf16 and fp32")],
)  # fmt: skip
def test_the_precision_is_that_of_all_networks(own: str, of_base: str, both: str) -> None:
    class Computes(Down):
        def __init__(self, request: Request) -> None:
            Refiner.__init__(self, request, precision=own)

    found = made(compose(Computes, InSpace), precision=of_base)
    assert found.settings.precision == both


def test_poses_are_refined_together_and_keep_what_they_were() -> None:
    found = made(compose(Down, InSpace)).predict(batch())
    _, joints = people(3)
    # In the order in which those of the base would be stored.
    assert found.image_index.tolist() == [0, 0, 2]
    assert found.box_index.tolist() == [0, 1, 2]
    assert found.base_joints_mm is not None
    np.testing.assert_array_equal(found.base_joints_mm, joints)
    np.testing.assert_array_equal(found.base_keypoints, people(3)[0])
    assert found.joints_mm is not None
    moved = np.subtract(found.joints_mm, joints)
    np.testing.assert_allclose(moved[..., 1], [[10] * K, [10] * K, [0] * K], atol=1e-9)
    assert not moved[..., [0, 2]].any()
    assert found.box_scores is not None
    assert found.box_scores.tolist() == [0.9, 0.5, 0.7]


def test_images_without_poses_are_not_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(compose(Down, InSpace))
    monkeypatch.setattr(Down, "refine", lambda *_: pytest.fail("there is nothing to refine"))
    assert len(predict_checked(found, batch(BOXES.take(slice(0, 0))))) == 0


class InTwo(InSpace):
    """Two candidates for each box, nearly equal, of which one stays."""

    card: ClassVar[Card] = Card("in-two", "")

    def __init__(self, request: Request) -> None:
        self.settings = Settings("mine", "box", Merging("oks-nms", 0.9))

    def predict(self, batch: Batch) -> Poses:
        boxes = batch.boxes
        assert boxes is not None
        points, _ = people(3)
        rows = np.array([0, 0, 1, 1, 2, 2])
        better = np.array([0, 1, 1, 0, 0, 1])
        areas = np.full(6, 1e6)
        return poses_of(
            boxes, points[rows] + better[:, None, None], np.ones((6, K)), better + 1.0,
            rows=rows, areas=areas,
        )  # fmt: skip


class Counts(Refiner):
    """Changes nothing but the scores, which say how many poses it saw."""

    card: ClassVar[Card] = Card("counts", "", refines=True)

    def refine(self, split: Any, poses: Poses) -> Poses:
        return replace(poses, scores=np.full(len(poses), float(len(poses))))


def test_what_is_refined_are_the_final_poses_of_the_base() -> None:
    in_image = replace(SPLIT, skeleton=COCO_17)
    found = make(compose(Counts, InTwo), Request(in_image, BOXES))
    assert found.settings.merging == AS_THEY_ARE
    poses = found.predict(Batch(in_image, np.array([0, 2]), BOXES))
    assert poses.scores.tolist() == [3, 3, 3]
    points, _ = people(3)
    np.testing.assert_array_equal(poses.keypoints, points + 1)
    # In the image there are no joints to start from.
    assert poses.base_joints_mm is None


def test_box_scores_of_a_base_without_boxes_are_not_kept() -> None:
    class Reads(InSpace):
        card: ClassVar[Card] = Card("reads", "", needs_boxes=False)

        def __init__(self, request: Request) -> None:
            self.settings = Settings("predictions", "given", pose_area="box")

        def predict(self, batch: Batch) -> Poses:
            return super().predict(replace(batch, boxes=BOXES))

    found = made(compose(Counts, Reads), boxes=None)
    # Nothing chooses among poses that were refined together, and nothing is refined again.
    assert found.settings.boxes_independent
    poses = found.predict(batch(None))
    assert poses.box_scores is None
    assert poses.boxes is not None
    assert len(poses) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda poses: None, "NoneType"),
        (lambda poses: poses.take(slice(1, None)), "2 poses"),
        (lambda poses: poses.take([0, 2, 1]), "another image_index"),
        (lambda poses: poses.take([1, 0, 2]), "another box_index"),
        (lambda poses: replace(poses, instance=poses.instance + 1), "another instance"),
        (lambda poses: replace(poses, person_ids=np.arange(3)), "another person_ids"),
    ],
)
def test_other_poses_than_those_given_are_refused(
    monkeypatch: pytest.MonkeyPatch, change: Any, said: str
) -> None:
    monkeypatch.setattr(Counts, "refine", lambda self, split, poses: change(poses))
    with pytest.raises(UsageError) as refused:
        made(compose(Counts, InSpace)).predict(batch())
    assert str(refused.value) == (
        f"predictor counts: refine returned {said}, expected one pose for each of the 3 it was "
        "given, in their order"
    )


def test_what_refine_writes_into_its_poses_leaves_those_before_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def in_place(self: Counts, split: Any, poses: Poses) -> Poses:
        assert poses.joints_mm is not None
        poses.joints_mm[:] += 10
        poses.keypoints[:] += 10
        return poses

    monkeypatch.setattr(Counts, "refine", in_place)
    found = made(compose(Counts, InSpace)).predict(batch())
    points, joints = people(3)
    np.testing.assert_array_equal(found.base_joints_mm, joints)
    np.testing.assert_array_equal(found.base_keypoints, points)
    np.testing.assert_array_equal(found.joints_mm, joints + 10)


def test_who_is_who_is_not_changed_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_place(self: Counts, split: Any, poses: Poses) -> Poses:
        assert poses.person_ids is not None
        poses.person_ids[:] = poses.person_ids[::-1]
        return poses

    monkeypatch.setattr(Counts, "refine", in_place)
    boxes = replace(BOXES, person_ids=np.array([5, 6, 7]))
    with pytest.raises(UsageError, match="refine returned another person_ids"):
        made(compose(Counts, InSpace), boxes=boxes).predict(batch(boxes))


def test_a_pose_costs_what_both_need(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(compose(Counts, InSpace))
    assert found.cost() is None
    own = Cost(1, 10, 100.0)
    monkeypatch.setattr(Counts, "own_cost", lambda _: own)
    # What the base costs is not known.
    assert found.cost() is None
    monkeypatch.setattr(InSpace, "cost", lambda _: Cost(2, 20, 200.0))
    assert found.cost() == Cost(3, 30, 300.0)
    # A base without weights has no network.
    monkeypatch.setattr(InSpace, "card", replace_in(InSpace.card, needs_weights=False))
    assert found.cost() == own
    monkeypatch.setattr(Counts, "own_cost", lambda _: None)
    assert found.cost() is None
