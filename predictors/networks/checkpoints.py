"""Weights from safetensors or PyTorch files, into networks that they must fit exactly."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from crowdbench.errors import InputError
from crowdbench.files import read_bytes
from predictors.networks import VARIANTS, create

Shapes = dict[str, tuple[int, ...]]
# Where training programs put the weights, beside the optimiser's state; the first that is there.
_WRAPPERS = ("latest_state_dict", "state_dict", "model", "network")
# What all names may begin with, after training on several devices or in half precision.
_PREFIXES = ("module.", "1.")
# Counters of batch-norm; checkpoints of old PyTorch versions have none, and inference needs none.
_COUNTER = "num_batches_tracked"
# 21 are those of 3DMPPE.
_JOINT_COUNTS = (17, 14, 21)
_END_OF_ZIP = b"PK\x05\x06"


class NumpyValue:
    """Stands for a numpy number in a checkpoint, e.g. the accuracy it reached; it keeps nothing.

    Official checkpoints hold such numbers, and PyTorch refuses the whole file for them. Putting
    this in their place lets the weights be read without running anything of numpy's.
    """

    def __init__(self, *parts: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


_NUMPY_NAMES = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")


def load_checkpoint(network: nn.Module, path: Path, variant: str) -> None:
    """Load a checkpoint into a network, all of it or nothing.

    Args:
        network: its parameters and buffers get the values, converted to their types.
        path: a safetensors or PyTorch file; which one it is, is seen from its content. The tensors
            may lie in an entry ``latest_state_dict``, ``state_dict``, ``model`` or, as 3DMPPE and
            PI-Net have it, ``network``; and all names may begin with ``module.`` or, as some of
            HigherHRNet's files have it, ``1.``.
        variant: the name the network was created by, for messages.

    Raises:
        MissingError: if there is no such file.
        InputError: if it can't be read, holds Python objects other than tensors and plain values,
            lacks a tensor, has one too many, one of another shape or one with a value that is not
            finite. The network is then as it was. Batch-norm's counters may be missing.

    No code of the file is run. Deviation from the official programs: some load what matches and
    ignore the rest, so that a wrong file gives random weights without a word.
    """
    tensors = _tensors(path, _read(path))
    own = network.state_dict()
    found, wanted = _shapes_of(tensors), _shapes_of(own)
    problems = _differences(found, wanted)
    if problems:
        seems = _what_it_seems(found, wanted, variant)
        raise InputError(f"{path} is no checkpoint of {variant}: {'; '.join([*problems, *seems])}")
    values = {name: _converted(path, name, value, own[name]) for name, value in tensors.items()}
    network.load_state_dict({**own, **values})


def load_what_fits(network: nn.Module, path: Path, prefix: str) -> tuple[int, int]:
    """Load those tensors of a checkpoint that a network has, too, by name and shape.

    Args:
        network: gets the values, converted to its types.
        path: see `load_checkpoint`.
        prefix: what the network's names may have before those of the file, e.g. ``backbone.``.

    Returns:
        How many tensors were taken, and of how many.

    Raises:
        MissingError, InputError: as `load_checkpoint`; also if nothing fits.
    """
    own = network.state_dict()
    taken = {}
    for name, value in _tensors(path, _read(path)).items():
        for known in (name, prefix + name):
            if known in own and own[known].shape == value.shape and not name.endswith(_COUNTER):
                taken[known] = _converted(path, name, value, own[known])
    if not taken:
        raise InputError(f"{path}: none of its tensors fits the network by name and shape")
    network.load_state_dict({**own, **taken})
    return len(taken), sum(not name.endswith(_COUNTER) for name in own)


def _read(path: Path) -> Any:
    """Return what a file holds, by its format."""
    content = read_bytes(path, "weights")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # After the length of its header in eight bytes, a safetensors file begins with JSON.
            if content[8:9] == b"{":
                return safetensors.torch.load(content)
            with torch.serialization.safe_globals([(NumpyValue, name) for name in _NUMPY_NAMES]):
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    # A damaged file may end in any exception, from a KeyError to a RecursionError.
    except Exception as error:
        raise InputError(f"{path}: {_reason(content, error)}") from None


def _reason(content: bytes, error: Exception) -> str:
    """Return why the readers failed at a file, in words that help its owner."""
    blocked = re.search(r"GLOBAL ([\w.]+)", str(error))
    if blocked:
        return (
            f"holds the Python object {blocked[1]}, which could run code when loaded, so nothing "
            "was loaded; save the state dict alone"
        )
    if not content:
        return "the file is empty, expected a safetensors or PyTorch file"
    if content[8:9] == b"{":
        return f"a truncated or damaged safetensors file ({str(error)[:100]})"
    if content.startswith(b"PK"):
        # By the bytes, since a damaged archive may break Python's own reader as well.
        if _END_OF_ZIP not in content:
            return f"the zip archive ends too early, after {len(content):,} bytes: truncated file?"
        if b"/data.pkl" not in content:
            return "a zip archive that is no PyTorch checkpoint: it has no data.pkl"
    elif not content.startswith(b"\x80"):
        return "neither a safetensors nor a PyTorch file"
    elif isinstance(error, EOFError) or "unexpected EOF" in str(error):
        return f"the file ends too early, after {len(content):,} bytes: truncated file?"
    # The unpickler's words stand between two paragraphs on how to read the file all the same.
    words = str(error).rpartition("WeightsUnpickler error:")[2].strip() or type(error).__name__
    return f"a damaged file or no PyTorch checkpoint ({words.splitlines()[0][:100]})"


def _tensors(path: Path, content: Any) -> dict[str, torch.Tensor]:
    """Return the tensors by name, out of their wrapping and without a common prefix."""
    if isinstance(content, Mapping):
        wrapped = (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping))
        content = next(wrapped, content)
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds {type(content).__name__}, expected tensors by name")
    if not content:
        raise InputError(f"{path}: holds no tensors")
    for name, value in content.items():
        if not isinstance(name, str):
            raise InputError(f"{path}: holds an entry named {name!r}, expected text as names")
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: {name!r} is {type(value).__name__}, expected a tensor")
    common = (p for p in _PREFIXES if all(name.startswith(p) for name in content))
    prefix = next(common, "")
    return {name.removeprefix(prefix): value for name, value in content.items()}


def _converted(path: Path, name: str, value: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return a tensor in the type that the network has it in."""
    is_float = wanted.dtype.is_floating_point
    if (
        value.dtype.is_floating_point != is_float
        or value.layout is not torch.strided
        or value.device.type != "cpu"
    ):
        found = f"{value.dtype}, {value.layout} on {value.device}"
        raise InputError(f"{path}: {name!r} is {found}; expected {wanted.dtype} with its values")
    value = value.to(wanted.dtype)
    if is_float and not bool(torch.isfinite(value).all()):
        raise InputError(f"{path}: {name!r} has values that are not finite (NaN or infinity)")
    return value


