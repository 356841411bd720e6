"""Keys, ids of requests, logs, back-pressure, clients that do not behave, and an orderly end."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from jdrec.config import AccessLogConfig, BatchingConfig, RequestLogConfig, ServingConfig
from jdrec.errors import ServingError
from jdrec.online.session import RequestSession
from jdrec.serving.access_log import request_id
from jdrec.serving.features import EmbeddedSource
from jdrec.serving.request_log import RequestLog, files, read
from jdrec.serving.service import Service
from jdrec.serving.triton import TritonServer
from tests.serving.service_parts import NO_LOG, call, running, service_on, session_of
from tests.serving.small_definitions import ROW, every_type
from tests.serving.small_models import encoder
from tests.serving.test_triton_process import wait_for

pytestmark = pytest.mark.triton

FEATURES = every_type()
SERVING = ServingConfig(access_log=NO_LOG, timeout_s=3.0, max_rows=100)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> RequestSession:
    return session_of(FEATURES, [ROW], tmp_path_factory.mktemp("tables"))


class Gate:
    """A way to Triton that can be shut: what is sent then waits."""

    def __init__(self, triton: TritonServer):
        self.open, self._triton = threading.Event(), triton
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._triton.port))
            threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, gated: bool) -> None:
        try:
            while data := source.recv(65536):
                if gated:
                    self.open.wait()
                target.sendall(data)
        except OSError:
            pass
        target.close()

    def close(self) -> None:
        self.open.set()
        self._listener.close()


@pytest.fixture
def gate(triton) -> Iterator[Gate]:
    result = Gate(triton)
    yield result
    result.close()


def service_of(run: Path, session: RequestSession, url: str, request_log: RequestLog | None = None, **limits) -> Service:
    serving = msgspec.structs.replace(SERVING, **limits)
    return service_on(FEATURES, EmbeddedSource(FEATURES, session), url, run / "triton", serving, request_log)


# --- who may ask -----------------------------------------------------------------------------------------------------------


def test_a_key_from_the_environment(run, triton, session, monkeypatch):
    monkeypatch.setenv("TEST_API_KEY", "sesame")
    with running(service_of(run, session, triton.url, api_key_env="TEST_API_KEY")) as url:
        for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "Basic sesame"}, {"x-api-key": "Sesame"}):
            answer = call(f"{url}/predict", ROW, headers=headers)
            assert (answer.status, answer.json["error"]["kind"]) == (401, "unauthorized")
            assert call(f"{url}/models", headers=headers).status == 401
        for headers in ({"authorization": "Bearer sesame"}, {"x-api-key": "sesame"}):
            assert call(f"{url}/predict", ROW, headers=headers).status == 200
            assert call(f"{url}/models", headers=headers).status == 200
        assert call(f"{url}/health").status == call(f"{url}/metrics").status == 200
        assert call(f"{url}/openapi.json").json["security"] == [{"key": []}]


def test_an_empty_key_is_a_mistake(run, session, monkeypatch):
    monkeypatch.delenv("TEST_API_KEY", raising=False)
    with pytest.raises(ServingError, match="TEST_API_KEY is empty"):
        service_of(run, session, "127.0.0.1:1", api_key_env="TEST_API_KEY")


def test_others_may_not_change_models_without_a_key(run, triton, session):
    with running(service_of(run, session, triton.url, host="0.0.0.0")) as url:
        answer = call(f"{url}/models/reload", {}, headers={"content-type": "application/json"})
        assert (answer.status, answer.json["error"]["kind"]) == (403, "forbidden")
        assert call(f"{url}/predict", ROW).status == 200


# --- logs ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [b"", b"two words", b"a\tb", b"x" * 129, b'"', "ü".encode(), b"<script>"])
def test_insane_ids_of_requests_are_replaced(given):
    assert len(request_id(given)) == 16 and request_id(given) != request_id(given)


def test_a_line_for_each_call(run, triton, session, tmp_path):
    with running(service_of(run, session, triton.url, access_log=AccessLogConfig(file="calls.jsonl")), tmp_path) as url:
        answer = call(f"{url}/predict", [ROW, ROW], headers={"x-request-id": "mine-1"})
        assert answer.headers["x-request-id"] == "mine-1"
        other = call(f"{url}/predict", b"{", headers={"x-request-id": "not sane"})
        assert other.headers["x-request-id"] not in ("not sane", "")
    first, second = map(json.loads, (tmp_path / "calls.jsonl").read_text().splitlines())
    assert (first["request_id"], first["path"], first["status"], first["rows"]) == ("mine-1", "/predict", 200, 2)
    assert (first["model"], first["version"], first["batch_rows"]) == ("embedding", 1, 2)
    assert 0 < first["features_ms"] + first["encode_ms"] + first["infer_ms"] <= first["ms"]
    assert (second["request_id"], second["status"], second["error"]) == (other.headers["x-request-id"], 400, "invalid_json")


def test_scored_requests_in_parquet(run, triton, session, tmp_path):
    config = RequestLogConfig(dir="x", rows_per_file=3, max_files=2)
    rows = [{**ROW, "id": f"r{number}", "rate": number / 8, "user": None if number == 2 else f"u{number}"} for number in range(4)]
    with RequestLog(tmp_path, FEATURES, config) as log, running(service_of(run, session, triton.url, log)) as url:
        for number, row in enumerate(rows):
            assert call(f"{url}/predict", [row, row] if number == 3 else row, headers={"x-request-id": f"c{number}"}).status == 200
    logged = pa.Table.from_batches(list(read(tmp_path))).to_pylist()
    assert [(row["request_id"], row["row"], row["request.id"]) for row in logged] == [
        ("c0", 0, "r0"),
        ("c1", 0, "r1"),
        ("c2", 0, "r2"),
        ("c3", 0, "r3"),
        ("c3", 1, "r3"),
    ]
    assert [row["request.user"] for row in logged] == [row["feature.f_user"] for row in logged] == ["u0", "u1", None, "u3", "u3"]
    assert {(row["model"], row["version"], row["stored"]) for row in logged} == {("embedding", 1, None)}
    batch = session.compute([{name: row[f"request.{name}"] for name in FEATURES.request.columns} for row in logged])
    assert [row["ids"] for row in logged] == encoder(FEATURES).encode(batch).tolist()
    assert all(0 < row["score"] < 1 for row in logged)
    assert not list(tmp_path.glob(".*"))


def test_the_request_log_is_bounded(run, triton, session, tmp_path):
    config = RequestLogConfig(dir="x", rows_per_file=1, max_files=2, max_waiting_rows=5)
    log = RequestLog(tmp_path, FEATURES, config)
    with running(service_of(run, session, triton.url, log)) as url:
        for number in range(8):
            call(f"{url}/predict", {**ROW, "id": f"r{number}"})
        assert "jdrec_request_log_dropped_rows_total 3.0" in call(f"{url}/metrics").body.decode()
        with log:  # it writes only now
            wait_for(lambda: len(files(tmp_path)) == 1)
            for number in (8, 9):
                call(f"{url}/predict", {**ROW, "id": f"r{number}"})
                wait_for(lambda number=number: any(f"r{number}" in batch["request.id"].to_pylist() for batch in read(tmp_path)))
    assert len(files(tmp_path)) == 2


# --- too much --------------------------------------------------------------------------------------------------------------


@contextmanager
def calls_waiting(url: str, count: int) -> Iterator[list[int]]:
    """So many calls on their way; their statuses once the block is over."""
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(call(f"{url}/predict", ROW).status)) for _ in range(count)]
    for thread in threads:
        thread.start()
    wait_for(lambda: f"jdrec_open_calls {count}.0" in call(f"{url}/metrics").body.decode())
    yield statuses
    for thread in threads:
        thread.join()


def test_more_rows_than_may_wait_are_429(run, gate, session):
    batching = BatchingConfig(in_flight=1, max_queued_rows=2)
    with running(service_of(run, session, gate.url, batching=batching)) as url:
        assert call(f"{url}/predict", ROW).status == 200
        gate.open.clear()
        with calls_waiting(url, 3) as statuses:
            answer = call(f"{url}/predict", ROW)
            assert (answer.status, answer.headers["retry-after"], answer.json["error"]["kind"]) == (429, "1", "queue_full")
            gate.open.set()
        assert statuses == [200] * 3
        assert call(f"{url}/predict", ROW).status == 200


def test_more_calls_than_may_be_open_are_429(run, gate, session):
    with running(service_of(run, session, gate.url, max_calls=2)) as url:
        call(f"{url}/predict", ROW)
        gate.open.clear()
        with calls_waiting(url, 2) as statuses:
            answer = call(f"{url}/predict", ROW)
            assert (answer.status, answer.json["error"]["kind"]) == (429, "too_many_calls")
            assert call(f"{url}/health/live").status == 200
            gate.open.set()
        assert statuses == [200, 200]


def test_a_queue_that_does_not_move_is_503_in_time(run, gate, session):
    with running(service_of(run, session, gate.url, timeout_s=0.4, batching=BatchingConfig(in_flight=1))) as url:
        call(f"{url}/predict", ROW)
        gate.open.clear()
        begin = time.monotonic()
        with calls_waiting(url, 4) as statuses:
            pass
        assert set(statuses) == {503}
        assert time.monotonic() - begin < 5
        gate.open.set()
        assert call(f"{url}/predict", ROW).status == 200


def test_what_was_accepted_is_finished(run, gate, session):
    with running(service_of(run, session, gate.url)) as url:
        call(f"{url}/predict", ROW)
        gate.open.clear()
        waiting = calls_waiting(url, 3)
        statuses = waiting.__enter__()
        threading.Timer(0.5, gate.open.set).start()
    waiting.__exit__(None, None, None)  # the service was told to stop while they waited
    assert statuses == [200] * 3
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=1)


# --- clients that do not behave --------------------------------------------------------------------------------------------


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


@pytest.mark.parametrize("sent", [b"", b"POST /pre", b"POST /predict HTTP/1.1\r\nhost: x\r\n"])
def test_a_head_that_does_not_come_is_given_up(run, triton, session, sent):
    with running(service_of(run, session, triton.url, timeout_s=0.3)) as url, connect(url) as connection:
        connection.sendall(sent)
        begin = time.monotonic()
        with suppress(ConnectionResetError):
            assert connection.recv(1000) == b""
        assert time.monotonic() - begin < 5
        assert call(f"{url}/predict", ROW).status == 200


def test_connections_beyond_the_limit_are_closed(run, triton, session):
    with running(service_of(run, session, triton.url, max_connections=3)) as url:
        held = [connect(url) for _ in range(3)]
        wait_for(lambda: _is_closed(url))
        for connection in held:
            connection.close()
        wait_for(lambda: not _is_closed(url))


def _is_closed(url: str) -> bool:
    with connect(url) as connection:
        connection.settimeout(0.2)
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


def test_triton_killed_under_load(run, session):
    """Calls are 503 while it is gone and 200 when it is back; none hangs."""
    server = TritonServer(run / "triton", model="embedding", version=1, log_file=run / "killed.log")
    with server, running(service_of(run, session, server.url)) as url:
        seen: list[tuple[int, float]] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                begin = time.monotonic()
                status = call(f"{url}/predict", ROW).status
                seen.append((status, time.monotonic() - begin))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            wait_for(lambda: seen and seen[-1][0] == 200)
            server.process.send_signal(signal.SIGKILL)
            wait_for(lambda: seen[-1][0] == 503)
            server.stop()
            server.start()
            wait_for(lambda: seen[-1][0] == 200)
        stop.set()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        assert {status for status, _ in seen} == {200, 503}
        assert np.max([seconds for _, seconds in seen]) < 2 * SERVING.timeout_s + 1
