"""Features at request time: the tutorial's example, equality with the batch, and what a session keeps."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.dataset.tables import TableSet, open_tables
from jdrec.errors import CheckError, DataError
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.online.session import RequestSession
from tests.engines.conftest import config_of, feature_set_of
from tests.engines.tables import plain, write_tables

# The request and the answer that the tutorial prints in its section 3.5.
REQUEST = {
    "reqId": "200001_80005_2016-03-31 18:11:20",
    "eventTime": 1459419080000,
    "main_id": "681271",
    "pair_id": "200001_80005",
    "user_id": "200001",
    "sku_id": "80005",
    "time": 1459419080000,
    "split_id": 1,
    "time1": "2016-03-31 18:11:20",
}
KEY = REQUEST["reqId"]
PRINTED = [
    *(KEY, 1459419080000, KEY, "200001_80005", "80005", "200001", 1, 1.0, 1.0, 1, 1, 5, 1, KEY),
    *(None, None, None, None, None, None, None, None, None, None, None, KEY),
    *(0.019200000911951065, 0.0, 0.0, 2, 2, "1,,NULL", "4,0,NULL", KEY),
    *(",NULL,NULL", ",NULL,NULL", ",NULL,NULL", 1, 1, 1, ",NULL,NULL", ",NULL,NULL"),
]


@pytest.fixture(scope="module")
def tutorial(shared: Path) -> FeatureSet:
    return resolve(config_of("jd", "jd_tutorial", shared / "jd-recommendation"))


@pytest.fixture(scope="module")
def tables(tutorial: FeatureSet, shared: Path) -> TableSet:
    return open_tables(tutorial, shared / "jd-recommendation", tutorial.timezone)


def test_the_tutorials_example(tutorial: FeatureSet, tables: TableSet) -> None:
    session = RequestSession(tutorial, tables)
    for _ in range(2):  # a request leaves nothing behind
        (found,) = plain(tutorial, session.compute([REQUEST]))
        assert list(found.values()) == PRINTED


def test_replaying_the_requests_in_order_of_arrival_gives_the_batch(tutorial: FeatureSet, tables: TableSet, shared: Path) -> None:
    golden = plain(tutorial, pq.read_table(shared / "golden" / "jd_tutorial_features.parquet"))
    expected = {row["reqId_1"]: row for row in golden}
    requests = pq.read_table(shared / "jd-recommendation" / "flattenRequest_clean")
    times = requests["eventTime"].cast(pa.timestamp("ms")).cast(pa.int64())
    rows = requests.set_column(requests.schema.get_field_index("eventTime"), "eventTime", times).to_pylist()
    arrivals = [rows[number] for number in sorted(range(len(rows)), key=lambda number: (rows[number]["eventTime"], number))]
    session = RequestSession(tutorial, tables, preload=[name for name in tables if name != "flattenRequest"])
    different = 0
    for batch in _without_repeated_users(arrivals):
        # Windows over requests are a user's own: requests of different users may be asked together.
        different += sum(found != expected[found["reqId_1"]] for found in plain(tutorial, session.compute(batch)))
        session.insert("flattenRequest", batch)
    assert different == 0


def _without_repeated_users(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = [[]]
    users: set[str] = set()
    for row in rows:
        if row["user_id"] in users:
            batches.append([])
            users = set()
        batches[-1].append(row)
        users.add(row["user_id"])
    return batches


# --- small tables --------------------------------------------------------------------------------------------------------------

T1 = {"id": "string", "k": "string", "ts": "timestamp", "s": "string"}
TABLES = {"t1": T1, "t2": {"k": "string", "ts": "timestamp", "s": "string"}, "p": {"k": "string", "at": "timestamp", "v": "int"}}
FEATURES = """
windows: {own: {partition_by: k, rows: 10}, other: {union: t2, partition_by: k, range: 10s, exclude: instances}}
joins: {last: {last_join: p, on: k}, latest: {last_join: p, on: k, order_by: at}}
features:
  n: {over: own, expr: count(*)}
  top: {over: own, expr: "topn_frequency(s, 3)"}
  low: {over: own, expr: min(s)}
  others: {over: other, expr: "topn_frequency(s, 2)"}
  v: {expr: last.v}
  w: {expr: latest.v}
