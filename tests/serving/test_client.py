"""task=predict: what is sent, what is printed, and what goes wrong."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from jdrec.config import Config
from jdrec.errors import ServingError, StageError
from jdrec.serving import client
from jdrec.serving.triton import free_port
from tests.serving.small_models import configuration


def config_for(port: int, request: str | None = None, host: str = "127.0.0.1") -> Config:
    config = configuration()
    serving = msgspec.structs.replace(config.serving, host=host, port=port, timeout_s=5.0)
    return msgspec.structs.replace(config, serving=serving, request=request)


@contextmanager
def answering(status: int, content: bytes) -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    """A server that answers every POST so, and what it got."""
    seen: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


ANSWER = {
    "model": "embedding",
    "version": "1",
    "predictions": [
        {"reqId": "u_p_t", "score": 0.006222, "features": {"a": "u_p_t", "b": 1459419080000, "c": None, "d": 0.0192, "e": "1,,NULL"}},
        {"reqId": "other", "score": 0.5, "features": {"a": "x" * 60, "b": "y" * 60}},
    ],
}
PRINTED = f"""\
{" ins ".center(100, "-")}
['u_p_t' 1459419080000 None 0.0192 '1,,NULL']
{" score of u_p_t ".center(100, "-")}
0.006222
{" ins ".center(100, "-")}
['{"x" * 60}'
 '{"y" * 60}']
{" score of other ".center(100, "-")}
0.500000
"""


def test_a_request_from_a_file(tmp_path, capsys):
    (tmp_path / "request.json").write_text('{"reqId": "u_p_t"}')
    with answering(200, json.dumps(ANSWER).encode()) as (port, seen):
        client.predict(config_for(port, str(tmp_path / "request.json")))
    assert seen == [("/predict?features=true", b'{"reqId": "u_p_t"}')]
    assert capsys.readouterr().out == PRINTED


def test_a_request_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[]")))
    with answering(200, json.dumps({**ANSWER, "predictions": []}).encode()) as (port, seen):
        client.predict(config_for(port, "-", host="0.0.0.0"))
    assert seen[0][1] == b"[]"


def test_a_refusal_is_shown_with_its_details():
    detail = {"row": 0, "field": "usr", "message": "is not a column of the request table", "expected": None, "hint": "Did you mean 'user'?"}
    content = json.dumps({"error": {"kind": "invalid_row", "message": "row 0 is wrong", "details": [detail]}}).encode()
    with answering(422, content) as (port, _), pytest.raises(ServingError) as error:
        client.ask(f"http://127.0.0.1:{port}", b"{}", timeout_s=5)
    assert str(error.value) == (
        "The prediction service answered 422: row 0 is wrong\n  row 0, 'usr' is not a column of the request table. Did you mean 'user'?"
    )


def test_something_else_on_the_port():
    with answering(404, b"<html>") as (port, _), pytest.raises(ServingError, match="answered 404: <html>"):
        client.ask(f"http://127.0.0.1:{port}", b"{}", timeout_s=5)
    with answering(200, b"<html>") as (port, _), pytest.raises(ServingError, match="not a prediction service"):
        client.ask(f"http://127.0.0.1:{port}", b"{}", timeout_s=5)


def test_no_service_says_how_to_start_one(tmp_path):
    (tmp_path / "request.json").write_text("{}")
    with pytest.raises(ServingError, match=r"does not answer: .*refused.*task=serve"):
        client.predict(config_for(free_port(), str(tmp_path / "request.json")))


def test_no_request():
    with pytest.raises(StageError, match="request=FILE"):
        client.predict(config_for(8887))
    with pytest.raises(StageError, match=r"nowhere\.json can't be read: No such file"):
        client.predict(config_for(8887, "nowhere.json"))


def test_an_unknown_port():
    with pytest.raises(ServingError, match="port of the service is not known"):
        client.service_url(config_for(0))


def test_addresses():
    assert client.service_url(config_for(8887)) == "http://127.0.0.1:8887"
    assert client.service_url(config_for(1, host="::1")) == "http://[::1]:1"
