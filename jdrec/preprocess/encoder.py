"""The fitted `Encoder`: feature values in, the model's int64 matrix out; one definition for training samples and for serving.

Columns of the matrix are `FeatureSet.fields`, in order. A hashed or bucketised field is a 64-bit id; a numeric one is the bit pattern
of its standardised number as a binary64. This is Triton's INPUT_0. See docs/encoding.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from jdrec.errors import DataError, StageError
from jdrec.features.spec import Encoding
from jdrec.features.types import SqlType
from jdrec.preprocess.arrow import from_numbers, one_array
from jdrec.preprocess.bucket import Bucket
from jdrec.preprocess.canonical import Canonical, bucket_ids
from jdrec.preprocess.coded import Coded, coded
from jdrec.preprocess.listed import Listed
from jdrec.preprocess.pandas_types import ColumnType, typed_text
from jdrec.preprocess.standard import Standard
from jdrec.preprocess.tutorial import Tutorial
from jdrec.preprocess.xxh64 import hash_bytes, signed

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
_FEW = 64  # rows up to which values one by one are faster than Arrow's calls
Scheme = Literal["canonical", "tutorial"]


class Codec(Protocol):
    """What turns one field's values into its column of the matrix."""

    def column(self, array: pa.Array) -> np.ndarray: ...

    def value(self, value: Any) -> int: ...


@dataclass(frozen=True)
class Field:
    """One input of the model: what it is, and what was learnt about it from the training rows.

    Attributes:
        name: the feature. sample_column: its column in the samples files.
        bounds: of a bucketised field, lower bounds of all buckets but the first.
        mean, std, least, greatest: of a numeric field, over the training rows.
        column_type: tutorial scheme, a hashed field: how pandas types the column.
        list_of, place: of a place of a list, the feature whose lists they are and which place.
    """

    name: str
    sample_column: str
    type: SqlType
    encoding: Encoding
    bounds: tuple[float, ...] = ()
    mean: float = 0.0
    std: float = 0.0
    least: float = 0.0
    greatest: float = 0.0
    column_type: ColumnType = "object"
    list_of: str | None = None
    place: int = 0

    @property
    def feature(self) -> str:
        """The feature that it is made from."""
        return self.list_of or self.name


