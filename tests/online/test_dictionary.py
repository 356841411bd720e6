"""Dictionaries that grow: codes stay, ranks order them, guests leave no trace."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType
from jdrec.online.dictionary import GrowingDictionary


def dictionary_of(*texts: str, ordered: bool = True) -> GrowingDictionary:
    dictionary = GrowingDictionary(ordered)
    dictionary.encode(texts)
    return dictionary


def test_codes_in_order_of_arrival_and_ranks_in_order_of_bytes() -> None:
    dictionary = dictionary_of("b", "a")
    assert dictionary.encode(["c", None, "a", "", "c"]).tolist() == [2, -1, 1, 3, 2]
    assert dictionary.ranks is not None
    assert np.argsort(dictionary.ranks[:4]).tolist() == [3, 1, 0, 2]
    assert dictionary.decode(np.array([0, -1, 3])).to_pylist() == ["b", None, ""]
    assert (dictionary.find("c"), dictionary.find("d"), len(dictionary)) == (2, -1, 4)


def test_a_guest_has_a_code_and_a_rank_until_the_next_one() -> None:
    dictionary = GrowingDictionary(ordered=True)
    places = dictionary.invite(), dictionary.invite()
    dictionary.encode(["b", "d"])
    assert [dictionary.peek(text, places[1]) for text in ("b", "c", "a", "e")] == [0, 3, 3, 3]
    for text, order in (("c", [0, 3, 1]), ("a", [3, 0, 1]), ("e", [0, 1, 3])):
        code = dictionary.peek(text, places[1])
        assert dictionary.ranks is not None
        assert sorted((0, 1, 3), key=dictionary.ranks.__getitem__) == order
        assert dictionary.texts[code] == text
    assert (len(dictionary), dictionary.find("e")) == (2, -1)
    assert dictionary.add("c") == 2
    assert dictionary.decode(np.array([0, 1, 2])).to_pylist() == ["b", "d", "c"]


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), max_size=100, unique=True), st.lists(st.text(max_size=3), max_size=200))
def test_ranks_order_any_strings(first: list[str], later: list[str]) -> None:
    dictionary = GrowingDictionary(ordered=True)
    place = dictionary.invite()
    column = Vector(SqlType.STRING, pa.array(first, pa.string()))
    assert dictionary.encode_column(column).tolist() == list(range(len(first)))
    codes = dictionary.encode([*first, *later])
    texts = sorted(set(first) | set(later), key=str.encode)
    assert dictionary.ranks is not None
    ranks = [int(dictionary.ranks[dictionary.find(text)]) for text in texts]
    assert ranks == sorted(set(ranks))
    assert dictionary.decode(codes).to_pylist() == [*first, *later]
    for guest in ("", "0", "é", "\U0010ffff\U0010ffff"):
        if guest not in texts:
            rank = int(dictionary.ranks[dictionary.peek(guest, place)])
            assert [other < rank for other in ranks] == [text < guest for text in texts]


def test_ranks_are_spaced_out_anew_when_there_is_no_room() -> None:
    # Each string goes between the last two: halving uses the space up.
    texts = ["a" + "a" * n + "b" for n in range(100, 0, -1)]
    dictionary = dictionary_of("a", "b", *texts)
    assert dictionary.ranks is not None
    ranks = [dictionary.ranks[dictionary.find(text)] for text in sorted([*texts, "a", "b"])]
    assert all(low + 1 < high for low, high in pairwise(ranks))
