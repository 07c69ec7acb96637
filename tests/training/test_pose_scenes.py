"""Scenes are persons with the poses made for them, and each person is the target of one pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crowdbench.datasets.split import Split
from crowdbench.errors import InputError, UsageError
from crowdbench.skeletons import MUPOTS_17
from crowdbench.structures import Array
from predictors.training import pose_scenes
from predictors.training.pose_scenes import Scene, SceneSamples, SceneSampling, find_scenes
from predictors.training.stream import Position, batches
from tests.results_3d.small import IDS, PERSON_IDS
from tests.results_3d.small import split as small_split
from tests.training.problems import Scenes

PLAIN = SceneSampling().plain
LEFT_ANKLE, RIGHT_ANKLE = (MUPOTS_17.keypoints.index(f"{side}_ankle") for side in ("left", "right"))


def made(scene: Scene, sampling: SceneSampling = PLAIN, seed: int = 0) -> SceneSamples:
    return sampling.make(scene, MUPOTS_17, np.random.default_rng(seed))


def scene_at(centres: list[tuple[float, float]]) -> Scene:
    """Return persons whose joints are all at (number, 0, 0), and 0.5 further in truth."""
    base = np.zeros((len(centres), 17, 3))
    base[..., 0] = np.arange(len(centres))[:, None]
    return Scene(base, base + 0.5, np.array(centres))


def test_each_person_is_the_target_of_a_pass_and_the_near_come_before_the_far() -> None:
    (passes,) = made(scene_at([(0, 0), (30, 0), (0, 10), (30, 12)])).passes
    assert passes.base_mm.dtype == passes.true_mm.dtype == torch.float32
    assert passes.base_mm.shape == (4, 4, 17, 3)
    assert passes.base_mm[:, :, 0, 0].tolist() == [
        [0, 2, 1, 3], [1, 3, 0, 2], [2, 0, 3, 1], [3, 1, 2, 0],
    ]  # fmt: skip
    assert torch.equal(passes.true_mm, passes.base_mm + 0.5)


def test_persons_in_the_same_place_are_all_seen_and_the_target_comes_first() -> None:
    (passes,) = made(scene_at([(5, 5), (5, 5), (5, 5)])).passes
    assert passes.base_mm[:, :, 0, 0].tolist() == [[0, 1, 2], [1, 0, 2], [2, 0, 1]]


def test_somebody_alone_is_paired_with_the_same_pose_but_not_where_nothing_is_done() -> None:
    alone = scene_at([(3, 4)])
    (passes,) = made(alone, SceneSampling(mirrors=False)).passes
    assert passes.base_mm.shape == (1, 2, 17, 3)
    assert torch.equal(passes.base_mm[:, 0], passes.base_mm[:, 1])
    (passes,) = made(alone).passes
    assert passes.base_mm.shape == (1, 1, 17, 3)


def test_a_mirrored_scene_is_on_the_other_side_and_so_are_left_and_right() -> None:
    rng = np.random.default_rng(0)
    scene = Scene(rng.normal(size=(2, 17, 3)), rng.normal(size=(2, 17, 3)), np.zeros((2, 2)))
    (plain,) = made(scene).passes
    found = [made(scene, SceneSampling(), seed).passes[0] for seed in range(20)]
    is_plain = [torch.equal(passes.base_mm, plain.base_mm) for passes in found]
    assert 3 < sum(is_plain) < 17
    other = found[is_plain.index(False)]
    for one, two in zip(plain, other, strict=True):
        assert torch.equal(two[..., LEFT_ANKLE, 0], -one[..., RIGHT_ANKLE, 0])
        assert torch.equal(two[..., LEFT_ANKLE, 1:], one[..., RIGHT_ANKLE, 1:])
        assert torch.equal(two[..., MUPOTS_17.root, 0], -one[..., MUPOTS_17.root, 0])
    twice = pose_scenes.mirrored(pose_scenes.mirrored(scene.base_mm, MUPOTS_17), MUPOTS_17)
    assert np.array_equal(twice, scene.base_mm)


def test_passes_of_equally_many_persons_go_together_without_padding() -> None:
    parts = [made(scene_at([(10 * i, 0) for i in range(n)])) for n in (3, 2, 3, 1)]
    joined = PLAIN.join(parts)
    assert [tuple(together.base_mm.shape[:2]) for together in joined.passes] == [
        (1, 1), (2, 2), (6, 3),
    ]  # fmt: skip
    assert joined.n == 9
    assert torch.equal(joined.passes[2].base_mm[3:], parts[2].passes[0].base_mm)
    assert joined.on("cpu").n == 9


def test_batches_are_whole_images_and_the_same_with_workers() -> None:
    source, sampling = Scenes(10), SceneSampling(3)
    one, other = (
        list(batches(source, sampling, 4, 20, n_workers=n)) for n in (0, 1)
    )  # fmt: skip
    assert [position for _, position in one] == [Position(4 * n) for n in range(1, 6)]
    for (mine, _), (theirs, _) in zip(one, other, strict=True):
        for a, b in zip(mine.passes, theirs.passes, strict=True):
            assert torch.equal(a.base_mm, b.base_mm)
            assert torch.equal(a.true_mm, b.true_mm)
    (later, _), *_ = batches(source, sampling, 4, 20, start=Position(8))
    assert torch.equal(later.passes[-1].base_mm, one[2][0].passes[-1].base_mm)


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch) -> Split:
    """Return a split of which one person is not evaluated, and let it be found by any name."""
    whole = small_split()
    assert whole.truth is not None
    ignored = whole.truth.person_ids == 103
    boxes = np.arange(len(PERSON_IDS))[:, None] * (10.0, 1, 0, 0) + (0.0, 0, 4, 6)
    found = replace(whole, truth=replace(whole.truth, is_ignored=ignored, boxes=boxes))
    monkeypatch.setattr(pose_scenes, "load_split", lambda _name, _root: found)
    return found


def entry(image: int, person: int | None, joints: Array) -> dict[str, Any]:
    return {
        "image_id": image,
        "keypoints_img": [[3.0, 4.0]] * 17,
        "keypoints_cam": joints.tolist(),
        **({} if person is None else {"annotation_id": person}),
    }


def write(folder: Path, entries: list[dict[str, Any]]) -> Path:
    path = folder / "poses.json"
    path.write_text(json.dumps(entries))
    return path


def poses_of(split: Split, rows: list[int]) -> list[dict[str, Any]]:
    """Return entries for persons by row, each 7 mm beside the true place."""
    truth = split.truth
    assert truth is not None
    assert truth.pose3d is not None
    return [
        entry(
            int(IDS[truth.image_index[row]]),
            int(PERSON_IDS[row]),
            truth.pose3d.joints_mm[row] + 7,
        )
        for row in rows
    ]


def test_poses_and_persons_belong_together_by_annotation(split: Split, tmp_path: Path) -> None:
    """Person 103, row 4, is not evaluated; rows 1, 6 and 7 have no pose; one is of nobody."""
    assert split.truth is not None
    assert split.truth.pose3d is not None
    true = split.truth.pose3d.joints_mm
    entries = [*poses_of(split, [5, 0, 3, 4, 2]), entry(10, None, true[1])]
    found = find_scenes("synthcrowd-3d-train", tmp_path, write(tmp_path, entries))
    assert len(found) == 3
    assert [len(found[i].base_mm) for i in range(3)] == [1, 2, 1]
    for i, rows in enumerate([[0], [2, 3], [5]]):
        assert np.array_equal(found[i].true_mm, true[rows])
        assert np.allclose(found[i].base_mm, true[rows] + 7, rtol=0, atol=1e-9)
        assert found[i].centres.tolist() == [[10 * row + 2, row + 3] for row in rows]
    digest = find_scenes("synthcrowd-3d-train", tmp_path, tmp_path / "poses.json").identity
    assert digest == found.identity
    assert "synthcrowd-3d-train, annotations 000000000000, poses " in digest
    assert digest.endswith(" of 4 persons")
    other = find_scenes("synthcrowd-3d-train", tmp_path, write(tmp_path, entries[:-1])).identity
    assert other != digest


def test_poses_of_nobody_and_of_another_kind_are_refused(split: Split, tmp_path: Path) -> None:
    nobodys = write(tmp_path, [entry(10, None, np.ones((17, 3)) * np.arange(17)[:, None] * 99)])
    with pytest.raises(InputError, match="no pose says for whom it was made"):
        find_scenes("synthcrowd-3d-train", tmp_path, nobodys)
    ignored = write(tmp_path, poses_of(split, [4]))
    with pytest.raises(InputError, match=r"no pose was made for a person .* who is evaluated"):
        find_scenes("synthcrowd-3d-train", tmp_path, ignored)
    with pytest.raises(InputError, match="no pose says for whom it was made"):
        find_scenes("synthcrowd-3d-train", tmp_path, write(tmp_path, []))
    with pytest.raises(UsageError, match="coco-val2017 has poses in the image"):
        find_scenes("coco-val2017", tmp_path, ignored)
