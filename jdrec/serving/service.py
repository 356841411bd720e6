"""The prediction service: request rows in, scores out.

POST /predict   one row or a list of rows -> scores, with ?features=true also the features
GET  /health    200 when predictions can be made, 503 otherwise; /health/live: whether the service itself runs
GET  /metrics   for Prometheus;  /docs, /openapi.json
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jdrec.errors import ConfigError, DataError, MissingExtra, nearest
from jdrec.serving.failures import InvalidRequest, Unavailable
from jdrec.serving.features import FeatureSource
from jdrec.serving.inference import TritonClient
from jdrec.serving.metrics import Metrics
from jdrec.serving.rows import Row, RowReader

if TYPE_CHECKING:
    import pyarrow as pa
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from jdrec.config import ServingConfig
    from jdrec.features.spec import FeatureSet
    from jdrec.preprocess.encoder import Encoder

log = logging.getLogger(__name__)

_DISCARDED_BYTES = 32 << 20  # so much of a body that is too large is still read, since many clients see no answer before they have sent all
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Service:
    """What one call of /predict goes through.

    Args:
        feature_set: gives the request table's columns.
        encoder: features to ids.
        source: request rows to features.
        triton: ids to scores.
        serving: limits.
    """

    def __init__(self, feature_set: FeatureSet, encoder: Encoder, source: FeatureSource, triton: TritonClient, serving: ServingConfig):
        if feature_set.request_key in ("score", "features"):
            raise ConfigError(
                f"The answer has a field {feature_set.request_key!r} of its own.", where="features.request.key", hint="Rename the column."
            )
        if serving.max_rows > serving.triton.max_batch_size:
            raise ConfigError(
                f"{serving.max_rows} rows do not fit in one call of Triton: max_batch_size is {serving.triton.max_batch_size}.",
                where="serving.max_rows",
            )
        self.feature_set, self.encoder, self.source, self.triton, self.serving = feature_set, encoder, source, triton, serving
        self.metrics = Metrics()
        self._reader = RowReader(feature_set, serving.max_rows)

    async def open(self) -> None:
        await self.triton.open()
        await self.source.open()

    async def close(self) -> None:
        await self.triton.close()
        await self.source.close()

    async def predict(self, request: Request) -> Response:
        """Answers one call; whatever goes wrong becomes a JSON error, and the service lives on."""
        from starlette.requests import ClientDisconnect

        start = time.perf_counter()
        try:
            response = await self._predict(request)
        except InvalidRequest as error:
            response = self._error(error.status, error.kind, error.message, error.details, close=error.status in (408, 413))
        except Unavailable as error:
            log.warning("%s", error)
            response = self._error(503, error.kind, error.message, retry_after_s=error.retry_after_s)
        except ClientDisconnect:
            response = self._error(400, "disconnected", "The client closed the connection.")
        except Exception:
            log.exception("a call of /predict failed")
            response = self._error(500, "internal", "The service has a bug; its log says more.")
        self.metrics.requests.labels(str(response.status_code)).inc()
        self.metrics.seconds.observe(time.perf_counter() - start)
        return response

    async def _predict(self, request: Request) -> Response:
        stage = self.metrics.stage
        wants_features = _flag(request, "features")
        body = await self._body(request)
        with stage("parse"):
            rows = self._reader.read(body)
        with stage("features"):
            try:
                batch = await self.source.compute(rows)
            except DataError as error:
                raise InvalidRequest(error.message, status=422, kind="invalid_row") from None
        with stage("encode"):
            ids = self.encoder.encode(batch)
        with stage("infer"):
            scores = await self.triton.scores(ids)
        with stage("answer"):
            answer = self._answer(rows, scores, batch if wants_features else None)
            if self.serving.store_requests:
                answer["stored"] = await self._store(rows)
            self.metrics.rows.observe(len(rows))
            return _json_response(answer)

    async def _body(self, request: Request) -> bytes:
        try:
            return await asyncio.wait_for(self._read_body(request), self.serving.timeout_s)
        except asyncio.TimeoutError:
            raise InvalidRequest("The body did not arrive in time.", status=408, kind="slow_body") from None

    async def _read_body(self, request: Request) -> bytes:
        limit = self.serving.max_body_bytes
        body, size = bytearray(), int(request.headers.get("content-length", 0))
        if size <= limit or "expect" not in request.headers:  # who waits for our "100 continue" need not send at all
            size = 0
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limit:
                    body += chunk
                elif size > limit + _DISCARDED_BYTES:
                    break
        if size > limit:
            raise InvalidRequest(f"The body is larger than {limit} bytes.", status=413, kind="body_too_large")
        return bytes(body)

    def _answer(self, rows: list[Row], scores: Any, features: pa.RecordBatch | None) -> dict[str, Any]:
        key = self.feature_set.request_key
        predictions: list[dict[str, Any]] = [{key: row[key], "score": score} for row, score in zip(rows, scores, strict=True)]
        if features is not None:
            columns = [_json_values(column) for column in features.columns]
            for prediction, values in zip(predictions, zip(*columns, strict=True), strict=True):
                prediction["features"] = dict(zip(features.schema.names, values, strict=True))
        return {"model": self.triton.model, "version": str(self.triton.version), "predictions": predictions}

    async def _store(self, rows: list[Row]) -> bool:
        try:
            await self.source.store(rows)
            return True
        except (Unavailable, DataError) as error:  # the score stands; what is lost is the history
            log.warning("requests were scored but not stored: %s", error)
            self.metrics.errors.labels("not_stored").inc()
            return False

    def _error(
        self,
        status: int,
        kind: str,
        message: str,
        details: list[dict[str, Any]] | None = None,
        *,
        retry_after_s: int | None = None,
        close: bool = False,
    ) -> Response:
        self.metrics.errors.labels(kind).inc()
        headers = {"connection": "close"} if close else {}  # what is left of the body is not read
        if retry_after_s is not None:
            headers["retry-after"] = str(retry_after_s)
        return _error_response(status, kind, message, details, headers)

    async def health(self) -> Response:
        """Whether predictions can be made now, and if not, what is missing."""
        triton, source = await asyncio.gather(self.triton.ready(), self.source.ready())
        state = {
            "live": True,
            "ready": triton and source,
            "triton": {"url": self.triton.url, "model": self.triton.model, "version": str(self.triton.version), "ready": triton},
            "features": {"source": self.source.name, "ready": source},
        }
        return _json_response(state, 200 if state["ready"] else 503)


def create_app(service: Service) -> FastAPI:
    """The HTTP application; it opens the service's connections when it starts and closes them when it stops.

    Raises:
        MissingExtra: the serving extra is not installed.
    """
    try:
        from fastapi import FastAPI, Request
        from starlette.exceptions import HTTPException
        from starlette.responses import Response
    except ImportError:
        raise MissingExtra("FastAPI", "serving") from None
    from jdrec.serving import openapi

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.open()
        yield
        await service.close()

    app = FastAPI(title="jdrec prediction service", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.openapi_version = openapi.VERSION
    openapi.add_docs(app)

    async def predict(request: Request) -> Response:
        return await service.predict(request)

    async def health() -> Response:
        return await service.health()

    async def live() -> Response:
        return _json_response({"live": True})

    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _error_response(error.status_code, "http", str(error.detail), headers=dict(error.headers or {}))

    # FastAPI reads annotations by name from the module, where these types are not imported.
    predict.__annotations__ = {"request": Request}
    operation = openapi.predict_operation(service.feature_set, service.serving)
    app.add_api_route("/predict", predict, methods=["POST"], response_model=None, summary="Score requests", openapi_extra=operation)
    for path, endpoint, summary in (
        ("/health", health, "Whether predictions can be made"),
        ("/health/live", live, "Whether the service runs"),
        ("/metrics", metrics, "Metrics for Prometheus"),
    ):
        endpoint.__annotations__ = {}
        app.add_api_route(path, endpoint, methods=["GET"], response_model=None, summary=summary)
    app.add_exception_handler(HTTPException, http_error)
    return app


def _flag(request: Request, name: str) -> bool:
    """The one query parameter, true or false; another one is a mistake."""
    if unknown := [given for given in request.query_params if given != name]:
        raise InvalidRequest(
            f"there is no parameter {unknown[0][:50]!r}. {nearest(unknown[0], [name])}", status=400, kind="invalid_parameter"
        )
    text = request.query_params.get(name, "false").lower()
    if text not in _BOOLEANS:
        raise InvalidRequest(f"{name} must be true or false, not {text[:50]!r}.", status=400, kind="invalid_parameter")
    return _BOOLEANS[text]


def _json_values(column: pa.Array) -> list[Any]:
    """Values as JSON has them; a time is epoch milliseconds, NaN becomes null."""
    import pyarrow as pa

    return column.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(column.type) else column.to_pylist()


def _json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    import orjson
    from starlette.responses import Response

    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), status, headers, "application/json")


def _error_response(
    status: int, kind: str, message: str, details: list[dict[str, Any]] | None = None, headers: dict[str, str] | None = None
) -> Response:
    return _json_response({"error": {"kind": kind, "message": message, "details": details or []}}, status, headers)
