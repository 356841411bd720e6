"""xxh64 of single values and of whole columns: one function, two speeds, equal results.

A short run hashes each distinct value once with the `xxhash` package. Once a process has hashed as many values as it would cost to
load Numba, it goes on with the compiled kernels (`jdrec.preprocess.kernels`), which read Arrow's buffers directly.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from jdrec.preprocess.arrow import numbers, text_buffers

if TYPE_CHECKING:
    import pyarrow as pa

_LOADING_COSTS = 1_000_000  # values that the interpreted road hashes in the time in which Numba and the kernels are loaded
_SMALL = 4096  # a column this short never makes anyone wait for Numba: a server answers requests row by row
_MASK = (1 << 64) - 1


class _Work:
    """How many values this process has hashed the slow way."""

    def __init__(self) -> None:
        self.done = 0
        self.compiled = False
        self.lock = threading.Lock()

    def pays_to_compile(self, values: int) -> bool:
        if self.compiled:
            return True
        if values < _SMALL:
            return False
        if self.done + values >= _LOADING_COSTS:
            self.compiled = True
            return True
        with self.lock:
            self.done += values
        return False


_work = _Work()


def hash_bytes(data: bytes, seed: int) -> int:
    """xxh64 of `data`, unsigned."""
    return xxhash.xxh64_intdigest(data, seed)


def signed(hash_: int) -> int:
    """An unsigned 64-bit integer as int64, two's complement."""
    return hash_ - (1 << 64) if hash_ >> 63 else hash_


def word(value: int) -> bytes:
    """The 8 little-endian bytes of an integer, two's complement."""
    return (value & _MASK).to_bytes(8, "little")


def hash_texts(array: pa.Array, seed: int, compiled: bool | None = None) -> np.ndarray:
    """int64 [n]: xxh64 of each value's bytes. Where a value is NULL the result is unspecified.

    Args:
        array: string or binary, 32- or 64-bit offsets.
        compiled: force (True) or forbid (False) the compiled kernel; None decides by the amount of work.
    """
    if compiled or (compiled is None and _work.pays_to_compile(len(array))):
        from jdrec.preprocess import kernels

        out = np.empty(len(array), np.uint64)
        kernels.hash_binary(*text_buffers(array), np.uint64(seed), out)
        return out.view(np.int64)
    return _distinct(array, lambda text: xxhash.xxh64_intdigest(text, seed), binary=True)


def hash_words(words: np.ndarray, seed: int, compiled: bool | None = None) -> np.ndarray:
    """int64 [n]: xxh64 of the 8 little-endian bytes of each word.

    Args:
        words: int64 [n], C-contiguous.
        compiled: as in `hash_texts`.
    """
    if compiled or (compiled is None and _work.pays_to_compile(len(words))):
        from jdrec.preprocess import kernels

        out = np.empty(len(words), np.uint64)
        kernels.hash_words(words.view(np.uint64), np.uint64(seed), out)
        return out.view(np.int64)
    from jdrec.preprocess.arrow import from_numbers

    return _distinct(from_numbers(words), lambda value: xxhash.xxh64_intdigest(word(value), seed))


def _distinct(array: pa.Array, hash_value, binary: bool = False) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Hashes each distinct value once, then spreads the hashes over the rows."""
    if binary:
        import pyarrow as pa

        wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
        array = array.cast(pa.large_binary() if wide else pa.binary())
    encoded = array.dictionary_encode(null_encoding="mask")
    hashes = np.zeros(len(encoded.dictionary) + 1, np.uint64)  # one row more, so that an all-NULL column has something to point at
    hashes[:-1] = np.fromiter((hash_value(value) for value in encoded.dictionary.to_pylist()), np.uint64, len(encoded.dictionary))
    codes = numbers(encoded.indices)
    if encoded.indices.null_count:
        codes = np.clip(codes, 0, len(encoded.dictionary))
    return hashes[codes].view(np.int64)
