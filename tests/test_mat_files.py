"""MATLAB's files, whole and broken."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from crowdbench.errors import InputError
from crowdbench.mat_files import read_mat

PATH = Path("annot.mat")


def saved(compress: bool = False) -> bytes:
    file = io.BytesIO()
    table = np.empty((2, 1), object)
    table[:, 0] = np.arange(6.0).reshape(2, 3), {"a": np.eye(40)}
    savemat(file, {"table": table, "number": 5}, do_compression=compress)
    return file.getvalue()


@pytest.mark.parametrize("compress", [False, True])
def test_variables_come_by_name(compress: bool) -> None:
    found = read_mat(PATH, saved(compress))
    assert list(found) == ["table", "number"]
    assert found["table"].shape == (2, 1)
    np.testing.assert_array_equal(found["table"][0, 0], np.arange(6.0).reshape(2, 3))
    assert found["number"].tolist() == [[5]]


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_cut_anywhere_is_an_error_or_lacks_a_variable(compress: bool) -> None:
    content = saved(compress)
    outcomes = set()
    for end in range(0, len(content), 7):
        try:
            outcomes.add(tuple(read_mat(PATH, content[:end])))
        except InputError as error:
            outcomes.add("truncated" in str(error) or "is empty" in str(error))
    assert False not in outcomes
    assert True in outcomes
    assert ("table", "number") not in outcomes


def test_a_changed_byte_of_a_compressed_file_is_an_error() -> None:
    content = bytearray(saved(compress=True))
    content[300] ^= 1
    with pytest.raises(InputError, match=r"can't be read .* truncated or damaged"):
        read_mat(PATH, bytes(content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"MATLAB 5.0", r"ends after 10 bytes: a truncated \.mat file"),
        (b"{}" * 100, "no .mat file of version 5 to 7.2"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "of version 7.3 .* save it with -v7"),
        (b"MATLAB 7.3 MAT-file".ljust(600), "of version 7.3 .* save it with -v7"),
        (saved()[:128] + b"\xff" * 64, "can't be read .* truncated or damaged"),
    ],
)
def test_what_is_no_readable_file_is_said_so(content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_mat(PATH, content)
