"""Servers on loopback that compute with a real session: OpenMLDB's APIServer as its documentation has it, and a prediction service."""

from __future__ import annotations

import datetime
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa

from jdrec.features.types import SqlType
from jdrec.online.session import RequestSession
from jdrec.stages import Run
from jdrec.verify.offline import model_of
from tests.serving.api_server import ApiServer, ok, refused

Row = dict[str, Any]


def empty_session(run: Run, preload: tuple[str, ...] = ()) -> RequestSession:
    return RequestSession(run.feature_set, run.tables, preload=preload)


@dataclass
class StoredApiServer(ApiServer):
    """The stand-in of the serving tests, with a store behind it: one row a PUT, dates unpadded, as the APIServer has them."""

    run: Run = None  # type: ignore[assignment]
    session: RequestSession = None  # type: ignore[assignment]
    takes_many: bool = False
    puts: dict[str, int] = field(default_factory=dict)  # calls by table

    def respond(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        table = path.removeprefix(f"/dbs/{self.database}/tables/")
        if method == "PUT" and table in self.run.feature_set.tables:
            self.puts[table] = self.puts.get(table, 0) + 1
            columns, rows = self.run.feature_set.tables[table].columns, body["value"]
            if not rows or (len(rows) > 1 and not self.takes_many) or any(len(row) != len(columns) for row in rows):
                return refused("Invalid value in body, only support to put one row")
            self.session.insert(table, [_read(columns, row) for row in rows])
            return ok({})
        return super().respond(method, path, body)


def api_server(run: Run, preload: tuple[str, ...] = (), **options: Any) -> StoredApiServer:
    feature_set = run.feature_set
    session = empty_session(run, preload)

    def answer(rows: list[list[Any]]) -> tuple[int, bytes]:
        batch = session.compute([_read(feature_set.request.columns, row) for row in rows])
        schema = [{"name": feature.name, "type": feature.type.value} for feature in feature_set.features]
        return ok({"data": {"schema": schema, "data": [[_written(cell) for cell in row] for row in _values(batch)]}})

    columns = len(feature_set.request.columns)
    return StoredApiServer("db", "demo", feature_set.request_table, columns, answer, run=run, session=session, **options)


def _read(columns: dict[str, SqlType], row: list[Any]) -> Row:
    return {
        name: datetime.date.fromisoformat(value) if type_ is SqlType.DATE and value is not None else value
        for (name, type_), value in zip(columns.items(), row, strict=True)
    }


def _values(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in batch.columns]
    return list(zip(*[column.to_pylist() for column in columns], strict=True))


def _written(value: Any) -> Any:
    return f"{value.year}-{value.month}-{value.day}" if isinstance(value, datetime.date) else value


class PredictionService:
    """POST /predict?features=true as docs/serving.md has it; each scored request is stored.

    Args:
        preload: tables that it has from the start.
        refuse: statuses that it answers with instead, one a call, the next call first; 0: the connection is cut.
        wrong: changes an answer's predictions.
    """

    def __init__(self, run: Run, preload: tuple[str, ...], *, stores: bool = True, refuse: tuple[int, ...] = (), wrong: Any = None):
        feature_set = run.feature_set
        session = empty_session(run, preload)
        encoder, scorer = model_of(run)
        waiting = list(refuse)
        self.calls = 0
        outer = self

        def predict(rows: list[Row]) -> dict[str, Any]:
            for row in rows:
                row["day"] = datetime.date.fromisoformat(row["day"]) if row["day"] else None
            batch = session.compute(rows)
            scores = scorer.scores(encoder.encode(batch))[:, 0].tolist()
            names = batch.schema.names
            values = [[cell.isoformat() if isinstance(cell, datetime.date) else cell for cell in row] for row in _values(batch)]
            predictions = [
                {"id": row["id"], "score": score, "features": dict(zip(names, cells, strict=True))}
                for row, score, cells in zip(rows, scores, values, strict=True)
            ]
            if stores:
                session.insert(feature_set.request_table, rows)
            return {"model": "embedding", "version": "1", "predictions": wrong(predictions) if wrong else predictions} | (
                {"stored": True} if stores else {}
            )

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes

            def do_GET(self) -> None:
                self._send(200, {"live": True, "ready": True})

            def do_POST(self) -> None:
                outer.calls += 1
                rows = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status = waiting.pop(0) if waiting else 200
                if status == 0:
                    self.close_connection = True
                    self.connection.close()
                elif status != 200:
                    self._send(status, {"error": {"kind": "k", "message": f"no {status}", "details": []}})
                else:
                    self._send(200, predict(rows))

            def _send(self, status: int, value: Any) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.send_header("retry-after", "0")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> PredictionService:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"
