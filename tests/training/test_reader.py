"""The reader gives what reading the whole split gives, however the file is cut, in memory and on disk."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.errors import DataError
from jdrec.features.spec import NO_VALUE, Encoding
from jdrec.training.counter import HostCounter
from jdrec.training.data import Layout, RawSplit, ShuffledStream, Split, thinned
from jdrec.training.ids import HostFinder
from jdrec.training.reader import SampleFile
from jdrec.training.vocabulary import Vocabulary

LAYOUT = Layout(
    "Label",
    ("price", "brand", "tags", "user"),
    ("I1", "C1", "C2_1", "C2_2", "C3"),
    (Encoding.NUMERIC, Encoding.HASH, Encoding.LIST, Encoding.HASH),
    (1, 1, 2, 1),
)


def write(folder: Path, rows: int = 2000, row_group: int = 300, **changed: Any) -> Path:
    rng = np.random.default_rng(0)
    columns = {
        "Label": (rng.random(rows) < 0.3).astype(np.float32),
        "I1": rng.normal(size=rows).astype(np.float32),
        "C1": rng.integers(-(2**63), 2**63 - 1, 50)[rng.integers(0, 50, rows)],
        "C2_1": rng.integers(0, 9, rows),
        "C2_2": np.where(rng.random(rows) < 0.5, NO_VALUE, rng.integers(0, 9, rows)),
        "C3": rng.integers(0, 2**40, rows),
    }
    pq.write_table(pa.table({**columns, **changed}), folder / "train.parquet", row_group_size=row_group)
    return folder


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("negative_share", [1.0, 0.4])
@pytest.mark.parametrize(
    ("row_group", "threads", "at_once"), [(300, 3, False), (5000, 1, False), (300, 3, True), (5000, 1, True), (7, 20, True)]
)
def test_reads_in_pieces_what_reading_at_once_gives(
    tmp_path: Path, on_disk: bool, negative_share: float, row_group: int, threads: int, at_once: bool
) -> None:
    write(tmp_path, row_group=row_group)
    raw = thinned(RawSplit.read(tmp_path, "train", LAYOUT), negative_share, 7)
    known = Vocabulary.learn(LAYOUT.names, LAYOUT.encodings, raw.columns, 2, LAYOUT.slots)
    expected = Split(raw, known, 2.0)
    file = SampleFile(tmp_path, "train", LAYOUT, negative_share, 7, threads=threads)
    assert (len(file), file.positives) == (len(raw.labels), int(raw.labels.sum()))
    memory_rows = 1000 if on_disk else None
    if at_once:
        vocabulary, split = file.learn_and_read(min_count=2, positive_weight=2.0, memory_rows=memory_rows, folder=tmp_path)
    else:
        vocabulary = file.learn(min_count=2)
        split = file.read(vocabulary, 2.0, memory_rows, tmp_path)
    assert [ids.tolist() for ids in vocabulary.ids] == [ids.tolist() for ids in known.ids]
    assert vocabulary.counts is not None and known.counts is not None
    assert [counts.tolist() for counts in vocabulary.counts] == [counts.tolist() for counts in known.counts]
    assert isinstance(split.rows, np.memmap) == on_disk
    assert (split.window == 500) == on_disk
    for index in (slice(0, None), np.array([5, 0, 5, len(split) - 1])):
        got, want = split.batch(index), expected.batch(index)
        assert got.rows.dtype == np.int32
        for one, other in zip(
            (got.rows, got.scale, got.labels, got.weights), (want.rows, want.scale, want.labels, want.weights), strict=True
        ):
            assert one is not None and other is not None and np.array_equal(one, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.parquet"]


def test_a_stream_from_disk_has_every_sample_once_and_goes_on_anywhere(tmp_path: Path) -> None:
    write(tmp_path)
    file = SampleFile(tmp_path, "train", LAYOUT)
    _, split = file.learn_and_read(memory_rows=1000, folder=tmp_path)
    whole = np.concatenate([ShuffledStream(split, 90, seed=1).index(k) for k in range(70)])
    assert np.array_equal(np.sort(whole[:2000]), np.arange(2000)) and np.array_equal(np.sort(whole[2000:4000]), np.arange(2000))
    again = ShuffledStream(split, 90, seed=1)
    for k in (33, 34, 69, 2):
        assert np.array_equal(again.batch(k).rows, split.rows[whole[90 * k : 90 * (k + 1)]])


def test_mistakes_are_placed_in_the_whole_file(tmp_path: Path) -> None:
    labels, prices = np.zeros(2000, np.float32), np.zeros(2000, np.float32)
    labels[1500], prices[1600] = 3, np.inf
    write(tmp_path, Label=labels)
    with pytest.raises(DataError, match=r"1 labels are neither 0 nor 1, first 3\.0 in row 1500"):
        SampleFile(tmp_path, "train", LAYOUT)
    write(tmp_path, I1=prices)
    file = SampleFile(tmp_path, "train", LAYOUT)
    with pytest.raises(DataError, match=r"column I1 has 1 values that are not finite numbers, first in row 1,600"):
        file.read(file.learn())
    with pytest.raises(DataError, match=r"column I1 has 1 values that are not finite numbers, first in row 1,600"):
        file.learn_and_read()


def test_an_interrupt_ends_all_threads_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, row_group=10)  # 200 row groups, 2 to 3 fields a thread
    file = SampleFile(tmp_path, "train", LAYOUT, threads=2)
    done, lock, column = [0], threading.Lock(), SampleFile._column

    def interrupted(self: SampleFile, *arguments: Any) -> np.ndarray:
        with lock:
            done[0] += 1
            if done[0] == 20:
                raise KeyboardInterrupt
        return column(self, *arguments)

    monkeypatch.setattr(SampleFile, "_column", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file.learn_and_read()
    assert done[0] < 600  # of 800


def test_an_earlier_vocabulary_keeps_its_ids(tmp_path: Path) -> None:
    write(tmp_path)
    file = SampleFile(tmp_path, "train", LAYOUT)
    plain = file.learn()
    earlier = Vocabulary(plain.names, plain.encodings, (plain.ids[0], np.array([-5, int(plain.ids[1][3])]), *plain.ids[2:]), plain.slots)
    vocabulary, split = file.learn_and_read(known=earlier)
    assert sorted([*plain.ids[1].tolist(), -5]) == vocabulary.ids[1].tolist()
    assert np.array_equal(split.rows, file.read(vocabulary).rows)


@pytest.mark.parametrize("spread", [1, 7, 3000, 2**40, 2**62, 2**63 - 1])
@pytest.mark.parametrize("least", [None, 2**63 - 4000])
def test_ids_are_counted_and_put_in_order(spread: int, least: int | None) -> None:
    """Ids of all ranges: spread evenly, crowded in a part of the range, and at the end of the table, where they come around to its beginning."""
    rng = np.random.default_rng(0)
    ids = np.concatenate([rng.integers(-spread, spread, 9000), np.array([2**63 - 1, -(2**63), 0, 0, 1 - 2**63])])
    if least is not None:
        ids[::9] = rng.integers(least, 2**63 - 1, len(ids[::9]))
    counts = rng.integers(0, 3, len(ids))
    counter = HostCounter()
    counter.update(np.arange(100_000) * 2**47, np.ones(100_000, np.int64))
    counter.clear()
    for part in (slice(0, 1), slice(1, 4000), slice(4000, 4000), slice(4000, None)):
        counter.update(ids[part], counts[part])
    known, often = counter.items()
    expected = np.unique(np.repeat(ids, counts), return_counts=True)
    assert known.tolist() == expected[0].tolist() and len(counter) == len(known)
    assert often.tolist() == expected[1].tolist()


def test_ids_that_come_around_the_end_of_the_table_are_in_order() -> None:
    ids = np.array([2**63 - 1 - k for k in range(40)] + [-(2**63) + k for k in range(30)])
    counter = HostCounter()
    counter.update(ids, np.arange(1, 71))
    assert counter.items()[0].tolist() == sorted(ids.tolist())
    assert counter.items()[1].tolist() == [*range(41, 71), *range(40, 0, -1)]


def test_a_full_disk_is_told_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    file = SampleFile(tmp_path, "train", LAYOUT)
    vocabulary = file.learn()

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"has no room for 0\.0 GiB of samples: No space left on device"):
        file.read(vocabulary, memory_rows=1000, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.parquet"]


IDS = st.integers(-(2**63), 2**63 - 1)


def rows(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Rows from 100 on, in the second column of a matrix."""
    out = np.zeros((len(asked), 3), np.int32)
    HostFinder(known).rows(asked, 100, out[:, 1])
    assert not out[:, [0, 2]].any()
    return out[:, 1]


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(st.lists(IDS, max_size=30), st.lists(st.integers(-5, 40), max_size=30), st.integers(1, 3000).map(range)),
    st.lists(IDS, max_size=10),
)
def test_finds_places(known: Any, others: list[int]) -> None:
    ascending = np.unique(np.array(list(known), np.int64))
    asked = [*ascending.tolist(), *others, *(value + 1 for value in ascending.tolist() if value < 2**63 - 1), 2**63 - 1, -(2**63), 0]
    places = {value: place for place, value in enumerate(ascending.tolist())}
    assert rows(ascending, np.array(asked, np.int64)).tolist() == [100 + 1 + places.get(value, -1) for value in asked]


def test_finds_places_of_ids_that_are_not_spread_evenly() -> None:
    ascending = np.unique(np.concatenate([np.arange(5000), np.array([2**62, 2**62 + 1, -(2**62)])]))
    asked = np.concatenate([ascending, ascending + 1, ascending - 1])
    expected = np.searchsorted(ascending, asked)
    there = ascending[np.minimum(expected, len(ascending) - 1)] == asked
    assert np.array_equal(rows(ascending, asked), 101 + np.where(there, expected, -1))
