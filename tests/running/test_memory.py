"""A lack of memory is told with what helps; other errors stay what they are."""

from __future__ import annotations

import pytest

from crowdbench.errors import MissingError
from crowdbench.running.memory import enough_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 8 GiB"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_lack_of_memory_is_told_with_what_helps(error: Exception) -> None:
    with (
        pytest.raises(MissingError, match=r"^not enough memory for batches: take less$"),
        enough_memory("batches", "take less"),
    ):
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), enough_memory("batches", "take less"):
        raise RuntimeError("shapes do not fit")
