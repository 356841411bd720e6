"""Keys numbered and looked up by the kernels: texts of every length, NULLs, slices, more than a block."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from jdrec.engines.embedded.keys import Groups
from jdrec.engines.embedded.lookup import TextIndex, WordIndex, number
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType


def test_texts_are_numbered_in_the_order_in_which_they_come() -> None:
    known, codes, index = number(pa.array(["b", None, "a", "b", "", "a", "", "c"]))
    assert known.to_pylist() == ["b", "a", "", "c"]
    assert codes.tolist() == [0, -1, 1, 0, 2, 1, 2, 3]
    assert index.find(pa.array(["c", "d", "", "b", "ab"])).tolist() == [3, -1, 2, 0, -1]


def test_texts_that_differ_in_any_byte_differ() -> None:
    texts = ["x" * size for size in range(40)]
    texts += ["x" * place + "y" + "x" * (19 - place) for place in range(20)]
    texts += ["\0", "\0\0", "é", "e\u0301", "12345678", "123456780", "12345678\0"]
    known, codes, index = number(pa.array(texts))
    assert codes.tolist() == list(range(len(texts)))
    assert index.find(known).tolist() == list(range(len(texts)))
    assert TextIndex(known).find(pa.array([text + "!" for text in texts])).tolist() == [-1] * len(texts)


def test_slices_of_arrays_are_looked_up_from_where_they_begin() -> None:
    texts = pa.array(["gone", "one", "two", "three"]).slice(1)
    index = TextIndex(texts)
    assert index.find(texts).tolist() == [0, 1, 2]
    assert index.find(pa.array(["gone", "three", "x", "one"]).slice(1, 3)).tolist() == [2, -1, 0]


def test_many_texts_and_words_against_a_dict() -> None:
    random = np.random.default_rng(1)
    values = random.integers(0, 5_000, 20_000)
    texts = [f"user_{value}" for value in values]
    place: dict[str, int] = {}
    expected = [place.setdefault(text, len(place)) for text in texts]
    _, codes, index = number(pa.array(texts))
    assert codes.tolist() == expected
    assert index.find(pa.array([f"user_{value}" for value in range(6_000)])).tolist() == [
        place.get(f"user_{value}", -1) for value in range(6_000)
    ]
    words = np.unique(values) * 2**40 - 7
    assert WordIndex(words).find(words).tolist() == list(range(len(words)))
    assert WordIndex(words).find(words + 1).tolist() == [-1] * len(words)


def test_nothing_is_known_of_nothing() -> None:
    known, codes, index = number(pa.array([], pa.string()))
    assert (len(known), codes.tolist(), index.find(pa.array(["a"])).tolist()) == (0, [], [-1])
    assert WordIndex(np.zeros(0, np.int64)).find(np.array([0, 1])).tolist() == [-1, -1]
    assert number(pa.array([None, None], pa.string()))[1].tolist() == [-1, -1]


def test_null_is_a_key_of_its_own_however_the_column_is_held() -> None:
    asked = [Vector(SqlType.STRING, pa.array(["a", None, "b", "a"])), Vector.of_values([1, 2, None, 1], SqlType.INT)]
    groups = Groups(asked, 4)
    assert (groups.count, groups.numbers[0], groups.numbers[3]) == (3, groups.numbers[0], groups.numbers[0])
    texts = pa.array(["b", None, "a", "a", "z", None])
    others = Vector.of_values([None, 2, 1, 2, 1, None], SqlType.INT)
    for strings in (texts, texts.dictionary_encode()):
        found = groups.find([Vector(SqlType.STRING, strings), others]).tolist()
        assert found == [groups.numbers[2], groups.numbers[1], groups.numbers[0], -1, -1, -1]
