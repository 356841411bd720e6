"""Several versions of a model behind one service: publishing, choosing, reloading and rolling back, with a real Triton and under load."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jdrec.config import ServingConfig
from jdrec.errors import ServingError, StageError
from jdrec.online.session import RequestSession
from jdrec.serving import commands
from jdrec.serving.features import EmbeddedSource
from jdrec.serving.repository import publish, versions_in
from jdrec.serving.triton import TritonServer
from jdrec.training.checkpoint import Checkpoint
from tests.serving.service_parts import NO_LOG, call, running, service_on, session_of
from tests.serving.small_definitions import ROW, every_type, with_fields
from tests.serving.small_models import checkpoint, configuration, export_run, run_folder

FEATURES = every_type()
SERVING = ServingConfig(access_log=NO_LOG, timeout_s=5.0)


def trained_run(folder: Path, shift: float, feature_set=FEATURES) -> Path:
    """A run whose model differs from others in the bias of its last layer."""
    folder.mkdir()
    run = run_folder(folder, feature_set, numeric=2)
    plain: Checkpoint = checkpoint(feature_set, numeric=2)
    last = max(name for name in plain.weights if name.startswith("dnn.") and name.endswith(".bias"))
    weights = plain.weights | {last: plain.weights[last] + np.float32(shift)}
    Checkpoint(plain.model, plain.vocabulary, weights, plain.training).save(run / "checkpoints" / "best")
    export_run(run, feature_set, configuration())
    return run


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> RequestSession:
    return session_of(FEATURES, [ROW], tmp_path_factory.mktemp("tables"))


@pytest.fixture
def repository(tmp_path) -> Path:
    """Version 1 is published."""
    publish(trained_run(tmp_path / "run1", 0.0), configuration(), tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def triton(repository) -> Iterator[TritonServer]:
    with TritonServer(repository, model="embedding", version=1, log_file=repository.parent / "triton.log") as server:
        yield server


# --- publishing ------------------------------------------------------------------------------------------------------------


def test_publishing_adds_the_next_version(repository, tmp_path):
    assert publish(trained_run(tmp_path / "run2", 1.0), configuration(), repository) == ("embedding", 2)
    assert sorted(versions_in(repository)) == [("embedding", 1), ("embedding", 2)]
    assert "version_policy {\n  all {}\n}" in (repository / "embedding" / "config.pbtxt").read_text()
    assert not [item for item in repository.iterdir() if item.is_dir() and item.name != "embedding"]


def test_another_input_needs_another_name(repository, tmp_path):
    with pytest.raises(ServingError, match=r"another config\.pbtxt.*serving\.triton\.model=NAME"):
        publish(trained_run(tmp_path / "run2", 0.0, with_fields(2, 3)), configuration(), repository)
    assert sorted(versions_in(repository)) == [("embedding", 1)]


def test_publishing_needs_a_repository(tmp_path):
    with pytest.raises(StageError, match=r"serving\.repository"):
        commands.publish(configuration(), tmp_path)


# --- serving them ----------------------------------------------------------------------------------------------------------


def score(url: str, query: str = "") -> tuple[str, float]:
    answer = call(f"{url}/predict{query}", ROW)
    assert answer.status == 200, answer.body
    return answer.json["version"], answer.json["predictions"][0]["score"]


JSON = {"content-type": "application/json"}


@pytest.mark.triton
def test_a_version_is_taken_on_chosen_and_rolled_back_under_load(repository, triton, session, tmp_path, capsys):
    with running(service_on(FEATURES, EmbeddedSource(FEATURES, session), triton.url, repository, SERVING)) as url:
        first = score(url)
        assert first[0] == "1"
        config = configuration()
        config = msgspec.structs.replace(config, serving=msgspec.structs.replace(config.serving, port=int(url.rsplit(":", 1)[1])))
        seen: list[tuple[int, str]] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answer = call(f"{url}/predict", ROW)
                seen.append((answer.status, answer.json["version"]))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            publish(trained_run(tmp_path / "run2", 2.0), configuration(), repository)
            assert call(f"{url}/models").json["default"] == "embedding/1"  # nothing happens by itself
            commands.reload(config)
            assert capsys.readouterr().out == "embedding/1\nembedding/2  default\n"
            second = score(url)
            assert second[0] == "2" and second[1] > first[1] + 0.05
            assert score(url, "?version=1") == first and score(url, "?model=embedding&version=2") == second
            commands.rollback(config)
            assert capsys.readouterr().out == "embedding/1  default\nembedding/2\n"
            assert score(url) == first
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert {status for status, _ in seen} == {200} and {version for _, version in seen} == {"1", "2"}
        assert json.loads((repository / "default.json").read_text()) == {"default": "embedding/1", "previous": "embedding/2"}
        metrics = call(f"{url}/metrics").body.decode()
        assert 'jdrec_scored_rows_total{model="embedding",version="2"}' in metrics


@pytest.mark.triton
def test_a_broken_version_is_refused_and_the_others_go_on(repository, triton, session, tmp_path):
    with running(service_on(FEATURES, EmbeddedSource(FEATURES, session), triton.url, repository, SERVING)) as url:
        before = score(url)
        publish(trained_run(tmp_path / "run2", 2.0), configuration(), repository)
        (repository / "embedding" / "2" / "model" / "checkpoint.json").write_text("{")
        answer = call(f"{url}/models/reload", {}, headers=JSON)
        assert answer.status == 200
        assert (answer.json["default"], [model["version"] for model in answer.json["models"]]) == ("embedding/1", [1])
        assert answer.json["refused"] == [{"model": "embedding", "version": 2, "reason": "Triton has not loaded it; its log says why."}]
        refusal = call(f"{url}/models/reload", {"default": "embedding/2"}, headers=JSON)
        assert (refusal.status, refusal.json["error"]["kind"]) == (404, "unknown_model")
        assert score(url) == before
        assert call(f"{url}/predict?version=2", ROW).status == 404


@pytest.mark.triton
def test_the_pinned_default_is_remembered(repository, tmp_path, session):
    publish(trained_run(tmp_path / "run2", 2.0), configuration(), repository)
    (repository / "default.json").write_text(json.dumps({"default": "embedding/2", "previous": None}))
    with (
        TritonServer(repository, model="embedding", version=2, log_file=tmp_path / "log") as server,
        running(service_on(FEATURES, EmbeddedSource(FEATURES, session), server.url, repository, SERVING)) as url,
    ):
        assert score(url)[0] == "2" and score(url, "?version=1")[0] == "1"
        assert call(f"{url}/models/rollback", {}, headers=JSON).json["error"]["kind"] == "no_previous"


@pytest.mark.triton
@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "kind"),
    [
        ("/models/reload", {"pin": 1}, JSON, 400, "invalid_body"),
        ("/models/reload", {"default": "embedding"}, JSON, 400, "invalid_body"),
        ("/models/reload", {"default": 7}, JSON, 400, "invalid_body"),
        ("/models/reload", {"default": "embeding/1"}, JSON, 404, "unknown_model"),
        ("/models/reload", {}, {"content-type": "text/plain"}, 415, "not_json"),
        ("/predict?model=other", ROW, {}, 404, "unknown_model"),
        ("/predict?version=0", ROW, {}, 404, "unknown_model"),
        ("/predict?version=x", ROW, {}, 404, "unknown_model"),
    ],
)
def test_what_is_not_there(repository, triton, session, path, body, headers, status, kind):
    with running(service_on(FEATURES, EmbeddedSource(FEATURES, session), triton.url, repository, SERVING)) as url:
        answer = call(f"{url}{path}", body, headers=headers)
        assert (answer.status, answer.json["error"]["kind"]) == (status, kind)
