"""FarmHash's 64-bit fingerprint, of many byte strings of one length at a time.

Source: Google's description of FarmHash (Fingerprint64), which OpenMLDB calls hash64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType
U = np.uint64
_K0, _K1, _K2 = U(0xC3A5C85C97CB3127), U(0xB492B66FBE98F273), U(0x9AE16A3B2F90404F)
_SEED, _BLOCK = 81, 64
_EPOCH = np.datetime64("1970-01-01", "D")

Words = np.ndarray  # uint64 [strings]


def hash64(x: Vector) -> Vector:
    """The fingerprint of each value's bytes as OpenMLDB keeps it, as bigint; NULL of NULL."""
    if x.type is None:
        return Vector.of_value(None, T.BIGINT)
    if x.type is T.STRING:
        dictionary, codes = x.encoded()
        known = np.append(_of_texts(dictionary), np.int64(0))  # for the code of NULL
        valid = codes >= 0
        return Vector(T.BIGINT, known[codes], None if valid.all() else valid.astype(np.uint8), x.constant)
    values = _packed_dates(x.data) if x.type is T.DATE else x.data
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.itemsize)
    return Vector(T.BIGINT, fingerprints(rows), x.valid, x.constant)


def fingerprints(data: np.ndarray) -> np.ndarray:
    """int64 [strings] of uint8 [strings, length]."""
    return _of_length(data.shape[1])(_Bytes(data)).view(np.int64)


