"""Everything of a run that report.html needs and no other file of the run has: the content of report.json."""

from __future__ import annotations

from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from jdrec.config import ReportConfig, names
from jdrec.errors import ConfigError, nearest
from jdrec.report import curves, tables
from jdrec.report.features import SPLITS, statistics

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.features.spec import FeatureSet
    from jdrec.stages import Run

_SCORING_ROWS = 4096
_MOST_GROUPS, _MOST_VALUES = 4, 12
_HOUR = 3_600_000
_STEPS = (_HOUR, 6 * _HOUR, 24 * _HOUR, 7 * 24 * _HOUR)  # of the time axis
_MOST_STEPS = 80
_FEWEST_ROWS, _FEWEST_POSITIVES = 100, 5  # of a point of AUC by time or group
_ENOUGH_POSITIVES = 40  # on average, of the points by time


def collect(run: Run) -> dict[str, Any]:
    """Reads the run's files.

    Returns:
        tables (see `tables.profile`), rows, label, timeline (from, rows, positives by split), features (see `features.statistics`, with
        name, expr, type, kind), curves (by split), by_time, by_group (of the test split).
    """
    import pyarrow.parquet as pq

    config, feature_set = run.config.report, run.feature_set
    split = _splits(run)
    file = pq.ParquetFile(run.folder / "features.parquet", memory_map=True)
    chosen = _choose(len(split), config.rows, run.config.seed)
    part = split if chosen is None else split[chosen]
    label = feature_set.label.feature if feature_set.label else None
    features, zone = [], feature_set.timezone
    shown = [feature for feature in feature_set.features if not feature.is_block_key]
    with run.progress.task("report", len(shown) + 2) as task:
        for feature in shown:
            column = _take(file, feature.name, chosen)
            about = {
                "name": feature.name,
                "expr": feature.text,
                "over": feature.window,
                "from": feature.join,
                "type": feature.type.value,
                "kind": feature.kind.value,
            }
            features.append(about | statistics(column, part, zone))
            task.advance()
        result: dict[str, Any] = {
            "tables": tables.profile(run.tables, config.rows, zone),
            "rows": len(split),
            "looked_at": len(part),
            "label": label,
            "features": features,
        }
        task.advance()
        times = _times(run, file)
        labels = _labels(file, label)
        result["timeline"] = _timeline(times, split, labels)
        scored = {name: _scores(run, name) for name in ("valid", "test")}
        result["curves"] = {name: _curves(*_subset(config, run.config.seed, *pair)) for name, pair in scored.items() if len(pair[0])}
        test = np.flatnonzero(split == SPLITS.index("test"))
        if len(test) == len(scored["test"][0]):
            result["by_time"] = _by_time(None if times is None else times[test], *scored["test"])
            wanted = _groups(config, feature_set, features)
            result["by_group"] = {name: _by_value(_take(file, name, test), *scored["test"]) for name in wanted}
    return result


# --- rows -----------------------------------------------------------------------------------------------------------------


def _splits(run: Run) -> np.ndarray:
    """uint8 [rows of features.parquet]: the split of each."""
    from jdrec.dataset.observed import observed_until
    from jdrec.preprocess.stage import splits_of

    return splits_of(
        run.feature_set,
        run.config.preprocess,
        run.folder / "features.parquet",
        seed=run.config.seed,
        observed_until_ms=observed_until(run.feature_set, run.tables),
    )


def _choose(rows: int, most: int, seed: int) -> np.ndarray | None:
    """Row numbers in order, drawn by the seed; None: all."""
    if rows <= most:
        return None
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _take(file: Any, name: str, rows: np.ndarray | None) -> pa.ChunkedArray:
    column = file.read(columns=[name]).column(name)
    return column if rows is None else column.take(rows)


def _times(run: Run, file: Any) -> np.ndarray | None:
    """int64 [rows], each request's milliseconds since 1970 by the data set's clock; None where no feature is its time, or one is NULL."""
    from jdrec.preprocess.arrow import numbers, one_array
    from jdrec.preprocess.plan import make_plan

    time = make_plan(run.feature_set, run.config.preprocess).time
    if time is None:
        return None
    column = one_array(file.read(columns=[time.name]).column(time.name))
    if column.null_count:
        return None
    instants = numbers(column).astype(np.int64)
    first = datetime.fromtimestamp(int(instants.min(initial=0)) / 1000, ZoneInfo(run.feature_set.timezone))
    offset = first.utcoffset()
    return instants + round(offset.total_seconds() * 1000 if offset else 0)


def _labels(file: Any, label: str | None) -> np.ndarray | None:
    from jdrec.preprocess.arrow import null_mask, numbers, one_array

    if label is None:
        return None
    column = one_array(file.read(columns=[label]).column(label))
    values, nulls = numbers(column).astype(np.float32), null_mask(column)
    return values if nulls is None else np.where(nulls, np.float32(0), values)


