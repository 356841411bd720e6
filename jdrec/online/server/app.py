"""The REST protocol of OpenMLDB's APIServer over the embedded online store, as an ASGI application without a framework.

POST /dbs/D/deployments/N   {"input": rows, "need_schema": false, "write_nan_and_inf_null": false} -> features
GET  /dbs/D/deployments/N   its description;  GET /dbs/D/deployments: of all
PUT  /dbs/D/tables/T        {"value": [row]} stores a row, or several
GET  /dbs, /dbs/D/tables, /dbs/D/tables/T;  POST /refresh
GET  /health                what is stored

Answers are {"code": 0, "msg": "ok", ...}; a code that is not 0 says what is wrong in "msg", with HTTP 200, as the APIServer does it.
Source: OpenMLDB documentation, "REST API".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import unquote

from jdrec.config import FeatureServerConfig
from jdrec.errors import DataError, MissingExtra, OnlineError
from jdrec.online.server import catalogue
from jdrec.online.server.refusal import Refused
from jdrec.online.server.rows import AnswerWriter, JsonRows, dumps, parse
from jdrec.online.session import RequestSession

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]

_INLINE_ROWS = 32  # more rows than this are computed beside the event loop
_OK = {"code": 0, "msg": "ok"}


class FeatureServer:
    """See the module.

    Args:
        session: the store; it is closed when the server stops.
        deployment: the name under which the features are asked for.
        sql: what OpenMLDB would deploy, for those who ask.

    Raises:
        MissingExtra: the serving extra is not installed.
    """

    def __init__(self, session: RequestSession, deployment: str, sql: str = "", limits: FeatureServerConfig | None = None):
        try:
            import orjson  # noqa: F401
        except ImportError:
            raise MissingExtra("orjson", "serving") from None
        feature_set = session.feature_set
        self._session, self._limits = session, limits or FeatureServerConfig()
        self._database, self._deployment = feature_set.database, deployment
        self._description = catalogue.deployment(feature_set, deployment, sql)
        self._tables = catalogue.tables(feature_set)
        self._readers = {name: JsonRows(table) for name, table in feature_set.tables.items()}
        self._requests = self._readers[feature_set.request_table]
        self._writer = AnswerWriter(session.names, [feature.type for feature in feature_set.features])
        self.when_open: Callable[[], None] = lambda: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.when_open()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.to_thread(self._session.close)
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            status, body = await self._answer(scope, receive)
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            if status != 200:  # what is left of the body is not read
                headers.append((b"connection", b"close"))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """Whatever goes wrong becomes an answer."""
        try:
            path = [unquote(part) for part in scope["raw_path"].decode("ascii", "replace").split("?")[0].strip("/").split("/")]
            return 200, await self._routed(scope["method"], path, receive)
        except Refused as refused:
            return refused.status, dumps({"code": refused.code, "msg": refused.message})
        except (DataError, OnlineError) as error:
            if isinstance(error, OnlineError):
                log.error("%s", error)
            return 200, dumps({"code": -1, "msg": str(error)})
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            return 500, dumps({"code": -1, "msg": "the server has a bug; its log says more"})

    async def _routed(self, method: str, path: Sequence[str], receive: Receive) -> bytes:
        if method == "HEAD":
            method = "GET"
        if path[0] == "dbs" and len(path) > 1 and path[1] != self._database:
            raise Refused(f"there is no database {path[1]!r:.100}")
        match (method, *path):
            case ("POST", "dbs", _, "deployments", name):
                return await self._compute(name, await self._body(receive), is_procedure=False)
            case ("POST", "dbs", _, "procedures", name):
                return await self._compute(name, await self._body(receive), is_procedure=True)
            case ("PUT", "dbs", _, "tables", name):
                return await self._insert(name, await self._body(receive))
            case ("GET", "dbs"):
                return dumps({**_OK, "dbs": [self._database]})
            case ("GET", "dbs", _, "deployments"):
                return dumps({**_OK, "deployments": [self._description]})
            case ("GET", "dbs", _, "deployments", name):
                self._require_deployment(name)
                return dumps({**_OK, "data": self._description})
            case ("GET", "dbs", _, "procedures", name):
                raise Refused(f"there is no procedure {name!r:.100}, only the deployment {self._deployment!r}")
            case ("GET", "dbs", _, "tables"):
                return dumps({**_OK, "tables": list(self._tables.values())})
            case ("GET", "dbs", _, "tables", name):
                self._require_table(name)
                return dumps({**_OK, "table": self._tables[name]})
            case ("POST", "refresh"):
                return dumps(_OK)  # what it says is never out of date
            case ("GET", "health"):
                return dumps({**_OK, "data": self._session.stats()})
            case ("POST", "dbs", _):
                raise Refused("this server answers no SQL: it has one deployment, and tables that rows are put into")
        raise Refused(f"nothing is at {method} /{'/'.join(path)!s:.100}")

    # --- calls ---------------------------------------------------------------------------------------------------------------

    async def _compute(self, name: str, body: bytes, *, is_procedure: bool) -> bytes:
        self._require_deployment(name)
        asked = parse(body)
        given = self._rows(asked.get("input"), "input")
        if is_procedure and asked.get("common_cols", []) != []:
            raise Refused("the deployment has no common columns: common_cols must be empty")
        rows = [self._requests.read(number, value) for number, value in enumerate(given)]
        if len(rows) <= _INLINE_ROWS:
            computed = self._session.compute_rows(rows)
        else:
            computed = await asyncio.to_thread(self._session.compute_rows, rows)
        without_nan = asked.get("write_nan_and_inf_null") is True
        values = [self._writer.plain(row, without_nan=without_nan) for row in computed]
        data: dict[str, Any] = {}
        if asked.get("need_schema") is True:
            data["schema"] = self._description["output_schema"]
        data["data"] = [self._writer.named(row) for row in values] if isinstance(given[0], dict) else values
        if is_procedure:
            data["common_cols_data"] = []
        return dumps({**_OK, "data": data}, finite=self._writer.is_finite(values))

    async def _insert(self, name: str, body: bytes) -> bytes:
        self._require_table(name)
        given = self._rows(parse(body).get("value"), "value")
        rows = [self._readers[name].read(number, value) for number, value in enumerate(given)]
        await asyncio.to_thread(self._session.insert, name, rows)  # it waits for the disk
        return dumps(_OK)

    def _rows(self, value: Any, name: str) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise Refused(f"{name!r} must be a list of rows, one at least")
        if len(value) > self._limits.max_rows:
            raise Refused(f"{len(value)} rows in one call; at most {self._limits.max_rows} are taken")
        return value

    def _require_deployment(self, name: str) -> None:
        if name != self._deployment:
            raise Refused(f"there is no deployment {name!r:.100}")

    def _require_table(self, name: str) -> None:
        if name not in self._tables:
            raise Refused(f"there is no table {name!r:.100}")

    async def _body(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused("the client closed the connection", status=400)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limits.max_body_bytes:
                raise Refused(f"the body is larger than {self._limits.max_body_bytes} bytes", status=413)
            if not message.get("more_body", False):
                return b"".join(parts)


def create_app(session: RequestSession, deployment: str, sql: str = "", limits: FeatureServerConfig | None = None) -> FeatureServer:
    """The server as an ASGI application."""
    return FeatureServer(session, deployment, sql, limits)
