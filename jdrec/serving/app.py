"""The service on HTTP, as an ASGI application without a framework: on the way of a prediction each layer would cost as much as the scoring.

POST /predict      one row or a list of rows -> scores, with ?features=true also the features
POST /candidates   one context with many products -> the best of them
GET  /models       what is served;  POST /models/reload, /models/rollback change it
GET  /health       200 when predictions can be made, 503 otherwise; /health/live: whether the service itself runs
GET  /metrics      for Prometheus;  /docs, /openapi.json
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from jdrec.errors import MissingExtra
from jdrec.serving import openapi
from jdrec.serving.access_log import AccessLog, request_id
from jdrec.serving.deadline import Deadline, DeadlineExceeded
from jdrec.serving.failures import InvalidRequest, Overloaded, Unavailable
from jdrec.serving.service import Call, Service

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]

_DISCARDED_BYTES = 32 << 20  # so much of a body that is too large is still read, since many clients see no answer before they have sent all
_ALL_STAGES = 2  # times `timeout_s`: each stage has that limit of its own, and a call may wait in the queue besides
_COMPLAIN_EVERY_S = 5.0
_JSON = b"application/json"
_HEADERS = (b"x-request-id", b"authorization", b"x-api-key", b"content-length", b"content-type", b"expect")


class Disconnected(Exception):
    """The client went away before it had sent its body."""


@dataclass
class Answer:
    """What is sent back."""

    status: int
    body: bytes
    type: bytes = _JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    error: str | None = None


class Complaints:
    """Logs what is out of order at most every few seconds: thousands of calls fail for the same reason, and each is in the access log."""

    def __init__(self) -> None:
        self._last, self._left_out = -math.inf, 0

    def add(self, error: Unavailable) -> None:
        now = time.monotonic()
        if now - self._last < _COMPLAIN_EVERY_S:
            self._left_out += 1
            return
        log.warning("%s%s", error, f" ({self._left_out} calls failed since the last message)" if self._left_out else "")
        self._last, self._left_out = now, 0


class App:
    """See the module.

    Raises:
        MissingExtra: the serving extra is not installed.
    """

    def __init__(self, service: Service, access_log: AccessLog):
        try:
            import orjson
            from starlette.staticfiles import StaticFiles
        except ImportError:
            raise MissingExtra("orjson", "serving") from None
        self.service, self.access_log = service, access_log
        self._dumps = orjson.dumps
        self.open_calls = 0
        self._complaints = Complaints()
        self.when_open: Callable[[], None] = lambda: None
        self.failure: Exception | None = None  # why the service did not start
        service.metrics.open_calls.set_function(lambda: self.open_calls)
        self._calls = {"/predict": service.predict, "/candidates": service.candidates}
        self._changes = {"/models/reload": service.reload, "/models/rollback": service.rollback}
        self._pages = {
            "/health": self._health,
            "/health/live": self._live,
            "/metrics": self._metrics,
            "/models": self._models,
            "/docs": self._docs,
            "/openapi.json": self._openapi,
        }
        self._assets = StaticFiles(directory=openapi.assets_folder())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            if method == "POST" and (path in self._calls or path in self._changes):
                await self._call(path, scope, receive, send)
            elif path.startswith(openapi.ASSETS) and method in ("GET", "HEAD"):
                await self._assets({**scope, "path": path.removeprefix(openapi.ASSETS), "root_path": ""}, receive, send)
            else:
                await _send(send, await self._page(path, method, scope), method)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.service.open()
        except Exception as error:
            self.failure = error
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self.when_open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.service.close()
        self.access_log.close()
        await send({"type": "lifespan.shutdown.complete"})

    # --- predictions and changes ---------------------------------------------------------------------------------------

    async def _call(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        begin, received = time.perf_counter(), time.time()
        headers = {name: value for name, value in scope["headers"] if name in _HEADERS}
        query = scope["query_string"]
        call = Call(request_id(headers.get(b"x-request-id")), _parameters(query) if query else {}, received, {})
        self.open_calls += 1
        try:
            answer = await self._guarded(path, call, headers, receive)
        finally:
            self.open_calls -= 1
        seconds = time.perf_counter() - begin
        self.service.metrics.call(path, answer.status, seconds)
        if answer.error is not None:
            self.service.metrics.errors.labels(answer.error).inc()
        answer.headers.append((b"x-request-id", call.request_id.encode()))
        await _send(send, answer)
        if self.access_log.on:
            line = {"time": received, "request_id": call.request_id, "path": path, "status": answer.status, "ms": round(1000 * seconds, 3)}
            if answer.error is not None:
                line["error"] = answer.error
            self.access_log.write(line | call.note)

    async def _guarded(self, path: str, call: Call, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        """Whatever goes wrong becomes an answer, and the service lives on."""
        try:
            self.service.require_key(_key(headers))
            if self.open_calls > self.service.serving.max_calls:
                raise Overloaded(f"{self.open_calls - 1} calls are being answered.", kind="too_many_calls")
            body = await self._body(headers, receive)
            if path in self._changes:
                self.service.require_administrator(headers.get(b"content-type"))
                return self._json(await self._changes[path](call, body))
            with Deadline(_ALL_STAGES * self.service.serving.timeout_s):
                answer = await self._calls[path](call, body)
            return self._json(answer)
        except InvalidRequest as error:
            return self._error(error.status, error.kind, error.message, error.details)
        except Overloaded as error:
            return self._error(429, error.kind, error.message, retry_after_s=error.retry_after_s)
        except Unavailable as error:
            self._complaints.add(error)
            return self._error(503, error.kind, error.message, retry_after_s=error.retry_after_s)
        except DeadlineExceeded:
            message = f"The answer was not ready within {_ALL_STAGES * self.service.serving.timeout_s:g} s."
            return self._error(503, "timeout", message, retry_after_s=1)
        except Disconnected:
            return self._error(400, "disconnected", "The client closed the connection.")
        except Exception:
            log.exception("%s: a call of %s failed", call.request_id, path)
            return self._error(500, "internal", "The service has a bug; its log says more.")

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        limit = self.service.serving.max_body_bytes
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit and b"expect" in headers:  # who waits for our "100 continue" need not send at all
            raise InvalidRequest(f"The body is larger than {limit} bytes.", status=413, kind="body_too_large")
        try:
            with Deadline(self.service.serving.timeout_s):
                message = await receive()
                if not message.get("more_body", False) and len(body := message.get("body", b"")) <= limit:
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    return body
                return await _rest(message, receive, limit)
        except DeadlineExceeded:
            raise InvalidRequest("The body did not arrive in time.", status=408, kind="slow_body") from None

    def _json(self, value: Any, status: int = 200) -> Answer:
        return Answer(status, self._dumps(value))

    def _error(
        self, status: int, kind: str, message: str, details: list[dict[str, Any]] | None = None, *, retry_after_s: int | None = None
    ) -> Answer:
        answer = self._json({"error": {"kind": kind, "message": message, "details": details or []}}, status)
        answer.error = kind
        if status in (401, 403, 408, 413, 429) or kind == "disconnected":  # what is left of the body is not read
            answer.headers.append((b"connection", b"close"))
        if retry_after_s is not None:
            answer.headers.append((b"retry-after", str(retry_after_s).encode()))
        return answer

    # --- pages ---------------------------------------------------------------------------------------------------------

    async def _page(self, path: str, method: str, scope: Scope) -> Answer:
        if path in self._pages:
            if method not in ("GET", "HEAD"):
                return self._not_allowed("GET, HEAD")
            return await self._pages[path](scope)
        if path in self._calls or path in self._changes:
            return self._not_allowed("POST")
        return self._error(404, "http", HTTPStatus.NOT_FOUND.phrase)

    def _not_allowed(self, methods: str) -> Answer:
        answer = self._error(405, "http", HTTPStatus.METHOD_NOT_ALLOWED.phrase)
        answer.headers.append((b"allow", methods.encode()))
        return answer

    async def _health(self, scope: Scope) -> Answer:
        state = await self.service.health()
        return self._json(state, 200 if state["ready"] else 503)

    async def _live(self, scope: Scope) -> Answer:
        return self._json({"live": True})

    async def _metrics(self, scope: Scope) -> Answer:
        return Answer(200, self.service.metrics.text(), b"text/plain; version=0.0.4; charset=utf-8")

    async def _models(self, scope: Scope) -> Answer:
        try:
            self.service.require_key(_key(dict(scope["headers"])))
        except InvalidRequest as error:
            return self._error(error.status, error.kind, error.message)
        return self._json(self.service.models.describe())

    async def _docs(self, scope: Scope) -> Answer:
        return Answer(200, openapi.page().encode(), b"text/html; charset=utf-8")

    async def _openapi(self, scope: Scope) -> Answer:
        return self._json(openapi.document(self.service.feature_set, self.service.serving))


def _key(headers: dict[bytes, bytes]) -> bytes | None:
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key")


def _parameters(query: bytes) -> dict[str, str]:
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


async def _rest(message: Message, receive: Receive, limit: int) -> bytes:
    """The body that began with a message."""
    body, size = bytearray(), 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        size += len(message.get("body", b""))
        if size <= limit:
            body += message.get("body", b"")
        if not message.get("more_body", False) or size > limit + _DISCARDED_BYTES:
            break
        message = await receive()
    if size > limit:
        raise InvalidRequest(f"The body is larger than {limit} bytes.", status=413, kind="body_too_large")
    return bytes(body)


async def _send(send: Send, answer: Answer, method: str = "POST") -> None:
    headers = [(b"content-type", answer.type), (b"content-length", str(len(answer.body)).encode()), *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
