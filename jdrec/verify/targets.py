"""What is asked for features, and for scores: the session of this process, an APIServer, or a prediction service."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from jdrec.dataset.rows import Row
from jdrec.errors import DataError, MissingExtra, ServingError
from jdrec.features.spec import Feature, FeatureSet
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    import httpx
    import pyarrow as pa

    from jdrec.online.session import RequestSession
    from jdrec.serving.features import OpenMLDBSource

_TRIES = 4  # a busy or recovering service is asked again
_LONGEST_PAUSE_S = 5.0


class Refused(Exception):
    """The rows of one call were not answered; others may be."""


@dataclass
class Answer:
    """What came back for the requests of a call.

    Attributes:
        rows: of each answered request its place in the call; `features` and `scores` follow it.
        features: the feature set's columns, or a tuple of plain values each, times as milliseconds.
        scores: float, or None where only features were asked for.
        extra: keys of answers that nobody asked for.
        stored: whether the requests are stored now.
    """

    rows: list[int]
    features: pa.RecordBatch | list[tuple[Any, ...]]
    scores: list[float] | None = None
    extra: list[Any] = field(default_factory=list)
    stored: bool = False


class Target(Protocol):
    """An online path. Times in rows are epoch milliseconds.

    Attributes:
        name: for messages. nan_is_null: whether its answers cannot hold NaN.
    """

    name: str
    nan_is_null: bool

    async def open(self) -> None:
        """Raises:
        ServingError: it cannot be asked.
        """

    async def close(self) -> None: ...

    async def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Stores rows in order of arrival.

        Raises:
            ServingError: they are not stored.
        """

    async def ask(self, rows: list[Row]) -> Answer:
        """Features of requests, none of which sees another.

        Raises:
            Refused: these rows are not answered.
            ServingError: nothing is.
        """


class EmbeddedTarget:
    """The online store of this process."""

    name, nan_is_null = "online", False

    def __init__(self, session: RequestSession):
        self._session = session

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def insert(self, table: str, rows: Sequence[Row]) -> None:
        self._session.insert(table, rows)

    async def ask(self, rows: list[Row]) -> Answer:
        try:
            return Answer(list(range(len(rows))), self._session.compute_rows(rows))
        except DataError as error:
            raise Refused(str(error)) from None


class ApiServerTarget:
    """An OpenMLDB APIServer, or jdrec's feature server, over REST."""

    name, nan_is_null = "server", False

    def __init__(self, source: OpenMLDBSource, endpoint: str):
        self._source, self._endpoint = source, endpoint

    async def open(self) -> None:
        await self._source.open()
        if not await self._source.ready():
            await self._source.close()
            raise ServingError(
                f"There is no such deployment at {self._endpoint}, or nothing answers there.",
                where="openmldb.endpoint",
                hint="Check openmldb.endpoint, openmldb.deployment and dataset.database; start a feature server with task=feature_server.",
            )

    async def close(self) -> None:
        await self._source.close()

    async def insert(self, table: str, rows: Sequence[Row]) -> None:
        await self._source.insert(table, list(rows))

    async def ask(self, rows: list[Row]) -> Answer:
        from jdrec.serving.failures import Unavailable

        try:
            return Answer(list(range(len(rows))), await self._source.compute(rows))
        except Unavailable as error:
            if error.kind == "features_error":  # it answers, but not this
                raise Refused(error.message) from None
            raise


