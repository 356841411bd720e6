"""A stand-in for OpenMLDB's APIServer on loopback. It checks the protocol as the documentation of its REST API states it, and

computes nothing: answers are given by the test. What it refuses, it refuses in the APIServer's way: HTTP 200 with a code.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Seen:
    method: str
    path: str
    body: Any


@dataclass
class ApiServer:
    """One database with one deployment and one table; `answer` gets the input rows and returns (status, bytes)."""

    database: str
    deployment: str
    table: str
    columns: int
    answer: Callable[[list[list[Any]]], tuple[int, bytes]]
    seen: list[Seen] = field(default_factory=list)
    rows_a_put: int = 1

    def __enter__(self) -> ApiServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes

            def do_GET(self) -> None:
                self._handle()

            do_POST = do_PUT = do_GET

            def _handle(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length", 0)))
                body = json.loads(content) if content else None
                outer.seen.append(Seen(self.command, self.path, body))
                status, answer = outer.respond(self.command, self.path, body)
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def respond(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        if path == f"/dbs/{self.database}/deployments/{self.deployment}":
            if method == "GET":
                return ok({"data": {"name": self.deployment}})
            rows = body.get("input") if isinstance(body, dict) else None
            if method != "POST" or not isinstance(rows, list) or not rows:
                return refused("Invalid input")
            if not all(isinstance(row, list) and len(row) == self.columns for row in rows):
                return refused("Invalid input data row")
            return self.answer(rows)
        if path == f"/dbs/{self.database}/tables/{self.table}" and method == "PUT":
            rows = body.get("value") if isinstance(body, dict) else None
            if not isinstance(rows, list) or not 1 <= len(rows) <= self.rows_a_put or len(rows[0]) != self.columns:
                return refused("Invalid value in body, only support to put one row")
            return ok({})
        return refused("deployment not found" if "/deployments/" in path else "Invalid path")


def ok(value: dict[str, Any]) -> tuple[int, bytes]:
    return 200, json.dumps({"code": 0, "msg": "ok", **value}).encode()


def refused(message: str) -> tuple[int, bytes]:
    return 200, json.dumps({"code": -1, "msg": message}).encode()
