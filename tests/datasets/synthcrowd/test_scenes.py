"""What SynthCrowd's pictures and their truth must hold, and that they are the same everywhere."""

import hashlib

import numpy as np
import pytest

from crowdbench.conditions.box_iou import highest_iou
from crowdbench.conditions.crowd_index import crowd_index
from crowdbench.datasets.synthcrowd import scenes
from crowdbench.datasets.synthcrowd.actions import ACTIONS, act
from crowdbench.datasets.synthcrowd.body import ANGLES, within_limits
from crowdbench.datasets.synthcrowd.draws import Draws
from crowdbench.datasets.synthcrowd.layout import arrange
from crowdbench.datasets.synthcrowd.raster import project
from crowdbench.datasets.synthcrowd.scenes import render
from crowdbench.datasets.synthcrowd.truth import MUPOTS_JOINTS
from crowdbench.skeletons import COCO_17, CROWDPOSE_14
from crowdbench.structures import GroundTruth

# The first 12 hex digits of the sha256 of the pixels, and of all that is true about the people.
DIGESTS = (
    ("train", 0, "55ddc51998e0", "841dfe84bda2"),
    ("train", 1, "9570d6017a09", "83d3d513517e"),
    ("train", 2, "756f874ca5cc", "35a782510c44"),
    ("train", 3, "73bc70f1c1d6", "4b18d53b1879"),
    ("train", 4, "40f2c7c52f30", "1d56e3bf09fd"),
    ("train", 5, "38f8fb734055", "5b46184fa9dc"),
    ("train", 6, "7e3b9d629168", "bdde5abbb58e"),
    ("val", 0, "086c824922b6", "cca4817bd297"),
    ("val", 1, "5d09ab060018", "08abd5aade9b"),
    ("val", 2, "5a51dac4e44d", "06f273a0b476"),
    ("val", 3, "50a68561f65e", "247aa34bbfc9"),
    ("val", 4, "2136a29db95e", "8ba1872b3c04"),
    ("val", 5, "bef0f2e312b4", "88053f2ac827"),
    ("val", 6, "944b8da24407", "864cb9965236"),
    ("test", 0, "5deab5e62c25", "4b0f57ab7f1b"),
    ("test", 1, "1e1e75ec33b4", "f8743334e245"),
    ("test", 2, "a7560d435600", "2db7998f0f18"),
    ("test", 3, "808e8c9419dc", "c664e2fd2428"),
    ("test", 4, "101bd9942f1c", "294b1a5801f8"),
    ("test", 5, "b54e5f9eb135", "d9bac3042d98"),
    ("test", 6, "b460ffdb4255", "11ee63f198e6"),
)


def digests(part, index):
    picture = render(part, index)
    truth = hashlib.sha256()
    for name in (
        "keypoints", "crowdpose", "joints_mm", "joint_visibility", "boxes", "areas", "silhouettes",
        "visible", "visible_fractions",
    ):  # fmt: skip
        truth.update(getattr(picture.people, name).tobytes())
    return hashlib.sha256(picture.pixels.tobytes()).hexdigest()[:12], truth.hexdigest()[:12]


@pytest.fixture(scope="module")
def pictures():
    return [render("val", index) for index in range(60)]


def test_the_bytes_of_pictures_and_truth_are_the_committed_ones():
    found = [(part, i, *digests(part, i)) for part in ("train", "val", "test") for i in range(7)]
    assert len(found) == 21
    assert found == list(DIGESTS)


def test_a_picture_is_the_same_whatever_was_rendered_before():
    first = digests("test", 3)
    render("train", 11)
    assert digests("test", 3) == first
    assert digests("test", 4) != first


def test_keypoints_are_the_projected_joints(pictures):
    coco = {name: i for i, name in enumerate(COCO_17.keypoints)}
    n = 0
    for picture in pictures:
        people, camera = picture.people, picture.intrinsics
        points = project(people.joints_mm, camera)
        for row, name in enumerate(MUPOTS_JOINTS):
            if name in coco:
                keypoints = people.keypoints[:, coco[name]]
                shown = keypoints[:, 2] > 0
                np.testing.assert_array_equal(keypoints[shown, :2], points[shown, row])
                np.testing.assert_array_equal(keypoints[:, 2], people.joint_visibility[:, row])
                n += shown.sum()
        shared = [CROWDPOSE_14.keypoints.index("left_knee"), coco["left_knee"]]
        np.testing.assert_array_equal(
            people.crowdpose[:, shared[0]], people.keypoints[:, shared[1]]
        )
    assert n > 1000


def test_keypoints_lie_in_the_image_or_have_no_label(pictures):
    for picture in pictures:
        height, width = picture.pixels.shape[:2]
        x, y, labels = np.moveaxis(picture.people.keypoints, -1, 0)
        shown = labels > 0
        assert ((x[shown] >= 0) & (x[shown] <= width - 1)).all()
        assert ((y[shown] >= 0) & (y[shown] <= height - 1)).all()
        assert (x[~shown] == 0).all()
        assert (y[~shown] == 0).all()


