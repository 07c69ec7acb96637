"""Compact arrays for files, and arrays from files that nobody vouches for."""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array

_MOST = 2**31 - 1


def smallest(values: Array) -> Array:
    """Return whole numbers, none below 0, in the smallest type that holds them.

    >>> smallest(np.array([0, 300])).dtype
    dtype('uint16')
    """
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def pack(flags: Array) -> Array:
    """Return flags as bits, each row of the last axis in whole bytes."""
    return np.packbits(flags, axis=-1)


class Stored:
    """Arrays of a file, each checked as it is taken.

    Every method raises `KeyError` if there is no such array and `ValueError` if it is not what was
    asked for.
    """

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = arrays

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def whole(
        self, name: str, shape: tuple[int | None, ...], least: int = 0, most: int = _MOST
    ) -> Array:
        """Return whole numbers in [least, most] as int64; None in `shape` stands for any size."""
        values = self._arrays[name]
        if values.dtype.kind not in "iu":
            raise ValueError(f"{name} are not whole numbers")
        self._check_shape(name, values.shape, shape)
        if values.size and not (least <= int(values.min()) and int(values.max()) <= most):
            raise ValueError(f"{name} are not all in [{least}, {most}]")
        return values.astype(np.int64)

    def real(self, name: str, shape: tuple[int | None, ...]) -> Array:
        """Return finite float64 numbers, none below 0."""
        values = self._arrays[name]
        if values.dtype != np.float64 or not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"{name} are not finite float64 numbers from 0")
        self._check_shape(name, values.shape, shape)
        return values

    def flags(self, name: str, *shape: int | None) -> Array:
        """Return flags that `pack` made bits of; `shape` ends with a size."""
        bits = self._arrays[name]
        if bits.dtype != np.uint8:
            raise ValueError(f"{name} are not bits")
        n = shape[-1] or 0
        self._check_shape(name, bits.shape, (*shape[:-1], -(-n // 8)))
        return np.unpackbits(bits, axis=-1, count=n).astype(bool)

    def _check_shape(
        self, name: str, found: tuple[int, ...], expected: tuple[int | None, ...]
    ) -> None:
        if len(found) != len(expected) or any(
            size not in (None, there) for size, there in zip(expected, found, strict=True)
        ):
            words = " x ".join("any" if size is None else str(size) for size in expected)
            raise ValueError(f"{name} have the shape {found}, expected {words}")
