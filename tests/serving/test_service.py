"""The prediction service over HTTP, with a real Triton behind it: answers, refusals, faults."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jdrec.config import BatchingConfig, CandidatesConfig, ServingConfig, TritonConfig
from jdrec.errors import ConfigError
from jdrec.online.session import RequestSession
from jdrec.serving.failures import Unavailable
from jdrec.serving.features import EmbeddedSource, FeatureSource, OpenMLDBSource
from jdrec.serving.rows import RowReader
from jdrec.serving.service import Service
from jdrec.serving.triton import TritonServer, free_port
from jdrec.training.scoring import Scorer
from tests.serving.service_parts import NO_LOG, Answer, call, running, service_on, session_of
from tests.serving.small_definitions import COLUMNS, ROW, every_type
from tests.serving.small_models import configuration, encoder, export_run, run_folder

pytestmark = pytest.mark.triton

FEATURES = every_type()
LIMITS = ServingConfig(max_rows=50, max_body_bytes=20_000, timeout_s=2.0, access_log=NO_LOG)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> RequestSession:
    """Two requests of u1 are stored."""
    stored = [{**ROW, "id": f"old{number}", "at": number} for number in (1, 2)]
    return session_of(FEATURES, stored, tmp_path_factory.mktemp("tables"))


ServiceOf = Callable[..., Service]


@pytest.fixture(scope="module")
def service_of(run, session) -> ServiceOf:
    """A service of the run's model, with other limits or parts."""

    def make(
        triton_url: str, session: RequestSession = session, source: FeatureSource | None = None, repository: Path | None = None, **limits
    ) -> Service:
        serving = msgspec.structs.replace(LIMITS, **limits)
        return service_on(FEATURES, source or EmbeddedSource(FEATURES, session), triton_url, repository or run / "triton", serving)

    return make


@pytest.fixture(scope="module")
def url(triton, service_of) -> Iterator[str]:
    with running(service_of(triton.url)) as address:
        yield address


def row(number: int) -> dict:
    return {**ROW, "id": f"r{number}", "rate": number / 7, "user": f"u{number}"}


def trainer_scores(run: Path, session: RequestSession, rows: list[dict]) -> np.ndarray:
    batch = session.compute(RowReader(FEATURES, 50).read(json.dumps(rows).encode()))
    return Scorer(run / "checkpoints" / "best").scores(encoder(FEATURES).encode(batch))[:, 0]


def error_of(answer: Answer) -> dict:
    assert answer.headers["content-type"] == "application/json"
    return answer.json["error"]


# --- answers ---------------------------------------------------------------------------------------------------------------


def test_one_row(url, run, session):
    answer = call(f"{url}/predict", ROW)
    assert answer.status == 200
    (prediction,) = answer.json.pop("predictions")
    assert {**answer.json, "predictions": None} == {"model": "embedding", "version": "1", "predictions": None}
    assert prediction["id"] == "r1"
    assert prediction["score"] == pytest.approx(trainer_scores(run, session, [ROW])[0], abs=1e-5)


def test_many_rows_are_scored_in_order_as_the_trainer_does(url, run, session):
    rows = [row(number) for number in range(50)]
    predictions = call(f"{url}/predict", rows).json["predictions"]
    assert [prediction["id"] for prediction in predictions] == [row["id"] for row in rows]
    scores = np.array([prediction["score"] for prediction in predictions])
    assert np.ptp(scores) > 0.01
    np.testing.assert_allclose(scores, trainer_scores(run, session, rows), rtol=0, atol=1e-5)


def test_features_on_demand(url):
    (prediction,) = call(f"{url}/predict?features=true", {**ROW, "score_hint": None}).json["predictions"]
    columns = {f"f_{name}": value for name, value in {**ROW, "score_hint": None}.items()}
    assert prediction["features"] == {"id_1": "r1", **columns, "f_seen": 3}
    (prediction,) = call(f"{url}/predict?features=false", ROW).json["predictions"]
    assert "features" not in prediction


def seen(answer: Answer) -> list[int]:
    """How many requests of the user each row has seen."""
    return [prediction["features"]["f_seen"] for prediction in answer.json["predictions"]]


def test_stored_requests_are_seen_by_later_ones(triton, tmp_path, service_of):
    session = session_of(FEATURES, [ROW], tmp_path)
    with running(service_of(triton.url, session, store_requests=True)) as address:
        first = call(f"{address}/predict?features=true", [{**ROW, "id": "a"}, {**ROW, "id": "b"}])
        assert (first.json["stored"], seen(first)) == (True, [2, 2])  # rows of one call do not see each other
        assert call(f"{address}/predict", {**ROW, "flag": 3}).status == 422  # and is not stored
        assert seen(call(f"{address}/predict?features=true", ROW)) == [4]


def test_requests_are_not_stored_unless_asked(triton, tmp_path, service_of):
    session = session_of(FEATURES, [ROW], tmp_path)
    with running(service_of(triton.url, session)) as address:
        assert "stored" not in call(f"{address}/predict", ROW).json
        assert seen(call(f"{address}/predict?features=true", ROW)) == [2]


