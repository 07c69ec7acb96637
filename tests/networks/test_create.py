"""The networks: names, outputs and sizes equal the official programs'; the selector is obeyed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from crowdbench.errors import UnknownNameError, UsageError
from predictors.networks import VARIANTS, create, variants
from predictors.networks.cost import n_parameters
from predictors.networks.hrnet import HRNet, HRNetConfig, PoseHRNet
from predictors.networks.mipnet import MIMB, MIPNetHRNet, MIPNetResNet, selectors
from predictors.networks.pose_resnet import CONFIGS, PoseResNet, ResNet, ResNetConfig
from tests.networks.filled import (
    entries_of,
    error,
    filled,
    filler,
    lively,
    on_meta,
    reference,
)

GOLDEN = [
    "simplebaseline-r50-256x192",
    "hrnet-w32-256x192",
    "mipnet-r50-256x192",
    "mipnet-hrnet-w32-256x192",
]
NAMES_ONLY = [
    "hrnet-w48-384x288",
    "mipnet-hrnet-w48-384x288",
    "mipnet-r101-384x288",
    "simplebaseline-r152-384x288",
]
# Of bottom-up networks, with the size of what each was trained on.
TINY_PARTS = ("head", "part-small", "keypoint", "no-graph", "static-graph")
WIDTHS = ("w32-512", "w48-640")
# Of PI-Net, in its ablations.
PI_NET_CHANGES = (
    "no-attention", "unidirectional", "unidirectional-no-attention", "gru-2", "gru-4", "lstm-2",
    "lstm-3", "lstm-4", "gcn",
)  # fmt: skip
ALL_ON = (True, True, True, True)
ALL_OFF = (False, False, False, False)
OFFICIAL = (False, False, True, True)
SMALL_HRNET = HRNetConfig(8)
SMALL_RESNET = ResNetConfig((1, 1, 1, 1))


def small_images(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def small_hrnet(mimb: tuple[bool, ...]) -> MIPNetHRNet:
    return MIPNetHRNet(SMALL_HRNET, 17, mimb)


def small_resnet(mimb: tuple[bool, ...]) -> MIPNetResNet:
    return MIPNetResNet(SMALL_RESNET, 17, mimb)


# --- names ----------------------------------------------------------------------------------------


def test_there_are_the_official_variants_and_tiny_ones() -> None:
    sizes = ("256x192", "384x288")
    resnets = [f"{kind}-r{n}" for kind in ("simplebaseline", "mipnet") for n in (50, 101, 152)]
    hrnets = [f"{kind}-w{n}" for kind in ("hrnet", "mipnet-hrnet") for n in (32, 48)]
    both_sizes = [*resnets, *hrnets, "hrformer-b", "i2r-net-hrformer-b-coco"]
    small = [
        f"i2r-net-{first}-{data}"
        for first in ("vanilla", "transpose-h", "hrformer-b")
        for data in ("coco", "crowdpose", "ochuman")
        if (first, data) != ("hrformer-b", "coco")
    ]
    small += ["transpose-h-a4", "transpose-h-a6"]
    assert sorted(variants()) == sorted(
        [f"{name}-{size}" for name in both_sizes for size in sizes]
        + [f"{name}-256x192" for name in small]
        + ["hrnet-tiny", "mipnet-tiny", "i2r-net-tiny"]
        + [f"higherhrnet-{size}" for size in ("w32-512", "w32-640", "w48-640")]
        + [f"{name}-{size}" for name in ("dekr", "global-relation") for size in WIDTHS]
        + [f"pinet-w32-{data}-512" for data in ("coco", "crowdpose", "ochuman")]
        + ["spm-w32-512", "spm-tiny", "pinet-tiny", "dekr-tiny", "grm-tiny"]
        + [f"pinet-tiny-{part}" for part in TINY_PARTS]
        + [f"grm-tiny-{part}" for part in ("grm", "mfa", "plain")]
        + [f"3dmppe-{part}-{size}" for part in ("posenet", "rootnet") for size in ("r50", "tiny")]
        + ["pi-net", *(f"pi-net-{change}" for change in PI_NET_CHANGES)]
    )
    assert VARIANTS["i2r-net-tiny"].input_size == (128, 96)
    assert VARIANTS["hrnet-tiny"].input_size == VARIANTS["mipnet-tiny"].input_size == (128, 96)
    assert VARIANTS["hrnet-w48-384x288"].input_size == (384, 288)
    assert VARIANTS["dekr-w48-640"].input_size == (640, 640)
    assert VARIANTS["pinet-tiny"].input_size == VARIANTS["grm-tiny-mfa"].input_size == (256, 256)


def test_listing_the_names_does_not_load_torch() -> None:
    code = "import sys, predictors.networks as n; n.variants(); sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=60)


def test_an_unknown_variant_gets_suggestions() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown network 'hrnet-w48'; did you mean hrnet-"):
        create("hrnet-w48")


def test_an_unknown_override_is_named_with_what_the_variant_takes() -> None:
    with pytest.raises(
        UsageError, match=r"hrnet-w32-256x192 takes no 'mimb'; it takes num_joints$"
    ):
        create("hrnet-w32-256x192", mimb=ALL_ON)
    with pytest.raises(
        UsageError, match=r"mipnet-r50-256x192 takes no 'width'; it takes num_joints, mimb$"
    ):
        create("mipnet-r50-256x192", num_joints=14, width=3)


def test_mimb_needs_four_switches() -> None:
    with pytest.raises(UsageError, match="mimb has 3 switches, expected 4"):
        on_meta("mipnet-r50-256x192", mimb=(False, False, False))


@pytest.mark.parametrize("variant", GOLDEN + NAMES_ONLY)
def test_names_shapes_types_and_order_equal_the_official_ones(shared: Path, variant: str) -> None:
    name = f"{variant}/state_dict" if variant in GOLDEN else f"state_dicts/{variant}"
    wanted = reference(shared, name)
    network = on_meta(variant)
    assert entries_of(network) == wanted["state_dict"]
    assert n_parameters(network) == wanted["total_trainable_params"]


def test_the_trunks_have_the_names_that_other_networks_use_them_under(shared: Path) -> None:
    cut = HRNetConfig(48, (1, 4), all_outputs=True)
    whole = HRNetConfig(32, all_outputs=True)
    for folder, prefix, build in (
        ("transpose-h-256x192", "", lambda: HRNet(cut)),
        ("pinet-w32-crowdpose", "backbone.", lambda: HRNet(whole)),
        ("dekr-w32-crowdpose", "", lambda: HRNet(whole)),
        ("higherhrnet-w32-coco", "", lambda: HRNet(HRNetConfig(32))),
        ("3dmppe-posenet-r50", "backbone.", lambda: ResNet(CONFIGS[50])),
    ):
        content = reference(shared, f"{folder}/state_dict")
        wanted = content.get("state_dict") or content["tensors"]
        with torch.device("meta"):
            entries = [[prefix + name, *rest] for name, *rest in entries_of(build())]
        first = wanted.index(entries[0])
        assert entries == wanted[first : first + len(entries)], folder
        rest = [name for name, *_ in wanted[first + len(entries) :]]
        assert not [n for n in rest if n.startswith((f"{prefix}stage", f"{prefix}layer"))], folder


# --- parameters -----------------------------------------------------------------------------------

PARAMETERS = {
    "r50": (33_999_697, 34_986_193, 35_039_137),
    "r101": (52_991_825, 53_978_321, 54_031_265),
    "r152": (68_635_473, 69_621_969, 69_674_913),
    "w32": (28_536_113, 28_603_313, 28_624_001),
    "w48": (63_595_745, 63_746_081, 63_792_089),
}


@pytest.mark.parametrize("backbone", PARAMETERS)
def test_parameter_counts_equal_the_published_ones(backbone: str) -> None:
    plain, official, everywhere = PARAMETERS[backbone]
    single = f"simplebaseline-{backbone}" if backbone.startswith("r") else f"hrnet-{backbone}"
    multi = f"mipnet-{backbone}" if backbone.startswith("r") else f"mipnet-hrnet-{backbone}"
    for size in ("256x192", "384x288"):
        assert n_parameters(on_meta(f"{single}-{size}")) == plain
        assert n_parameters(on_meta(f"{multi}-{size}")) == official
    assert n_parameters(on_meta(f"{multi}-256x192", mimb=ALL_ON)) == everywhere
    assert n_parameters(on_meta(f"{multi}-256x192", mimb=ALL_OFF)) == plain
    last = on_meta(f"{single}-256x192", num_joints=14).get_submodule("final_layer")
    lost = plain - n_parameters(on_meta(f"{single}-256x192", num_joints=14))
    assert lost == n_parameters(last) // 14 * 3


def test_tiny_networks_are_hrnets_small_enough_to_ship() -> None:
    single, multi = on_meta("hrnet-tiny"), on_meta("mipnet-tiny")
    assert isinstance(single, PoseHRNet)
    assert isinstance(multi, MIPNetHRNet)
    assert (n_parameters(single), n_parameters(multi)) == (640_337, 647_033)
    # As float32, statistics of batch-norm included, below 3 MB.
    assert sum(t.numel() * t.element_size() for t in multi.state_dict().values()) < 2_900_000
    # The names are HRNet's, so that one network's weights begin the other's.
    names = set(single.state_dict())
    assert {n for n in multi.state_dict() if "_se." not in n} == names
    assert names < set(on_meta("hrnet-w32-256x192").state_dict())


def test_branches_grow_by_the_same_number_of_channels_where_told_so() -> None:
    assert HRNetConfig(24, growth=12).channels(4) == (24, 36, 48, 60)
    assert HRNetConfig(24, growth=0).channels(2) == (24, 24)
    assert HRNetConfig(24).channels(4) == (24, 48, 96, 192)


# --- outputs --------------------------------------------------------------------------------------


def golden_of(shared: Path, variant: str) -> tuple[torch.Tensor, dict[str, Any]]:
    golden = reference(shared, f"{variant}/golden")
    image = golden["inputs"]["image"]
    return filler(shared).image_batch(image["seed"], tuple(image["shape"])), golden["outputs"]


@pytest.mark.parametrize("variant", ["simplebaseline-r50-256x192", "hrnet-w32-256x192"])
def test_the_heatmaps_equal_the_official_ones(shared: Path, variant: str) -> None:
    images, golden = golden_of(shared, variant)
    with torch.inference_mode():
        heatmaps = filled(shared, variant)(images)
    assert error(heatmaps, golden["heatmaps"]) < 1e-9


@pytest.mark.parametrize("variant", ["mipnet-r50-256x192", "mipnet-hrnet-w32-256x192"])
def test_the_heatmaps_of_both_instances_equal_the_official_ones(shared: Path, variant: str) -> None:
    images, golden = golden_of(shared, variant)
    network: Any = filled(shared, variant)
    with torch.inference_mode():
        primary, secondary = network.forward_instances(images, selectors(2))
    # The references follow the code: lambda 1 is the owner of the box.
    assert error(primary, golden["heatmaps_lambda_1"]) < 1e-9
    assert error(secondary, golden["heatmaps_lambda_0"]) < 1e-9
    # A swapped selector would be seen.
    assert error(secondary, golden["heatmaps_lambda_1"]) > 1e-5


@pytest.mark.parametrize("variant", ["hrnet-w48-384x288", "simplebaseline-r101-256x192"])
def test_larger_networks_give_a_heatmap_for_each_joint(variant: str) -> None:
    with torch.inference_mode():
        heatmaps = create(variant, num_joints=14).eval()(small_images())
    assert heatmaps.shape == (2, 14, 16, 16)
    assert heatmaps.isfinite().all()


@pytest.mark.parametrize("variant", ["mipnet-hrnet-w48-256x192", "mipnet-r152-384x288"])
def test_larger_mipnets_give_a_heatmap_for_each_joint_and_instance(variant: str) -> None:
    network: Any = create(variant).eval()
    with torch.inference_mode():
        heatmaps = network.forward_instances(small_images(1), selectors(2))
    assert heatmaps.shape == (2, 1, 17, 16, 16)
    assert heatmaps.isfinite().all()


# --- instances ------------------------------------------------------------------------------------


def test_row_zero_selects_the_owner_of_the_box() -> None:
    assert selectors(2).tolist() == [[1, 0], [0, 1]]
    assert selectors(3).tolist() == [[0, 0], [1, 0], [0, 1]]
    assert selectors(4).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert selectors(2).dtype == torch.float32


@pytest.mark.parametrize("n", [0, 1, 5])
def test_other_numbers_of_instances_are_refused(n: int) -> None:
    with pytest.raises(UsageError, match=f"2, 3 or 4 instances apart, not {n}"):
        selectors(n)


@pytest.mark.parametrize("mimb", [OFFICIAL, ALL_ON, ALL_OFF, (False, False, False, True)])
@pytest.mark.parametrize("build", [small_hrnet, small_resnet])
def test_all_instances_at_once_equal_one_at_a_time(build: Any, mimb: tuple[bool, ...]) -> None:
    network = lively(build(mimb))
    images, rows = small_images(), selectors(4)
    with torch.inference_mode():
        at_once = network.forward_instances(images, rows)
        one_by_one = [network(images, row.repeat(2, 1)) for row in rows]
    assert at_once.shape == (4, 2, 17, 16, 16)
    assert torch.equal(at_once, torch.stack(one_by_one))
    assert torch.equal(at_once[0], at_once[1]) == (mimb == ALL_OFF)


@pytest.mark.parametrize(
    ("build", "mimb", "once", "per_instance"),
    [
        (small_hrnet, OFFICIAL, ["layer1", "stage3", "transition3"], ["stage4", "final_layer"]),
        (small_hrnet, ALL_ON, ["layer1", "transition1"], ["stage2", "final_layer"]),
        (small_hrnet, ALL_OFF, ["layer1", "stage4", "final_layer"], []),
        (small_resnet, OFFICIAL, ["conv1", "layer2"], ["layer3", "final_layer"]),
        (small_resnet, ALL_ON, ["maxpool"], ["layer1", "final_layer"]),
        (small_resnet, ALL_OFF, ["layer4", "final_layer"], []),
    ],
)
def test_the_part_before_the_first_block_runs_once(
    build: Any, mimb: tuple[bool, ...], once: list[str], per_instance: list[str]
) -> None:
    network = build(mimb).eval()
    calls: list[str] = []
    for name in once + per_instance:
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.append(name))
    with torch.inference_mode():
        network.forward_instances(small_images(1), selectors(3))
    assert [calls.count(name) for name in once] == [1] * len(once)
    assert [calls.count(name) for name in per_instance] == [3] * len(per_instance)


@pytest.mark.parametrize(
    ("plain", "multi"),
    [
        (lambda: PoseHRNet(SMALL_HRNET, 17), small_hrnet),
        (lambda: PoseResNet(SMALL_RESNET, 17), small_resnet),
    ],
)
def test_without_blocks_mipnet_is_its_backbone(plain: Any, multi: Any) -> None:
    backbone = lively(plain())
    network = multi(ALL_OFF).eval()
    network.load_state_dict(backbone.state_dict())
    with torch.inference_mode():
        wanted = backbone(small_images())
        found = network(small_images(), selectors(2))
    assert torch.equal(found, wanted)


def test_every_crop_of_a_batch_has_its_own_selector() -> None:
    network = lively(small_resnet(OFFICIAL))
    images = small_images(1).repeat(2, 1, 1, 1)
    with torch.inference_mode():
        mixed = network(images, selectors(2))
        each = network.forward_instances(images, selectors(2))
    assert torch.equal(mixed[0], each[0, 0])
    assert torch.equal(mixed[1], each[1, 1])


def test_blocks_scale_channels_by_image_and_selector() -> None:
    torch.manual_seed(0)
    block = MIMB(8).eval()
    features, rows = torch.randn(3, 8, 5, 4), selectors(3)
    with torch.inference_mode():
        out = block(features, rows)
        squeezed = features.mean((2, 3))
        excited = (squeezed @ block.fc[0].weight.T).relu() @ block.fc[2].weight.T
        # A batch-norm that has seen nothing divides by sqrt(1 + eps).
        hidden = (rows @ block.fc_lambda[0].weight.T + block.fc_lambda[0].bias) / (1 + 1e-5) ** 0.5
        embedded = hidden.relu() @ block.fc_lambda[3].weight.T + block.fc_lambda[3].bias
        wanted = features * (excited.sigmoid() * embedded.sigmoid())[:, :, None, None]
    assert torch.allclose(out, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("build", "prefix", "channels"),
    [
        (
            lambda: MIPNetHRNet(HRNetConfig(32), 17, ALL_ON),
            "stage",
            [[32, 64], [32, 64, 128], [32, 64, 128, 256], [32]],
        ),
        (lambda: MIPNetResNet(CONFIGS[50], 17, ALL_ON), "layer", [[64], [256], [512], [1024]]),
    ],
)
def test_each_position_has_a_block_for_each_of_its_inputs(
    build: Any, prefix: str, channels: list[list[int]]
) -> None:
    with torch.device("meta"):
        state = build().state_dict()
    suffix = "fc.2.weight"
    found = {name: len(tensor) for name, tensor in state.items() if name.endswith(suffix)}
    assert found == {
        f"{prefix}{position}_se.se_layers.{branch}.{suffix}": width
        for position, widths in enumerate(channels, start=1)
        for branch, width in enumerate(widths)
    }
