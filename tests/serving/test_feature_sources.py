"""Features from an OpenMLDB APIServer: what is asked, how answers are read, and every way it can fail."""

from __future__ import annotations

import asyncio
import datetime
import json
import math
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jdrec.serving.failures import Unavailable
from jdrec.serving.features import OpenMLDBSource
from jdrec.serving.rows import RowReader
from jdrec.serving.triton import free_port
from tests.serving.api_server import ApiServer, ok, refused
from tests.serving.small_definitions import COLUMNS, ROW, every_type

pytest.importorskip("httpx", reason="needs the serving extra")

FEATURES = every_type()
ROWS = RowReader(FEATURES, max_rows=10).read(json.dumps([ROW, {**dict.fromkeys(COLUMNS), "id": "r2", "at": 7}]).encode())
SENT = ["r1", 1459419080000, "u1", True, -3, 7, 2**40, 0.5, 2.25, "2016-03-31"]
ANSWER = ["r1", "r1", 1459419080000, "u1", "true", -3, 7, 2**40, 0.019200000911951065, math.nan, "2016-3-31", 3]
NULLS = ["r2", "r2", 7, *[None] * 8, 0]
SENT_NULLS = ["r2", 7, *[None] * 8]
SCHEMA = [{"name": feature.name, "type": feature.type.value} for feature in FEATURES.features]


def apiserver(answer: Callable[[list], tuple[int, bytes]]) -> ApiServer:
    return ApiServer("db", "demo", "requests", len(COLUMNS), answer)


def answers(rows: list[list[Any]], schema: Any = SCHEMA) -> Callable[[list], tuple[int, bytes]]:
    return lambda asked: ok({"data": {"schema": schema, "data": rows}})


def with_source(endpoint: str, use: Callable[[OpenMLDBSource], Any], *, deployment: str = "demo", timeout_s: float = 5.0) -> Any:
    async def go() -> Any:
        source = OpenMLDBSource(FEATURES, endpoint=endpoint, deployment=deployment, timeout_s=timeout_s)
        await source.open()
        try:
            return await use(source)
        finally:
            await source.close()

    return asyncio.run(go())


def compute(answer: Callable[[list], tuple[int, bytes]], rows: list = ROWS) -> pa.RecordBatch:
    with apiserver(answer) as server:
        return with_source(server.endpoint, lambda source: source.compute(rows))


def test_rows_are_asked_for_as_the_documentation_says():
    with apiserver(answers([ANSWER, NULLS])) as server:
        with_source(server.endpoint + "/", lambda source: source.compute(ROWS))
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/dbs/db/deployments/demo")
    assert seen.body == {"input": [SENT, SENT_NULLS], "need_schema": True}


def test_answers_get_the_features_types():
    batch = compute(answers([ANSWER, NULLS]))
    assert batch.schema == pa.schema([(f.name, f.type.arrow) for f in FEATURES.features])
    first, second = batch.to_pylist()
    assert first["f_at"] == datetime.datetime(2016, 3, 31, 10, 11, 20, tzinfo=datetime.timezone.utc)
    assert first["f_flag"] is True
    assert first["f_rate"] == float(np.float32(0.0192))
    assert math.isnan(first["f_score_hint"])
    assert first["f_day"] == datetime.date(2016, 3, 31)
    assert list(second.values())[3:] == [None] * 8 + [0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda rows: refused("table not found"), "'table not found' \\(HTTP 200\\)"),
        (lambda rows: (500, b"<html>oops</html>"), "answered 500 with something that is not JSON"),
        (lambda rows: (200, b"[]"), "failed: '\\[\\]'"),
        (lambda rows: ok({}), "2 rows were asked for, and the answer has none"),
        (answers([ANSWER]), "2 rows were asked for, and the answer has 1"),
        (answers([ANSWER, NULLS[:-1]]), "a row has 11 columns instead of 12"),
        (answers([ANSWER, NULLS], SCHEMA[::-1]), "column 0 is 'f_seen', not 'id_1'"),
        (answers([ANSWER, NULLS], SCHEMA[:-1]), "other columns than the feature set: 11 instead of 12"),
        (answers([ANSWER, NULLS], [3]), "column 0 is None"),
        (answers([[*ANSWER[:2], "late", *ANSWER[3:]], NULLS]), "column 'f_at' is not timestamp: 'late'"),
        (answers([[*ANSWER[:6], 2**31, *ANSWER[7:]], NULLS]), "column 'f_count' is not int"),
        (answers([[*ANSWER[:4], "yes", *ANSWER[5:]], NULLS]), "column 'f_flag' is not bool"),
        (answers([[*ANSWER[:3], {}, *ANSWER[4:]], NULLS]), "column 'f_user' is not string"),
        (answers([[*ANSWER[:10], "today", 3], NULLS]), "column 'f_day' is not date"),
        (answers([[*ANSWER[:8], "1", *ANSWER[9:]], NULLS]), "column 'f_rate' is not float"),
    ],
)
def test_a_wrong_answer_is_a_clear_failure(answer, message):
    with pytest.raises(Unavailable, match=message) as error:
        compute(answer)
    assert error.value.kind == "features_error"


