"""The computed features of some request rows, as plain values where they are few and as columns where they are many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.features.spec import Feature
    from jdrec.preprocess.encoder import Encoder
    from jdrec.preprocess.row_path import RowEncoder


class Computed(Protocol):
    """Columns are the feature set's features, in order."""

    def ids(self, encoder: Encoder, row_encoder: RowEncoder) -> np.ndarray:
        """int64 [rows, fields] for the model."""

    def nulls(self) -> list[int]:
        """How many rows have NULL, a feature each."""

    def json_values(self) -> list[tuple[Any, ...]]:
        """A row's values as JSON takes them: a time in milliseconds, a date as ISO text, NaN and infinities as they are."""

    def part(self, begin: int, end: int) -> Computed:
        """Some of the rows."""

    def columns(self, features: Sequence[Feature]) -> list[pa.Array]:
        """Arrow arrays of the features' types."""


class Rows:
    """Values as `RequestSession.compute_rows` gives them: times in milliseconds, dates as `datetime.date`."""

    def __init__(self, rows: Sequence[tuple[Any, ...]]):
        self.rows = rows

    def ids(self, encoder: Encoder, row_encoder: RowEncoder) -> np.ndarray:
        return row_encoder.encode(self.rows)

    def nulls(self) -> list[int]:
        return [column.count(None) for column in zip(*self.rows, strict=True)]

    def json_values(self) -> list[tuple[Any, ...]]:
        return list(self.rows)  # orjson writes dates as ISO text

    def part(self, begin: int, end: int) -> Rows:
        return Rows(self.rows[begin:end])

    def columns(self, features: Sequence[Feature]) -> list[pa.Array]:
        import pyarrow as pa

        return [pa.array(column, feature.type.arrow) for feature, column in zip(features, zip(*self.rows, strict=True), strict=True)]


class Columns:
    """A record batch."""

    def __init__(self, batch: pa.RecordBatch):
        self.batch = batch

    def ids(self, encoder: Encoder, row_encoder: RowEncoder) -> np.ndarray:
        return encoder.encode(self.batch)

    def nulls(self) -> list[int]:
        return [column.null_count for column in self.batch.columns]

    def json_values(self) -> list[tuple[Any, ...]]:
        import pyarrow as pa

        columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in self.batch.columns]
        return list(zip(*(column.to_pylist() for column in columns), strict=True))

    def part(self, begin: int, end: int) -> Columns:
        return Columns(self.batch.slice(begin, end - begin))

    def columns(self, features: Sequence[Feature]) -> list[pa.Array]:
        return list(self.batch.columns)
