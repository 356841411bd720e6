"""The feature server: the APIServer's protocol, jdrec's own client of it, and the process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jdrec.config import FeatureServerConfig
from jdrec.features.spec import FeatureSet
from jdrec.online.server.app import FeatureServer, create_app
from jdrec.online.session import RequestSession
from tests.engines.conftest import feature_set_of
from tests.engines.tables import write_tables

httpx = pytest.importorskip("httpx", reason="needs the serving extra")

TABLES = {
    "t1": {"id": "string", "k": "string", "ts": "timestamp", "x": "double", "day": "date"},
    "t2": {"k": "string", "ts": "timestamp", "s": "string", "i": "int", "n": "bigint", "m": "smallint", "f": "float", "b": "bool"},
}
FEATURES = """
windows: {w: {union: t2, partition_by: k, range: 10s, exclude: [instances, current_row]}}
features:
  rows: {over: w, expr: count(*)}
  top: {over: w, expr: "topn_frequency(s, 2)"}
  total: {over: w, expr: sum(f)}
  largest: {over: w, expr: max(m)}
  trues: {over: w, expr: "count_where(*, b = true)"}
  twice: {expr: x * 2.0}
  when: {expr: day}
"""
NAMES = ["id_1", "twice", "when", "id_2", "rows", "top", "total", "largest", "trues"]
ROW = ["r1", "a", 9000, 0.5, "2021-5-20"]
STORED = ["a", 5000, "é", 7, 2**40, -3, 0.5, True]


@pytest.fixture(scope="module")
def feature_set() -> FeatureSet:
    return feature_set_of(TABLES, FEATURES)


@pytest.fixture
def app(feature_set: FeatureSet, tmp_path: Path) -> FeatureServer:
    session = RequestSession(feature_set, write_tables(feature_set, {"t1": [], "t2": []}, tmp_path))
    return create_app(session, "demo", "SELECT 1", FeatureServerConfig(max_rows=3, max_body_bytes=2000))


def ask(app: FeatureServer, method: str, path: str, body: Any = None) -> Any:
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()

    async def go() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, path, content=content)

    answer = asyncio.run(go())
    assert answer.headers["content-type"] == "application/json"
    return answer


def value(app: FeatureServer, method: str, path: str, body: Any = None) -> dict[str, Any]:
    answer = ask(app, method, path, body)
    assert answer.status_code == 200
    return json.loads(answer.content)


DEPLOYMENT = "/dbs/db/deployments/demo"


def test_rows_are_stored_and_seen(app: FeatureServer) -> None:
    assert value(app, "PUT", "/dbs/db/tables/t2", {"value": [STORED]}) == {"code": 0, "msg": "ok"}
    assert value(app, "PUT", "/dbs/db/tables/t2", {"value": [[*STORED[:2], None, None, None, None, 1, None], STORED]})["code"] == 0
    answer = value(app, "POST", DEPLOYMENT, {"input": [ROW, ["r2", None, 9000, None, None]]})
    assert answer == {
        "code": 0,
        "msg": "ok",
        "data": {
            "data": [
                ["r1", 1.0, "2021-5-20", "r1", 3, "é,NULL", 2.0, -3, 2],
                ["r2", None, None, "r2", 0, "", None, None, 0],
            ]
        },
    }


def test_objects_give_objects_and_may_have_more_columns(app: FeatureServer) -> None:
    row = {"foo": "bar", **dict(zip(TABLES["t1"], ROW, strict=True))}
    (answer,) = value(app, "POST", DEPLOYMENT, {"input": [row]})["data"]["data"]
    assert answer == dict(zip(NAMES, ["r1", 1.0, "2021-5-20", "r1", 0, "", None, None, 0], strict=True))


def test_the_schema_comes_if_asked_for(app: FeatureServer) -> None:
    schema = value(app, "POST", DEPLOYMENT, {"input": [ROW], "need_schema": True})["data"]["schema"]
    types = ["string", "double", "date", "string", "int64", "string", "float", "int16", "int64"]
    assert schema == [{"name": name, "type": type_} for name, type_ in zip(NAMES, types, strict=True)]


def test_numbers_that_json_has_not(app: FeatureServer) -> None:
    rows = b'{"input": [["r1", "a", 9000, NaN, null], ["r1", "a", 9000, -Infinity, null], ["r1", "a", 9000, 7, null]]%s}'
    assert b'[["r1", NaN, null' in ask(app, "POST", DEPLOYMENT, rows % b"").content
    assert b'["r1", -Infinity, null' in ask(app, "POST", DEPLOYMENT, rows % b"").content
    answer = value(app, "POST", DEPLOYMENT, rows % b', "write_nan_and_inf_null": true')
    assert [row[1] for row in answer["data"]["data"]] == [None, None, 14.0]


def test_procedures_take_no_common_columns(app: FeatureServer) -> None:
    answer = value(app, "POST", "/dbs/db/procedures/demo", {"input": [ROW], "common_cols": []})
    assert (answer["code"], answer["data"]["common_cols_data"], len(answer["data"]["data"])) == (0, [], 1)
    assert value(app, "POST", "/dbs/db/procedures/demo", {"input": [ROW], "common_cols": [1]})["code"] == -1
    assert value(app, "GET", "/dbs/db/procedures/demo")["code"] == -1


def test_descriptions(app: FeatureServer) -> None:
    assert value(app, "GET", "/dbs") == {"code": 0, "msg": "ok", "dbs": ["db"]}
    assert value(app, "POST", "/refresh") == {"code": 0, "msg": "ok"}
    deployment = value(app, "GET", DEPLOYMENT)["data"]
    assert deployment == value(app, "GET", "/dbs/db/deployments")["deployments"][0]
    assert (deployment["name"], deployment["procedure"], deployment["dbs"], deployment["tables"]) == (
        "demo",
        "SELECT 1",
        ["db"],
        ["t1", "t2"],
    )
    assert deployment["input_schema"][2:] == [
        {"name": "ts", "type": "timestamp"},
        {"name": "x", "type": "double"},
        {"name": "day", "type": "date"},
    ]
    assert (deployment["input_common_cols"], deployment["output_common_cols"]) == ([], [])
    tables = value(app, "GET", "/dbs/db/tables")["tables"]
    assert [table["name"] for table in tables] == ["t1", "t2"]
    assert value(app, "GET", "/dbs/db/tables/t2")["table"] == tables[1]
    assert tables[1]["column_desc"][5] == {"name": "m", "data_type": "kSmallInt", "not_null": False}
    assert tables[1]["column_key"] == [
        {"index_name": "INDEX_0_t2", "col_name": ["k"], "ts_name": "ts", "ttl": {"ttl_type": "absolute", "abs_ttl": 1, "lat_ttl": 0}}
    ]
    health = value(app, "GET", "/health")
    assert (health["code"], health["data"]["stores"][0]["rows"]) == (0, 0)


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/dbs/other/deployments/demo", {"input": [ROW]}, "there is no database 'other'"),
        ("POST", "/dbs/db/deployments/other", {"input": [ROW]}, "there is no deployment 'other'"),
        ("GET", "/dbs/db/deployments/other", None, "there is no deployment 'other'"),
        ("PUT", "/dbs/db/tables/t9", {"value": [ROW]}, "there is no table 't9'"),
        ("GET", "/dbs/db/tables/t9", None, "there is no table 't9'"),
        ("POST", "/dbs/db", {"mode": "online", "sql": "select 1"}, "this server answers no SQL"),
        ("DELETE", "/dbs/db", None, "nothing is at DELETE /dbs/db"),
        ("GET", "/", None, "nothing is at GET /"),
        ("POST", DEPLOYMENT, b"{", "the body is not JSON"),
        ("POST", DEPLOYMENT, b"\xff", "the body is not JSON"),
        ("POST", DEPLOYMENT, b"[" * 1900, "the body is not JSON"),
        ("POST", DEPLOYMENT, [ROW], "the body is no JSON object"),
        ("POST", DEPLOYMENT, {"input": []}, "'input' must be a list of rows, one at least"),
        ("POST", DEPLOYMENT, {"input": [ROW] * 4}, "4 rows in one call; at most 3 are taken"),
        ("POST", DEPLOYMENT, {"input": [ROW[1:]]}, "row 0 has 4 values, and the table 5 columns"),
        ("POST", DEPLOYMENT, {"input": [ROW, 7]}, "row 1 is neither an array nor an object"),
        ("POST", DEPLOYMENT, {"input": [{"id": "r1"}]}, "row 0 has no column 'k'"),
        ("POST", DEPLOYMENT, {"input": [[*ROW[:4], "2021-13-1"]]}, "row 0: day is a date, such as 2021-05-20, and '2021-13-1' is not"),
        ("POST", DEPLOYMENT, {"input": [[1, *ROW[1:]]]}, "row 0 of 't1': id is string, and 1 is not."),
        ("POST", DEPLOYMENT, {"input": [["r1", "a", 2**63, 1, None]]}, "row 0 of 't1': ts is timestamp, and 9223372036854775808 is not."),
        ("POST", DEPLOYMENT, {"input": [["r1", "a", None, 1, None]]}, "t1.ts is NULL in 1 of 1 requests: a request needs its time."),
        ("POST", DEPLOYMENT, b'{"input": [["\\ud800", "a", 1, 1, null]]}', "row 0 of 't1': id is string, and"),
        ("PUT", "/dbs/db/tables/t2", {"value": [STORED, [*STORED[:6], "x", True]]}, "row 1 of 't2': f is float, and 'x' is not."),
        ("PUT", "/dbs/db/tables/t2", {"value": [["a", -1, *STORED[2:]]]}, "t2.ts has 1 times before 1970"),
    ],
)
def test_what_is_wrong_is_said_with_a_code(app: FeatureServer, method: str, path: str, body: Any, message: str) -> None:
    answer = value(app, method, path, body)
    assert answer.keys() == {"code", "msg"}
    assert answer["code"] == -1
    assert message in answer["msg"]
    assert value(app, "GET", "/health")["data"]["stores"][0]["rows"] == 0


def test_large_bodies_are_not_read(app: FeatureServer) -> None:
    answer = ask(app, "POST", DEPLOYMENT, b" " * 2001)
    assert (answer.status_code, answer.json()) == (413, {"code": -1, "msg": "the body is larger than 2000 bytes"})


# --- over a socket -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def endpoint(app: FeatureServer) -> Iterator[str]:
    uvicorn = pytest.importorskip("uvicorn")
    from jdrec.serving.server import listen, url_of

    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_jdrecs_own_client_of_the_apiserver_works_unchanged(endpoint: str, feature_set: FeatureSet) -> None:
    from jdrec.serving.features import OpenMLDBSource
    from jdrec.serving.rows import RowReader

    rows = RowReader(feature_set, max_rows=10).read(json.dumps([dict(zip(TABLES["t1"], [*ROW[:4], "2021-05-20"], strict=True))]).encode())

    async def go() -> Any:
        source = OpenMLDBSource(feature_set, endpoint=endpoint, deployment="demo", timeout_s=20)
        await source.open()
        try:
            assert await source.ready()
            async with httpx.AsyncClient() as client:
                await client.put(f"{endpoint}/dbs/db/tables/t2", json={"value": [STORED]})
            await source.store(rows)
            return await source.compute(rows)
        finally:
            await source.close()

    (answer,) = asyncio.run(go()).to_pylist()
    assert {name: answer[name] for name in ("id_1", "twice", "rows", "top", "total", "trues")} == {
        "id_1": "r1",
        "twice": 1.0,
        "rows": 1,
        "top": "é,NULL",
        "total": 0.5,
        "trues": 1,
    }
    assert str(answer["when"]) == "2021-05-20"


# --- the task ----------------------------------------------------------------------------------------------------------------


def start(shared: Path, folder: Path) -> tuple[subprocess.Popen, str]:
    overrides = ["+experiment=jd_tutorial", "task=feature_server", "online.server.port=0", f"online.dir={folder / 'store'}"]
    overrides += [f"dataset.root={shared / 'jd-recommendation'}", f"hydra.run.dir={folder / 'run'}"]
    process = subprocess.Popen([sys.executable, "-m", "jdrec", *overrides], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith("Feature server")), "")
    return process, line.split()[2] if line else ""


def test_the_task_serves_stops_and_starts_again_with_what_was_stored(shared: Path, tmp_path: Path) -> None:
    from tests.online.test_session import PRINTED, REQUEST

    for start_number in range(2):
        process, url = start(shared, tmp_path)
        try:
            deployment = f"{url}/dbs/JD_db/deployments/demo"
            rows = httpx.post(deployment, json={"input": [list(REQUEST.values())]}, timeout=60).json()
            if start_number == 0:
                assert rows == {"code": 0, "msg": "ok", "data": {"data": [PRINTED]}}
                stored = {**REQUEST, "reqId": "another"}
                assert httpx.put(f"{url}/dbs/JD_db/tables/flattenRequest", json={"value": [list(stored.values())]}, timeout=60).json() == {
                    "code": 0,
                    "msg": "ok",
                }
            else:
                assert rows["data"]["data"][0][10] == PRINTED[10] + 1  # how often the pair is among the user's last requests
            assert httpx.get(deployment, timeout=60).json()["data"]["procedure"].startswith("USE")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)
