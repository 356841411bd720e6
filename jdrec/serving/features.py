"""Where the features of a request come from: the tables loaded here, or an OpenMLDB APIServer.

Source of the protocol: OpenMLDB documentation, "REST API" (real-time feature computing, data insertion).
"""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from jdrec.features.spec import Feature, FeatureSet
from jdrec.features.types import SqlType
from jdrec.serving.computed import Columns, Computed, Rows
from jdrec.serving.failures import Unavailable
from jdrec.serving.rows import Row

if TYPE_CHECKING:
    import httpx
    import pyarrow as pa

    from jdrec.online.session import RequestSession

_INLINE_ROWS = 32  # more rows than this are computed beside the event loop


class FeatureSource(Protocol):
    """Computes features of request rows, and keeps rows for later windows."""

    name: str

    async def open(self) -> None:
        """Called once in the event loop that will use it."""

    async def close(self) -> None: ...

    async def ready(self) -> bool: ...

    async def compute(self, rows: list[Row]) -> pa.RecordBatch:
        """The feature set's output columns, one row a request row, in order.

        Raises:
            Unavailable: the server that computes them fails.
        """

    async def features(self, rows: list[Row]) -> Computed:
        """As `compute`, in the form that is fastest for so many rows."""

    async def store(self, rows: list[Row]) -> None:
        """Adds the rows to the request table.

        Raises:
            Unavailable: they were not, or not all, stored.
            DataError: a row does not fit the table.
        """


class EmbeddedSource:
    """Features from the tables of this process; the rows of one call do not see each other."""

    name = "embedded"

    def __init__(self, feature_set: FeatureSet, session: RequestSession):
        self._table, self._session = feature_set.request_table, session

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ready(self) -> bool:
        return True

    async def compute(self, rows: list[Row]) -> pa.RecordBatch:
        if len(rows) <= _INLINE_ROWS:
            return self._session.compute(rows)
        return await asyncio.to_thread(self._session.compute, rows)

    async def features(self, rows: list[Row]) -> Computed:
        return Rows(self._session.compute_rows(rows))

    async def store(self, rows: list[Row]) -> None:
        await asyncio.to_thread(self._session.insert, self._table, rows)  # it may wait for the disk


