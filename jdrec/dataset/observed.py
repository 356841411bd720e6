"""What a data set knows of its own end and of its own limit."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from jdrec.config import DatasetConfig

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableSet
    from jdrec.features.spec import FeatureSet


def observed_until(feature_set: FeatureSet, tables: TableSet) -> int | None:
    """The last observed moment in epoch milliseconds; None where every label counts.

    `label.observed_until` has been checked by `resolve`: it is table.column or an ISO time.
    """
    label = feature_set.label
    if label is None or label.horizon_ms is None or label.observed_until is None:
        return None
    table, _, column = label.observed_until.partition(".")
    if table in feature_set.tables:
        return tables.max_time(table, column)
    moment = datetime.fromisoformat(label.observed_until.replace("Z", "+00:00"))  # Python 3.10 does not read the Z
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(feature_set.timezone))
    return round(moment.timestamp() * 1000)


def best_possible_auc(dataset: DatasetConfig) -> float | None:
    """The AUC of the true probabilities, which a generated data set records; None for real tables."""
    file = Path(dataset.root) / "generated.json"
    if dataset.generate is None or not file.is_file():
        return None
    return json.loads(file.read_text())["best_auc"]
