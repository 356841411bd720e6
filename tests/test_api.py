"""jdrec in a notebook: functions that give what the command line gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jdrec import api, display
from jdrec.errors import ConfigError, StageError

SMALL = ("+experiment=jd_demo", "dataset.generate.requests=3000", "dataset.generate.actions=9000", "dataset.generate.users=300",
         "trainer.train_batches=20", "model.dnn=[8]")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api.Run]:
    place = tmp_path_factory.mktemp("api")
    yield api.start(*SMALL, f"dataset.root={place / 'data'}", f"cache.dir={place / 'cache'}", folder=place / "run")


def test_sql_and_features_come_as_values(run: api.Run) -> None:
    assert "CREATE TABLE" in api.render(run)["create_tables.sql"]
    features = api.extract(run)
    assert features.column_names == [feature.name for feature in run.feature_set.features]
    assert features.num_rows == 3000
    assert {split: table.num_rows for split, table in api.preprocess(run).items()} == {"train": 2400, "valid": 300, "test": 300}


@pytest.mark.oneflow
def test_training_metrics_and_predictions(run: api.Run) -> None:
    report = api.train(run)
    assert report.step == 20 and report.checkpoint.is_dir()
    metrics = api.evaluate(run)
    assert metrics["test"]["rows"] == 300
    assert metrics == json.loads((run.folder / "metrics.json").read_text())
    requests = _rows(run, 3)
    scores = api.predict(run, requests)
    assert scores.shape == (3,) and scores.dtype == np.float32 and ((scores > 0) & (scores < 1)).all()


def _rows(run: api.Run, count: int) -> list[dict]:
    columns = list(run.feature_set.request.columns)
    part = next(iter(run.tables["flattenRequest"].read(columns)))
    return [{name: _plain(part[name][row]) for name in columns} for row in range(count)]


def _plain(scalar: object) -> object:
    value = scalar.as_py()  # type: ignore[attr-defined]
    return int(value.timestamp() * 1000) if hasattr(value, "timestamp") else value


def test_an_opened_run_has_its_results_and_computes_nothing(run: api.Run) -> None:
    features = api.extract(run)
    before = (run.folder / "run.json").read_bytes()
    again = api.open_run(run.folder)
    assert again.config.dataset.generate == run.config.dataset.generate
    assert api.extract(again).equals(features)
    assert (run.folder / "run.json").read_bytes() == before


def test_mistakes_are_the_same_errors_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'learning_rat'\. Did you mean 'learning_rate'"):
        api.start("trainer.learning_rat=1")
    with pytest.raises(StageError, match="is not the folder of a run"):
        api.open_run(tmp_path)


def test_definitions_and_results_show_themselves(run: api.Run) -> None:
    page = run.feature_set._repr_html_()
    assert page.count("<tr>") == len(run.feature_set.features) + 1 and "<td>over " in page
    shown = display.Metrics({"valid": {"auc": 0.75, "rows": 1000}, "best_possible_auc": 0.8, "x": {"auc": None}})._repr_html_()
    assert "<td>0.7500</td>" in shown and "<td>1,000</td>" in shown and "best_possible_auc: 0.8000" in shown
    shown = display.Metrics({"test": {"auc": 0.58, "ece": 0.01, "interval": {"auc": [0.52, 0.639], "ece": [None, None]}}})._repr_html_()
    assert "<td>0.5800 [0.5200, 0.6390]</td>" in shown and "<td>0.0100</td>" in shown
    assert "&lt;b&gt;" in display.table(["a"], [["<b>"]])
