"""PoseNet and RootNet: names, outputs and sizes equal the official programs'; tiny ones alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crowdbench.errors import UsageError
from predictors.networks import VARIANTS, create
from predictors.networks.cost import n_parameters
from predictors.networks.pose_in_space import PoseNet, RootNet, soft_argmax, soft_argmax_2d
from tests.networks.filled import entries_of, error, filled, filler, lively, on_meta, reference

POSENET, ROOTNET = "3dmppe-posenet-r50", "3dmppe-rootnet-r50"


@pytest.mark.parametrize(("variant", "count"), [(POSENET, 34_340_736), (ROOTNET, 33_997_634)])
def test_names_shapes_types_and_order_equal_the_official_ones(
    shared: Any, variant: str, count: int
) -> None:
    wanted = reference(shared, f"{variant}/state_dict")
    network = on_meta(variant)
    assert entries_of(network) == wanted["tensors"]
    assert n_parameters(network) == wanted["total_trainable_parameters"] == count


def values_of(golden: dict[str, Any]) -> torch.Tensor:
    """Return an output of which the reference has all values."""
    return torch.tensor(golden["all_values"], dtype=torch.float64).view(golden["shape"])


def test_posenets_volumes_and_joints_equal_the_official_ones(shared: Any) -> None:
    golden = reference(shared, f"{POSENET}/golden")
    images = filler(shared).image_batch(7, tuple(golden["input"]["shape"]))
    outputs = golden["outputs"]
    network: Any = filled(shared, POSENET)
    with torch.inference_mode():
        assert error(network.backbone.features(images), outputs["backbone"]) < 1e-9
        volumes = network(images)
        assert volumes.shape == (1, 21, 64, 64, 64)
        assert error(volumes.flatten(1, 2), outputs["heatmap_volume"]) < 1e-9
        for factor, name in ((1, "coord"), (8, "coord_of_8x_volume")):
            found = soft_argmax(factor * volumes)
            assert error(found, outputs[name]) < 1e-9
            assert (found - values_of(outputs[name])).abs().max() < 1e-9


def test_rootnets_map_and_depth_equal_the_official_ones(shared: Any) -> None:
    golden = reference(shared, f"{ROOTNET}/golden")
    images = filler(shared).image_batch(7, tuple(golden["input"]["shape"]))
    outputs = golden["outputs"]
    network: Any = filled(shared, ROOTNET)
    with torch.inference_mode():
        assert error(network.backbone.features(images), outputs["backbone"]) < 1e-9
        maps, gammas = network(images)
        assert error(maps, outputs["xy_logits"]) < 1e-9
        depths = gammas[:, None] * torch.tensor(golden["input"]["k_value"])
        found = torch.cat([soft_argmax_2d(maps)[:, 0], depths], dim=1)
    assert (found - values_of(outputs["coord"])).abs().max() < 1e-9


def test_tiny_networks_answer_as_the_large_ones() -> None:
    images = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    posenet, rootnet = (lively(create(f"3dmppe-{name}-tiny")) for name in ("posenet", "rootnet"))
    assert isinstance(posenet, PoseNet)
    assert isinstance(rootnet, RootNet)
    with torch.inference_mode():
        volumes, (maps, gammas) = posenet(images), rootnet(images)
    assert volumes.shape == (2, 17, 32, 32, 32)
    assert maps.shape == (2, 1, 32, 32)
    assert gammas.shape == (2,)
    # Each crop has its own answer.
    assert not torch.allclose(volumes[0], volumes[1])
    assert gammas[0] != gammas[1]
    assert not torch.allclose(maps[0], maps[1])


def test_tiny_networks_have_the_trunk_of_hrnet_tiny_and_are_small() -> None:
    trunk = {n: t.shape for n, t in on_meta("hrnet-tiny").state_dict().items() if "final" not in n}
    for name, count in (("posenet", 813_232), ("rootnet", 778_002)):
        network = on_meta(f"3dmppe-{name}-tiny")
        own = {n: t.shape for n, t in network.state_dict().items()}
        assert {n: own[f"backbone.{n}"] for n in trunk} == trunk
        assert n_parameters(network) == count


def test_crops_are_square_and_rootnet_takes_no_number_of_joints() -> None:
    sizes = {name: VARIANTS[name].input_size for name in VARIANTS if name.startswith("3dmppe")}
    assert sizes == {
        POSENET: (256, 256),
        ROOTNET: (256, 256),
        "3dmppe-posenet-tiny": (128, 128),
        "3dmppe-rootnet-tiny": (128, 128),
    }
    three = on_meta("3dmppe-posenet-tiny", num_joints=3)
    assert three.get_parameter("head.final_layer.bias").shape == (3 * 32,)
    with pytest.raises(UsageError, match="3dmppe-rootnet-r50 takes no 'num_joints'"):
        create(ROOTNET, num_joints=17)


def test_a_sharp_peak_is_where_the_joint_is() -> None:
    volumes = torch.zeros(1, 2, 4, 5, 6)
    volumes[0, 0, 3, 1, 2] = 200
    volumes[0, 1, 0, 4, 5] = 200
    assert soft_argmax(volumes).tolist() == [[[2, 1, 3], [5, 4, 0]]]
    # Two peaks of the same height share it.
    volumes[0, 1, 2, 4, 1] = 200
    assert soft_argmax(volumes)[0, 1].tolist() == [3, 4, 1]
    assert soft_argmax_2d(volumes[:, :, 3]).tolist()[0][0] == [2, 1]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_joints_are_as_exact_as_float32_at_least(given: torch.dtype, wanted: torch.dtype) -> None:
    volumes = torch.randn(2, 3, 8, 8, 8, generator=torch.Generator().manual_seed(0)).to(given)
    found = soft_argmax(volumes)
    assert found.dtype == wanted
    shares = volumes.double().flatten(2).softmax(2).view(volumes.shape)
    places = torch.arange(8).double()
    by_hand = torch.stack(
        [
            (shares * places).sum((2, 3, 4)),
            (shares * places[:, None]).sum((2, 3, 4)),
            (shares * places[:, None, None]).sum((2, 3, 4)),
        ],
        dim=2,
    )
    assert torch.allclose(found.double(), by_hand, atol=1e-5)


def test_a_joint_does_not_depend_on_the_others_of_the_batch() -> None:
    volumes = torch.randn(3, 17, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = soft_argmax(volumes)
    assert torch.equal(whole, torch.cat([soft_argmax(one[None]) for one in volumes]))
