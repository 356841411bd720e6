"""Columns of a Parquet file, row group by row group: ids as the file holds them, once a distinct value, and anything as Arrow reads it.

Arrow gives a column of integers as values, one a row, also where the file has each once a row group and references to it. Looking ids up is what
reading samples spends its time on. So chunks of the form that Arrow's own writer gives ids (a dictionary, and pages of version 1 that refer to it) are decoded
here; others are left to Arrow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.errors import DataError
from jdrec.preprocess.arrow import numbers, one_array
from jdrec.preprocess.coded import Coded
from jdrec.training.page_kernels import ENCODING, KIND, PACKED, START, UNPACKED, VALUES, page_headers, page_references

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_DATA, _DICTIONARY = 0, 2  # kinds of pages
_PLAIN, _REFERENCES = (0, 2), (2, 8)  # encodings of a dictionary, and of pages that refer to it; 2 is what both were called once
_CODECS = {"LZ4": "lz4_raw", "SNAPPY": "snappy", "ZSTD": "zstd", "GZIP": "gzip"}
_MOST_PAGES = 1024  # of a chunk


def read_metadata(file: Path) -> pq.FileMetaData:
    """What a Parquet file says of itself.

    Raises:
        DataError: it cannot be read.
    """
    import pyarrow.parquet as pq

    with _readable(file):
        return pq.read_metadata(file)


class ColumnFile:
    """A Parquet file whose columns several threads read.

    Args:
        file: the file. metadata: what it says of itself.
    """

    def __init__(self, file: Path, metadata: pq.FileMetaData):
        self._path, self._metadata, self._own = file, metadata, threading.local()
        self._bytes = file.stat().st_size
        columns = (metadata.schema.column(place) for place in range(len(metadata.schema)))
        self._ids = {  # of those that may be decoded here, the place in a row group, and whether there may be NULLs
            column.path: (place, column.max_definition_level == 1)
            for place, column in enumerate(columns)
            if column.physical_type == "INT64" and column.max_repetition_level == 0 and column.max_definition_level <= 1
        }

    def size(self, name: str) -> int:
        """Bytes of a column in the first row group, 0 without any: what reading it takes, compared with others."""
        place = self._metadata.schema.names.index(name)
        return self._metadata.row_group(0).column(place).total_compressed_size if self._metadata.num_row_groups else 0

    def numbers(self, group: int, name: str) -> np.ndarray:
        """The values [n] of a column in a row group.

        Raises:
            DataError: they cannot be read.
        """
        import pyarrow.parquet as pq

        with _readable(self._path):
            if not hasattr(self._own, "reader"):  # Arrow's is not for several threads
                self._own.reader = pq.ParquetFile(self._path, metadata=self._metadata, pre_buffer=False)
            return numbers(one_array(self._own.reader.read_row_group(group, columns=[name], use_threads=False).column(0)))

    def coded(self, group: int, name: str, room: np.ndarray) -> Coded:
        """The int64 ids [n] of a column in a row group; `values` are at most n.

        Args:
            room: int32 [n], where `codes` lie if there are any. Memory that is used again costs no page faults, which take longer than decoding.

        Raises:
            DataError: they cannot be read.
        """
        return self._decoded(group, name, room) or Coded(self.numbers(group, name).astype(np.int64, copy=False))

    def _decoded(self, group: int, name: str, room: np.ndarray) -> Coded | None:
        """None: the chunk has another form."""
        if name not in self._ids:
            return None
        place, nullable = self._ids[name]
        chunk = self._metadata.row_group(group).column(place)
        codec = _CODECS.get(chunk.compression)
        if not chunk.has_dictionary_page or (codec is None and chunk.compression != "UNCOMPRESSED"):
            return None
        data = self._read(chunk.dictionary_page_offset, chunk.total_compressed_size)
        if data is None:
            return None
        headers: Any = np.empty((_MOST_PAGES, 6), np.int64)
        pages = headers[: max(0, page_headers(data, headers))].tolist()
        if not _has_form(pages, len(room)):
            return None
        values, at = np.empty(0, np.int64), 0
        for page in pages:
            content = _unpacked(data[page[START] : page[START] + page[PACKED]], page[UNPACKED], codec)
            if content is None:
                return None
            if page[KIND] == _DICTIONARY:
                if len(content) != 8 * page[VALUES]:
                    return None
                values = content.view(np.int64) if codec else content.view(np.int64).copy()  # what was read is written over by the next
            elif not page_references(content, nullable, len(values), room[at : at + page[VALUES]]):
                return None
            else:
                at += page[VALUES]
        return Coded(values, room)

    def _read(self, start: int, size: int) -> np.ndarray | None:
        """uint8 [size] of the file, until this thread's next call; None where it has no such bytes, or gives not all of them at once."""
        own = self._own
        if not 0 <= start <= start + size <= self._bytes:
            return None
        if not hasattr(own, "file"):
            own.file, own.room = FileIO(self._path), np.empty(0, np.uint8)
        if len(own.room) < size:
            own.room = np.empty(size * 5 // 4, np.uint8)
        result = own.room[:size]
        own.file.seek(start)
        return result if own.file.readinto(result) == size else None


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file} cannot be read: {str(error).rstrip('.')}.", hint="Run task=preprocess with cache.enabled=false.") from None


def _has_form(pages: list[list[int]], values: int) -> bool:
    """Whether they are a dictionary, no longer than there are values, and pages of version 1 that refer to it, for so many values."""
    if not pages or pages[0][KIND] != _DICTIONARY or pages[0][ENCODING] not in _PLAIN or pages[0][VALUES] > values:
        return False
    data = pages[1:]
    return all(page[KIND] == _DATA and page[ENCODING] in _REFERENCES for page in data) and sum(page[VALUES] for page in data) == values


def _unpacked(content: np.ndarray, size: int, codec: str | None) -> np.ndarray | None:
    """uint8 [size]; None: it is not packed so."""
    import pyarrow as pa

    if codec is not None:
        try:
            content = np.frombuffer(pa.Codec(codec).decompress(content, size, asbytes=True), np.uint8)
        except (pa.ArrowInvalid, OSError, MemoryError):  # damage; or Hadoop's framing of LZ4, which bears the same name in the metadata
            return None
    return content if len(content) == size else None
