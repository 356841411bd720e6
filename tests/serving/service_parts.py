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

from jdrec.config import AccessLogConfig, ServingConfig
from jdrec.dataset.tables import open_tables
from jdrec.features.spec import FeatureSet
from jdrec.online.session import RequestSession
from jdrec.serving.access_log import AccessLog
from jdrec.serving.app import App
from jdrec.serving.features import FeatureSource
from jdrec.serving.inference import TritonServerClient
from jdrec.serving.models import Models
from jdrec.serving.request_log import RequestLog
from jdrec.serving.server import listen, server_of, url_of
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
def running(service: Service, access_log: Path | None = None) -> Iterator[str]:
    """The URL of the service, which runs in a thread until the end of the block."""
    listener = listen("127.0.0.1", 0)
    app = App(service, AccessLog(service.serving.access_log, access_log or Path()))
    opened = threading.Event()
    app.when_open = opened.set
    server = server_of(app, timeout_s=service.serving.timeout_s, max_connections=service.serving.max_connections)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not opened.wait(0.02) and thread.is_alive():
            pass
        if app.failure is not None:
            raise app.failure
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()


def service_on(
    feature_set: FeatureSet,
    source: FeatureSource,
    triton_url: str,
    repository: Path,
    serving: ServingConfig,
    request_log: RequestLog | None = None,
) -> Service:
    """A service of the models in a repository, version 1 of `serving.triton.model` first."""
    triton = TritonServerClient(triton_url, timeout_s=serving.timeout_s)
    models = Models(repository, feature_set, triton, (serving.triton.model, serving.triton.version))
    return Service(feature_set, source, triton, models, serving, request_log)


NO_LOG = AccessLogConfig(file=None)


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
