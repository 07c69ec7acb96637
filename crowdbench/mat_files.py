"""MATLAB's .mat files of version 5 to 7.2, with errors that say what is wrong with a file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from crowdbench.errors import InputError
from crowdbench.structures import Array

# Where the header of version 5 says in which order bytes come, and what it can say.
_ORDER_AT, _ORDERS = slice(126, 128), (b"IM", b"MI")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HEADER = 128


def read_mat(path: Path, content: bytes) -> dict[str, Array]:
    """Return the variables of a .mat file by name, as scipy's `loadmat` gives them.

    Args:
        path: the file, for messages.
        content: its bytes.

    Raises:
        InputError: if it is no such file, of version 7.3 (which is HDF5), cut short or damaged.
    """
    # Imported here: most of crowdbench reads no such file.
    from scipy.io import loadmat

    if not content:
        raise InputError(f"{path}: the file is empty, expected a .mat file")
    if content.startswith((_HDF5, b"MATLAB 7.3")):
        raise InputError(
            f"{path}: a .mat file of version 7.3 (HDF5), which can't be read here: load it in "
            "MATLAB and save it with -v7"
        )
    if content[_ORDER_AT] not in _ORDERS:
        if len(content) < _HEADER:
            raise InputError(f"{path}: ends after {len(content)} bytes: a truncated .mat file?")
        raise InputError(f"{path}: no .mat file of version 5 to 7.2")
    try:
        with warnings.catch_warnings():
            # Of variables that can't be read or come twice scipy only warns.
            warnings.simplefilter("error")
            found = loadmat(io.BytesIO(content))  # type: ignore[arg-type]  # the stubs say names only
    # Which of nearly all kinds scipy raises depends on where the damage is.
    except Exception as error:
        raise InputError(
            f"{path}: the .mat file of {len(content):,} bytes can't be read "
            f"({' '.join(str(error).split()) or type(error).__name__}): truncated or damaged?"
        ) from None
    return {name: value for name, value in found.items() if not name.startswith("__")}
