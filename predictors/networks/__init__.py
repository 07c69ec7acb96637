"""The networks by variant name; every one is built as the official programs build it.

A variant is a row of `VARIANTS`: a builder in a module of this package, which is imported when the
network is made, and the values it is called with. A new family is one module and its rows here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from crowdbench.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Variant:
    """What makes one network, as data.

    Attributes:
        builder: ``module:function``, the module relative to this package; the function takes the
            values of `config` and `overrides` by name and returns the network.
        input_size: height and width in pixels of the crops, or of what was cut out of images, that
            the variant was trained with; 0 and 0 if it sees no images.
        config: the values that make it this variant.
        overrides: the values that a caller may replace, each with its default.
    """

    builder: str
    input_size: tuple[int, int]
    config: Mapping[str, Any]
    overrides: Mapping[str, Any]


_SMALL, _LARGE = (256, 192), (384, 288)
_SIZES = (_SMALL, _LARGE)
_JOINTS: Mapping[str, Any] = MappingProxyType({"num_joints": 17})
# The four positions of MIPNet's blocks; the setting is that of the published checkpoint.
_JOINTS_AND_MIMB: Mapping[str, Any] = MappingProxyType(
    {"num_joints": 17, "mimb": (False, False, True, True)}
)
_JOINTS_14: Mapping[str, Any] = MappingProxyType({"num_joints": 14})
# The official pose code of HRFormer, which trained the published weights, leaves the bias out.
_JOINTS_AND_BIAS: Mapping[str, Any] = MappingProxyType(
    {"num_joints": 17, "relative_position_bias": False}
)
# I2R-Net's relation between persons in its ten official configurations: the module that turns masks
# into positions is there even where it is not needed.
_VANILLA = {"width": 96, "n_layers": 6, "masks": "conv", "upsampling": "multiplex"}
_VANILLA_PLACED = {**_VANILLA, "needs_masks": True}
_VANILLA_UNPLACED = {**_VANILLA, "needs_masks": False}
_TPH = {"first_stage": "transpose-h-a4-256x192", "width": 96, "n_layers": 2, "upsampling": "deconv"}
_TPH_OCHUMAN = {**_TPH, "masks": "res", "needs_masks": True}
_TPH_CROWDPOSE = {**_TPH, "masks": "conv", "needs_masks": False}
_TPH_COCO = {**_VANILLA_PLACED, "first_stage": "transpose-h-a6-256x192", "n_layers": 4}
_HRT = {
    "first_stage": "hrformer-b-256x192",
    "width": 78,
    "n_layers": 2,
    "masks": "res",
    "needs_masks": False,
    "upsampling": "deconv",
}
# Name without the size: builder, config, overrides, sizes.
_ROWS: tuple[
    tuple[str, str, dict[str, Any], Mapping[str, Any], tuple[tuple[int, int], ...]], ...
] = (
    ("simplebaseline-r50", "pose_resnet:build", {"depth": 50}, _JOINTS, _SIZES),
    ("simplebaseline-r101", "pose_resnet:build", {"depth": 101}, _JOINTS, _SIZES),
    ("simplebaseline-r152", "pose_resnet:build", {"depth": 152}, _JOINTS, _SIZES),
    ("hrnet-w32", "hrnet:build", {"width": 32}, _JOINTS, _SIZES),
    ("hrnet-w48", "hrnet:build", {"width": 48}, _JOINTS, _SIZES),
    ("mipnet-r50", "mipnet:build_resnet", {"depth": 50}, _JOINTS_AND_MIMB, _SIZES),
    ("mipnet-r101", "mipnet:build_resnet", {"depth": 101}, _JOINTS_AND_MIMB, _SIZES),
    ("mipnet-r152", "mipnet:build_resnet", {"depth": 152}, _JOINTS_AND_MIMB, _SIZES),
    ("mipnet-hrnet-w32", "mipnet:build_hrnet", {"width": 32}, _JOINTS_AND_MIMB, _SIZES),
    ("mipnet-hrnet-w48", "mipnet:build_hrnet", {"width": 48}, _JOINTS_AND_MIMB, _SIZES),
    ("transpose-h-a4", "transpose:build", {"n_layers": 4}, _JOINTS, (_SMALL,)),
    ("transpose-h-a6", "transpose:build", {"n_layers": 6}, _JOINTS, (_SMALL,)),
    ("hrformer-b", "hrformer:build", {}, _JOINTS_AND_BIAS, _SIZES),
    ("i2r-net-vanilla-coco", "i2r:build_vanilla", _VANILLA_PLACED, _JOINTS, (_SMALL,)),
    ("i2r-net-vanilla-crowdpose", "i2r:build_vanilla", _VANILLA_PLACED, _JOINTS_14, (_SMALL,)),
    ("i2r-net-vanilla-ochuman", "i2r:build_vanilla", _VANILLA_UNPLACED, _JOINTS, (_SMALL,)),
    ("i2r-net-transpose-h-coco", "i2r:build", _TPH_COCO, _JOINTS, (_SMALL,)),
    ("i2r-net-transpose-h-crowdpose", "i2r:build", _TPH_CROWDPOSE, _JOINTS_14, (_SMALL,)),
    ("i2r-net-transpose-h-ochuman", "i2r:build", _TPH_OCHUMAN, _JOINTS, (_SMALL,)),
    # Its parameters are the same for both sizes.
    ("i2r-net-hrformer-b-coco", "i2r:build", _HRT, _JOINTS, _SIZES),
    ("i2r-net-hrformer-b-crowdpose", "i2r:build", _HRT, _JOINTS_14, (_SMALL,)),
    ("i2r-net-hrformer-b-ochuman", "i2r:build", _HRT, _JOINTS, (_SMALL,)),
)
# Bottom-up networks see whole images; names end with the height of those that they were trained on.
# Name without that: builder, config, overrides, heights.
_RELATION_OVERRIDES: Mapping[str, Any] = MappingProxyType(
    {"num_joints": 17, "grm": True, "mfa": True}
)
_W32_HEADS = {"heat_channels": 32, "joint_channels": 15, "adaptive_blocks": 2}
_W48_HEADS = {**_W32_HEADS, "heat_channels": 48}
_DEKR_W32, _DEKR_W48 = {"width": 32, **_W32_HEADS}, {"width": 48, **_W48_HEADS}
_ONE_CENTRE = {"n_parts": 1, "refinement": False}
_PINET = {"width": 32, "n_parts": 3, "refinement": True, "graph": "dynamic", "graph_layers": 3}
_BOTTOM_UP_ROWS: tuple[tuple[str, str, dict[str, Any], Mapping[str, Any], tuple[int, ...]], ...] = (
    ("higherhrnet-w32", "higherhrnet:build", {"width": 32}, _JOINTS, (512, 640)),
    ("higherhrnet-w48", "higherhrnet:build", {"width": 48}, _JOINTS, (640,)),
    ("dekr-w32", "dekr:build", _DEKR_W32, _JOINTS, (512,)),
    ("dekr-w48", "dekr:build", _DEKR_W48, _JOINTS, (640,)),
    ("spm-w32", "pinet:build", {"width": 32, **_ONE_CENTRE}, _JOINTS, (512,)),
    ("pinet-w32-coco", "pinet:build", {**_PINET, "graph_layers": 2}, _JOINTS, (512,)),
    ("pinet-w32-crowdpose", "pinet:build", _PINET, _JOINTS_14, (512,)),
    ("pinet-w32-ochuman", "pinet:build", _PINET, _JOINTS, (512,)),
    (
        "global-relation-w32",
        "global_relation:build",
        {**_DEKR_W32, "shrunk": True},
        _RELATION_OVERRIDES,
        (512,),
    ),
    (
        "global-relation-w48",
        "global_relation:build",
        {**_DEKR_W48, "shrunk": True},
        _RELATION_OVERRIDES,
        (640,),
    ),
)
# Of no paper: small enough to be trained on a CPU in half an hour. One module for each stage, and
# branches of nearly the same width, as most of what poses need is seen at the highest resolution.
_TINY: Mapping[str, Any] = MappingProxyType(
    {"width": 24, "growth": 12, "modules": (1, 1, 1), "stem": 16, "bottlenecks": 1, "blocks": 2}
)
# Its first stage is hrnet-tiny, whose features are half as large as those of the official networks.
_I2R_TINY: Mapping[str, Any] = MappingProxyType(
    {
        "first_stage": "hrnet-tiny",
        "width": 24,
        "n_layers": 2,
        "masks": "conv",
        "needs_masks": True,
        "upsampling": "deconv",
        "feedforward": 48,
        "doublings": 1,
    }
)
# On the same trunk; the offset of a keypoint is made of fewer channels, and of one block, so that a
# step of training takes no more than twice the time of the trunk.
_TINY_HEADS = {"heat_channels": 24, "joint_channels": 4, "adaptive_blocks": 1}
_TINY_RELATION = {**_TINY, **_TINY_HEADS, "shrunk": True}
# With the rows of the ablations of the papers: name, builder, config, overrides.
_TINY_BOTTOM_UP: tuple[tuple[str, str, dict[str, Any], Mapping[str, Any]], ...] = (
    ("dekr-tiny", "dekr:build", {**_TINY, **_TINY_HEADS}, _JOINTS),
    ("pinet-tiny", "pinet:build", {**_PINET, **_TINY}, _JOINTS),
    ("pinet-tiny-static-graph", "pinet:build", {**_PINET, **_TINY, "graph": "static"}, _JOINTS),
    ("pinet-tiny-no-graph", "pinet:build", {**_PINET, **_TINY, "graph": "none"}, _JOINTS),
    *(
        (name, "pinet:build", {**_TINY, "n_parts": n, "refinement": False}, _JOINTS)
        for name, n in (
            ("spm-tiny", 1),
            ("pinet-tiny-head", 1),
            ("pinet-tiny-part-small", 6),
            ("pinet-tiny-keypoint", 13),
        )
    ),
    *(
        (
            name,
            "global_relation:build",
            _TINY_RELATION,
            MappingProxyType({"num_joints": 17, "grm": grm, "mfa": mfa}),
        )
        for name, grm, mfa in (
            ("grm-tiny", True, True),
            ("grm-tiny-grm", True, False),
            ("grm-tiny-mfa", False, True),
            ("grm-tiny-plain", False, False),
        )
    ),
)
# The networks of 3DMPPE, for square crops: name, builder, config, overrides, height and width.
_JOINTS_21: Mapping[str, Any] = MappingProxyType({"num_joints": 21})
_NONE: Mapping[str, Any] = MappingProxyType({})
_3DMPPE_TINY = {**_TINY, "head_width": 64}
_3DMPPE: tuple[tuple[str, str, dict[str, Any], Mapping[str, Any], int], ...] = (
    ("posenet-r50", "build_posenet", {"depth": 50, "n_bins": 64}, _JOINTS_21, 256),
    ("rootnet-r50", "build_rootnet", {"depth": 50}, _NONE, 256),
    ("posenet-tiny", "build_tiny_posenet", {**_3DMPPE_TINY, "n_bins": 32}, _JOINTS, 128),
    ("rootnet-tiny", "build_tiny_rootnet", _3DMPPE_TINY, _NONE, 128),
)
# PI-Net, of poses in space, with the networks of its ablations: unit, layers, whether in both
# directions, attention.
_POSE_INTERACTING: Mapping[str, tuple[str, int, bool, bool]] = MappingProxyType(
    {
        "pi-net": ("gru", 3, True, True),
        "pi-net-no-attention": ("gru", 3, True, False),
        "pi-net-unidirectional": ("gru", 3, False, True),
        "pi-net-unidirectional-no-attention": ("gru", 3, False, False),
        "pi-net-gru-2": ("gru", 2, True, True),
        "pi-net-gru-4": ("gru", 4, True, True),
        "pi-net-lstm-2": ("lstm", 2, True, True),
        "pi-net-lstm-3": ("lstm", 3, True, True),
        "pi-net-lstm-4": ("lstm", 4, True, True),
    }
)
_NO_IMAGES = (0, 0)
VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        f"{name}-{height}x{width}": Variant(
            builder, (height, width), MappingProxyType(config), overrides
        )
        for name, builder, config, overrides, sizes in _ROWS
        for height, width in sizes
    }
    | {
        f"{name}-{height}": Variant(builder, (height, height), MappingProxyType(config), overrides)
        for name, builder, config, overrides, heights in _BOTTOM_UP_ROWS
        for height in heights
    }
    | {
        "hrnet-tiny": Variant("hrnet:build", (128, 96), _TINY, _JOINTS),
        "mipnet-tiny": Variant("mipnet:build_hrnet", (128, 96), _TINY, _JOINTS_AND_MIMB),
        "i2r-net-tiny": Variant("i2r:build", (128, 96), _I2R_TINY, _JOINTS),
    }
    | {
        name: Variant(builder, (256, 256), MappingProxyType(config), overrides)
        for name, builder, config, overrides in _TINY_BOTTOM_UP
    }
    | {
        name: Variant(
            "pose_interacting:build_recurrent",
            _NO_IMAGES,
            MappingProxyType(
                {"unit": unit, "n_layers": n, "bidirectional": both, "attention": attention}
            ),
            _NONE,
        )
        for name, (unit, n, both, attention) in _POSE_INTERACTING.items()
    }
    | {"pi-net-gcn": Variant("pose_interacting:build_graph", _NO_IMAGES, _NONE, _NONE)}
    | {
        f"3dmppe-{name}": Variant(
            f"pose_in_space:{builder}", (size, size), MappingProxyType(config), overrides
        )
        for name, builder, config, overrides, size in _3DMPPE
    }
)


def variants() -> list[str]:
    """Return the names of all variants; no network library is loaded for it.

    >>> "mipnet-hrnet-w48-384x288" in variants()
    True
    """
    return list(VARIANTS)


def create(variant: str, **overrides: Any) -> nn.Module:
    """Return a network with random weights, in training mode like any new module.

    Args:
        variant: one of `variants()`.
        overrides: values to replace: ``num_joints`` (17; 14 where CrowdPose is in the name, 21 of
            3DMPPE's large PoseNet; RootNet and PI-Net take none); for MIPNet ``mimb``, four
            switches, one for each position of its modulation blocks; for HRFormer
            ``relative_position_bias``; for the Global Relation network ``grm`` and ``mfa``, whether
            it has these modules.

    Raises:
        UnknownNameError: if there is no such variant.
        UsageError: if the variant does not take an override, or not that value of it.

    The weights are torch's default initialisation. Under ``torch.device("meta")`` the network has
    shapes only.
    """
    if variant not in VARIANTS:
        raise UnknownNameError("network", variant, VARIANTS)
    row = VARIANTS[variant]
    unknown = sorted(overrides.keys() - row.overrides.keys())
    if unknown:
        takes = ", ".join(row.overrides) or "none"
        raise UsageError(f"network {variant} takes no {unknown[0]!r}; it takes {takes}")
    module, function = row.builder.split(":")
    build = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return cast("nn.Module", build(**row.config, **{**row.overrides, **overrides}))
