"""From tables to a served score with every part real: what is served is what was trained, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jdrec import preprocess, training
from jdrec.config import Config, ModelConfig, ServingConfig, SplitConfig, TrainerConfig
from jdrec.dataset.tables import open_tables
from jdrec.engines import extract
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.online.session import RequestSession
from jdrec.progress import Progress
from jdrec.serving.features import EmbeddedSource
from jdrec.serving.repository import export
from jdrec.serving.service import Service
from jdrec.serving.triton import TritonServer
from jdrec.training.checkpoint import Checkpoint
from jdrec.training.data import RawSplit, Split, read_layout
from jdrec.training.frameworks import host_adapter
from tests.serving.service_parts import NO_LOG, call, running, service_on
from tests.serving.small_definitions import ROW, small_config, write_requests
from tests.serving.small_models import configuration, export_run, run_folder
from tests.serving.test_golden_pbtxt import experiment

pytestmark = [pytest.mark.triton, pytest.mark.oneflow]

ROWS = 150
FEATURES = {
    "bought": {"expr": "case when rate + small * 0.1 > 0.5 then 1 else 0 end"},
    "f_user": {"expr": "user"},
    "f_rate": {"expr": "rate", "encoding": "numeric"},
    "f_small": {"expr": "small", "encoding": "bucket"},
    "f_weekday": {"expr": "dayofweek(at)", "kind": "categorical"},
    "f_seen": {"over": "last_10", "expr": "count(id)", "encoding": "numeric"},
    "f_mean_rate": {"over": "last_10", "expr": "avg(rate)"},
    "f_counts": {"over": "last_10", "expr": "topn_frequency(count, 2)"},
    "f_list": {"over": "last_10", "expr": "topn_frequency(count, 3)", "encoding": "list"},  # a column each value, pooled in the model
}


@dataclass(frozen=True)
class Trained:
    """A run, its rows in order of arrival, and the scores that OneFlow itself gives them, float32 [rows]."""

    folder: Path
    config: Config
    feature_set: FeatureSet
    requests: list[dict]
    scores: np.ndarray


def requests() -> list[dict]:
    random = np.random.default_rng(7)
    return [
        {
            **ROW,
            "id": f"r{i}",
            "at": 1459419080000 + 3_600_000 * i,
            "user": f"u{random.integers(6)}",
            "small": int(random.integers(-5, 5)),
            "count": int(random.integers(4)),
            "rate": float(np.float32(random.random())),
        }
        for i in range(ROWS)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    folder, rows, silent = tmp_path_factory.mktemp("run"), requests(), Progress.silent()
    write_requests(folder, rows)
    config = small_config(FEATURES, folder, label="bought")
    feature_set = resolve(config)
    extract(feature_set, open_tables(feature_set, folder, feature_set.timezone), folder / "features.parquet", threads=1, progress=silent)
    samples = folder / "samples"
    split = msgspec.structs.replace(config.preprocess, split=SplitConfig(by="row_order"))
    preprocess.run(feature_set, split, folder / "features.parquet", samples, seed=1, observed_until_ms=None, progress=silent)
    trainer = TrainerConfig(device="cpu", batch_size=40, train_batches=30, learning_rate=0.03)
    model = ModelConfig(embedding_dim=4, dnn=[16, 8], dropout=0.1)
    best = training.train(model, trainer, samples, folder / "checkpoints", seed=1, progress=silent).checkpoint
    export(feature_set, config, checkpoint=best, samples=samples, out=folder / "triton")
    return Trained(folder, config, feature_set, rows, oneflow_scores(best, samples, trainer))


def oneflow_scores(checkpoint: Path, samples: Path, trainer: TrainerConfig) -> np.ndarray:
    """Scores of all samples in order of the rows, by the framework that trained the model."""
    loaded = Checkpoint.load(checkpoint)
    adapter = host_adapter(loaded.model, trainer, seed=1)
    adapter.load(loaded.weights)
    logits = []
    for name in ("train", "test", "valid"):  # the order in which row_order takes them
        split = Split(RawSplit.read(samples, name, read_layout(samples)), loaded.vocabulary)
        logits += [adapter.logits(batch).reshape(-1) for batch in split.batches(40)]
    return 1 / (1 + np.exp(-np.concatenate(logits)))


@pytest.fixture(scope="module")
def triton(trained) -> Iterator[TritonServer]:
    log = trained.folder / "triton.log"
    with TritonServer(trained.folder / "triton", model="embedding", version=1, log_file=log) as server:
        yield server


def service_of(trained: Trained, triton: TritonServer, **session) -> Service:
    tables = open_tables(trained.feature_set, trained.folder, trained.feature_set.timezone)
    source = EmbeddedSource(trained.feature_set, RequestSession(trained.feature_set, tables, **session))
    serving = ServingConfig(store_requests=True, access_log=NO_LOG)
    return service_on(trained.feature_set, source, triton.url, trained.folder / "triton", serving)


def test_requests_in_order_of_arrival_get_the_trainers_scores(trained, triton):
    """Windows over the request table see what they saw offline, since each scored request is stored."""
    with running(service_of(trained, triton, preload=[])) as url:
        answers = [call(f"{url}/predict", row).json["predictions"][0] for row in trained.requests]
    assert [answer["id"] for answer in answers] == [row["id"] for row in trained.requests]
    scores = np.array([answer["score"] for answer in answers])
    assert np.ptp(trained.scores) > 0.1
    lists = [field.slots for field in Checkpoint.load(trained.folder / "checkpoints" / "best").model.fields if field.slots > 1]
    assert lists == [3]
    np.testing.assert_allclose(scores, trained.scores, rtol=0, atol=1e-5)


# --- the tutorial's own request --------------------------------------------------------------------------------------------

TUTORIAL_REQUEST = {
    "reqId": "200001_80005_2016-03-31 18:11:20",
    "eventTime": 1459419080000,
    "main_id": "681271",
    "pair_id": "200001_80005",
    "user_id": "200001",
    "sku_id": "80005",
    "time": 1459419080000,
    "split_id": 1,
    "time1": "2016-03-31 18:11:20",
}
KEY = TUTORIAL_REQUEST["reqId"]
TUTORIAL_FEATURES = [  # its section 3.5
    *[KEY, 1459419080000, KEY, "200001_80005", "80005", "200001", 1, 1.0, 1.0, 1, 1, 5, 1],
    *[KEY, *[None] * 11],
    *[KEY, 0.019200000911951065, 0.0, 0.0, 2, 2, "1,,NULL", "4,0,NULL"],
    *[KEY, ",NULL,NULL", ",NULL,NULL", ",NULL,NULL", 1, 1, 1, ",NULL,NULL", ",NULL,NULL"],
]


def test_the_tutorials_request_is_answered_with_the_features_that_it_prints(shared, tmp_path):
    feature_set = resolve(experiment("jd_tutorial"))
    folder = run_folder(tmp_path, feature_set, numeric=13)
    export_run(folder, feature_set, configuration())
    tables = open_tables(feature_set, shared / "jd-recommendation", feature_set.timezone)
    source = EmbeddedSource(feature_set, RequestSession(feature_set, tables))
    serving = ServingConfig(access_log=NO_LOG)
    with (
        TritonServer(folder / "triton", model="embedding", version=1, log_file=folder / "triton.log") as server,
        running(service_on(feature_set, source, server.url, folder / "triton", serving)) as url,
    ):
        answer = call(f"{url}/predict?features=true", {**TUTORIAL_REQUEST, "eventTime": "2016-03-31 18:11:20"})
    (prediction,) = answer.json["predictions"]
    assert list(prediction["features"]) == [feature.name for feature in feature_set.features]
    assert list(prediction["features"].values()) == TUTORIAL_FEATURES
    assert 0 < prediction["score"] < 1
