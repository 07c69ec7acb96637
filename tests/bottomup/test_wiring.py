"""The wiring of bottom-up predictors, held against the same steps put together by hand."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from crowdbench.datasets import load_boxes
from crowdbench.predictor import Request
from crowdbench.registry import load_predictor, predictor_names
from crowdbench.structures import Array
from predictors import dekr, global_relation, higherhrnet, pinet
from predictors.bottomup import parts, regression
from predictors.bottomup.found import Found
from predictors.bottomup.predictor import BottomUp, Method
from predictors.bottomup.resize import resize, resized_size, to_image_points
from predictors.bottomup.tag_grouping import JOINT_ORDER, group
from predictors.bottomup.tags import join_resolutions, join_scales
from predictors.normalisation import normalised
from tests.bottomup.pictures import noise, poses_in, raise_points, split_of

# Of both views: 3 pixels of which the mirrored image is moved, and what comes in at its right end.
MIRRORED = {
    "plain": lambda images: images.flip(-1),
    "shifted": lambda images: torch.cat(
        [images.flip(-1)[..., 3:], torch.zeros_like(images[..., :3])], dim=-1
    ),
    "shifted-kept": lambda images: torch.cat(
        [images.flip(-1)[..., 3:], images.flip(-1)[..., -3:]], dim=-1
    ),
}
SWAPPED = {
    "coco-17": [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15],
    "crowdpose-14": [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13],
}


class Case:
    """A predictor whose images are small, and what is known of its method.

    Attributes:
        kind: the predictor.
        mirror: how the mirrored image lies.
        smallest: the scale at which sizes are rounded, of those that are asked for.
        part_mirror: of its parts.
    """

    def __init__(self, base: type[BottomUp], mirror: str, part_mirror: tuple[int, ...] = (0,)):
        small: ClassVar[Method] = Method(  # type: ignore[misc]
            base.method.network, 64, base.method.mirror, base.method.from_smallest
        )
        self.kind = type("Small", (base,), {"method": small})
        self.base, self.mirror, self.part_mirror = base, mirror, part_mirror


CASES = {
    "pinet": Case(pinet.Tiny, "shifted", (0, 1, 2)),
    "pinet-14": Case(pinet.CrowdPose, "shifted", (0, 1, 2)),
    "spm": Case(pinet.SPMTiny, "shifted", (0,)),
    "part-small": Case(pinet.TinyPartSmall, "shifted", (0, 1, 3, 2, 5, 4)),
    "dekr": Case(dekr.Tiny, "shifted-kept"),
    "dekr-14": Case(dekr.W32_512, "shifted-kept"),
    "global-relation": Case(global_relation.Tiny, "shifted-kept"),
    "higherhrnet": Case(higherhrnet.W32_512, "plain"),
    "higherhrnet-14": Case(higherhrnet.W32_512, "plain"),
}


def by_hand(
    case: Case, network: Any, image: Array, scales: tuple[float, ...], layout: str
) -> tuple[Array, Found]:
    """Return keypoints in the image and what was found, step by step."""
    mirror = torch.tensor(SWAPPED[layout])
    is_higher = case.kind.__mro__[1].__mro__[1] is higherhrnet.HigherHRNet
    smallest = min(scales) if is_higher else 1.0
    maps: list[tuple[float, Any]] = []
    for scale in sorted(scales, reverse=True):
        pixels = resize(image, resized_size(image.shape[:2], 64, scale, smallest))
        direct = normalised(torch.from_numpy(pixels)[None], "RGB")
        views: Tensor = torch.cat([direct, MIRRORED[case.mirror](direct)])
        # To the last bit as there: which of the peaks of noise come first depends on it.
        views = views.contiguous(memory_format=torch.channels_last)
        if hasattr(network, "ppg"):
            features = network.features(views)
            maps.append((scale, parts.PartMaps(scale, features, *network.maps(features))))
        else:
            maps.append((scale, network(views)))
    size = resized_size(image.shape[:2], 64, 1.0, smallest)
    decrease = {"coco-17": 0.9, "crowdpose-14": 0.8}[layout]
    if hasattr(network, "ppg"):
        refine = network.refine_offsets if network.refines else None
        found = parts.find(
            [each for _, each in maps], mirror, torch.tensor(case.part_mirror), refine, decrease
        )
    elif is_higher:
        joined = join_scales({s: join_resolutions(*m, mirror) for s, m in maps}, size)
        found = group(joined.heatmaps, joined.tags, JOINT_ORDER[: len(mirror)])
    else:
        of_scales = [regression.ScaleMaps(scale, *each) for scale, each in maps]
        found, _ = regression.find(of_scales, mirror, decrease)
    return to_image_points(found.points, image.shape[:2], size), found


@pytest.mark.parametrize(
    ("name", "scales"),
    [
        *((name, scales) for name in ("pinet", "dekr") for scales in ("1", "1+2", "0.5+1+2")),
        *((name, "0.5+1") for name in ("spm", "part-small", "global-relation", "dekr-14")),
        ("pinet-14", "1"), ("higherhrnet", "0.5+1"), ("higherhrnet-14", "1"),
    ],
)  # fmt: skip
def test_a_predictor_does_the_steps_of_its_method(tmp_path: Path, name: str, scales: str) -> None:
    case = CASES[name]
    layout = "crowdpose-14" if name.endswith("14") else "coco-17"
    images = [noise(70, 90), noise(90, 70)][: 2 if "tiny" in case.base.card.name else 1]
    split = split_of(tmp_path, images, layout)
    predictor = case.kind(Request(split, options={"scales": scales}))
    predictor.load("cpu", None)
    raise_points(predictor)
    poses = poses_in(predictor, split)
    asked = tuple(map(float, scales.split("+")))
    with torch.inference_mode():
        found = [by_hand(case, predictor.network_there, image, asked, layout) for image in images]
    keypoints = np.concatenate([points for points, _ in found])
    assert len(poses) == len(keypoints) > 4
    assert np.abs(poses.keypoints - keypoints).max() < 1e-3
    assert np.allclose(poses.scores, np.concatenate([people.scores for _, people in found]))
    assert len(np.unique(poses.image_index)) == len(images)


def test_methods_are_those_of_the_official_programs() -> None:
    expected = {
        higherhrnet.HigherHRNet: ("plain", True),
        dekr.CentreBased: ("shifted-kept", False),
        pinet.PartBased: ("shifted", False),
    }
    n = 0
    for name in predictor_names():
        kind = load_predictor(name)
        for family, (mirror, from_smallest) in expected.items():
            if issubclass(kind, family):
                assert (kind.method.mirror, kind.method.from_smallest) == (mirror, from_smallest)
                n += 1
    assert n > 20


@pytest.mark.parametrize("name", predictor_names())
def test_predictors_can_be_sent_to_other_processes(tmp_path: Path, name: str) -> None:
    kind = load_predictor(name)
    if not hasattr(kind, "method"):
        return
    layout = kind.card.skeletons[0]
    split = split_of(tmp_path, [noise(40, 40)], layout)
    boxes = None
    if kind.card.needs_boxes:
        boxes = load_boxes("gt", split, tmp_path)
    predictor = kind(Request(split, boxes))
    again = pickle.loads(pickle.dumps(predictor))
    assert type(again) is kind
    assert again.settings == predictor.settings
    one, other = (each.prepare(noise(40, 40), boxes) for each in (predictor, again))
    assert one.keys() == other.keys()
