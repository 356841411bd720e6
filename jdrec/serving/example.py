"""An example request: what a newcomer sends first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.features.types import SqlType
from jdrec.files import write_text

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableFiles
    from jdrec.features.spec import FeatureSet

_VALUES: dict[SqlType, Any] = {
    SqlType.BOOL: True,
    SqlType.SMALLINT: 1,
    SqlType.INT: 1,
    SqlType.BIGINT: 1,
    SqlType.FLOAT: 0.5,
    SqlType.DOUBLE: 0.5,
    SqlType.STRING: "text",
    SqlType.DATE: "2016-03-31",
    SqlType.TIMESTAMP: 1459419080000,
}


def from_table(table: TableFiles, feature_set: FeatureSet) -> dict[str, Any] | None:
    """A row of the request table as /predict takes it; None if the table is empty."""
    columns = list(feature_set.request.columns)
    part = next((part for part in table.read(columns) if len(part[columns[0]])), None)
    return {name: _json_value(part[name][-1]) for name in columns} if part else None


def from_types(feature_set: FeatureSet) -> dict[str, Any]:
    """A row with some value of the right type in each column."""
    return {name: _VALUES[type] for name, type in feature_set.request.columns.items()}


def _json_value(scalar: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_timestamp(scalar.type):
        return scalar.cast(pa.int64()).as_py()
    value = scalar.as_py()
    if isinstance(value, float) and value != value:  # JSON has no NaN
        return None
    return value.isoformat() if pa.types.is_date(scalar.type) and value is not None else value


def write(file: Path, row: dict[str, Any]) -> None:
    """Writes the row as JSON, replacing the file at once."""
    write_text(file, json.dumps(row, indent=1, ensure_ascii=False) + "\n")
