"""A mistake in the configuration: where it is, what is wrong, what is valid."""

from __future__ import annotations

from typing import Any

import pytest

from jdrec.config import Config, defaults, load
from jdrec.errors import ConfigError


def _valid() -> dict[str, Any]:
    columns = {"id": "string", "user": "string", "ts": "timestamp"}
    return {
        "dataset": {"root": "data", "database": "db", "tables": {"request": {"path": "request.parquet", "columns": columns}}},
        "features": {"request": {"table": "request", "key": "id", "time": "ts"}, "features": {"who": {"expr": "user"}}},
    }


def _with(path: str, value: Any) -> dict[str, Any]:
    values = _valid()
    place = values
    *parents, last = path.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return values


def test_a_valid_configuration_loads_with_defaults() -> None:
    config = load(_valid())
    assert isinstance(config, Config)
    assert (config.task, config.trainer.batch_size, config.openmldb.version) == ("report", 1000, "0.9")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("task", "exprt", "task: 'exprt' is not a valid value. Did you mean 'export'?"),
        ("trainer.batch_sze", 10, "trainer.batch_sze: unknown key 'batch_sze'. Did you mean 'batch_size'?"),
        (
            "trainer.batch_size",
            "many",
            "trainer.batch_size: 'many' does not fit: Expected 'int', got 'str'. Rows a batch, training and evaluation.",
        ),
        ("model.dropout", 1.5, "model.dropout: 1.5 does not fit: Expected 'float' < 1.0. Dropout of the hidden layers."),
        (
            "dataset.tables.request.colums",
            {},
            "dataset.tables.request.colums: unknown key 'colums'. Did you mean 'columns'?",
        ),
        (
            "dataset.tables.request.columns.ts",
            "timestmp",
            "dataset.tables.request.columns.ts: 'timestmp' is not a valid value. Did you mean 'timestamp'?",
        ),
        ("features.windows.w", {}, "features.windows.w.partition_by: is required. Key columns; a mapping where the union table's"),
        ("dataset.root", "???", "dataset.root: must be given. Folder that holds the tables."),
        ("dataset.generate", {"users": 9}, "dataset.generate.generator: is required. One of jd, ads."),
        ("dataset.generate.generator", "add", "dataset.generate.generator: 'add' is not a valid value. Did you mean 'ads'?"),
        (
            "dataset.generate",
            {"generator": "ads", "actions": 9},
            "dataset.generate.actions: unknown key 'actions'. Valid: users, ads, visits, requests, days, label_rate, shuffle, seed",
        ),
    ],
)
def test_a_mistake_is_named_with_its_path(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(_with(path, value))
    assert str(caught.value).startswith(message)


def test_all_mistakes_are_reported_at_once() -> None:
    values = _with("trainer.lr", 1)
    values["task"] = "fly"
    with pytest.raises(ConfigError) as caught:
        load(values)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["trainer.lr", "task"]


def test_a_version_written_as_a_number_is_a_version() -> None:
    assert load(_with("openmldb.version", 0.6)).openmldb.version == "0.6"


def test_defaults_hold_every_key_of_a_section() -> None:
    values = defaults()
    assert values["trainer"]["early_stop"]["patience"] == 2
    assert values["dataset"]["root"] == "???"
    assert values["features"]["request"] == {"table": "???", "key": "???", "time": "???"}