class OpenMLDBSource:
    """Features from a deployment of an OpenMLDB cluster, asked through its APIServer.

    Args:
        feature_set: what the deployment computes.
        endpoint: http://host:port of the APIServer.
        deployment: name of the deployment in the feature set's database.
        timeout_s: longest wait for an answer.
    """

    name = "openmldb"

    def __init__(self, feature_set: FeatureSet, *, endpoint: str, deployment: str, timeout_s: float):
        self._features, self._columns = feature_set.features, feature_set.request.columns
        self._tables, self._request_table = feature_set.tables, feature_set.request_table
        self._base = f"{endpoint.rstrip('/')}/dbs/{quote(feature_set.database, safe='')}"
        self._endpoint, self._timeout_s = endpoint, timeout_s
        self._deployment = f"{self._base}/deployments/{quote(deployment, safe='')}"
        self._takes_many = True
        self._http: httpx.AsyncClient

    async def open(self) -> None:
        import httpx

        # httpx, since aiohttp by itself sends a PUT again after a lost connection, and an insert must not be repeated.
        self._http = httpx.AsyncClient(timeout=self._timeout_s, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def ready(self) -> bool:
        try:
            await self._ask("GET", self._deployment, None)
            return True
        except Unavailable:
            return False

    async def compute(self, rows: list[Row]) -> pa.RecordBatch:
        data = await self._ask("POST", self._deployment, {"input": [self._values(row) for row in rows], "need_schema": True})
        return _read_batch(self._features, data.get("data"), len(rows))

    async def features(self, rows: list[Row]) -> Computed:
        return Columns(await self.compute(rows))

    async def store(self, rows: list[Row]) -> None:
        await self.insert(self._request_table, rows)

    async def insert(self, table: str, rows: list[Row]) -> None:
        """Adds rows to a table of the database, in order.

        Several rows go in one call, until a server refuses that: OpenMLDB's takes one row a call.

        Raises:
            Unavailable: they were not, or not all, stored.
        """
        columns = self._tables[table].columns
        values = [[_WRITERS.get(type, _as_is)(row[name]) for name, type in columns.items()] for row in rows]
        url = f"{self._base}/tables/{quote(table, safe='')}"
        if len(values) > 1 and self._takes_many:
            try:
                return await self._put(url, values)
            except Unavailable as error:
                if error.kind != "features_error":  # lost on the way: nobody knows whether they were stored
                    raise
                self._takes_many = False
        for value in values:
            await self._put(url, [value])

    async def _put(self, url: str, values: list[list[Any]]) -> None:
        await self._ask("PUT", url, {"value": values})

    def _values(self, row: Row) -> list[Any]:
        return [_WRITERS.get(type, _as_is)(row[name]) for name, type in self._columns.items()]

    async def _ask(self, method: str, url: str, body: Any) -> dict[str, Any]:
        """The answer's object."""
        import httpx

        try:
            sending = self._send(method, url, json.dumps(body).encode() if body is not None else None)
            status, content = await asyncio.wait_for(sending, self._timeout_s)
        except (httpx.HTTPError, asyncio.TimeoutError) as error:
            reason = str(error) or type(error).__name__
            message = f"The OpenMLDB APIServer at {self._endpoint} does not answer: {reason}"
            raise Unavailable(message, kind="features_unreachable") from None
        try:
            value = json.loads(content)  # takes the NaN and Infinity that the APIServer writes for floats
        except ValueError:
            raise _failed(f"it answered {status} with something that is not JSON: {content[:200]!r}") from None
        if not isinstance(value, dict) or value.get("code") != 0:
            said = value.get("msg") if isinstance(value, dict) else value
            raise _failed(f"{str(said)[:500]!r} (HTTP {status})")
        return value

    async def _send(self, method: str, url: str, data: bytes | None) -> tuple[int, bytes]:
        import httpx

        try:
            answer = await self._http.request(method, url, content=data)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if method == "PUT":
                raise
            answer = await self._http.request(method, url, content=data)  # the connection went stale; computing twice does no harm
        return answer.status_code, answer.content


def _as_is(value: Any) -> Any:
    return value


_WRITERS: dict[SqlType, Callable[[Any], Any]] = {SqlType.DATE: lambda value: value.isoformat() if value is not None else None}


# --- the APIServer's answer --------------------------------------------------------------------------------------------------


def _failed(message: str) -> Unavailable:
    return Unavailable(f"The OpenMLDB APIServer failed: {message}", kind="features_error")


def _read_batch(features: tuple[Feature, ...], data: Any, rows: int) -> pa.RecordBatch:
    """The batch of {"schema": [{"name", "type"}], "data": [[...]]}; columns are checked by name where the schema is given."""
    import pyarrow as pa

    table = data.get("data") if isinstance(data, dict) else None
    if not isinstance(table, list) or len(table) != rows:
        raise _failed(f"{rows} rows were asked for, and the answer has {len(table) if isinstance(table, list) else 'none'}")
    names = [feature.name for feature in features]
    schema = data.get("schema")
    if schema is not None:
        deployed = [column.get("name") if isinstance(column, dict) else None for column in schema]
        if deployed != names:
            raise _failed(f"its deployment has other columns than the feature set: {_first_difference(deployed, names)}")
    for row in table:
        if not isinstance(row, list) or len(row) != len(features):
            raise _failed(f"a row has {len(row) if isinstance(row, list) else 'no'} columns instead of {len(features)}")
    arrays = [_read_column(feature, [row[i] for row in table]) for i, feature in enumerate(features)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([(f.name, f.type.arrow) for f in features]))


def _first_difference(deployed: list[Any], expected: list[str]) -> str:
    for i, (has, wants) in enumerate(zip(deployed, expected, strict=False)):
        if has != wants:
            return f"column {i} is {has!r}, not {wants!r}"
    return f"{len(deployed)} instead of {len(expected)}"


def _read_column(feature: Feature, values: list[Any]) -> pa.Array:
    import pyarrow as pa

    read = _READERS.get(feature.type, _read_integer if feature.type.is_integer else _read_float)
    try:
        return pa.array([None if value is None else read(value) for value in values], feature.type.arrow)
    except (ValueError, OverflowError, TypeError, pa.ArrowInvalid) as error:
        raise _failed(f"column {feature.name!r} is not {feature.type.value}: {str(error)[:200]}") from None


def _read_integer(value: Any) -> int:
    if type(value) is int:
        return value
    raise ValueError(repr(value))


def _read_float(value: Any) -> float:
    if type(value) in (int, float):
        return float(value)
    raise ValueError(repr(value))


def _read_bool(value: Any) -> bool:
    if value in ("true", "false"):  # as text in older versions
        return value == "true"
    if isinstance(value, bool):
        return value
    raise ValueError(repr(value))


def _read_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(repr(value))


def _read_date(value: Any) -> datetime.date:
    year, month, day = _read_string(value).split("-")  # "2021-5-20": the APIServer does not pad
    return datetime.date(int(year), int(month), int(day))


_READERS: dict[SqlType, Callable[[Any], Any]] = {
    SqlType.BOOL: _read_bool,
    SqlType.STRING: _read_string,
    SqlType.DATE: _read_date,
    SqlType.TIMESTAMP: _read_integer,
}
