"""Ids decoded here are what Arrow reads, whatever the file's form; what has another form is left to Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.errors import DataError
from jdrec.training.columns import ColumnFile, _has_form, read_metadata
from jdrec.training.page_kernels import page_headers, page_references

RNG = np.random.default_rng(0)
ROWS = 3001
COLUMNS = {  # how many distinct ids decides how many bits a reference has
    **{f"few_{count}": RNG.integers(-(2**63), 2**63 - 1, count)[RNG.integers(0, count, ROWS)] for count in (1, 2, 5, 17, 300, 1000)},
    "unique": RNG.permutation(ROWS).astype(np.int64),
    "runs": np.repeat(np.arange(31), 97)[:ROWS],
    "runs_between": np.where(np.arange(ROWS) % 700 < 300, 7, RNG.integers(0, 40, ROWS)),
}


def column_file(folder: Path, table: pa.Table, **options: Any) -> ColumnFile:
    pq.write_table(table, folder / "ids.parquet", **{"row_group_size": 1300, **options})
    return ColumnFile(folder / "ids.parquet", pq.read_metadata(folder / "ids.parquet"))


def read(file: ColumnFile, name: str, sizes: tuple[int, ...] = (1300, 1300, 401)) -> tuple[np.ndarray, list[bool]]:
    """The ids of all row groups, and of each whether it was decoded here."""
    parts = [file.coded(group, name, np.full(size, -1, np.int32)) for group, size in enumerate(sizes)]
    return np.concatenate([part.ids() for part in parts]), [part.codes is not None for part in parts]


@pytest.mark.parametrize(
    ("decoded", "options"),
    [
        (True, {"compression": "lz4"}),
        (True, {"compression": "snappy", "data_page_size": 500, "write_batch_size": 100}),
        (True, {"compression": "zstd", "write_statistics": False}),
        (True, {"compression": "gzip", "write_page_checksum": True}),
        (True, {"compression": "none", "version": "1.0"}),
        (False, {"use_dictionary": False}),
        (False, {"data_page_version": "2.0"}),
        (False, {"compression": "brotli"}),
    ],
)
@pytest.mark.parametrize("nullable", [True, False])
def test_gives_the_ids_of_the_file(tmp_path: Path, nullable: bool, decoded: bool, options: dict[str, Any]) -> None:
    schema = pa.schema([pa.field(name, pa.int64(), nullable=nullable) for name in COLUMNS])
    file = column_file(tmp_path, pa.table(list(COLUMNS.values()), schema=schema), **options)
    for name, ids in COLUMNS.items():
        got, here = read(file, name)
        assert np.array_equal(got, ids)
        assert here == [decoded] * 3


def test_leaves_to_arrow_what_is_no_dictionary_of_int64(tmp_path: Path) -> None:
    """A dictionary that became too large is followed by plain pages; a NULL has no reference; smaller integers are other columns."""
    nulls = pa.array([None if row == 2700 else row % 9 for row in range(ROWS)], pa.int64())
    table = pa.table({"unique": COLUMNS["unique"], "nulls": nulls, "small": pa.array(np.arange(ROWS, dtype=np.int32))})
    file = column_file(tmp_path, table, dictionary_pagesize_limit=4000, data_page_size=1000, write_batch_size=100)
    assert read(file, "unique")[1] == [False, False, True] and np.array_equal(read(file, "unique")[0], COLUMNS["unique"])
    ids, here = read(file, "nulls")
    assert here == [True, True, False] and np.array_equal(np.delete(ids, 2700), np.delete(np.arange(ROWS) % 9, 2700))
    assert np.array_equal(read(file, "small")[0], np.arange(ROWS)) and read(file, "small")[1] == [False] * 3


def test_a_dictionary_has_no_more_values_than_there_are_rows() -> None:
    """Who reads has room for as many."""
    dictionary, page = [2, 0, 0, 9, 0, 0], [0, 0, 0, 9, 8, 0]  # kind, bytes, bytes, values, encoding, first byte
    assert _has_form([dictionary, page], 9)
    assert not _has_form([[2, 0, 0, 10, 0, 0], page], 9)
    assert not _has_form([dictionary, page, page], 9)
    assert not _has_form([dictionary, [3, 0, 0, 9, 8, 0]], 9)
    assert not _has_form([page], 9)


def test_no_rows(tmp_path: Path) -> None:
    file = column_file(tmp_path, pa.table({"ids": pa.array([], pa.int64())}))
    assert read(file, "ids", (0,))[0].tolist() == []


def test_references_by_hand() -> None:
    """The specification's example, 0 to 7 in three bits, and a run of nine sixes; a value of the dictionary fewer, or a byte fewer, is a mistake."""
    page = np.array([3, 0b11, 0b10001000, 0b11000110, 0b11111010, 9 << 1, 6], np.uint8)
    out = np.empty(17, np.int32)
    assert page_references(page, False, 8, out) and out.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, *[6] * 9]
    assert not page_references(page, False, 7, out)
    assert not page_references(page[:-1], False, 8, out)
    assert not page_references(page, False, 8, np.empty(18, np.int32))


def test_a_repeated_reference_has_no_more_bits_than_it_may() -> None:
    """Four bytes of ones would be -1 in the 32 bits of a reference."""
    assert not page_references(np.array([25, 8 << 1, 255, 255, 255, 255], np.uint8), False, 8, np.empty(8, np.int32))


@pytest.mark.parametrize("compression", ["lz4", "snappy", "zstd", "gzip", "none"])
def test_damage_is_refused_or_read_as_arrow_reads_it(compression: str, tmp_path: Path) -> None:
    column_file(tmp_path, pa.table({"ids": COLUMNS["few_17"]}), compression=compression, data_page_size=500, write_batch_size=100)
    path, random = tmp_path / "ids.parquet", np.random.default_rng(0)
    whole, metadata = path.read_bytes(), pq.read_metadata(path)
    chunk = metadata.row_group(0).column(0)
    for _ in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(chunk.dictionary_page_offset, chunk.dictionary_page_offset + chunk.total_compressed_size, 2)
        damaged[places] = random.integers(0, 256, 2)
        path.write_bytes(damaged.tobytes())
        file = ColumnFile(path, metadata)
        try:
            expected = file.numbers(0, "ids")
        except DataError as error:
            assert str(error).startswith(f"{path} cannot be read: ")
            continue
        assert np.array_equal(file.coded(0, "ids", np.empty(1300, np.int32)).ids(), expected)


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    column_file(tmp_path, pa.table({"ids": COLUMNS["few_17"]}))
    path = tmp_path / "ids.parquet"
    whole, metadata = path.read_bytes(), pq.read_metadata(path)
    path.write_bytes(whole[:200])
    with pytest.raises(DataError, match=r"ids\.parquet cannot be read: "):
        ColumnFile(path, metadata).coded(0, "ids", np.empty(1300, np.int32))
    with pytest.raises(DataError, match=r"ids\.parquet cannot be read: "):
        read_metadata(path)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.booleans(), st.integers(0, 40))
def test_nothing_is_read_that_is_not_there(data: bytes, nullable: bool, count: int) -> None:
    """Any bytes give headers inside them and references inside the dictionary, or a refusal."""
    content, pages, out = np.frombuffer(data, np.uint8), np.full((4, 6), -9, np.int64), np.full(count, -9, np.int32)
    found = page_headers(content, pages)
    assert found <= 4 and (pages[: max(found, 0), 5] + pages[: max(found, 0), 1] <= len(data)).all()
    if page_references(content, nullable, 5, out):
        assert ((out >= 0) & (out < 5)).all()
