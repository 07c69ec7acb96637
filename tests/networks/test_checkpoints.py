"""Checkpoints: what fits is loaded whatever its wrapping; all else is refused, in one message."""

from __future__ import annotations

import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from crowdbench.errors import InputError, MissingError
from predictors.networks import create
from predictors.networks.checkpoints import load_checkpoint

VARIANT = "simplebaseline-r50-256x192"
State = dict[str, torch.Tensor]


def small(seed: int = 0) -> nn.Module:
    """Return a network with parameters, buffers and a counter, all of them different."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    nn.init.normal_(network[1].running_mean)
    network[1].num_batches_tracked.fill_(seed + 5)
    return network


def wanted() -> State:
    return small(1).state_dict()


def hollow(variant: str, **overrides: Any) -> State:
    """Return a state dict of the network's shapes that takes no room: every tensor is one zero."""
    with torch.device("meta"):
        state = create(variant, **overrides).state_dict()
    return {n: torch.zeros((), dtype=t.dtype).expand(t.shape) for n, t in state.items()}


def saved(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def load(tmp_path: Path, content: bytes, network: nn.Module | None = None) -> State:
    """Load a file of this content into a small network, or another; return its state."""
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    network = network or small()
    load_checkpoint(network, path, VARIANT)
    return network.state_dict()


def refusal(tmp_path: Path, content: bytes) -> str:
    """Return the message that a file is refused with; it names the file and changes nothing."""
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    network = small()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        with pytest.raises(InputError) as caught:
            load_checkpoint(network, path, VARIANT)
    assert not leaked
    assert same(network.state_dict(), before)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message.removeprefix(str(path))) < 400
    return message


def same(found: State, expected: State) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


# --- what is loaded -------------------------------------------------------------------------------


def adam_after_a_step() -> dict[str, Any]:
    """Return the state of an optimiser, with tensors, numbers and lists."""
    parameter = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([parameter], lr=1e-5)
    parameter.sum().backward()
    optimizer.step()
    return optimizer.state_dict()


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "module.": lambda state: {f"module.{name}": value for name, value in state.items()},
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": state, "optimizer": {"state": {}}},
    "network": lambda state: {"epoch": 24, "network": state, "optimizer": adam_after_a_step()},
    "network, module.": lambda state: {
        "epoch": 24,
        "network": {f"module.{name}": value for name, value in state.items()},
        "optimizer": adam_after_a_step(),
    },
    "model is a name": lambda state: {"model": "pose_hrnet", "state_dict": state},
    "latest first": lambda state: {
        "state_dict": {"old": torch.zeros(1)},
        "latest_state_dict": {f"module.{name}": value for name, value in state.items()},
    },
    "numpy's accuracy": lambda state: {"perf": np.float64(0.788), "state_dict": state},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", WRAPPINGS)
def test_pytorch_files_are_unwrapped(name: str, legacy: bool, tmp_path: Path) -> None:
    content = saved(WRAPPINGS[name](wanted()), _use_new_zipfile_serialization=not legacy)
    assert same(load(tmp_path, content), wanted())


def test_numbers_of_the_numpy_of_then_do_no_harm(tmp_path: Path) -> None:
    content = saved(
        {"perf": np.float64(0.788), "state_dict": wanted()}, _use_new_zipfile_serialization=False
    )
    assert b"numpy._core" in content
    assert same(load(tmp_path, content.replace(b"numpy._core", b"numpy.core")), wanted())


def test_safetensors_are_known_by_their_content(tmp_path: Path) -> None:
    assert same(load(tmp_path, safetensors.torch.save(wanted())), wanted())


def test_counters_may_be_missing_and_are_left_as_they_are(tmp_path: Path) -> None:
    state = wanted()
    del state["1.num_batches_tracked"]
    found = load(tmp_path, saved(state))
    assert found["1.num_batches_tracked"] == 5
    assert same({**found, "1.num_batches_tracked": torch.tensor(6)}, wanted())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_the_networks(dtype: torch.dtype, tmp_path: Path) -> None:
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in wanted().items()}
    found = load(tmp_path, saved(state))
    assert found["0.weight"].dtype == torch.float32
    assert same(found, {n: t.to(found[n].dtype) for n, t in state.items()})


def test_a_checkpoint_of_a_network_loads_into_the_same_network(tmp_path: Path) -> None:
    network = create(VARIANT)
    load(tmp_path, saved(hollow("simplebaseline-r50-384x288")), network)
    assert all(not tensor.any() for tensor in network.state_dict().values())


# --- what is no checkpoint ------------------------------------------------------------------------


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"weights not found at .*nothing.pth"):
        load_checkpoint(small(), tmp_path / "nothing.pth", VARIANT)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, expected a file"):
        load_checkpoint(small(), tmp_path, VARIANT)