class ServiceTarget:
    """A prediction service over HTTP, with a place to store rows where it has one that we may write to.

    Args:
        url: http://host:port.
        model, version: what is asked, if the service has several.
        store: where other rows go; None: the service's tables are its own.
        api_key: sent with every call.
    """

    name, nan_is_null = "service", True

    def __init__(self, feature_set: FeatureSet, url: str, *, timeout_s: float, store: Target | None = None, api_key: str | None = None):
        self._features, self._key = feature_set.features, feature_set.request_key
        self._url, self._timeout_s, self._store, self._api_key = url.rstrip("/"), timeout_s, store, api_key
        self._http: httpx.AsyncClient

    async def open(self) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("httpx", "serving") from None
        headers = {"authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        self._http = httpx.AsyncClient(timeout=self._timeout_s, trust_env=False, headers=headers)
        try:
            answer = await self._http.get(f"{self._url}/health")
            state = answer.json()
            ready = isinstance(state, dict) and state.get("ready")
        except (httpx.HTTPError, ValueError) as error:
            await self._http.aclose()
            raise self._unreachable(error) from None
        if not ready:
            await self._http.aclose()
            raise ServingError(f"The prediction service at {self._url} is not ready: {answer.text[:300]}", where="verify.service")
        if self._store is not None:
            await self._store.open()

    async def close(self) -> None:
        await self._http.aclose()
        if self._store is not None:
            await self._store.close()

    async def insert(self, table: str, rows: Sequence[Row]) -> None:
        if self._store is not None:
            await self._store.insert(table, rows)

    async def ask(self, rows: list[Row]) -> Answer:
        body = json.dumps([{name: _sent(value) for name, value in row.items()} for row in rows]).encode()
        answer = await self._post(body)
        try:
            said = json.loads(answer.content)
            if answer.status_code != 200:
                raise Refused(f"HTTP {answer.status_code}: {said['error']['message']}")
            return self._read(said, [row[self._key] for row in rows])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"What answers at {self._url} is not a prediction service ({answer.status_code}, {error!r}): {answer.text[:200]}"
            raise ServingError(message, where="verify.service") from None

    async def _post(self, body: bytes) -> httpx.Response:
        import httpx

        for attempt in range(1, _TRIES + 1):
            try:
                url = f"{self._url}/predict?features=true"
                answer = await self._http.post(url, content=body, headers={"content-type": "application/json"})
            except httpx.HTTPError as error:  # not sent again: the service may have stored the request
                raise self._unreachable(error) from None
            if answer.status_code not in (429, 503):
                return answer
            if attempt < _TRIES:
                pause = answer.headers.get("retry-after", "1")
                await asyncio.sleep(min(float(pause) if pause.isdigit() else 1.0, _LONGEST_PAUSE_S))
        raise ServingError(f"The prediction service at {self._url} does not predict: {answer.text[:300]}", where="verify.service")

    def _read(self, said: dict[str, Any], keys: list[Any]) -> Answer:
        """The predictions by key; equal keys in their order."""
        places: dict[Any, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        rows, found, extra = [], [], []
        for prediction in said["predictions"]:
            waiting = places.get(prediction[self._key])
            if waiting:
                rows.append(waiting.pop(0))
                found.append(prediction)
            else:
                extra.append(prediction[self._key])
        features = read_features(self._features, [prediction["features"] for prediction in found])
        return Answer(rows, features, [float(prediction["score"]) for prediction in found], extra, said.get("stored") is True)

    def _unreachable(self, error: Exception) -> ServingError:
        return ServingError(
            f"The prediction service at {self._url} does not answer: {str(error) or type(error).__name__}.",
            where="verify.service",
            hint="Start it: python -m jdrec task=serve run=DIR",
        )


def _sent(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value


def read_features(features: Sequence[Feature], rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """The features of JSON objects; times are epoch milliseconds, dates ISO text.

    Raises:
        ValueError, KeyError, TypeError: a feature is missing, or its value is not of its type.
    """
    columns = []
    for feature in features:
        values = [row[feature.name] for row in rows]
        if feature.type is SqlType.DATE:
            values = [None if value is None else datetime.date.fromisoformat(value) for value in values]
        columns.append(values)
    return batch_of(features, columns)


def batch_of(features: Sequence[Feature], columns: Iterable[Sequence[Any]]) -> pa.RecordBatch:
    """Columns of plain values, times as milliseconds.

    Raises:
        ValueError, TypeError: a value is not of its feature's type.
    """
    import pyarrow as pa

    arrays = []
    for feature, values in zip(features, columns, strict=True):
        try:
            if feature.type is SqlType.TIMESTAMP:
                array = pa.array(values, pa.int64()).cast(feature.type.arrow)
            else:
                array = pa.array(values, feature.type.arrow)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{feature.name}: {error}") from None
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([(f.name, f.type.arrow) for f in features]))
