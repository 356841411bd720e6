"""Samples ready for training: ids already mapped to rows of the embedding table, in compact arrays in memory or on disk."""

from __future__ import annotations

import json
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jdrec.errors import DataError, StageError
from jdrec.features.spec import Encoding
from jdrec.training.order import Order
from jdrec.training.vocabulary import Vocabulary, shares_of


@dataclass(frozen=True)
class Layout:
    """Which columns the sample files have: the label's, the fields' in the model's order, and those kept beside them.

    slots: columns of each field; above 1 of a multi-valued one, a column a place.
    keep: feature to its column.
    """

    label: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    encodings: tuple[Encoding, ...]
    slots: tuple[int, ...] = ()
    keep: dict[str, str] = field(default_factory=dict)


def read_layout(samples: Path) -> Layout:
    """The layout of a samples folder, from its data_info.json.

    Raises:
        StageError: the folder holds no samples.
    """
    file = samples / "data_info.json"
    if not file.is_file():
        raise StageError(f"{samples} holds no samples: data_info.json is missing.", hint="Run task=preprocess first.")
    info = json.loads(file.read_text(encoding="utf-8"))
    fields: dict[str, list[dict[str, Any]]] = {}  # a list's places are one field
    for entry in info["fields"]:
        fields.setdefault(entry.get("feature", entry["name"]), []).append(entry)
    return Layout(
        info["label"],
        tuple(fields),
        tuple(entry["column"] for entries in fields.values() for entry in entries),
        tuple(Encoding(entries[0]["encoding"]) for entries in fields.values()),
        tuple(len(entries) for entries in fields.values()),
        info.get("keep", {}),
    )


@dataclass(frozen=True)
class RawSplit:
    """A split as it lies in its file: labels float32 [n], and one array a field: int64 ids or float32 values [n], or int64 [n, slots]."""

    labels: np.ndarray
    columns: tuple[np.ndarray, ...]

    @classmethod
    def read(cls, samples: Path, split: str, layout: Layout) -> RawSplit:
        """Reads {split}.parquet.

        Raises:
            StageError: there is no such file.
            DataError: a column is missing, a label is not 0 or 1, or a numeric value is not finite.
        """
        import pyarrow.parquet as pq

        file = samples / f"{split}.parquet"
        if not file.is_file():
            raise StageError(f"{file} is missing.", hint="Run task=preprocess first.")
        cls.require_columns(pq.read_schema(file).names, layout, file)
        return cls.of(pq.read_table(file, columns=[layout.label, *layout.columns], memory_map=True), layout, file)

    @classmethod
    def of(cls, table: Any, layout: Layout, file: Path, first: int = 0) -> RawSplit:
        """A pyarrow Table or RecordBatch of a split's rows; `file`, and the place of the first row in it, are for messages."""
        labels = _numbers(table.column(layout.label)).astype(np.float32)
        check_labels(labels, file)
        columns = []
        waiting = iter(layout.columns)
        for encoding, slots in zip(layout.encodings, layout.slots or (1,) * len(layout.names), strict=True):
            names = [next(waiting) for _ in range(slots)]
            values = _numbers(table.column(names[0]))
            if slots > 1:
                values = np.stack([_numbers(table.column(name)) for name in names], axis=1)
            if encoding is Encoding.NUMERIC:
                values = finite(values, names[0], file, first)
            columns.append(values)
        return cls(labels, tuple(columns))

    @staticmethod
    def require_columns(present: list[str], layout: Layout, file: Path) -> None:
        """Raises DataError if a file with the columns `present` lacks one."""
        missing = sorted({layout.label, *layout.columns} - set(present))
        if missing:
            raise DataError(f"{file} has no column {', '.join(missing)}.", hint="Run task=preprocess again.")

    def take(self, index: np.ndarray) -> RawSplit:
        """The samples at `index`."""
        return RawSplit(self.labels[index], tuple(column[index] for column in self.columns))


@dataclass(frozen=True)
class Batch:
    """Samples ready for a step.

    rows: int32 or int64 [n, columns], of the embedding table.
    scale: float32 [n, columns], what each row is multiplied by: a numeric field's value, 1 / count for the values of a multi-valued field and
        0 for a slot without one, 1 for an id; None where all are 1.
    labels: float32 [n], 0 or 1.
    weights: float32 [n], of the samples in the loss; None where all are 1.
    """

    rows: np.ndarray
    scale: np.ndarray | None
    labels: np.ndarray
    weights: np.ndarray | None = None


