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
        input_size: height and width of the crop in pixels that the variant was trained with.
        config: the values that make it this variant.
        overrides: the values that a caller may replace, each with its default.
    """

    builder: str
    input_size: tuple[int, int]
    config: Mapping[str, Any]
    overrides: Mapping[str, Any]


_SIZES = ((256, 192), (384, 288))
_JOINTS: Mapping[str, Any] = MappingProxyType({"num_joints": 17})
# The four positions of MIPNet's blocks; the setting is that of the published checkpoint.
_JOINTS_AND_MIMB: Mapping[str, Any] = MappingProxyType(
    {"num_joints": 17, "mimb": (False, False, True, True)}
)
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
)
# Of no paper: small enough to be trained on a CPU in half an hour. One module for each stage, and
# branches of nearly the same width, as most of what poses need is seen at the highest resolution.
_TINY: Mapping[str, Any] = MappingProxyType(
    {"width": 24, "growth": 12, "modules": (1, 1, 1), "stem": 16, "bottlenecks": 1, "blocks": 2}
)
VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        f"{name}-{height}x{width}": Variant(
            builder, (height, width), MappingProxyType(config), overrides
        )
        for name, builder, config, overrides, sizes in _ROWS
        for height, width in sizes
    }
    | {
        "hrnet-tiny": Variant("hrnet:build", (128, 96), _TINY, _JOINTS),
        "mipnet-tiny": Variant("mipnet:build_hrnet", (128, 96), _TINY, _JOINTS_AND_MIMB),
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
        overrides: values to replace: ``num_joints`` (17), and for MIPNet ``mimb``, four switches,
            one for each position of its modulation blocks.

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
        takes = ", ".join(row.overrides)
        raise UsageError(f"network {variant} takes no {unknown[0]!r}; it takes {takes}")
    module, function = row.builder.split(":")
    build = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return cast("nn.Module", build(**row.config, **{**row.overrides, **overrides}))
