"""Rows of any number put in order with bounded memory: scattered over bucket files, then ordered bucket by bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

BUCKET_ROWS = 500_000  # rows of a bucket on average; a bucket is ordered in memory


class Spill:
    """Collects records and gives them back in time order, or in a seeded random order.

    Args:
        folder: an empty or missing folder for the bucket files.
        dtype: a structured type; its field `time` (int32, seconds) orders the rows.
        rows: about how many records will come.
        first, last: range of `time`; times outside go to the outermost buckets.
        shuffle: random order instead of time order.
        seed: of the random order.
    """

    def __init__(self, folder: Path, dtype: np.dtype, rows: int, first: int, last: int, *, shuffle: bool, seed: np.random.SeedSequence):
        folder.mkdir(parents=True)
        self._folder = folder
        self._files = [folder / f"{bucket:06}.bin" for bucket in range(max(1, -(-rows // BUCKET_ROWS)))]
        self._dtype, self._first, self._span = dtype, first, max(1, last - first)
        self._shuffle, self._random = shuffle, np.random.default_rng(seed)
        self.rows = 0

    def add(self, records: np.ndarray) -> None:
        """Keeps records [n] of the given type; among equal times, first come is first in time order."""
        self.rows += len(records)
        count = len(self._files)
        if self._shuffle:
            bucket = self._random.integers(count, size=len(records))
        else:
            bucket = (records["time"].astype(np.int64) - self._first) * count // self._span
            np.clip(bucket, 0, count - 1, out=bucket)
        order = np.argsort(bucket, kind="stable")
        ends = np.cumsum(np.bincount(bucket, minlength=count))
        start = 0
        for file, end in zip(self._files, ends, strict=True):
            if end > start:
                with file.open("ab") as out:
                    records[order[start:end]].tofile(out)
            start = end

    def buckets(self) -> Iterator[np.ndarray]:
        """All records, bucket after bucket, each in its final order. A bucket file is removed once read, at last the folder."""
        for file in self._files:
            if not file.exists():
                continue
            records = np.fromfile(file, self._dtype)
            file.unlink()
            if self._shuffle:
                yield records[self._random.permutation(len(records))]
            else:
                yield records[np.argsort(records["time"], kind="stable")]
        self._folder.rmdir()
