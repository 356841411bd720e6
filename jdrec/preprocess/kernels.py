"""Compiled xxh64 over whole columns, straight from Arrow's buffers; no Python object per value.

Source of the algorithm: the xxHash specification ("XXH64 algorithm description"). The `xxhash` package is the reference that the
tests compare every kernel with. Imported only by `jdrec.preprocess.xxh64`, and only when there is enough to hash (Numba costs start-up).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types, uint64
from numba.extending import intrinsic

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)


@njit(inline="always")
def _rotate(value, bits):
    return (value << uint64(bits)) | (value >> uint64(64 - bits))


@njit(inline="always")
def _round(lane, word):
    return _rotate(lane + word * _P2, 31) * _P1


@njit(inline="always")
def _merge(hash_, lane):
    return (hash_ ^ _round(uint64(0), lane)) * _P1 + _P4


@njit(inline="always")
def _avalanche(hash_):
    hash_ = (hash_ ^ (hash_ >> uint64(33))) * _P2
    hash_ = (hash_ ^ (hash_ >> uint64(29))) * _P3
    return hash_ ^ (hash_ >> uint64(32))


def _load(bits):
    """An unaligned little-endian load of `bits` bits from a uint8 array, as one machine instruction."""

    @intrinsic
    def load(typing_context, data, at):
        def generate(context, builder, signature, arguments):
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            address = builder.gep(array.data, [arguments[1]])
            word = ir.IntType(bits)
            value = builder.load(builder.bitcast(address, word.as_pointer()), align=1)
            return builder.zext(value, ir.IntType(64)) if bits < 64 else value

        return types.uint64(data, types.int64), generate

    return load


_word32 = _load(32)
word64 = _load(64)


@njit(inline="always")
def _bytes(data, start, end, seed):
    at = start
    if end - start >= 32:
        a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while at + 32 <= end:
            a = _round(a, word64(data, at))
            b = _round(b, word64(data, at + 8))
            c = _round(c, word64(data, at + 16))
            d = _round(d, word64(data, at + 24))
            at += 32
        hash_ = _rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)
        hash_ = _merge(_merge(_merge(_merge(hash_, a), b), c), d)
    else:
        hash_ = seed + _P5
    hash_ += uint64(end - start)
    while at + 8 <= end:
        hash_ = _rotate(hash_ ^ _round(uint64(0), word64(data, at)), 27) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        hash_ = _rotate(hash_ ^ (_word32(data, at) * _P1), 23) * _P2 + _P3
        at += 4
    while at < end:
        hash_ = _rotate(hash_ ^ (uint64(data[at]) * _P5), 11) * _P1
        at += 1
    return _avalanche(hash_)


@njit(cache=True, nogil=True)
def hash_binary(data, offsets, seed, out):
    """out[i] = xxh64(data[offsets[i]:offsets[i + 1]], seed).

    Args:
        data: uint8 [bytes]. offsets: int32 or int64 [n + 1]. seed: uint64. out: uint64 [n], written.
    """
    for i in range(out.size):
        out[i] = _bytes(data, np.int64(offsets[i]), np.int64(offsets[i + 1]), seed)


@njit(cache=True, nogil=True)
def hash_words(words, seed, out):
    """out[i] = xxh64(the 8 little-endian bytes of words[i], seed).

    Args:
        words: uint64 [n]. seed: uint64. out: uint64 [n], written.
    """
    start = seed + _P5 + uint64(8)
    for i in range(out.size):
        out[i] = _avalanche(_rotate(start ^ _round(uint64(0), words[i]), 27) * _P1 + _P4)
