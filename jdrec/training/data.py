"""Samples in memory, ready for training: ids already mapped to rows of the embedding table, in compact arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jdrec.errors import DataError, StageError
from jdrec.features.spec import Encoding
from jdrec.training.vocabulary import Vocabulary


@dataclass(frozen=True)
class Layout:
    """Which columns the sample files have: the label's, and the fields' in the model's order."""

    label: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    encodings: tuple[Encoding, ...]


def read_layout(samples: Path) -> Layout:
    """The layout of a samples folder, from its data_info.json.

    Raises:
        StageError: the folder holds no samples.
    """
    file = samples / "data_info.json"
    if not file.is_file():
        raise StageError(f"{samples} holds no samples: data_info.json is missing.", hint="Run task=preprocess first.")
    info = json.loads(file.read_text(encoding="utf-8"))
    fields = info["fields"]
    return Layout(
        info["label"],
        tuple(field["name"] for field in fields),
        tuple(field["column"] for field in fields),
        tuple(Encoding(field["encoding"]) for field in fields),
    )


@dataclass(frozen=True)
class RawSplit:
    """A split as it lies in its file: labels float32 [n], and one array [n] a field, int64 ids or float32 values."""

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
        missing = sorted({layout.label, *layout.columns} - set(pq.read_schema(file).names))
        if missing:
            raise DataError(f"{file} has no column {', '.join(missing)}.", hint="Run task=preprocess again.")
        table = pq.read_table(file, columns=[layout.label, *layout.columns], memory_map=True)
        labels = table[layout.label].to_numpy().astype(np.float32)
        _check_labels(labels, file)
        columns = []
        for column, encoding in zip(layout.columns, layout.encodings, strict=True):
            values = table[column].to_numpy()
            if encoding is Encoding.NUMERIC:
                values = values.astype(np.float32)
                bad = np.flatnonzero(~np.isfinite(values))
                if len(bad):
                    raise DataError(f"{file}: column {column} has {len(bad):,} values that are not finite numbers, first in row {bad[0]}.")
            columns.append(values)
        return cls(labels, tuple(columns))


def _check_labels(labels: np.ndarray, file: Path) -> None:
    bad = np.flatnonzero((labels != 0) & (labels != 1))
    if len(bad):
        raise DataError(f"{file}: {len(bad):,} labels are neither 0 nor 1, first {labels[bad[0]]} in row {bad[0]}.")


@dataclass(frozen=True)
class Batch:
    """rows int32 or int64 [n, fields]; scale float32 [n, fields], or None without numeric fields; labels float32 [n]."""

    rows: np.ndarray
    scale: np.ndarray | None
    labels: np.ndarray


class Split:
    """A split's samples as arrays.

    rows: int32 or int64 [n, fields]. values: float32 [n, numeric fields]. labels: float32 [n].
    """

    def __init__(self, raw: RawSplit, vocabulary: Vocabulary):
        self.labels = raw.labels
        self.rows = vocabulary.rows_of(raw.columns)
        self.numeric = list(vocabulary.numeric)
        self.values = np.stack([raw.columns[i] for i in self.numeric], axis=1).astype(np.float32) if self.numeric else None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: np.ndarray | slice) -> Batch:
        """The samples at `index`, in that order."""
        rows = self.rows[index]
        scale = None
        if self.values is not None:
            scale = np.ones(rows.shape, np.float32)
            scale[:, self.numeric] = self.values[index]
        return Batch(rows, scale, self.labels[index])

    def batches(self, size: int) -> Iterator[Batch]:
        """The whole split in order; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))


class ShuffledStream:
    """Batches cut from an endless stream of epochs, each shuffled by its own seed.

    Every batch is full: the last one of an epoch goes on with the first samples of the next. Batch k depends on nothing but the seed
    and k, so that training can go on anywhere.
    """

    def __init__(self, split: Split, batch_size: int, seed: int):
        self.split, self.batch_size, self.seed = split, batch_size, seed
        self._orders: dict[int, np.ndarray] = {}

    def batch(self, k: int) -> Batch:
        """Batch k, counted from 0."""
        size = len(self.split)
        start, end = k * self.batch_size, (k + 1) * self.batch_size
        first, last = start // size, (end - 1) // size
        self._orders = {epoch: self._order(epoch) for epoch in range(first, last + 1)}
        parts = [order[max(start - epoch * size, 0) : min(end - epoch * size, size)] for epoch, order in self._orders.items()]
        return self.split.batch(parts[0] if len(parts) == 1 else np.concatenate(parts))

    def _order(self, epoch: int) -> np.ndarray:
        known = self._orders.get(epoch)
        if known is not None:
            return known
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.split))
