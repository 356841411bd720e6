"""OpenMLDB's column types and what they are in Arrow.

Source: OpenMLDB documentation, "Data Types" (numeric, date and time, string).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


class SqlType(str, Enum):
    """A column type of OpenMLDB. The value is its name in SQL."""

    BOOL = "bool"
    SMALLINT = "smallint"
    INT = "int"
    BIGINT = "bigint"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"

    @property
    def is_integer(self) -> bool:
        """Whether it is a smallint, int or bigint."""
        return self in (SqlType.SMALLINT, SqlType.INT, SqlType.BIGINT)

    @property
    def is_float(self) -> bool:
        """Whether it is a float or double."""
        return self in (SqlType.FLOAT, SqlType.DOUBLE)

    @property
    def is_number(self) -> bool:
        """Whether one can calculate with it."""
        return self.is_integer or self.is_float

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of a column of this type; a timestamp is an instant in milliseconds, UTC."""
        import pyarrow as pa

        return {
            SqlType.BOOL: pa.bool_(),
            SqlType.SMALLINT: pa.int16(),
            SqlType.INT: pa.int32(),
            SqlType.BIGINT: pa.int64(),
            SqlType.FLOAT: pa.float32(),
            SqlType.DOUBLE: pa.float64(),
            SqlType.STRING: pa.string(),
            SqlType.DATE: pa.date32(),
            SqlType.TIMESTAMP: pa.timestamp("ms", tz="UTC"),
        }[self]