def test_visible_keypoints_lie_on_the_visible_part_of_their_person(pictures):
    on, total = 0, 0
    for picture in pictures:
        for keypoints, visible in zip(
            picture.people.keypoints, picture.people.visible, strict=True
        ):
            x, y = np.rint(keypoints[keypoints[:, 2] == 2, :2]).astype(int).T
            on += visible[y, x].sum()
            total += len(x)
    assert total > 1500
    # Ears and eyes at the very edge of a head may miss it by a pixel.
    assert on / total > 0.98


def test_keypoints_behind_others_are_occluded(pictures):
    """Whoever is covered at a keypoint by somebody else's body has it labelled occluded."""
    hidden, total = 0, 0
    for picture in pictures:
        people = picture.people
        for p in range(len(people)):
            others = people.visible[np.arange(len(people)) != p].any(axis=0)
            shown = people.keypoints[p, :, 2] > 0
            x, y = np.rint(people.keypoints[p, shown, :2]).astype(int).T
            covered = people.silhouettes[p][y, x] & others[y, x] & ~people.visible[p][y, x]
            hidden += (people.keypoints[p, shown, 2][covered] == 1).sum()
            total += covered.sum()
    assert total > 150
    # A joint is a point, a pixel is not.
    assert hidden / total > 0.97


def test_masks_boxes_and_fractions_belong_together(pictures):
    for picture in pictures:
        people = picture.people
        assert not (people.visible & ~people.silhouettes).any()
        np.testing.assert_array_equal(people.silhouettes.sum((1, 2)), people.areas)
        fractions = people.visible.sum((1, 2)) / people.areas
        np.testing.assert_array_equal(fractions, people.visible_fractions)
        # No pixel shows two persons, but where two of its four parts differ.
        assert (people.visible.sum(0) > 1).mean() < 0.01
        for mask, (x, y, w, h) in zip(people.silhouettes, people.boxes.astype(int), strict=True):
            rows, columns = np.nonzero(mask)
            assert (columns.min(), rows.min()) == (x, y)
            assert (columns.max() - columns.min() + 1, rows.max() - rows.min() + 1) == (w, h)


def test_nobody_is_in_the_ground_or_above_it():
    for index in range(25):
        draws = Draws(77, index)
        layout = arrange(draws)
        crowd = scenes._crowd(layout, draws)
        solids = crowd.solids.take(np.flatnonzero(~crowd.solids.is_cut))
        low = np.minimum(
            solids.starts[:, 1] - solids.start_radii, solids.ends[:, 1] - solids.end_radii
        )
        for person in range(len(layout.persons)):
            assert low[solids.owners == person].min() == pytest.approx(0, abs=1e-6)


def test_lying_people_are_flat():
    for index in range(200):
        angles = act("lying", Draws(5, index))
        pitch, roll = angles[ANGLES.index("pitch")], angles[ANGLES.index("roll")]
        assert max(abs(pitch), abs(roll)) > 70
    found = [render("val", i) for i in range(60)]
    heights = [
        np.ptp(joints[:, 1]) for p in found for joints, action in
        zip(p.people.joints_mm, p.people.actions, strict=True) if action == "lying"
    ]  # fmt: skip
    assert len(heights) >= 3
    assert np.median(heights) < 900


def test_joints_keep_their_limits():
    for action in ACTIONS:
        for index in range(50):
            angles = act(action, Draws(9, index))[None]
            np.testing.assert_array_equal(within_limits(angles), angles)


def test_people_stand_apart():
    """Nearer than this, bodies would go through each other; those who hug may."""
    n = 0
    for index in range(300):
        persons = [p for p in arrange(Draws(6, index)).persons if p.action != "hugging"]
        x, z = np.array([[p.x, p.z] for p in persons]).reshape(-1, 2).T
        distances = np.hypot(x[:, None] - x, z[:, None] - z)[np.triu_indices(len(x), 1)]
        n += len(distances)
        assert (distances > 200).all()
    assert n > 1000


def test_the_crowding_is_spread():
    """Every level of the crowd index has enough images, and the hard ones are like OCHuman's."""
    people = [render("test", index).people for index in range(150)]
    image_index = np.repeat(np.arange(len(people)), [len(p) for p in people])
    boxes = np.concatenate([p.boxes for p in people])
    keypoints = np.concatenate([p.keypoints for p in people])
    n = len(boxes)
    no = np.zeros(n, bool)
    ids = np.arange(len(people))
    truth = GroundTruth(ids, image_index, keypoints, boxes, boxes[:, 2], no, no, np.arange(n))
    index = crowd_index(truth, 17)
    easy, hard = index < 0.2, index > 0.8
    assert easy.mean() > 0.2
    assert hard.mean() > 0.2
    assert (~easy & ~hard).mean() > 0.2
    overlap = highest_iou(boxes, image_index)
    assert np.mean(overlap[hard[image_index]]) == pytest.approx(0.6, abs=0.06)
    counts, _ = np.histogram(overlap, [0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 1])
    assert counts.min() >= 8
