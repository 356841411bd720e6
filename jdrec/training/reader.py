"""From a split's Parquet file to compact samples, piece by piece in threads: never are the ids of a whole split in memory.

The training split is read once: each field's ids are numbered and counted as they come, and when all have been seen, numbers become rows of the embedding
table, in place. Another split is read with the vocabulary that came of it. In memory are some columns of a row group a thread, a table of each field's ids
while they are counted, and the result, unless it is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.errors import StageError
from jdrec.features.spec import Encoding
from jdrec.preprocess.arrow import numbers, one_array
from jdrec.system import cores
from jdrec.training.coder import translate
from jdrec.training.data import Layout, RawSplit, Split, check_labels, finite, kept_samples
from jdrec.training.ids import Coder, Finder, HostIds, Ids
from jdrec.training.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_BLOCK = 4096  # samples whose rows stay in the processor's cache while field after field is written
_PIECE = 1 << 17  # samples whose codes become rows in one go

Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # of a field, what Coder.items gives

log = logging.getLogger(__name__)


class SampleFile:
    """One split's file.

    Args:
        samples: folder of the samples.
        split: its name.
        negative_share, seed: which negatives stay, as `thinned` has it.
        ids: how ids are numbered and found.
        threads: how many read.

    Raises:
        StageError: there is no such file.
        DataError: a column is missing, or a label is not 0 or 1.
    """

    def __init__(
        self,
        samples: Path,
        split: str,
        layout: Layout,
        negative_share: float = 1.0,
        seed: int = 0,
        ids: Ids | None = None,
        threads: int | None = None,
    ):
        import pyarrow.parquet as pq

        self.file, self.layout, self._ids = samples / f"{split}.parquet", layout, ids or HostIds()
        self._threads, self._stopped = threads or cores(), False
        if not self.file.is_file():
            raise StageError(f"{self.file} is missing.", hint="Run task=preprocess first.")
        self._metadata = pq.read_metadata(self.file)
        RawSplit.require_columns(self._metadata.schema.to_arrow_schema().names, layout, self.file)
        labels = self._read_labels()
        self._kept = kept_samples(labels, negative_share, seed)
        if self._kept is not None:
            labels = labels[self._kept]
        self._slots = layout.slots or (1,) * len(layout.names)
        self._first_columns = np.cumsum(self._slots) - self._slots
        self._labels, self.count, self.positives = labels, len(labels), int(np.count_nonzero(labels))
        sizes = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        self._firsts = np.cumsum([0, *sizes])  # row of the file that each row group begins with
        places = self._firsts if self._kept is None else np.concatenate([[0], np.cumsum(self._kept)])[self._firsts]
        self._places = places  # sample that each row group begins with

    def __len__(self) -> int:
        return self.count

    def learn(self, min_count: int = 1, most_rows: int | None = None, known: Vocabulary | None = None) -> Vocabulary:
        """`Vocabulary.learn` of the file's samples."""

        def count(i: int) -> Found:
            coder, none = self._ids.coder(), np.empty(0, np.int64)
            if self.layout.encodings[i] is Encoding.NUMERIC:
                return none, none, none
            reader = self._open()
            for group in range(self._metadata.num_row_groups):
                ids = self._column(reader, group, i).reshape(-1)
                coder.update(ids, np.empty(len(ids), np.int32))
            return coder.items()

        return self._vocabulary(self._in_threads(count, range(len(self.layout.names))), min_count, most_rows, known)

    def learn_and_read(
        self,
        min_count: int = 1,
        most_rows: int | None = None,
        known: Vocabulary | None = None,
        positive_weight: float = 1.0,
        memory_rows: int | None = None,
        folder: Path | None = None,
    ) -> tuple[Vocabulary, Split]:
        """`learn` and `read` with what was learnt, in one pass over the file."""
        layout = self.layout
        names = range(len(layout.names))
        split = self._empty(
            Vocabulary(layout.names, layout.encodings, (np.empty(0, np.int64),) * len(names), self._slots),
            positive_weight,
            memory_rows,
            folder,
        )
        split.labels[...] = self._labels

        def code(part: int) -> list[tuple[int, Found]]:
            """Fields part, part + threads, ...: neighbours are often alike in size."""
            coders = {i: self._ids.coder() for i in names[part :: self._threads]}
            reader = self._open()
            for group in range(self._metadata.num_row_groups):
                at = int(self._places[group])
                columns = {i: self._column(reader, group, i) for i in coders}
                for i, column in columns.items():
                    split.put_beside(i, at, column)
                for begin in range(0, len(next(iter(columns.values()), ())), _BLOCK):
                    for i, column in columns.items():
                        self._code(coders[i], i, column[begin : begin + _BLOCK], split.rows[at + begin : at + begin + _BLOCK])
                split.release(at, int(self._places[group + 1]))
            return [(i, coder.items()) for i, coder in coders.items()]

        found = dict(pair for part in self._in_threads(code, range(min(self._threads, len(names)))) for pair in part)
        vocabulary = self._vocabulary([found[i] for i in names], min_count, most_rows, known)
        if vocabulary.row_type is not np.int32:
            return vocabulary, self.read(vocabulary, positive_weight, memory_rows, folder)
        self._translate(split, vocabulary, [found[i] for i in names])
        return vocabulary, split

    def _code(self, coder: Coder, i: int, column: np.ndarray, out: np.ndarray) -> None:
        first = int(self._first_columns[i])
        if self.layout.encodings[i] is Encoding.NUMERIC:
            out[:, first] = 0
        elif column.ndim == 1:
            coder.update(column, out[:, first])
        else:
            for slot in range(column.shape[1]):
                coder.update(np.ascontiguousarray(column[:, slot]), out[:, first + slot])

    def _translate(self, split: Split, vocabulary: Vocabulary, found: list[Found]) -> None:
        """Codes to rows."""
        tables, firsts, size = [], [], 0
        for i, (ids, _, codes) in enumerate(found):
            offset, known = int(vocabulary.offsets[i]), vocabulary.ids[i]
            table = np.full(max(1, len(ids)), offset, np.int32)
            if len(known) and len(ids):
                place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
                table[codes] = np.where(known[place] == ids, offset + 1 + place, offset)
            tables.append(table)
            firsts += [size] * self._slots[i]
            size += len(table)
        table, starts = np.concatenate(tables), np.array(firsts, np.int64)

        def piece(part: int) -> None:
            begin, end = part * _PIECE, min((part + 1) * _PIECE, len(split))
            translate(split.rows[begin:end], starts, table)
            split.release(begin, end)

        self._in_threads(piece, range(-(-len(split) // _PIECE)))

    def _vocabulary(self, found: list[Found], min_count: int, most_rows: int | None, known: Vocabulary | None) -> Vocabulary:
        layout, counted = self.layout, [(ids, counts) for ids, counts, _ in found]
        return Vocabulary.of_counts(layout.names, layout.encodings, counted, min_count, layout.slots, most_rows, known)

    def read(
        self, vocabulary: Vocabulary, positive_weight: float = 1.0, memory_rows: int | None = None, folder: Path | None = None
    ) -> Split:
        """The samples with the rows of a vocabulary.

        Args:
            positive_weight: weight of positive samples in the loss.
            memory_rows: a file with more samples is held on disk, and half as many mix when they are shuffled; None: in memory.
            folder: where on disk.

        Raises:
            DataError: a numeric value is not finite, or the disk is full.
        """
        split = self._empty(vocabulary, positive_weight, memory_rows, folder)
        finders = [self._ids.finder(known) for known in vocabulary.ids]

        def fill(group: int) -> None:
            table = self._open().read_row_group(group, columns=[self.layout.label, *self.layout.columns], use_threads=False)
            raw = RawSplit.of(table, self.layout, self.file, int(self._firsts[group]))
            if self._kept is not None:
                raw = raw.take(np.flatnonzero(self._kept[self._firsts[group] : self._firsts[group + 1]]))
            split.put(int(self._places[group]), raw, lambda out: write_rows(vocabulary, finders, raw.columns, out))
            split.release(int(self._places[group]), int(self._places[group + 1]))

        self._in_threads(fill, range(self._metadata.num_row_groups))
        return split

    def _empty(self, vocabulary: Vocabulary, positive_weight: float, memory_rows: int | None, folder: Path | None) -> Split:
        """Room for the samples."""
        if memory_rows is None or self.count <= memory_rows:
            return Split(self.count, vocabulary, positive_weight)
        log.info("%s: %s samples are held on disk, %s mix at a time", self.file.name, f"{self.count:,}", f"{memory_rows // 2:,}")
        return Split(self.count, vocabulary, positive_weight, folder, memory_rows // 2)

    def _column(self, reader: pq.ParquetFile, group: int, i: int) -> np.ndarray:
        """A field's values of a row group's samples: int64 [n] or [n, slots], float32 [n] for a number."""
        if self._stopped:
            raise CancelledError
        first = int(self._first_columns[i])
        names = list(self.layout.columns[first : first + self._slots[i]])
        table = reader.read_row_group(group, columns=names, use_threads=False)
        values = [numbers(one_array(table.column(name))) for name in names]
        if self.layout.encodings[i] is Encoding.NUMERIC:
            values = [finite(values[0], names[0], self.file, int(self._firsts[group]))]
        column = values[0] if len(values) == 1 else np.stack(values, axis=1)
        return column if self._kept is None else column[self._kept[self._firsts[group] : self._firsts[group + 1]]]

    def _read_labels(self) -> np.ndarray:
        def read(group: int) -> np.ndarray:
            column = self._open().read_row_group(group, columns=[self.layout.label], use_threads=False).column(0)
            return numbers(one_array(column)).astype(np.float32)

        groups = range(self._metadata.num_row_groups)
        labels = np.concatenate([np.empty(0, np.float32), *self._in_threads(read, groups)])
        check_labels(labels, self.file)
        return labels

    def _open(self) -> pq.ParquetFile:
        """A reader of one's own: it is not for several threads."""
        import pyarrow.parquet as pq

        return pq.ParquetFile(self.file, metadata=self._metadata, pre_buffer=False)

    def _in_threads(self, work: Callable[[int], Any], items: Iterable[int]) -> list[Any]:
        if self._threads == 1:
            return [work(item) for item in items]
        self._stopped = False
        with ThreadPoolExecutor(self._threads, "reader") as pool:
            futures = [pool.submit(work, item) for item in items]
            try:
                for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                    future.result()
                return [future.result() for future in futures]
            except BaseException:
                self._stopped = True  # a pass over a large file takes minutes
                pool.shutdown(cancel_futures=True)
                raise


def write_rows(vocabulary: Vocabulary, finders: list[Finder], columns: tuple[np.ndarray, ...], out: np.ndarray) -> None:
    """`Vocabulary.rows_of` by finders of each field's known ids, into `out` [n, columns]; a few samples at a time, which stay in the processor's cache."""
    for begin in range(0, len(out), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        for i, (finder, ids) in enumerate(zip(finders, columns, strict=True)):
            column, first = int(vocabulary.first_columns[i]), int(vocabulary.offsets[i])
            if vocabulary.encodings[i] is Encoding.NUMERIC:
                out[block, column] = first
            elif ids.ndim == 1:
                finder.rows(ids[block], first, out[block, column])
            else:
                for slot in range(ids.shape[1]):
                    finder.rows(np.ascontiguousarray(ids[block, slot]), first, out[block, column + slot])