def test_a_request_that_cannot_be_stored_is_still_scored(triton, session, service_of):
    class Full(EmbeddedSource):
        async def store(self, rows):
            raise Unavailable("no room", kind="features_error")

    with running(service_of(triton.url, session, Full(FEATURES, session), store_requests=True)) as address:
        answer = call(f"{address}/predict", ROW)
        assert (answer.status, answer.json["stored"]) == (200, False)
        assert 'jdrec_errors_total{kind="not_stored"} 1.0' in call(f"{address}/metrics").body.decode()


# --- refusals --------------------------------------------------------------------------------------------------------------


def test_a_wrong_row_is_named(url):
    answer = call(f"{url}/predict", [ROW, {**ROW, "usr": 1, "count": "7"}])
    assert answer.status == 422
    error = error_of(answer)
    assert error["kind"] == "invalid_row"
    assert error["message"] == "row 1, field 'count': must be an integer, not text (and 1 more)"
    assert error["details"] == [
        {"row": 1, "field": "count", "message": "must be an integer, not text", "expected": "int", "hint": ""},
        {
            "row": 1,
            "field": "usr",
            "message": "is not a column of the request table",
            "expected": None,
            "hint": "Did you mean 'user'?",
        },
    ]


@pytest.mark.parametrize(
    ("body", "query", "status", "kind"),
    [
        (b"", "", 400, "invalid_json"),
        (b'{"id": "r1"', "", 400, "invalid_json"),
        (b"\xff\xfe", "", 400, "invalid_json"),
        (b"[" * 5000, "", 400, "invalid_json"),
        (b"[]", "", 400, "no_rows"),
        (b"null", "", 400, "not_rows"),
        (b"{}", "?features=perhaps", 400, "invalid_parameter"),
        (b"{}", "?featurs=true", 400, "invalid_parameter"),
        (json.dumps([{}] * 51).encode(), "", 413, "too_many_rows"),
        (b"x" * 20_001, "", 413, "body_too_large"),
        (b"x" * 3_000_000, "", 413, "body_too_large"),
    ],
)
def test_what_is_not_rows(url, body, query, status, kind):
    answer = call(f"{url}/predict{query}", body)
    assert (answer.status, error_of(answer)["kind"]) == (status, kind)


