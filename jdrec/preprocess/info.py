"""data_info.json and data_info.txt: what the samples are."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from jdrec.preprocess.encoder import Encoder
from jdrec.preprocess.splits import Rows, Split
from jdrec.preprocess.statistics import Finding

FORMAT = 1


@dataclass
class FieldInfo:
    """What was seen of one field: distinct values over all samples (NULL counts as one), NULLs by split, the training distribution."""

    distinct: int
    nulls: dict[str, int]
    train: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PreprocessReport:
    """What the stage did.

    Attributes:
        rows: of the features file. splits: train, valid, test. left_out: reason to rows.
        table_sizes: distinct values a field, in the model's order.
    """

    rows: int
    splits: tuple[Split, ...]
    left_out: dict[str, int]
    table_sizes: tuple[int, ...]
    warnings: tuple[Finding, ...]

    def summary(self) -> str:
        """One line: the size of each split and its positive share."""
        parts = []
        for split in self.splits:
            share = f" ({100 * split.positive_share:.1f} % positive)" if split.positive_share is not None else ""
            parts.append(f"{split.name} {split.rows:,}{share}")
        if self.left_out:
            parts.append(f"{sum(self.left_out.values()):,} left out")
        if self.warnings:
            parts.append(f"{len(self.warnings)} warnings in data_info.json")
        return ", ".join(parts)


def describe(split: Split, zone: str) -> str:
    """A line about a split: rows, positives, time range."""
    line = f"{split.name:5} {split.rows:>12,} rows"
    if split.positive_share is not None:
        line += f", {split.positives:,} positive ({100 * split.positive_share:.2f} %)"
    if split.first_ms is not None and split.last_ms is not None:
        line += f", {iso(split.first_ms, zone)} to {iso(split.last_ms, zone)}"
    return line


def iso(milliseconds: int, zone: str) -> str:
    """An instant as ISO 8601 in a zone; milliseconds themselves where a date cannot hold it."""
    try:
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(milliseconds=milliseconds)
        return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")
    except OverflowError:
        return f"{milliseconds} ms"


def info_json(encoder: Encoder, rows: Rows, fields: dict[str, FieldInfo], warnings: list[Finding], split_by: str) -> str:
    """The text of data_info.json.

    Keys: rows, label (its column), label_feature, splits (rows, positives, time range), split (rule, boundaries), left_out, fields
    in the model's order (name, column, type, encoding, distinct, nulls, train), keep, warnings.
    """
    zone = encoder.timezone
    content = {
        "format": FORMAT,
        "rows": len(rows.split),
        "label": encoder.label_column,
        "label_feature": encoder.label,
        "splits": {split.name: _split(split, zone) for split in rows.splits},
        "split": {"by": split_by, **_boundaries(rows, zone)},
        "left_out": rows.left_out,
        "fields": [
            {
                "name": item.name,
                "feature": item.feature,
                "column": item.sample_column,
                "type": item.type.value,
                "encoding": item.encoding.value,
                "distinct": fields[item.name].distinct,
                "nulls": fields[item.name].nulls,
                "train": fields[item.name].train,
            }
            for item in encoder.fields
        ],
        "keep": encoder.keep,
        "warnings": [{"where": warning.where, "message": warning.message} for warning in warnings],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def info_text(rows: Rows, table_sizes: list[int]) -> str:
    """data_info.txt as the tutorial has it: rows of train, test and valid, then the table size array; no newline at the end."""
    by_name = {split.name: split.rows for split in rows.splits}
    counts = "".join(f"{by_name[name]}\n" for name in ("train", "test", "valid"))
    return counts + ",".join(map(str, table_sizes))


def _split(split: Split, zone: str) -> dict[str, Any]:
    result: dict[str, Any] = {"file": f"{split.name}.parquet", "rows": split.rows, "positives": split.positives}
    result["positive_share"] = split.positive_share
    for key, moment in (("first", split.first_ms), ("last", split.last_ms)):
        result[f"{key}_time_ms"] = moment
        result[f"{key}_time"] = None if moment is None else iso(moment, zone)
    return result


def _boundaries(rows: Rows, zone: str) -> dict[str, Any]:
    if rows.boundaries_ms is None:
        return {}
    valid, test = rows.boundaries_ms
    return {"valid_from_ms": valid, "valid_from": iso(valid, zone), "test_from_ms": test, "test_from": iso(test, zone)}
