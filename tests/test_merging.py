"""Merging: by hand, against the reference's kept poses, against a plain loop, and per threshold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdbench import pose_pairs
from crowdbench.candidates import no_poses
from crowdbench.errors import InputError, UsageError
from crowdbench.merging import Merging, Rule, final_poses, merge
from crowdbench.skeletons import COCO_17, CROWDPOSE_14
from crowdbench.structures import Poses
from tests.conditions.arrays import poses_of

NMS = Merging("oks-nms", 0.9)
SIGMAS = COCO_17.sigma_array


def everything(poses: Poses) -> np.ndarray:
    return np.ones((len(poses), 1), bool)


def kept(poses: Poses, merging: Merging = NMS) -> list[int]:
    return np.flatnonzero(merge(poses, everything(poses), merging, SIGMAS)[:, 0]).tolist()


def shifted(*steps: float) -> np.ndarray:
    """Return poses that are all the same but for a step to the right."""
    points = np.random.default_rng(0).uniform(0, 100, (17, 2))
    return np.array([points + np.array([step, 0]) for step in steps])


def test_a_candidate_too_similar_to_a_better_one_is_dropped() -> None:
    poses = poses_of(shifted(0, 1, 500), [0.5, 0.9, 0.1], areas=[1e4] * 3)
    assert kept(poses) == [1, 2]
    assert kept(poses, Merging()) == [0, 1, 2]


def test_thin_poses_beside_each_other_are_similar() -> None:
    line = np.stack([np.zeros(17), np.linspace(0, 96, 17)], axis=1)
    poses = poses_of(np.array([line, line + np.array([20.0, 0])]), [0.5, 0.9], areas=[1e4] * 2)
    assert kept(poses, Merging("oks-nms", 0.3)) == [1]
    assert kept(poses, Merging("oks-nms", 0.5)) == [0, 1]


@pytest.mark.parametrize(
    ("name", "value"), [("oks", -0.1), ("share", float("nan")), ("joints", -1), ("most", -1)]
)
def test_numbers_that_mean_nothing_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"merging has {name}="):
        Merging("near-joints", **{name: value})  # type: ignore[arg-type]


def test_only_candidates_that_stay_drop_others() -> None:
    # The middle one is dropped by the first, so the last one, similar to it alone, stays.
    points = shifted(0, 3, 6)
    area = 1e3
    assert kept(poses_of(points, [0.9, 0.8, 0.7], areas=[area] * 3), Merging("oks-nms", 0.5)) == [
        0, 2,
    ]  # fmt: skip
    assert kept(poses_of(points, [0.8, 0.9, 0.7], areas=[area] * 3), Merging("oks-nms", 0.5)) == [1]


def test_poses_of_other_images_do_not_matter_and_ties_go_to_the_earlier() -> None:
    poses = poses_of(shifted(0, 0, 0), [0.5, 0.5, 0.9], images=[0, 0, 1], areas=[1e4] * 3)
    assert kept(poses) == [0, 2]


def test_an_oks_of_exactly_the_limit_stays() -> None:
    assert kept(poses_of(shifted(0, 0), [0.9, 0.5], areas=[1, 1]), Merging("oks-nms", 1.0)) == [
        0, 1,
    ]  # fmt: skip


def test_the_areas_are_needed() -> None:
    with pytest.raises(InputError, match="needs the areas"):
        kept(poses_of(shifted(0), [1]))


def test_final_poses_are_the_candidates_that_stay() -> None:
    poses = poses_of(shifted(0, 1, 500), [0.5, 0.9, 0.1], areas=[1e4] * 3)
    assert final_poses(poses, NMS, SIGMAS).scores.tolist() == [0.9, 0.1]
    assert final_poses(poses, Merging(), SIGMAS) is poses


def test_without_candidates_nothing_stays() -> None:
    poses = poses_of(np.zeros((0, 17, 2)), [], areas=[])
    assert merge(poses, np.ones((0, 3), bool), NMS, SIGMAS).shape == (0, 3)


def test_images_in_several_blocks_are_merged_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    points = rng.uniform(0, 60, (4, 17, 2))[rng.integers(0, 4, 200)] + rng.normal(0, 1, (200, 1, 2))
    images = np.sort(rng.integers(0, 40, 200)).tolist()
    poses = poses_of(points, rng.random(200).tolist(), images, areas=[900.0] * 200)
    taking_part = rng.random((200, 3)) < 0.8
    whole = merge(poses, taking_part, NMS, SIGMAS)
    assert 0 < whole.sum() < taking_part.sum()
    for most in (1, 7, 50):
        monkeypatch.setattr(pose_pairs, "_PAIRS", most)
        assert np.array_equal(merge(poses, taking_part, NMS, SIGMAS), whole)


def test_the_rule_is_printed_with_its_number() -> None:
    assert str(Merging()) == "none"
    assert str(Merging("oks-nms", 0.9)) == "oks-nms(0.9)"
    assert str(Merging("oks-nms", 0.9, {"head": 0.062})) == "oks-nms(0.9,head=0.062)"
    assert str(Merging("oks-fusion", 0.7)) == "oks-fusion(0.7)"
    near = Merging("near-joints", share=0.15, joints=7, most=30)
    assert str(near) == "near-joints(0.15,>7,30)"
    assert str(msgspec.structs.replace(near, most=0)) == "near-joints(0.15,>7,all)"


@pytest.mark.parametrize(
    "rule",
    [
        Merging("oks-nms", 0.8, {"nose": 0.1}),
        Merging("oks-fusion", 0.7),
        Merging("near-joints", share=0.15, joints=7, most=0),
    ],
)
def test_a_rule_is_the_same_after_it_was_in_a_record(rule: Merging) -> None:
    assert msgspec.json.decode(msgspec.json.encode(rule), type=Merging) == rule


def test_a_rule_in_a_record_from_before_there_were_others_is_read() -> None:
    old = b'{"rule": "oks-nms", "oks": 0.9, "sigmas": {}}'
    assert msgspec.json.decode(old, type=Merging) == NMS


def test_only_rules_that_drop_by_score_can_be_applied_anew_to_every_choice() -> None:
    by_choice = {rule: Merging(rule).is_by_choice for rule in get_args(Rule)}
    assert by_choice == {
        "none": True, "oks-nms": True, "oks-fusion": False, "near-joints": False,
    }  # fmt: skip


@pytest.mark.parametrize("rule", get_args(Rule))
def test_images_without_candidates_have_no_final_poses(rule: Rule) -> None:
    assert len(final_poses(no_poses(17), Merging(rule), SIGMAS)) == 0


def test_a_rule_may_have_its_own_constant_for_a_keypoint() -> None:
    own = Merging("oks-nms", 0.9, {"head": 0.062}).sigmas_for(CROWDPOSE_14)
    assert np.flatnonzero(own != CROWDPOSE_14.sigma_array).tolist() == [12]
    assert own[12] == 0.062
    assert (NMS.sigmas_for(CROWDPOSE_14) == CROWDPOSE_14.sigma_array).all()


@pytest.mark.parametrize(("name", "sigma"), [("tail", 0.1), ("head", 0.0), ("head", float("nan"))])
def test_a_constant_must_be_one_of_the_layout(name: str, sigma: float) -> None:
    with pytest.raises(UsageError, match=f"for '{name}', expected a positive one for a keypoint"):
        Merging("oks-nms", 0.9, {name: sigma}).sigmas_for(CROWDPOSE_14)


@pytest.mark.parametrize("kind", ["single_instance", "union"])
def test_what_stays_equals_the_reference(shared: Path, kind: str) -> None:
    path = shared / "reference" / "postprocess-hrnet-mipnet-coco" / "golden.json"
    golden = json.loads(path.read_text())
    case, boxes = golden["scores_and_nms"], golden["boxes"]["list"]
    scales = np.array([box["as_detection"]["scale"] for box in boxes])
    factors = {"primary": 1.0, "secondary": case["secondary_box_score_factor"]}
    names = ["primary"] if kind == "single_instance" else ["secondary", "primary"]
    points, scores, images, areas, labels = [], [], [], [], []
    for name in names:
        for i, pose in enumerate(np.array(case[f"{name}_poses"])):
            confident = pose[:, 2] > case["in_vis_thre"]
            mean = pose[confident, 2].mean() if confident.any() else 0.0
            points.append(pose[:, :2])
            scores.append(case["box_scores"][i] * factors[name] * mean)
            images.append(case["image_of_pose"][i])
            areas.append(float(np.prod(scales[i] * 200)))
            labels.append(f"{name} {i}")
    order = np.argsort(images, kind="stable")
    poses = poses_of(
        np.array(points)[order],
        np.array(scores)[order].tolist(),
        np.array(images)[order].tolist(),
        areas=np.array(areas)[order].tolist(),
    )
    ours = {labels[order[i]] for i in kept(poses, Merging("oks-nms", case["oks_thre"]))}
    assert ours == {entry["pose"] for entry in case["kept"][kind]}
    assert 0 < len(ours) < len(labels)


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Poses, np.ndarray]:
    """Draw poses of three images, many alike and many with equal scores, and choices of them."""
    n = draw(st.integers(0, 14))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    base = rng.uniform(0, 60, (3, 17, 2))
    points = base[rng.integers(0, 3, n)] + rng.integers(0, 4, (n, 1, 2)) * rng.choice([0.5, 2, 8])
    poses = poses_of(
        points,
        (rng.integers(0, 5, n) / 4).tolist(),
        np.sort(rng.integers(0, 3, n)).tolist(),
        areas=rng.choice([400.0, 900.0, 2500.0], n).tolist(),
    )
    return poses, rng.random((n, draw(st.integers(1, 4)))) < 0.7


def plain_nms(poses: Poses, rows: list[int], limit: float) -> set[int]:
    assert poses.areas is not None
    stay: list[int] = []
    for i in sorted(rows, key=lambda i: (-poses.scores[i], i)):
        for j in stay:
            if poses.image_index[i] != poses.image_index[j]:
                continue
            squared = ((poses.keypoints[i] - poses.keypoints[j]) ** 2).sum(1)
            area = (poses.areas[i] + poses.areas[j]) / 2
            if np.exp(-squared / (2 * SIGMAS) ** 2 / area / 2).mean() > limit:
                break
        else:
            stay.append(i)
    return set(stay)


@settings(max_examples=100)
@given(candidates(), st.sampled_from((0.3, 0.7, 0.9)))
def test_merging_before_a_choice_by_score_is_merging_anew(
    drawn: tuple[Poses, np.ndarray], limit: float
) -> None:
    # So the sweep over the poses' own scores may choose among final poses.
    poses, _ = drawn
    rule = Merging("oks-nms", limit)
    thresholds = np.array([0.0, 0.25, 0.5, 1.0])
    taking_part = poses.scores[:, None] >= thresholds
    anew = merge(poses, taking_part, rule, SIGMAS)
    once = merge(poses, everything(poses), rule, SIGMAS) & taking_part
    assert np.array_equal(anew, once)


@settings(max_examples=150)
@given(candidates(), st.sampled_from((0.3, 0.7, 0.9)))
def test_many_choices_at_once_equal_a_plain_loop_each(
    drawn: tuple[Poses, np.ndarray], limit: float
) -> None:
    poses, taking_part = drawn
    found = merge(poses, taking_part, Merging("oks-nms", limit), SIGMAS)
    assert not (found & ~taking_part).any()
    for v in range(taking_part.shape[1]):
        rows = np.flatnonzero(taking_part[:, v]).tolist()
        assert set(np.flatnonzero(found[:, v]).tolist()) == plain_nms(poses, rows, limit)
