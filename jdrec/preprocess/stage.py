"""The stage from features.parquet to samples: decide on rows, fit the encoder, write the splits; rows stream through in batches.

Memory: 15 bytes a row (split, label, time; 30 while a split by time sorts), the distinct ids of each field, a sample of at most `SAMPLE` training rows, and some batches.
One batch is read and another one written while a third is encoded and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdrec.config import PreprocessConfig
from jdrec.errors import DataError, StageError
from jdrec.features.spec import FeatureSet
from jdrec.files import write_text
from jdrec.preprocess import info, values
from jdrec.preprocess.arrow import null_mask, numbers, one_array
from jdrec.preprocess.collect import Collector
from jdrec.preprocess.fit import EncoderFitter
from jdrec.preprocess.folds import fold_rows
from jdrec.preprocess.info import PreprocessReport
from jdrec.preprocess.overlap import Behind, ahead
from jdrec.preprocess.plan import Plan, make_plan
from jdrec.preprocess.splits import NO_TIME, TRAIN, Rows, assign
from jdrec.preprocess.statistics import Finding
from jdrec.preprocess.writer import SampleWriter
from jdrec.progress import Progress, Task
from jdrec.system import cores

if TYPE_CHECKING:
    import pyarrow.parquet as pq

log = logging.getLogger(__name__)

SAMPLE = 100_000  # training rows that quantiles, frequent values and warnings look at
BATCH = 1 << 16
_REFERENCE = (
    4  # bytes a value up to which a column of texts is mostly references to a dictionary; a text alone has its length, 4 bytes, too
)
FOLDS = "folds"  # folder of the samples folders of preprocess.folds, named 1, 2, ...


def run(
    feature_set: FeatureSet,
    config: PreprocessConfig,
    features: Path,
    out: Path,
    *,
    seed: int,
    observed_until_ms: int | None,
    progress: Progress,
) -> PreprocessReport:
    """Makes train.parquet, valid.parquet, test.parquet, data_info.json, data_info.txt and encoder.json in `out`, and with
    `config.folds` the same in `out`/folds/1, 2, ... for each fold.

    Args:
        features: Parquet file with the columns of `feature_set.features`.
        out: folder; made if missing. Each file appears whole or not at all.
        seed: of a random split and of the sample that statistics look at.
        observed_until_ms: the last observed moment, for the label's horizon.

    Raises:
        ConfigError: the configuration does not fit the feature set.
        StageError: `features` is missing or was made for another definition.
        DataError: values are not of their declared type, a label is not 0 or 1, or no row can be a sample.
    """
    plan = make_plan(feature_set, config)
    file = _open(features, plan)
    rows, labels, times = _assign(feature_set, config, file, plan, seed, observed_until_ms)
    job = _Job(feature_set, config, plan, file, labels, seed, progress)
    report = job.write(rows, out, "preprocess", open_horizon=observed_until_ms is None)
    horizon = feature_set.label.horizon_ms if feature_set.label else None
    for fold in range(1, config.folds + 1):
        part = fold_rows(rows, labels, times, config.split, fold, config.folds, horizon)
        job.write(part, out / FOLDS / str(fold), f"fold {fold}")
    return report


@dataclass(frozen=True)
class _Job:
    """What the samples of all folds share."""

    feature_set: FeatureSet
    config: PreprocessConfig
    plan: Plan
    file: pq.ParquetFile
    labels: np.ndarray
    seed: int
    progress: Progress

    def write(self, rows: Rows, out: Path, title: str, open_horizon: bool = False) -> PreprocessReport:
        """Fits an encoder on the training rows and writes the samples.

        Args:
            rows: what becomes of every row.
            title: for the progress display.
            open_horizon: whether to warn that a horizon leaves nothing out.
        """
        feature_set, config, plan, file, labels = self.feature_set, self.config, self.plan, self.file, self.labels
        sample = _choose_sample(rows, self.seed)
        out.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(cores()) as pool, self.progress.task(title, 2 * len(labels)) as task:
            fitter = _fit(EncoderFitter(plan, config, feature_set.timezone), file, rows, sample, task, pool)
            encoder = fitter.finish()
            collector = Collector(encoder, plan, sum(split.rows for split in rows.splits))
            with SampleWriter(out, encoder, plan, file.schema_arrow) as writer, Behind() as behind:
                for batch, split, chosen, label in ahead(_batches(file, plan.inputs, rows.split, sample, labels)):
                    columns = encoder.columns(batch, pool)
                    behind.run(writer.write, batch, columns, split, label)
                    collector.update(batch, columns, split, chosen, label, pool)
                    task.advance(batch.num_rows)
            fields, warnings = collector.finish(fitter, pool)
        if open_horizon and feature_set.label is not None and feature_set.label.horizon_ms is not None:
            warnings.append(Finding("features.label", "a horizon without observed_until leaves nothing out."))
        warnings.extend(_split_warnings(rows))
        sizes = [fields[field.name].distinct for field in encoder.fields]
        write_text(out / "encoder.json", encoder.to_json())
        write_text(out / "data_info.txt", info.info_text(rows, sizes))
        write_text(out / "data_info.json", info.info_json(encoder, rows, fields, warnings, config.split.by))
        _log(rows, warnings, feature_set.timezone)
        return PreprocessReport(len(labels), rows.splits, rows.left_out, tuple(sizes), tuple(warnings))


def splits_of(feature_set: FeatureSet, config: PreprocessConfig, features: Path, *, seed: int, observed_until_ms: int | None) -> np.ndarray:
    """uint8 [rows]: the split that `run` with the same arguments puts each row of the features into, by its place in SPLITS.

    Raises:
        as `run`.
    """
    plan = make_plan(feature_set, config)
    return _assign(feature_set, config, _open(features, plan), plan, seed, observed_until_ms)[0].split


def _assign(
    feature_set: FeatureSet, config: PreprocessConfig, file: pq.ParquetFile, plan: Plan, seed: int, observed_until_ms: int | None
) -> tuple[Rows, np.ndarray, np.ndarray | None]:
    """What becomes of each row, its label (float32) and its time (int64 milliseconds)."""
    labels, known, times = _read_rows(file, plan)
    horizon = feature_set.label.horizon_ms if feature_set.label else None
    rows = assign(labels, known, times, config.split, seed=seed, horizon_ms=horizon, observed_until_ms=observed_until_ms)
    return rows, labels, times


def _open(features: Path, plan: Plan) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not features.is_file():
        raise StageError(f"{features} is missing.", hint="Run task=extract first.")
    try:
        file = pq.ParquetFile(features, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise DataError(f"{features} cannot be read: {error}", hint="Run task=extract with cache.enabled=false.") from None
    needed = [*plan.inputs, plan.label.name, *([plan.time.name] if plan.time else [])]
    missing = [name for name in needed if name not in file.schema_arrow.names]
    if missing:
        raise StageError(f"{features} has no column {', '.join(missing)}.", hint="Run task=extract again.")
    repeated = [name for name in _repeated_texts(file, plan) if name not in plan.keep]
    return pq.ParquetFile(features, metadata=file.metadata, pre_buffer=False, read_dictionary=repeated)


def _repeated_texts(file: pq.ParquetFile, plan: Plan) -> list[str]:
    """The texts that lie in the file as a dictionary and short references to it: they are read, hashed and counted once a value."""
    import pyarrow as pa

    metadata = file.metadata
    places = {metadata.row_group(0).column(i).path_in_schema: i for i in range(metadata.num_columns)} if metadata.num_row_groups else {}
    result = []
    for name in dict.fromkeys(field.feature for field in plan.fields):
        if name in places and pa.types.is_string(file.schema_arrow.field(name).type):
            chunks = [metadata.row_group(group).column(places[name]) for group in range(metadata.num_row_groups)]
            if sum(chunk.total_uncompressed_size for chunk in chunks) < _REFERENCE * metadata.num_rows:
                result.append(name)
    return result


def _read_rows(file: pq.ParquetFile, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Every row's label (float32), whether it is known (bool), and its request time (int64 ms, NO_TIME where NULL)."""
    names = [plan.label.name] + ([plan.time.name] if plan.time else [])
    table = file.read(columns=names)
    column = one_array(table.column(plan.label.name))
    labels = numbers(values.column(column, plan.label.type, plan.label.name)).astype(np.float32)
    nulls = null_mask(column)
    known = np.ones(len(labels), bool) if nulls is None else ~nulls
    wrong = np.flatnonzero(known & (labels != 0) & (labels != 1))
    if len(wrong):
        raise DataError(
            f"{len(wrong):,} labels of {plan.label.name!r} are neither 0 nor 1, e.g. {labels[wrong[0]]:g} in row {wrong[0]:,}.",
            where=plan.label.path,
        )
    labels[~known] = 0
    if plan.time is None:
        return labels, known, None
    column = one_array(table.column(plan.time.name))
    times = numbers(values.column(column, plan.time.type, plan.time.name)).astype(np.int64)
    nulls = null_mask(column)
    if nulls is not None:
        times[nulls] = NO_TIME
    return labels, known, times