@dataclass(frozen=True)
class Encoder:
    """See the module.

    Attributes:
        label: name of the label feature. label_column: its column in the samples files.
        keep: kept feature to its column in the samples files.
        timezone: of the text of timestamps in the tutorial scheme.
    """

    fields: tuple[Field, ...]
    scheme: Scheme
    hash_seed: int
    timezone: str
    label: str
    label_column: str
    keep: dict[str, str]

    @cached_property
    def codecs(self) -> tuple[Codec, ...]:
        return tuple(self._codec(field) for field in self.fields)

    def _codec(self, field: Field) -> Codec:
        if field.encoding is Encoding.NUMERIC:
            return Standard(field.name, field.type, field.mean, field.std, field.least, field.greatest)
        if field.encoding is Encoding.LIST:
            return Listed(field.feature, field.place, self.hash_seed)
        if field.encoding is Encoding.BUCKET:
            return Bucket(field.name, field.type, list(field.bounds), *self._bucket_ids(field))
        if self.scheme == "tutorial":
            return Tutorial(field.name, field.type, field.column_type, self.hash_seed, self.timezone)
        return Canonical(field.name, field.type, self.hash_seed)

    def _bucket_ids(self, field: Field) -> tuple[np.ndarray, int]:
        count = len(field.bounds) + 1
        if self.scheme == "canonical":
            return bucket_ids(field.name, count, self.hash_seed)
        texts = [str(bucket) for bucket in range(count)] + [typed_text("", "object")]
        ids = [signed(hash_bytes(text.encode(), self.hash_seed)) for text in texts]
        return np.array(ids[:-1], np.int64), ids[-1]

    def encode(self, batch: pa.RecordBatch | pa.Table, pool: Executor | None = None) -> np.ndarray:
        """Encodes a batch of feature rows.

        Args:
            batch: has a column for each field, by name; other columns are not looked at.
            pool: threads to encode fields in parallel.

        Returns:
            int64 [rows, fields], C-contiguous.

        Raises:
            DataError: a column is missing or holds values that are not of its declared type.
        """
        result = np.empty((batch.num_rows, len(self.fields)), np.int64)
        for index, column in enumerate(self.columns(batch, pool)):
            result[:, index] = column.ids()
        return result

    def columns(self, batch: pa.RecordBatch | pa.Table, pool: Executor | None = None) -> list[Coded]:
        """As `encode`, field by field. What a column's dictionary holds is encoded once a value, not once a row."""
        present = set(batch.schema.names)
        for field in self.fields:
            if field.feature not in present:
                raise DataError(f"the column of feature {field.feature!r} is missing.")

        def one(index: int) -> Coded:
            column, codec = batch.column(self.fields[index].feature), self.codecs[index]
            if batch.num_rows <= _FEW:
                return Coded(np.array([codec.value(value) for value in column.to_pylist()], np.int64))
            return coded(column, codec.column)

        indexes = range(len(self.fields))
        return list(pool.map(one, indexes)) if pool else [one(index) for index in indexes]

    def encode_row(self, row: Mapping[str, Any]) -> list[int]:
        """Encodes one row of plain values, as an engine returns them or as an APIServer's JSON gives them.

        Args:
            row: feature name to value; None is NULL; a timestamp is a datetime or integer milliseconds, a date a date or ISO text.

        Returns:
            One int64 a field; equal to what `encode` gives for the same values.

        Raises:
            DataError: a feature is missing, or its value is not of the declared type.
        """
        try:
            return [codec.value(row[field.feature]) for field, codec in zip(self.fields, self.codecs, strict=True)]
        except KeyError as error:
            raise DataError(f"the value of feature {error.args[0]!r} is missing.") from None

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """int64 [rows, fields], C-contiguous: `encode_row` of each."""
        return np.array([self.encode_row(row) for row in rows], np.int64).reshape(len(rows), len(self.fields))

    def sample_columns(self, columns: Iterable[Coded]) -> list[pa.Array]:
        """What `columns` gave, as the samples files hold it: int64 ids, float32 numbers."""
        return [
            from_numbers(column.ids().view(np.float64).astype(np.float32) if field.encoding is Encoding.NUMERIC else column.ids())
            for field, column in zip(self.fields, columns, strict=True)
        ]

    def read_samples(self, samples: pa.RecordBatch | pa.Table) -> np.ndarray:
        """int64 [rows, fields], C-contiguous: the matrix that `encode` gave, back from a samples file's columns."""
        from jdrec.preprocess.arrow import numbers

        result = np.empty((samples.num_rows, len(self.fields)), np.int64)
        for index, field in enumerate(self.fields):
            column = numbers(one_array(samples.column(field.sample_column)))
            result[:, index] = column.astype(np.float64).view(np.int64) if field.encoding is Encoding.NUMERIC else column
        return result

    def to_json(self) -> str:
        """The whole encoder as text; floats are written so that they come back exactly."""
        import msgspec

        content = {"format": FORMAT, **msgspec.to_builtins(self)}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Encoder:
        """The inverse of `to_json`.

        Raises:
            StageError: not an encoder of this version.
        """
        import msgspec

        try:
            content = json.loads(text)
            if content.pop("format", None) != FORMAT:
                raise ValueError("another format version")
            return msgspec.convert(content, cls)
        except (ValueError, TypeError, AttributeError, msgspec.ValidationError) as error:
            raise StageError(f"this is no encoder of this version ({error}).", hint="Run task=preprocess again.") from None

    @classmethod
    def load(cls, file: Path) -> Encoder:
        """Reads encoder.json.

        Raises:
            StageError: it is missing or not an encoder.
        """
        try:
            return cls.from_json(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StageError(f"{file} is missing.", hint="Run task=preprocess first.") from None
