"""Bodies and clients of every kind against a service in a process of its own: no 500, no crash, and memory back to where it was."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import REPO
from tests.serving.from_openapi import calls, spoilt
from tests.serving.service_parts import call
from tests.serving.small_definitions import ROW, every_type, write_requests
from tests.serving.small_models import configuration, export_run, run_folder
from tests.serving.test_triton_process import wait_for

pytestmark = pytest.mark.triton

FEATURES = every_type()
SERVE = """
import sys
from pathlib import Path
import msgspec
from jdrec.config import CandidatesConfig
from jdrec.serving.run import serve
from tests.serving.small_definitions import every_type
from tests.serving.small_models import configuration
config = configuration(http_port=0)
candidates = CandidatesConfig(column="user", derive={"id": "{user}-{count}"})
serving = msgspec.structs.replace(config.serving, port=0, timeout_s=2.0, max_rows=50, max_body_bytes=20_000, candidates=candidates)
dataset = msgspec.structs.replace(config.dataset, root=sys.argv[1])
serve(msgspec.structs.replace(config, serving=serving, dataset=dataset), Path(sys.argv[1]), every_type())
"""


class Running:
    """The service's process and a kept connection to it."""

    def __init__(self, process: subprocess.Popen, url: str):
        self.process, self.url = process, url
        self.address = url.removeprefix("http://")
        self._connection = http.client.HTTPConnection(self.address, timeout=20)

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        for _ in range(2):
            try:
                self._connection.request("POST", path, body)
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except (http.client.HTTPException, OSError):  # the service closes a connection whose body it did not read
                self._connection.close()
        raise AssertionError("the service does not answer")

    def memory_mib(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * 4096 / 2**20


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Running]:
    folder = run_folder(tmp_path_factory.mktemp("run"), FEATURES, numeric=2)
    export_run(folder, FEATURES, configuration())
    write_requests(folder, [ROW])
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(folder)], cwd=REPO, stdout=subprocess.PIPE, text=True)
    try:
        announced = ""
        while "Ctrl-C" not in announced:
            line = process.stdout.readline()
            assert line, "the service did not start"
            announced += line
        yield Running(process, re.search(r"Prediction service +(\S+)", announced)[1])
        assert process.poll() is None, "the service ended by itself"
    finally:
        process.terminate()
        process.communicate(timeout=30)


# --- bodies ----------------------------------------------------------------------------------------------------------------

SPOILT = 4  # bodies made of one by changing its bytes
ALLOWED = {200, 400, 404, 413, 422}
CALLS = {"/predict": ALLOWED, "/candidates": ALLOWED, "/models/reload": {415}, "/models/rollback": {415}}  # no content type is sent


def fuzz(service: Running, bodies: int) -> Counter[int]:
    """Sends calls made of the service's own description; counts their statuses."""
    document = json.loads(call(f"{service.url}/openapi.json").body)
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=-(-bodies // (1 + SPOILT)),
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(document), st.integers(0, 2**32))
    def one(made: tuple[str, str, bytes], seed: int) -> None:
        path, asked, body = made
        for sent in (body, *(spoilt(body, seed + number) for number in range(SPOILT))):
            status, answer = service.post(asked, sent)
            assert status in CALLS[path] and str(status) in document["paths"][path]["post"]["responses"], (asked, sent, answer)
            if status != 200:
                assert json.loads(answer)["error"]["message"]
            statuses[status] += 1

    one()
    return statuses


def assert_alive(service: Running) -> None:
    assert service.process.poll() is None
    status, answer = service.post("/predict", json.dumps(ROW).encode())
    assert status == 200 and 0 < json.loads(answer)["predictions"][0]["score"] < 1


def test_bodies_of_every_kind(service):
    statuses = fuzz(service, 400)
    assert statuses[200] > 10 and statuses[422] > 10 and statuses[400] > 10
    assert_alive(service)


@pytest.mark.slow
def test_ten_thousand_bodies_and_memory_is_back(service):
    fuzz(service, 400)
    before = service.memory_mib()
    statuses = fuzz(service, 10_000)
    assert sum(statuses.values()) >= 10_000 and min(statuses[status] for status in (200, 400, 422)) > 300, statuses
    assert_alive(service)
    assert service.memory_mib() < before + 16


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000,
        b'{"a":' * 3_000,
        b'{"id": NaN}',
        b"[NaN, Infinity]",
        b"9" * 15_000,
        json.dumps({**ROW, "big": 10**300}).encode(),
        json.dumps({**ROW, "user": "\ud800"}).encode(),
        json.dumps(ROW).encode("utf-16"),
        json.dumps({**ROW, "user": "é"}, ensure_ascii=False).encode("latin-1"),
        b"\x00" * 100,
        b"",
    ],
)
def test_bodies_that_have_broken_others(service, body):
    for path in ("/predict", "/candidates"):
        status, answer = service.post(path, body)
        assert status in (400, 422), answer
    assert_alive(service)


def test_a_row_whose_numbers_overflow_in_the_network_is_the_callers_mistake(service):
    far = {**ROW, "rate": -9.449242619061589e37, "score_hint": 3.390457344187248e16}
    status, answer = service.post("/predict", json.dumps(far).encode())
    assert status == 422 and json.loads(answer)["error"]["kind"] == "invalid_row" and b"A row has no score" in answer
    assert_alive(service)


# --- clients ---------------------------------------------------------------------------------------------------------------


def connect(service: Running) -> socket.socket:
    host, port = service.address.split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def received(connection: socket.socket) -> bytes:
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def test_a_hundred_megabytes(service):
    before = service.memory_mib()
    with connect(service) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b"x" * 1_000_000)
        except OSError:  # the service has closed the connection
            pass
        answer = received(connection)
    assert not answer or answer.startswith(b"HTTP/1.1 413")
    assert_alive(service)
    assert service.memory_mib() < before + 16


def test_a_body_byte_by_byte_is_given_up_and_others_are_answered(service):
    slow = [connect(service) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    assert_alive(service)
    for connection in slow:
        assert received(connection).startswith(b"HTTP/1.1 408")
        connection.close()


def test_clients_that_go_away_at_every_point(service):
    body = json.dumps(ROW).encode()
    request = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    for length in range(0, len(request) + 1, 7):
        with connect(service) as connection:
            connection.sendall(request[:length])
    for _ in range(50):  # the whole of it, and gone before the answer
        with connect(service) as connection:
            connection.sendall(request)
    assert_alive(service)
    wait_for(lambda: "jdrec_open_calls 0.0" in call(f"{service.url}/metrics").body.decode())


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\n" + b"a: " + b"b" * 200_000 + b"\r\n\r\n",
        b"POST /%ff%00predict?%ff=%00&features=%e2%82 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_what_is_hardly_http(service, sent):
    with connect(service) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = received(connection)
    assert not answer or re.match(rb"HTTP/1\.1 4\d\d ", answer), answer
    assert_alive(service)


def test_pipelined_calls_are_answered_in_order(service):
    body = json.dumps(ROW).encode()
    request = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with connect(service) as connection:
        connection.sendall(request * 20)
        data = b""
        while data.count(b'"predictions"') < 20:
            data += connection.recv(65536)
    assert data.count(b"HTTP/1.1 200") == 20