def _shapes_of(tensors: Mapping[str, torch.Tensor]) -> Shapes:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _differences(found: Shapes, wanted: Shapes) -> list[str]:
    """Return how many tensors are missing, too many or of another shape, each with the first."""
    missing = [n for n in wanted if n not in found and not n.endswith(_COUNTER)]
    unexpected = [n for n in found if n not in wanted]
    other = [n for n in found if n in wanted and found[n] != wanted[n]]
    words = []
    if missing:
        words.append(f"{len(missing)} missing (first {missing[0]!r})")
    if unexpected:
        words.append(f"{len(unexpected)} unexpected (first {unexpected[0]!r})")
    if other:
        name = other[0]
        shapes = f"{found[name]}, expected {wanted[name]}"
        words.append(f"{len(other)} of another shape (first {name!r}: {shapes})")
    return words


def _what_it_seems(found: Shapes, own: Shapes, variant: str) -> list[str]:
    """Return what a file that does not fit is instead, if it is a network we know.

    To find out takes seconds, which small networks beside those of `VARIANTS` are not worth.
    """
    if variant not in VARIANTS:
        return []
    fit = _fitting(found)
    if fit is None:
        return []
    names, joints = fit
    expected = _fitting(own)
    if variant in names and expected is not None:
        return [f"it has {joints} joints, expected {expected[1]}"]
    counted = f" ({joints} joints)" if _takes_joints(names[0]) else ""
    return [f"it fits {' or '.join(names)}{counted}"]


def _fitting(shapes: Shapes) -> tuple[list[str], int] | None:
    """Return the variants that have exactly these tensors, and their number of joints.

    That is the first of `_JOINT_COUNTS` for variants that are not made for a number.
    """
    bare = _without_counters(shapes)
    # The names spare most networks from being made again: DEKR has fewer for fewer joints, and the
    # others have the same.
    alike = [names for names in _alike() if _shapes_at(names[0], 17).keys() >= bare.keys()]
    for joints in _JOINT_COUNTS:
        fit = [names for names in alike if _shapes_at(names[0], joints) == bare]
        if fit:
            return [name for names in fit for name in names], joints
    return None


def _alike() -> list[list[str]]:
    """Return the names of all variants, together where crop or default joints alone differ."""
    alike: dict[tuple[str, frozenset[tuple[str, Any]]], list[str]] = {}
    for name, row in VARIANTS.items():
        values = {**row.config, **row.overrides, "num_joints": None}
        alike.setdefault((row.builder, frozenset(values.items())), []).append(name)
    return list(alike.values())


@cache
def _shapes_at(variant: str, joints: int) -> Shapes:
    """Return the tensors of a variant for a number of joints, where it is made for one."""
    overrides = {"num_joints": joints} if _takes_joints(variant) else {}
    with torch.device("meta"):
        state = create(variant, **overrides).state_dict()
    return _without_counters(_shapes_of(state))


def _takes_joints(variant: str) -> bool:
    return "num_joints" in VARIANTS[variant].overrides


def _without_counters(shapes: Shapes) -> Shapes:
    return {name: shape for name, shape in shapes.items() if not name.endswith(_COUNTER)}