class Split:
    """A split's samples as arrays: in memory, or on disk as memory maps.

    labels: float32 [n]. rows: int32 or int64 [n, columns] of the embedding table. values: float32 [n, numeric fields], None without any.
    shares: of each multi-valued field its first column and float32 [n, slots].

    Args:
        raw: samples, or how many there will be room for; `put` then fills them in.
        positive_weight: weight of positive samples in the loss, negatives having 1.
        folder: on disk, in files without a name there, which are gone with the process; None: in memory.
        window: samples that mix when they are shuffled; None: all.
    """

    def __init__(
        self,
        raw: RawSplit | int,
        vocabulary: Vocabulary,
        positive_weight: float = 1.0,
        folder: Path | None = None,
        window: int | None = None,
    ):
        count = raw if isinstance(raw, int) else len(raw.labels)
        self.positive_weight, self.window = np.float32(positive_weight), window
        self.numeric = list(vocabulary.numeric)
        self._vocabulary = vocabulary
        self.labels = samples_array(folder, np.float32, count)
        self.rows = samples_array(folder, vocabulary.row_type, count, sum(vocabulary.slots))
        self.values = samples_array(folder, np.float32, count, len(self.numeric)) if self.numeric else None
        lists = [(int(first), slots) for first, slots in zip(vocabulary.first_columns, vocabulary.slots, strict=True) if slots > 1]
        self.shares = [(first, samples_array(folder, np.float32, count, slots)) for first, slots in lists]
        if not isinstance(raw, int):
            columns = raw.columns
            self.put(0, raw, lambda out: np.copyto(out, vocabulary.rows_of(columns)))

    def __len__(self) -> int:
        return len(self.labels)

    def put(self, at: int, raw: RawSplit, write_rows: Callable[[np.ndarray], None]) -> None:
        """Fills in samples from `at` on; `write_rows` writes the rows of their ids into [n, columns]."""
        here = slice(at, at + len(raw.labels))
        self.labels[here] = raw.labels
        write_rows(self.rows[here])
        for i, column in enumerate(raw.columns):
            self.put_beside(i, at, column)

    def put_beside(self, field: int, at: int, column: np.ndarray) -> None:
        """Fills in what a field has beside its rows, if anything: a number's values, or the shares of a list's values."""
        here, first = slice(at, at + len(column)), int(self._vocabulary.first_columns[field])
        if self.values is not None and first in self.numeric:
            self.values[here, self.numeric.index(first)] = column
        for start, share in self.shares:
            if start == first:
                share[here] = shares_of(column)

    def batch(self, index: np.ndarray | slice) -> Batch:
        """The samples at `index`, in that order."""
        rows, labels = self._take(self.rows, index), self._take(self.labels, index)
        scale = None
        if self.values is not None or self.shares:
            scale = np.ones(rows.shape, np.float32)
            if self.values is not None:
                scale[:, self.numeric] = self.values[index]
            for first, share in self.shares:
                scale[:, first : first + share.shape[1]] = share[index]
        weights = None if self.positive_weight == 1 else np.where(labels > 0.5, self.positive_weight, np.float32(1))
        return Batch(rows, scale, labels, weights)

    def batches(self, size: int) -> Iterator[Batch]:
        """The whole split in order; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))
            self.release(start, min(start + size, len(self)))

    def release(self, begin: int, end: int) -> None:
        """Says that these samples are not asked for soon: on disk, they need not be in memory."""
        self._going(np.array([[begin, end]]))

    def order(self, seed: int) -> Order:
        """The order in which its samples are trained on."""
        return Order(len(self), seed, self.window, coming=self._coming, going=self._going)

    @staticmethod
    def _take(array: np.ndarray, index: np.ndarray | slice) -> np.ndarray:
        return array[index] if isinstance(index, slice) else array.take(index, axis=0)

    def _arrays(self) -> list[np.ndarray]:
        return [self.labels, self.rows, *([] if self.values is None else [self.values]), *(share for _, share in self.shares)]

    def _coming(self, pieces: np.ndarray) -> None:
        for array in self._arrays():
            advise(array, pieces, mmap.MADV_WILLNEED)

    def _going(self, pieces: np.ndarray) -> None:
        for array in self._arrays():
            advise(array, pieces, mmap.MADV_DONTNEED)


class ShuffledStream:
    """Batches cut from an endless stream of epochs, each shuffled by its own seed.

    Every batch is full: the last one of an epoch goes on with the first samples of the next. Batch k depends on nothing but the seed
    and k, so that training can go on anywhere.
    """

    def __init__(self, split: Split, batch_size: int, seed: int):
        self.split, self.batch_size = split, batch_size
        self._order = split.order(seed) if isinstance(split, Split) else Order(len(split), seed)

    def batch(self, k: int) -> Batch:
        """Batch k, counted from 0."""
        return self.split.batch(self.index(k))

    def index(self, k: int) -> np.ndarray:
        """int64 [batch size]: the samples of batch k. Several threads may ask."""
        return self._order.index(k * self.batch_size, (k + 1) * self.batch_size)


class SingleBatch:
    """The first batch of a stream, over and over; and to look at how it is learnt, a split of this batch alone."""

    def __init__(self, stream: ShuffledStream):
        self._index = stream.index(0)
        self.split, self.batch_size = stream.split, stream.batch_size
        self.labels = self.batch(0).labels

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """The one batch."""
        yield self.batch(0)

    def batch(self, k: int) -> Batch:
        """The first batch, whatever k is."""
        return self.split.batch(self._index)

    def index(self, k: int) -> np.ndarray:
        """int64 [batch size]: its samples."""
        return self._index


def thinned(raw: RawSplit, negative_share: float, seed: int) -> RawSplit:
    """All positive samples and a share of the negative ones, drawn by the seed, in their order."""
    kept = kept_samples(raw.labels, negative_share, seed)
    return raw if kept is None else raw.take(np.flatnonzero(kept))


def kept_samples(labels: np.ndarray, negative_share: float, seed: int) -> np.ndarray | None:
    """bool [n]: which samples `thinned` keeps; None: all."""
    if negative_share == 1:
        return None
    return (np.random.default_rng((seed, 1)).random(len(labels)) < negative_share) | (labels > 0.5)


def samples_array(folder: Path | None, dtype: type, *shape: int) -> np.ndarray:
    """An array to fill; with a folder, over a file without a name in it.

    Raises:
        DataError: the disk has no room for it.
    """
    if folder is None or 0 in shape:
        return np.empty(shape, dtype)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk shows here, not as a signal in the middle of training
            else:
                file.truncate(size)
        except OSError as error:
            hint = "Free some of it, or raise trainer.memory_rows to hold the samples in memory."
            raise DataError(f"{folder} has no room for {size / 2**30:.1f} GiB of samples: {error.strerror}.", hint=hint) from None
        return np.memmap(file, dtype, "r+", shape=shape)


def advise(array: np.ndarray, pieces: np.ndarray, advice: int) -> None:
    """Tells the system what becomes of pieces, int64 [k, 2], of a memory-mapped array; arrays in memory need no advice."""
    if not isinstance(array, np.memmap):
        return
    whole: mmap.mmap = array._mmap  # type: ignore[attr-defined]
    width = array.strides[0]
    for begin, end in pieces.tolist():
        first = begin * width // mmap.PAGESIZE * mmap.PAGESIZE
        whole.madvise(advice, first, end * width - first)


def _numbers(column: Any) -> np.ndarray:
    """A column without NULLs as an array [n]."""
    from jdrec.preprocess.arrow import numbers, one_array

    return numbers(one_array(column))


def finite(values: np.ndarray, column: str, file: Path, first: int) -> np.ndarray:
    """Numeric values as float32; `first` is the row of the file that they begin with. Raises DataError if one is not a finite number."""
    values = values.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise DataError(f"{file}: column {column} has {len(bad):,} values that are not finite numbers, first in row {first + bad[0]:,}.")
    return values


def check_labels(labels: np.ndarray, file: Path) -> None:
    """Raises DataError if labels are not 0 or 1."""
    bad = np.flatnonzero((labels != 0) & (labels != 1))
    if len(bad):
        raise DataError(f"{file}: {len(bad):,} labels are neither 0 nor 1, first {labels[bad[0]]} in row {bad[0]}.")