def raw(url: str, data: bytes, *, close_early: bool = False) -> bytes:
    """What the service sends back for these bytes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(data)
        if close_early:
            return b""
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def test_a_large_body_without_its_length_is_cut_off(url):
    chunk = b"%x\r\n" % 10_000 + b"x" * 10_000 + b"\r\n"
    answer = raw(url, b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunk * 3 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_client_that_asks_first_need_not_send_a_large_body(url):
    answer = raw(url, b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 99000000\r\nexpect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_come_is_given_up(url):
    answer = raw(url, b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_client_that_goes_away_does_no_harm(url):
    raw(url, b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{", close_early=True)
    assert call(f"{url}/predict", ROW).status == 200


def test_unknown_paths_and_methods_answer_in_the_same_form(url):
    assert (call(f"{url}/nothing").status, error_of(call(f"{url}/nothing"))["message"]) == (404, "Not Found")
    assert call(f"{url}/predict").status == 405


# --- faults ----------------------------------------------------------------------------------------------------------------


def test_a_dead_triton_is_503_until_it_is_back(run, service_of):
    server = TritonServer(run / "triton", model="embedding", version=1, log_file=run / "second.log")
    with server, running(service_of(server.url)) as address:
        before = call(f"{address}/predict", ROW).json
        assert call(f"{address}/health").json["ready"] is True
        server.process.send_signal(signal.SIGKILL)
        server.stop()
        for _ in range(3):
            answer = call(f"{address}/predict", ROW)
            assert (answer.status, answer.headers["retry-after"], error_of(answer)["kind"]) == (503, "1", "triton_unreachable")
        health = call(f"{address}/health")
        assert (health.status, health.json["live"], health.json["triton"]["ready"]) == (503, True, False)
        assert call(f"{address}/health/live").status == 200
        server.start()
        assert call(f"{address}/predict", ROW).json == before
        assert call(f"{address}/health").status == 200


def test_a_triton_without_the_model_is_503(triton, service_of, tmp_path):
    other = configuration(model="other")
    export_run(run_folder(tmp_path, FEATURES, numeric=2), FEATURES, other)
    with running(service_of(triton.url, repository=tmp_path / "triton", triton=other.serving.triton)) as address:
        answer = call(f"{address}/predict", ROW)
        assert (answer.status, error_of(answer)["kind"]) == (503, "triton_error")
        assert "unknown model" in error_of(answer)["message"]


def test_a_triton_that_never_answers_is_503(triton, session, service_of):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with running(service_of(f"127.0.0.1:{silent.getsockname()[1]}", session, timeout_s=0.3)) as address:
            answer = call(f"{address}/predict", ROW)
    assert (answer.status, error_of(answer)["kind"]) == (503, "triton_unreachable")


def test_an_apiserver_that_is_not_there_is_503(triton, session, service_of):
    source = OpenMLDBSource(FEATURES, endpoint=f"http://127.0.0.1:{free_port()}", deployment="demo", timeout_s=1)
    with running(service_of(triton.url, session, source)) as address:
        answer = call(f"{address}/predict", ROW)
        assert (answer.status, error_of(answer)["kind"]) == (503, "features_unreachable")
        assert call(f"{address}/health").json["features"] == {"source": "openmldb", "ready": False}


def test_a_bug_is_500_and_the_service_lives_on(triton, session, caplog, monkeypatch, service_of):
    with running(service_of(triton.url, session)) as address:
        monkeypatch.setattr(session, "compute_rows", lambda rows: 1 / 0)
        answer = call(f"{address}/predict", ROW)
        assert (answer.status, error_of(answer)["kind"]) == (500, "internal")
        assert "division" not in answer.body.decode()
        assert "ZeroDivisionError" in caplog.text
        monkeypatch.undo()
        assert call(f"{address}/predict", ROW).status == 200


# --- around it -------------------------------------------------------------------------------------------------------------


def test_metrics(triton, session, service_of):
    with running(service_of(triton.url, session)) as address:
        call(f"{address}/predict", [row(1), row(2)])
        call(f"{address}/predict", b"{")
        answer = call(f"{address}/metrics")
        lines = answer.body.decode().splitlines()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {
        'jdrec_requests_total{path="/predict",status="200"} 1.0',
        'jdrec_requests_total{path="/predict",status="400"} 1.0',
        'jdrec_errors_total{kind="invalid_json"} 1.0',
        "jdrec_rows_sum 2.0",
        'jdrec_request_seconds_count{path="/predict"} 2.0',
        'jdrec_stage_seconds_count{stage="parse"} 1.0',
        'jdrec_stage_seconds_count{stage="infer"} 1.0',
    } <= set(lines)


def test_the_documentation_page_needs_no_internet(url):
    page = call(f"{url}/docs").body.decode()
    assert "http://" not in page and "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs/assets/{asset}" in page
        assert len(call(f"{url}/docs/assets/{asset}").body) > 10_000


def test_the_openapi_document_describes_the_request_table(url):
    document = call(f"{url}/openapi.json").json
    assert document["openapi"] == "3.0.3"
    one, many = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert (one["required"], one["additionalProperties"]) == (list(COLUMNS), False)
    assert many["maxItems"] == 50
    example = {name: schema["example"] for name, schema in one["properties"].items()}
    assert call(f"{url}/predict", example).status == 200
    assert "nullable" not in one["properties"]["at"]
    assert one["properties"]["user"]["nullable"] is True


def test_limits_that_contradict_triton_are_a_configuration_error(session, tmp_path):
    serving = ServingConfig(max_rows=20, triton=TritonConfig(max_batch_size=10))
    with pytest.raises(ConfigError, match="max_batch_size is 10"):
        service_on(FEATURES, EmbeddedSource(FEATURES, session), "127.0.0.1:1", tmp_path, serving)


# --- candidates ------------------------------------------------------------------------------------------------------------


def test_candidates_are_ranked_by_the_scores_that_predict_gives(triton, service_of):
    config = CandidatesConfig(column="user", derive={"id": "{at}-{user}"}, top=3)
    users = [f"u{number}" for number in range(20)]
    context = {name: value for name, value in ROW.items() if name not in ("id", "user")}
    with running(service_of(triton.url, candidates=config, batching=BatchingConfig(max_rows=8))) as address:
        rows = [{**context, "user": user, "id": f"{ROW['at']}-{user}"} for user in users]
        scores = [prediction["score"] for prediction in call(f"{address}/predict", rows).json["predictions"]]
        answer = call(f"{address}/candidates?features=true", {"context": context, "candidates": users}).json
        everything = call(f"{address}/candidates", {"context": context, "candidates": users, "top": 100}).json["candidates"]
        document = call(f"{address}/openapi.json").json
    best = sorted(range(20), key=lambda place: -scores[place])
    assert (answer["scored"], [item["index"] for item in answer["candidates"]]) == (20, best[:3])
    assert [item["rank"] for item in answer["candidates"]] == [1, 2, 3]
    for item in answer["candidates"]:
        user = users[item["index"]]
        assert (item["candidate"], item["id"], item["features"]["f_user"]) == (user, f"{ROW['at']}-{user}", user)
        assert item["score"] == pytest.approx(scores[item["index"]], abs=1e-6)
    assert sorted(item["index"] for item in everything) == list(range(20)) and "features" not in everything[0]
    assert [item["score"] for item in everything] == sorted((item["score"] for item in everything), reverse=True)
    body = document["paths"]["/candidates"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["top"]["default"] == 3
