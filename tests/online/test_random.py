"""Random feature sets: rows inserted in order of arrival give what the batch gives, bit for bit; scalars give what columns give."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest

from jdrec.dataset.tables import open_tables
from jdrec.engines import extract
from jdrec.errors import CheckError, ConfigError, ExpressionError
from jdrec.features import expression as ast
from jdrec.features.infer import Inference
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType
from jdrec.online.cells import Cells
from jdrec.online.scalar import _by_columns, compiled
from jdrec.online.session import RequestSession
from jdrec.progress import Progress
from tests.features.random_expressions import expression
from tests.parity.data import RandomTable
from tests.parity.generate import generate


def bits(value: Any) -> Any:
    """Floats by their bits, so that NaN equals itself and 0.0 is not -0.0."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def batch(feature_set: FeatureSet, tables: Any, root: Path) -> list[tuple[Any, ...]]:
    extract(feature_set, tables, root / "out.parquet", threads=1, progress=Progress.silent())
    table = pq.read_table(root / "out.parquet")
    columns = []
    for feature in feature_set.features:
        column = table.column(feature.name)
        columns.append([bits(value) for value in (column.cast("int64") if feature.type is SqlType.TIMESTAMP else column).to_pylist()])
    return list(zip(*columns, strict=True)) if table.num_rows else []


def plain_rows(table: RandomTable) -> list[dict[str, Any]]:
    """The rows as they are inserted: timestamps are numbers."""
    arrays = table.arrow()
    for place, (name, type_) in enumerate(table.columns.items()):
        if type_ is SqlType.TIMESTAMP:
            arrays = arrays.set_column(place, name, arrays.column(name).cast("int64"))
    return arrays.to_pylist()


def check(seed: int, root: Path) -> bool:
    """False where the case cannot be computed at all."""
    case = generate(seed)
    root.mkdir()
    case.write(root)
    try:
        feature_set = resolve(case.config(root))
        tables = open_tables(feature_set, root, "UTC")
        expected = batch(feature_set, tables, root)
    except (CheckError, ConfigError):
        return False
    inserted = Random(seed).random() < 0.5  # the other tables' rows come one by one
    others = [] if inserted else [name for name in tables if name != feature_set.request_table]
    session = RequestSession(feature_set, tables, preload=others)
    if inserted:
        for name in tables:
            rows = plain_rows(case.tables[name]) if name != feature_set.request_table else []
            for start in range(0, len(rows), 5):
                session.insert(name, rows[start : start + 5])
    requests = plain_rows(case.tables[feature_set.request_table])
    for number in sorted(range(len(requests)), key=lambda number: (requests[number][feature_set.request_time], number)):
        request = requests[number]
        found = tuple(map(bits, session.compute_one(request)))
        different = [name for name, one, other in zip(session.names, found, expected[number], strict=True) if one != other]
        assert not different, f"seed {seed}, request {number}: {different}"
        if number % 8 == 0:  # the same code but for its last step
            assert [tuple(map(bits, column)) for column in session.compute_columns([request])] == [(value,) for value in found]
        session.insert(feature_set.request_table, [request])
    return True


def test_twenty_random_feature_sets(tmp_path: Path) -> None:
    assert sum(check(seed, tmp_path / str(seed)) for seed in range(20)) >= 15


@pytest.mark.slow
def test_many_random_feature_sets(tmp_path: Path) -> None:
    """JDREC_RANDOM_SETS=1000 makes it a night's work."""
    count = int(os.environ.get("JDREC_RANDOM_SETS", "80"))
    assert sum(check(seed, tmp_path / str(seed)) for seed in range(1000, 1000 + count)) >= 0.75 * count


# --- scalars -----------------------------------------------------------------------------------------------------------------

VALUES: dict[SqlType, list[Any]] = {
    SqlType.BOOL: [None, True, False],
    SqlType.SMALLINT: [None, 0, 1, -3, 2**15 - 1, -(2**15)],
    SqlType.INT: [None, 0, 1, -7, 2**31 - 1, -(2**31)],
    SqlType.BIGINT: [None, 0, 2, -1, 2**53 + 1, 2**63 - 1, -(2**63)],
    SqlType.FLOAT: [None, 0.0, -0.0, 1.5, -2.5, 3.4028234663852886e38, float("inf"), float("nan")],
    SqlType.DOUBLE: [None, 0.0, -0.0, 0.1, -7.25, 1e300, float("-inf"), float("nan")],
    SqlType.STRING: [None, "", "a", "b%", "12", "é", "2016-01-02"],
    SqlType.DATE: [None, 0, -1, 16801, 2932896],
    SqlType.TIMESTAMP: [None, 0, 1, 57599999, 57600000, 1459419080123, 253402300799999],
}


def check_expressions(seed: int, count: int) -> int:
    """How many of the random expressions have types."""
    random, checked = Random(seed), 0
    cells = Cells()
    types = {f"c_{type_.value}": type_ for type_ in SqlType}
    for name, type_ in types.items():
        cells.add((None, name), type_)
    for _ in range(count):
        text = expression(random, 3, aggregates=False)
        try:
            node = ast.parse(text)
            type_ = Inference(lambda column: types[column.name], windowed=False).type_of(node)
        except (ExpressionError, ConfigError, KeyError):
            continue
        if type_ is None or _risky(node):
            continue
        checked += 1
        for _ in range(6):
            values = [random.choice(VALUES[type_]) for type_ in types.values()]
            try:
                expected = _by_columns(node, cells, ())(values)
            except (OverflowError, ValueError, TypeError, CheckError):
                continue  # what the engine refuses
            found = compiled(node, cells)(values)
            if _is_nan(found) and _is_nan(expected):
                continue
            assert (type(found), bits(found)) == (type(expected), bits(expected)), f"{text} of {values}"
    return checked


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _risky(node: ast.Node) -> bool:
    """Casts of numbers to types that cannot hold them: no value is right."""
    return any(isinstance(part, ast.Cast) and part.type in (SqlType.DATE, SqlType.TIMESTAMP) for part in ast.walk(node))


def test_scalars_give_what_columns_give() -> None:
    assert check_expressions(1, 3000) > 200


@pytest.mark.slow
def test_many_scalars_give_what_columns_give() -> None:
    assert check_expressions(2, 15_000) > 1000
