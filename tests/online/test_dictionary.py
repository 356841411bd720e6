"""Dictionaries that grow: codes stay, ranks order them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jdrec.online.dictionary import GrowingDictionary


def test_codes_in_order_of_arrival_and_ranks_in_order_of_bytes() -> None:
    dictionary = GrowingDictionary(["b", "a"], ordered=True)
    assert dictionary.encode(["c", None, "a", "", "c"]).tolist() == [2, -1, 1, 3, 2]
    assert dictionary.ranks is not None
    assert np.argsort(dictionary.ranks[:4]).tolist() == [3, 1, 0, 2]
    assert dictionary.decode(np.array([0, -1, 3])).to_pylist() == ["b", None, ""]
    assert (dictionary.find("c"), dictionary.find("d"), len(dictionary)) == (2, -1, 4)


def test_forgotten_strings_get_new_codes() -> None:
    dictionary = GrowingDictionary(["b"], ordered=True)
    dictionary.encode(["x", "a"])
    dictionary.forget(1)
    assert (len(dictionary), dictionary.find("x")) == (1, -1)
    assert dictionary.encode(["a", "x"]).tolist() == [1, 2]


@given(st.lists(st.text(max_size=3), max_size=8, unique=True), st.lists(st.text(max_size=3), max_size=200))
def test_ranks_order_any_strings(first: list[str], later: list[str]) -> None:
    dictionary = GrowingDictionary(first, ordered=True)
    codes = dictionary.encode([*first, *later])
    texts = sorted(set(first) | set(later), key=str.encode)
    assert dictionary.ranks is not None
    ranks = [dictionary.ranks[dictionary.find(text)] for text in texts]
    assert ranks == sorted(set(ranks))
    assert dictionary.decode(codes).to_pylist() == [*first, *later]


def test_ranks_are_spaced_out_anew_when_there_is_no_room() -> None:
    # Each string goes between the last two: halving uses the space up.
    dictionary = GrowingDictionary(["a", "b"], ordered=True)
    texts = ["a" + "a" * n + "b" for n in range(100, 0, -1)]
    dictionary.encode(texts)
    assert dictionary.ranks is not None
    ranks = [dictionary.ranks[dictionary.find(text)] for text in sorted([*texts, "a", "b"])]
    assert all(low < high for low, high in pairwise(ranks))
