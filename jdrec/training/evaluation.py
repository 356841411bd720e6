"""Metrics of a checkpoint on a whole split: streamed from its file, with intervals, by group and by time slice."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jdrec.config import EvaluateConfig, names
from jdrec.errors import ConfigError, StageError, nearest
from jdrec.training.bootstrap import intervals
from jdrec.training.data import Layout, RawSplit, Split, read_layout
from jdrec.training.metrics import Scored, all_metrics
from jdrec.training.scoring import Scorer

if TYPE_CHECKING:
    import pyarrow as pa

_PLAIN = EvaluateConfig()
_ROWS = 1 << 17  # read at a time
_SCORING_ROWS = 4096  # scored at a time: hidden layers of this many rows stay in the processor's cache
_PART_RESAMPLES = 200  # most of a group or a time slice: there are many of them
_HOURS = {"h": 1, "d": 24}


def evaluate(checkpoint: Path, samples: Path, split: str, config: EvaluateConfig = _PLAIN, seed: int = 0) -> dict[str, Any]:
    """Metrics of a checkpoint on a whole split, scored as the served model does.

    Returns:
        auc, logloss, pr_auc, ece, predicted_observed (and gauc), rows, positives, base_rate; None where a metric is not defined (an AUC of
        one class, anything of no rows). `interval`: metric to [low, high]. `by`: column to value to metrics and `interval`. `slices`: a
        list of the same, each with its `from`.

    Raises:
        StageError: there are no samples, or no checkpoint.
        DataError: the samples are not what they should be.
        ConfigError: a column of `config` is not kept in the samples.
    """
    scorer, layout = Scorer(checkpoint), read_layout(samples)
    wanted = [*names(config.by), *filter(None, [config.gauc_by, config.time])]
    columns = {name: kept_column(layout, name) for name in dict.fromkeys(wanted)}
    labels, logits, kept = [np.empty(0, np.float32)], [np.empty(0, np.float32)], []
    for batch, beside in _read(samples, split, layout, list(columns.values())):
        data = Split(batch, scorer.vocabulary)
        logits += [scorer.logits(part.rows, part.scale)[:, 0] for part in data.batches(_SCORING_ROWS)]
        labels.append(batch.labels)
        kept.append(beside)
    scored = Scored(np.concatenate(labels), np.concatenate(logits))
    if columns and kept:
        table = _table(kept)
        groups = {name: _codes(table.column(column)) for name, column in columns.items()}
        if config.gauc_by:
            scored = Scored(scored.labels, scored.logits, groups[config.gauc_by][0])
    result = _metrics(scored, config, seed)
    if columns and kept:
        if names(config.by):
            result["by"] = {name: _by_value(scored, *groups[name], config, seed) for name in names(config.by)}
        if config.time:
            result["slices"] = _by_time(scored, _instants(table.column(columns[config.time]), config.time), config, seed)
    return result


def kept_column(layout: Layout, name: str, where: str = "evaluate") -> str:
    """The sample column of a kept feature.

    Raises:
        ConfigError: it is not kept.
    """
    if name not in layout.keep:
        raise ConfigError(
            f"the samples do not keep {name!r}.",
            where=where,
            hint=nearest(name, layout.keep) or f"Add it to preprocess.keep: preprocess.keep=[{name}]",
        )
    return layout.keep[name]


def read_groups(samples: Path, split: str, column: str) -> np.ndarray:
    """A kept column of a split as integers [n], equal where its values are."""
    import pyarrow.parquet as pq

    return _codes(pq.read_table(samples / f"{split}.parquet", columns=[column]).column(column))[0]


def _read(samples: Path, split: str, layout: Layout, kept: list[str]) -> Iterator[tuple[RawSplit, pa.RecordBatch]]:
    import pyarrow.parquet as pq

    file = samples / f"{split}.parquet"
    if not file.is_file():
        raise StageError(f"{file} is missing.", hint="Run task=preprocess first.")
    reader = pq.ParquetFile(file, memory_map=True)
    RawSplit.require_columns(reader.schema_arrow.names, layout, file)
    for batch in reader.iter_batches(_ROWS, columns=list(dict.fromkeys([layout.label, *layout.columns, *kept]))):
        yield RawSplit.of(batch, layout, file), batch.select(kept)


def _table(batches: list[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches(batches)


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Any]]:
    """(integers [n], their values) of a column; NULL is a value of its own."""
    encoded = column.combine_chunks().dictionary_encode("encode")
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def _by_value(scored: Scored, codes: np.ndarray, values: list[Any], config: EvaluateConfig, seed: int) -> dict[str, dict[str, Any]]:
    largest = np.argsort(-np.bincount(codes, minlength=len(values)), kind="stable")[: config.most_groups]
    return {str(values[code]): _part(scored, codes == code, config, seed) for code in largest.tolist()}


def _by_time(scored: Scored, milliseconds: np.ndarray, config: EvaluateConfig, seed: int) -> list[dict[str, Any]]:
    step = int(config.slice[:-1]) * _HOURS[config.slice[-1]] * 3_600_000
    slices = milliseconds // step
    result = []
    for number in np.unique(slices).tolist():
        start = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(milliseconds=number * step)
        result.append({"from": start.isoformat(), **_part(scored, slices == number, config, seed)})
    return result


def _instants(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """int64 milliseconds since the epoch; NULL counts as the epoch."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type):
        raise ConfigError(f"{name!r} is no timestamp but {column.type}.", where="evaluate.time")
    return column.cast(pa.timestamp("ms")).cast(pa.int64()).fill_null(0).to_numpy()


def _part(scored: Scored, inside: np.ndarray, config: EvaluateConfig, seed: int) -> dict[str, Any]:
    groups = None if scored.groups is None else scored.groups[inside]
    fewer = msgspec.structs.replace(config, bootstrap=min(config.bootstrap, _PART_RESAMPLES))
    return _metrics(Scored(scored.labels[inside], scored.logits[inside], groups), fewer, seed)


def _metrics(scored: Scored, config: EvaluateConfig, seed: int) -> dict[str, Any]:
    """All metrics, and with a bootstrap their intervals."""
    metrics = all_metrics(scored.labels, scored.logits, scored.groups)
    result: dict[str, Any] = {name: _number(value) for name, value in metrics.items()}
    if config.bootstrap:
        found = intervals(scored, config.bootstrap, config.confidence, seed)
        result["interval"] = {name: [_number(low), _number(high)] for name, (low, high) in found.items()}
    return result


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