"""


@pytest.fixture
def session(tmp_path: Path) -> RequestSession:
    feature_set = feature_set_of(TABLES, FEATURES)
    return RequestSession(feature_set, write_tables(feature_set, {"t1": [], "t2": [], "p": []}, tmp_path))


def request(s: str | None, second: int, k: str | None = "a") -> dict[str, Any]:
    return {"id": "1", "k": k, "ts": 1000 * second, "s": s}


def asked(session: RequestSession, *rows: dict[str, Any]) -> list[tuple]:
    return [tuple(list(row.values())[1:4]) for row in session.compute(rows).select(["id_1", "n", "top", "low"]).to_pylist()]


def test_a_request_is_stored_only_if_inserted(session: RequestSession) -> None:
    assert asked(session, request("x", 1)) == [(1, "x,NULL,NULL", "x")]
    assert asked(session, request("y", 2)) == [(1, "y,NULL,NULL", "y")]
    session.insert("t1", [request("x", 1)])
    assert asked(session, request("y", 2)) == [(2, "x,y,NULL", "x")]
    assert asked(session, request("y", 0)) == [(1, "y,NULL,NULL", "y")]


def test_stored_rows_of_the_same_time_are_seen(session: RequestSession) -> None:
    session.insert("t1", [request("x", 1), request("y", 1)])
    assert asked(session, request("y", 1)) == [(3, "y,x,NULL", "x")]


def test_requests_of_one_call_do_not_see_each_other(session: RequestSession) -> None:
    assert asked(session, request("y", 1), request("x", 2)) == [(1, "y,NULL,NULL", "y"), (1, "x,NULL,NULL", "x")]


def test_null_and_empty_keys_and_strings(session: RequestSession) -> None:
    session.insert("t1", [request(None, 1, None), request("", 1, "")])
    assert asked(session, request("x", 2, None)) == [(2, "x,NULL,NULL", "x")]
    assert asked(session, request(None, 2, "")) == [(2, ",NULL,NULL", "")]


def test_rows_that_arrive_late_take_their_place(session: RequestSession) -> None:
    for second in (5, 1, 9, 3, 7, 1):
        session.insert("t2", [{"k": "a", "ts": 1000 * second, "s": str(second)}])
    others = [row["others"] for row in session.compute([request("x", second) for second in (0, 1, 4, 9, 13)]).to_pylist()]
    # The request itself has '' there; equal counts come in order of the text.
    assert others == [",NULL", "1,", "1,", "1,", ",3"]


def test_strings_that_come_later_sort_where_they_belong(session: RequestSession) -> None:
    texts = [f"{(n * 7919) % 1000:03d}" for n in range(300)]
    for second, text in enumerate(texts):
        session.insert("t1", [request(text, second)])
    for second in (5, 50, 299):
        seen = texts[max(0, second - 9) : second + 1]
        assert asked(session, request("~", second)) == [(min(11, second + 2), ",".join(sorted(seen)[:3]), min(seen))]


def test_joins_follow_inserts(session: RequestSession) -> None:
    def joined() -> tuple[Any, Any]:
        (row,) = session.compute([request("x", 1)]).to_pylist()
        return row["v"], row["w"]

    assert joined() == (None, None)
    expected = {(1, 5000): (1, 1), (2, 3000): (2, 1), (3, 5000): (3, 3), (4, None): (4, 3)}
    for (v, at), found in expected.items():
        session.insert("p", [{"k": "a", "at": at, "v": v}])
        assert joined() == found


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "1", "k": "a", "ts": 0}, r"row 0 of 't1' has no column 's'\."),
        ({**request("x", 0), "kk": 1}, r"row 0 of 't1' has a column 'kk' that the table has not\. Did you mean 'k'\?"),
        (request(1, 0), r"row 0 of 't1': s is string, and 1 is not\."),  # type: ignore[arg-type]
        ({**request("x", 0), "ts": "now"}, r"row 0 of 't1': ts is timestamp, and 'now' is not\."),
        ({**request("x", 0), "ts": None}, r"t1\.ts is NULL in 1 of 1 requests: a request needs its time\."),
        ({**request("x", 0), "ts": -5}, r"t1\.ts has 1 times before 1970 \(in ms: -5\), which cannot order rows in OpenMLDB\."),
    ],
)
def test_bad_rows_change_nothing(row: dict[str, Any], message: str, session: RequestSession) -> None:
    for call in (lambda: session.compute([row]), lambda: session.insert("t1", [request("ok", 0), {**row}][1:])):
        with pytest.raises(DataError, match=message):
            call()
    with pytest.raises(DataError):
        session.insert("t1", [request("ok", 0), row])
    assert asked(session, request("x", 9)) == [(1, "x,NULL,NULL", "x")]


def test_unknown_tables(session: RequestSession) -> None:
    with pytest.raises(DataError, match=r"there is no table 't4'"):
        session.insert("t4", [])


def test_what_the_engine_lacks_is_refused_before_loading(tmp_path: Path) -> None:
    feature_set = feature_set_of(
        TABLES, "windows: {w: {partition_by: k, rows: 1}}\nfeatures: {x: {expr: 'unhex(`s`)', openmldb_only: true, type: string}}"
    )
    with pytest.raises(CheckError, match=r"features\.features\.x: the embedded engine does not compute SQL that is openmldb_only"):
        RequestSession(feature_set, TableSet({}))


def test_threads_may_insert_and_compute_at_once(session: RequestSession) -> None:
    failures: list[Any] = []

    def insert(key: str) -> None:
        for second in range(150):
            session.insert("t1", [request(f"{key}{second}", second, key)])

    def compute(key: str) -> None:
        for _ in range(100):
            ((n, top, low),) = asked(session, request("~", 1000, key))
            if not 1 <= n <= 11 or not top.startswith(low) or (n > 1 and not low.startswith(key)):
                failures.append((n, top, low))

    threads = [threading.Thread(target=work, args=(key,)) for key in "ab" for work in (insert, compute)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert asked(session, request("~", 1000, "a"))[0][0] == 11
