"""A prediction service on a loopback port for tests, and what it is made of."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jdrec.dataset.tables import open_tables
from jdrec.features.spec import FeatureSet
from jdrec.online.session import RequestSession
from jdrec.serving.run import _listen, _server, _url
from jdrec.serving.service import Service
from tests.serving.small_definitions import write_requests


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def running(service: Service) -> Iterator[str]:
    """The URL of the service, which runs in a thread until the end of the block."""
    listener = _listen("127.0.0.1", 0)
    server = _server(service, 1.0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield _url(listener)
    finally:
        server.should_exit = True
        thread.join()


def call(url: str, body: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None) -> Answer:
    """GET, or POST of bytes or of JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


def session_of(feature_set: FeatureSet, stored: list[dict[str, Any]], folder: Path) -> RequestSession:
    """A session whose table `requests` holds these rows, written to `folder` first."""
    write_requests(folder, stored)
    return RequestSession(feature_set, open_tables(feature_set, folder, feature_set.timezone))
