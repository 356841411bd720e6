"""What a data set knows of its own end and of its own limit."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from jdrec.config import DatasetConfig
from jdrec.errors import ConfigError, nearest

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableSet
    from jdrec.features.spec import FeatureSet

_WHERE = "features.label.observed_until"


def observed_until(feature_set: FeatureSet, tables: TableSet) -> int | None:
    """The last observed moment in epoch milliseconds; None where every label counts.

    Raises:
        ConfigError: `label.observed_until` is neither table.column nor an ISO time.
    """
    label = feature_set.label
    if label is None or label.horizon_ms is None or label.observed_until is None:
        return None
    text = label.observed_until
    table, _, column = text.partition(".")
    if table in feature_set.tables:
        if column not in feature_set.tables[table].columns:
            raise ConfigError(
                f"table {table!r} has no column {column!r}.", where=_WHERE, hint=nearest(column, feature_set.tables[table].columns)
            )
        return tables.max_time(table, column)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is neither table.column nor an ISO time.", where=_WHERE, hint=nearest(table, feature_set.tables)
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(feature_set.timezone))
    return round(moment.timestamp() * 1000)


def best_possible_auc(dataset: DatasetConfig) -> float | None:
    """The AUC of the true probabilities, which a generated data set records; None for real tables."""
    file = Path(dataset.root) / "generated.json"
    if dataset.generate is None or not file.is_file():
        return None
    return json.loads(file.read_text())["best_auc"]
