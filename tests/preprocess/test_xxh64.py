"""xxh64, both roads, against the xxhash package and the specification's own values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.preprocess.xxh64 import hash_bytes, hash_texts, hash_words, signed

KNOWN = {b"": 0xEF46DB3751D8E999, b"a": 0xD24EC4F1A98C6E5B, b"abc": 0x44BC2CF5AD770999}
SEEDS = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("compiled", [False, True])
def test_known_values(compiled: bool) -> None:
    assert [hash_bytes(text, 0) for text in KNOWN] == list(KNOWN.values())
    ids = hash_texts(pa.array(list(KNOWN), pa.binary()), 0, compiled)
    assert ids.tolist() == [signed(value) for value in KNOWN.values()]
    assert ids.dtype == np.int64


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=100)), max_size=12), SEEDS, st.integers(0, 3), st.booleans())
def test_texts_equal_the_reference(texts: list[bytes | None], seed: int, skip: int, large: bool) -> None:
    column = pa.array(texts, pa.large_binary() if large else pa.binary()).slice(skip)
    expected = [None if text is None else signed(xxhash.xxh64_intdigest(text, seed)) for text in texts[skip:]]
    for compiled in (False, True):
        ids = hash_texts(column, seed, compiled).tolist()
        assert [None if text is None else value for text, value in zip(texts[skip:], ids, strict=True)] == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=12), SEEDS)
def test_words_equal_the_reference(words: list[int], seed: int) -> None:
    expected = [signed(xxhash.xxh64_intdigest(word.to_bytes(8, "little", signed=True), seed)) for word in words]
    for compiled in (False, True):
        assert hash_words(np.array(words, np.int64), seed, compiled).tolist() == expected


def test_long_columns_agree() -> None:
    texts = pa.array([f"{i % 5000}_{'x' * (i % 70)}" for i in range(20_000)])
    assert np.array_equal(hash_texts(texts, 10, compiled=False), hash_texts(texts, 10, compiled=True))
