"""The prediction service's calls: bodies in, answers out. `app.py` puts them on HTTP, `pipeline.py` scores."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jdrec.errors import ConfigError, DataError, ServingError, nearest
from jdrec.serving.candidates import CandidateReader
from jdrec.serving.failures import InvalidRequest
from jdrec.serving.metrics import Metrics
from jdrec.serving.models import Models, ServedModel, parse_key
from jdrec.serving.pipeline import Pipeline, Scored, joined, values
from jdrec.serving.request_log import Entry, RequestLog
from jdrec.serving.rows import Row, RowReader, parse_json

if TYPE_CHECKING:
    from jdrec.config import ServingConfig
    from jdrec.features.spec import FeatureSet
    from jdrec.serving.features import FeatureSource
    from jdrec.serving.inference import TritonServerClient

log = logging.getLogger(__name__)

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ANSWER_FIELDS = ("score", "features", "rank", "index", "candidate")


@dataclass
class Call:
    """One call on its way.

    Attributes:
        parameters: of the query. note: what the access log says of it beside the usual.
    """

    request_id: str
    parameters: dict[str, str]
    received: float
    note: dict[str, Any]


class Service:
    """What calls go through.

    Args:
        feature_set: gives the request table's columns.
        source: request rows to features.
        server: the Triton that the models' clients ask.
        models: what is served.
        serving: limits.
        request_log: keeps scored calls; None: nothing does.
    """

    def __init__(
        self,
        feature_set: FeatureSet,
        source: FeatureSource,
        server: TritonServerClient,
        models: Models,
        serving: ServingConfig,
        request_log: RequestLog | None = None,
    ):
        if feature_set.request_key in _ANSWER_FIELDS:
            raise ConfigError(
                f"The answer has a field {feature_set.request_key!r} of its own.", where="features.request.key", hint="Rename the column."
            )
        most = serving.batching.max_rows
        if most > serving.triton.max_batch_size:
            raise ConfigError(
                f"{most} rows do not fit in one call of Triton: max_batch_size is {serving.triton.max_batch_size}.",
                where="serving.batching.max_rows",
            )
        self.feature_set, self.source, self.server, self.models, self.serving = feature_set, source, server, models, serving
        self._key = feature_set.request_key
        self._names = [feature.name for feature in feature_set.features]
        self._reader = RowReader(feature_set, serving.max_rows)
        self._candidates = CandidateReader(feature_set, self._reader, serving.candidates)
        self.metrics = Metrics(lambda: ((*model.key, model.drift) for model in models))
        self.metrics.queued_rows.set_function(lambda: sum(model.batcher.queued_rows for model in models if model.batcher))
        self.pipeline = Pipeline(source, serving, self.metrics)
        models.prepare = self.pipeline.prepare
        self.request_log = request_log
        if request_log is not None:
            request_log.on_drop(self.metrics.log_dropped.inc)
        self._api_key = _api_key(serving.api_key_env)
        self._may_administer = self._api_key is not None or serving.host in _LOOPBACK

    async def open(self) -> None:
        await self.server.open()
        await self.source.open()
        await self.models.open()

    async def close(self) -> None:
        await self.server.close()
        await self.source.close()

    # --- who may ask ---------------------------------------------------------------------------------------------------

    def require_key(self, given: bytes | None) -> None:
        """Refuses a call without the key, where one is configured."""
        if self._api_key is not None and not hmac.compare_digest(given or b"", self._api_key):
            raise InvalidRequest("This call needs the API key: Authorization: Bearer KEY.", status=401, kind="unauthorized")

    def require_administrator(self, content_type: bytes | None) -> None:
        """Refuses to change anything for who may only ask, and for a web page that a user happens to look at."""
        if not self._may_administer:
            message = "A service that others can reach takes this call only with an API key: set serving.api_key_env."
            raise InvalidRequest(message, status=403, kind="forbidden")
        if (content_type or b"").split(b";")[0].strip().lower() != b"application/json":
            raise InvalidRequest("Send content-type: application/json.", status=415, kind="not_json")

    # --- calls ---------------------------------------------------------------------------------------------------------

    async def predict(self, call: Call, body: bytes) -> dict[str, Any]:
        """The scores of one row or a list of rows, in their order."""
        model, wants_features = self._options(call)
        begin = time.perf_counter()
        rows = self._reader.read(body)
        self.metrics.stages["parse"](time.perf_counter() - begin)
        parts = await self._score(call, model, rows)
        begin = time.perf_counter()
        scores, stored = joined(parts)
        key = self._key
        predictions: list[dict[str, Any]] = [{key: row[key], "score": score} for row, score in zip(rows, scores, strict=True)]
        if wants_features:
            for prediction, computed in zip(predictions, values(parts), strict=True):
                prediction["features"] = dict(zip(self._names, computed, strict=True))
        answer: dict[str, Any] = {"model": model.key[0], "version": str(model.key[1]), "predictions": predictions}
        if stored is not None:
            answer["stored"] = stored
        self.metrics.stages["answer"](time.perf_counter() - begin)
        return answer

    async def candidates(self, call: Call, body: bytes) -> dict[str, Any]:
        """The best of one context's candidates, best first; of equal scores the one that was given first."""
        model, wants_features = self._options(call)
        begin = time.perf_counter()
        asked = self._candidates.read(body)
        self.metrics.stages["parse"](time.perf_counter() - begin)
        parts = await self._score(call, model, asked.rows)
        begin = time.perf_counter()
        scores, stored = joined(parts)
        best = sorted(range(len(scores)), key=lambda place: -scores[place])[: asked.top]
        computed = values(parts) if wants_features else []
        ranked = []
        for rank, place in enumerate(best, 1):
            item = {"rank": rank, "index": place, "candidate": asked.given[place], self._key: asked.rows[place][self._key]}
            item["score"] = scores[place]
            if wants_features:
                item["features"] = dict(zip(self._names, computed[place], strict=True))
            ranked.append(item)
        answer: dict[str, Any] = {"model": model.key[0], "version": str(model.key[1]), "scored": len(scores), "candidates": ranked}
        if stored is not None:
            answer["stored"] = stored
        self.metrics.stages["answer"](time.perf_counter() - begin)
        return answer

    async def reload(self, call: Call, body: bytes) -> dict[str, Any]:
        """Serves what the repository holds now; {"default": "MODEL/VERSION"} pins that version, {} the newest."""
        content = parse_json(body) if body.strip() else {}
        if not isinstance(content, dict) or content.keys() - {"default"}:
            raise InvalidRequest('The body must be {} or {"default": "MODEL/VERSION"}.', status=400, kind="invalid_body")
        pin = content.get("default")
        try:
            key = parse_key(pin) if pin is not None else None
        except (ValueError, AttributeError, TypeError):
            raise InvalidRequest('"default" must be "MODEL/VERSION".', status=400, kind="invalid_body") from None
        return await self.models.reload(key)

    async def rollback(self, call: Call, body: bytes) -> dict[str, Any]:
        """Serves the default before the last change."""
        return await self.models.rollback()

    async def health(self) -> dict[str, Any]:
        """Whether predictions can be made now, and if not, what is missing."""
        model = self.models.default
        triton, source = await asyncio.gather(model.triton.ready(), self.source.ready())
        return {
            "live": True,
            "ready": triton and source,
            "triton": {"url": self.server.url, "model": model.key[0], "version": str(model.key[1]), "ready": triton},
            "features": {"source": self.source.name, "ready": source},
        }

    # --- their parts ---------------------------------------------------------------------------------------------------

    def _options(self, call: Call) -> tuple[ServedModel, bool]:
        """The model, and whether features are wanted; another parameter is a mistake."""
        given = call.parameters
        for name in given:
            if name not in ("features", "model", "version"):
                hint = nearest(name, ["features", "model", "version"])
                raise InvalidRequest(f"There is no parameter {name[:50]!r}. {hint}".strip(), status=400, kind="invalid_parameter")
        text = given.get("features", "false").lower()
        if text not in _BOOLEANS:
            raise InvalidRequest(f"features must be true or false, not {text[:50]!r}.", status=400, kind="invalid_parameter")
        return self.models.find(given.get("model"), given.get("version")), _BOOLEANS[text]

    async def _score(self, call: Call, model: ServedModel, rows: list[Row]) -> list[Scored]:
        try:
            parts = await self.pipeline.score(model, rows)
        except DataError as error:
            raise InvalidRequest(error.message, status=422, kind="invalid_row") from None
        self.metrics.rows.observe(len(rows))
        call.note |= {"model": model.key[0], "version": model.key[1], "rows": len(rows), "batch_rows": parts[0].batch_rows}
        call.note |= {f"{stage}_ms": round(1000 * sum(part.seconds[stage] for part in parts), 3) for stage in parts[0].seconds}
        if self.request_log is not None:
            self.request_log.add(Entry(call.request_id, int(1000 * call.received), *model.key, rows, parts))
        return parts


def _api_key(variable: str | None) -> bytes | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "")
    if not key:
        raise ServingError(f"The environment variable {variable} is empty.", where="serving.api_key_env", hint="Put the API key there.")
    return key.encode()
