"""Two engines on the same input: which cells differ, feature by feature, with examples."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.errors import DifferenceError, StageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from jdrec.config import Config
    from jdrec.dataset.tables import TableSet
    from jdrec.features.spec import FeatureSet
    from jdrec.progress import Progress

_BLOCK_ROWS = 100_000
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Difference:
    """One cell: its row (counted from 0), the request's key and the two values as Python objects."""

    feature: str
    row: int
    key: object
    a: object
    b: object


@dataclass
class CompareReport:
    """What a comparison found.

    Attributes:
        a, b: names of the two sides.
        differing: feature to its number of differing cells; features without any are left out.
        examples: the first few of each.
    """

    a: str
    b: str
    rows: int = 0
    features: int = 0
    differing: dict[str, int] = field(default_factory=dict)
    examples: list[Difference] = field(default_factory=list)

    @property
    def cells(self) -> int:
        return sum(self.differing.values())

    def details(self, what: str = "cells") -> list[str]:
        """A paragraph a differing feature: how many cells, then the examples."""
        result = []
        for name, count in self.differing.items():
            result.append(f"{name}: {count:,} of {self.rows:,} {what} differ")
            result += [
                f"  {shown(d.key)} (row {d.row:,}): {self.a} {shown(d.a)}, {self.b} {shown(d.b)}"
                for d in self.examples
                if d.feature == name
            ]
        return result

    def lines(self) -> list[str]:
        """The details, then the count: `13,916 rows, 42 features, 0 cells differ`."""
        return [*self.details(), f"{self.rows:,} rows, {self.features:,} features, {self.cells:,} cells differ"]

    def raise_if_different(self) -> None:
        """Raises:
        DifferenceError: a cell differs.
        """
        if self.cells:
            what = "1 feature has" if len(self.differing) == 1 else f"{len(self.differing):,} features have"
            raise DifferenceError(f"{what} other values with {self.a} than with {self.b}: {', '.join(list(self.differing)[:10])}.")


def shown(value: object) -> str:
    """A value on one line of bounded length."""
    text = "NULL" if value is None else repr(value) if isinstance(value, (str, float)) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def run(config: Config, feature_set: FeatureSet, tables: TableSet, progress: Progress) -> None:
    """task=compare: prints what differs, and the count as the last line.

    Raises:
        DifferenceError: a cell differs.
    """
    report = compare(
        feature_set,
        tables,
        config.engine.name,
        config.compare.with_,
        config=config,
        progress=progress,
        tolerance=config.compare.tolerance,
        examples=config.compare.examples,
    )
    print("\n".join(report.lines()))
    report.raise_if_different()


def compare(
    feature_set: FeatureSet,
    tables: TableSet,
    engine_a: str,
    engine_b: str,
    *,
    config: Config,
    progress: Progress,
    tolerance: float = 0.0,
    examples: int = 3,
) -> CompareReport:
    """Computes all features with both engines and compares them cell by cell. Nothing is kept.

    Args:
        tolerance: see `compare_files`.
        examples: differing cells that are shown of each feature.

    Raises:
        StageError: the engines are the same.
        JdrecError: an engine cannot run the feature set.
    """
    from jdrec.engines.choose import extract_with

    if engine_a == engine_b:
        raise StageError(f"{engine_a} would be compared with itself.", where="compare.with", hint="Name another engine.")
    with tempfile.TemporaryDirectory(prefix="jdrec.compare.") as work:
        files = {}
        for engine in (engine_a, engine_b):
            files[engine] = Path(work) / f"{engine}.parquet"
            extract_with(engine, feature_set, tables, files[engine], config=config, progress=progress)
        with progress.task("compare"):
            return compare_files(feature_set, files[engine_a], files[engine_b], engine_a, engine_b, tolerance=tolerance, examples=examples)