def test_a_missing_deployment_is_said():
    with apiserver(answers([ANSWER])) as server:
        with pytest.raises(Unavailable, match="deployment not found"):
            with_source(server.endpoint, lambda source: source.compute(ROWS), deployment="a/../b")
        assert server.seen[0].path == "/dbs/db/deployments/a%2F..%2Fb"


def test_readiness():
    with apiserver(answers([])) as server:
        assert with_source(server.endpoint, lambda source: source.ready()) is True
        assert with_source(server.endpoint, lambda source: source.ready(), deployment="other") is False
    assert with_source(server.endpoint, lambda source: source.ready()) is False


def test_rows_are_stored_one_by_one_where_a_server_takes_no_more():
    async def store_twice(source: OpenMLDBSource) -> None:
        await source.store(ROWS)
        await source.store(ROWS)

    with apiserver(answers([])) as server:
        with_source(server.endpoint, store_twice)
    one_by_one = [{"value": [SENT]}, {"value": [SENT_NULLS]}]
    assert [seen.body for seen in server.seen] == [{"value": [SENT, SENT_NULLS]}, *one_by_one, *one_by_one]
    assert {(seen.method, seen.path) for seen in server.seen} == {("PUT", "/dbs/db/tables/requests")}


def test_rows_are_stored_in_one_call_where_a_server_takes_several():
    with apiserver(answers([])) as server:
        server.rows_a_put = 100
        with_source(server.endpoint, lambda source: source.insert("requests", ROWS))
    assert [seen.body for seen in server.seen] == [{"value": [SENT, SENT_NULLS]}]


def test_nobody_there():
    with pytest.raises(Unavailable, match="does not answer") as error:
        with_source(f"http://127.0.0.1:{free_port()}", lambda source: source.compute(ROWS))
    assert error.value.kind == "features_unreachable"


def test_a_server_that_never_answers_runs_into_the_timeout():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Unavailable, match="does not answer") as error:
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with_source(endpoint, lambda source: source.compute(ROWS), timeout_s=0.2)
    assert error.value.kind == "features_unreachable"


def dropping_server(answered: int, use: Callable[[OpenMLDBSource], Any]) -> int:
    """Lets a source talk to a server that answers so many requests a connection and then drops it; returns the number of connections."""

    async def go() -> int:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            content = ok({"data": {"data": [ANSWER]}})[1]
            for _ in range(answered):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
            await reader.read(1)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        source = OpenMLDBSource(FEATURES, endpoint=endpoint, deployment="demo", timeout_s=5)
        await source.open()
        try:
            await use(source)
        finally:
            await source.close()
            server.close()
        return connections

    return asyncio.run(go())


def test_a_connection_that_went_stale_is_opened_anew():
    async def twice(source: OpenMLDBSource) -> None:
        await source.compute(ROWS[:1])
        await source.compute(ROWS[:1])

    assert dropping_server(1, twice) == 2


def test_an_insert_is_never_sent_twice():
    async def insert(source: OpenMLDBSource) -> None:
        with pytest.raises(Unavailable, match="does not answer"):
            await source.store(ROWS[:1])

    assert dropping_server(0, insert) == 1
