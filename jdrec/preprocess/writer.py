"""Writes the splits' Parquet files, batch by batch; a file takes its name only when all of them are whole."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from jdrec.features.spec import Encoding
from jdrec.files import staging
from jdrec.preprocess.arrow import from_mask, from_numbers
from jdrec.preprocess.coded import Coded
from jdrec.preprocess.encoder import Encoder
from jdrec.preprocess.plan import Plan
from jdrec.preprocess.splits import SPLITS

if TYPE_CHECKING:
    import pyarrow as pa


class SampleWriter:
    """A context that writes {train,valid,test}.parquet: the label (float32), ids (int64) or numbers (float32), kept columns."""

    def __init__(self, out: Path, encoder: Encoder, plan: Plan, features: pa.Schema):
        self.out, self.encoder, self.plan = out, encoder, plan
        self.schema = _schema(encoder, features)

    def __enter__(self) -> SampleWriter:
        import pyarrow.parquet as pq

        self._staged = {name: staging(self.out / f"{name}.parquet") for name in SPLITS}
        options = {"compression": "lz4", "write_statistics": False}  # of random ids, statistics help nobody
        self._writers = [pq.ParquetWriter(self._staged[name], self.schema, **options) for name in SPLITS]
        return self

    def write(self, batch: pa.RecordBatch, columns: list[Coded], split: np.ndarray, labels: np.ndarray) -> None:
        """Appends each row to its split's file, if it has one.

        Args:
            batch: features, for the kept columns. columns: `Encoder.columns` of it. split: uint8 [rows]. labels: float32 [rows].
        """
        import pyarrow as pa

        kept = [batch.column(name) for name in self.encoder.keep]
        rows = pa.RecordBatch.from_arrays([from_numbers(labels), *self.encoder.sample_columns(columns), *kept], schema=self.schema)
        for code, writer in enumerate(self._writers):
            inside = split == code
            if inside.all():
                writer.write_batch(rows)
            elif inside.any():
                writer.write_batch(rows.filter(from_mask(inside)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            for writer in self._writers:
                writer.close()
            if kind is None:
                for name, staged in self._staged.items():
                    os.replace(staged, self.out / f"{name}.parquet")
        finally:
            for staged in self._staged.values():
                staged.unlink(missing_ok=True)


def _schema(encoder: Encoder, features: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    columns = [pa.field(encoder.label_column, pa.float32(), nullable=False)]
    for field in encoder.fields:
        kind = pa.float32() if field.encoding is Encoding.NUMERIC else pa.int64()
        columns.append(pa.field(field.sample_column, kind, nullable=False))
    columns += [features.field(name).with_name(column) for name, column in encoder.keep.items()]
    return pa.schema(columns)
