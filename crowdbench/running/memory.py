"""What to say when a predictor does not find enough memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crowdbench.errors import MissingError

# In the messages of torch, of CUDA and of the CPU's allocator.
_SIGNS = ("out of memory", "can't allocate memory")


@contextmanager
def enough_memory(what: str, advice: str) -> Iterator[None]:
    """Turn a lack of memory into an error that says what to do.

    Args:
        what: what there was not enough memory for.
        advice: what helps.

    Raises:
        MissingError: if what is done inside does not find enough memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in _SIGNS):
            raise
        raise MissingError(f"not enough memory for {what}: {advice}") from None
