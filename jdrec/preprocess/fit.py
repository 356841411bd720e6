"""Learns what encoders need to know, batch by batch: quantiles and moments of training rows, pandas' types of the tutorial's columns."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from jdrec.config import PreprocessConfig
from jdrec.features.spec import Encoding
from jdrec.preprocess import values
from jdrec.preprocess.arrow import null_mask, numbers, one_array
from jdrec.preprocess.bucket import quantile_bounds
from jdrec.preprocess.encoder import Encoder, Field
from jdrec.preprocess.plan import Plan
from jdrec.preprocess.standard import Moments
from jdrec.preprocess.tutorial import ColumnTypeFitter

if TYPE_CHECKING:
    import pyarrow as pa


class EncoderFitter:
    """Sees all rows once and makes an `Encoder`.

    Quantiles come from the rows marked as sample (all training rows, or a seeded choice of them where there are very many), moments
    from all training rows, pandas' column types from every row.
    """

    def __init__(self, plan: Plan, config: PreprocessConfig, timezone: str):
        self.plan, self.config, self.timezone = plan, config, timezone
        self.moments = {field.name: Moments() for field in plan.fields if field.type.is_number}
        self.samples: dict[str, list[np.ndarray]] = {field.name: [] for field in plan.fields if field.type.is_number}
        self.types = {
            field.name: ColumnTypeFitter(field.name, field.type, timezone)
            for field in plan.fields
            if config.encoding == "tutorial" and field.encoding is Encoding.HASH
        }

    @property
    def columns(self) -> list[str]:
        """The columns that it has to see."""
        return [field.name for field in self.plan.fields if field.name in self.moments or field.name in self.types]

    def update(self, batch: pa.RecordBatch, train: np.ndarray, sample: np.ndarray, pool: Executor) -> None:
        """Looks at a batch; `train` and `sample` are bool [rows]."""
        any_sample = bool(sample.any())

        def one(field: Field) -> None:
            column = one_array(batch.column(field.name))
            if field.name in self.types:
                self.types[field.name].update(column)
            if field.name in self.moments:
                doubles = known_doubles(column, field)
                self.moments[field.name].update(doubles[train])
                if any_sample:
                    self.samples[field.name].append(doubles[sample])

        list(pool.map(one, [field for field in self.plan.fields if field.name in self.moments or field.name in self.types]))

    def sample(self, name: str) -> np.ndarray:
        """float64: the sampled training values of a number, NaN where NULL."""
        return np.concatenate(self.samples[name]) if self.samples[name] else np.empty(0)

    def finish(self) -> Encoder:
        """The fitted encoder."""
        return Encoder(
            fields=tuple(self._fitted(field) for field in self.plan.fields),
            scheme=self.config.encoding,
            hash_seed=self.config.hash_seed,
            timezone=self.timezone,
            label=self.plan.label.name,
            label_column=self.plan.label_column,
            keep=self.plan.keep,
        )

    def _fitted(self, field: Field) -> Field:
        if field.encoding is Encoding.BUCKET:
            return replace(field, bounds=tuple(quantile_bounds(self.sample(field.name), self.config.buckets)))
        if field.encoding is Encoding.NUMERIC:
            moments = self.moments[field.name]
            if not moments.count:
                return field
            return replace(field, mean=moments.mean, std=moments.std, least=moments.min, greatest=moments.max)
        if field.name in self.types:
            return replace(field, column_type=self.types[field.name].type())
        return field


def known_doubles(array: pa.Array, field: Field) -> np.ndarray:
    """float64 [n] of a number column, NaN where NULL."""
    array = values.column(array, field.type, field.name)
    doubles = numbers(array).astype(np.float64)
    nulls = null_mask(array)
    if nulls is not None:
        doubles[nulls] = np.nan
    return doubles