def _choose_sample(rows: Rows, seed: int) -> np.ndarray:
    """bool [rows]: all training rows, or `SAMPLE` of them where there are more."""
    train = rows.split == TRAIN
    if int(train.sum()) > SAMPLE:
        chosen = np.random.default_rng(seed).choice(np.flatnonzero(train), SAMPLE, replace=False)
        train = np.zeros(len(train), bool)
        train[chosen] = True
    return train


def _batches(file: pq.ParquetFile, columns: list[str], *arrays: np.ndarray) -> Iterator[tuple]:
    """Record batches of the columns, each with its piece of the arrays."""
    start = 0
    for batch in file.iter_batches(BATCH, columns=columns):
        end = start + batch.num_rows
        yield batch, *(array[start:end] for array in arrays)
        start = end


def _fit(fitter: EncoderFitter, file: pq.ParquetFile, rows: Rows, sample: np.ndarray, task: Task, pool: Executor) -> EncoderFitter:
    if fitter.columns:
        for batch, split, chosen in ahead(_batches(file, fitter.columns, rows.split, sample)):
            fitter.update(batch, split == TRAIN, chosen, pool)
            task.advance(batch.num_rows)
    else:
        task.advance(len(rows.split))
    return fitter


def _split_warnings(rows: Rows) -> list[Finding]:
    result = []
    for split in rows.splits:
        if not split.rows:
            result.append(Finding("preprocess.split", f"the {split.name} split is empty."))
        elif split.positives in (0, split.rows):
            only = "positives" if split.positives else "negatives"
            result.append(Finding("preprocess.split", f"the {split.name} split has only {only}; its AUC is undefined."))
    return result


def _log(rows: Rows, warnings: list[Finding], zone: str) -> None:
    for split in rows.splits:
        log.info("%s", info.describe(split, zone))
    for reason, count in rows.left_out.items():
        log.info("left out %s rows: %s", f"{count:,}", reason)
    for warning in warnings:
        log.warning("warning: %s", warning)