def _zip_of(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "text")
    return file.getvalue()


_ZIP = saved(wanted())
_LEGACY = saved(wanted(), _use_new_zipfile_serialization=False)
_SAFE = safetensors.torch.save(wanted())
BROKEN = {
    "empty": (b"", "the file is empty, expected a safetensors or PyTorch file"),
    "text": (b"hello, I am a text", "neither a safetensors nor a PyTorch file"),
    "short text": (b"hi", "neither a safetensors nor a PyTorch file"),
    "page": (b"<html>Quota exceeded</html>", "neither a safetensors nor a PyTorch file"),
    "zeros": (bytes(100), "neither a safetensors nor a PyTorch file"),
    "truncated zip": (_ZIP[: len(_ZIP) // 2], "the zip archive ends too early, after "),
    "truncated pickle": (_LEGACY[:60], "the file ends too early, after 60 bytes: truncated"),
    "truncated values": (_LEGACY[:-9], "the file ends too early"),
    "truncated safetensors": (_SAFE[:-9], "a truncated or damaged safetensors file"),
    "truncated header": (_SAFE[:20], "a truncated or damaged safetensors file"),
    "text like a header": (b"function{}", "a truncated or damaged safetensors file"),
    "other zip": (_zip_of("a.txt", "b/c.txt"), "a zip archive that is no PyTorch checkpoint"),
    "zip with a false name": (_zip_of("b/data.pkl"), "a damaged file or no PyTorch checkpoint ("),
    "other pickle": (
        pickle.dumps({"a": 1}, protocol=4),
        "a damaged file or no PyTorch checkpoint (Unsupported operand 149)",
    ),
    "list": (saved([torch.zeros(1)]), "holds list, expected tensors by name"),
    "tensor": (saved(torch.zeros(1)), "holds Tensor, expected tensors by name"),
    "no tensors": (saved({"state_dict": {}}), "holds no tensors"),
    "number": (saved({"0.weight": torch.zeros(1), "epoch": 3}), "'epoch' is int, expected a"),
    "number inside": (saved({"model": {"lr": 0.1}}), "'lr' is float, expected a tensor"),
    "nameless": (saved({3: torch.zeros(1)}), "holds an entry named 3, expected text as names"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_checkpoint_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    content, reason = BROKEN[name]
    assert reason in refusal(tmp_path, content)


@pytest.mark.parametrize("content", [_ZIP, _LEGACY, _SAFE], ids=["zip", "legacy", "safetensors"])
def test_no_damage_ends_in_another_error(content: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = np.frombuffer(content, np.uint8).copy()
        places = rng.integers(0, min(len(damaged), 600), 3)
        damaged[places] = rng.integers(0, 256, 3)
        path = tmp_path / "weights.pth"
        path.write_bytes(damaged.tobytes()[: rng.integers(1, 2 * len(content))])
        with suppress(InputError):
            load_checkpoint(small(), path, VARIANT)


class _Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", ["zip", "legacy", "pickle"])
def test_the_code_in_a_file_is_not_run(write: str, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    harmful: Any = _Harmful(mark)
    content = {"state_dict": {"0.weight": harmful}}
    written = {
        "zip": lambda: saved(content),
        "legacy": lambda: saved(content, _use_new_zipfile_serialization=False),
        "pickle": lambda: pickle.dumps(content, protocol=2),
    }[write]()
    message = refusal(tmp_path, written)
    assert not mark.exists()
    assert f"holds the Python object {os.mkdir.__module__}.mkdir, which could run code" in message
    pickle.loads(pickle.dumps(harmful))
    assert mark.exists()


def test_a_pickled_network_is_refused_by_its_class(tmp_path: Path) -> None:
    assert "holds the Python object torch.nn.modules" in refusal(tmp_path, saved(small()))


# --- what does not fit ----------------------------------------------------------------------------


def changed(**changes: Any) -> bytes:
    """Return a checkpoint of the small network with other values; None leaves a tensor out."""
    state = {**wanted(), **changes}
    return saved({name: value for name, value in state.items() if value is not None})


MISFITS = {
    "missing": (
        changed(**{"0.weight": None, "2.bias": None}),
        "no checkpoint of simplebaseline-r50-256x192: 2 missing (first '0.weight')",
    ),
    "unexpected": (changed(extra=torch.zeros(1)), ": 1 unexpected (first 'extra')"),
    "shape": (
        changed(**{"2.bias": torch.zeros(3)}),
        ": 1 of another shape (first '2.bias': (3,), expected (2,))",
    ),
    "all three": (
        changed(**{"0.bias": None, "x": torch.zeros(1), "2.bias": torch.zeros(())}),
        ": 1 missing (first '0.bias'); 1 unexpected (first 'x'); 1 of another shape (first '2.",
    ),
    "half of the names with module.": (
        changed(**{"0.bias": None, "module.0.bias": torch.zeros(4)}),
        ": 1 missing (first '0.bias'); 1 unexpected (first 'module.0.bias')",
    ),
    "NaN": (
        changed(**{"2.bias": torch.tensor([1.0, float("nan")])}),
        "'2.bias' has values that are not finite (NaN or infinity)",
    ),
    "infinity": (
        changed(**{"1.running_var": torch.tensor([1.0, 2, float("-inf"), 0])}),
        "'1.running_var' has values that are not finite",
    ),
    "infinity in half precision": (
        changed(**{"2.bias": torch.tensor([1.0, float("inf")]).half()}),
        "'2.bias' has values that are not finite",
    ),
    "too large for the network's type": (
        changed(**{"2.bias": torch.tensor([1.0, 1e300], dtype=torch.float64)}),
        "'2.bias' has values that are not finite",
    ),
    "integers": (
        changed(**{"2.bias": torch.tensor([1, 2])}),
        "'2.bias' is torch.int64, torch.strided on cpu; expected torch.float32 with its values",
    ),
    "fractions": (
        changed(**{"1.num_batches_tracked": torch.tensor(0.5)}),
        "'1.num_batches_tracked' is torch.float32, torch.strided on cpu; expected torch.int64",
    ),
    "sparse": (changed(**{"2.bias": torch.zeros(2).to_sparse()}), "'2.bias' is torch.float32, to"),
    "without values": (
        changed(**{"2.bias": torch.zeros(2, device="meta")}),
        "'2.bias' is torch.float32, torch.strided on meta",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_refused_with_the_first_name(name: str, tmp_path: Path) -> None:
    content, reason = MISFITS[name]
    assert reason in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("held", "joints", "words"),
    [
        ("hrnet-w48-384x288", 17, "; it fits hrnet-w48-256x192 or hrnet-w48-384x288 (17 joints)"),
        ("mipnet-hrnet-w32-256x192", 14, "mipnet-hrnet-w32-384x288 (14 joints)"),
        ("simplebaseline-r50-384x288", 14, "; it has 14 joints, expected 17"),
        # One of the three needs no masks, which is not to be seen from its tensors.
        ("i2r-net-vanilla-coco-256x192", 14, " or i2r-net-vanilla-ochuman-256x192 (14 joints)"),
    ],
)
def test_the_message_says_what_the_file_is_instead(
    held: str, joints: int, words: str, tmp_path: Path
) -> None:
    with torch.device("meta"):
        network = create(VARIANT)
    path = tmp_path / "weights.pth"
    torch.save(hollow(held, num_joints=joints), path)
    with pytest.raises(InputError) as caught:
        load_checkpoint(network, path, VARIANT)
    assert str(caught.value).endswith(words)
    assert str(caught.value).startswith(f"{path} is no checkpoint of {VARIANT}: ")


@pytest.mark.parametrize("held", ["pi-net", "pi-net-gcn", "3dmppe-rootnet-r50"])
def test_networks_for_one_number_of_joints_are_told_without_it(held: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        network = create("pi-net-gru-2")
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 24, "network": hollow(held)}, path)
    with pytest.raises(InputError) as caught:
        load_checkpoint(network, path, "pi-net-gru-2")
    assert str(caught.value).endswith(f"; it fits {held}")


def test_the_21_joints_of_3dmppe_are_told(tmp_path: Path) -> None:
    with torch.device("meta"):
        network = create("3dmppe-posenet-r50", num_joints=17)
    path = tmp_path / "weights.pth"
    torch.save(hollow("3dmppe-posenet-r50"), path)
    with pytest.raises(InputError) as caught:
        load_checkpoint(network, path, "3dmppe-posenet-r50")
    assert str(caught.value).endswith("; it has 21 joints, expected 17")


def test_counters_do_not_hide_what_an_old_file_is(tmp_path: Path) -> None:
    with torch.device("meta"):
        network = create("mipnet-r50-256x192", num_joints=14)
    state = hollow("mipnet-r50-256x192")
    old = {name: value for name, value in state.items() if not name.endswith("_tracked")}
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": old}, path)
    with pytest.raises(InputError) as caught:
        load_checkpoint(network, path, "mipnet-r50-256x192")
    assert str(caught.value).endswith(
        ": 2 of another shape (first 'final_layer.weight': (17, 256, 1, 1), expected "
        "(14, 256, 1, 1)); it has 17 joints, expected 14"
    )
