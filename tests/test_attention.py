"""Files of attention: what is kept, the same bytes, and what is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdbench.attention import (
    Attention,
    attention_fault,
    attention_path,
    attention_paths,
    read_attention,
    write_attention,
)
from crowdbench.errors import InputError, MissingError
from crowdbench.structures import Array
from tests.attention_samples import make_attention, make_image

K = 14


def varied(attention: Attention) -> Attention:
    """Return the attention with other weights everywhere."""
    weights = np.random.default_rng(0).random(attention.weights.shape)
    weights /= weights.sum((3, 4, 5), keepdims=True)
    return replace(attention, weights=weights.astype(np.float32))


@pytest.mark.parametrize("has_before", [True, False])
def test_what_is_written_is_read_with_weights_of_three_digits(
    tmp_path: Path, has_before: bool
) -> None:
    attention = varied(make_attention())
    if not has_before:
        attention = replace(attention, before=None)
    write_attention(tmp_path, make_image(attention, -3, "\u4eba/x.jpg"))
    found = read_attention(attention_path(tmp_path, -3), K)
    assert (found.image_id, found.file_name, found.size) == (-3, "\u4eba/x.jpg", (160, 120))
    for name in ("boxes", "crops", "keypoints"):
        assert (getattr(found.attention, name) == getattr(attention, name)).all()
    assert (found.attention.before is not None) == has_before
    if has_before:
        assert (found.attention.before == attention.before).all()
    assert found.attention.weights.dtype == np.float32
    np.testing.assert_allclose(found.attention.weights, attention.weights, rtol=2**-11, atol=2**-25)


def test_many_persons_pass_though_their_weights_are_small(tmp_path: Path) -> None:
    write_attention(tmp_path, make_image(varied(make_attention(40, 2, layers=1)), 1))
    assert read_attention(attention_path(tmp_path, 1), 2).attention.weights.shape[1] == 40


def test_equal_attention_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_attention(tmp_path / name, make_image(varied(make_attention())))
    one, other = ((tmp_path / name / "7.npz").read_bytes() for name in ("a", "b"))
    assert one == other


def test_files_are_found_by_ascending_id_and_no_others(tmp_path: Path) -> None:
    for image_id in (10, 9, -1):
        write_attention(tmp_path, make_image(make_attention(), image_id))
    for name in ("x.npz", "007.npz", "\u0663.npz", ".npz", "1.txt"):
        (tmp_path / name).write_text("")
    assert [path.name for path in attention_paths(tmp_path)] == ["-1.npz", "9.npz", "10.npz"]
    assert attention_paths(tmp_path / "none") == []


def changed(name: str, change: Callable[[Array], Any]) -> Attention:
    attention = make_attention()
    return replace(attention, **{name: change(getattr(attention, name).copy())})


def with_one(values: Array, value: float) -> Array:
    values.flat[-1] = value
    return values


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("weights", lambda w: w[0], "weights of shape"),
        ("weights", lambda w: w[..., :0], "without a 0"),
        ("weights", lambda w: w[:, :, :, :2], "expected (2, 3, 14, 3, 4, 3)"),
        ("weights", lambda w: w[:, :, :13], "expected (2, 3, 14, 3, 4, 3)"),
        ("weights", lambda w: w * 0.9, "sum to 1"),
        ("weights", lambda w: with_one(w, -0.001), "no shares"),
        ("weights", lambda w: with_one(w, np.nan), "weights with numbers that are not finite"),
        ("weights", lambda w: np.ones(w.shape, int), "weights of type int64"),
        ("boxes", lambda b: b[:2], "boxes of shape (2, 4), expected (3, 4)"),
        ("boxes", lambda b: with_one(b, np.inf), "boxes with numbers that are not finite"),
        ("crops", lambda c: with_one(c, 0), "crops without an extent"),
        ("keypoints", lambda p: p[..., :1], "keypoints of shape (3, 14, 1)"),
        ("before", lambda p: p[:, :3], "before of shape (3, 3, 2)"),
        ("before", lambda p: with_one(p, 1e12), "beyond 1e+09"),
        ("boxes", lambda _: None, "boxes of shape ()"),
    ],
)
def test_arrays_that_do_not_fit_are_told(
    name: str, change: Callable[[Array], Any], words: str
) -> None:
    fault = attention_fault(changed(name, change), K)
    assert fault is not None
    assert words in fault


def test_arrays_that_fit_have_no_fault() -> None:
    assert attention_fault(make_attention(), K) is None
    assert attention_fault(replace(make_attention(), before=None), K) is None


def arrays_of(tmp_path: Path) -> dict[str, Any]:
    write_attention(tmp_path, make_image(make_attention()))
    with np.load(tmp_path / "7.npz") as file:
        return dict(file)


def saved(save: Callable[..., None] = np.savez, **arrays: Any) -> bytes:
    content = io.BytesIO()
    save(content, **arrays)
    return content.getvalue()


def without(arrays: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in arrays.items() if key != name}


def huge_header(arrays: dict[str, Any]) -> bytes:
    """Return a file whose boxes say that there are more of them than any memory holds."""
    content = saved(**arrays)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            if member.filename == "boxes.npy":
                data = data.replace(b"(3, 4), ", b"(9876543210123, 4), ").replace(b" " * 12, b"", 1)
            new.writestr(member, data)
    return out.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        lambda a: b"",
        lambda a: b"no archive",
        lambda a: saved(**a)[:-30],
        lambda a: saved(**a).replace(b"NUMPY", b"DUMMY"),
        lambda a: saved(np.savez_compressed, **a),
        lambda a: saved(**without(a, "weights")),
        lambda a: saved(**without(a, "file_name")),
        lambda a: saved(**a | {"boxes": np.array([{}, {}], object)}),
        lambda a: saved(**a | {"file_name": np.array(3)}),
        lambda a: saved(**a | {"size": np.array([1.5, 2])}),
        lambda a: saved(**a | {"size": np.array([1, 2, 3])}),
        lambda a: saved(**a | {"weights": np.array("x")}),
        lambda a: saved(**a | {"weights": a["weights"] * 2}),
        lambda a: saved(**a | {"keypoints": a["keypoints"][:, :5]}),
        huge_header,
    ],
)
def test_a_file_that_is_something_else_is_refused_by_name(
    tmp_path: Path, make: Callable[[dict[str, Any]], bytes]
) -> None:
    path = tmp_path / "7.npz"
    path.write_bytes(make(arrays_of(tmp_path)))
    with pytest.raises(InputError) as refused:
        read_attention(path, K)
    assert str(path) in str(refused.value)
    assert "predict again with --save-attention" in str(refused.value)


def test_a_file_of_another_keypoint_layout_is_refused(tmp_path: Path) -> None:
    write_attention(tmp_path, make_image(make_attention()))
    with pytest.raises(InputError, match=r"expected \(2, 3, 17, 3, 4, 3\)"):
        read_attention(tmp_path / "7.npz", 17)


def test_a_file_that_is_gone_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        read_attention(tmp_path / "7.npz", K)