def _timeline(times: np.ndarray | None, split: np.ndarray, labels: np.ndarray | None) -> dict[str, Any] | None:
    """Rows and positives of each split by time."""
    if times is None or labels is None or not len(times):
        return None
    step = _step(times)
    slots = times // step
    points = []
    for place, name in enumerate(SPLITS):
        inside = split == place
        numbers_, where = np.unique(slots[inside], return_inverse=True)
        rows = np.bincount(where, minlength=len(numbers_))
        positives = np.bincount(where, labels[inside], minlength=len(numbers_))
        points += [
            {"from": int(slot) * step, "split": name, "rows": int(count), "positives": int(found)}
            for slot, count, found in zip(numbers_, rows, positives, strict=True)
        ]
    return {"step_ms": step, "points": points}


def _step(times: np.ndarray) -> int:
    """Milliseconds: the shortest that gives no more than _MOST_STEPS points."""
    length = int(times.max() - times.min())
    return next((step for step in _STEPS if length / step <= _MOST_STEPS), max(length // _MOST_STEPS // _HOUR, 1) * _HOUR)


# --- scores ---------------------------------------------------------------------------------------------------------------


def _scores(run: Run, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities, float32 [n], of a split as the served model scores it."""
    from jdrec.training.data import RawSplit, Split, read_layout
    from jdrec.training.scoring import Scorer
    from jdrec.training.sigmoid import sigmoid

    scorer = Scorer(run.checkpoint)
    data = Split(RawSplit.read(run.samples, split, read_layout(run.samples)), scorer.vocabulary)
    logits = [scorer.logits(batch.rows, batch.scale)[:, 0] for batch in data.batches(_SCORING_ROWS)]
    return data.labels, sigmoid(np.concatenate([np.empty(0, np.float32), *logits]))


def _subset(config: ReportConfig, seed: int, labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chosen = _choose(len(labels), config.rows, seed)
    return (labels, scores) if chosen is None else (labels[chosen], scores[chosen])


def _curves(labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    return {
        "rows": len(labels),
        "roc": curves.roc(labels, scores),
        "precision_recall": curves.precision_recall(labels, scores),
        "calibration": curves.calibration(labels, scores),
        "histogram": curves.histogram(labels, scores),
        "top": curves.at_the_top(labels, scores),
    }


def _by_time(times: np.ndarray | None, labels: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    if times is None or not len(times):
        return []
    positives, length = int((labels > 0.5).sum()), int(times.max() - times.min())
    fits = (step for step in _STEPS if length / step <= _MOST_STEPS and positives * step >= _ENOUGH_POSITIVES * length)
    step = next(fits, _STEPS[-1])
    slots = times // step
    parts = [(int(slot) * step, slots == slot) for slot in np.unique(slots)]
    return [{"from": start, **curves.auc(labels[inside], scores[inside])} for start, inside in parts if _enough(labels[inside])]


def _enough(labels: np.ndarray) -> bool:
    return len(labels) >= _FEWEST_ROWS and _FEWEST_POSITIVES <= int((labels > 0.5).sum()) <= len(labels) - _FEWEST_POSITIVES


def _groups(config: ReportConfig, feature_set: FeatureSet, features: list[dict[str, Any]]) -> list[str]:
    wanted = names(config.groups)
    for name in wanted:
        if name not in feature_set.by_name:
            raise ConfigError(f"there is no feature {name!r}.", where="report.groups", hint=nearest(name, feature_set.by_name))
    if wanted:
        return wanted
    label = feature_set.label.feature if feature_set.label else None
    few = [about for about in features if about["name"] != label and 2 <= about["distinct"] <= _MOST_VALUES and about["kind"] != "drop"]
    few.sort(key=lambda about: (about["kind"] != "categorical", about["from"] is None))  # what describes somebody or something first
    by_source: dict[tuple, list[str]] = {}
    for about in few:
        by_source.setdefault((about["from"], about["over"]), []).append(about["name"])
    in_turn = [name for row in zip_longest(*by_source.values()) for name in row if name is not None]
    return in_turn[:_MOST_GROUPS]


def _by_value(column: pa.ChunkedArray, labels: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    encoded = column.combine_chunks().dictionary_encode("encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    values = encoded.dictionary.to_pylist()
    counts = np.bincount(codes, minlength=len(values))
    chosen = [code for code in np.argsort(-counts, kind="stable")[:_MOST_VALUES].tolist() if _enough(labels[codes == code])]
    found = []
    for code in chosen:
        value = "NULL" if values[code] is None else str(tables.plain(values[code]))
        found.append({"value": value, **curves.auc(labels[codes == code], scores[codes == code])})
    return sorted(found, key=lambda about: about["value"])
