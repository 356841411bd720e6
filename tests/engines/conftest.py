"""Feature sets for the engine's tests, resolved from the same YAML that users write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jdrec.config import Config, load
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.paths import CONF


def config_of(dataset: str, features: str, root: Path) -> Config:
    """A configuration of shipped groups."""
    data = yaml.safe_load((CONF / "dataset" / f"{dataset}.yaml").read_text())
    return load({"dataset": {**data, "root": str(root)}, "features": yaml.safe_load((CONF / "features" / f"{features}.yaml").read_text())})


def feature_set_of(tables: dict[str, Any], features: str) -> FeatureSet:
    """The feature set of `config_with`."""
    return resolve(config_with(tables, features))


def config_with(tables: dict[str, Any], features: str) -> Config:
    """Features over tables given as {name: {column: type, ...}}; a table's time column is `ts`. Requests are `t1`, their key `id`."""
    dataset = {
        "root": ".",
        "database": "db",
        "tables": {
            name: {"path": name, "columns": columns, **({"time": "ts"} if "ts" in columns else {})} for name, columns in tables.items()
        },
    }
    settings = yaml.safe_load(features)
    return load({"dataset": dataset, "features": {"request": {"table": "t1", "key": "id", "time": "ts"}, **settings}})


@pytest.fixture(scope="session")
def tutorial(shared: Path) -> FeatureSet:
    """The tutorial's features."""
    return resolve(config_of("jd", "jd_tutorial", shared / "jd-recommendation"))
