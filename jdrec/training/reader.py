"""From a split's Parquet file to compact samples, piece by piece in threads: never are the ids of a whole split in memory.

The training split is gone through twice: field by field, to count ids, and then row group by row group, to write the rows of the embedding table. Another split is
read with the vocabulary that came of the first. Parquet holds an id once a row group, and references to it; so it is counted and looked up once a row group, and
what is done for each sample is to follow a reference. In memory are a row group of references a thread, the distinct ids with their counts (of one field a thread
in a hash table), and the result, unless it is on disk.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from jdrec.errors import StageError
from jdrec.features.spec import Encoding
from jdrec.preprocess.coded import Coded
from jdrec.system import cores
from jdrec.training.columns import ColumnFile, read_metadata
from jdrec.training.data import Layout, RawSplit, Split, check_labels, finite, kept_samples
from jdrec.training.ids import Finder, HostIds, Ids
from jdrec.training.references import gather, tally
from jdrec.training.vocabulary import Vocabulary

_APART = 80  # places that columns of references are longer than a row group: at a power of two, all would share the same sets of a cache

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
        DataError: it cannot be read, a column is missing, or a label is not 0 or 1.
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
        self.file, self.layout, self._ids = samples / f"{split}.parquet", layout, ids or HostIds()
        self._threads, self._stopped = threads or cores(), False
        if not self.file.is_file():
            raise StageError(f"{self.file} is missing.", hint="Run task=preprocess first.")
        self._metadata = read_metadata(self.file)
        self._columns = ColumnFile(self.file, self._metadata)
        RawSplit.require_columns(self._metadata.schema.to_arrow_schema().names, layout, self.file)
        labels = self._read_labels()
        self._kept = kept_samples(labels, negative_share, seed)
        if self._kept is not None:
            labels = labels[self._kept]
        self._slots = layout.slots or (1,) * len(layout.names)
        self._first_columns = np.cumsum(self._slots) - self._slots
        self._labels, self.count, self.positives = labels, len(labels), int(np.count_nonzero(labels))
        sizes = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        self._largest = max(sizes, default=0)
        self._firsts = np.cumsum([0, *sizes])  # row of the file that each row group begins with
        places = self._firsts if self._kept is None else np.concatenate([[0], np.cumsum(self._kept)])[self._firsts]
        self._places = places  # sample that each row group begins with

    def __len__(self) -> int:
        return self.count

    def learn(self, min_count: int = 1, most_rows: int | None = None, known: Vocabulary | None = None) -> Vocabulary:
        """`Vocabulary.learn` of the file's samples."""
        layout, own = self.layout, threading.local()
        found = [(np.empty(0, np.int64), np.empty(0, np.int64))] * len(layout.names)

        def count(i: int) -> None:
            if not hasattr(own, "counter"):
                own.counter = self._ids.counter()
                own.codes, own.counts = np.empty(self._largest, np.int32), np.empty(self._largest, np.int64)
            own.counter.clear()
            for group in range(self._metadata.num_row_groups):
                for name in self._names(i):
                    own.counter.update(*self._counted(group, name, own.codes, own.counts))
            found[i] = own.counter.items()

        fields = [i for i, encoding in enumerate(layout.encodings) if encoding is not Encoding.NUMERIC]
        fields.sort(key=lambda i: -sum(map(self._columns.size, self._names(i))))  # so that no thread is left with a large one in the end
        self._in_threads(count, fields)
        return Vocabulary.of_counts(layout.names, layout.encodings, found, min_count, layout.slots, most_rows, known)

    def learn_and_read(
        self,
        min_count: int = 1,
        most_rows: int | None = None,
        known: Vocabulary | None = None,
        positive_weight: float = 1.0,
        memory_rows: int | None = None,
        folder: Path | None = None,
    ) -> tuple[Vocabulary, Split]:
        """`learn`, and `read` with what was learnt."""
        vocabulary = self.learn(min_count, most_rows, known)
        return vocabulary, self.read(vocabulary, positive_weight, memory_rows, folder)

    def _counted(self, group: int, name: str, codes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ids of a column's samples in a row group, and how often each came, or came once more; `codes` and `counts` are room for as many as there are rows."""
        column, kept = self._coded(group, name, codes), self._kept_of(group)
        counts = counts[: len(column.values)]
        if column.codes is None:
            counts[:] = 1 if kept is None else kept
            return column.values, counts
        counts.fill(0)
        tally(column.codes, np.empty(0, bool) if kept is None else kept, counts)
        return column.values, counts

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
        finders = self._in_threads(self._ids.finder, vocabulary.ids)

        own = threading.local()

        def fill(group: int) -> None:
            begin, end = int(self._places[group]), int(self._places[group + 1])
            for i, (encoding, slots) in enumerate(zip(self.layout.encodings, self._slots, strict=True)):
                if encoding is Encoding.NUMERIC or slots > 1:
                    split.put_beside(i, begin, self._column(group, i))
            if not hasattr(own, "codes"):
                own.codes = np.empty((len(self.layout.columns), self._largest + _APART), np.int32)
                own.table = np.empty(own.codes.size, vocabulary.row_type)
            self._fill_rows(group, vocabulary, finders, own.codes, own.table, split.rows[begin:end])
            split.release(begin, end)

        split.labels[...] = self._labels
        self._in_threads(fill, range(self._metadata.num_row_groups))
        return split

    def _fill_rows(
        self, group: int, vocabulary: Vocabulary, finders: list[Finder], codes: np.ndarray, table: np.ndarray, rows: np.ndarray
    ) -> None:
        """Writes the rows of a row group's samples: an id is looked up once, and its references then take what was found.

        Args:
            codes, table: room for the references [columns, rows or more], and for what each id of any column became.
        """
        kept = self._kept_of(group)
        codes = codes[:, : self._firsts[group + 1] - self._firsts[group]]
        starts, size = np.empty(len(codes), np.int64), 0
        for i, finder in enumerate(finders):
            offset = int(vocabulary.offsets[i])
            for at, name in enumerate(self._names(i), int(self._first_columns[i])):
                starts[at] = size
                if vocabulary.encodings[i] is Encoding.NUMERIC:
                    codes[at], table[size] = 0, offset
                    size += 1
                    continue
                column = self._coded(group, name, codes[at])
                if column.codes is None:
                    codes[at] = np.arange(len(column.values))
                finder.rows(column.values, offset, table[size : size + len(column.values)])
                size += len(column.values)
        gather(codes if kept is None else codes[:, kept], starts, table, rows)

    def _empty(self, vocabulary: Vocabulary, positive_weight: float, memory_rows: int | None, folder: Path | None) -> Split:
        """Room for the samples."""
        if memory_rows is None or self.count <= memory_rows:
            return Split(self.count, vocabulary, positive_weight)
        log.info("%s: %s samples are held on disk, %s mix at a time", self.file.name, f"{self.count:,}", f"{memory_rows // 2:,}")
        return Split(self.count, vocabulary, positive_weight, folder, memory_rows // 2)

    def _names(self, i: int) -> tuple[str, ...]:
        """A field's columns in the file."""
        first = int(self._first_columns[i])
        return self.layout.columns[first : first + self._slots[i]]

    def _kept_of(self, group: int) -> np.ndarray | None:
        """bool [n]: which rows of a row group are samples; None: all."""
        return None if self._kept is None else self._kept[self._firsts[group] : self._firsts[group + 1]]

    def _coded(self, group: int, name: str, room: np.ndarray) -> Coded:
        """The ids of a row group, samples or not; `room` is as many int32 or more."""
        if self._stopped:
            raise CancelledError
        return self._columns.coded(group, name, room[: self._firsts[group + 1] - self._firsts[group]])

    def _column(self, group: int, i: int) -> np.ndarray:
        """A field's values of a row group's samples: int64 [n, slots], float32 [n] for a number."""
        if self.layout.encodings[i] is Encoding.NUMERIC:
            name = self._names(i)[0]
            column = finite(self._columns.numbers(group, name), name, self.file, int(self._firsts[group]))
        else:
            column = np.stack([self._columns.numbers(group, name) for name in self._names(i)], axis=1)
        kept = self._kept_of(group)
        return column if kept is None else column[kept]

    def _read_labels(self) -> np.ndarray:
        def read(group: int) -> np.ndarray:
            return self._columns.numbers(group, self.layout.label).astype(np.float32)

        groups = range(self._metadata.num_row_groups)
        labels = np.concatenate([np.empty(0, np.float32), *self._in_threads(read, groups)])
        check_labels(labels, self.file)
        return labels

    def _in_threads(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
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
