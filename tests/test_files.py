"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

import pytest

from crowdbench.errors import MissingError, WriteError
from crowdbench.files import read_bytes, write_atomically, write_json


def test_a_failing_write_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file: IO[bytes]) -> None:
        file.write(b"new and half")
        raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match=r"file\.txt can't be written: No space left on device"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file.txt"]


def test_any_other_error_passes_through_and_leaves_nothing(tmp_path: Path) -> None:
    def fail(file: IO[bytes]) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        write_atomically(tmp_path / "file.txt", fail)
    assert os.listdir(tmp_path) == []


def test_written_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_json(tmp_path / "ours.json", {"a": 1})
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours.json")}
    assert len(modes) == 1


def test_floats_keep_their_last_bit_in_json(tmp_path: Path) -> None:
    value = 0.1 + 0.2
    write_json(tmp_path / "x.json", {"value": value})
    assert str(value) in (tmp_path / "x.json").read_text()


def test_a_missing_file_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="weights not found at"):
        read_bytes(tmp_path / "none", "weights")
