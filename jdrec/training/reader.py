"""From a split's Parquet file to compact samples, piece by piece in threads: never are the ids of a whole split in memory.

Two passes over the training split: one counts each field's ids, column by column; the other one turns ids into rows of the embedding table, row
group by row group. In memory are a row group a thread, the table of counts of the fields at work, and the result, unless it is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.errors import StageError
from jdrec.features.spec import Encoding
from jdrec.preprocess.arrow import numbers, one_array
from jdrec.system import cores
from jdrec.training.data import Layout, RawSplit, Split, check_labels, kept_samples
from jdrec.training.ids import Finder, HostIds, Ids
from jdrec.training.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_BLOCK = 4096  # samples

log = logging.getLogger(__name__)


class SampleFile:
    """One split's file.

    Args:
        samples: folder of the samples.
        split: its name.
        negative_share, seed: which negatives stay, as `thinned` has it.
        ids: how ids are counted and found.
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
        self._threads = threads or cores()
        if not self.file.is_file():
            raise StageError(f"{self.file} is missing.", hint="Run task=preprocess first.")
        self._metadata = pq.read_metadata(self.file)
        RawSplit.require_columns(self._metadata.schema.to_arrow_schema().names, layout, self.file)
        labels = self._read_labels()
        self._kept = kept_samples(labels, negative_share, seed)
        if self._kept is not None:
            labels = labels[self._kept]
        self.count, self.positives = len(labels), int(np.count_nonzero(labels))
        sizes = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        self._firsts = np.cumsum([0, *sizes])  # row of the file that each row group begins with
        places = self._firsts if self._kept is None else np.concatenate([[0], np.cumsum(self._kept)])[self._firsts]
        self._places = places  # sample that each row group begins with

    def __len__(self) -> int:
        return self.count

    def learn(self, min_count: int = 1, most_rows: int | None = None, known: Vocabulary | None = None) -> Vocabulary:
        """`Vocabulary.learn` of the file's samples."""
        layout = self.layout
        slots = layout.slots or (1,) * len(layout.names)
        firsts = np.cumsum(slots) - slots

        def count(i: int) -> tuple[np.ndarray, np.ndarray]:
            if layout.encodings[i] is Encoding.NUMERIC:
                return np.empty(0, np.int64), np.empty(0, np.int64)
            counter, names = self._ids.counter(), list(layout.columns[firsts[i] : firsts[i] + slots[i]])
            reader = self._open()
            for group in range(self._metadata.num_row_groups):
                table = reader.read_row_group(group, columns=names, use_threads=False)
                for name in names:
                    counter.update(self._of_samples(group, numbers(one_array(table.column(name)))))
            return counter.items()

        found = self._in_threads(count, range(len(layout.names)))
        return Vocabulary.of_counts(layout.names, layout.encodings, found, min_count, layout.slots, most_rows, known)

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
        on_disk = memory_rows is not None and self.count > memory_rows
        window = memory_rows // 2 if on_disk and memory_rows is not None else None
        split = Split(self.count, vocabulary, positive_weight, folder if on_disk else None, window)
        if on_disk:
            log.info("%s: %s samples are held on disk, %s mix at a time", self.file.name, f"{self.count:,}", f"{window:,}")
        finders = [self._ids.finder(known) for known in vocabulary.ids]

        def fill(group: int) -> None:
            table = self._open().read_row_group(group, columns=[self.layout.label, *self.layout.columns], use_threads=False)
            raw = RawSplit.of(table, self.layout, self.file, int(self._firsts[group]))
            if self._kept is not None:
                raw = raw.take(np.flatnonzero(self._kept[self._firsts[group] : self._firsts[group + 1]]))
            split.put(int(self._places[group]), raw, lambda out: write_rows(vocabulary, finders, raw.columns, out))

        self._in_threads(fill, range(self._metadata.num_row_groups))
        return split

    def _read_labels(self) -> np.ndarray:
        def read(group: int) -> np.ndarray:
            column = self._open().read_row_group(group, columns=[self.layout.label], use_threads=False).column(0)
            return numbers(one_array(column)).astype(np.float32)

        groups = range(self._metadata.num_row_groups)
        labels = np.concatenate([np.empty(0, np.float32), *self._in_threads(read, groups)])
        check_labels(labels, self.file)
        return labels

    def _of_samples(self, group: int, values: np.ndarray) -> np.ndarray:
        return values if self._kept is None else values[self._kept[self._firsts[group] : self._firsts[group + 1]]]

    def _open(self) -> pq.ParquetFile:
        """A reader of one's own: it is not for several threads."""
        import pyarrow.parquet as pq

        return pq.ParquetFile(self.file, metadata=self._metadata, memory_map=True, pre_buffer=False)

    def _in_threads(self, work: Callable[[int], Any], items: Iterable[int]) -> list[Any]:
        if self._threads == 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self._threads, "reader") as pool:
            futures = [pool.submit(work, item) for item in items]
            try:
                return [future.result() for future in futures]
            except BaseException:
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