def compare_files(
    feature_set: FeatureSet, file_a: Path, file_b: Path, name_a: str = "a", name_b: str = "b", *, tolerance: float = 0.0, examples: int = 3
) -> CompareReport:
    """Compares two files of features, row by row.

    NULL equals NULL and NaN equals NaN; all else has to be the same bit for bit, so 0.0 is not -0.0.

    Args:
        file_a, file_b: Parquet, rows in the request table's order.
        tolerance: largest difference of two floating values, relative to the larger one; 0: none.

    Raises:
        DifferenceError: the files have other columns, types or numbers of rows.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(file_a) as a, pq.ParquetFile(file_b) as b:
        _check_shape(a.schema_arrow, a.metadata.num_rows, b.schema_arrow, b.metadata.num_rows, name_a, name_b)
        report = CompareReport(name_a, name_b, features=len(feature_set.features))
        for block_a, block_b in zip(_blocks(a), _blocks(b), strict=True):
            _compare_rows(report, feature_set, block_a, block_b, tolerance, examples)
    return report


def _blocks(file: Any) -> Iterator[pa.Table]:
    """The rows of an open Parquet file in blocks of one size, however its row groups are cut."""
    import pyarrow as pa

    held: list[Any] = []
    rows = 0
    for batch in file.iter_batches(_BLOCK_ROWS):
        held.append(batch)
        rows += batch.num_rows
        if rows >= _BLOCK_ROWS:
            table = pa.Table.from_batches(held)
            yield table.slice(0, _BLOCK_ROWS)
            rest = table.slice(_BLOCK_ROWS)
            held, rows = rest.to_batches(), rest.num_rows
    if rows:
        yield pa.Table.from_batches(held)


def _check_shape(a: pa.Schema, rows_a: int, b: pa.Schema, rows_b: int, name_a: str, name_b: str) -> None:
    if a.names != b.names:
        raise DifferenceError(f"{name_a} and {name_b} give other columns: {a.names} and {b.names}.")
    for one, other in zip(a, b, strict=True):
        if one.type != other.type:
            raise DifferenceError(f"{one.name} is {one.type} with {name_a} and {other.type} with {name_b}.")
    if rows_a != rows_b:
        raise DifferenceError(f"{name_a} gives {rows_a:,} rows where {name_b} gives {rows_b:,}.")


def _compare_rows(report: CompareReport, feature_set: FeatureSet, a: pa.Table, b: pa.Table, tolerance: float, examples: int) -> None:
    """Compares the next rows of both sides."""
    keys = a[feature_set.features[0].name]
    for feature in feature_set.features:
        compare_column(report, feature.name, a[feature.name], b[feature.name], keys, tolerance=tolerance, examples=examples)
    report.rows += a.num_rows


def compare_column(
    report: CompareReport,
    name: str,
    a: Any,
    b: Any,
    keys: Any,
    *,
    tolerance: float = 0.0,
    examples: int = 3,
    numbers: np.ndarray | None = None,
) -> None:
    """Adds what differs in the next rows of one column to the report, whose `rows` the caller counts.

    Args:
        a, b, keys: Arrow columns of both sides, and the requests' keys.
        numbers: the rows' numbers; None: they follow those that the report has.
    """
    import numpy as np

    rows = np.flatnonzero(differing(_one_array(a), _one_array(b), tolerance))
    if not len(rows):
        return
    before = report.differing.get(name, 0)
    report.differing[name] = before + len(rows)
    for row in rows[: max(examples - before, 0)].tolist():
        number = report.rows + row if numbers is None else int(numbers[row])
        report.examples.append(Difference(name, number, keys[row].as_py(), a[row].as_py(), b[row].as_py()))


def _one_array(column: Any) -> Any:
    return column.combine_chunks() if hasattr(column, "combine_chunks") else column


def differing(a: Any, b: Any, tolerance: float = 0.0) -> np.ndarray:
    """Which values of two Arrow arrays of one type differ: bool [rows]."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    null_a, null_b = _numpy(pc.is_null(a)), _numpy(pc.is_null(b))
    if pa.types.is_floating(a.type):
        x, y = _numpy(pc.fill_null(a, 0.0)), _numpy(pc.fill_null(b, 0.0))
        bits = np.uint32 if x.dtype == np.float32 else np.uint64
        same = (x.view(bits) == y.view(bits)) | (np.isnan(x) & np.isnan(y))
        if tolerance:
            with np.errstate(invalid="ignore", over="ignore"):
                same |= np.abs(x - y) <= tolerance * np.maximum(np.abs(x), np.abs(y))
    else:
        same = _numpy(pc.fill_null(pc.equal(a, b), False))
    return np.where(null_a | null_b, null_a != null_b, ~same)


def _numpy(array: Any) -> np.ndarray:
    return _one_array(array).to_numpy(zero_copy_only=False)
