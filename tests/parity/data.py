"""Random tables: every type, NULLs, few distinct values, times that coincide, empty tables."""

from __future__ import annotations

import datetime
import random
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jdrec.features.types import SqlType

T = SqlType
START_MS = 1_459_419_080_000  # 2016-03-31, 18:11:20 in UTC+8
EPOCH = datetime.date(1970, 1, 1)

VALUE_COLUMNS = {
    "b": T.BOOL,
    "h": T.SMALLINT,
    "i": T.INT,
    "i2": T.INT,
    "l": T.BIGINT,
    "f": T.FLOAT,
    "d": T.DOUBLE,
    "d2": T.DOUBLE,
    "s": T.STRING,
    "s2": T.STRING,
    "dt": T.DATE,
    "t": T.TIMESTAMP,
}
WILD = ("d2",)  # columns whose values a cast to an integer could not hold
ASCII = ("k1", "s")  # text columns without other characters

_STRINGS = ["", "a", "b", "B", "10", "9", "100", "é", "京东", "x y", "a_b", "a%b", "-3", "2.5", "long " * 8]
_WILD_DOUBLES = [0.0, 0.1, 0.2, 0.3, -0.1, 1e20, -1e-7, 123456789.125, 1 / 3]


@dataclass(frozen=True)
class RandomTable:
    """A table of a case.

    Attributes:
        columns: name to type, in order.
        rows: one Python dict a row; times are integers (milliseconds), dates days since 1970.
    """

    columns: dict[str, SqlType]
    rows: list[dict[str, Any]]

    def arrow(self) -> pa.Table:
        """The rows as an Arrow table of the declared types."""
        arrays = []
        for name, type_ in self.columns.items():
            storage = {T.TIMESTAMP: pa.int64(), T.DATE: pa.int32()}.get(type_, type_.arrow)
            arrays.append(pa.array([row[name] for row in self.rows], storage).cast(type_.arrow))
        return pa.table(arrays, names=list(self.columns))


def random_table(
    rng: random.Random,
    *,
    keys: dict[str, SqlType],
    time: tuple[str, SqlType],
    times: list[int],
    row_id: str | None = None,
    nulls: float = 0.15,
) -> RandomTable:
    """A table with a unique `row_id` (if named), key columns, a time column and all value columns.

    Args:
        times: one a row, milliseconds after START_MS.
    """
    columns = {
        **({row_id: T.STRING} if row_id else {}),
        **keys,
        time[0]: time[1],
        **VALUE_COLUMNS,
    }
    made = []
    for number, moment in enumerate(times):
        row: dict[str, Any] = {}
        for name, type_ in columns.items():
            if name == row_id:
                row[name] = f"r{number}"
            elif name == time[0]:
                row[name] = START_MS + moment
            elif name in keys:
                row[name] = key_value(rng, type_, nulls / 2)
            else:
                row[name] = None if rng.random() < nulls else value(rng, name, type_)
        made.append(row)
    rng.shuffle(made)
    return RandomTable(columns, made)


def key_value(rng: random.Random, type_: SqlType, nulls: float) -> Any:
    """One of few values, so that windows and joins have something to find."""
    if rng.random() < nulls:
        return None
    small = rng.randrange(4)
    if type_ is T.STRING:
        return ["", "u1", "u2", "u|3"][small]
    if type_ is T.TIMESTAMP:
        return START_MS + 1000 * small
    if type_ is T.DATE:
        return 16_800 + small
    return small - 1


def value(rng: random.Random, name: str, type_: SqlType) -> Any:
    """A value that is not NULL."""
    if type_ is T.BOOL:
        return rng.random() < 0.5
    if type_ is T.SMALLINT:
        return rng.choice([0, 1, 2, -1, 7, 32_000, -32_000])
    if type_ is T.INT:
        return rng.choice([0, 1, 2, 3, -1, 10, 9, 2_147_483_647, -2_000_000_000] if name == "i2" else [0, 1, 2, 3, 5, -1, -4, 10, 9, 100])
    if type_ is T.BIGINT:
        return rng.choice([0, 1, 2, -1, 100, 12_345_678_901, -9_000_000_000])
    if type_ is T.FLOAT:
        return rng.choice([0.0, 0.5, 1.0, -2.5, 3.25, 100.0, 0.1, 0.2])
    if type_ is T.DOUBLE:
        return rng.choice(_WILD_DOUBLES if name in WILD else [0.0, 0.5, 1.0, -2.5, 3.25, 100.0, 7.0])
    if type_ is T.STRING:
        return rng.choice(_STRINGS[:6] if name == "s" else _STRINGS)
    if type_ is T.DATE:
        return 16_800 + rng.randrange(40)
    return START_MS + rng.choice([0, 1, 1000, 86_400_000, -86_400_000, 3_600_000 * 7])
