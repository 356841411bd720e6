"""Gathers, while batches of features pass, what is told about the fields."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from jdrec.features.spec import Encoding, Feature
from jdrec.preprocess.arrow import from_mask, null_mask, one_array
from jdrec.preprocess.coded import Coded
from jdrec.preprocess.encoder import Encoder
from jdrec.preprocess.fit import EncoderFitter, known_doubles
from jdrec.preprocess.info import FieldInfo
from jdrec.preprocess.plan import Plan
from jdrec.preprocess.splits import SPLITS
from jdrec.preprocess.statistics import UNIQUE_SHARE, DistinctCount, Finding, Groups, frequent_values, label_like, number_statistics

if TYPE_CHECKING:
    import pyarrow as pa


class Collector:
    """Gathers what `statistics` needs while batches pass; `rows` is the number of samples of all splits."""

    def __init__(self, encoder: Encoder, plan: Plan, rows: int):
        self.encoder, self.plan, self.rows = encoder, plan, rows
        self.distinct = [DistinctCount() for _ in encoder.fields]
        self.nulls = [dict.fromkeys(SPLITS, 0) for _ in encoder.fields]
        self.sample_ids: list[list[np.ndarray]] = [[] for _ in encoder.fields]
        self.sample_values: list[list[pa.Array]] = [[] for _ in encoder.fields]
        self.sample_labels: list[np.ndarray] = []

    def update(
        self,
        batch: pa.RecordBatch,
        columns: list[Coded],
        split: np.ndarray,
        chosen: np.ndarray,
        labels: np.ndarray,
        pool: ThreadPoolExecutor,
    ) -> None:
        """Adds a batch; `chosen` marks the rows of the sample."""
        used = split < len(SPLITS)
        rows, any_chosen, mask = (None if used.all() else used), bool(chosen.any()), from_mask(chosen)

        def one(index: int) -> None:
            field, column = self.encoder.fields[index], batch.column(self.encoder.fields[index].feature)
            if field.encoding is Encoding.NUMERIC:  # ids merge NULL and the mean, so count the numbers themselves
                seen = known_doubles(one_array(column), field).view(np.int64)
                seen = seen if rows is None else seen[rows]
            else:
                seen = columns[index].seen(rows)
            self.distinct[index].update(seen)
            nulls = null_mask(column)
            if nulls is not None:
                for code, name in enumerate(SPLITS):
                    self.nulls[index][name] += int((nulls & (split == code)).sum())
            if any_chosen:
                self.sample_ids[index].append(columns[index].some(chosen))
                self.sample_values[index].append(one_array(column.filter(mask)))

        list(pool.map(one, range(len(self.encoder.fields))))
        self.sample_labels.append(labels[chosen])

    def finish(self, fitter: EncoderFitter, pool: ThreadPoolExecutor) -> tuple[dict[str, FieldInfo], list[Finding]]:
        """What was seen of each field, and what to warn of."""
        import pyarrow as pa

        labels = np.concatenate(self.sample_labels)

        def one(index: int) -> tuple[FieldInfo, list[Finding]]:
            field, feature = self.encoder.fields[index], self.plan.features[index]
            raw = pa.concat_arrays(self.sample_values[index])
            groups = Groups.of(np.concatenate(self.sample_ids[index]))
            found = FieldInfo(self.distinct[index].count, self.nulls[index])
            doubles = known_doubles(raw, field) if field.type.is_number else None
            if doubles is not None:
                found.train = number_statistics(doubles, fitter.moments[field.name])
            if field.encoding is not Encoding.NUMERIC and found.distinct < UNIQUE_SHARE * self.rows:
                found.train["frequent"] = frequent_values(groups, raw)
            return found, self._warnings(feature, field.encoding, found.distinct, label_like(groups, doubles, labels))

        results = list(pool.map(one, range(len(self.encoder.fields))))
        fields = {field.name: found for field, (found, _) in zip(self.encoder.fields, results, strict=True)}
        return fields, [warning for _, warnings in results for warning in warnings]

    def _warnings(self, feature: Feature, encoding: Encoding, distinct: int, giveaway: str | None) -> list[Finding]:
        messages = []
        if distinct == 1:
            messages.append("has one value in all rows and teaches nothing.")
        elif encoding is Encoding.HASH and distinct > UNIQUE_SHARE * self.rows:
            messages.append(f"has {distinct:,} values in {self.rows:,} rows; an id of the row cannot generalise.")
        if giveaway:
            messages.append(giveaway)
        subject = "" if feature.path.endswith(f".{feature.name}") else f"{feature.name!r} "  # block keys share one path
        return [Finding(feature.path, subject + message) for message in messages]
