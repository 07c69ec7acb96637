"""The labels of keypoints: worked out by hand, against a plain loop, and their properties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdbench.metrics import keypoint_errors
from crowdbench.metrics.evaluation import evaluate, pose_areas
from crowdbench.metrics.keypoint_errors import (
    UNLABELLED,
    LabelledPoses,
    label_keypoints,
    labelled_poses,
)
from crowdbench.metrics.oks import oks_pairs
from crowdbench.metrics.slices import Slice, match_slices
from crowdbench.skeletons import COCO_17, CROWDPOSE_14, Skeleton
from crowdbench.structures import Array, GroundTruth, Poses

GOOD, JITTER, INVERSION, SWAP, MISS = range(5)
# A keypoint without a partner and a pair.
SMALL = Skeleton("small", ("nose", "left", "right"), (0.05, 0.1, 0.1), mirror=((1, 2),), counted=3)


def persons_of(
    points: Any, image: list[int], areas: Any = None, visibility: Any = None, **changes: Any
) -> GroundTruth:
    """Return (P, K, 2) points as annotated persons, all labelled and evaluated by default."""
    points = np.asarray(points, float)
    n = len(points)
    seen = np.full(points.shape[:2], 2.0) if visibility is None else np.asarray(visibility, float)
    fields = {
        "image_ids": np.arange(1, max(image, default=0) + 2),
        "image_index": np.array(image, np.int64),
        "keypoints": np.concatenate([points, seen[..., None]], 2),
        "boxes": np.tile([0.0, 0.0, 50.0, 50.0], (n, 1)),
        "areas": np.full(n, 2500.0) if areas is None else np.asarray(areas, float),
        "is_crowd": np.zeros(n, bool),
        "is_ignored": np.zeros(n, bool),
        "person_ids": np.arange(n),
    }
    return GroundTruth(**(fields | changes))


def poses_of(points: Any, image: list[int], scores: Any = None) -> Poses:
    points = np.asarray(points, float)
    n = len(points)
    return Poses(
        image_index=np.array(image, np.int64),
        keypoints=points,
        keypoint_scores=np.ones(points.shape[:2]),
        scores=np.linspace(1, 0.5, n) if scores is None else np.asarray(scores, float),
        box_index=np.full(n, -1),
        instance=np.zeros(n, np.int64),
    )


def labelled(
    truth: GroundTruth, poses: Poses, skeleton: Skeleton, slices: Sequence[Slice] = (Slice(),)
) -> LabelledPoses:
    matched = match_slices(truth, poses, pose_areas(poses), skeleton.sigma_array, slices)
    return labelled_poses(truth, poses, skeleton, matched)


def body(skeleton: Skeleton, seed: int = 0) -> Array:
    """Return (K, 2) keypoints that lie far apart for a person of 2,500 px²."""
    k = np.arange(len(skeleton))
    places = np.stack([k % 5, k // 5], 1) * 90.0
    return places + np.random.default_rng(seed).uniform(-5, 5, places.shape)


def mirrored(points: Array, skeleton: Skeleton) -> Array:
    partner = np.arange(len(skeleton))
    for left, right in skeleton.mirror:
        partner[[left, right]] = right, left
    return points[..., partner, :]


def distance(similarity: float, sigma: float, area: float = 2500.0) -> float:
    return 2 * sigma * math.sqrt(-2 * area * math.log(similarity))


def naive_labels(
    points: Array, person: Array, truth: GroundTruth, skeleton: Skeleton
) -> list[list[int]]:
    """Label keypoint by keypoint, going through a list of candidates as the rule says it."""
    found = []
    for pose, own in zip(points, person.tolist(), strict=True):
        here = np.flatnonzero(truth.image_index == truth.image_index[own]).tolist()
        order = [own, *(g for g in here if g != own)]
        candidates = [(g, truth.keypoints[g]) for g in order]
        candidates += [(g, mirrored(truth.keypoints[g], skeleton)) for g in order]
        row = []
        for i, sigma in enumerate(skeleton.sigmas):
            if truth.keypoints[own, i, 2] <= 0:
                row.append(UNLABELLED)
                continue
            best, winner = 0.0, 0
            for number, (g, candidate) in enumerate(candidates):
                if candidate[i, 2] <= 0:
                    continue
                d2 = float(((pose[i] - candidate[i, :2]) ** 2).sum())
                ks = float(np.exp(-d2 / ((2 * sigma) ** 2 * (truth.areas[g] + 2**-52)) / 2))
                if ks > best:
                    best, winner = ks, number
            if best < 0.5:
                row.append(MISS)
            elif winner == 0:
                row.append(GOOD if best >= 0.85 else JITTER)
            else:
                row.append(INVERSION if winner == len(order) else SWAP)
        found.append(row)
    return found


# The rule, worked out by hand.


def test_each_label_of_one_pose_worked_out_by_hand() -> None:
    # Person 0 stands at x = 0, 100 and 200, person 1 300 px below; their tolerances (similarity
    # 0.5) are 5.9 px for the nose and 11.8 px for the pair.
    line = np.array([[0.0, 0], [100, 0], [200, 0]])
    truth = persons_of([line, line + np.array([0, 300])], [0, 0])
    near, far = distance(0.51, 0.1), distance(0.49, 0.1)
    assert near == pytest.approx(11.60, abs=0.01)
    cases: list[tuple[list[list[float]], list[int]]] = [
        ([[0, 0], [100, 5], [200, -near]], [GOOD, GOOD, JITTER]),
        ([[0, 5.5], [200, 0], [100, near]], [JITTER, INVERSION, INVERSION]),
        ([[0, 300], [100, 300 - near], [100, 300]], [SWAP, SWAP, SWAP]),
        ([[100, 0], [100, far], [200, 300 - far]], [MISS, MISS, MISS]),
    ]
    points = np.array([points for points, _ in cases], float)
    labels = label_keypoints(points, np.zeros(4, np.int64), truth, SMALL)
    assert labels.tolist() == [wanted for _, wanted in cases]


def test_the_closest_decides_even_where_the_own_keypoint_is_near() -> None:
    # Similarity 0.6 to the own nose and 0.7 to the neighbour's.
    own, other = distance(0.6, 0.05), distance(0.7, 0.05)
    points = np.array([[[0.0, 0], [500, 0], [700, 0]], [[own + other, 0], [500, 300], [700, 300]]])
    truth = persons_of(points, [0, 0])
    pose = points[:1].copy()
    pose[0, 0] = [own, 0]
    assert label_keypoints(pose, np.array([0]), truth, SMALL)[0, 0] == SWAP


def test_every_candidate_is_measured_by_its_own_area() -> None:
    # 20 px off a small person's nose and 25 px off a large one's.
    points = np.array([[[0.0, 0], [500, 0], [700, 0]], [[45, 0], [500, 300], [700, 300]]])
    pose = points[:1].copy()
    pose[0, 0] = [20, 0]
    person = np.array([0])
    small = label_keypoints(pose, person, persons_of(points, [0, 0], [2500, 2500]), SMALL)
    large = label_keypoints(pose, person, persons_of(points, [0, 0], [2500, 250_000]), SMALL)
    assert (small[0, 0], large[0, 0]) == (MISS, SWAP)


def test_of_equally_near_candidates_the_first_wins() -> None:
    line = np.array([[0.0, 0], [100, 0], [200, 0]])
    pose = line[None]
    person = np.array([0])
    twin = persons_of([line, line], [0, 0])
    assert label_keypoints(pose, person, twin, SMALL).tolist() == [[GOOD] * 3]
    # Person 1 has left and right where person 0 has right and left: on person 0's partner lies
    # person 1's own keypoint, which comes first.
    crossed = persons_of([line, line[[0, 2, 1]]], [0, 0])
    swapped = line[[0, 2, 1]][None]
    assert label_keypoints(swapped, person, crossed, SMALL).tolist() == [[GOOD, SWAP, SWAP]]
    # On person 0's partner lies person 1's partner, which comes after it.
    assert label_keypoints(swapped, person, twin, SMALL).tolist() == [[GOOD, INVERSION, INVERSION]]


def test_a_similarity_of_exactly_085_is_good_and_the_next_below_is_jitter() -> None:
    spread = (2 * 0.05) ** 2 * (2500.0 + np.spacing(1.0))
    near = distance(0.85, 0.05)
    x = near + np.arange(-2000, 2000) * np.spacing(near)
    similarity = np.exp(-(x**2) / spread / 2)
    exact = x[similarity == 0.85]
    below = x[(similarity < 0.85) & (similarity > 0.85 - 1e-12)]
    assert len(exact)
    assert len(below)
    truth = persons_of([[[0, 0], [500, 0], [700, 0]]], [0])
    for places, label in ((exact, GOOD), (below, JITTER)):
        pose = np.tile([[0.0, 0], [500, 0], [700, 0]], (len(places), 1, 1))
        pose[:, 0, 0] = places
        found = label_keypoints(pose, np.zeros(len(places), np.int64), truth, SMALL)
        assert set(found[:, 0].tolist()) == {label}


def test_keypoints_without_a_label_get_none_and_stand_for_nobody() -> None:
    line = np.array([[0.0, 0], [100, 0], [200, 0]])
    seen = [[2, 0, 1], [0, 2, 2]]
    truth = persons_of([line, line + np.array([0, 300])], [0, 0], visibility=seen)
    pose = np.array([[[0.0, 300], [100, 0], [100, 0]]])
    # The other's nose, the own left keypoint: neither is annotated.
    assert label_keypoints(pose, np.array([0]), truth, SMALL).tolist() == [[MISS, UNLABELLED, MISS]]


# What the data must show.


@pytest.mark.parametrize("skeleton", [COCO_17, CROWDPOSE_14, SMALL], ids=lambda s: s.name)
def test_perfect_mirrored_shifted_and_lost_poses(skeleton: Skeleton) -> None:
    points = body(skeleton)[None]
    truth = persons_of(points, [0])
    person, sigmas = np.array([0]), skeleton.sigma_array
    paired = np.zeros(len(skeleton), bool)
    paired[[i for pair in skeleton.mirror for i in pair]] = True

    def label(pose: Array) -> list[int]:
        labels: list[int] = label_keypoints(pose, person, truth, skeleton)[0].tolist()
        return labels

    def shifted(similarity: float) -> Array:
        moved = points.copy()
        moved[0, :, 0] += [distance(similarity, sigma) for sigma in sigmas]
        return moved

    assert label(points) == [GOOD] * len(skeleton)
    inverted = label(mirrored(points, skeleton))
    assert inverted == np.where(paired, INVERSION, GOOD).tolist()
    assert label(shifted(0.7)) == [JITTER] * len(skeleton)
    assert label(shifted(0.3)) == [MISS] * len(skeleton)


@pytest.mark.parametrize("skeleton", [COCO_17, CROWDPOSE_14], ids=lambda s: s.name)
def test_a_neighbours_skeleton_is_all_swap_either_way_round(skeleton: Skeleton) -> None:
    points = body(skeleton)
    truth = persons_of([points, points + 2000], [0, 0])
    for pose in (points + 2000, mirrored(points + 2000, skeleton)):
        labels = label_keypoints(pose[None], np.array([0]), truth, skeleton)
        assert set(labels.ravel().tolist()) == {SWAP}
    elsewhere = persons_of([points, points + 2000], [0, 1])
    labels = label_keypoints((points + 2000)[None], np.array([0]), elsewhere, skeleton)
    assert set(labels.ravel().tolist()) == {MISS}


def test_persons_who_are_not_evaluated_and_crowd_regions_can_be_swapped_with() -> None:
    points = body(COCO_17)
    truth = persons_of(
        [points, points + 2000, points + 4000],
        [0, 0, 0],
        is_ignored=np.array([False, True, True]),
        is_crowd=np.array([False, False, True]),
    )
    pose = points.copy()
    pose[9], pose[10] = points[9] + 2000, points[10] + 4000
    found = labelled(truth, poses_of([pose], [0]), COCO_17)
    assert found.labels[0, 9:11].tolist() == [SWAP, SWAP]
    assert found.counts().sum(0).tolist() == [15, 0, 0, 2, 0]


# Whose keypoints are labelled.


def test_who_is_matched_at_oks_010_is_labelled_once_by_the_first_20_poses() -> None:
    points = body(COCO_17)
    loose, lost = points.copy(), points.copy()
    # Two keypoints of 17 right: OKS 0.12; one: 0.06.
    loose[2:] += 1000
    lost[1:] += 1000
    truth = persons_of([points, points + 2000, points + 4000], [0, 0, 0])
    poses = poses_of([loose, lost + 2000, points + 4000, points], [0] * 4, [0.5, 0.9, 0.8, 0.1])
    found = labelled(truth, poses, COCO_17)
    assert found.pose.tolist() == [2, 0]
    assert found.person.tolist() == [2, 0]
    assert found.counts().sum(0).tolist() == [19, 0, 0, 0, 15]

    others = np.tile(points + 9000, (20, 1, 1))
    crowded = poses_of([*others, points], [0] * 21, np.r_[np.full(20, 0.9), 0.1])
    # By the poses of the whole split, though a row has others in other places.
    pair = persons_of([points, points], [0, 1])
    some = poses_of([points, points + 3000, points], [0, 1, 1], [0.1, 0.5, 0.9])
    first_two = Slice(np.array([True, True, False]))
    assert labelled(pair, some, COCO_17, [first_two, Slice()]).pose.tolist() == [0]
    # Persons of any size.
    sizes = persons_of(
        [points, points + 2000, points + 4000], [0] * 3, areas=np.array([900.0, 2500, 40_000])
    )
    of_each = poses_of([points, points + 2000, points + 4000], [0] * 3)
    assert len(labelled(sizes, of_each, COCO_17).pose) == 3

    everyone, chosen = Slice(), Slice(np.arange(21) > 0)
    assert labelled(truth, crowded, COCO_17, [everyone, chosen]).pose.tolist() == []
    assert labelled(truth, crowded, COCO_17, [chosen, everyone]).pose.tolist() == [20]


def test_persons_without_labels_and_ignored_ones_are_left_out() -> None:
    points = body(COCO_17)
    nobody = np.zeros(17)
    truth = persons_of(
        [points, points + 2000, points + 4000],
        [0, 0, 0],
        visibility=[nobody, np.full(17, 2), np.full(17, 1)],
        is_ignored=np.array([False, True, False]),
        boxes=np.array([[0.0, 0, 500, 500]] * 3),
    )
    found = labelled(truth, poses_of([points, points + 2000, points + 4000], [0] * 3), COCO_17)
    assert found.person.tolist() == [2]


def test_nothing_at_all_gives_counts_of_zero() -> None:
    points = body(COCO_17)[None]
    nobody = points[:0]
    for truth, poses in (
        (persons_of(points, [0]), poses_of(nobody, [])),
        (persons_of(nobody, []), poses_of(points, [0])),
        (persons_of(nobody, []), poses_of(nobody, [])),
    ):
        found = labelled(truth, poses, COCO_17)
        assert found.labels.shape == (0, 17)
        assert found.counts().tolist() == [[0] * 5] * 17


def test_counts_of_some_persons_only() -> None:
    found = LabelledPoses(
        np.arange(3), np.array([4, 1, 0]), np.array([[0, 3], [3, -1], [4, 4]], np.int8)
    )
    assert found.counts().tolist() == [[1, 0, 0, 1, 1], [0, 0, 0, 1, 1]]
    chosen = np.array([True, False, False, False, True])
    assert found.counts(chosen).tolist() == [[1, 0, 0, 0, 1], [0, 0, 0, 1, 1]]


def test_numbers_near_the_limits_of_float64_are_misses() -> None:
    points = body(COCO_17)
    truth = persons_of([points, points + 2000], [0, 0])
    pose = np.full((1, 17, 2), 1e300)
    labels = label_keypoints(pose, np.array([0]), truth, COCO_17)
    assert set(labels.ravel().tolist()) == {MISS}


# Against a plain loop.


@st.composite
def problems(draw: st.DrawFn) -> tuple[GroundTruth, Poses, Skeleton]:
    """Draw a few images of persons on a coarse grid, so that ties and near points are common."""
    skeleton = draw(st.sampled_from((COCO_17, CROWDPOSE_14, SMALL)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    image = sorted(draw(st.lists(st.integers(0, 2), max_size=9)))
    n, k = len(image), len(skeleton)
    spacing = draw(st.sampled_from((1.0, 4.0, 15.0)))
    points = rng.integers(0, 6, (n, k, 2)) * spacing
    truth = persons_of(
        points,
        image,
        rng.choice([0.0, 400.0, 2500.0, 40_000.0], n),
        rng.choice([0, 1, 2], (n, k), p=[0.3, 0.2, 0.5]),
        is_ignored=rng.random(n) < 0.2,
    )
    if not n:
        return truth, poses_of(points, []), skeleton
    source = np.sort(rng.integers(0, n, draw(st.integers(0, 2 * n))))
    shaken = points[source] + rng.integers(-1, 2, (len(source), k, 2)) * spacing
    others = points[rng.integers(0, n, len(source))]
    mixed = np.where(rng.random((len(source), k, 1)) < 0.3, others, shaken)
    return truth, poses_of(mixed, truth.image_index[source].tolist()), skeleton


@given(problems(), st.sampled_from((1, 2, 5, 1024)))
def test_a_plain_loop_gives_the_same_labels_whatever_the_block(
    problem: tuple[GroundTruth, Poses, Skeleton], block: int
) -> None:
    truth, poses, skeleton = problem
    pairs = oks_pairs(poses.keypoints, poses.image_index, truth, truth.areas, skeleton.sigma_array)
    points = poses.keypoints[pairs.pose]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keypoint_errors, "_BLOCK", block)
        labels = label_keypoints(points, pairs.person, truth, skeleton)
    assert labels.tolist() == naive_labels(points, pairs.person, truth, skeleton)


@given(problems())
def test_the_labels_of_a_person_sum_to_its_labelled_keypoints(
    problem: tuple[GroundTruth, Poses, Skeleton],
) -> None:
    truth, poses, skeleton = problem
    found = labelled(truth, poses, skeleton)
    assert len(set(found.pose.tolist())) == len(set(found.person.tolist())) == len(found.pose)
    assert not truth.is_ignored[found.person].any()
    n_labelled = (truth.keypoints[found.person, :, 2] > 0).sum(0)
    assert found.counts().sum(1).tolist() == n_labelled.tolist()


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_persons_poses_and_images_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = 12, 17
    image = np.sort(rng.integers(0, 3, n))
    points = rng.uniform(0, 100, (n, k, 2))
    visibility = rng.choice([0, 2], (n, k), p=[0.2, 0.8])
    areas = rng.uniform(1000, 9000, n)
    poses = points + rng.normal(0, 6, points.shape)
    scores = rng.permutation(n) / n

    def counts(images: Array, persons: Array, order: Array) -> list[list[int]]:
        """Return the counts with images, persons and poses in another order."""
        number = images[image]
        persons = persons[np.argsort(number[persons], kind="stable")]
        order = order[np.argsort(number[order], kind="stable")]
        truth = persons_of(
            points[persons], number[persons].tolist(), areas[persons], visibility[persons]
        )
        given = poses_of(poses[order], number[order].tolist(), scores[order])
        result: list[list[int]] = labelled(truth, given, COCO_17).counts().tolist()
        return result

    same = np.arange(n)
    usual = counts(np.arange(3), same, same)
    assert np.sum(usual) > 0
    assert usual == counts(rng.permutation(3), rng.permutation(n), rng.permutation(n))


def test_the_whole_evaluation_has_what_labelling_needs() -> None:
    points = body(COCO_17)
    truth = persons_of([points, points + 2000], [0, 1])
    poses = poses_of([points, points + 2000], [0, 1])
    everyone, first = np.array([True, True]), np.array([True, False])
    result = evaluate(truth, poses, COCO_17.sigma_array, slices=[Slice(first), Slice(None, first)])
    found = labelled_poses(truth, poses, COCO_17, result.match_results)
    assert found.counts(everyone).sum(0).tolist() == [34, 0, 0, 0, 0]
    assert found.counts(first).sum(0).tolist() == [17, 0, 0, 0, 0]