def _packed_dates(days: np.ndarray) -> np.ndarray:
    """int32 year, month and day, each in bits of its own, as OpenMLDB stores a date."""
    dates = _EPOCH + days.astype("timedelta64[D]")
    months = dates.astype("datetime64[M]")
    month = months.astype(np.int64)
    day = (dates - months).astype(np.int64) + 1
    return ((month // 12 + 70) << 16 | (month % 12) << 8 | day).astype(np.int32)


def _of_texts(texts: object) -> np.ndarray:
    """int64 fingerprints of an Arrow string array."""
    encoded = [text.encode() for text in texts.to_pylist()]  # type: ignore[attr-defined]
    lengths = np.array([len(item) for item in encoded], np.int64)
    result = np.zeros(len(encoded), np.int64)
    for length in np.unique(lengths).tolist():
        places = np.flatnonzero(lengths == length)
        joined = np.frombuffer(b"".join(encoded[place] for place in places.tolist()), np.uint8)
        result[places] = fingerprints(joined.reshape(len(places), length))
    return result


class _Bytes:
    """Strings of one length, and the little-endian words in them."""

    def __init__(self, data: np.ndarray):
        self._data, (self.count, self.length) = data, data.shape

    def byte(self, place: int) -> Words:
        return self._data[:, place].astype(U)

    def word(self, place: int, size: int = 8) -> Words:
        """The word of so many bytes that begins at a place, or so far before the end."""
        start = place if place >= 0 else self.length + place
        part = np.ascontiguousarray(self._data[:, start : start + size])
        return part.view(f"<u{size}")[:, 0].astype(U)

    def all(self, value: U) -> Words:
        return np.full(self.count, value)


def _rotated(x: Words, bits: int) -> Words:
    return (x >> U(bits)) | (x << U(64 - bits))


def _mixed(x: Words) -> Words:
    return x ^ (x >> U(47))


def _pair(x: Words, y: Words, factor: Words | U) -> Words:
    """One word of two."""
    return _mixed((y ^ _mixed((x ^ y) * factor)) * factor) * factor


def _of_length(length: int) -> Callable[[_Bytes], Words]:
    if length > _BLOCK:
        return _long
    if length > 32:
        return _up_to_64
    if length > 16:
        return _up_to_32
    if length >= 8:
        return _up_to_16
    if length >= 4:
        return _up_to_7
    return _up_to_3 if length else (lambda data: data.all(_K2))


def _factor(data: _Bytes) -> U:
    return U((int(_K2) + 2 * data.length) % 2**64)


def _up_to_3(data: _Bytes) -> Words:
    first = data.byte(0) + (data.byte(data.length >> 1) << U(8))
    second = U(data.length) + (data.byte(data.length - 1) << U(2))
    return _mixed(first * _K2 ^ second * _K0) * _K2


def _up_to_7(data: _Bytes) -> Words:
    return _pair(U(data.length) + (data.word(0, 4) << U(3)), data.word(-4, 4), _factor(data))


def _up_to_16(data: _Bytes) -> Words:
    factor, first, last = _factor(data), data.word(0) + _K2, data.word(-8)
    return _pair(_rotated(last, 37) * factor + first, (_rotated(first, 25) + last) * factor, factor)


def _ends(data: _Bytes, start: U) -> tuple[Words, Words, Words]:
    """What the first and last sixteen bytes give: their two words, and the first product."""
    factor, first, second = _factor(data), data.word(0) * start, data.word(8)
    last, before = data.word(-8) * factor, data.word(-16) * _K2
    return (
        _rotated(first + second, 43) + _rotated(last, 30) + before,
        first + _rotated(second + _K2, 18) + last,
        first,
    )


def _up_to_32(data: _Bytes) -> Words:
    one, other, _ = _ends(data, _K1)
    return _pair(one, other, _factor(data))


def _up_to_64(data: _Bytes) -> Words:
    factor = _factor(data)
    one, other, first = _ends(data, _K2)
    both = _pair(one, other, factor)
    third, fourth = data.word(16) * factor, data.word(24)
    inner, last = (one + data.word(-32)) * factor, (both + data.word(-24)) * factor
    return _pair(_rotated(third + fourth, 43) + _rotated(inner, 30) + last, third + _rotated(fourth + first, 18) + inner, factor)


class _State:
    """What a long string is folded into, 64 bytes at a time."""

    def __init__(self, data: _Bytes):
        start = data.all(U((_SEED * int(_K1) + 113) % 2**64))
        self._data = data
        self.y = start
        self.z = _mixed(start * _K2 + U(113)) * _K2
        self.x = data.all(U(_SEED * int(_K2) % 2**64)) + data.word(0)
        self.v = self.w = (data.all(U(0)), data.all(U(0)))

    def fold(self, place: int, factor: Words | U, weight: int = 1) -> None:
        """Takes in the block at a place; `weight` is what the second words count, which the last block has more of."""
        word, (v, v2), (w, w2) = self._data.word, self.v, self.w
        x = (_rotated(self.x + self.y + v + word(place + 8), 37) * factor) ^ (w2 * U(weight))
        y = _rotated(self.y + v2 + word(place + 48), 42) * factor + v * U(weight) + word(place + 40)
        z = _rotated(self.z + w, 33) * factor
        self.v = self._half(place, v2 * factor, x + w)
        self.w = self._half(place + 32, z + w2, y + word(place + 16))
        self.x, self.y, self.z = z, y, x

    def _half(self, place: int, one: Words, other: Words) -> tuple[Words, Words]:
        """Thirty-two bytes and two words as two words."""
        a, b, c, d = (self._data.word(place + 8 * n) for n in range(4))
        one = one + a
        other = _rotated(other + one + d, 21)
        total = one + b + c
        return total + d, other + _rotated(total, 44) + one


def _long(data: _Bytes) -> Words:
    state = _State(data)
    blocks, rest = divmod(data.length - 1, _BLOCK)
    for block in range(blocks):
        state.fold(_BLOCK * block, _K1)
    factor = _K1 + ((state.z & U(0xFF)) << U(1))
    w = state.w[0] + U(rest)
    v = state.v[0] + w
    state.v, state.w = (v, state.v[1]), (w + v, state.w[1])
    state.fold(data.length - _BLOCK, factor, weight=9)
    (v, v2), (w, w2) = state.v, state.w
    return _pair(_pair(v, w, factor) + _mixed(state.y) * _K0 + state.z, _pair(v2, w2, factor) + state.x, factor)
